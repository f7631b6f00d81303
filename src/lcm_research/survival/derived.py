"""A number computed from fitted parameters, with the interval that the fit's own intervals ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from scipy import special, stats

from lcm_research.estimate import Estimate, Scale, jackknife

__all__ = ["ParameterFit", "derived"]

STEP = 1e-5

_SCALES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "identity": (lambda x: x, lambda x: x),
    "log": (np.log, np.exp),
    "logit": (special.logit, special.expit),
    "loglog": (lambda x: np.log(-np.log(x)), lambda x: np.exp(-np.exp(x))),
}


class ParameterFit(Protocol):
    """A fit by few parameters on the log scale."""

    @property
    def log_parameters(self) -> np.ndarray:
        """Shape (p,)."""

    @property
    def covariance(self) -> np.ndarray:
        """Of the log parameters, shape (p, p)."""

    @property
    def moved(self) -> np.ndarray | None:
        """By how much each group of customers moves the log parameters, shape (100, p)."""

    @property
    def n(self) -> int:
        """Customers."""

    @property
    def level(self) -> float:
        """Confidence level."""


def derived(
    fit: ParameterFit,
    quantity: Callable[[np.ndarray], float],
    *,
    unit: str,
    scale: Scale,
    n: int | None = None,
    without_group: Callable[[np.ndarray, int], float] | None = None,
) -> Estimate:
    """
    Put an interval around a function of the log parameters, on the scale where it is symmetric.

    By the jackknife from ``fit.moved``, otherwise by the delta method with differences for slopes.

    Parameters
    ----------
    quantity : function
        From log parameters to the number.
    n : int, optional
        Customers that the number is about; by default all that were fitted.
    without_group : function, optional
        From log parameters and a group (0 to 99) to the number without that group's customers, where the number
        is an average over customers.
    """
    at = fit.log_parameters
    value, size = quantity(at), fit.n if n is None else n
    if fit.moved is not None:
        each = [at - moved for moved in fit.moved]
        without = [quantity(a) if without_group is None else without_group(a, g) for g, a in enumerate(each)]
        return jackknife(value, np.array(without), unit=unit, n=size, scale=scale, level=fit.level)
    to, back = _SCALES[scale]
    steps = STEP * np.eye(len(at))
    slope = np.array([to(quantity(at + step)) - to(quantity(at - step)) for step in steps]) / (2 * STEP)
    half = stats.norm.ppf(0.5 + fit.level / 2) * np.sqrt(slope @ fit.covariance @ slope)
    lower, upper = sorted(float(back(to(value) + end)) for end in (-half, half))
    return Estimate(value=value, lower=lower, upper=upper, unit=unit, n=size, level=fit.level)
