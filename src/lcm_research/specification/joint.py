"""
What all definitions say together: is the null tenable under every one of them, do they agree, is the curve by chance?

All answers rest on the same customers. Each group's pull on every answer is read off its leave-one-out values, so
that drawing other customers moves all answers together and nothing is fitted again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lcm_research.estimate import FEWEST_DRAWS, MOST_DIFFERENCES, group_draws, group_pulls, hotelling, share_reached
from lcm_research.specification.curve import SpecificationCurve

__all__ = ["JointTest", "MedianTest", "agreement_test", "median_test", "null_test"]


@dataclass(frozen=True, kw_only=True)
class JointTest:
    """
    A test on all definitions at once, from 100 groups of customers.

    Attributes
    ----------
    statistic, p_value : float
        F for ``hotelling``, the mean squared standardised distance for ``bootstrap``; NaN where none applies.
    degrees_of_freedom : tuple of int
        Directions in which the answers vary independently, and 100 less them.
    n_definitions : int
        Distinct answers that were tested.
    method : {"hotelling", "bootstrap", "none"}
    """

    statistic: float
    degrees_of_freedom: tuple[int, int]
    p_value: float
    n_definitions: int
    method: Literal["hotelling", "bootstrap", "none"]

    @property
    def applies(self) -> bool:
        """Whether there is a p-value."""
        return self.method != "none"


def null_test(curve: SpecificationCurve, *, rng: np.random.Generator, n_draws: int = FEWEST_DRAWS) -> JointTest:
    """
    Test that the answer is the null under every definition.

    Hotelling's test in the directions in which the answers vary (definitions that hardly differ share one), up to 30
    of them; beyond that a bootstrap of the 100 groups. That it rejects says that the null does not hold under some
    definition; it does not say under which, nor that all agree.

    Parameters
    ----------
    curve : SpecificationCurve
        With a null.
    rng : Generator
        For the bootstrap.
    n_draws : int
        At least 999.
    """
    curve.known_null()
    return _joint(*curve.distances()[:2], rng=rng, n_draws=n_draws)


def agreement_test(curve: SpecificationCurve, *, rng: np.random.Generator, n_draws: int = FEWEST_DRAWS) -> JointTest:
    """
    Test that all definitions come to one number, whatever it is.

    As ``null_test``, on the distances from their mean. With many customers it rejects for differences that
    do not matter; read it beside ``spread``.
    """
    value, without, _ = curve.distances()
    return _joint(value - value.mean(), without - without.mean(axis=1, keepdims=True), rng=rng, n_draws=n_draws)


def _joint(value: np.ndarray, without: np.ndarray, *, rng: np.random.Generator, n_draws: int) -> JointTest:
    pulls, error = group_pulls(value, without)
    moves = error > 0
    none = JointTest(
        statistic=np.nan, degrees_of_freedom=(0, 0), p_value=np.nan, n_definitions=len(value), method="none"
    )
    if not moves.any():
        return none
    standard = value[moves] / error[moves]
    statistic, freedom, p_value = hotelling(standard, without[:, moves] / error[moves])
    if freedom[0] > MOST_DIFFERENCES:
        draws = group_draws(pulls[:, moves], rng=rng, n_draws=n_draws) / error[moves]
        statistic = float((standard**2).mean())
        p_value = share_reached((draws**2).mean(axis=1), statistic)
        return JointTest(
            statistic=statistic,
            degrees_of_freedom=freedom,
            p_value=p_value,
            n_definitions=len(value),
            method="bootstrap",
        )
    return JointTest(
        statistic=statistic,
        degrees_of_freedom=freedom,
        p_value=p_value,
        n_definitions=len(value),
        method="hotelling",
    )


@dataclass(frozen=True, kw_only=True)
class MedianTest:
    """
    What the whole curve would look like if the null held under every definition.

    Attributes
    ----------
    median : float
        Median distance from the null, on the scale of the curve.
    p_median : float
        Share of draws in which the median is as far from the null, on either side.
    n_same_sign, p_same_sign : int, float
        Answers on the commoner side of the null, and the share of draws with so many on one side.
    n_beyond, p_beyond : int, float
        Intervals beyond the null on that side, and the share of draws with so many on one side.
    n_definitions, n_draws : int
    """

    median: float
    p_median: float
    n_same_sign: int
    p_same_sign: float
    n_beyond: int
    p_beyond: float
    n_definitions: int
    n_draws: int


def median_test(
    curve: SpecificationCurve, *, rng: np.random.Generator, n_draws: int = FEWEST_DRAWS
) -> MedianTest | None:
    """
    Test the curve as a whole: its median, its commoner sign, its intervals beyond the null [1]_.

    The 100 groups of customers are drawn with replacement; a draw moves all answers together, as other customers
    would have, and is centred on the null. Each group's pull on an answer is read off its leave-one-out value, so
    nothing is fitted again, and the width of an interval is taken as it is.

    Parameters
    ----------
    curve : SpecificationCurve
        With a null.
    rng : Generator
    n_draws : int
        At least 999.

    Returns
    -------
    MedianTest or None
        None where no answer varies between groups of customers.

    References
    ----------
    .. [1] Simonsohn, Simmons and Nelson (2020), Nature Human Behaviour 4:1208.
    """
    curve.known_null()
    value, without, reach = curve.distances()
    pulls, error = group_pulls(value, without)
    moves = error > 0
    if not moves.any():
        return None
    value, reach = value[moves], reach[moves]
    draws = group_draws(pulls[:, moves], rng=rng, n_draws=n_draws)
    same, beyond = _most_on_one_side(value[None], 0.0)[0], _most_on_one_side(value[None], reach)[0]
    return MedianTest(
        median=float(np.median(value)),
        p_median=share_reached(np.abs(np.median(draws, axis=1)), abs(float(np.median(value)))),
        n_same_sign=int(same),
        p_same_sign=share_reached(_most_on_one_side(draws, 0.0), same),
        n_beyond=int(beyond),
        p_beyond=share_reached(_most_on_one_side(draws, reach), beyond),
        n_definitions=len(value),
        n_draws=n_draws,
    )


def _most_on_one_side(values: np.ndarray, reach: np.ndarray | float) -> np.ndarray:
    return np.maximum((values > reach).sum(axis=1), (values < -reach).sum(axis=1))
