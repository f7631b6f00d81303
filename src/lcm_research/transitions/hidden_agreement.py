"""
Do hidden stages tell the same story as the rules? How customers fall into both at the end.

Both look at purchases, so agreement does not make either right: it says that the rules cut where behaviour differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, Estimate, by_replicate, jackknife, leave_one_out, proportion
from lcm_research.stages.behaviour import MANY_PURCHASES, behaviour_digits, n_behaviours
from lcm_research.transitions.hidden_markov import HiddenMarkov, Words, fit_hidden_markov, state_probability, words

__all__ = [
    "Agreement",
    "HiddenChoice",
    "adjusted_rand_index",
    "agreement",
    "choose_hidden_markov",
    "normalised_mutual_information",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class HiddenChoice:
    """
    The model with the smallest criterion among several numbers of hidden stages.

    Attributes
    ----------
    best : HiddenMarkov
    tried : tuple of HiddenMarkov
        One for each number of hidden stages.
    bought : array of bool, shape (n_behaviours,)
        Which behaviours hold a purchase.
    """

    best: HiddenMarkov
    tried: tuple[HiddenMarkov, ...]
    bought: np.ndarray

    @property
    def at_the_edge(self) -> bool:
        """Whether the largest number tried was chosen, so that more might have been."""
        return self.best.n_states == max(model.n_states for model in self.tried)

    @property
    def buying(self) -> np.ndarray:
        """Probability of a purchase in a period in each hidden stage, rising."""
        return np.asarray(self.best.emission @ self.bought)

    def table(self) -> pd.DataFrame:
        """Return one row for each number of hidden stages: n_states, n_parameters, log_likelihood, bic."""
        rows = [(m.n_states, m.n_parameters, m.log_likelihood, m.bic) for m in self.tried]
        return pd.DataFrame(rows, columns=["n_states", "n_parameters", "log_likelihood", "bic"])


def choose_hidden_markov(
    counts: pd.DataFrame,
    *,
    n_periods: int,
    with_engagements: bool,
    n_states: Sequence[int],
    n_starts: int,
    rng: np.random.Generator,
) -> HiddenChoice:
    """
    Fit models with several numbers of hidden stages and keep the one with the smallest Bayesian criterion.

    Parameters
    ----------
    counts : DataFrame
        As ``behaviour_counts`` returns them; stages are not looked at.
    n_periods : int
    with_engagements : bool
        As the counts were asked for.
    n_states : list of int
        Numbers of hidden stages to try.
    n_starts : int
        See ``fit_hidden_markov``.
    rng : Generator
    """
    kinds = n_behaviours(with_engagements=with_engagements)
    if counts.empty:
        raise ModelError("hidden stages need customers followed after their first purchase; none were counted")
    read = behaviour_digits(counts["sequence"].to_numpy(), n_periods=n_periods, with_engagements=with_engagements)
    observed = words(read, counts["n"].to_numpy(), n_behaviours=kinds)
    bought = np.arange(kinds) % (MANY_PURCHASES + 1) > 0
    sizes = sorted(set(n_states))
    tried = tuple(
        fit_hidden_markov(observed, n_states=k, bought=list(bought), n_starts=n_starts, rng=rng) for k in sizes
    )
    return HiddenChoice(best=min(tried, key=lambda model: model.bic), tried=tried, bought=bought)


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """
    Customers by the stage that the rules gave them at the end and the hidden stage they were most likely in.

    Intervals are of the customers, given the fitted model.

    Attributes
    ----------
    stages : tuple of str
        Those that somebody was in.
    grouped : array of float, shape (100, n_stages, n_states)
        Customers by group.
    certainty : Estimate
        Mean probability of the likeliest hidden stage: 1 where behaviour leaves no doubt.
    mutual_information : Estimate
        Normalised by the mean of both entropies: 0 where either says nothing of the other, 1 where both are the same.
    adjusted_rand : Estimate
        Pairs of customers that both hold together or apart, corrected for chance: 0 by chance, 1 where the same.
    """

    stages: tuple[str, ...]
    grouped: np.ndarray
    certainty: Estimate
    mutual_information: Estimate
    adjusted_rand: Estimate

    @property
    def n(self) -> np.ndarray:
        """Customers, shape (n_stages, n_states)."""
        return np.asarray(self.grouped.sum(axis=0))

    def share(self, stage: str, state: int, *, level: float) -> Estimate:
        """Return the share of the customers in a stage who are most likely in a hidden stage."""
        own = self._own(stage)
        return proportion(own[:, state], own.sum(axis=1), level=level)

    def difference(self, one: str, other: str, state: int, *, level: float) -> Estimate:
        """Return by how much the share of a hidden stage is larger in one stage than in another."""
        pair = np.stack([self._own(one), self._own(other)], axis=1)
        value, without = leave_one_out(pair, lambda c: (c[:, state] / c.sum(axis=1)) @ np.array([1.0, -1.0]))
        return jackknife(float(value), without, unit="difference of shares", n=int(pair.sum()), level=level)

    def _own(self, stage: str) -> np.ndarray:
        if stage not in self.stages:
            raise ModelError(f"nobody was in the stage '{stage}' at the end; there were {', '.join(self.stages)}")
        return np.asarray(self.grouped[:, self.stages.index(stage)])


def agreement(
    counts: pd.DataFrame,
    model: HiddenMarkov,
    *,
    stages: Sequence[str],
    n_periods: int,
    with_engagements: bool,
    level: float,
) -> Agreement:
    """
    Compare the stages of the rules with the hidden stages that customers were most likely in, at the end.

    Parameters
    ----------
    counts : DataFrame
        As ``behaviour_counts`` returns them.
    model : HiddenMarkov
    stages : list of str
        Of the scheme, in its order.
    n_periods : int
    with_engagements : bool
        As the counts were asked for.
    level : float

    Raises
    ------
    ModelError
        All customers are in one stage, or all most likely in one hidden stage: there is nothing to compare; or
        customers are in fewer than 20 groups.
    """
    behaviour = behaviour_digits(counts["sequence"].to_numpy(), n_periods=n_periods, with_engagements=with_engagements)
    rows = Words(behaviour=behaviour, n=counts["n"].to_numpy(float), n_behaviours=model.emission.shape[1])
    probability = state_probability(rows, model)
    table = counts.assign(state=probability.argmax(axis=1), sure=counts["n"] * probability.max(axis=1))
    levels: list[pd.Index] = [pd.Index(list(stages)), pd.Index(range(model.n_states))]
    grouped = by_replicate(table, ["n"], ["stage", "state"], levels)[..., 0]
    there = grouped.sum(axis=(0, 2)) > 0
    grouped = grouped[:, there]
    n_stages, n_hidden = int(there.sum()), int((grouped.sum(axis=(0, 1)) > 0).sum())
    if n_stages < 2 or n_hidden < 2:
        raise ModelError(
            f"{n_stages} stages of the rules and {n_hidden} hidden stages hold customers at the end; comparing needs 2 "
            "of each; choose another scheme or wait for more data"
        )
    n_groups = int((grouped.sum(axis=(1, 2)) > 0).sum())
    if n_groups < FEW_GROUPS:
        raise ModelError(
            f"expected customers in {FEW_GROUPS} of the 100 groups of customers; came {n_groups}: too few to say how "
            "well hidden stages and rules agree; wait for more customers"
        )
    n, whole = int(grouped.sum()), pd.Index([0])
    sure = by_replicate(table.assign(all=0), ["sure", "n"], ["all"], [whole])[:, 0]
    certain, certain_without = leave_one_out(sure, lambda c: c[0] / c[1])
    indices = []
    for index in (normalised_mutual_information, adjusted_rand_index):
        value, without = leave_one_out(grouped, index)
        indices.append(jackknife(float(value), without, unit="index", n=n, level=level))
    return Agreement(
        stages=tuple(stage for stage, is_there in zip(stages, there, strict=True) if is_there),
        grouped=grouped,
        certainty=jackknife(float(certain), certain_without, unit="probability", n=n, level=level),
        mutual_information=indices[0],
        adjusted_rand=indices[1],
    )


def normalised_mutual_information(table: np.ndarray) -> float:
    """
    Return what two groupings say of each other, as a share of the mean of their entropies.

    >>> normalised_mutual_information(np.array([[3, 0], [0, 3]])), normalised_mutual_information(np.ones((2, 2)))
    (1.0, 0.0)
    """
    joint = table / table.sum()
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    mutual = _entropy(rows) + _entropy(columns) - _entropy(joint.ravel())
    return float(2 * mutual / (_entropy(rows) + _entropy(columns)))


def adjusted_rand_index(table: np.ndarray) -> float:
    """
    Return how far two groupings hold the same pairs together (Hubert and Arabie 1985, Journal of Classification 2:193).

    >>> adjusted_rand_index(np.array([[3, 0], [0, 3]]))
    1.0
    """
    total = _pairs(table.sum())
    rows, columns, both = (_pairs(part).sum() for part in (table.sum(axis=1), table.sum(axis=0), table))
    chance = rows * columns / total
    return float((both - chance) / ((rows + columns) / 2 - chance))


def _pairs(n: np.ndarray) -> np.ndarray:
    return np.asarray(n * (n - 1) / 2)


def _entropy(shares: np.ndarray) -> float:
    held = shares[shares > 0]
    return float(-(held * np.log(held)).sum())
