"""What attribution is asked under every lookback: is the leading channel credited beyond its volume and place?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.attribution.credit import intervals
from lcm_research.attribution.null import Excess, credit_beyond_null
from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate
from lcm_research.specification.curve import SpecificationCurve, curve_of

__all__ = ["Measure", "credit_curve", "leaders"]

Measure = Literal["share", "removal_effect"]
"""Credit as a share that sums to one over channels, or the raw share of conversions lost with the channel."""


def credit_curve(
    edges: Mapping[int, pd.DataFrame], *, own: int, channel: str, measure: Measure, n: int, level: float = 0.95
) -> SpecificationCurve:
    """
    Credit of a channel less what its volume and place alone would earn, in percentage points.

    Parameters
    ----------
    edges : mapping of lookback_days to DataFrame
        Of ``edge_counts`` with that lookback. Whether touches in a row of one channel count as one changes no removal
        effect, so it is no definition to try.
    own : int
        The study's own lookback.
    channel : str
        Chosen beforehand, or as the leading one of the study's own definition.
    measure : {"share", "removal_effect"}
    n : int
        Customers whom the channel touched.
    level : float
        Intervals hold for all channels together, as ``Excess`` has them: whoever looks at the leading channel has
        looked at all of them.

    Returns
    -------
    SpecificationCurve
        With the null 0. A definition in which no journey has the channel is unanswered.
    """
    return curve_of(
        edges,
        lambda table: _beyond(credit_beyond_null(table, of="conversions"), channel, measure, n, level),
        choices=lambda lookback: {"lookback_days": str(lookback)},
        own=own,
        null=0.0,
    )


def leaders(edges: Mapping[int, pd.DataFrame]) -> dict[int, str]:
    """Return the channel with the most credit under each lookback that has any conversion."""
    found = {}
    for lookback, table in edges.items():
        try:
            found[lookback] = credit_beyond_null(table, of="conversions").credit.leading()[0]
        except ModelError:
            continue
    return found


def _beyond(excess: Excess, channel: str, measure: Measure, n: int, level: float) -> Estimate:
    share = excess.estimate(channel, n=n, level=level)  # refuses a channel that no journey has
    if measure == "removal_effect":
        share = _raw(excess, excess.channels.index(channel), n, level)
    ends = [share.value, share.lower, share.upper]
    if share.leave_one_out is None or not np.isfinite([*ends, *share.leave_one_out]).all():
        raise ModelError(f"journeys through '{channel}' convert in too few groups of customers for an interval")
    value, lower, upper = (100 * end for end in ends)
    without = 100 * share.leave_one_out
    return Estimate(
        value=value, lower=lower, upper=upper, unit="percentage points", n=n, level=level, leave_one_out=without
    )


def _raw(excess: Excess, place: int, n: int, level: float) -> Estimate:
    """Return the raw removal effect of a channel less that of the null."""
    effects = [(each.removal_effect, each.removal_effect_without) for each in (excess.credit, excess.null)]
    (effect, without), (null, null_without) = effects
    if effect is None or null is None or without is None or null_without is None:
        raise ModelError("a raw removal effect needs credit by removal, with its null; came credit by another model")
    each = 1 - (1 - level) / len(excess.channels)
    moved = effect - null
    lower, upper = intervals(moved, without - null_without, excess.credit.n_groups, scale="identity", level=each)
    ends = (float(moved[place]), float(lower[place]), float(upper[place]))
    told = {"value": ends[0], "lower": ends[1], "upper": ends[2]}
    return Estimate(**told, unit="share", n=n, level=level, leave_one_out=(without - null_without)[:, place])
