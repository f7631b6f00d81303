"""
A negative control: an outcome that the touches of a journey cannot have caused.

Purchases before a journey's first touch are such an outcome. If, within strata, customers whose journeys end with one
channel had bought more often before than those whose journeys end with another, the strata do not hold activity apart,
and credit beyond the null may be nothing but activity. The reverse does not follow: a control that finds nothing may
have been too small to find it.

Earlier touches of the same channel can have caused earlier purchases. Control purchases should be those that no touch
preceded within the lookback, else a channel that does sell fails this test where customers keep to their channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.attribution.against_null import JointTest, joint_test, p_values
from lcm_research.attribution.strata_null import Ends
from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, holm

__all__ = ["NegativeControl", "negative_control_test"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NegativeControl:
    """
    How purchases before a journey's first touch lie over the channels that journeys end with.

    Parameters
    ----------
    channels : tuple of str, length K
    share, expected : arrays of shape (K,)
        Share of the control journeys that end with each channel, observed and expected within strata.
    share_without : array of shape (100, K)
        ``share`` less ``expected`` without each group of customers.
    n_control : int
        Journeys whose customer had bought before.
    n_groups : array of shape (K,)
        Groups of customers with a journey that ends with the channel.
    """

    channels: tuple[str, ...]
    share: np.ndarray
    expected: np.ndarray
    share_without: np.ndarray
    n_control: int
    n_groups: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """Share beyond what is expected within strata, shape (K,); sums to zero."""
        return self.share - self.expected

    @property
    def test(self) -> JointTest:
        """Test that within strata earlier purchases are the same whatever channel the journey ends with."""
        return joint_test(self.difference, self.share_without, self.n_groups)

    def not_separated(self, *, level: float) -> bool:
        """
        Whether activity is not separated by the strata: the test rejects.

        False also where there is no test; ``test.reason`` says why there is none.
        """
        return self.test.rejects(level)

    def table(self) -> pd.DataFrame:
        """Return one row a channel, furthest above the expected first."""
        p = p_values(self.difference, self.share_without, self.n_groups)
        rows = pd.DataFrame(
            {
                "channel": list(self.channels),
                "control_share": self.share,
                "expected_share": self.expected,
                "difference": self.difference,
                "p_value": p,
                "p_value_holm": holm(p),
            }
        )
        return rows.sort_values(["difference", "channel"], ascending=[False, True], ignore_index=True)


def negative_control_test(ends: pd.DataFrame) -> NegativeControl:
    """
    Hold purchases before each journey's first touch against the channel that the journey ends with, within strata.

    Parameters
    ----------
    ends : DataFrame
        Of ``end_counts`` with ``n_control``: journeys whose customer had bought in the days before the first touch,
        beyond what the stratum knows. Where the stratum knows it all, nothing varies and there is no test.

    Returns
    -------
    NegativeControl
    """
    if "n_control" not in ends:
        raise ModelError(
            "a negative control needs ends with the column 'n_control' (journeys whose customer had bought before the "
            f"first touch); came {', '.join(map(str, ends.columns))}; count ends with a control outcome"
        )
    # the control stands in for the outcome
    control = Ends.by_group(ends.assign(n_conversions=ends["n_control"], value_minor=0))
    by_group = control.conversions.sum(axis=(-2, -1))
    n_control = int(by_group.sum())
    if n_control == 0:
        raise ModelError("a negative control needs journeys whose customer had bought before; came none; look further")
    share, expected = _shares(control.total())
    if (by_group > 0).sum() >= FEW_GROUPS:
        observed_without, expected_without = _shares(control.without_each_group())
        without = observed_without - expected_without
    else:
        without = np.full((len(by_group), len(share)), np.nan)
    return NegativeControl(
        channels=control.last,
        share=share,
        expected=expected,
        share_without=without,
        n_control=n_control,
        n_groups=(control.n.sum(axis=-2) > 0).sum(axis=0),
    )


def _shares(control: Ends) -> tuple[np.ndarray, np.ndarray]:
    """Share of control journeys by the channel they end with, observed and expected."""
    observed = control.conversions.sum(axis=-2)
    total = observed.sum(axis=-1, keepdims=True)
    return observed / total, control.expected(control.conversions) / total
