"""
Where the bits of a signature are: for each period end, which sides of the rules' boundaries hold a purchase.

The bits of a period end say whether there was any contact by then, whether a purchase, whether one at most as old as
each boundary of the days since the last purchase, whether one older than each boundary of the days since the first,
and whether one in the period. Words hold the bits of as many period ends as one row needs and some more.

Where rules ask for more than one purchase, further words hold a number for each period end, with room for all that
days which no period end tells apart can add up to when each of them counts for no more than rules ask.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lcm_research.stages.alike import compares_with_numbers, named_in_rules
from lcm_research.stages.boundaries import boundaries_of
from lcm_research.stages.primitives import CORE
from lcm_research.stages.rules import StageRules

__all__ = ["Count", "Layout", "signature_layout"]

WORD_BITS = 63
"""Bits of a word: those of a whole number in the engine, without its sign."""

MOST_WORDS = 16
"""The words that a signature may have, at most."""


WINDOWED = ("n_w", "n_w_before")
"""The primitives that count purchases over a window."""


@dataclass(frozen=True)
class Count:
    """A primitive that is compared with more than its smallest value, and the smallest that is beyond a boundary."""

    primitive: str
    at_least: int
    window_days: int = 0

    def counts(self, days: np.ndarray, start: int, end: int) -> np.ndarray:
        """Return whether purchases of each day count in a period."""
        age, w = end - days, self.window_days
        if self.primitive in ("n", "n_period"):
            return (age >= 0) & (days >= (start if self.primitive == "n_period" else days))
        return (age >= 0) & (age < w) if self.primitive == "n_w" else (age >= w) & (age < 2 * w)


@dataclass(frozen=True)
class Layout:
    """
    How a signature is cut into words.

    Parameters
    ----------
    r, u : tuple of int
        Boundaries of the days since the last and since the first purchase.
    in_period : bool
        Whether rules ask for a purchase in the period.
    before : bool
        Whether rules ask for the days since the last purchase at the end of the period before.
    n_back : int
        How many period ends before its own a row needs.
    n_rows : int
        The last periods, those that are counted.
    step : int
        Rows in a word.
    counts : tuple of Count
        What is counted, a set of words for each.
    count_bits : int
        Bits of a number of purchases; the highest is set in the end where there are enough.
    """

    r: tuple[int, ...]
    u: tuple[int, ...]
    in_period: bool
    before: bool
    n_back: int
    n_rows: int
    step: int = 1
    counts: tuple[Count, ...] = ()
    count_bits: int = 0

    @property
    def bits(self) -> tuple[str, ...]:
        """The bits of one period end, the lowest first."""
        ages = *(f"r{i}" for i in range(len(self.r))), *(f"u{i}" for i in range(len(self.u)))
        return ("contact", "bought", *ages, *(["in_period"] if self.in_period else []))

    @property
    def words(self) -> list[str]:
        """The columns of words."""
        return [f"word_{i}" for i in range(-(-self.n_rows // self.step))]

    @property
    def numbers(self) -> list[list[str]]:
        """The columns of words with numbers of purchases, those of each count."""
        return [[f"count_{k}_{i}" for i in range(len(self.words))] for k in range(len(self.counts))]

    @property
    def most_counted(self) -> int:
        """The number of purchases beyond which no rule tells one from another."""
        return max([0, *(count.at_least for count in self.counts)])

    @property
    def row_bits(self) -> tuple[int, int]:
        """How many bits a row reads, of a word and of a word with numbers: its own period end last."""
        return len(self.bits) * (self.n_back + 1), self.count_bits * (self.n_back + 1)

    @property
    def enough(self) -> list[tuple[int, int]]:
        """What to add to the words of each count, and the bits that are set then where there are enough."""
        digits = [1 << (self.count_bits * at) for at in range(self.step + self.n_back)]
        highest = 1 << (self.count_bits - 1) if self.counts else 0
        return [(sum(digits) * (highest - count.at_least), sum(digits) * highest) for count in self.counts]

    def mask(self, bit: str, *, back: int) -> int:
        """Return the place of a bit among those that a row reads, ``back`` period ends before its own."""
        return 1 << (len(self.bits) * (self.n_back - back) + self.bits.index(bit))

    def count_mask(self, count: Count, *, back: int) -> int:
        """Return the same for the bit that tells whether there are enough."""
        first = self.row_bits[0] + self.row_bits[1] * self.counts.index(count)
        return 1 << (first + self.count_bits * (self.n_back - back + 1) - 1)

    def rows(self, ends: pd.DataFrame) -> pd.DataFrame:
        """Return word, shifts and period of each row that is counted."""
        row = np.arange(self.n_rows)
        at = row % self.step
        period = ends["period"].to_numpy()[len(ends) - self.n_rows :]
        places = {"shift": at * len(self.bits), "count_shift": at * self.count_bits}
        return pd.DataFrame({"word": row // self.step, **places, "period": period}, dtype="int64")

    def words_of_days(self, ends: pd.DataFrame) -> pd.DataFrame:
        """
        Return the words of a purchase, or of another contact, on each day.

        Returns
        -------
        DataFrame
            ``on_day``, ``purchase`` (or another contact), the words, and ``alike``, the same number for days that have
            the same words. Days before the first count as it does.
        """
        days, sides = self.sides(ends)
        places = 1 << np.arange(len(self.bits))
        bits, counted = sides[:, :, : len(self.bits)] @ places, sides[:, :, len(self.bits) :].astype("int64")
        purchases = {name: self._word(bits, i, len(self.bits)) for i, name in enumerate(self.words)}
        contacts = {name: self._word(bits & 1, i, len(self.bits)) for i, name in enumerate(self.words)}
        for k, names in enumerate(self.numbers):
            purchases |= {name: self._word(counted[:, :, k], i, self.count_bits) for i, name in enumerate(names)}
            contacts |= {name: np.zeros(len(days), "int64") for name in names}
        told = [(True, purchases), (False, contacts)]
        found = pd.concat([pd.DataFrame({"on_day": days, "purchase": p, **w}) for p, w in told], ignore_index=True)
        return found.assign(alike=found.groupby(list(purchases)).ngroup())

    def _word(self, digits: np.ndarray, i: int, width: int) -> np.ndarray:
        held = digits[:, i * self.step : (i + 1) * self.step + self.n_back]
        return (held << (width * np.arange(held.shape[1]))).sum(axis=1)

    def sides(self, ends: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return days, and which bits and counts a purchase on each of them has at each period end that is read."""
        told = ends[["start_day", "end_day"]].to_numpy()
        if self.before:
            told = np.vstack([[told[0, 0], told[0, 0] - 1], told])
        oldest = max([0, *self.r, *self.u, *(2 * count.window_days for count in self.counts)])
        days = np.arange(told[0].min() - oldest - 1, told[-1, 1] + 1)
        sides = []
        for start, end in told.tolist():
            age = end - days
            told_apart = [age >= 0, age >= 0, *(age <= b for b in self.r), *(age > b for b in self.u)]
            told_apart += [days >= start] if self.in_period else []
            told_apart += [count.counts(days, start, end) for count in self.counts]
            sides.append(np.stack(told_apart, axis=1) & (age >= 0)[:, None])
        return days, np.stack(sides, axis=1)


def signature_layout(rules: StageRules, *, ends: pd.DataFrame, moves: bool) -> Layout | None:
    """
    Return how the signatures of these rules are laid out, for moves or for stocks; None where they have none.

    Signatures serve rules that compare the days since the last and the first purchase, and numbers of purchases, with
    numbers that are the same in every period, in windows that ``MOST_WORDS`` words hold: 14 years of months where
    rules have three boundaries and do not ask for more than one purchase.

    >>> from lcm_research.stages.calendar import months
    >>> from lcm_research.stages.rules import stage_rules
    >>> ends = months(observation_start_day=18993, as_of_day=19722)
    >>> layout = signature_layout(stage_rules("nadc", window_days=180), ends=ends, moves=True)
    >>> layout.bits, layout.step, len(layout.words)
    (('contact', 'bought', 'r0', 'r1', 'u0'), 8, 3)
    >>> signature_layout(stage_rules("pnmc", window_days=180), ends=ends, moves=True).counts
    (Count(primitive='n', at_least=4, window_days=0),)
    """
    if not (compares_with_numbers(rules) and named_in_rules(rules) <= {*CORE, *WINDOWED}):
        return None
    told = boundaries_of(rules)
    before, n_rows = "r_before" in told, len(ends) - int(moves)
    r = tuple(sorted({*told.get("r", ()), *told.get("r_before", ())}))
    counts = [
        Count(name, boundary + 1, rules.windows.get(name, 0))
        for name, least in {"n": 1, "n_period": 1, **dict.fromkeys(WINDOWED, 0)}.items()
        for boundary in told.get(name, ())
        if boundary >= least
    ]
    n_back = int(moves) + int(before)
    laid = Layout(r, told.get("u", ()), "n_period" in told, before, n_back, n_rows, counts=tuple(counts))
    if counts:
        # the most that days which are alike can add up to, and the bit above
        sides = laid.sides(ends)[1]
        first = np.concatenate([[True], (sides[1:] != sides[:-1]).any(axis=(1, 2))])
        most = max(1, int(sides[first][:, :, len(laid.bits) :].sum(axis=0).max())) * laid.most_counted
        laid = replace(laid, count_bits=most.bit_length() + 1)
    most_in_word = WORD_BITS // max(len(laid.bits), laid.count_bits) - n_back
    read = laid.row_bits[0] + len(counts) * laid.row_bits[1]
    if n_rows < 1 or most_in_word < 1 or read > WORD_BITS or n_rows > most_in_word * MOST_WORDS:
        return None
    n_words = -(-n_rows // most_in_word)
    return replace(laid, step=-(-n_rows // n_words))
