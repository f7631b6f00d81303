"""A function that changes on days only: what it says on one of them, and nothing beyond its follow-up."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate

__all__ = ["StepFunction", "on_day"]


class StepFunction(Protocol):
    """What curves of survival, incidence and events have in common."""

    @property
    def times(self) -> np.ndarray:
        """Days on which the function changes, rising."""

    @property
    def lower(self) -> np.ndarray:
        """Lower ends of its pointwise interval."""

    @property
    def upper(self) -> np.ndarray:
        """Upper ends of its pointwise interval."""

    @property
    def n(self) -> int:
        """What it rests on."""

    @property
    def level(self) -> float:
        """Confidence level of the interval."""

    @property
    def follow_up_days(self) -> float:
        """Last day it speaks of."""

    @property
    def without(self) -> np.ndarray | None:
        """Its values without each group of customers, where they are kept."""


def on_day(curve: StepFunction, values: np.ndarray, day: float, *, before: float, unit: str) -> Estimate:
    """
    Read a function on ``day``, with its own interval there.

    Parameters
    ----------
    values : array of shape (n_times,)
        The function on ``curve.times``.
    day : float
        From 0 to ``curve.follow_up_days``; ModelError beyond.
    before : float
        Its value before the first of ``curve.times``, which is certain.
    """
    if not 0 <= day <= curve.follow_up_days:
        raise ModelError(
            f"day {day:g} is outside the follow-up of {curve.follow_up_days:g} days; choose a day in "
            f"[0, {curve.follow_up_days:g}] or wait for more data"
        )
    place = int(np.searchsorted(curve.times, day, side="right")) - 1
    if place < 0:
        return Estimate(value=before, lower=before, upper=before, unit=unit, n=curve.n, level=curve.level)
    return Estimate(
        value=float(values[place]),
        lower=float(curve.lower[place]),
        upper=float(curve.upper[place]),
        unit=unit,
        n=curve.n,
        level=curve.level,
        leave_one_out=None if curve.without is None else curve.without[:, place],
    )
