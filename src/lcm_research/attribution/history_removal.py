r"""
Removal effects in a chain whose next step depends on the last k channels, exactly, for channels and pairs of them.

Removing a channel means *redirect to null*, as in ``removal``: every step into it ends the journey without a
conversion. The states are the histories of up to k channels, so the channel is a block of states: those that end with
it. With order 1 every block is one state and the numbers are those of ``markov_credit``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.attribution.credit import Credit, intervals
from lcm_research.attribution.edges import Outcome
from lcm_research.attribution.kgrams import HISTORY_SEPARATOR, KGrams
from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS

__all__ = ["PairRemoval", "block_removal_effects", "kgram_credit", "pair_removal"]

_CELLS_AT_ONCE = 4_000_000  # of the square arrays solved together: 32 MB each


def kgram_credit(kgrams: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None) -> Credit:
    """
    Credit in proportion to removal effects in a chain of any order.

    Parameters
    ----------
    kgrams : DataFrame
        Of ``kgram_counts`` or ``kgrams_from_paths``; its order is the chain's.
    of : {"conversions", "value"}
        Value is lost with the conversions that bring it: it depends on the channels before the conversion.
    channels : list of str, optional
        Order of the channels, and channels that no journey has (their credit is zero); sorted names where absent.

    Returns
    -------
    Credit
        Of the model "markov", with raw removal effects (which need not sum to 1) and their shares; jackknife by groups
        of customers.

    Raises
    ------
    ModelError
        Where no journey converts, some journeys never end, or there are more than 2,000 histories.
    """
    grouped = KGrams.by_group(kgrams, channels)
    blocks = [np.flatnonzero(grouped.last == k) for k in range(len(grouped.channels))]
    total, effect, without = _with_and_without(grouped, blocks, of)
    return Credit(
        model="markov",
        of=of,
        channels=grouped.channels,
        share=effect / effect.sum(),
        share_without=without / without.sum(axis=1, keepdims=True),
        total=total,
        n_groups=grouped.n_groups_with(),
        removal_effect=effect,
        removal_effect_without=without,
    )


def pair_removal(kgrams: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None) -> PairRemoval:
    """
    Remove channels two at a time.

    Parameters are those of ``kgram_credit``; at least two channels.
    """
    grouped = KGrams.by_group(kgrams, channels)
    k = len(grouped.channels)
    if k < 2:
        raise ModelError(f"pairs of channels need at least two; journeys hold {k}")
    places = np.array(list(itertools.combinations(range(k), 2)))
    single = [np.flatnonzero(grouped.last == c) for c in range(k)]
    joint = [np.flatnonzero(np.isin(grouped.last, pair)) for pair in places]
    _, effect, without = _with_and_without(grouped, [*single, *joint], of)
    n_groups = grouped.n_groups_with()
    return PairRemoval(
        of=of,
        channels=grouped.channels,
        places=places,
        joint=effect[k:],
        joint_without=without[:, k:],
        apart=effect[:k][places].sum(axis=1),
        apart_without=without[:, :k][:, places].sum(axis=2),
        n_groups=n_groups[places].min(axis=1),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class PairRemoval:
    """
    What is lost where two channels are removed together, beside the sum of what is lost with each alone.

    Parameters
    ----------
    of : {"conversions", "value"}
    channels : tuple of str, length K
    places : array of shape (P, 2)
        The two channels of each pair.
    joint, apart : arrays of shape (P,)
        Removal effect of the pair; sum of the removal effects of its channels.
    joint_without, apart_without : arrays of shape (100, P)
    n_groups : array of shape (P,)
        Groups of customers that met the rarer channel of the pair.
    """

    of: Outcome
    channels: tuple[str, ...]
    places: np.ndarray
    joint: np.ndarray
    joint_without: np.ndarray
    apart: np.ndarray
    apart_without: np.ndarray
    n_groups: np.ndarray

    @property
    def synergy(self) -> np.ndarray:
        """
        Joint effect less the sum, shape (P,); at most zero where nothing is worth less than nothing.

        Journeys through both channels are lost once with the pair and once with each channel: minus the synergy is
        the share of the outcome that comes by way of both.
        """
        return self.joint - self.apart

    def interval(self, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return ends of the synergies that hold for all pairs together (Bonferroni)."""
        each = 1 - (1 - level) / len(self.places)
        without = self.joint_without - self.apart_without
        return intervals(self.synergy, without, self.n_groups, scale="identity", level=each)

    def table(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row a pair, the largest joint effect first."""
        lower, upper = self.interval(level=level)
        rows = pd.DataFrame(
            {
                "channel": [self.channels[k] for k in self.places[:, 0]],
                "other_channel": [self.channels[k] for k in self.places[:, 1]],
                "joint_removal_effect": self.joint,
                "sum_of_removal_effects": self.apart,
                "synergy": self.synergy,
                "lower": lower,
                "upper": upper,
            }
        )
        by = ["joint_removal_effect", "channel", "other_channel"]
        return rows.sort_values(by, ascending=[False, True, True], ignore_index=True)


def block_removal_effects(grams: KGrams, blocks: Sequence[np.ndarray], *, of: Outcome) -> np.ndarray:
    r"""
    Share of conversions, or of value, lost where blocks of states are removed and journeys into them end there.

    With :math:`N = (I - Q)^{-1}` the expected visits between histories, :math:`n` those of a journey from its start
    and :math:`h` what is expected from each history on, a journey enters block :math:`B` first at :math:`b` with
    probability :math:`f_b`, where :math:`f N_{BB} = n_B` [1]_: visits to a block are those after its first entry. It
    loses what was expected from there on, so that the effect is

    .. math:: \frac{n_B\, N_{BB}^{-1}\, h_B}{h_0}.

    With blocks of one state this is ``removal_effects``. The states that end with a channel are enough: a journey
    that holds it has been in one of them, and other states that contain it come later.

    Parameters
    ----------
    grams : KGrams
        Of one set of journeys, or several along a first axis.
    blocks : list of arrays of int
        Places among the histories.

    Returns
    -------
    array of shape (..., len(blocks))
        Zero for a block that no journey comes to.

    References
    ----------
    .. [1] Kemeny and Snell (1976), Finite Markov Chains, chapter 3; Anderl, Becker, von Wangenheim and Schumann
       (2016), International Journal of Research in Marketing 33:457, for removal in chains of higher order.
    """
    if grams.starts.ndim == 1:
        return _removed(grams, blocks, of)
    at_once = max(1, _CELLS_AT_ONCE // max(1, len(grams.histories)) ** 2)
    parts = [slice(i, i + at_once) for i in range(0, len(grams.starts), at_once)]
    return np.concatenate([_removed(grams.part(sets), blocks, of) for sets in parts])


def _with_and_without(
    grouped: KGrams, blocks: Sequence[np.ndarray], of: Outcome
) -> tuple[float, np.ndarray, np.ndarray]:
    """The total to share out, the effects of all journeys, and those without each group of customers."""
    together = grouped.total()
    total = float(together.outcomes(of).sum())
    if not total > 0:
        raise ModelError(f"credit of {of} needs journeys that convert, with a positive total; it is {total:g}")
    effect = block_removal_effects(together, blocks, of=of)
    if (grouped.outcomes(of).sum(axis=-1) > 0).sum() >= FEW_GROUPS:
        return total, effect, block_removal_effects(grouped.without_each_group(), blocks, of=of)
    return total, effect, np.full((len(grouped.starts), len(effect)), np.nan)


def _removed(grams: KGrams, blocks: Sequence[np.ndarray], of: Outcome) -> np.ndarray:
    size = len(grams.histories)
    step = np.zeros((*grams.steps.shape[:-1], size, size))
    step[..., grams.step_from, grams.step_to] = grams.steps
    ends = grams.conversions + grams.nulls
    leaving = step.sum(axis=-1) + ends
    visited = _reached(grams.starts > 0, lambda at: np.matmul(at[..., None, :], step)[..., 0, :])
    _refuse_endless(grams, step, ends, visited)
    # rows of histories that no journey comes to are zero: whatever they lead to, they change nothing
    scale = np.where(visited, 1 / np.where(leaving > 0, leaving, 1), 0.0)
    start = grams.starts / grams.starts.sum(axis=-1, keepdims=True)
    between = np.linalg.inv(np.eye(size) - step * scale[..., None])
    expected = np.matmul(between, (grams.outcomes(of) * scale)[..., None])[..., 0]
    visits = np.matmul(start[..., None, :], between)[..., 0, :]
    lost = [_lost_with(block, between, visits, expected) for block in blocks]
    return np.stack(lost, axis=-1) / (start * expected).sum(axis=-1)[..., None]


def _lost_with(block: np.ndarray, between: np.ndarray, visits: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """What a journey that ever comes to the block was expected to bring from there on."""
    within = np.swapaxes(between[..., block[:, None], block], -1, -2)
    first_entry = np.linalg.solve(within, visits[..., block, None])[..., 0]
    return (first_entry * expected[..., block]).sum(axis=-1)


def _reached(start: np.ndarray, lead: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return which states ``lead`` comes to from ``start``, step by step until there is no new one."""
    while True:
        more = start | (lead(start.astype(float)) > 0)
        if (more == start).all():
            return start
        start = more


def _refuse_endless(grams: KGrams, step: np.ndarray, ends: np.ndarray, visited: np.ndarray) -> None:
    """ModelError where journeys come to a history from which none ends."""
    ending = _reached(ends > 0, lambda at: np.matmul(step, at[..., None])[..., 0])
    if (endless := visited & ~ending).any():
        history = grams.histories[int(np.argwhere(endless)[0][-1])].replace(HISTORY_SEPARATOR, " > ")
        raise ModelError(
            f"journeys come to '{history}' and none that does ever ends in a conversion or without one; every journey "
            "needs one step to '(conversion)' or '(null)': check where the counts of steps come from"
        )
