r"""
How many of the last channels the next step of a journey depends on.

Orders are compared on the same steps of the same journeys: by penalised likelihood on the data that they were fitted
to, and by how well they foretell the next step of customers who were not used for the fit. Nothing is drawn at random:
folds are groups of customers, and the same counts give the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.attribution.kgrams import HISTORY_SEPARATOR
from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, Estimate, jackknife, leave_one_out

__all__ = ["Criterion", "OrderChoice", "choose_order"]

Criterion = Literal["aic", "bic", "score"]

_FOLDS = 10
_PRIOR_STEPS = 1.0  # what a shorter history's forecast weighs, in steps, where a longer one is used


@dataclass(frozen=True, kw_only=True, eq=False)
class OrderChoice:
    """
    Orders of a chain compared.

    Parameters
    ----------
    log_likelihood : array of shape (R,)
        Of orders 1 to R, fitted to all journeys, in nats.
    n_parameters : array of int, shape (R,)
        For every history that is seen, the steps ever taken from its last channel, less one. Steps that are ruled out
        (two in a row of one channel, where repeats are collapsed) are no parameters.
    n_steps : int
        Steps that all orders foretell, with the one that ends each journey.
    score_by_group : array of shape (100, R)
        Sum of the log probabilities of the steps of each group of customers, foretold from the nine tenths of groups
        that are not in its fold.
    steps_by_group : array of shape (100,)
    """

    log_likelihood: np.ndarray
    n_parameters: np.ndarray
    n_steps: int
    score_by_group: np.ndarray
    steps_by_group: np.ndarray

    @property
    def orders(self) -> tuple[int, ...]:
        """The orders compared."""
        return tuple(range(1, len(self.log_likelihood) + 1))

    @property
    def aic(self) -> np.ndarray:
        """Akaike's criterion of each order, smaller is better (Tong 1975, Journal of Applied Probability 12:488)."""
        return 2 * self.n_parameters - 2 * self.log_likelihood

    @property
    def bic(self) -> np.ndarray:
        """Schwarz's criterion of each order, smaller is better (Katz 1981, Technometrics 23:243)."""
        return np.log(self.n_steps) * self.n_parameters - 2 * self.log_likelihood

    @property
    def score(self) -> np.ndarray:
        """Mean log probability of the next step of customers not used for the fit, in nats; larger is better."""
        return self.score_by_group.sum(axis=0) / self.steps_by_group.sum()

    def gain(self, order: int, over: int, *, level: float = 0.95) -> Estimate:
        """
        Return how much better one order foretells the same steps than another, in nats per step.

        The interval is a jackknife over groups of customers on paired differences; that the fits share customers is
        left out of account, which makes it somewhat too short.

        Parameters
        ----------
        order, over : int
            Both among ``orders``.
        """
        for each in (order, over):
            if each not in self.orders:
                raise ModelError(f"order {each} was not compared; choose among {', '.join(map(str, self.orders))}")
        if not np.isfinite(self.score_by_group).all():
            raise ModelError("customers are in too few groups to foretell some from the others")
        difference = self.score_by_group[:, order - 1] - self.score_by_group[:, over - 1]
        pair = np.stack([difference, self.steps_by_group], axis=1)
        value, without = leave_one_out(pair, lambda x: x[0] / x[1])
        return jackknife(float(value), without, unit="nats per step", n=self.n_steps, level=level)

    def chosen(self, by: Criterion, *, level: float = 0.95) -> int:
        """
        Return the order that a criterion chooses.

        ``aic`` and ``bic`` take the smallest value. ``score`` takes the lowest order that no higher one foretells
        better than, at ``level``: more memory has to earn its place.
        """
        if by in ("aic", "bic"):
            return int(np.argmin(self.aic if by == "aic" else self.bic)) + 1
        for low in self.orders[:-1]:
            if all(self.gain(high, low, level=level).sign() < 1 for high in self.orders[low:]):
                return low
        return self.orders[-1]

    def table(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row an order, with its gain in nats per step over the order before."""
        gains = np.full((len(self.orders), 3), np.nan)
        if np.isfinite(self.score_by_group).all():
            found = [self.gain(order, order - 1, level=level) for order in self.orders[1:]]
            gains[1:] = np.array([(g.value, g.lower, g.upper) for g in found]).reshape(-1, 3)
        return pd.DataFrame(
            {
                "order": self.orders,
                "log_likelihood": self.log_likelihood,
                "n_parameters": self.n_parameters,
                "aic": self.aic,
                "bic": self.bic,
                "score": self.score,
                "gain": gains[:, 0],
                "lower": gains[:, 1],
                "upper": gains[:, 2],
            }
        )


def choose_order(kgrams: pd.DataFrame, *, most: int) -> OrderChoice:
    r"""
    Compare chains of order 1 to ``most`` on the same journeys.

    Out of sample, the forecast of order k after a history leans on that of order k - 1,
    :math:`(n_{h,to} + p_{k-1}(to)) / (n_h + 1)` (a hierarchical Dirichlet prior worth one step [1]_), so that a step
    never seen after a long history is unlikely and not impossible.

    Parameters
    ----------
    kgrams : DataFrame
        Of ``kgram_counts`` or ``kgrams_from_paths``, counted with ``order=most`` or longer histories.
    most : int
        The highest order; at least 1.

    References
    ----------
    .. [1] MacKay and Peto (1995), Natural Language Engineering 1:289.

    Raises
    ------
    ModelError
        Where no history is as long as ``most``.
    """
    kgrams = kgrams[kgrams["n"] > 0]
    longest = max((h.count(HISTORY_SEPARATOR) + 1 for h in kgrams["history"].unique() if h), default=0)
    if not 1 <= most <= longest:
        raise ModelError(
            f"most={most} is outside 1 to {longest}, the longest history counted; count steps with order={max(most, 1)}"
        )
    steps = _Steps.of(kgrams, most)
    fitted = [_likelihood(steps, order) for order in range(1, most + 1)]
    score = _foretold(steps, most)
    return OrderChoice(
        log_likelihood=np.array([f[0] for f in fitted]),
        n_parameters=np.array([f[1] for f in fitted]),
        n_steps=int(steps.n.sum()),
        score_by_group=score,
        steps_by_group=np.bincount(steps.replicate, steps.n, minlength=N_GROUPS),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Steps:
    """Rows of counts, with the code of each row's history (after forgetting) and of the step after it, by order."""

    n: np.ndarray
    replicate: np.ndarray
    history: list[np.ndarray]
    step: list[np.ndarray]
    n_targets: int

    @classmethod
    def of(cls, kgrams: pd.DataFrame, most: int) -> _Steps:
        whole, names = pd.factorize(kgrams["history"])
        to, targets = pd.factorize(kgrams["to"])
        histories, steps = [], []
        for order in range(most + 1):
            short = [HISTORY_SEPARATOR.join(h.split(HISTORY_SEPARATOR)[-order:]) if order else "" for h in names]
            history = pd.factorize(np.array(short, object))[0][whole]
            histories.append(history)
            steps.append(pd.factorize(history * len(targets) + to)[0])
        return cls(
            n=kgrams["n"].to_numpy(float),
            replicate=kgrams["replicate"].to_numpy(np.int64),
            history=histories,
            step=steps,
            n_targets=len(targets),
        )


def _likelihood(steps: _Steps, order: int) -> tuple[float, int]:
    history, step = steps.history[order], steps.step[order]
    of_step, of_history = np.bincount(step, steps.n), np.bincount(history, steps.n)
    after = np.empty(len(of_step), np.int64)
    after[step] = history
    log_likelihood = float((of_step * np.log(of_step / of_history[after])).sum())
    # what may follow a history is what ever follows its last channel
    first_step, first_history = steps.step[1], steps.history[1]
    last_of_step = np.empty(first_step.max() + 1, np.int64)
    last_of_step[first_step] = first_history
    choices = np.bincount(last_of_step)
    last = np.empty(len(of_history), np.int64)
    last[history] = first_history
    return log_likelihood, int((choices[last] - 1).sum())


def _foretold(steps: _Steps, most: int) -> np.ndarray:
    """Log score by group of customers and order, each fold foretold from the others."""
    fold = steps.replicate % _FOLDS
    score = np.zeros((N_GROUPS, most))
    if len(np.unique(fold)) < 2:
        return np.full_like(score, np.nan)
    for held_out in np.unique(fold):
        train = np.where(fold == held_out, 0.0, steps.n)
        forecast = np.full(len(train), 1 / steps.n_targets)
        test = fold == held_out
        for order in range(1, most + 1):
            step, history = steps.step[order], steps.history[order]
            seen = np.bincount(step, train)[step] + _PRIOR_STEPS * forecast
            forecast = seen / (np.bincount(history, train)[history] + _PRIOR_STEPS)
            score[:, order - 1] += np.bincount(
                steps.replicate[test], (steps.n * np.log(forecast))[test], minlength=N_GROUPS
            )
    return score
