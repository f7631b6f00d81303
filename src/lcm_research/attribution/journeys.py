"""
From contacts to journeys: which touches came before which purchase, counted.

A conversion is a purchase (no return); purchases of one customer in the same microsecond are one conversion. A
touch belongs to one journey: that of the customer's next conversion, if it comes at most ``lookback_days`` local
days later; otherwise to a journey that did not convert. A new journey starts after a conversion and after a silence
longer than the lookback. Within the same microsecond a touch comes before a conversion, and touches in the order of
their ids.

Only journeys that could be seen whole are counted. The outcome of a journey is known when its last touch is at
least ``lookback_days`` before ``as_of_day``, and its beginning when its first touch is at least ``lookback_days``
after ``observation_start_day``. The others are left out whether they converted or not: leaving out only those
without a conversion would inflate the share that converts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.attribution.edges import CONVERSION, NULL, START
from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError

__all__ = [
    "PURCHASE",
    "TOUCH",
    "Window",
    "channel_customers",
    "conversion_currency",
    "edge_counts",
    "journey_status",
    "journey_touches",
    "linked_events",
    "touch_sums",
    "with_journey_days",
    "with_replicate",
]

TOUCH, PURCHASE = 0, 1


@dataclass(frozen=True)
class Window:
    """Which touches may be linked to which conversions, and which journeys are seen whole."""

    lookback_days: int
    touch_types: tuple[str, ...]
    observation_start_day: int
    as_of_day: int

    def __post_init__(self) -> None:
        if self.lookback_days < 1:
            raise ModelError(f"lookback_days must be at least 1; came {self.lookback_days}")
        if not self.touch_types:
            raise ModelError("touch_types must name at least one touch type, such as click or view; came none")
        if self.as_of_day - self.observation_start_day < 2 * self.lookback_days:
            raise ModelError(
                f"as_of lies {self.as_of_day - self.observation_start_day} days after observation_start, less than "
                f"twice the lookback of {self.lookback_days} days: no journey could be seen whole; choose a shorter "
                "lookback"
            )

    @property
    def first_start_day(self) -> int:
        """Before this day the beginning of a journey may not be seen."""
        return self.observation_start_day + self.lookback_days

    @property
    def last_end_day(self) -> int:
        """After this day the outcome of a journey is not known yet."""
        return self.as_of_day - self.lookback_days


@reduction(
    keys={"from_channel": "object", "to_channel": "object", "replicate": "int64"},
    counts={"n": "int64", "value_minor": "int64"},
)
def edge_counts(
    tables: Tables,
    *,
    lookback_days: int,
    touch_types: Sequence[str],
    observation_start_day: int,
    as_of_day: int,
    collapse_repeats: bool,
) -> ir.Table:
    """
    Count the steps of journeys: from a channel to the next, from the start, and to the outcome.

    Parameters
    ----------
    lookback_days : int
        A touch longer before a conversion than this (in local days) is not part of its journey.
    touch_types : list of str
        Touches of other types are left out.
    observation_start_day, as_of_day : int
        First and last day of observation, days since 1970-01-01, both inclusive.
    collapse_repeats : bool
        Several touches in a row of the same channel are one.

    Returns
    -------
    ir.Table
        ``from_channel``, ``to_channel``, ``replicate``, the count of steps ``n`` and ``value_minor``, the value of
        the conversions that the steps to ``"(conversion)"`` end in. Each journey has one step from ``"(start)"`` and
        one to ``"(conversion)"`` or ``"(null)"``.
    """
    window = Window(lookback_days, tuple(touch_types), observation_start_day, as_of_day)
    touches = _seen_whole(with_journey_days(_touches(tables, window)), window)
    outcome = ibis.cases((~touches.ends, ""), (touches.converted, CONVERSION), else_=NULL)
    origin = ibis.cases((touches.starts, START), else_=touches.previous_channel)
    is_step = ibis.literal(True) if not collapse_repeats else ~touches.repeated
    steps = touches.select(
        "customer_id",
        "channel",
        outcome=outcome,
        origin=ibis.cases((is_step, origin), else_=""),
        value_minor=ibis.cases((touches.converted & touches.ends, touches.next_value), else_=0),
    )
    steps = with_replicate(steps, tables).group_by(["origin", "channel", "outcome", "replicate"])
    steps = steps.agg(n=lambda t: t.count(), value_minor=lambda t: t.value_minor.sum())
    # each row of this small table is a step into the channel and, where a journey ends there, one out of it
    halves = steps.cross_join(ibis.memtable(pd.DataFrame({"into": [True, False]})))
    edges = halves.select(
        "replicate",
        "n",
        from_channel=halves.into.ifelse(halves.origin, halves.channel),
        to_channel=halves.into.ifelse(halves.channel, halves.outcome),
        value_minor=halves.into.ifelse(0, halves.value_minor),
    )
    edges = edges.filter(edges.from_channel != "", edges.to_channel != "")
    keys = ["from_channel", "to_channel", "replicate"]
    return edges.group_by(keys).agg(n=lambda t: t.n.sum(), value_minor=lambda t: t.value_minor.sum())


@reduction(
    keys={
        "channel": "object",
        "journey_length": "int64",
        "is_first": "bool",
        "is_last": "bool",
        "replicate": "int64",
    },
    counts={"n": "int64", "value_minor": "int64"},
)
def touch_sums(
    tables: Tables,
    *,
    lookback_days: int,
    touch_types: Sequence[str],
    observation_start_day: int,
    as_of_day: int,
    collapse_repeats: bool,
) -> ir.Table:
    """
    Count the touches of converted journeys by where in the journey they stand.

    Parameters are those of ``edge_counts``.

    Returns
    -------
    ir.Table
        ``channel``, ``journey_length`` (touches of the journey), ``is_first``, ``is_last``, ``replicate``, the count
        of touches ``n`` and ``value_minor``, the value of their journeys' conversions (once for each touch).
    """
    window = Window(lookback_days, tuple(touch_types), observation_start_day, as_of_day)
    touches = _touches(tables, window)
    touches = touches.filter(touches.converted)
    kept = (~touches.repeated if collapse_repeats else ibis.literal(True)).cast("int64")
    touches = touches.mutate(kept=kept)
    journey = ibis.window(group_by=["customer_id", "next_purchase_us"])
    from_here_on = ibis.window(
        group_by=["customer_id", "next_purchase_us"], order_by=["ts_us", "kind", "id"], preceding=0, following=None
    )
    touches = touches.mutate(
        journey_length=touches.kept.sum().over(journey),
        value_minor=touches.next_value.max().over(journey),
        first_day=touches.day.min().over(journey),
        last_day=touches.day.max().over(journey),
        n_left=touches.kept.sum().over(from_here_on),
    )
    touches = _seen_whole(touches.filter(touches.kept == 1), window)
    touches = touches.select(
        "customer_id",
        "channel",
        "journey_length",
        "value_minor",
        is_first=touches.starts,
        is_last=touches.n_left == 1,
    )
    keys = ["channel", "journey_length", "is_first", "is_last", "replicate"]
    counted = with_replicate(touches, tables).group_by(keys)
    return counted.agg(n=lambda t: t.count(), value_minor=lambda t: t.value_minor.sum())


@reduction(keys={"channel": "object", "replicate": "int64"}, counts={"n_customers": "int64", "n_touches": "int64"})
def channel_customers(
    tables: Tables,
    *,
    lookback_days: int,
    touch_types: Sequence[str],
    observation_start_day: int,
    as_of_day: int,
) -> ir.Table:
    """
    Count the customers whom each channel touched in a journey that is counted, and the touches.

    Parameters are those of ``edge_counts``. A customer stands behind every channel that touched them.
    """
    window = Window(lookback_days, tuple(touch_types), observation_start_day, as_of_day)
    touches = _seen_whole(with_journey_days(_touches(tables, window)), window).select("customer_id", "channel")
    counted = with_replicate(touches, tables).group_by(["channel", "replicate"])
    return counted.agg(n_customers=lambda t: t.customer_id.nunique(), n_touches=lambda t: t.count())


def conversion_currency(tables: Tables, *, observation_start_day: int, as_of_day: int) -> str:
    """
    Return the currency of the conversions.

    Raises
    ------
    ModelError
        Where there is more than one: amounts of different currencies are never added up.
    """
    purchases = _purchases(tables, observation_start_day, as_of_day)
    found = sorted(purchases.select("currency").distinct().limit(6).to_pandas()["currency"])
    if len(found) > 1:
        raise ModelError(
            f"attribution of value needs conversions in one currency; these are in {', '.join(map(str, found[:5]))}"
            f"{' and others' if len(found) > 5 else ''}; leave out rows or convert amounts under "
            "data.tables.transactions"
        )
    return str(found[0]) if found else ""


def _purchases(tables: Tables, observation_start_day: int, as_of_day: int) -> ir.Table:
    purchases = tables["transactions"]
    return purchases.filter(~purchases.is_return, purchases.day.between(observation_start_day, as_of_day))


def linked_events(tables: Tables, window: Window) -> ir.Table:
    """Touches and conversions in one row each, with what each needs to know of its neighbours: one window layer."""
    start, as_of = window.observation_start_day, window.as_of_day
    conversion_currency(tables, observation_start_day=start, as_of_day=as_of)
    conversions = _purchases(tables, start, as_of).group_by(["customer_id", "ts_us"])
    conversions = conversions.agg(day=lambda t: t.day.min(), value=lambda t: t.amount_minor.sum())
    touches = tables["touchpoints"]
    touches = touches.filter(touches.touch_type.isin(window.touch_types), touches.day.between(start, as_of))
    events = touches.select(
        "customer_id",
        "ts_us",
        "day",
        "channel",
        kind=ibis.literal(TOUCH, "int64"),
        id=touches.touchpoint_id,
        value=ibis.null("int64"),
    )
    conversions = conversions.mutate(
        channel=ibis.null("string"), kind=ibis.literal(PURCHASE, "int64"), id=ibis.literal("")
    )
    events = events.union(conversions.select(events.columns))
    order = ["ts_us", "kind", "id"]
    in_order = ibis.window(group_by="customer_id", order_by=order)
    from_here_on = ibis.window(group_by="customer_id", order_by=order, preceding=0, following=None)
    is_purchase = events.kind == PURCHASE
    return events.mutate(
        next_purchase_us=is_purchase.ifelse(events.ts_us, ibis.null("int64")).min().over(from_here_on),
        next_purchase_day=is_purchase.ifelse(events.day, ibis.null("int64")).min().over(from_here_on),
        previous_kind=events.kind.lag(1).over(in_order),
        previous_day=events.day.lag(1).over(in_order),
        previous_channel=events.channel.lag(1).over(in_order),
        next_kind=events.kind.lead(1).over(in_order),
        next_day=events.day.lead(1).over(in_order),
        next_value=events.value.lead(1).over(in_order),
    )


def _touches(tables: Tables, window: Window) -> ir.Table:
    return journey_touches(linked_events(tables, window), window)


def journey_touches(events: ir.Table, window: Window) -> ir.Table:
    """
    Touches, with whether each belongs to a converted journey and whether it starts, ends or repeats within it.

    No further window is needed: the touch before is of the same journey where no conversion lies between and it
    reaches the same conversion, or, without a conversion, is at most the lookback away.
    """
    lookback = window.lookback_days
    touches = events.filter(events.kind == TOUCH)
    converted = (touches.next_purchase_day - touches.day <= lookback).fill_null(False)
    reached_day = converted.ifelse(touches.next_purchase_day, touches.day)
    starts = (touches.previous_kind == PURCHASE) | (reached_day - touches.previous_day > lookback)
    next_converts = touches.next_purchase_day - touches.next_day <= lookback
    stops = (touches.next_kind == PURCHASE) | (touches.next_day - touches.day > lookback) | next_converts
    touches = touches.mutate(
        converted=converted,
        starts=starts.fill_null(touches.previous_kind.isnull()),
        ends=converted.ifelse(touches.next_kind == PURCHASE, stops.fill_null(touches.next_kind.isnull())),
    )
    return touches.mutate(repeated=~touches.starts & (touches.channel == touches.previous_channel).fill_null(False))


def with_journey_days(touches: ir.Table) -> ir.Table:
    """Add the day of the first and of the last touch of each touch's journey: the second window layer."""
    order = ["ts_us", "kind", "id"]
    up_to_here = ibis.window(group_by="customer_id", order_by=order, preceding=None, following=0)
    from_here_on = ibis.window(group_by="customer_id", order_by=order, preceding=0, following=None)
    nothing = ibis.null("int64")
    return touches.mutate(
        first_day=touches.starts.ifelse(touches.day, nothing).max().over(up_to_here),
        last_day=touches.ends.ifelse(touches.day, nothing).min().over(from_here_on),
    )


def journey_status(first_day: ir.Value, last_day: ir.Value, window: Window) -> ir.Value:
    """Return ``used`` for a journey that was seen whole, otherwise the reason why it is left out."""
    return ibis.cases(
        (first_day < window.first_start_day, "starts_too_early"),
        (last_day > window.last_end_day, "ends_too_late"),
        else_="used",
    )


def _seen_whole(touches: ir.Table, window: Window) -> ir.Table:
    return touches.filter(journey_status(touches.first_day, touches.last_day, window) == "used")


def with_replicate(rows: ir.Table, tables: Tables) -> ir.Table:
    """Add the group of each row's customer."""
    customers = tables["customers"].select("customer_id", "replicate")
    return rows.inner_join(customers, "customer_id")
