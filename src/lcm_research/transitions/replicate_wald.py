"""
A joint test that several differences are zero, from the spread between groups of customers.

It holds where customers contribute many moves and differ from each other, which the classical tests of counts take
for memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lcm_research.estimate import FEWEST_DRAWS, MOST_DIFFERENCES, group_draws, group_pulls, hotelling, share_reached

__all__ = ["ReplicateWald", "bootstrap_wald", "hotelling_wald", "replicate_wald"]


@dataclass(frozen=True, kw_only=True)
class ReplicateWald:
    """
    A joint test on the covariance between 100 groups of customers.

    Attributes
    ----------
    statistic, p_value : float
        F for Hotelling's test, a mean squared standardised difference for the bootstrap; NaN where none applies.
    degrees_of_freedom : tuple of int
        The differences, and for Hotelling's test 100 less them.
    method : str
        ``"hotelling"``, ``"bootstrap"`` or ``"none"``.
    reason : str
        Why there is no test; empty where there is one.
    """

    statistic: float
    degrees_of_freedom: tuple[int, int]
    p_value: float
    method: str
    reason: str = ""

    @property
    def applies(self) -> bool:
        """Whether there is a p-value."""
        return self.method != "none"


def replicate_wald(
    value: np.ndarray, without: np.ndarray, *, rng: np.random.Generator | None = None, n_draws: int = FEWEST_DRAWS
) -> ReplicateWald:
    """
    Test that all of ``value`` are zero: Hotelling up to 30 differences, beyond that a bootstrap of the groups.

    Parameters
    ----------
    value : array of shape (p,)
        Smooth differences, linearly independent of each other.
    without : array of shape (100, p)
        The same without each group of customers.
    rng : Generator, optional
        For the bootstrap; without it more than 30 differences are not tested, and the result says so.
    n_draws : int
        At least 999.
    """
    p = len(value)
    if p == 0:
        return _none("there is nothing to compare")
    if p <= MOST_DIFFERENCES:
        return hotelling_wald(value, without)
    if rng is None:
        return _none(f"{p} differences at once, more than {MOST_DIFFERENCES}: merge stages or give rng for a bootstrap")
    return bootstrap_wald(value, without, rng=rng, n_draws=n_draws)


def hotelling_wald(value: np.ndarray, without: np.ndarray) -> ReplicateWald:
    """Hotelling's test of ``estimate.hotelling``, refused where the differences do not vary independently."""
    statistic, freedom, p_value = hotelling(value, without)
    if freedom[0] < len(value):
        return _none(
            f"the {len(value)} differences do not vary independently between groups of customers; merge stages"
        )
    return ReplicateWald(statistic=statistic, degrees_of_freedom=freedom, p_value=p_value, method="hotelling")


def bootstrap_wald(
    value: np.ndarray, without: np.ndarray, *, rng: np.random.Generator, n_draws: int = FEWEST_DRAWS
) -> ReplicateWald:
    """
    Mean squared difference in units of its standard error, held against draws of 100 groups with replacement.

    Each group's pull on a smooth statistic is read off its leave-one-out value, so a draw costs one product and
    nothing is fitted again. Draws are centred: they show how large the statistic gets where nothing differs.
    """
    pulls, error = group_pulls(value, without)
    draws = group_draws(pulls, rng=rng, n_draws=n_draws)
    if not (error > 0).all():
        return _none("some differences do not vary between groups of customers; merge stages")
    statistic = float(((value / error) ** 2).mean())
    p_value = share_reached(((draws / error) ** 2).mean(axis=1), statistic)
    return ReplicateWald(statistic=statistic, degrees_of_freedom=(len(value), 0), p_value=p_value, method="bootstrap")


def _none(reason: str) -> ReplicateWald:
    return ReplicateWald(statistic=np.nan, degrees_of_freedom=(0, 0), p_value=np.nan, method="none", reason=reason)
