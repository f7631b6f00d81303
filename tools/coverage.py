"""
How often the 95% intervals about engaging hold the truth, over 400 simulated brands with seeds fixed in advance.

    python tools/coverage.py [n_seeds] [n_processes]

Writes docs/coverage.md. Each brand of each scenario is drawn with seeds 0 to 399 and analysed as a study would be;
the truth is the stored one of engagement_truth.py, counted on other customers with engagement set at random.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from simulated_study import CHOICES, drawn, ever_of, fine_exposure, in_classes, in_engine, landmark_of

from lcm_research.data.simulated.brand import Brand, EngagementFollows
from lcm_research.data.simulated.engagement_truth import engagement_truth
from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, clopper_pearson
from lcm_research.survival.engagement import e_value, ever_engaged_ratio, lagged_ratio, landmark_ratio
from lcm_research.survival.negative_control import past_activity
from lcm_research.survival.standardised import landmark_difference

N_SEEDS = 400
N_CUSTOMERS = 5_000
BATCH = 20
MOST_NAMED = 60
"""Where more seeds miss the truth they are counted and not listed."""
WEAK = 2.0
"""An E-value of the interval's end below this is flagged: a missed cause need not double anything."""
RETURNS = Brand().return_hazard_monthly
EFFECT = Brand().engaged_hazard_ratio
OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "coverage.md"

ANALYSES = {
    "naive": "hazard ratio, ever engaged (naive)",
    "landmark": "hazard ratio from the landmark, unadjusted",
    "lagged_crude": "hazard ratio, lagged, unadjusted",
    "lagged": "hazard ratio, lagged, past purchases held equal (corrected)",
    "days_crude": "restricted-mean difference in days, unadjusted",
    "days": "restricted-mean difference in days, past purchases held equal (corrected)",
}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A brand, and what is to be expected of its analysis."""

    title: str
    engagement_follows: EngagementFollows
    engaged_hazard_ratio: float
    return_hazard_monthly: float

    @property
    def brand(self) -> Brand:
        """The simulated brand."""
        return Brand(engagement_follows=self.engagement_follows, **self.truths)

    @property
    def truth(self) -> tuple[float, float]:
        """Hazard ratio and days where engaging is set at random: as stored; 1 and 0 where it does nothing."""
        if self.engaged_hazard_ratio == 1:
            return 1.0, 0.0
        stored = engagement_truth(engagement_follows="chance", **self.truths)
        return stored.hazard_ratio, stored.difference_days

    @property
    def truths(self) -> dict[str, float]:
        """What the brand and its truth share."""
        return {name: getattr(self, name) for name in ("engaged_hazard_ratio", "return_hazard_monthly")}


KINDS: tuple[tuple[str, EngagementFollows, float], ...] = (
    ("Observed past purchases carry the confounding", "purchases", 0.0),
    ("They carry it, but some who left come back within the window", "purchases", RETURNS),
    ("A latent activity carries it (the demo)", "activity", RETURNS),
)
SCENARIOS = [
    Scenario(
        title=f"{title}; {'engaging keeps customers' if ratio < 1 else 'engaging does nothing'}",
        engagement_follows=follows,
        engaged_hazard_ratio=ratio,
        return_hazard_monthly=returns,
    )
    for title, follows, returns in KINDS
    for ratio in (EFFECT, 1.0)
]


def analysed(scenario: Scenario, seeds: Sequence[int], n_customers: int = N_CUSTOMERS) -> list[dict[str, object]]:
    """Analyse some brands as large as the demo (at most 10,000 customers), counted together to save planning."""
    parts = [part for seed in seeds for part in drawn(scenario.brand, n_customers=n_customers, seed=seed)]
    with in_engine(parts) as tables:
        counted = {"fine": fine_exposure(tables), "landmark": landmark_of(tables), "ever": ever_of(tables)}
    rows = []
    for place, seed in enumerate(seeds):
        own = {name: table[table["draw"] == str(place)].drop(columns="draw") for name, table in counted.items()}
        rows += found_in(own["fine"], own["landmark"], own["ever"], seed)
    return rows


def found_in(fine: pd.DataFrame, landmark: pd.DataFrame, ever: pd.DataFrame, seed: int) -> list[dict[str, object]]:
    """Return one row an analysis: estimate, interval, and whether the guards warn of it."""
    exposure = in_classes(fine.assign(draw=""))
    lag, horizon = CHOICES["lag_periods"], CHOICES["horizon_days"]
    found: dict[str, Estimate | None] = {
        "naive": ever_engaged_ratio(ever, ties="efron"),
        "landmark": landmark_ratio(landmark, adjust_for=[], ties="efron"),
        "lagged_crude": lagged_ratio(exposure, lag_periods=lag, adjust_for=[], ties="efron"),
        "lagged": (corrected := lagged_ratio(exposure, lag_periods=lag, adjust_for=["activity"], ties="efron")),
        "days_crude": unless_refused(landmark, adjust_for=[], horizon_days=horizon),
        "days": unless_refused(landmark, adjust_for=["activity"], horizon_days=horizon),
    }
    control = past_activity(fine, lag_periods=lag, activity_breaks=CHOICES["activity_breaks"], within=[])
    strength = e_value(corrected, outcome="common")
    return [
        {
            "seed": seed,
            "analysis": name,
            "estimate": each.value if each else np.nan,
            "lower": each.lower if each else np.nan,
            "upper": each.upper if each else np.nan,
            "control_warns": not control.separated,
            "e_value": strength.estimate,
            "e_value_end": strength.interval_end,
        }
        for name, each in found.items()
    ]


def unless_refused(landmark: pd.DataFrame, *, adjust_for: Sequence[str], horizon_days: int) -> Estimate | None:
    """Return the difference in days; None where a class has too few for one."""
    try:
        return landmark_difference(landmark, adjust_for=adjust_for, horizon_days=horizon_days)
    except ModelError:
        return None


def summary(rows: pd.DataFrame, truth: tuple[float, float]) -> pd.DataFrame:
    """Coverage of each analysis, with its exact interval, bias and the spread that its intervals should match."""
    lines = []
    for name, label in ANALYSES.items():
        own = rows[rows["analysis"] == name]
        n_refused = int(own["estimate"].isna().sum())
        own = own.dropna(subset="estimate")
        in_days = name.startswith("days")
        true = truth[in_days]
        holds = (own["lower"] <= true) & (true <= own["upper"])
        scale = (lambda x: x) if in_days else np.log
        spread = scale(own["estimate"]).std()
        error = ((scale(own["upper"]) - scale(own["lower"])) / 2 / 1.9842).mean()
        low, high = clopper_pearson(int(holds.sum()), len(own))
        lines.append(
            {
                "analysis": label + (f"; refused {n_refused} times" if n_refused else ""),
                "truth": true,
                "mean": own["estimate"].mean() if in_days else np.exp(np.log(own["estimate"]).mean()),
                "covers": f"{100 * holds.mean():.1f}% ({100 * low:.1f} to {100 * high:.1f})",
                "too_high": int((own["lower"] > true).sum()),
                "too_low": int((own["upper"] < true).sum()),
                "bias_in_errors": (scale(own["estimate"]).mean() - scale(true)) / spread,
                "error_ratio": error / spread,
            }
        )
    return pd.DataFrame(lines)


def guards(rows: pd.DataFrame) -> str:
    """Return what the guards said of the corrected ratio."""
    own = rows[rows["analysis"] == "lagged"]
    warns, weak = 100 * own["control_warns"].mean(), 100 * (own["e_value_end"] < WEAK).mean()
    middle = own[["e_value", "e_value_end"]].median()
    return (
        f"Negative control (past purchase days differ within the classes): warns in {warns:.1f}% of the brands. "
        f"E-value of the corrected ratio: median {middle['e_value']:.2f}; of its interval's end: "
        f"{middle['e_value_end']:.2f}, below {WEAK:g} in {weak:.1f}%."
    )


def failing(rows: pd.DataFrame, truth: tuple[float, float]) -> str:
    """Return the seeds whose corrected intervals miss the truth."""
    told = []
    for name, true in zip(("lagged", "days"), truth, strict=True):
        own = rows[rows["analysis"] == name]
        seeds = own.loc[(own["lower"] > true) | (own["upper"] < true), "seed"].tolist()
        named = f" ({', '.join(map(str, seeds))})" if 0 < len(seeds) <= MOST_NAMED else ""
        told.append(f"{ANALYSES[name]}: {len(seeds)}{named}")
    return "Seeds whose interval misses the truth: " + "; ".join(told) + "."


def at_random() -> list[str]:
    """Return the stored truths, each beside what the adjusted comparison tends to in customers without number."""
    lines = [
        "## Engagement set at random, for all alike and within classes",
        "",
        "The second is what the corrected comparison tends to where engaging follows past purchases: chances differ "
        "between their classes, as in the first scenario, and within a class engaging is at random. Standard errors of "
        "the simulation in brackets.",
        "",
        "| engaging does | hazard ratio, all alike | hazard ratio, within | days, all alike | days, within |",
        "|---|---:|---:|---:|---:|",
    ]
    for ratio, does in ((EFFECT, "keep customers"), (1.0, "nothing")):
        found = [
            engagement_truth(engagement_follows=follows, engaged_hazard_ratio=ratio, return_hazard_monthly=0.0)
            for follows in ("chance", "purchases")
        ]
        ratios = [f"{each.hazard_ratio:.3f} ({each.hazard_ratio * each.log_hazard_ratio_error:.3f})" for each in found]
        days = [f"{each.difference_days:.2f} ({each.difference_days_error:.2f})" for each in found]
        lines.append(f"| {does} | {' | '.join(ratios)} | {' | '.join(days)} |")
    return [*lines, ""]


def page(made: Sequence[tuple[Scenario, pd.DataFrame]], n_seeds: int) -> str:
    """Write the page."""
    lines = [
        "# How often the intervals about engaging hold the truth",
        "",
        f"Made by `python tools/coverage.py`: seeds 0 to {n_seeds - 1}, {N_CUSTOMERS:,} customers a brand, 95% "
        "intervals. The truth is stored in `src/lcm_research/data/simulated/engagement_truth.yml`, counted by "
        "`python tools/demo_truth.py` on a million other customers whose engagement is set at random (1 and 0 by "
        "construction where engaging does nothing); `engagement_truth.py` beside it says what each number means.",
        "",
        "*Bias* is the mean estimate less the truth in standard deviations of the estimate over the seeds (ratios in "
        "logs); *error ratio* is the mean standard error over that standard deviation, 1 where intervals are as wide "
        "as they should be. Coverage has its exact binomial interval.",
        "",
    ]
    return "\n".join([*lines, *(section(scenario, rows) for scenario, rows in made), *at_random()])


def section(scenario: Scenario, rows: pd.DataFrame) -> str:
    """Write what was found in one scenario."""
    truth = scenario.truth
    lines = [
        f"## {scenario.title}",
        "",
        "| analysis | truth | mean estimate | interval covers | too high / too low | bias | error ratio |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.analysis} | {row.truth:.3f} | {row.mean:.3f} | {row.covers} | {row.too_high} / {row.too_low} "
        f"| {row.bias_in_errors:+.2f} | {row.error_ratio:.2f} |"
        for row in summary(rows, truth).itertuples()
    ]
    return "\n".join([*lines, "", guards(rows), "", failing(rows, truth), ""])


def main(n_seeds: int, n_processes: int) -> None:
    """Write the page from all scenarios."""
    made = []
    with ProcessPoolExecutor(n_processes) as pool:
        for scenario in SCENARIOS:
            batches = [range(first, min(first + BATCH, n_seeds)) for first in range(0, n_seeds, BATCH)]
            rows = [row for each in pool.map(partial(analysed, scenario), batches) for row in each]
            made.append((scenario, pd.DataFrame(rows)))
            print(section(*made[-1]), flush=True)
    OUTPUT.write_text(page(made, n_seeds), encoding="utf-8")


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*given, *(N_SEEDS, 2)[len(given) :])
