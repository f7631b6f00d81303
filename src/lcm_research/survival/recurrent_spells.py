"""
Customers followed past their first event: when each was at risk of the first, second, third, and so on.

Both reductions take the customers of ``spell_counts`` with incident entry (first activity under observation, start
known, before the cut) and follow them on: their later activity days, or their later spells.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, get_args

import ibis
import ibis.expr.types as ir

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError
from lcm_research.survival.activity import History, activity_days
from lcm_research.survival.spells import classified_spells
from lcm_research.survival.windows import Window, longest_window

__all__ = ["MAX_CLASSES", "RecurrentEvent", "recurrent_event_counts", "spell_history_counts"]

RecurrentEvent = Literal["activity", "lapse"]

MAX_CLASSES = 8
"""Classes of tenure in a history signature; more would make every customer a cell."""


@reduction(
    keys={
        "event_number": "int64",
        "entry_days": "int64",
        "duration_days": "int64",
        "event_observed": "bool",
        "replicate": "int64",
    },
    counts={"n": "int64"},
)
def recurrent_event_counts(
    tables: Tables,
    *,
    event: RecurrentEvent,
    max_events: int,
    window_days: Window,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    by: Sequence[str],
    activity: Sequence[str] = ("purchases",),
) -> ir.Table:
    """
    Count the stretches between events: from when to when a customer was at risk of the next one.

    Parameters
    ----------
    event : {"activity", "lapse"}
        ``activity``: further activity days; the clock starts after the first one (the next day is day 1) and a
        customer is at risk until ``as_of_day``. ``lapse``: the ends of spells; the first activity day is day 1, a
        customer is at risk within spells only, and the spells are those that started before the (latest) cut.
    max_events : int
        Stretches up to this event; a customer leaves with it. Few customers have many events, and models by event
        number need enough of each.
    window_days, observation_start_day, as_of_day, history, by, activity
        As for ``spell_counts``.

    Returns
    -------
    ir.Table
        ``by``, ``event_number`` (of the event that the stretch waits for), ``entry_days``, ``duration_days`` (both
        on the clock from the first activity day), ``event_observed``, ``replicate`` and the count of stretches ``n``.
    """
    if event not in get_args(RecurrentEvent):
        raise ModelError(f"event must be 'activity' or 'lapse'; came '{event}'")
    if max_events < 1:
        raise ModelError(f"max_events must be at least 1; came {max_events}")
    spells = _followed(tables, window_days, observation_start_day, as_of_day, history, by, activity)
    if event == "lapse":
        entry = spells.start_day - spells.origin_day
        stretches = spells.mutate(
            event_number=spells.number, entry_days=entry, duration_days=entry + spells.duration_days
        )
    else:
        days = activity_days(tables, activity, observation_start_day, as_of_day, history)
        stretches = _between(days, spells.filter(spells.number == 1), as_of_day)
    keys = [*by, "event_number", "entry_days", "duration_days", "event_observed", "replicate"]
    return stretches.filter(stretches.event_number <= max_events).group_by(keys).agg(n=lambda t: t.count())


@reduction(
    keys={"replicate": "int64"}
    | {f"{name}_{k}": "int64" for k in range(1, MAX_CLASSES + 1) for name in ("events", "exposure_days")},
    counts={"n": "int64"},
)
def spell_history_counts(
    tables: Tables,
    *,
    breaks_days: Sequence[int],
    window_days: Window,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    by: Sequence[str],
    activity: Sequence[str] = ("purchases",),
) -> ir.Table:
    """
    Count customers by their history: lapses and days at risk in each class of tenure, over all their spells.

    What ``shared_frailty`` needs of a customer. The clock starts again with each spell. Histories are finer than
    other counts: a customer with a rare one may be alone in a cell.

    Parameters
    ----------
    breaks_days : list of int
        Rising, from 0 on. Class k holds the days of a spell after the k-th break up to the next one, the last
        class all later days. Days up to the first break are left out: with ``[1, ...]`` the many spells that end
        on their first day are, and the others count given that they went on.
    window_days, observation_start_day, as_of_day, history, by, activity
        As for ``spell_counts``.

    Returns
    -------
    ir.Table
        ``by``, ``events_1``, ``exposure_days_1``, and so on for each class, ``replicate`` and the count of
        customers ``n``; customers without a day at risk are left out.
    """
    _check_breaks(breaks_days)
    spells = _followed(tables, window_days, observation_start_day, as_of_day, history, by, activity)
    stops = [*breaks_days[1:], None]
    parts: dict[str, ir.Value] = {}
    for k, (start, stop) in enumerate(zip(breaks_days, stops, strict=True), 1):
        ended = spells.duration_days if stop is None else ibis.least(spells.duration_days, stop)
        inside = spells.event_observed & (spells.duration_days > start)
        inside = inside if stop is None else inside & (spells.duration_days <= stop)
        parts |= {f"events_{k}": inside.cast("int64"), f"exposure_days_{k}": ibis.greatest(ended - start, 0)}
    by_customer = spells.mutate(**parts).group_by(["customer_id", "replicate", *by])
    histories = by_customer.agg(**{name: (lambda t, c=name: t[c].sum()) for name in parts})
    at_risk = sum((histories[name] for name in parts if name.startswith("exposure")), ibis.literal(0, "int64"))
    return histories.filter(at_risk > 0).group_by([*by, *parts, "replicate"]).agg(n=lambda t: t.count())


def _followed(
    tables: Tables,
    window_days: Window,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    by: Sequence[str],
    activity: Sequence[str],
) -> ir.Table:
    """Every spell, started before the cut, of the customers whose first spell is used, with its ``origin_day``."""
    spells = classified_spells(
        tables, window_days, observation_start_day, as_of_day, history, "incident", by, activity=activity
    )
    first = spells.filter(spells.status == "used").select("customer_id", origin_day="start_day")
    spells = spells.filter(spells.start_day < as_of_day - longest_window(window_days))
    return spells.inner_join(first, "customer_id")


def _between(days: ir.Table, first: ir.Table, as_of_day: int) -> ir.Table:
    """A row from each activity day to the next, and one from the last to the end of observation."""
    in_order = ibis.window(group_by="customer_id", order_by="day")
    days = days.mutate(
        event_number=ibis.row_number().over(in_order) + 1, next_day=days.day.lead(1).over(in_order)
    ).inner_join(first, "customer_id")
    stretches = days.mutate(
        entry_days=days.day - days.origin_day,
        duration_days=ibis.coalesce(days.next_day, ibis.literal(as_of_day, "int64")) - days.origin_day,
        event_observed=days.next_day.notnull(),
    )
    return stretches.filter(stretches.duration_days > stretches.entry_days)


def _check_breaks(breaks_days: Sequence[int]) -> None:
    rising = all(later > earlier for earlier, later in itertools.pairwise(breaks_days))
    if not breaks_days or not rising or breaks_days[0] < 0 or any(day != int(day) for day in breaks_days):
        raise ModelError(f"breaks_days must be rising whole numbers from 0 on; came {list(breaks_days)}")
    if len(breaks_days) > MAX_CLASSES:
        raise ModelError(f"{len(breaks_days)} classes of tenure, more than {MAX_CLASSES}; choose fewer breaks_days")
