"""
Who is at risk on each day, and what happened to them: the arrays that every estimator on counts starts from.

A spell is at risk on day ``t`` where ``entry_days < t <= duration_days``; on one day events come before
censoring.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS

__all__ = ["check_spells", "entry_days", "replicates", "risk_arrays"]


def risk_arrays(
    counts: pd.DataFrame, events: Sequence[np.ndarray], groups: np.ndarray, n_groups: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Count who is at risk and who has which event, by group and day.

    Parameters
    ----------
    counts : DataFrame
        With ``duration_days``, ``n`` and, for late entry, ``entry_days``.
    events : list of bool arrays of shape (n_rows,)
        One a kind of event: the rows whose spells end with it.
    groups : array of int, shape (n_rows,)
        From 0 to ``n_groups - 1``.

    Returns
    -------
    times : array of shape (n_times,)
        Days on which a spell ended or, late, entered; rising.
    at_risk : array of shape (n_groups, n_times)
    happened : array of shape (n_kinds, n_groups, n_times)
    """
    n, ended, entered = counts["n"].to_numpy(float), counts["duration_days"].to_numpy(), entry_days(counts)
    times = np.unique(np.concatenate([ended, entered[entered > 0]]))
    width = len(times) + 1

    def spread(at: np.ndarray, mass: np.ndarray) -> np.ndarray:
        return np.bincount(groups * width + at, mass, n_groups * width).reshape(n_groups, width)[:, :-1]

    exits = np.searchsorted(times, ended)
    # a spell that enters on day e is at risk from the next day on
    starts = spread(np.searchsorted(times, entered, side="right"), n)
    gone = spread(exits, n).cumsum(axis=1)
    at_risk = starts.cumsum(axis=1) - np.hstack([np.zeros((n_groups, 1)), gone[:, :-1]])
    return times, at_risk, np.stack([spread(exits, n * kind) for kind in events])


def entry_days(counts: pd.DataFrame) -> np.ndarray:
    """Day after which each row's spells are at risk: 0 where the counts know no late entry."""
    return counts["entry_days"].to_numpy() if "entry_days" in counts else np.zeros(len(counts))


def replicates(counts: pd.DataFrame, *, by_group: bool, instead: str) -> tuple[np.ndarray, int]:
    """Group of customers of each row and the number of groups; one group where ``by_group`` is false."""
    if not by_group:
        return np.zeros(len(counts), np.int64), 1
    if "replicate" not in counts:
        raise ModelError(
            f"interval='replicate' needs the column 'replicate' in the counts; choose '{instead}' without it"
        )
    return counts["replicate"].to_numpy(np.int64), N_GROUPS


def check_spells(counts: pd.DataFrame, columns: Sequence[str], purpose: str) -> None:
    """Refuse counts that lack columns, values or spells, and spells that end before they can be at risk."""
    missing = [c for c in columns if c not in counts]
    if missing:
        raise ModelError(f"{purpose} needs the columns {', '.join(columns)}; missing {missing}")
    if not len(counts) or counts["n"].sum() == 0:
        raise ModelError(f"{purpose} needs at least one spell; came none; see spell_reconciliation")
    for name in sorted({"entry_days", "replicate", *columns} & set(counts) - {"cause"}):
        if counts[name].isna().any():
            raise ModelError(
                f"{int(counts[name].isna().sum())} of {len(counts)} rows have no value in '{name}'; drop or mend them"
            )
    n, ended, entered = counts["n"].to_numpy(), counts["duration_days"].to_numpy(), entry_days(counts)
    short = int(n[ended < 1].sum())
    if short:
        raise ModelError(f"{short} spells have duration_days below 1, the first day of a spell; drop or mend them")
    wrong = int(n[ended <= entered].sum())
    if wrong:
        raise ModelError(f"{wrong} spells end on or before their entry_days; drop or mend them")
