"""
Exponents of coefficients, as every regression of durations reports them: hazard, odds and time ratios.

A fit moves by ``moved[g]`` as group of customers ``g`` is left out; that gives standard errors and intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.estimate import N_GROUPS, Estimate, jackknife

__all__ = ["ratio_estimates", "ratio_table", "spread_of_moves"]


def spread_of_moves(moved: np.ndarray) -> np.ndarray:
    """Standard error by the jackknife, from the moves of a fit as each group (first axis) is left out."""
    return np.sqrt((N_GROUPS - 1) / N_GROUPS * (moved**2).sum(axis=0))


def ratio_estimates(
    names: Sequence[str],
    coefficients: np.ndarray,
    error: np.ndarray,
    moved: np.ndarray | None,
    *,
    unit: str,
    n: int,
    level: float,
) -> dict[str, Estimate]:
    """Exponents of coefficients with intervals: jackknife from ``moved`` (100, p), or normal where it is None."""
    made = {}
    for i, name in enumerate(names):
        ratio = float(np.exp(coefficients[i]))
        if moved is not None:
            without = np.exp(coefficients[i] - moved[:, i])
            made[name] = jackknife(ratio, without, unit=unit, n=n, scale="log", level=level)
            continue
        half = stats.norm.ppf(0.5 + level / 2) * error[i]
        lower, upper = (float(np.exp(coefficients[i] + end)) for end in (-half, half))
        made[name] = Estimate(value=ratio, lower=lower, upper=upper, unit=unit, n=n, level=level)
    return made


def ratio_table(
    names: Sequence[str],
    coefficients: np.ndarray,
    error: np.ndarray,
    ratios: Mapping[str, Estimate],
    *,
    unit: str,
) -> pd.DataFrame:
    """Return one row a column of a model: coefficient, standard error, and the ratio ``unit`` with its interval."""
    made = [ratios[name] for name in names]
    return pd.DataFrame(
        {
            "covariate": list(names),
            "coefficient": coefficients,
            "standard_error": error,
            unit: [ratio.value for ratio in made],
            "lower": [ratio.lower for ratio in made],
            "upper": [ratio.upper for ratio in made],
        }
    )
