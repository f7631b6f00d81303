"""
The steps of journeys as arrays: how often each channel follows another, and how often it is the last.

A first-order model sees journeys only as counts of steps between the start, the channels and the two outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import by_replicate

__all__ = ["CONVERSION", "NULL", "START", "STATES", "Edges", "Outcome", "channels_of", "reached", "refuse_state_names"]

START, CONVERSION, NULL = "(start)", "(conversion)", "(null)"
STATES = (START, CONVERSION, NULL)
"""Where journeys begin and end; no channel can have one of these names."""

Outcome = Literal["conversions", "value"]
"""What credit is given for: each conversion alike, or its value."""


def refuse_state_names(names: Iterable[str]) -> None:
    """ModelError where a channel is named like the start or an outcome of journeys."""
    taken = sorted(set(names) & set(STATES))
    if taken:
        raise ModelError(
            f"a channel is named '{taken[0]}', which is the name of a state of the journey; map it to another name "
            "under data.tables.touchpoints.columns.channel"
        )


def channels_of(edges: pd.DataFrame) -> list[str]:
    """Return the channels of a table of steps, sorted; ModelError where one is named like a state."""
    channels = {*edges["from_channel"]} - {START} | {*edges["to_channel"]} - {CONVERSION, NULL}
    # a channel named like an outcome is stepped from, one named like the start is stepped to: both remain here
    refuse_state_names(channels)
    return sorted(channels)


@dataclass(frozen=True, kw_only=True, eq=False)
class Edges:
    """
    Counts of steps, for all journeys or, along a first axis, for several sets of journeys at once.

    Parameters
    ----------
    channels : tuple of str
        In the order of the axes of length K.
    starts : array of shape (..., K)
        Journeys that begin with each channel.
    steps : array of shape (..., K, K)
        Steps from a channel (row) to the next (column).
    conversions, nulls : arrays of shape (..., K)
        Journeys that end with each channel, converted or not.
    value : array of shape (..., K)
        Value of the conversions that each channel is last before, in minor units.
    """

    channels: tuple[str, ...]
    starts: np.ndarray
    steps: np.ndarray
    conversions: np.ndarray
    nulls: np.ndarray
    value: np.ndarray

    @classmethod
    def by_group(cls, edges: pd.DataFrame, channels: Sequence[str] | None = None) -> Edges:
        """
        Arrange a table of steps by groups of customers.

        Parameters
        ----------
        edges : DataFrame
            Of ``edge_counts`` or ``edges_from_paths``.
        channels : list of str, optional
            Order of the channels, and channels that no journey has; sorted names where absent.

        Returns
        -------
        Edges
            With a first axis of 100 groups.
        """
        seen = channels_of(edges)
        names = seen if channels is None else list(channels)
        refuse_state_names(names)
        if missing := sorted(set(seen) - set(names)):
            raise ModelError(
                f"journeys hold the channel '{missing[0]}', which is not among {names}; add it to channels"
            )
        k = len(names)
        rows, columns = pd.Index([*names, START]), pd.Index([*names, CONVERSION, NULL])
        counts = by_replicate(edges, ["n", "value_minor"], ["from_channel", "to_channel"], [rows, columns])
        n, value = counts[..., 0], counts[..., 1]
        if n[:, k, k:].any():
            raise ModelError(
                "a journey goes from its start to its outcome without a touch; such journeys have no credit"
            )
        return cls(
            channels=tuple(names),
            starts=n[:, k, :k],
            steps=n[:, :k, :k],
            conversions=n[:, :k, k],
            nulls=n[:, :k, k + 1],
            value=value[:, :k, k],
        )

    def total(self) -> Edges:
        """Return the counts of all groups together."""
        return self._each(lambda x: x.sum(axis=0))

    def without_each_group(self) -> Edges:
        """Return, for each group, the counts of all others."""
        return self._each(lambda x: x.sum(axis=0) - x)

    def outcomes(self, of: Outcome) -> np.ndarray:
        """Return the conversions, or their value, by the channel that was last."""
        return self.conversions if of == "conversions" else self.value

    def n_groups_with(self) -> np.ndarray:
        """Return in how many groups of customers each channel was touched, shape (K,)."""
        return (self.starts + self.steps.sum(axis=-2) > 0).sum(axis=0)

    def table(self) -> pd.DataFrame:
        """
        Return one row a channel, of the counts of all journeys: what an absorbing chain needs to be sound.

        ``touches`` come in and ``left`` go on or end, which is the same number where every journey was counted whole;
        ``reached`` says whether a journey can come there from the start, and ``ends`` whether it can end from there.
        ``conversion_share`` is the share of the journeys ending there that converted.
        """
        ended = self.conversions + self.nulls
        step = self.steps > 0
        return pd.DataFrame(
            {
                "channel": list(self.channels),
                "touches": (self.starts + self.steps.sum(axis=0)).astype(int),
                "left": (self.steps.sum(axis=1) + ended).astype(int),
                "ended": ended.astype(int),
                "conversion_share": self.conversions / np.where(ended > 0, ended, np.nan),
                "reached": reached(self.starts > 0, step),
                "ends": reached(ended > 0, step.T),
            }
        )

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> Edges:
        names = ("starts", "steps", "conversions", "nulls", "value")
        return Edges(channels=self.channels, **{name: change(getattr(self, name)) for name in names})


def reached(start: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return which channels can be reached from ``start`` (..., K) by ``step`` (..., K, K; from rows, to columns)."""
    for _ in range(start.shape[-1]):
        start = start | (start[..., :, None] & step).any(axis=-2)
    return start
