"""
The null within strata: journeys alike before they began convert alike, whatever channel they end with.

People who are active meet some channels more than others, and buy more. Strata of what was known before a journey
began (past activity, tenure, month) hold that apart: within each, every end converts with the stratum's own rate.
How long a path is may not form strata, since a conversion cuts it short.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from lcm_research.attribution.edges import Edges
from lcm_research.attribution.kgrams import HISTORY_SEPARATOR, KGrams
from lcm_research.errors import ModelError
from lcm_research.estimate import by_replicate

__all__ = ["Ends", "within_strata"]


Counts = TypeVar("Counts", Edges, KGrams)
"""Steps of journeys between channels, or between histories."""

_COLUMNS = ("stratum", "history", "replicate", "n", "n_conversions", "value_minor")


@dataclass(frozen=True, kw_only=True, eq=False)
class Ends:
    """
    Journeys by stratum and by the channel they end with, for all or, along leading axes, for several sets of them.

    Parameters
    ----------
    strata : tuple of str, length S
    last : tuple of str, length K
        Channels, or histories of the last few, that journeys end with.
    n, conversions, value : arrays of shape (..., S, K)
        Journeys, those that converted, and the value of their conversions in minor units.
    """

    strata: tuple[str, ...]
    last: tuple[str, ...]
    n: np.ndarray
    conversions: np.ndarray
    value: np.ndarray

    @classmethod
    def by_group(cls, ends: pd.DataFrame, last: Sequence[str] | None = None, *, order: int = 1) -> Ends:
        """
        Arrange a table of ends by groups of customers.

        Parameters
        ----------
        ends : DataFrame
            Of ``end_counts``: ``stratum``, ``history``, ``replicate``, ``n``, ``n_conversions`` and ``value_minor``.
        last : list of str, optional
            Order of the channels, or histories, that journeys end with; sorted where absent.
        order : int
            How many of the last channels count.

        Returns
        -------
        Ends
            With a first axis of 100 groups.
        """
        table = _shortened(ends, order)
        seen = sorted(set(table["history"]))
        names = seen if last is None else list(last)
        if missing := sorted(set(seen) - set(names)):
            raise ModelError(
                f"journeys end with '{_told(missing[0])}', which is not among those whose steps are counted"
            )
        strata = sorted(set(table["stratum"]))
        levels = [pd.Index(strata), pd.Index(names)]
        counts = by_replicate(table, ["n", "n_conversions", "value_minor"], ["stratum", "history"], levels)
        n, conversions, value = np.moveaxis(counts, -1, 0)
        return cls(strata=tuple(strata), last=tuple(names), n=n, conversions=conversions, value=value)

    @classmethod
    def alike(cls, edges: Edges | KGrams) -> Ends:
        """Return the ends of journeys that are all in one stratum."""
        counts = {"n": edges.conversions + edges.nulls, "conversions": edges.conversions, "value": edges.value}
        one = {name: count[..., None, :] for name, count in counts.items()}
        return cls(strata=("",), last=_last(edges), **one)

    def total(self) -> Ends:
        """Return the counts of all groups together."""
        return self._each(lambda x: x.sum(axis=0))

    def without_each_group(self) -> Ends:
        """Return, for each group, the counts of all others."""
        return self._each(lambda x: x.sum(axis=0) - x)

    def expected(self, outcome: np.ndarray) -> np.ndarray:
        """
        Share out each stratum's outcome over its journeys alike, and add up the strata.

        Parameters
        ----------
        outcome : array of shape (..., S, K)
            Such as ``conversions`` or ``value``.

        Returns
        -------
        array of shape (..., K)
            The mean over all ways in which outcomes could be exchanged within strata; sums to the outcome's total.
        """
        journeys = self.n.sum(axis=-1, keepdims=True)
        share = self.n / np.where(journeys > 0, journeys, 1)
        return (share * outcome.sum(axis=-1, keepdims=True)).sum(axis=-2)

    def if_alike(self, edges: Counts) -> Counts:
        """Return the steps of the same journeys, with the outcomes that their ends have in expectation."""
        conversions = self.expected(self.conversions)
        nulls = self.expected(self.n - self.conversions)
        return replace(edges, conversions=conversions, nulls=nulls, value=self.expected(self.value))

    def table(self) -> pd.DataFrame:
        """
        Return one row a stratum, of the counts of all journeys.

        A stratum ``says_something`` where journeys end with at least two channels and some convert and some do not;
        elsewhere observed and expected outcomes are the same.
        """
        n, conversions = self.n.sum(axis=-1), self.conversions.sum(axis=-1)
        n_channels = (self.n > 0).sum(axis=-1)
        return pd.DataFrame(
            {
                "stratum": list(self.strata),
                "n_journeys": n.astype(int),
                "n_conversions": conversions.astype(int),
                "conversion_share": conversions / np.where(n > 0, n, np.nan),
                "n_channels": n_channels,
                "says_something": (n_channels > 1) & (conversions > 0) & (conversions < n),
            }
        )

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> Ends:
        return replace(self, n=change(self.n), conversions=change(self.conversions), value=change(self.value))


def within_strata(ends: pd.DataFrame, edges: Counts) -> Callable[[Counts], Counts]:
    """
    Return what changes the counts of steps into those expected where ends of a stratum convert alike.

    Parameters
    ----------
    ends : DataFrame
        Of ``end_counts``, with the journeys that ``edges`` counts.
    edges : Edges or KGrams
        By group of customers.

    Raises
    ------
    ModelError
        Where the two do not count the same journeys.
    """
    grouped = Ends.by_group(ends, _last(edges), order=edges.order if isinstance(edges, KGrams) else 1)
    for name, ours, theirs in (
        ("journeys", grouped.n.sum(axis=-2), edges.conversions + edges.nulls),
        ("conversions", grouped.conversions.sum(axis=-2), edges.conversions),
        ("value", grouped.value.sum(axis=-2), edges.value),
    ):
        if not np.array_equal(ours, theirs):
            group, place = (int(at) for at in np.argwhere(ours != theirs)[0])
            raise ModelError(
                f"ends and steps must count the same journeys; in group {group} the {name} that end with "
                f"'{_told(grouped.last[place])}' are {ours[group, place]:g} by stratum and {theirs[group, place]:g} by "
                "step; count both with the same parameters"
            )
    whole, without = grouped.total(), grouped.without_each_group()
    # of all customers, or of all but each group: either with the rates of its own strata
    return lambda counts: (whole if counts.starts.ndim == 1 else without).if_alike(counts)


def _last(edges: Edges | KGrams) -> tuple[str, ...]:
    return edges.histories if isinstance(edges, KGrams) else edges.channels


def _told(history: str) -> str:
    return history.replace(HISTORY_SEPARATOR, " > ")


def _shortened(ends: pd.DataFrame, order: int) -> pd.DataFrame:
    """Forget all but the last channels of each history; ModelError where the table cannot be one of ends."""
    if missing := [c for c in _COLUMNS if c not in ends]:
        raise ModelError(f"ends needs the columns {', '.join(_COLUMNS)}; '{missing[0]}' is missing")
    if ends[list(_COLUMNS)].isna().to_numpy().any():
        raise ModelError("ends: every column must be there in every row; name journeys of unknown stratum 'unknown'")
    for column in (c for c in ("n_control", "n_conversions") if c in ends):
        wrong = (ends[column] < 0) | (ends[column] > ends["n"])
        if wrong.any():
            row = ends.index[wrong][0]
            raise ModelError(
                f"ends: {column} must lie between 0 and n; in row {row} it is {ends[column][row]} of {ends['n'][row]}"
            )
    short = {h: HISTORY_SEPARATOR.join(str(h).split(HISTORY_SEPARATOR)[-order:]) for h in ends["history"].unique()}
    if "" in short.values():
        raise ModelError("ends: a journey ends without a touch (history is empty); such journeys have no credit")
    return ends.assign(history=ends["history"].map(short), stratum=ends["stratum"].astype(str))
