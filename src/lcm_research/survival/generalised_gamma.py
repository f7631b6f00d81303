"""
The generalised gamma as a standard error of log days: normal at shape 0, extreme value at shape 1.

In Prentice's parametrisation (R's ``flexsurv`` calls the shape Q) the family runs smoothly through the log-normal,
where the usual formulas divide by 0. Here each is written so that it does too. Derivatives by the shape are
five-point differences: the slope keeps 11 digits and the curvature 8, so a fit settles as if they were exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.polynomial import Polynomial
from scipy import special

__all__ = ["by_shape", "log_density", "log_density_slopes", "log_survival"]

STEP = 4e-3
SMALL_SHAPE = 0.03
LARGE_GAMMA = 0.25

# sum of x**k / (k + 2)!: (exp(x) - 1 - x) / x**2 where that would cancel
_CURVE = Polynomial([1 / special.factorial(k + 2) for k in range(14)])
# Stirling's series of log Gamma(shape**-2), in powers of the shape
_STIRLING = {2: 1 / 12, 6: -1 / 360, 10: 1 / 1260, 14: -1 / 1680, 18: 1 / 1188}
# Temme (1979): the incomplete gamma function about the normal one, c_k(eta) for k = 0, 1, 2
_TEMME = (
    Polynomial([-1 / 3, 1 / 12, -2 / 135, 1 / 864, 1 / 2835, -139 / 777600, 1 / 25515, -571 / 261273600]),
    Polynomial([-1 / 540, -1 / 288, 1 / 378, -77 / 77760, 1 / 4860]),
    Polynomial([25 / 6048, -139 / 51840, 1 / 1296]),
)


def log_density(z: np.ndarray, shape: np.ndarray) -> np.ndarray:
    r"""
    Log density of the standard error [1]_.

    ``-log(2 pi) / 2 - stirling(shape**-2) - z**2 (exp(x) - 1 - x) / x**2`` with ``x = shape z``: the two infinite
    terms of the usual formula, :math:`Q^{-2} \log Q^{-2}` and :math:`\log\Gamma(Q^{-2})`, are gone.

    References
    ----------
    .. [1] Prentice (1974), Biometrika 61:539.

    Examples
    --------
    The normal density, and the extreme value density ``z - exp(z)``:

    >>> log_density(np.array([1.0, 1.0]), np.array([0.0, 1.0])).round(6).tolist()
    [-1.418939, -1.718282]
    """
    return -np.log(2 * np.pi) / 2 - _stirling(shape) - z**2 * _curve(shape * z)


def log_density_slopes(z: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the log density by z, twice by z, and by both z and the shape."""
    x = shape * z
    line = special.exprel(x)
    return -z * line, -np.exp(x), -(z**2) * (line - _curve(x))


def log_survival(z: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Log of the share beyond ``z``: an incomplete gamma function, by Temme's expansion near shape 0 [1]_.

    References
    ----------
    .. [1] Temme (1979), SIAM Journal on Mathematical Analysis 10:757.

    Examples
    --------
    >>> log_survival(np.array([0.0, 0.0]), np.array([0.0, 1.0])).round(6).tolist()
    [-0.693147, -1.0]
    """
    near = np.abs(shape) < SMALL_SHAPE
    made = np.empty(np.broadcast(z, shape).shape)
    made[near] = _near_normal(z[near], shape[near])
    made[~near] = _by_gamma(z[~near], shape[~near])
    return made


def by_shape(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray], z: np.ndarray, shape: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a function of ``z`` and the shape, with its first and second derivative by the shape."""
    far_below, below, here, above, far_above = (function(z, shape + k * STEP) for k in range(-2, 3))
    first = (8 * (above - below) - (far_above - far_below)) / (12 * STEP)
    second = (16 * (above + below) - (far_above + far_below) - 30 * here) / (12 * STEP**2)
    return here, first, second


def _curve(x: np.ndarray) -> np.ndarray:
    """(exp(x) - 1 - x) / x**2, which is 1/2 at 0."""
    safe = np.where(np.abs(x) < 0.5, 1.0, x)
    return np.where(np.abs(x) < 0.5, _CURVE(x), (np.expm1(safe) - safe) / safe**2)


def _stirling(shape: np.ndarray) -> np.ndarray:
    """Log Gamma(a) less ``(a - 1/2) log a - a + log(2 pi) / 2``, with ``a = shape**-2``."""
    series = sum(factor * shape**power for power, factor in _STIRLING.items())
    a = np.where(np.abs(shape) < LARGE_GAMMA, 1.0, shape) ** -2.0
    exact = special.gammaln(a) - (a - 0.5) * np.log(a) + a - np.log(2 * np.pi) / 2
    return np.where(np.abs(shape) < LARGE_GAMMA, series, exact)


def _near_normal(z: np.ndarray, shape: np.ndarray) -> np.ndarray:
    y = z * np.sqrt(2 * _curve(shape * z))
    correction = sum(term(shape * y) * shape ** (2 * k) for k, term in enumerate(_TEMME))
    log_normal = special.log_ndtr(-y)
    hazard = np.exp(-(y**2) / 2 - np.log(2 * np.pi) / 2 - log_normal)
    return log_normal + np.log1p(shape * hazard * correction)


def _by_gamma(z: np.ndarray, shape: np.ndarray) -> np.ndarray:
    a = shape**-2.0
    x = a * np.exp(shape * z)
    below, above = special.gammainc(a, x), special.gammaincc(a, x)
    gone, left = np.where(shape > 0, below, above), np.where(shape > 0, above, below)
    with np.errstate(divide="ignore"):  # each of the two is used where it is not at its edge
        return np.where(gone < 0.5, np.log1p(-gone), np.log(left))
