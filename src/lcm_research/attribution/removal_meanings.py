"""
Four meanings of "removing" a channel, side by side: their answers for one channel can lie far apart.

They differ in what becomes of a journey that holds the channel:

``redirect``
    It ends, without a conversion, where it would have come to the channel. First-order chain [1]_; the removal effect
    of ``markov_credit``.
``fail``
    The channel's touches fail and the journey goes on as it did, without them. Where it ends, it converts as often as
    the journeys observed to end with the touch that is now its last; without any touch left it does not convert.
    First-order chain, conversion rates as fitted, nothing fitted again.
``fail_and_refit``
    The same journeys without the channel's touches, and the chain fitted again on them, outcomes as they were. A
    fitted chain reproduces the conversions that it was fitted to, whatever its order, so that only journeys with no
    touch left lose theirs: the effect is the share of the outcome of journeys that hold no other channel.
``remove_journeys``
    All journeys that hold the channel are taken out of the data, conversions with them. The effect is the share of
    the outcome of journeys that hold it: the most that a channel can be said to be part of.

None of them is what would happen without the channel: they are four readings of the same association.

References
----------
.. [1] Anderl, Becker, von Wangenheim and Schumann (2016), International Journal of Research in Marketing 33:457.
   Skipped states are those of a watched chain: Kemeny and Snell (1976), Finite Markov Chains, section 6.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.attribution.channel_sets import set_members
from lcm_research.attribution.credit import intervals
from lcm_research.attribution.edges import Edges, Outcome
from lcm_research.attribution.removal import removal_effects
from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import FEW_GROUPS, Estimate, by_replicate

__all__ = ["MEANINGS", "Meaning", "RemovalMeanings", "removal_meanings"]

Meaning = Literal["redirect", "fail", "fail_and_refit", "remove_journeys"]
MEANINGS: tuple[Meaning, ...] = ("redirect", "fail", "fail_and_refit", "remove_journeys")


@dataclass(frozen=True, kw_only=True, eq=False)
class RemovalMeanings:
    """
    Removal effects of each channel under four meanings of removal.

    Parameters
    ----------
    of : {"conversions", "value"}
    channels : tuple of str, length K
    effect : array of shape (4, K)
        Share of the outcome that is lost, one row a meaning in the order of ``MEANINGS``. ``fail`` may be negative:
        journeys may end after better touches without the channel than with it.
    effect_without : array of shape (100, 4, K)
    n_groups : array of shape (4, K)
        Groups of customers that each effect rests on: that met the channel, or (for the meanings that count journeys)
        with an outcome of the journeys that count.
    """

    of: Outcome
    channels: tuple[str, ...]
    effect: np.ndarray
    effect_without: np.ndarray
    n_groups: np.ndarray

    @property
    def spread(self) -> np.ndarray:
        """Largest less smallest of the four effects, by channel."""
        return self.effect.max(axis=0) - self.effect.min(axis=0)

    def interval(self, meaning: Meaning, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper ends by channel; NaN where the counts allow none."""
        m = MEANINGS.index(meaning)
        return intervals(self.effect[m], self.effect_without[:, m], self.n_groups[m], scale="identity", level=level)

    def widest(self, channel: str, *, n: int, level: float = 0.95) -> tuple[Meaning, Meaning, Estimate]:
        """
        Return the meanings with the largest and the smallest effect of a channel, and the difference.

        Parameters
        ----------
        n : int
            Customers whose journeys it rests on.

        Returns
        -------
        higher, lower : str
        difference : Estimate
            Its interval holds for all six pairs of meanings together (Bonferroni), since the widest was picked.
        """
        if channel not in self.channels:
            raise ModelError(f"no journey has the channel '{channel}'; {nearest(channel, self.channels)}")
        place = self.channels.index(channel)
        high, low = int(self.effect[:, place].argmax()), int(self.effect[:, place].argmin())
        value = self.effect[high, [place]] - self.effect[low, [place]]
        without = self.effect_without[:, high, [place]] - self.effect_without[:, low, [place]]
        each = 1 - (1 - level) / 6
        n_groups = self.n_groups[[high, low]][:, [place]].min(axis=0)
        lower, upper = intervals(value, without, n_groups, scale="identity", level=each)
        ends = {"value": float(value[0]), "lower": float(lower[0]), "upper": float(upper[0])}
        found = Estimate(**ends, unit="share", n=n, level=level, leave_one_out=without[:, 0])
        return MEANINGS[high], MEANINGS[low], found

    def table(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row a channel, the largest effect of ``redirect`` first: each meaning with its interval."""
        rows = pd.DataFrame({"channel": list(self.channels)})
        for m, meaning in enumerate(MEANINGS):
            lower, upper = self.interval(meaning, level=level)
            rows = rows.assign(**{meaning: self.effect[m], f"{meaning}_lower": lower, f"{meaning}_upper": upper})
        rows["spread"] = self.spread
        return rows.sort_values(["redirect", "channel"], ascending=[False, True], ignore_index=True)


def removal_meanings(
    edges: pd.DataFrame, sets: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None
) -> RemovalMeanings:
    """
    Removal effects of each channel under four meanings of removal, from the same journeys.

    Parameters
    ----------
    edges : DataFrame
        Of ``edge_counts`` or ``edges_from_paths``.
    sets : DataFrame
        Of ``set_counts`` or ``sets_from_paths``; ModelError where it counts other journeys.
    of : {"conversions", "value"}
    channels : list of str, optional
        Order of the channels, and channels that no journey has; sorted names where absent.
    """
    grouped = Edges.by_group(edges, channels)
    earned = grouped.outcomes(of).sum(axis=-1)
    if not earned.sum() > 0:
        raise ModelError(f"credit of {of} needs journeys that convert, with a positive total; it is {earned.sum():g}")
    alone, held = _by_set(sets, grouped.channels, of, earned)

    def effects(counts: Edges, alone: np.ndarray, held: np.ndarray) -> np.ndarray:
        total = counts.outcomes(of).sum(axis=-1)[..., None]
        made = [removal_effects(counts, of=of), 1 - _kept_where_touches_fail(counts, of) / total]
        return np.stack([*made, alone / total, held / total], axis=-2)

    value = effects(grouped.total(), alone.sum(axis=0), held.sum(axis=0))
    without = np.full((len(earned), *value.shape), np.nan)
    if (earned > 0).sum() >= FEW_GROUPS:
        without = effects(grouped.without_each_group(), alone.sum(axis=0) - alone, held.sum(axis=0) - held)
    met = grouped.n_groups_with()
    return RemovalMeanings(
        of=of,
        channels=grouped.channels,
        effect=value,
        effect_without=without,
        n_groups=np.stack([met, met, (alone != 0).sum(axis=0), (held != 0).sum(axis=0)]),
    )


def _kept_where_touches_fail(edges: Edges, of: Outcome) -> np.ndarray:
    r"""
    What is earned where the touches of each channel fail, shape (..., K).

    Visits to other channels stay as they are. Of the journeys that go from :math:`i` into channel :math:`k`, the share
    :math:`e_k / (l_k - n_{kk})` ends before another channel is met (:math:`e_k` end there, :math:`l_k` leave it,
    :math:`n_{kk}` only to come back at once): they now end after :math:`i`.
    """
    ends = edges.conversions + edges.nulls
    worth = edges.outcomes(of) / np.where(ends > 0, ends, 1)
    stays = np.diagonal(edges.steps, axis1=-2, axis2=-1)
    passing = edges.steps.sum(axis=-1) + ends - stays
    ends_within = ends / np.where(passing > 0, passing, 1)
    entered = edges.steps * (1 - np.eye(len(edges.channels)))
    moved = entered * ends_within[..., None, :]
    earned = (worth[..., :, None] * (ends[..., :, None] + moved)).sum(axis=-2)
    return earned - worth * ends


def _by_set(
    sets: pd.DataFrame, channels: Sequence[str], of: Outcome, earned: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Outcome of journeys that hold nothing but each channel, and of those that hold it, by group of customers."""
    column = "n_conversions" if of == "conversions" else "value_minor"
    members = set_members(sets)
    members["held"] = members[column]
    members["alone"] = members[column].where(members["n_channels"] == 1, 0)
    arranged = by_replicate(members, ["alone", "held"], ["channel"], [pd.Index(channels)])
    of_sets = np.bincount(sets["replicate"].to_numpy(np.int64), sets[column].to_numpy(float), minlength=len(earned))
    if not np.allclose(of_sets, earned, rtol=1e-9, atol=1e-6):
        raise ModelError(
            f"edges and sets count different journeys: {of} of {earned.sum():g} and {of_sets.sum():g}; count both with "
            "the same choices"
        )
    return arranged[..., 0], arranged[..., 1]
