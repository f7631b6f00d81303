"""
The Shapley value of any game among a few players, exactly, from the worth of every set of them.

Sets are numbered by their bits: player k is in set number S where ``S >> k & 1``.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

__all__ = ["OrderParts", "order_parts", "shapley_of_game", "subset_sums"]

_IN_CACHE = 1 << 15

OrderParts = tuple[np.ndarray, np.ndarray]
"""For s players before a given one, the share of orders; and the size of each set: what games of one size share."""


def shapley_of_game(worth: np.ndarray, parts: OrderParts | None = None) -> np.ndarray:
    r"""
    Shapley values of any game [1]_.

    The value of player i is :math:`\sum_{S \ni i} p_{s-1} v(S) - \sum_{S \not\ni i} p_s v(S)` with
    :math:`p_s = s! (K - s - 1)! / K!`, which is the sum over sets with i of :math:`(p_{s-1} + p_s) v(S)` less one sum
    over all sets that is the same for all players.

    Parameters
    ----------
    worth : array of shape (2 ** K,)
        Of each set of players.
    parts : tuple, optional
        Of ``order_parts``, where many games are solved.

    Returns
    -------
    array of shape (K,)
        They sum to the worth of all players less that of none.

    References
    ----------
    .. [1] Shapley (1953), Contributions to the Theory of Games II, 307.

    Examples
    --------
    Two players are worth 1 and 2 alone, and 5 together; the 2 they add to each other are shared:

    >>> shapley_of_game(np.array([0.0, 1.0, 2.0, 5.0])).tolist()
    [2.0, 3.0]
    """
    of_size, size = order_parts(len(worth).bit_length() - 1) if parts is None else parts
    k = len(of_size) - 1
    common = np.bincount(size, worth, minlength=k + 1)[:k] @ of_size[:k]
    with_player = np.append(0.0, of_size[:k]) + np.append(of_size[:k], 0.0)
    sums = with_player[size] * worth
    value = np.empty(k)
    for player in reversed(range(k)):
        absent, present = sums.reshape(2, -1)
        value[player] = present.sum()
        sums = absent + present
    return value - common


def subset_sums(amounts: np.ndarray) -> np.ndarray:
    """
    Sum, for each set, the amounts of its subsets (zeta transform [1]_), in place and returned.

    Parameters
    ----------
    amounts : array of float, shape (2 ** K,)
        By the bits of the set.

    References
    ----------
    .. [1] Yates (1937), The Design and Analysis of Factorial Experiments; Björklund et al. (2007), STOC 67.

    Examples
    --------
    >>> subset_sums(np.array([0.0, 1.0, 2.0, 4.0])).tolist()
    [0.0, 1.0, 2.0, 7.0]
    """
    # the low bits are done piece by piece, while the piece is in the processor's cache
    near = min(len(amounts), _IN_CACHE)
    for piece in amounts.reshape(-1, near):
        _add_bits(piece, 1, near)
    _add_bits(amounts, near, len(amounts))
    return amounts


def _add_bits(amounts: np.ndarray, low: int, high: int) -> None:
    while low < high:
        pairs = amounts.reshape(-1, 2, low)
        pairs[:, 1] += pairs[:, 0]
        low *= 2


def order_parts(k: int) -> OrderParts:
    """Return the share of orders in which given s players come first and a given one next, and each set's size."""
    s = np.arange(k)
    of_size = np.exp(gammaln(s + 1) + gammaln(k - s) - gammaln(k + 1))
    size = np.zeros(1, np.int8)
    for _ in range(k):
        size = np.concatenate([size, size + 1]).astype(np.int8)
    return np.append(of_size, 0.0), size
