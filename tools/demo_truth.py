"""
Count, on a million simulated customers, what engaging does where it is set at random; see engagement_truth.py.

    python tools/demo_truth.py [n_customers]

Writes src/lcm_research/data/simulated/engagement_truth.yml.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import islice

import numpy as np
from simulated_study import CHOICES, added_up, drawn, fine_exposure, in_classes, in_engine, landmark_of

from lcm_research.data.simulated.brand import Brand, EngagementFollows
from lcm_research.data.simulated.engagement_truth import TRUTH_FILE
from lcm_research.estimate import Estimate
from lcm_research.survival.engagement import lagged_ratio
from lcm_research.survival.standardised import landmark_difference

SEED = 20250101  # none of the seeds 0 to 399 that coverage is counted over
RETURNS = Brand().return_hazard_monthly
BRANDS: list[tuple[EngagementFollows, float, float]] = [
    (follows, ratio, returns)
    for follows, returns in (("chance", 0.0), ("chance", RETURNS), ("purchases", 0.0))
    for ratio in (Brand().engaged_hazard_ratio, 1.0)
]
T_99 = 1.9842169515086827
"""Half the width of a 95% interval in standard errors."""


def truth_of(asked: tuple[EngagementFollows, float, float], n_customers: int) -> dict[str, object]:
    """Return the entry of one brand."""
    follows, ratio, returns = asked
    brand = Brand(engagement_follows=follows, engaged_hazard_ratio=ratio, return_hazard_monthly=returns)
    exposure, landmark = [], []
    chunks = drawn(brand, n_customers=n_customers, seed=SEED)
    while some := list(islice(chunks, 10)):
        with in_engine(some) as tables:
            exposure.append(in_classes(fine_exposure(tables)))
            landmark.append(landmark_of(tables))
    hazard_ratio = lagged_ratio(
        added_up(exposure, counts=["n_at_risk", "n_events"]),
        lag_periods=CHOICES["lag_periods"],
        adjust_for=["activity"],
        ties="efron",
    )
    difference = landmark_difference(
        added_up(landmark, counts=["n"]), adjust_for=["activity"], horizon_days=CHOICES["horizon_days"]
    )
    return {
        "engagement_follows": follows,
        "engaged_hazard_ratio": ratio,
        "return_hazard_monthly": returns,
        "hazard_ratio": round(hazard_ratio.value, 5),
        "log_hazard_ratio_error": round(log_error(hazard_ratio), 5),
        "difference_days": round(difference.value, 4),
        "difference_days_error": round((difference.upper - difference.lower) / 2 / T_99, 4),
        "n_customers": n_customers,
        "seed": SEED,
    }


def log_error(ratio: Estimate) -> float:
    """Standard error of a ratio's logarithm."""
    return float(np.log(ratio.upper / ratio.lower) / 2 / T_99)


def main(n_customers: int) -> None:
    """Write the file."""
    with ProcessPoolExecutor(2) as pool:
        entries = list(pool.map(truth_of, BRANDS, [n_customers] * len(BRANDS)))
    lines = ["# Made by tools/demo_truth.py: what each number means stands in engagement_truth.py.", "choices:"]
    lines += [f"  {name}: {value}" for name, value in CHOICES.items()]
    lines += ["truths:"]
    for entry in entries:
        pairs = [f"{name}: {value}" for name, value in entry.items()]
        lines += [f"  - {pairs[0]}", *(f"    {pair}" for pair in pairs[1:])]
    TRUTH_FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
