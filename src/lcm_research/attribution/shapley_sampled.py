"""Shapley values of the conversion rate for more channels than there is room for all their sets: orders are sampled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lcm_research.attribution.edges import Outcome
from lcm_research.attribution.shapley import RateShapley, SetArrays, set_arrays
from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS

__all__ = ["sampled_shapley_rate"]

_FEWEST_ORDERS = 20


def sampled_shapley_rate(
    sets: pd.DataFrame,
    *,
    of: Outcome,
    n_orders: int,
    rng: np.random.Generator,
    channels: Sequence[str] | None = None,
) -> RateShapley:
    """
    Shapley values of the conversion rate (or value per journey) of a set of channels, from sampled orders.

    Each order is used forwards and backwards, which leaves less to chance [1]_. Over all orders the mean is the value
    itself, and what the channels of one order add always sums to the rate of all.

    Parameters
    ----------
    sets : DataFrame
        Of ``set_counts`` or ``sets_from_paths``.
    of : {"conversions", "value"}
    n_orders : int
        Even, at least 20: half of them are drawn, the others are their reverse.
    rng : Generator
        The same seed gives the same answer.
    channels : list of str, optional
        Order of the channels, and channels that no journey has (they add nothing); sorted names where absent.

    Returns
    -------
    RateShapley
        Its intervals hold the sampling of orders as well as of customers. ``coverage`` is the share of the sets met
        on the way that hold a journey.

    References
    ----------
    .. [1] Castro, Gómez and Tejada (2009), Computers & Operations Research 36:1726; Mitchell, Cooper, Frank and
       Holmes (2022), Journal of Machine Learning Research 23(43).
    """
    if n_orders < _FEWEST_ORDERS or n_orders % 2:
        raise ModelError(f"n_orders must be even and at least {_FEWEST_ORDERS}; came {n_orders}")
    arrays = set_arrays(sets, of=of)
    k = len(arrays.channels)
    grouped = _by_group_and_set(arrays)
    drawn = np.empty((n_orders // 2, k))
    value, without, held = np.zeros(k), np.zeros((N_GROUPS, k)), 0.0
    for i in range(n_orders // 2):
        order = rng.permutation(k)
        pair = [_added(arrays, grouped, each) for each in (order, order[::-1])]
        drawn[i] = (pair[0][0] + pair[1][0]) / 2
        value += drawn[i]
        without += (pair[0][1] + pair[1][1]) / 2
        held += pair[0][2] + pair[1][2]
    half = n_orders // 2
    if not arrays.enough:
        without[:] = np.nan
    return arrays.result(
        of,
        channels,
        value / half,
        without / half,
        rate=float(arrays.earned.sum() / arrays.n.sum()),
        coverage=held / n_orders,
        sampling_se=drawn.std(axis=0, ddof=1) / np.sqrt(half),
        n_orders=n_orders,
    )


def _by_group_and_set(arrays: SetArrays) -> np.ndarray:
    """Journeys and what they earned, shape (2, 100, n_sets)."""
    flat = arrays.replicate * arrays.n_sets + arrays.row_set
    size = N_GROUPS * arrays.n_sets
    counts = [np.bincount(flat, amount, minlength=size) for amount in (arrays.n, arrays.earned)]
    return np.stack(counts).reshape(2, N_GROUPS, arrays.n_sets)


def _added(arrays: SetArrays, grouped: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """What each channel adds to those before it in one order: of all journeys, and without each group of customers."""
    k = len(order)
    rank = np.empty(k, np.int64)
    rank[order] = np.arange(k)
    # a set is complete with the last of its channels; members of a set stand next to each other
    begins = np.flatnonzero(np.diff(arrays.set_of, prepend=-1))
    complete = np.maximum.reduceat(rank[arrays.channel_of], begins)
    by_rank = np.argsort(complete, kind="stable")
    present, first = np.unique(complete[by_rank], return_index=True)
    joined = np.zeros((2, N_GROUPS, k))
    joined[..., present] = np.add.reduceat(grouped[..., by_rank], first, axis=-1)
    within = joined.cumsum(axis=-1)
    together = within.sum(axis=1)
    total, left = _rates(together), _rates(together[:, None] - within)
    added, added_without = np.empty(k), np.empty((N_GROUPS, k))
    added[order] = np.diff(total, prepend=0.0)
    added_without[:, order] = np.diff(left, prepend=0.0, axis=-1)
    return added, added_without, float((together[0] > 0).mean())


def _rates(counts: np.ndarray) -> np.ndarray:
    return np.divide(counts[1], counts[0], out=np.zeros_like(counts[1]), where=counts[0] > 0.5)
