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
from lcm_research.survival.hazards import FEW_EVENTS, FEWEST_EVENTS

__all__ = [
    "FitIntervals",
    "check_events",
    "check_spells",
    "columns_of",
    "pattern_row",
]

FitIntervals = Literal["replicate", "information"]


def columns_of(counts: pd.DataFrame, covariates: Sequence[str], reference: Mapping[str, str] | None) -> Design:
    """Columns of the covariates of usable counts; without a covariate one pattern without columns."""
    check_spells(counts)
    if covariates:
        return design(counts, covariates, reference)
    return Design(
        names=(), terms=(), levels=(), references={}, matrix=np.zeros((1, 0)), pattern=np.zeros(len(counts), np.int64)
    )


def check_spells(counts: pd.DataFrame) -> None:
    """Refuse counts without their columns, without a spell, or with a spell that ends before it is seen."""
    missing = [c for c in ("duration_days", "event_observed", "n") if c not in counts]
    if missing:
        raise ModelError(f"a model of durations needs duration_days, event_observed and n; missing {missing}")
    if not len(counts) or counts["n"].sum() == 0:
        raise ModelError("a model of durations needs at least one spell; came none; see spell_reconciliation")
    entered = counts["entry_days"].to_numpy() if "entry_days" in counts else 0
    wrong = int(counts["n"].to_numpy()[counts["duration_days"].to_numpy() <= entered].sum())
    if wrong:
        raise ModelError(f"{wrong} spells end on or before their entry (day 0 without entry_days); drop or mend them")


def check_events(counts: pd.DataFrame, n_columns: int, intervals: FitIntervals, *, stacklevel: int = 3) -> None:
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
            "intervals='replicate' needs the column 'replicate' in the counts; choose 'information' without it"
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
