"""
The second time around: how long customers stay who came back after a lapse.

Only those are seen who returned by ``as_of``, and the quick ones more than the slow: the curve is of them and not of
everybody who lapsed. A customer's lifetimes are alike, so that first and later ones never stand in one curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError
from lcm_research.survival.activity import History
from lcm_research.survival.spells import classified_spells
from lcm_research.survival.windows import Window, longest_window

__all__ = ["longest_second_horizon", "second_lifetime_counts"]


@reduction(
    keys={
        "spell_number": "int64",
        "duration_days": "int64",
        "event_observed": "bool",
        "replicate": "int64",
    },
    counts={"n": "int64"},
)
def second_lifetime_counts(
    tables: Tables,
    *,
    window_days: Window,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    horizon_days: int,
    by: Sequence[str],
    activity: Sequence[str] = ("purchases",),
) -> ir.Table:
    """
    Count the second spells of customers whose first was incident, lapsed and was followed by a return.

    Every customer counted returned at least ``horizon_days`` before the cut, so that all cohorts of return are
    followed for as long and none is censored earlier; what comes after the horizon is cut off, so that a question
    beyond it is refused. Those who returned after ``as_of - W - horizon_days``, ``W`` the (longest) window, are not
    in it.

    Parameters
    ----------
    horizon_days : int
        Days after the return; from 1 to ``longest_second_horizon``.
    window_days, observation_start_day, as_of_day, history, by, activity
        As for ``spell_counts``.

    Returns
    -------
    ir.Table
        ``by``, ``spell_number`` (2), ``duration_days`` (1 on the day of the return), ``event_observed``,
        ``replicate`` and the count of customers ``n``.
    """
    most = longest_second_horizon(window_days, observation_start_day=observation_start_day, as_of_day=as_of_day)
    if not 1 <= horizon_days <= most:
        raise ModelError(
            f"horizon_days={horizon_days} is outside 1 to {most}, the days that the earliest possible return can be "
            "followed; choose one inside, well below the end, or wait for more data"
        )
    spells = classified_spells(
        tables, window_days, observation_start_day, as_of_day, history, "incident", by, activity=activity
    )
    firsts = spells.filter(spells.status == "used", spells.event_observed).select("customer_id")
    seconds = spells.filter(
        spells.number == 2, spells.start_day <= as_of_day - longest_window(window_days) - horizon_days
    ).semi_join(firsts, "customer_id")
    inside = seconds.duration_days <= horizon_days
    seconds = seconds.mutate(
        spell_number=ibis.literal(2, "int64"),
        event_observed=seconds.event_observed & inside,
        duration_days=inside.ifelse(seconds.duration_days, horizon_days).cast("int64"),
    )
    keys = [*by, "spell_number", "duration_days", "event_observed", "replicate"]
    return seconds.group_by(keys).agg(n=lambda t: t.count())


def longest_second_horizon(window_days: Window, *, observation_start_day: int, as_of_day: int) -> int:
    """
    Return for how many days the earliest possible return can be followed; 0 or less where none can.

    A customer who starts on the first day and falls silent at once is back after the shortest window at the earliest.
    """
    shortest = window_days if isinstance(window_days, int) else int(window_days["shortest_days"])
    return as_of_day - longest_window(window_days) - (observation_start_day + shortest + 1)
