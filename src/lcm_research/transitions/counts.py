"""Counted moves between stages as arrays: by group of customers, by period, and as numbers of customers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, by_replicate
from lcm_research.stages.panel import ANY

__all__ = ["customers_behind", "customers_by_stage", "moves_by_group", "moves_by_period"]


def moves_by_group(counts: pd.DataFrame, *, stages: Sequence[str]) -> np.ndarray:
    """
    Arrange counted moves by group of customers.

    Parameters
    ----------
    counts : DataFrame
        from_stage, to_stage, replicate and n, as ``transition_counts`` returns them; further keys are summed
        over.
    stages : list of str
        Order of the stages; a stage of ``counts`` outside it is a ModelError.

    Returns
    -------
    array of float, shape (100, n_stages, n_stages)
        From rows, to columns.
    """
    levels = pd.Index(list(stages))
    return by_replicate(counts, ["n"], ["from_stage", "to_stage"], [levels, levels])[..., 0]


def moves_by_period(counts: pd.DataFrame, *, stages: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the periods in order and the moves within each, shape (n_periods, n_stages, n_stages)."""
    levels = pd.Index(list(stages))
    periods = pd.Index(sorted(counts["period_start"].unique()))
    shape = (len(periods), len(levels), len(levels))
    codes = [
        levels_of.get_indexer(pd.Index(counts[column]))
        for levels_of, column in ((periods, "period_start"), (levels, "from_stage"), (levels, "to_stage"))
    ]
    flat = np.ravel_multi_index(tuple(codes), shape)
    moves = np.bincount(flat, weights=counts["n"].to_numpy(float), minlength=math.prod(shape))
    return list(periods), moves.reshape(shape)


def customers_behind(customers: pd.DataFrame, *, stages: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """
    Return how many different customers made each move, and how many started a period in each stage.

    Parameters
    ----------
    customers : DataFrame
        As ``customers_by_move`` returns it.

    Returns
    -------
    moved : array of int, shape (n_stages, n_stages)
    started : array of int, shape (n_stages,)
    """
    known = {*stages, ANY}
    unknown = sorted((set(customers["from_stage"]) | set(customers["to_stage"])) - known)
    if unknown:
        raise ModelError(f"customers by move name the stage '{unknown[0]}', which is not among {list(stages)}")
    heads = customers.pivot_table(
        index="from_stage", columns="to_stage", values="n_customers", aggfunc="sum", fill_value=0
    ).reindex(index=list(stages), columns=[*stages, ANY], fill_value=0)
    return heads[list(stages)].to_numpy(np.int64), heads[ANY].to_numpy(np.int64)


def customers_by_stage(
    stock: pd.DataFrame, *, stages: Sequence[str], period_start: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """
    Return, for each stage, the customers in it at the end of a period and all customers of known stage then.

    Parameters
    ----------
    stock : DataFrame
        As ``stage_stock`` returns it; stages outside ``stages`` (``unknown``) count nowhere.
    period_start : str
        The period, as ``stock`` names it.

    Returns
    -------
    dict of stage to two arrays of shape (100,)
        Both by group of customers, as ``estimate.proportion`` takes them.
    """
    levels = pd.Index(list(stages))
    there = stock[(stock["period_start"] == period_start) & stock["stage"].isin(levels)]
    if there.empty:
        return {stage: (np.zeros(N_GROUPS), np.zeros(N_GROUPS)) for stage in stages}
    grouped = by_replicate(there, ["n"], ["stage"], [levels])[..., 0]
    everybody = grouped.sum(axis=1)
    return {stage: (grouped[:, place], everybody) for place, stage in enumerate(stages)}
