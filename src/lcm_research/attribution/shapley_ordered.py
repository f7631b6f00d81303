"""At which touch of a journey a channel's Shapley credit is earned, and the games side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.attribution.credit import Credit
from lcm_research.attribution.edges import Outcome
from lcm_research.attribution.paths import path_touches
from lcm_research.attribution.shapley import RateShapley, shapley_credit
from lcm_research.errors import ModelError

__all__ = ["OrderedShapley", "games_side_by_side", "ordered_shapley", "positions_from_paths"]


def positions_from_paths(paths: pd.DataFrame, *, separator: str) -> pd.DataFrame:
    """
    Count the touches of converted journeys by their place, and by how the journey's channels share in it.

    Parameters
    ----------
    paths, separator
        Those of ``edges_from_paths``.

    Returns
    -------
    DataFrame
        ``channel``, ``position`` (from 1), ``n_channels`` (distinct channels of the journey), ``n_repeats`` (touches
        of the channel in it), ``replicate``, ``n`` (converted journeys) and ``value_minor`` (in the unit of
        ``value``).
    """
    touches = path_touches(paths, separator=separator)
    touches = touches[touches["conversions"] > 0].rename(columns={"conversions": "n", "value": "value_minor"})
    path = touches.index.to_series()
    touches["position"] = touches.groupby(level=0).cumcount() + 1
    touches["n_channels"] = path.map(touches.groupby(level=0)["channel"].nunique())
    touches["n_repeats"] = touches.groupby([path.rename("path"), "channel"])["n"].transform("size")
    keys = ["channel", "position", "n_channels", "n_repeats", "replicate"]
    return touches.groupby(keys, as_index=False)[["n", "value_minor"]].sum()


@dataclass(frozen=True, kw_only=True, eq=False)
class OrderedShapley:
    """
    Shapley credit of each channel, split by the position of its touches.

    Parameters
    ----------
    of : {"conversions", "value"}
    channels : tuple of str, length K
    credit : array of shape (K, n_positions)
        Conversions, or value in minor units; the last column holds its position and all later ones. Rows sum to
        ``shapley_credit``, nothing is negative where no value is.
    """

    of: Outcome
    channels: tuple[str, ...]
    credit: np.ndarray

    def table(self) -> pd.DataFrame:
        """Return one row a channel and position, with the share of the channel's credit that is earned there."""
        k, p = self.credit.shape
        whole = self.credit.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            share = self.credit / np.where(whole != 0, whole, np.nan)
        return pd.DataFrame(
            {
                "channel": np.repeat(np.array(self.channels, object), p),
                "position": np.tile(np.arange(1, p + 1), k),
                "credit": self.credit.ravel(),
                "share_of_channel": share.ravel(),
            }
        )


def ordered_shapley(
    positions: pd.DataFrame, *, of: Outcome, n_positions: int, channels: Sequence[str] | None = None
) -> OrderedShapley:
    """
    Split each channel's Shapley credit by the position of its touches [1]_.

    A conversion is split equally among the distinct channels of its journey (the game of conversions within the set),
    and each channel's part equally among its touches there.

    Parameters
    ----------
    positions : DataFrame
        Of ``positions_from_paths``.
    of : {"conversions", "value"}
    n_positions : int
        Positions told apart; the last one holds all later touches.
    channels : list of str, optional
        Order of the channels, and channels that no converted journey has; sorted names where absent.

    References
    ----------
    .. [1] Zhao, Mahboobi and Bagheri (2018), Shapley Value Methods for Attribution Modeling in Online Advertising,
       arXiv:1804.05327, section on the ordered Shapley value.
    """
    if n_positions < 1:
        raise ModelError(f"n_positions must be at least 1; came {n_positions}")
    seen = sorted(positions["channel"].unique())
    names = seen if channels is None else list(channels)
    if missing := sorted(set(seen) - set(names)):
        raise ModelError(f"journeys hold the channel '{missing[0]}', which is not among {names}; add it to channels")
    amount = positions["n" if of == "conversions" else "value_minor"].to_numpy(float)
    part = amount / (positions["n_channels"] * positions["n_repeats"]).to_numpy(float)
    place = np.minimum(positions["position"].to_numpy(np.int64), n_positions) - 1
    credit = np.zeros((len(names), n_positions))
    np.add.at(credit, (pd.Index(names).get_indexer(pd.Index(positions["channel"])), place), part)
    return OrderedShapley(of=of, channels=tuple(names), credit=credit)


def games_side_by_side(
    sets: pd.DataFrame, rate: RateShapley, *, ordered: OrderedShapley | None = None, level: float = 0.95
) -> pd.DataFrame:
    """
    Return one row a channel with its Shapley value in each game, largest credit first.

    Parameters
    ----------
    sets : DataFrame
        That ``rate`` was made of; the credit is made from it.
    rate : RateShapley
    ordered : OrderedShapley, optional
        Adds what the channel earns with the first touch of journeys.
    """
    credit: Credit = shapley_credit(sets, of=rate.of, channels=rate.channels)
    rows = credit.table(level=level)[["channel", "credit", "credit_lower", "credit_upper"]]
    if ordered is not None:
        if (ordered.channels, ordered.of) != (rate.channels, rate.of):
            raise ModelError("the games share out different things (channels or outcome); give each the same of both")
        first = dict(zip(ordered.channels, ordered.credit[:, 0].tolist(), strict=True))
        rows = rows.assign(credit_at_first_touch=rows["channel"].map(first))
    signed = rate.table(level=level).rename(columns={"lower": "rate_lower", "upper": "rate_upper"})
    return rows.merge(signed, on="channel", validate="one_to_one")
