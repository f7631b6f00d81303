"""
Credit: how conversions, or their value, are shared out among channels by one model.

Credit describes association. What would happen without a channel it does not say, whatever the model is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.attribution.edges import Outcome
from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import FEW_GROUPS, Estimate, Scale, jackknife, jackknife_se

__all__ = ["Credit", "Model", "Quantity", "intervals"]

Model = Literal["first", "last", "last_non_direct", "linear", "position", "time_decay", "markov", "shapley", "null"]
Quantity = Literal["share", "removal_effect"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Credit:
    """
    Associated credit of each channel under one model.

    Parameters
    ----------
    model : {"first", "last", "last_non_direct", "linear", "position", "time_decay", "markov", "shapley", "null"}
        How credit is given; ``null`` is what the removal effect gives where the last channel makes no difference.
    of : {"conversions", "value"}
        What is shared out.
    channels : tuple of str, length K
    share : array of shape (K,)
        Share of the total; sums to 1.
    share_without : array of shape (100, K)
        The shares without each group of customers.
    total : float
        Conversions, or their value in minor units.
    n_groups : array of shape (K,)
        Groups of customers in which the channel was touched (in a converted journey, for a heuristic).
    removal_effect, removal_effect_without : arrays, optional
        Share of the total that is lost where the channel is removed, before it is scaled to sum to 1.
    """

    model: Model
    of: Outcome
    channels: tuple[str, ...]
    share: np.ndarray
    share_without: np.ndarray
    total: float
    n_groups: np.ndarray
    removal_effect: np.ndarray | None = None
    removal_effect_without: np.ndarray | None = None

    @property
    def credit(self) -> np.ndarray:
        """The total, shared out: conversions, or value in minor units."""
        return self.share * self.total

    def estimate(self, channel: str, *, n: int, quantity: Quantity = "share", level: float = 0.95) -> Estimate:
        """
        Return one channel's share or removal effect with its interval.

        Parameters
        ----------
        n : int
            Customers whose journeys it rests on.

        Returns
        -------
        Estimate
            Without an interval (NaN) where fewer than 20 groups of customers met the channel.
        """
        place = self._place(channel)
        value, without = self._values(quantity)
        lower, upper = intervals(value, without, self.n_groups, scale="logit", level=level)
        return Estimate(
            value=float(value[place]),
            lower=float(lower[place]),
            upper=float(upper[place]),
            unit="share",
            n=n,
            level=level,
            leave_one_out=without[:, place],
        )

    def interval(self, quantity: Quantity = "share", *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper ends by channel; NaN where the counts allow none."""
        value, without = self._values(quantity)
        return intervals(value, without, self.n_groups, scale="logit", level=level)

    def leading(self, *, level: float = 0.95) -> tuple[str, ...]:
        """
        Return the channels that may have the largest share, the one that has it in these data first.

        A channel is out where the jackknife interval of the leader's share less its own lies above zero, at
        ``level`` for all channels together (Bonferroni).
        """
        order = np.argsort(-self.share, kind="stable")
        top, others = order[0], order[1:]
        if not len(others):
            return self.channels
        difference = self.share[top] - self.share[others]
        spread = jackknife_se(difference, self.share_without[:, [top]] - self.share_without[:, others])
        reach = stats.t.ppf(1 - (1 - level) / 2 / len(others), len(self.share_without) - 1) * spread
        stays = ~(difference - reach > 0)
        return tuple(self.channels[k] for k in [top, *others[stays]])

    def table(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row a channel, the most credited first; credit's interval is the share's times the total."""
        lower, upper = self.interval(level=level)
        columns = {
            "channel": list(self.channels),
            "credit": self.credit,
            "credit_lower": lower * self.total,
            "credit_upper": upper * self.total,
            "share": self.share,
            "lower": lower,
            "upper": upper,
        }
        if self.removal_effect is not None:
            effect_lower, effect_upper = self.interval("removal_effect", level=level)
            columns |= {
                "removal_effect": self.removal_effect,
                "removal_effect_lower": effect_lower,
                "removal_effect_upper": effect_upper,
            }
        return pd.DataFrame(columns).sort_values(["share", "channel"], ascending=[False, True], ignore_index=True)

    def _values(self, quantity: Quantity) -> tuple[np.ndarray, np.ndarray]:
        if quantity == "share":
            return self.share, self.share_without
        if self.removal_effect is None or self.removal_effect_without is None:
            raise ModelError(f"model '{self.model}' has no removal effects; ask for 'share', or for the model 'markov'")
        return self.removal_effect, self.removal_effect_without

    def _place(self, channel: str) -> int:
        if channel not in self.channels:
            raise ModelError(f"no journey has the channel '{channel}'; {nearest(channel, self.channels)}")
        return self.channels.index(channel)


def intervals(
    value: np.ndarray, without: np.ndarray, n_groups: np.ndarray, *, scale: Scale, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return jackknife intervals of several statistics, NaN for those whose counts allow none.

    Parameters
    ----------
    value : array of shape (K,)
    without : array of shape (100, K)
    n_groups : array of shape (K,)
        Groups of customers that each statistic rests on; with fewer than 20 there is no interval.
    scale : {"logit", "identity"}
        A share of 0 or 1, with or without some group, has no interval on the logit scale.
    """
    lower, upper = np.full(len(value), np.nan), np.full(len(value), np.nan)
    inside = np.isfinite(without).all(axis=0) & (n_groups >= FEW_GROUPS)
    if scale == "logit":
        with np.errstate(invalid="ignore"):
            inside &= ((without > 0) & (without < 1)).all(axis=0) & (value > 0) & (value < 1)
    for k in np.flatnonzero(inside):
        made = jackknife(float(value[k]), without[:, k], unit="share", n=0, scale=scale, level=level)
        lower[k], upper[k] = made.lower, made.upper
    return lower, upper
