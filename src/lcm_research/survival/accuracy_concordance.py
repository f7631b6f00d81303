"""
Do those with the higher predicted risk lapse first? Harrell's and Uno's index of concordance.

A pair of spells can be compared where the one that ended first lapsed. Both indices count equal predictions as half
a point; they differ in that Harrell's [1]_ depends on who was lost sight of, and Uno's [2]_ does not.

References
----------
.. [1] Harrell, Lee and Mark (1996), Statistics in Medicine 15:361.
.. [2] Uno, Cai, Pencina, D'Agostino and Wei (2011), Statistics in Medicine 30:1105.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate
from lcm_research.survival.accuracy import compressed, estimate_of, followed_through, without_each_group

__all__ = ["Concordance", "concordance_index", "harrell_concordance", "uno_concordance"]


@dataclass(frozen=True, kw_only=True)
class Concordance:
    """
    Pairs of spells that can be compared, by what the prediction said of them.

    Attributes
    ----------
    concordant, discordant, tied : float
        The spell that lapsed first had the higher, the lower, or the same predicted risk; for Uno's index weighted.
    """

    concordant: float
    discordant: float
    tied: float

    @property
    def index(self) -> float:
        """Share of concordant pairs, those with equal predictions counted half."""
        return (self.concordant + self.tied / 2) / (self.concordant + self.discordant + self.tied)


def concordance_index(
    counts: pd.DataFrame,
    *,
    prediction: str,
    kind: Literal["harrell", "uno"],
    truncation_day: int | None = None,
    level: float = 0.95,
) -> Estimate:
    """
    Chance that of two spells the one that lapses first had the higher predicted risk.

    Parameters
    ----------
    counts : DataFrame
        ``duration_days``, ``event_observed``, ``n``, ``replicate`` and the prediction.
    prediction : str
        Column with a risk from 0 to 1.
    kind : {"harrell", "uno"}
    truncation_day : int
        For ``uno``, which needs one: pairs whose first lapse comes before this day are compared.
    level : float
        Jackknife by groups of customers on the logit scale; the prediction is held fixed.

    Raises
    ------
    ModelError
        Where no pair can be compared, or lapses fall in fewer than 20 groups of customers.
    """
    if kind not in ("harrell", "uno"):
        raise ModelError(f"kind must be 'harrell' or 'uno'; came '{kind}'")
    if kind == "uno" and truncation_day is None:
        raise ModelError("Uno's index needs truncation_day: beyond it too few are followed to be weighted for")
    counts = compressed(counts, [prediction])

    def index(rows: pd.DataFrame) -> float:
        if truncation_day is None or kind == "harrell":
            return harrell_concordance(rows, prediction=prediction).index
        return uno_concordance(rows, prediction=prediction, truncation_day=truncation_day).index

    value, without = without_each_group(counts, index)
    n = int(counts["n"].sum())
    return estimate_of(float(value), without, unit="probability", scale="logit", n=n, level=level)


def harrell_concordance(counts: pd.DataFrame, *, prediction: str) -> Concordance:
    """
    Count the pairs that can be compared, in O(n log n).

    Two spells can be compared where the earlier one lapsed; of two on the same day where one lapsed and the other
    was censored, for that one goes on past the day.
    """
    return _pairs(counts, prediction, np.ones(len(counts)))


def uno_concordance(counts: pd.DataFrame, *, prediction: str, truncation_day: int) -> Concordance:
    """Weigh each pair by the inverse squared chance of being followed through its first lapse."""
    duration = counts["duration_days"].to_numpy()
    weight = np.where(duration < truncation_day, followed_through(counts)(duration) ** -2.0, 0.0)
    return _pairs(counts, prediction, weight)


def _pairs(counts: pd.DataFrame, prediction: str, weight: np.ndarray) -> Concordance:
    n, event = counts["n"].to_numpy(float), counts["event_observed"].to_numpy(bool)
    # one censored on a day outlasts those who lapse on it
    order = np.unique(2 * counts["duration_days"].to_numpy() + ~event, return_inverse=True)[1]
    rank = np.unique(counts[prediction].to_numpy(float), return_inverse=True)[1]
    lower, equal, later = _outlasted_by(order, rank, n)
    weight = weight * n * event
    all_pairs, concordant, tied = ((weight * mass).sum() for mass in (later, lower, equal))
    if all_pairs <= 0:
        raise ModelError("no two spells can be compared: nobody lapsed before another was last seen")
    return Concordance(concordant=concordant, discordant=all_pairs - concordant - tied, tied=tied)


def _outlasted_by(order: np.ndarray, rank: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Count for each row the spells with a later order: those of lower rank, of equal rank, and all.

    Rows are sorted by order once and then split by the bits of their rank, the highest first, keeping their order.
    Two ranks part at their highest differing bit: there the upper one meets the lower ones in its own block.
    """
    lower = np.zeros(len(n))
    row = np.argsort(-order, kind="stable")
    bits = int(rank.max()).bit_length()
    later = _before_its_run(np.zeros(len(n), np.int64), order[row], n[row])
    everyone = np.empty(len(n))
    everyone[row] = later
    for bit in reversed(range(bits)):
        block, upper = rank[row] >> (bit + 1), (rank[row] >> bit) & 1 == 1
        lower[row[upper]] += _before_its_run(block, order[row], n[row] * ~upper)[upper]
        row = row[_split(block, upper)]
    equal = np.empty(len(n))
    equal[row] = _before_its_run(rank[row], order[row], n[row])
    return lower, equal, everyone


def _before_its_run(block: np.ndarray, order: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Mass that stands before each row in its block, rows of the same order left out; blocks lie together."""
    before, here = mass.cumsum() - mass, np.arange(len(mass))
    new_block = np.append(True, block[1:] != block[:-1])
    new_run = new_block | np.append(True, order[1:] != order[:-1])
    first_of_block, first_of_run = (np.maximum.accumulate(np.where(new, here, 0)) for new in (new_block, new_run))
    return before[first_of_run] - before[first_of_block]


def _split(block: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Order that puts the lower half of each block before its upper half and changes nothing else."""
    here = np.arange(len(block))
    start = np.maximum.accumulate(np.where(np.append(True, block[1:] != block[:-1]), here, 0))
    n_lower_before = (~upper).cumsum() - ~upper
    lower_in_block = np.bincount(start, ~upper, len(block)).astype(np.int64)[start]
    place = n_lower_before - n_lower_before[start]
    place = start + np.where(upper, lower_in_block + here - start - place, place)
    moved = np.empty(len(block), np.int64)
    moved[place] = here
    return moved
