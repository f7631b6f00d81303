"""
Hidden stages: how many kinds of months there seem to be, judged by what customers did and by nothing else.

A hidden Markov model [1]_ fitted to counted sequences of behaviour. It costs by the number of distinct sequences, not
of customers. What a hidden stage means is read off how often customers in it buy, so states come in that order.

.. [1] Rabiner (1989), Proceedings of the IEEE 77:257; Netzer, Lattin and Srinivasan (2008), Marketing Science 27:185.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lcm_research.errors import ModelError

__all__ = [
    "HiddenMarkov",
    "Words",
    "baum_welch_round",
    "fit_hidden_markov",
    "sequence_log_likelihood",
    "state_probability",
    "words",
]

TRIAL_LEAPS = 5
"""Leaps that every start gets; the best goes on to the maximum."""

MOST_LEAPS, CLOSE = 400, 1e-8
"""Leaps after which a fit is given up, and the gain per customer of a round below which it has arrived."""

LEAST = 1e-12
"""Probabilities do not fall below this: a zero could never be left again."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Words:
    """
    Distinct sequences of behaviour, and how many customers have each.

    Attributes
    ----------
    behaviour : array of int, shape (n_sequences, n_periods)
        From 0; -1 in periods before the customer's first.
    n : array of float, shape (n_sequences,)
    n_behaviours : int
    """

    behaviour: np.ndarray
    n: np.ndarray
    n_behaviours: int

    @functools.cached_property
    def one_hot(self) -> np.ndarray:
        """Behaviour of each sequence and period as indicators, the last of them for none yet, times customers."""
        found = np.zeros((self.n_behaviours + 1, *self.behaviour.shape))
        np.put_along_axis(found, np.mod(self.behaviour, self.n_behaviours + 1)[None], self.n[:, None], axis=0)
        return np.moveaxis(found, 2, 1).reshape(self.n_behaviours + 1, -1)


@dataclass(frozen=True, kw_only=True, eq=False)
class HiddenMarkov:
    """
    A hidden Markov model.

    Attributes
    ----------
    initial : array of shape (2, n_states)
        Hidden stage in a customer's first period: of customers there in the first period of all, and of those who
        came later.
    transition : array of shape (n_states, n_states)
        From rows, to columns; rows sum to 1.
    emission : array of shape (n_states, n_behaviours)
        Probability of each behaviour in a period.
    log_likelihood : float
    n_parameters : int
    n_customers : int
    """

    initial: np.ndarray
    transition: np.ndarray
    emission: np.ndarray
    log_likelihood: float = float("nan")
    n_parameters: int = 0
    n_customers: int = 0

    @property
    def n_states(self) -> int:
        """Number of hidden stages."""
        return len(self.transition)

    @property
    def bic(self) -> float:
        """Schwarz's criterion with customers, not customer-periods, as the sample; smaller is better."""
        return -2 * self.log_likelihood + self.n_parameters * float(np.log(self.n_customers))


def words(behaviour: np.ndarray, n: np.ndarray, *, n_behaviours: int) -> Words:
    """
    Gather sequences into distinct ones.

    Parameters
    ----------
    behaviour : array of int, shape (n_rows, n_periods)
        Behaviour of each period, from 0; -1 before a customer's first period, and nowhere after it.
    n : array of int, shape (n_rows,)
        Customers with each.
    n_behaviours : int

    Raises
    ------
    ModelError
        There is no customer, a sequence is not observed in its last period or has a hole, or a behaviour is unknown.
    """
    behaviour, n = np.asarray(behaviour, np.int64), np.asarray(n, float)
    if not n.sum() > 0:
        raise ModelError("hidden stages need customers followed for a period or more; none were counted")
    if behaviour.min() < -1 or behaviour.max() >= n_behaviours:
        strange = behaviour.max() if behaviour.max() >= n_behaviours else behaviour.min()
        raise ModelError(f"behaviours are numbers from 0 to {n_behaviours - 1}, or -1 before the first; came {strange}")
    if (np.diff((behaviour < 0).astype(int), axis=1) > 0).any() or (behaviour[:, -1] < 0).any():
        raise ModelError("a sequence has a period without a behaviour after its first; leave such customers out")
    distinct, place = np.unique(behaviour, axis=0, return_inverse=True)
    return Words(behaviour=distinct, n=np.bincount(np.ravel(place), weights=n), n_behaviours=n_behaviours)


def fit_hidden_markov(
    observed: Words, *, n_states: int, bought: Sequence[bool], n_starts: int, rng: np.random.Generator
) -> HiddenMarkov:
    """
    Estimate a hidden Markov model by maximum likelihood, from several starts.

    Parameters
    ----------
    observed : Words
    n_states : int
        At least 1.
    bought : list of bool, length n_behaviours
        Which behaviours hold a purchase: states come in the order of how often customers in them buy.
    n_starts : int
        The likelihood has several maxima, so the best of several starts is taken.
    rng : Generator
    """
    if n_states < 1 or n_starts < 1:
        raise ModelError(f"a model needs 1 state and 1 start or more; came n_states={n_states}, n_starts={n_starts}")
    starts = [_start(observed, n_states, rng) for _ in range(n_starts if n_states > 1 else 1)]
    trials = [_climbed(observed, start, n_leaps=TRIAL_LEAPS) for start in starts]
    fitted, arrived = _climbed(observed, max(trials, key=lambda t: t[0].log_likelihood)[0], n_leaps=MOST_LEAPS)
    if not arrived:
        raise ModelError(f"no maximum with {n_states} hidden stages after {MOST_LEAPS} leaps; ask for fewer stages")
    order = np.argsort(fitted.emission @ np.asarray(bought, float), kind="stable")
    ways_in = len(np.unique(observed.behaviour[:, 0] < 0))
    free = n_states * (n_states - 1) + n_states * (observed.n_behaviours - 1) + ways_in * (n_states - 1)
    return replace(
        fitted,
        initial=fitted.initial[:, order],
        transition=fitted.transition[np.ix_(order, order)],
        emission=fitted.emission[order],
        n_parameters=free,
        n_customers=round(observed.n.sum()),
    )


def baum_welch_round(observed: Words, model: HiddenMarkov) -> tuple[HiddenMarkov, float]:
    """
    Return the model that fits best the hidden stages expected under this one, and the log-likelihood of this one.

    The likelihood of what is returned is never lower (Baum et al. 1970).
    """
    moved, emitted = _weights(model)
    shown = emitted.T[observed.behaviour.T]
    scaled, scale = _forward(observed, model)
    expected, moves, ahead = np.empty_like(scaled), np.zeros_like(moved), np.ones_like(scaled[0])
    n = observed.n[:, None]
    for t in reversed(range(len(scaled))):
        expected[t] = scaled[t] * ahead
        if t:
            onward = shown[t] * ahead / scale[t]
            moves += (scaled[t - 1] * n).T @ onward
            ahead = onward @ moved.T
    moves *= moved
    behaviours = observed.one_hot @ expected.reshape(-1, expected.shape[2])
    better = HiddenMarkov(
        initial=_shares(np.stack([(expected[0] * n).sum(axis=0)[:-1], moves[-1, :-1]])),
        transition=_shares(moves[:-1, :-1]),
        emission=_shares(behaviours[:-1, :-1].T),
    )
    return better, float(observed.n @ np.log(scale[..., 0]).sum(axis=0))


def sequence_log_likelihood(observed: Words, model: HiddenMarkov) -> np.ndarray:
    """Return the logarithm of each sequence's probability, summed over all hidden paths; shape (n_sequences,)."""
    return np.asarray(np.log(_forward(observed, model)[1][..., 0]).sum(axis=0))


def state_probability(observed: Words, model: HiddenMarkov) -> np.ndarray:
    """Return the probability of each hidden stage in the last period, given the sequence; (n_sequences, n_states)."""
    return _forward(observed, model)[0][-1][:, :-1]


def _climbed(observed: Words, model: HiddenMarkov, *, n_leaps: int) -> tuple[HiddenMarkov, bool]:
    """
    Return a model at which the likelihood rises no more, and whether it was reached within some leaps.

    Rounds are slow near the maximum, so every two of them are followed by a leap in their direction, which is kept
    only where the likelihood rises (Varadhan and Roland 2008, Scandinavian Journal of Statistics 35:335).
    """
    least = CLOSE * observed.n.sum()
    for _ in range(n_leaps):
        once, reached = baum_welch_round(observed, model)
        twice, then = baum_welch_round(observed, once)
        if then - reached < least:
            return replace(once, log_likelihood=then), True
        further, there = baum_welch_round(observed, _leap(model, once, twice))
        model = further if there >= then else twice
    return replace(model, log_likelihood=float(observed.n @ sequence_log_likelihood(observed, model))), False


def _leap(start: HiddenMarkov, once: HiddenMarkov, twice: HiddenMarkov) -> HiddenMarkov:
    """Return where the probabilities would come to if the next rounds were like these two."""
    parts = [(model.initial, model.transition, model.emission) for model in (start, once, twice)]
    step = [b - a for a, b in zip(parts[0], parts[1], strict=True)]
    bend = [c - b - first for b, c, first in zip(parts[1], parts[2], step, strict=True)]
    size = np.sqrt(sum((part**2).sum() for part in step) / max(sum((part**2).sum() for part in bend), LEAST**2))
    made = [a + 2 * size * first + size**2 * turn for a, first, turn in zip(parts[0], step, bend, strict=True)]
    initial, transition, emission = (_shares(np.maximum(part, 0.0)) for part in made)
    return HiddenMarkov(initial=initial, transition=transition, emission=emission)


def _start(observed: Words, n_states: int, rng: np.random.Generator) -> HiddenMarkov:
    """Return a model near what all customers do together, with stages that last."""
    usual = observed.one_hot.sum(axis=1)[:-1] + 0.5
    emission = usual * rng.gamma(1.0, size=(n_states, observed.n_behaviours))
    transition = 0.8 * np.eye(n_states) + 0.2 * rng.dirichlet(np.ones(n_states), size=n_states)
    initial = rng.dirichlet(np.ones(n_states), size=2)
    return HiddenMarkov(initial=_shares(initial), transition=_shares(transition), emission=_shares(emission))


def _weights(model: HiddenMarkov) -> tuple[np.ndarray, np.ndarray]:
    """
    Return moves and behaviour with one more stage, the last: not there yet.

    It shows behaviour -1 and nothing else; when it ends is given, so staying in it and leaving it both weigh 1.
    """
    size, kinds = model.emission.shape
    moved, emitted = np.zeros((size + 1, size + 1)), np.zeros((size + 1, kinds + 1))
    moved[:-1, :-1], moved[-1, :-1], moved[-1, -1] = model.transition, model.initial[1], 1.0
    emitted[:-1, :-1], emitted[-1, -1] = model.emission, 1.0
    return moved, emitted


def _forward(observed: Words, model: HiddenMarkov) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the stage given the behaviour so far, and how likely its last behaviour was.

    Shapes (n_periods, n_sequences, n_states + 1) and (n_periods, n_sequences, 1); the last stage is not there yet.
    """
    moved, emitted = _weights(model)
    shown = emitted.T[observed.behaviour.T]
    scale = np.empty((*shown.shape[:2], 1))
    ahead = np.append(model.initial[0], 1.0)
    for t in range(len(shown)):
        joint = ahead * shown[t]
        scale[t] = joint.sum(axis=1, keepdims=True)
        shown[t] = joint / scale[t]
        ahead = shown[t] @ moved
    return shown, scale


def _shares(expected: np.ndarray) -> np.ndarray:
    """Return rows that sum to 1, none of whose entries is quite 0; a row of nothing becomes even shares."""
    total = expected.sum(axis=1, keepdims=True)
    shares = np.where(total > 0, expected / np.where(total > 0, total, 1.0), 1 / expected.shape[1])
    shares = np.maximum(shares, LEAST)
    return shares / shares.sum(axis=1, keepdims=True)
