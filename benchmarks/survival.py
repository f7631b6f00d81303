"""
Kaplan-Meier and Cox on counts against lifelines on rows, both sides in turn in one run; read the ratios.

    python benchmarks/survival.py [n_customers ...]

Customers lapse on integer days, in 12 groups with two further covariates. Counting rows into cells is timed
as part of our side (with DuckDB through Ibis, as a reduction does it).
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import ibis
import numpy as np
import pandas as pd
from lifelines import CoxPHFitter, KaplanMeierFitter

from lcm_research.survival.curves import kaplan_meier
from lcm_research.survival.hazards import cox

REPEATS = 3
COVARIATES = ["age_band", "is_member"]


def customers(n: int, seed: int = 0) -> pd.DataFrame:
    """Draw durations whose hazard depends on age band and membership, censored at a year."""
    rng = np.random.default_rng(seed)
    age, member = rng.integers(0, 5, n), rng.integers(0, 2, n)
    lapse = rng.exponential(200 * np.exp(0.1 * age + 0.3 * member))
    censored = rng.uniform(30, 365, n)
    return pd.DataFrame(
        {
            "channel": rng.integers(0, 12, n),
            "age_band": age,
            "is_member": member,
            "replicate": rng.integers(0, 100, n),
            "duration_days": np.ceil(np.minimum(lapse, censored)).astype("int64"),
            "event_observed": lapse <= censored,
        }
    )


def counts_of(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Count rows by pattern and day in the engine."""
    connection = ibis.duckdb.connect()
    table = connection.create_table("spells", ibis.memtable(rows), temp=True)
    all_keys = [*keys, "duration_days", "event_observed"]
    counted = table.group_by(all_keys).agg(n=lambda t: t.count()).order_by(all_keys).to_pandas()
    connection.disconnect()
    return counted


def our_curves(rows: pd.DataFrame) -> float:
    """Survival at day 180 of the first of 12 groups."""
    counts = counts_of(rows, ["channel"])
    curves = [kaplan_meier(group, interval="log-log") for _, group in counts.groupby("channel")]
    return float(curves[0].survival[np.searchsorted(curves[0].times, 180, side="right") - 1])


def their_curves(rows: pd.DataFrame) -> float:
    """Survival at day 180 of the first of 12 groups, by lifelines."""
    fits = [
        KaplanMeierFitter().fit(group["duration_days"], group["event_observed"]) for _, group in rows.groupby("channel")
    ]
    return float(fits[0].predict(180))


def our_cox(rows: pd.DataFrame) -> float:
    """Log hazard ratio of membership."""
    counts = counts_of(rows, COVARIATES)
    fit = cox(counts, covariates=COVARIATES, ties="efron", intervals="information")
    return float(fit.coefficients[fit.names.index("is_member")])


def their_cox(rows: pd.DataFrame) -> float:
    """Log hazard ratio of membership, by lifelines."""
    fitter = CoxPHFitter().fit(
        rows[[*COVARIATES, "duration_days", "event_observed"]], "duration_days", "event_observed"
    )
    return float(fitter.params_["is_member"])


def seconds(task: Callable[[pd.DataFrame], float], rows: pd.DataFrame) -> tuple[float, float]:
    """Return the time of one call and its result."""
    started = time.perf_counter()
    result = task(rows)
    return time.perf_counter() - started, result


def compare(name: str, ours: Callable[..., float], theirs: Callable[..., float], rows: pd.DataFrame) -> dict[str, Any]:
    """Time both sides in turn and return medians, their ratio and the deviation of the results."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    results: dict[str, float] = {}
    for _ in range(REPEATS):
        for side, task in (("ours", ours), ("theirs", theirs)):
            spent, results[side] = seconds(task, rows)
            times[side].append(spent)
    mine, peer = statistics.median(times["ours"]), statistics.median(times["theirs"])
    return {
        "task": name,
        "n_customers": f"{len(rows):,}",
        "ours_s": f"{mine:.3f}",
        "lifelines_s": f"{peer:.3f}",
        "times_faster": f"{peer / mine:.1f}",
        "deviation": f"{abs(results['ours'] - results['theirs']):.1e}",
    }


def main(sizes: list[int]) -> None:
    """Print one table."""
    warnings.simplefilter("ignore")
    lines = []
    for n in sizes:
        rows = customers(n)
        lines.append(compare("Kaplan-Meier, 12 groups", our_curves, their_curves, rows))
        lines.append(compare("Cox, 2 covariates", our_cox, their_cox, rows))
    print(pd.DataFrame(lines).to_string(index=False))


if __name__ == "__main__":
    main([int(a) for a in sys.argv[1:]] or [10_000, 100_000, 1_000_000])
