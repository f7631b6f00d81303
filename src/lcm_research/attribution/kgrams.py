"""
The steps of journeys by what came before: the last k channels, and where the journey goes from there.

A model of order k sees journeys only as these counts. Order 1 is what ``edge_counts`` says in other words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lcm_research.attribution.edges import CONVERSION, NULL, Outcome, refuse_state_names
from lcm_research.attribution.paths import path_touches
from lcm_research.errors import ModelError
from lcm_research.estimate import by_replicate

__all__ = ["HISTORY_SEPARATOR", "MOST_HISTORIES", "KGrams", "kgrams_from_paths", "shorter_kgrams"]

HISTORY_SEPARATOR = "\x1f"
"""Between the channels of a history: a control character that no name has."""

MOST_HISTORIES = 2_000
"""More histories than this are not solved: the equations are dense, in memory and time."""


def kgrams_from_paths(paths: pd.DataFrame, *, separator: str, order: int) -> pd.DataFrame:
    r"""
    Count the steps of journeys by their last channels, as ``kgram_counts`` does from events.

    Parameters
    ----------
    paths, separator
        Those of ``edges_from_paths``.
    order : int
        How many channels a history holds at most; at least 1.

    Returns
    -------
    DataFrame
        ``history`` (the last channels, joined by ``"\x1f"``; ``""`` before the first touch), ``to`` (a channel,
        ``"(conversion)"`` or ``"(null)"``), ``replicate``, ``n`` and ``value_minor`` (in the unit of ``value``).

    Examples
    --------
    >>> paths = pd.DataFrame({"path": ["a > b > c"], "conversions": [2], "value": [900], "nulls": [0]})
    >>> counts = kgrams_from_paths(paths, separator=">", order=2)
    >>> [(h.replace("\x1f", " "), to) for h, to in counts[["history", "to"]].to_numpy()]
    [('', 'a'), ('a', 'b'), ('a b', 'c'), ('b c', '(conversion)')]
    """
    if order < 1:
        raise ModelError(f"order must be at least 1: the last channel; came {order}")
    touches = path_touches(paths, separator=separator)
    _refuse_separator(touches["channel"])
    before, after = _histories(touches, order)
    last = touches["is_last"].to_numpy(bool)
    ended = touches[last]
    parts = [
        _steps(touches, before, touches["channel"], touches["conversions"] + touches["nulls"], 0),
        _steps(ended, after[last], CONVERSION, ended["conversions"], ended["value"]),
        _steps(ended, after[last], NULL, ended["nulls"], 0),
    ]
    counts = pd.concat(parts).groupby(["history", "to", "replicate"], as_index=False)[["n", "value_minor"]].sum()
    return counts[counts["n"] > 0].reset_index(drop=True)


def shorter_kgrams(kgrams: pd.DataFrame, *, order: int) -> pd.DataFrame:
    """Return the counts of a lower order, of the same journeys: histories keep only the last ``order`` channels."""
    short = {h: HISTORY_SEPARATOR.join(h.split(HISTORY_SEPARATOR)[-order:]) for h in kgrams["history"].unique()}
    counts = kgrams.assign(history=kgrams["history"].map(short))
    return counts.groupby(["history", "to", "replicate"], as_index=False)[["n", "value_minor"]].sum()


@dataclass(frozen=True, kw_only=True, eq=False)
class KGrams:
    r"""
    Counts of steps between histories, for all journeys or, along a first axis, for several sets of them at once.

    Parameters
    ----------
    channels : tuple of str, length K
    histories : tuple of str, length S
        Joined by ``"\x1f"``, sorted; the one before the first touch is left out.
    last : array of shape (S,)
        Place of each history's last channel among ``channels``.
    starts : array of shape (..., S)
        Journeys that begin with each history, of one channel.
    step_from, step_to : arrays of shape (M,)
        Places among ``histories`` before and after each step.
    steps : array of shape (..., M)
        How often it is taken.
    conversions, nulls, value : arrays of shape (..., S)
        Journeys that end after each history, converted or not, and what the conversions are worth, in minor units.
    """

    channels: tuple[str, ...]
    histories: tuple[str, ...]
    last: np.ndarray
    starts: np.ndarray
    step_from: np.ndarray
    step_to: np.ndarray
    steps: np.ndarray
    conversions: np.ndarray
    nulls: np.ndarray
    value: np.ndarray

    @property
    def order(self) -> int:
        """How many channels the longest history holds."""
        return _longest(self.histories)

    @classmethod
    def by_group(cls, kgrams: pd.DataFrame, channels: Sequence[str] | None = None) -> KGrams:
        """
        Arrange a table of steps by groups of customers.

        Parameters
        ----------
        kgrams : DataFrame
            Of ``kgram_counts`` or ``kgrams_from_paths``; its order is the length of the longest history.
        channels : list of str, optional
            Order of the channels, and channels that no journey has; sorted names where absent.

        Returns
        -------
        KGrams
            With a first axis of 100 groups.

        Raises
        ------
        ModelError
            With more than 2,000 histories, or a journey without a touch.
        """
        names = _channels(kgrams, channels)
        cells, code = _cells(kgrams)
        order = _longest(cells["history"])
        known = set(names)
        after = [_follow(h, to, order) if to in known else "" for h, to in cells.to_numpy().tolist()]
        histories = _solvable(sorted({*cells["history"], *after} - {""}), order)
        counts = by_replicate(kgrams.assign(cell=code), ["n", "value_minor"], ["cell"], [pd.RangeIndex(len(cells))])
        n, value = counts[..., 0], counts[..., 1]
        places = pd.Index(histories)
        # -1 stands for the start of journeys, and for their end
        at, to = places.get_indexer(pd.Index(cells["history"])), places.get_indexer(pd.Index(after))
        if n[:, (at < 0) & (to < 0)].any():
            raise ModelError(
                "a journey goes from its start to its outcome without a touch; such journeys have no credit"
            )
        converts, inside = (cells["to"] == CONVERSION).to_numpy() & (at >= 0), (at >= 0) & (to >= 0)
        lost = (to < 0) & (at >= 0) & ~converts

        def by_history(amounts: np.ndarray, cells: np.ndarray, place: np.ndarray) -> np.ndarray:
            placed = np.zeros((len(amounts), len(histories)))
            placed[:, place[cells]] = amounts[:, cells]
            return placed

        return cls(
            channels=tuple(names),
            histories=tuple(histories),
            last=pd.Index(names).get_indexer(pd.Index([h.split(HISTORY_SEPARATOR)[-1] for h in histories])),
            starts=by_history(n, (at < 0) & (to >= 0), to),
            step_from=at[inside],
            step_to=to[inside],
            steps=n[:, inside],
            conversions=by_history(n, converts, at),
            nulls=by_history(n, lost, at),
            value=by_history(value, converts, at),
        )

    def total(self) -> KGrams:
        """Return the counts of all groups together."""
        return self._each(lambda x: x.sum(axis=0))

    def without_each_group(self) -> KGrams:
        """Return, for each group, the counts of all others."""
        return self._each(lambda x: x.sum(axis=0) - x)

    def part(self, sets: slice) -> KGrams:
        """Return some of the sets of journeys along the first axis."""
        return self._each(lambda x: x[sets])

    def outcomes(self, of: Outcome) -> np.ndarray:
        """Return the conversions, or their value, by the history that they end."""
        return self.conversions if of == "conversions" else self.value

    def n_groups_with(self) -> np.ndarray:
        """Return in how many groups of customers each channel was touched, shape (K,)."""
        into = self.last[self.step_to]
        came = [
            self.starts[:, self.last == k].any(axis=1) | self.steps[:, into == k].any(axis=1)
            for k in range(len(self.channels))
        ]
        return np.sum(came, axis=1)

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> KGrams:
        names = ("starts", "steps", "conversions", "nulls", "value")
        changed: dict[str, Any] = {name: change(getattr(self, name)) for name in names}
        return replace(self, **changed)


def _histories(touches: pd.DataFrame, order: int) -> tuple[np.ndarray, np.ndarray]:
    """History before and after each touch, as arrays of text."""
    channel = touches["channel"].to_numpy(object)
    row = touches.index.to_numpy()
    after = channel.copy()
    for back in range(1, order):
        # a channel `back` touches earlier belongs to the history only where it is of the same path
        same = np.zeros(len(row), bool)
        same[back:] = row[back:] == row[:-back]
        earlier = np.roll(channel, back)
        after[same] = earlier[same] + HISTORY_SEPARATOR + after[same]
    before = np.roll(after, 1)
    before[touches["is_first"].to_numpy(bool)] = ""
    return before, after


def _steps(
    touches: pd.DataFrame, history: np.ndarray, to: pd.Series | str, n: pd.Series, value: pd.Series | int
) -> pd.DataFrame:
    columns = {"history": history, "to": to, "replicate": touches["replicate"], "n": n, "value_minor": value}
    return pd.DataFrame(columns, index=touches.index)


def _channels(kgrams: pd.DataFrame, channels: Sequence[str] | None) -> list[str]:
    before = {c for h in kgrams["history"].unique() if h for c in h.split(HISTORY_SEPARATOR)}
    refuse_state_names(before)
    seen = sorted(before | ({*kgrams["to"]} - {CONVERSION, NULL}))
    names = seen if channels is None else list(channels)
    refuse_state_names(names)
    if missing := sorted(set(seen) - set(names)):
        raise ModelError(f"journeys hold the channel '{missing[0]}', which is not among {names}; add it to channels")
    return names


def _cells(kgrams: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The distinct steps, and which of them each row counts."""
    by_cell = kgrams.groupby(["history", "to"], sort=True)
    code = by_cell.ngroup().to_numpy()
    cells = kgrams[["history", "to"]].iloc[np.unique(code, return_index=True)[1]].reset_index(drop=True)
    return cells, code


def _solvable(histories: list[str], order: int) -> list[str]:
    if len(histories) > MOST_HISTORIES:
        raise ModelError(
            f"{len(histories):,} histories of up to {order} channels are more than {MOST_HISTORIES:,}, which can be "
            "solved together; choose a lower order, or merge channels"
        )
    return histories


def _longest(histories: Sequence[str] | pd.Series) -> int:
    return max((h.count(HISTORY_SEPARATOR) + 1 for h in histories if h), default=0)


def _follow(history: str, to: str, order: int) -> str:
    """The history after one more touch; the first touch of a journey follows an empty one."""
    held = [*history.split(HISTORY_SEPARATOR), to] if history else [to]
    return HISTORY_SEPARATOR.join(held[-max(order, 1) :])


def _refuse_separator(names: pd.Series) -> None:
    if (wrong := names[names.str.contains(HISTORY_SEPARATOR, regex=False)]).any():
        raise ModelError(
            f"the channel {wrong.iloc[0]!r} holds the control character {HISTORY_SEPARATOR!r}, which stands between "
            "the channels of a history; map it to another name"
        )
