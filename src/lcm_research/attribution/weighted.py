"""
Sums over converted journeys that only the engine can form: by the day of each touch, or by which channels are direct.

A conversion that is shared out among touches is cut into whole billionths, its value into whole minor units, so that
the sums are integers, the same on every engine, and nothing is lost: what is left of the journey from a touch on,
rounded down, less what is left after it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from lcm_research.attribution.journeys import Window, journey_status, journey_touches, linked_events, with_replicate
from lcm_research.attribution.paths import path_touches
from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError, nearest

__all__ = ["MOST_HALF_LIVES", "decay_sums", "last_non_direct_from_paths", "last_non_direct_sums"]

MOST_HALF_LIVES = 32
"""A lookback of more half-lives than this gives all credit to the last days."""

_JOURNEY = ("customer_id", "next_purchase_us")
_BILLION = 1_000_000_000
_WEIGHT_OF_TODAY = 2**45  # of the conversion's own day: after 32 half-lives 8192 are left, and journeys still add up


@reduction(
    keys={"channel": "object", "replicate": "int64"},
    counts={"n_billionths": "int64", "value_minor": "int64"},
)
def decay_sums(
    tables: Tables,
    *,
    lookback_days: int,
    touch_types: Sequence[str],
    observation_start_day: int,
    as_of_day: int,
    collapse_repeats: bool,
    half_life_days: float,
) -> ir.Table:
    """
    Share conversions out among their touches with weights that halve with every half-life.

    A touch ``d`` local days before the conversion weighs ``2 ** (-d / half_life_days)``; the weights of a journey are
    scaled to sum to 1.

    Parameters are those of ``edge_counts``, and

    half_life_days : float
        Days, at least a thirty-second part of the lookback. Of touches in a row of one channel that are made one, the
        first counts.

    Returns
    -------
    ir.Table
        ``channel``, ``replicate``, ``n_billionths`` (of conversions) and ``value_minor``; over all channels they sum
        to the conversions, times a billion, and to their value.
    """
    window = Window(lookback_days, tuple(touch_types), observation_start_day, as_of_day)
    touches = _of_conversions(tables, window, collapse_repeats)
    touches = touches.mutate(days_before=touches.next_purchase_day - touches.day)
    touches = touches.inner_join(_day_weights(lookback_days, half_life_days), "days_before")
    touches = _within_journeys(touches.mutate(weight=touches.kept * touches.weight), "weight", window)
    of_journey = touches.in_journey.cast("float64")
    from_here = touches.from_here_on.cast("float64") / of_journey
    after = (touches.from_here_on - touches.weight).cast("float64") / of_journey

    def part(amount: ir.Value) -> ir.Value:
        return (amount * from_here).floor().cast("int64") - (amount * after).floor().cast("int64")

    parts = touches.select(
        "customer_id",
        "channel",
        n_billionths=part(ibis.literal(_BILLION, "int64").cast("float64")),
        value_minor=part(touches.journey_value.cast("float64")),
    )
    counted = with_replicate(parts, tables).group_by(["channel", "replicate"])
    return counted.agg(n_billionths=lambda t: t.n_billionths.sum(), value_minor=lambda t: t.value_minor.sum())


@reduction(keys={"channel": "object", "replicate": "int64"}, counts={"n": "int64", "value_minor": "int64"})
def last_non_direct_sums(
    tables: Tables,
    *,
    lookback_days: int,
    touch_types: Sequence[str],
    observation_start_day: int,
    as_of_day: int,
    collapse_repeats: bool,
    direct_channels: Sequence[str],
) -> ir.Table:
    """
    Count conversions by the last touch before them that is not direct, or by the last one where all are.

    Parameters are those of ``edge_counts``, and

    direct_channels : list of str
        Channels without a source, such as a typed address: they say that a customer came, not through what.

    Returns
    -------
    ir.Table
        ``channel``, ``replicate``, the count of conversions ``n`` and ``value_minor``.
    """
    window = Window(lookback_days, tuple(touch_types), observation_start_day, as_of_day)
    touches = _of_conversions(tables, window, collapse_repeats)
    named = touches.channel.notin(list(direct_channels)) if direct_channels else ibis.literal(True)
    touches = _within_journeys(touches.mutate(named=touches.kept * named.cast("int64")), "named", window)
    is_last_named = (touches.named == 1) & (touches.from_here_on == 1)
    chosen = touches.filter(is_last_named | ((touches.in_journey == 0) & (touches.n_left == 1)))
    chosen = chosen.select("customer_id", "channel", value_minor=chosen.journey_value)
    counted = with_replicate(chosen, tables).group_by(["channel", "replicate"])
    return counted.agg(n=lambda t: t.count(), value_minor=lambda t: t.value_minor.sum())


def last_non_direct_from_paths(paths: pd.DataFrame, *, separator: str, direct_channels: Sequence[str]) -> pd.DataFrame:
    """
    Count conversions by the last touch that is not direct, as ``last_non_direct_sums`` does from events.

    Parameters
    ----------
    paths, separator
        Those of ``edges_from_paths``.
    direct_channels : list of str
        ModelError where no path holds one of them.

    Examples
    --------
    >>> paths = pd.DataFrame({"path": ["email > direct"], "conversions": [2], "value": [900], "nulls": [3]})
    >>> last_non_direct_from_paths(paths, separator=">", direct_channels=["direct"])[["channel", "n"]].values.tolist()
    [['email', 2]]
    """
    touches = path_touches(paths, separator=separator)
    if unknown := sorted(set(direct_channels) - set(touches["channel"])):
        raise ModelError(f"no path holds the direct channel '{unknown[0]}'; {nearest(unknown[0], touches['channel'])}")
    touches = touches[touches["conversions"] > 0]
    named = touches[~touches["channel"].isin(list(direct_channels))]
    last_named = named[~named.index.duplicated(keep="last")]
    of_direct_only = touches[touches["is_last"] & ~touches.index.isin(last_named.index)]
    chosen = pd.concat([last_named, of_direct_only]).rename(columns={"conversions": "n", "value": "value_minor"})
    return chosen.groupby(["channel", "replicate"], as_index=False)[["n", "value_minor"]].sum()


def _day_weights(lookback_days: int, half_life_days: float) -> ir.Table:
    """One row a day before the conversion, with its weight as an integer."""
    if not (math.isfinite(half_life_days) and half_life_days * MOST_HALF_LIVES >= lookback_days):
        raise ModelError(
            f"half_life_days={half_life_days:g} is not a number of at least {lookback_days / MOST_HALF_LIVES:.3g}, a "
            f"{MOST_HALF_LIVES}nd part of the lookback of {lookback_days} days; choose a longer half-life or a shorter "
            "lookback"
        )
    days = np.arange(lookback_days + 1)
    weights = np.rint(_WEIGHT_OF_TODAY * 2.0 ** (-days / half_life_days)).astype(np.int64)
    return ibis.memtable(pd.DataFrame({"days_before": days.astype(np.int64), "weight": weights}))


def _of_conversions(tables: Tables, window: Window, collapse_repeats: bool) -> ir.Table:
    """Touches of converted journeys; ``kept`` is 0 for one that is made one with the touch before."""
    touches = journey_touches(linked_events(tables, window), window)
    touches = touches.filter(touches.converted)
    kept = ~touches.repeated if collapse_repeats else ibis.literal(True)
    return touches.mutate(kept=kept.cast("int64"))


def _within_journeys(touches: ir.Table, column: str, window: Window) -> ir.Table:
    """Add sums of ``column`` over the journey and over what is left of it; keep touches of journeys seen whole."""
    journey = ibis.window(group_by=list(_JOURNEY))
    rest = ibis.window(group_by=list(_JOURNEY), order_by=["ts_us", "kind", "id"], preceding=0, following=None)
    touches = touches.mutate(
        in_journey=touches[column].sum().over(journey),
        from_here_on=touches[column].sum().over(rest),
        n_left=touches.kept.sum().over(rest),
        journey_value=touches.next_value.max().over(journey),
        first_day=touches.day.min().over(journey),
        last_day=touches.day.max().over(journey),
    )
    seen_whole = journey_status(touches.first_day, touches.last_day, window) == "used"
    return touches.filter(touches.kept == 1, seen_whole)
