"""
What a channel would be credited with for its volume and place alone.

A channel that active people use much stands in many journeys, and journeys that convert are many: it earns credit
whether or not it does anything. An interval around credit does not protect against that; a null does. Here the null
is that, at the end of a journey, the last channel makes no difference to whether it converts: every channel's
conversion probability at the ends is the overall one, and the same equations are solved.

There is one stratum: customers of all kinds share the overall rate. A channel whose users are likelier to buy anyway
still stands out against this null; strata by past activity are needed to see that, and are not formed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lcm_research.attribution.credit import Credit, intervals
from lcm_research.attribution.edges import Edges, Outcome
from lcm_research.attribution.removal import credit_by_removal
from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import Estimate

__all__ = ["Excess", "credit_beyond_null", "null_credit", "without_difference"]


def null_credit(edges: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None) -> Credit:
    """
    Credit by removal effect that would be expected if the last channel made no difference to the outcome.

    Parameters are those of ``markov_credit``. The journeys, and where they end, are as observed; each end converts
    with the overall rate and is worth the overall mean.

    Returns
    -------
    Credit
        Sums to the same total as the observed credit.
    """
    return credit_by_removal(Edges.by_group(edges, channels), of=of, model="null", as_if=without_difference)


def credit_beyond_null(edges: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None) -> Excess:
    """
    Credit by removal effect beside what volume and place alone would earn.

    Parameters are those of ``markov_credit``.

    Returns
    -------
    Excess
        Credit, null credit, and the difference with an interval of its own: both come from the same journeys, so
        the difference is known better than either.
    """
    return Excess(
        credit=credit_by_removal(Edges.by_group(edges, channels), of=of, model="markov"),
        null=null_credit(edges, of=of, channels=channels),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Excess:
    """
    Credit less null credit.

    Its intervals hold for all channels together (Bonferroni): whoever looks at twelve channels for one that stands
    out would otherwise find one in every other data set with nothing in it.

    Parameters
    ----------
    credit, null : Credit
        By removal effect, observed and expected where the last channel makes no difference.
    """

    credit: Credit
    null: Credit

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels, in the order of the arrays."""
        return self.credit.channels

    @property
    def difference(self) -> np.ndarray:
        """Share of credit beyond the null, shape (K,); sums to zero."""
        return self.credit.share - self.null.share

    def interval(self, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper ends of ``difference``, which hold together with probability ``level``."""
        without = self.credit.share_without - self.null.share_without
        each = 1 - (1 - level) / len(self.channels)
        return intervals(self.difference, without, self.credit.n_groups, scale="identity", level=each)

    def sign(self, *, level: float = 0.95) -> np.ndarray:
        """Return +1, -1 or 0 by channel: credited beyond its volume, below it, or not separated from it."""
        lower, upper = self.interval(level=level)
        return (lower > 0).astype(int) - (upper < 0).astype(int)

    def estimate(self, channel: str, *, n: int, level: float = 0.95) -> Estimate:
        """Return one channel's share beyond the null, with the interval that holds for all channels together."""
        if channel not in self.channels:
            raise ModelError(f"no journey has the channel '{channel}'; {nearest(channel, self.channels)}")
        place = self.channels.index(channel)
        lower, upper = self.interval(level=level)
        return Estimate(
            value=float(self.difference[place]),
            lower=float(lower[place]),
            upper=float(upper[place]),
            unit="share",
            n=n,
            level=level,
            leave_one_out=self.credit.share_without[:, place] - self.null.share_without[:, place],
        )

    def table(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row a channel, furthest beyond the null first; ``credit`` is the share times the total."""
        lower, upper = self.interval(level=level)
        rows = pd.DataFrame(
            {
                "channel": list(self.channels),
                "credit": self.credit.credit,
                "null_credit": self.null.credit,
                "share": self.credit.share,
                "null_share": self.null.share,
                "difference": self.difference,
                "lower": lower,
                "upper": upper,
            }
        )
        return rows.sort_values(["difference", "channel"], ascending=[False, True], ignore_index=True)


def without_difference(edges: Edges) -> Edges:
    """Let the journeys that end with each channel convert with the overall rate, and be worth the overall mean."""
    ends = edges.conversions + edges.nulls
    share = ends / ends.sum(axis=-1, keepdims=True)
    return replace(
        edges,
        conversions=share * edges.conversions.sum(axis=-1, keepdims=True),
        nulls=share * edges.nulls.sum(axis=-1, keepdims=True),
        value=share * edges.value.sum(axis=-1, keepdims=True),
    )
