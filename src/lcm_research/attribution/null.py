"""
What a channel would be credited with for its volume and place alone.

A channel that active people use much stands in many journeys, and journeys that convert are many: it earns credit
whether or not it does anything. An interval around credit does not protect against that; a null does. Here the null
is that, at the end of a journey, the last channel makes no difference to whether it converts: every channel's
conversion probability at the ends is the same, and the same equations are solved.

The same within a stratum: journeys that were alike before they began. Without strata customers of all kinds share the
overall rate, and a channel whose users are likelier to buy anyway stands out against this null; strata by past
activity hold that apart as far as they know it, and a negative control says whether they do.

Credits sum to a total: a channel with an effect takes from the others, which fall below their null without doing any
harm. What is claimed is therefore one-sided: credited beyond volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.attribution.against_null import JointTest, joint_test, p_values
from lcm_research.attribution.credit import Credit, intervals
from lcm_research.attribution.edges import Edges, Outcome
from lcm_research.attribution.negative_control import NegativeControl
from lcm_research.attribution.removal import credit_by_removal
from lcm_research.attribution.strata_null import Ends, within_strata
from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import Estimate, holm

__all__ = ["Excess", "credit_beyond_null", "null_credit", "without_difference"]


def null_credit(
    edges: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None, ends: pd.DataFrame | None = None
) -> Credit:
    """
    Credit by removal effect that would be expected if the last channel made no difference to the outcome.

    Parameters are those of ``markov_credit``, and

    ends : DataFrame, optional
        Of ``end_counts``, with the same journeys by stratum. Their paths, and where they end, are as observed; each
        end converts with the rate of its stratum and is worth the stratum's mean. Where absent, all are alike.

    Returns
    -------
    Credit
        Sums to the same total as the observed credit.
    """
    grouped = Edges.by_group(edges, channels)
    as_if = without_difference if ends is None else within_strata(ends, grouped)
    return credit_by_removal(grouped, of=of, model="null", as_if=as_if)


def credit_beyond_null(
    edges: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None, ends: pd.DataFrame | None = None
) -> Excess:
    """
    Credit by removal effect beside what volume and place alone would earn.

    Parameters are those of ``null_credit``.

    Returns
    -------
    Excess
        Credit, null credit, and the difference with an interval of its own: both come from the same journeys, so
        the difference is known better than either.
    """
    return Excess(
        credit=credit_by_removal(Edges.by_group(edges, channels), of=of, model="markov"),
        null=null_credit(edges, of=of, channels=channels, ends=ends),
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

    @property
    def difference_without(self) -> np.ndarray:
        """The difference without each group of customers, shape (100, K)."""
        return self.credit.share_without - self.null.share_without

    def test(self) -> JointTest:
        """Test that every channel has the credit of its null, all at once; asked before any channel is looked at."""
        return joint_test(self.difference, self.difference_without, self.credit.n_groups)

    def p_values(self) -> np.ndarray:
        """Return two-sided p-values by channel, shape (K,); NaN where the counts allow none."""
        return p_values(self.difference, self.difference_without, self.credit.n_groups)

    def credited_beyond(self, *, control: NegativeControl | None, level: float = 0.95) -> tuple[str, ...]:
        """
        Return the channels credited beyond their volume, the furthest first.

        None where the test of all channels together does not reject. Then those above their null by Holm's rule
        over channels; nothing is said of those below it, whom an effective channel pushes there.

        Parameters
        ----------
        control : NegativeControl or None
            With the same strata. Where it finds that they do not separate activity, no channel is returned. None
            where purchases before journeys are not known.
        """
        if not self.test().rejects(level) or (control is not None and control.not_separated(level=level)):
            return ()
        beyond = (holm(self.p_values()) <= 1 - level) & (self.difference > 0)
        order = np.argsort(-self.difference, kind="stable")
        return tuple(self.channels[k] for k in order[beyond[order]])

    def interval(self, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper ends of ``difference``, which hold together with probability ``level``."""
        each = 1 - (1 - level) / len(self.channels)
        return intervals(self.difference, self.difference_without, self.credit.n_groups, scale="identity", level=each)

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
            leave_one_out=self.difference_without[:, place],
        )

    def table(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row a channel, furthest beyond the null first; ``credit`` is the share times the total."""
        lower, upper = self.interval(level=level)
        p = self.p_values()
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
                "p_value": p,
                "p_value_holm": holm(p),
            }
        )
        return rows.sort_values(["difference", "channel"], ascending=[False, True], ignore_index=True)


def without_difference(edges: Edges) -> Edges:
    """Let the journeys that end with each channel convert with the overall rate, and be worth the overall mean."""
    return Ends.alike(edges).if_alike(edges)
