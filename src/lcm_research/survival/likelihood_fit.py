"""
What models fitted by their likelihood share: columns, refusals, and how far each group of customers moves a fit.

Leaving a group of customers out takes its part of the score away; one Newton step from the fit answers that. So
a model is fitted once, and its 100 leave-one-out fits cost one matrix product.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.errors import FewEventsWarning, ModelError, nearest
from lcm_research.estimate import FEW_GROUPS
from lcm_research.survival.covariates import Design, design
from lcm_research.survival.risk_sets import SPELL, check_spells

__all__ = [
    "FEWEST_EVENTS",
    "FEW_EVENTS",
    "FitIntervals",
    "check_events",
    "columns_of",
    "pattern_row",
]

FitIntervals = Literal["replicate", "information"]

FEWEST_EVENTS = 5
FEW_EVENTS = 10
"""Events a parameter below which a fit is refused, and doubted (Vittinghoff and McCulloch 2007; Peduzzi 1995)."""


def columns_of(counts: pd.DataFrame, covariates: Sequence[str], reference: Mapping[str, str] | None) -> Design:
    """Columns of the covariates of usable counts; without a covariate one pattern without columns."""
    check_spells(counts, SPELL, "a model of durations", continuous=True)
    if covariates:
        return design(counts, covariates, reference)
    return Design(
        names=(), terms=(), levels=(), references={}, matrix=np.zeros((1, 0)), pattern=np.zeros(len(counts), np.int64)
    )


def check_events(
    counts: pd.DataFrame, n_columns: int, intervals: str, *, instead: str = "information", stacklevel: int = 3
) -> None:
    """Refuse, or doubt, too few events for the columns of a model, and groups of customers that are too few."""
    lapsed = counts[counts["event_observed"].astype(bool) & (counts["n"] > 0)]
    n_events, n_parameters = int(lapsed["n"].sum()), max(n_columns, 1)
    told = f"{n_events} events for {n_parameters} parameters ({n_events / n_parameters:.1f} each)"
    if n_events < FEWEST_EVENTS * n_parameters:
        raise ModelError(f"{told}, fewer than {FEWEST_EVENTS} each; merge levels or leave covariates out")
    if n_events < FEW_EVENTS * n_parameters:
        warnings.warn(f"{told}, fewer than {FEW_EVENTS} each", FewEventsWarning, stacklevel=stacklevel)
    if intervals != "replicate":
        return
    if "replicate" not in counts:
        raise ModelError(
            f"intervals='replicate' needs the column 'replicate' in the counts; choose '{instead}' without it"
        )
    n_groups = lapsed["replicate"].nunique()
    if n_groups < FEW_GROUPS:
        raise ModelError(
            f"events in {n_groups} groups of customers, fewer than {FEW_GROUPS}; choose intervals='information'"
        )


def pattern_row(names: Sequence[str], values: Mapping[str, float]) -> np.ndarray:
    """Numbers of one covariate pattern in the order of ``names``; each must be given, and nothing else."""
    missing = [name for name in names if name not in values]
    if missing:
        raise ModelError(f"a prediction needs a value for every column; missing {missing}")
    unknown = [name for name in values if name not in names]
    if unknown:
        raise ModelError(f"the model has no column '{unknown[0]}'; {nearest(unknown[0], names)}")
    return np.array([values[name] for name in names], float)
