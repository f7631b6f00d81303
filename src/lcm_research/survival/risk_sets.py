"""
Who is at risk on each day, and what happened to them: the arrays that every estimator on counts starts from.

A spell is at risk on day ``t`` where ``entry_days < t <= duration_days``; on one day events come before
censoring.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api import types

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS

__all__ = ["SPELL", "check_spells", "entry_days", "numpy_typed", "one_lifetime", "replicates", "risk_arrays"]

SPELL = ("duration_days", "event_observed", "n")
"""Columns of a count of spells, whatever else it has."""


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


def one_lifetime(counts: pd.DataFrame) -> pd.DataFrame:
    """
    Return the counts, or refuse counts that hold spells of different number in their customers' lives.

    Where ``counts`` have no column ``spell_number`` they are of one kind. Two spells of a customer are no two
    customers, and a later spell exists only where an earlier one ended: no curve is of both.
    """
    if "spell_number" not in counts or counts["spell_number"].nunique(dropna=False) < 2:
        return counts
    n = counts.groupby(counts["spell_number"].astype("Int64").astype(str))["n"].sum()
    said = ", ".join(f"{int(size):,} of number {number}" for number, size in n.items())
    raise ModelError(f"first and later spells never stand in one curve; came {said}; fit each number alone")


def check_spells(
    counts: pd.DataFrame, columns: Sequence[str], purpose: str, *, continuous: bool = False
) -> pd.DataFrame:
    """
    Return counts of spells as numpy-typed columns without empty rows, or say what cannot be used, and where.

    Parameters
    ----------
    counts : DataFrame
        Nullable, pyarrow and categorical columns are welcome and come back as numpy's.
    columns : list of str
        Columns that the estimator needs; ``entry_days`` and ``replicate`` are looked at where they exist.
    purpose : str
        What the counts are for, to open a message with.
    continuous : bool
        Durations are exact times, which may be shorter than a day, and no inclusive numbers of days.

    Returns
    -------
    DataFrame
        ``n`` as whole numbers, ``event_observed`` as true or false; rows of no spell (``n`` of 0) are left out.

    Raises
    ------
    ModelError
        For a missing column or value, text where a number belongs, an infinite duration, a count that is negative
        or not whole, an event that is neither true nor false, a group of customers beyond 0 to 99, no spell, a
        duration below 1 day, or a spell that ends on or before its entry.
    """
    missing = [c for c in columns if c not in counts]
    if missing:
        raise ModelError(f"{purpose} needs the columns {', '.join(columns)}; missing {missing}")
    counts = numpy_typed(counts)
    if not len(counts) or not counts["n"].any():
        raise ModelError(f"{purpose} needs at least one spell; came none; see spell_reconciliation")
    _check_missing(counts, ["n"])
    counts = counts.assign(n=_whole_numbers(counts["n"]))
    counts = counts[counts["n"] > 0]
    named = {c for c in (*columns, "entry_days", "replicate") if c in counts}
    _check_missing(counts, sorted(named - {"cause"}))
    if "event_observed" in named:
        counts = counts.assign(event_observed=_true_or_false(counts["event_observed"]))
    _check_days(counts, shortest=0 if continuous else 1)
    if "replicate" in named:
        _check_groups(counts["replicate"])
    return counts


def numpy_typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with numpy's types for pandas' nullable, pyarrow and categorical columns."""
    made: dict[str, np.ndarray] = {}
    for name, dtype in table.dtypes.items():
        column = table[name]
        if isinstance(dtype, pd.CategoricalDtype):
            made[str(name)] = np.asarray(column)
        elif isinstance(dtype, pd.StringDtype):
            made[str(name)] = column.to_numpy(object)
        elif hasattr(dtype, "numpy_dtype"):
            kind, known = np.dtype(dtype.numpy_dtype), column.notna()
            if not known.all():
                kind = np.dtype(float if kind.kind in "iuf" else object)
            made[str(name)] = column.astype(object).where(known, np.nan).to_numpy().astype(kind)
    return table.assign(**made) if made else table


def _check_missing(counts: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        missing = int(counts[name].isna().sum())
        if missing:
            raise ModelError(f"{missing} of {len(counts)} rows have no value in '{name}'; drop or mend them")


def _numbers(column: pd.Series, what: str) -> np.ndarray:
    if not types.is_numeric_dtype(column.dtype):
        raise ModelError(
            f"'{column.name}' holds {column.dtype} (such as {column.iloc[0]!r}), not {what}; convert the column, with "
            "pd.to_numeric where it is text"
        )
    return column.to_numpy()


def _whole_numbers(column: pd.Series) -> np.ndarray:
    n = _numbers(column, "counts").astype(float)
    negative, broken = n < 0, ~(np.isfinite(n) & (n == np.floor(n)))
    if negative.any():
        raise ModelError(
            f"{negative.sum()} of {len(n)} rows have a negative n (lowest {n.min():g}); counts are 0 or more"
        )
    if broken.any():
        raise ModelError(
            f"{broken.sum()} of {len(n)} rows have an n that is no whole number (first {n[broken][0]:g}): n counts "
            "replicated rows; weights of rows are another column, case_weights"
        )
    return n.astype(np.int64)


def _true_or_false(column: pd.Series) -> np.ndarray:
    strange = [value for value in column.drop_duplicates().tolist() if value not in (0, 1)]
    if strange:
        raise ModelError(
            f"event_observed must be true or false (or 1 and 0); came {strange[0]!r}; compare it with the "
            "value that stands for an event"
        )
    return column.to_numpy(bool)


def _check_days(counts: pd.DataFrame, *, shortest: int) -> None:
    n, ended = counts["n"].to_numpy(), _numbers(counts["duration_days"], "numbers of days")
    entered = _numbers(counts["entry_days"], "numbers of days") if "entry_days" in counts else np.zeros(len(n))
    endless = int(n[~np.isfinite(ended.astype(float))].sum())
    if endless:
        raise ModelError(
            f"{endless} spells have an infinite duration_days; give the last day on which each was seen, with "
            "event_observed false"
        )
    short = int(n[ended < shortest].sum())
    if short:
        raise ModelError(f"{short} spells have duration_days below 1, the first day of a spell; drop or mend them")
    wrong = int(n[ended <= entered].sum())
    if wrong:
        raise ModelError(f"{wrong} spells end on or before their entry_days; drop or mend them")


def _check_groups(column: pd.Series) -> None:
    groups = _numbers(column, "numbers of groups")
    strange = groups[(groups < 0) | (groups >= N_GROUPS) | (groups != np.floor(groups))]
    if len(strange):
        raise ModelError(
            f"{len(strange)} of {len(groups)} rows have a replicate that is none of the whole numbers 0 to "
            f"{N_GROUPS - 1} (first {strange[0]:g}); take the one that ingest gives each customer"
        )
