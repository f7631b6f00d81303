r"""
Shapley values of channels, exactly, and which game they are the value of.

A game says what each set of channels is worth; the Shapley value [1]_ of a channel is what it adds to the channels
before it, averaged over all orders. There is no one game of attribution. Two are told apart here:

*conversions within the set*
    :math:`v(S)` counts the conversions of journeys that hold no channel outside :math:`S`. It only grows with
    :math:`S`, so that no value is negative; they sum to the conversions and are credit. The value is an equal split
    among the distinct channels of each journey [2]_: journeys that do not convert play no part.
*conversion rate of the set*
    :math:`v(S)` is the share that converts of the journeys that hold no channel outside :math:`S`. A channel whose
    journeys convert less often than others has a negative value. It is signed and no share of anything.

Neither is what would happen with fewer channels: customers whose journeys hold few channels are other customers.

References
----------
.. [1] Shapley (1953), Contributions to the Theory of Games II, 307.
.. [2] Zhao, Mahboobi and Bagheri (2018), arXiv:1804.05327: the sum over games of unanimity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.attribution.channel_sets import set_members
from lcm_research.attribution.credit import Credit, intervals
from lcm_research.attribution.edges import Outcome
from lcm_research.attribution.shapley_game import OrderParts, order_parts, shapley_of_game, subset_sums
from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, Estimate, by_replicate, jackknife_se

__all__ = [
    "MOST_EXACT_CHANNELS",
    "RateShapley",
    "SetArrays",
    "set_arrays",
    "shapley_credit",
    "shapley_rate",
]

MOST_EXACT_CHANNELS = 24
"""With more channels than this the sets do not fit in memory; orders of channels are sampled."""


def shapley_credit(sets: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None) -> Credit:
    r"""
    Credit by the Shapley value of conversions (or value) within the set, for any number of channels.

    Parameters
    ----------
    sets : DataFrame
        Of ``set_counts`` or ``sets_from_paths``.
    of : {"conversions", "value"}
    channels : list of str, optional
        Order of the channels, and channels that no journey has (their credit is zero); sorted names where absent.

    Returns
    -------
    Credit
        Sums to the conversions, or to their value; jackknife by groups of customers.

    Examples
    --------
    >>> sets = pd.DataFrame({"channels": ["a", "a\x1fb"], "replicate": 0, "n": 9, "n_conversions": [1, 4]})
    >>> credit = shapley_credit(sets, of="conversions")
    >>> dict(zip(credit.channels, credit.credit.tolist()))
    {'a': 3.0, 'b': 2.0}
    """
    members = set_members(sets)
    seen = sorted(members["channel"].unique())
    names = _named(seen, channels)
    column = "n_conversions" if of == "conversions" else "value_minor"
    total = float(sets[column].sum())
    if not total > 0:
        raise ModelError(f"credit of {of} needs journeys that convert, with a positive total; it is {total:g}")
    members["part"] = members[column] / members["n_channels"]
    grouped = by_replicate(members, ["part", "n"], ["channel"], [pd.Index(names)])
    together = grouped[..., 0].sum(axis=0)
    remaining = together - grouped[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        without = remaining / remaining.sum(axis=1, keepdims=True)
    return Credit(
        model="shapley",
        of=of,
        channels=tuple(names),
        share=together / total,
        share_without=without,
        total=total,
        n_groups=(grouped[..., 1] > 0).sum(axis=0),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class RateShapley:
    """
    Shapley values of the conversion rate of a set of channels: signed, and no share of anything.

    Parameters
    ----------
    of : {"conversions", "value"}
        Conversions per journey, or value per journey in minor units.
    channels : tuple of str, length K
    value : array of shape (K,)
        What each channel adds to the rate; they sum to ``rate``.
    value_without : array of shape (100, K)
        The same without each group of customers.
    rate : float
        Of all journeys: the worth of all channels together.
    n_groups : array of shape (K,)
        Groups of customers that met each channel.
    coverage : float
        Share of the sets of channels that hold at least one journey; the others are worth nothing here, which is a
        convention and no measurement.
    sampling_se : array of shape (K,)
        Standard error from sampling orders; zero where the value is exact.
    n_orders : int
        Orders sampled; 0 where the value is exact.
    """

    of: Outcome
    channels: tuple[str, ...]
    value: np.ndarray
    value_without: np.ndarray
    rate: float
    n_groups: np.ndarray
    coverage: float
    sampling_se: np.ndarray
    n_orders: int

    def interval(self, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper ends by channel, for customers and sampled orders; NaN where the counts allow none."""
        if not self.n_orders:
            return intervals(self.value, self.value_without, self.n_groups, scale="identity", level=level)
        spread = np.sqrt(jackknife_se(self.value, self.value_without) ** 2 + self.sampling_se**2)
        reach = stats.t.ppf(0.5 + level / 2, min(N_GROUPS, self.n_orders // 2) - 1) * spread
        reach = np.where(self.n_groups >= FEW_GROUPS, reach, np.nan)
        return self.value - reach, self.value + reach

    def estimate(self, channel: str, *, n: int, level: float = 0.95) -> Estimate:
        """
        Return what one channel adds to the rate.

        Parameters
        ----------
        n : int
            Customers whose journeys it rests on.
        """
        if channel not in self.channels:
            raise ModelError(f"no journey has the channel '{channel}'; {nearest(channel, self.channels)}")
        place = self.channels.index(channel)
        lower, upper = self.interval(level=level)
        return Estimate(
            value=float(self.value[place]),
            lower=float(lower[place]),
            upper=float(upper[place]),
            unit="conversions per journey" if self.of == "conversions" else "value per journey",
            n=n,
            level=level,
            leave_one_out=self.value_without[:, place],
        )

    def table(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row a channel, the largest value first."""
        lower, upper = self.interval(level=level)
        rows = pd.DataFrame(
            {"channel": list(self.channels), "added_to_rate": self.value, "lower": lower, "upper": upper}
        )
        return rows.sort_values(["added_to_rate", "channel"], ascending=[False, True], ignore_index=True)


def shapley_rate(sets: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None) -> RateShapley:
    """
    Shapley values of the conversion rate (or value per journey) of a set of channels, exactly.

    Parameters
    ----------
    sets : DataFrame
        Of ``set_counts`` or ``sets_from_paths``.
    of : {"conversions", "value"}
    channels : list of str, optional
        Order of the channels, and channels that no journey has (they add nothing); sorted names where absent.

    Returns
    -------
    RateShapley
        Jackknife by groups of customers, each left out and solved again. The time doubles with every channel.

    Raises
    ------
    ModelError
        With more than 24 channels in the journeys: sample orders with ``sampled_shapley_rate``.
    """
    arrays = set_arrays(sets, of=of)
    k = len(arrays.channels)
    if k > MOST_EXACT_CHANNELS:
        raise ModelError(
            f"{k} channels have 2 ** {k} sets, more than the 2 ** {MOST_EXACT_CHANNELS} that fit in memory; sample "
            "orders with sampled_shapley_rate, or merge channels"
        )
    bits = np.zeros(arrays.n_sets, np.int64)
    np.add.at(bits, arrays.set_of, 1 << arrays.channel_of.astype(np.int64))
    parts = order_parts(k)

    def within(rows: slice | np.ndarray, amounts: np.ndarray) -> np.ndarray:
        return subset_sums(np.bincount(bits[arrays.row_set[rows]], amounts[rows], minlength=1 << k))

    every = slice(None)
    journeys, earned = within(every, arrays.n), within(every, arrays.earned)
    value = _of_rates(earned, journeys, parts)
    coverage = float((journeys[1:] > 0).mean())
    without = np.full((N_GROUPS, k), np.nan)
    if arrays.enough:
        for group in range(N_GROUPS):
            rows = np.flatnonzero(arrays.replicate == group)
            less = [journeys - within(rows, arrays.n), earned - within(rows, arrays.earned)] if len(rows) else None
            without[group] = value if less is None else _of_rates(less[1], less[0], parts)
    return arrays.result(of, channels, value, without, rate=float(earned[-1] / journeys[-1]), coverage=coverage)


def _of_rates(earned: np.ndarray, journeys: np.ndarray, parts: OrderParts) -> np.ndarray:
    rate = np.divide(earned, journeys, out=np.zeros_like(earned), where=journeys > 0.5)
    return shapley_of_game(rate, parts)


@dataclass(frozen=True, kw_only=True, eq=False)
class SetArrays:
    """
    Sets of channels as arrays.

    Parameters
    ----------
    channels : tuple of str, length K
        That journeys hold, sorted.
    set_of, channel_of : arrays of shape (M,)
        Which distinct set holds which channel.
    n_sets : int
    row_set, replicate, n, earned : arrays of shape (R,)
        Of each row of counts: its set, group of customers, journeys, and conversions or value.
    """

    channels: tuple[str, ...]
    set_of: np.ndarray
    channel_of: np.ndarray
    n_sets: int
    row_set: np.ndarray
    replicate: np.ndarray
    n: np.ndarray
    earned: np.ndarray

    @property
    def enough(self) -> bool:
        """Whether enough groups of customers earned anything for a jackknife."""
        return len(set(self.replicate[self.earned > 0])) >= FEW_GROUPS

    def groups_with(self) -> np.ndarray:
        """Return in how many groups of customers each channel was touched, shape (K,)."""
        met = np.zeros((N_GROUPS, self.n_sets), bool)
        met[self.replicate, self.row_set] = True
        sets = [self.set_of[self.channel_of == k] for k in range(len(self.channels))]
        return np.array([met[:, held].any(axis=1).sum() for held in sets])

    def result(
        self,
        of: Outcome,
        channels: Sequence[str] | None,
        value: np.ndarray,
        without: np.ndarray,
        *,
        rate: float,
        coverage: float,
        sampling_se: np.ndarray | None = None,
        n_orders: int = 0,
    ) -> RateShapley:
        """Put values in the order of ``channels``; those that no journey has add nothing."""
        names = _named(self.channels, channels)
        place = pd.Index(self.channels).get_indexer(pd.Index(names))
        seen = place >= 0

        def placed(x: np.ndarray) -> np.ndarray:
            return np.where(seen, x[..., place], 0.0)

        return RateShapley(
            of=of,
            channels=tuple(names),
            value=placed(value),
            value_without=placed(without),
            rate=rate,
            n_groups=placed(self.groups_with()).astype(int),
            coverage=coverage,
            sampling_se=placed(np.zeros(len(value)) if sampling_se is None else sampling_se),
            n_orders=n_orders,
        )


def set_arrays(sets: pd.DataFrame, *, of: Outcome) -> SetArrays:
    """Arrange a table of sets; ModelError where no journey converts."""
    column = "n_conversions" if of == "conversions" else "value_minor"
    total = float(sets[column].sum())
    if not total > 0:
        raise ModelError(f"credit of {of} needs journeys that convert, with a positive total; it is {total:g}")
    if (wrong := sets["n"] < 1).any():
        row = int(np.flatnonzero(wrong)[0])
        raise ModelError(f"sets: row {row} counts {sets['n'].iloc[row]} journeys; leave out rows without any")
    row_set, distinct = pd.factorize(sets["channels"])
    members = set_members(pd.DataFrame({"channels": distinct}))
    channel_of, names = pd.factorize(members["channel"], sort=True)
    return SetArrays(
        channels=tuple(names),
        set_of=members.index.to_numpy(),
        channel_of=channel_of,
        n_sets=len(distinct),
        row_set=row_set,
        replicate=sets["replicate"].to_numpy(np.int64),
        n=sets["n"].to_numpy(float),
        earned=sets[column].to_numpy(float),
    )


def _named(seen: Sequence[str], channels: Sequence[str] | None) -> list[str]:
    names = list(seen) if channels is None else list(channels)
    if missing := sorted(set(seen) - set(names)):
        raise ModelError(f"journeys hold the channel '{missing[0]}', which is not among {names}; add it to channels")
    return names
