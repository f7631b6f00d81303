"""
How often the intervals of the stage chain hold the truth, and how often its tests reject, over 400 fixed seeds.

    python tools/chain_coverage.py [n_seeds] [n_processes]

Writes docs/chain_coverage.md. The chains are those of simulated_chain.py; every truth follows from them by formula.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from simulated_chain import MOVES, STAGES, Population, Simulated, rates, stays

from lcm_research.estimate import clopper_pearson
from lcm_research.transitions.absorbing import reaching, time_to
from lcm_research.transitions.backtest import backtest, stage_forecast
from lcm_research.transitions.chain import dirichlet_interval, transition_matrix
from lcm_research.transitions.forecast import flow_counts
from lcm_research.transitions.fundamental import fundamental_matrix, reach_probability
from lcm_research.transitions.homogeneity import homogeneity
from lcm_research.transitions.intensities_exact import exact_intensities
from lcm_research.transitions.intensities_panel import panel_intensities
from lcm_research.transitions.order import OrderTest, order_test
from lcm_research.transitions.recency import stage_chain
from lcm_research.transitions.sensitivity import elasticities, reweighted, time_outcome
from lcm_research.transitions.value import lifetime_value, present_value, rate_per_period

N_SEEDS = 400
N_CUSTOMERS = 1_000
IN_TESTS = (1_000,)
"""Customers of the tests: few, 10 in a group of customers."""
HORIZON = 24
AHEAD = 3
REWARDS = dict(zip(STAGES, (20.0, 35.0, 2.0, 0.0), strict=True))
RATE_YEARLY = 0.1
NEW, ACTIVE, DORMANT, LAPSED = range(4)
CLASSICAL, GROUPS = "classical", "groups of customers"
OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "chain_coverage.md"

LIVELY, QUIET = rates(dormant_active=2, dormant_lapsed=0.5), rates(dormant_active=0.4, dormant_lapsed=1.6)
ALIKE = Population(title="customers alike")
DIFFER = Population(title="customers differ: half return five times as often", chains=(LIVELY, QUIET))
UNEQUAL = Population(title="customers alike, followed for 4, 12 or 24 months", unequal=True)
STEADY = Population(title="months alike, customers arriving", arriving=True)
UNSTEADY = Population(title="months differ (20% up and down), customers arriving", arriving=True, month_spread=0.2)
FORGETFUL = np.array([0.2, 0.4, 0.3, 0.1])
"""Stages of a chain without memory."""

Row = tuple[str, str, str, float, float, float, float]
Rejection = tuple[str, str, int, str, float]


def intervals(population: Population, seed: int) -> list[Row]:
    """Return scenario, quantity, interval, truth, estimate, lower and upper of one simulated brand."""
    rng = np.random.default_rng(seed)
    counts = Simulated.draw(population, n_customers=N_CUSTOMERS, rng=rng).moves()
    truth, found = chain_truth(population), chain_estimates(counts)
    paths = stays(population, n_customers=N_CUSTOMERS, rng=rng)
    exact = exact_intensities(paths, stages=STAGES, moves=MOVES, unit="per month").estimates["dormant", "active"]
    found["intensity dormant to active, paths seen"] = ("replicate", exact.value, exact.lower, exact.upper)
    if len(population.chains) == 1:  # for customers who differ the panel has no one intensity
        looks = counts.assign(interval=1.0)
        fit = panel_intensities(looks, stages=STAGES, moves=MOVES, unit="per month", intervals="replicate")
        row = fit.table().set_index(["from", "to"]).loc[("dormant", "active")]
        found["intensity dormant to active, month ends seen"] = (
            "replicate",
            *(float(row[name]) for name in ("intensity", "lower", "upper")),
        )
    return [(population.title, name, kind, truth[name], *ends) for name, (kind, *ends) in found.items()]


def chain_estimates(counts: pd.DataFrame) -> dict[str, tuple[str, float, float, float]]:
    """Return interval kind, estimate, lower and upper of each quantity."""
    matrix, chain = transition_matrix(counts, stages=STAGES), stage_chain(counts, stages=STAGES, moves=None)
    prior = dirichlet_interval(matrix, prior=0.5)
    at = {"start": "entry", "horizon_periods": HORIZON}
    outcome, final = time_outcome(chain, target="lapsed", horizon_periods=HORIZON)
    answer = elasticities(chain, outcome, final=final, origin="new", start="entry").set_index(["from", "to"])
    money = {"rewards": REWARDS, "discount_rate_yearly": RATE_YEARLY, "periods_per_year": 12, "unit": "CNY"}
    worth = lifetime_value(chain, include_now=True, **money, **at)
    estimates = {
        "probability dormant to active": matrix.estimates["dormant", "active"],
        "probability new to lapsed": matrix.estimates["new", "lapsed"],
        "months to lapsed, of 24, from new": time_to(chain, target="lapsed", **at).estimates["new"],
        "lapsed within 24 months, from active": reaching(chain, target="lapsed", **at).estimates["active"],
        "lifetime value over 24 months, from new": worth["new"],
    }
    told = {name: ("replicate", e.value, e.lower, e.upper) for name, e in estimates.items()}
    pull = answer.loc[("dormant", "active")]
    told["elasticity of months to dormant to active"] = ("replicate", pull["elasticity"], pull["lower"], pull["upper"])
    mean, lower, upper = (each[DORMANT, ACTIVE] for each in prior)
    return told | {"probability dormant to active, Dirichlet": ("multinomial", mean, lower, upper)}


def chain_truth(population: Population) -> dict[str, float]:
    """Return what each quantity is for the expected moves of all customers together."""
    P, ends = population.probability(), np.arange(4) == LAPSED

    def months(matrix: np.ndarray) -> np.ndarray:
        return fundamental_matrix(matrix, ends, horizon_periods=HORIZON).sum(axis=1)[NEW]

    leave, enter = (np.arange(4) == place for place in (DORMANT, ACTIVE))
    slope = (months(reweighted(P, leave, enter, 1 + 1e-6)) - months(reweighted(P, leave, enter, 1 - 1e-6))) / 2e-6
    rate = rate_per_period(RATE_YEARLY, periods_per_year=12)
    worth = present_value(P, np.array(list(REWARDS.values())), rate=rate, horizon_periods=HORIZON, include_now=True)
    intensity = float(population.intensity()[DORMANT, ACTIVE])
    return {
        "probability dormant to active": P[DORMANT, ACTIVE],
        "probability dormant to active, Dirichlet": P[DORMANT, ACTIVE],
        "probability new to lapsed": P[NEW, LAPSED],
        "months to lapsed, of 24, from new": months(P),
        "lapsed within 24 months, from active": reach_probability(P, ends, horizon_periods=HORIZON)[ACTIVE],
        "lifetime value over 24 months, from new": worth[NEW],
        "elasticity of months to dormant to active": slope / months(P),
        "intensity dormant to active, paths seen": intensity,
        "intensity dormant to active, month ends seen": intensity,
    }


def forecasts(population: Population, seed: int) -> list[Row]:
    """Forecast the mix three months ahead, with and without the spread between months; the truth is what came."""
    everybody = Simulated.draw(population, n_customers=N_CUSTOMERS, rng=np.random.default_rng(seed))
    known = everybody.until(24 - AHEAD)
    flows = flow_counts(known.moves(), known.entries(), stages=STAGES)
    asked = {"horizon_periods": AHEAD, "season": "none"}
    came = everybody.mix([24])[0]
    rows = []
    for kind, tried in (("customers alone", None), ("with months", backtest(flows, min_train_periods=6, **asked))):
        last = stage_forecast(flows, tried, **asked).rows.query("ahead == @AHEAD").set_index("stage")
        for place in (ACTIVE, LAPSED):
            row, name = last.loc[STAGES[place]], f"share {STAGES[place]} three months ahead"
            rows.append((population.title, name, kind, came[place], row["share"], row["lower"], row["upper"]))
    return rows


def tests(n_customers: int, seed: int) -> list[Rejection]:
    """Return hypothesis, truth, customers, test and p of every test of one seed."""
    rng = np.random.default_rng(10_000 + seed)
    draw = partial(Simulated.draw, n_customers=n_customers, rng=rng)
    alike, differ, unequal = draw(ALIKE), draw(DIFFER), draw(UNEQUAL)
    rows: list[tuple[str, str, str, float]] = []
    for made, title in (
        (alike, "true: customers alike"),
        (unequal, "true: alike, followed for unequal times"),
        (draw(ALIKE, pull=0.06), "false: active two months ago adds .06 to the chance of return"),
        (differ, "false: customers differ, which looks like memory"),
    ):
        found = order_test(made.pairs(), stages=STAGES, order=2, moves=None, rng=rng)
        rows += of_order("order 1 is enough", title, found)
    for share, title in ((0.0, "true: no memory at all"), (0.04, "false: 4% stay where they are")):
        made = draw(Population(title="", chains=(forgetful(share),)))
        rows += of_order("order 0 is enough", title, order_test(made.pairs(), stages=STAGES, order=1, moves=None))
    other = draw(Population(title="", chains=(rates(dormant_active=1.2),))).moves()
    unlike = pd.concat([alike.moves().assign(group=0), other.assign(group=1)])
    for counts, title in (
        (alike.moves(), "true: customers alike"),
        (differ.moves(), "true: customers differ, alike in both segments"),
        (unequal.moves(), "true: alike, followed for unequal times"),
        (unlike, "false: one returns 20% more often"),
    ):
        rows += alike_test("segments move alike", title, counts, by="group")
    for made, title in ((alike, "true: months alike"), (draw(UNSTEADY), "false: months differ (20% up and down)")):
        rows += alike_test("months move alike", title, made.moves(), by="period_start", rng=rng)
    return [(hypothesis, title, n_customers, test, p_value) for hypothesis, title, test, p_value in rows]


def forgetful(share: float) -> np.ndarray:
    """Return intensities of a chain that draws its stage anew each month, but for ``share``, who stay."""
    # months are exp(Q) with Q = r (1 pi' - I): then exp(Q) = 1 pi' + exp(-r) (I - 1 pi')
    rate = 40.0 if share == 0 else -np.log(share)
    return np.asarray(rate * (np.tile(FORGETFUL, (4, 1)) - np.eye(4)))


def alike_test(
    hypothesis: str, title: str, counts: pd.DataFrame, *, by: str, rng: np.random.Generator | None = None
) -> list[tuple[str, str, str, float]]:
    """Return the p-values of the tests that segments or months move alike."""
    found = homogeneity(counts, stages=STAGES, moves=None, by=by, ordered=by == "period_start", rng=rng)
    return [(hypothesis, title, CLASSICAL, found.p_value), (hypothesis, title, GROUPS, found.replicate.p_value)]


def of_order(hypothesis: str, title: str, found: OrderTest) -> list[tuple[str, str, str, float]]:
    """Return the p-values of the tests of an order."""
    return [
        (hypothesis, title, CLASSICAL, found.classical.p_value),
        (hypothesis, title, GROUPS, found.replicate.p_value),
    ]


def coverage_table(rows: Iterable[Row]) -> list[str]:
    """Write how often each interval held its truth."""
    columns = ["population", "quantity", "interval", "truth", "estimate", "lower", "upper"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["holds"] = frame["truth"].between(frame["lower"], frame["upper"])
    lines = [
        "| customers | quantity | interval | mean truth | mean estimate | covers |",
        "|---|---|---|---:|---:|---:|",
    ]
    for (population, quantity, kind), own in frame.groupby(columns[:3], sort=False):
        lines.append(
            f"| {population} | {quantity} | {kind} | {own['truth'].mean():.3f} | {own['estimate'].mean():.3f} "
            f"| {share(int(own['holds'].sum()), len(own))} |"
        )
    return lines


def rejection_table(rows: Iterable[Rejection]) -> list[str]:
    """Write how often each test rejected at 5%."""
    columns = ["hypothesis", "truth", "customers", "test", "p_value"]
    frame = pd.DataFrame(rows, columns=columns).dropna()
    lines = ["| hypothesis | which is | test | customers | rejected at 5% |", "|---|---|---|---:|---:|"]
    for (hypothesis, truth, test, n), own in frame.groupby(["hypothesis", "truth", "test", "customers"], sort=False):
        rejected = share(int((own["p_value"] < 0.05).sum()), len(own))
        lines.append(f"| {hypothesis} | {truth} | {test} | {n:,} | {rejected} |")
    return lines


def share(k: int, n: int) -> str:
    """Write a share with its exact interval."""
    low, high = clopper_pearson(k, n)
    return f"{100 * k / n:.1f}% ({100 * low:.1f} to {100 * high:.1f})"


def main(n_seeds: int, n_processes: int) -> None:
    """Write the page."""
    populations: list[tuple[Callable[[Population, int], list[Row]], Population]]
    populations = [(intervals, ALIKE), (intervals, DIFFER), (intervals, UNEQUAL)]
    populations += [(forecasts, STEADY), (forecasts, UNSTEADY)]
    with ProcessPoolExecutor(n_processes) as pool:
        held = [row for ask, p in populations for each in pool.map(partial(ask, p), range(n_seeds)) for row in each]
        asked = [partial(tests, n) for n in IN_TESTS]
        rejected = [row for ask in asked for each in pool.map(ask, range(n_seeds)) for row in each]
    text = [
        "# How often the intervals of the stage chain hold the truth, and its tests reject",
        "",
        f"Made by `python tools/chain_coverage.py`: seeds 0 to {n_seeds - 1}, {N_CUSTOMERS:,} customers over 24 "
        "months, 95% intervals. Every truth follows by formula from the chains of `tools/simulated_chain.py`; where "
        "customers differ it is that of their moves together. The truth of a forecast is what came.",
        "",
        "## Intervals",
        "",
        *coverage_table(held),
        "",
        "## Tests",
        "",
        *rejection_table(rejected),
        "",
    ]
    OUTPUT.write_text("\n".join(text), encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*given, *(N_SEEDS, 2)[len(given) :])
