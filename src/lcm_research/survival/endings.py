"""Spells that end in silence, and those that something else ends first: counts by cause, for cumulative incidences."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from lcm_research.data.reduction import Tables, reduction
from lcm_research.survival.activity import History
from lcm_research.survival.reasons import LAPSED, NOT_TOLD, closing_days, told_between
from lcm_research.survival.spells import Entry, classified_spells
from lcm_research.survival.windows import Window

__all__ = ["spell_end_counts"]


@reduction(
    keys={"entry_days": "int64", "duration_days": "int64", "cause": "object", "replicate": "int64"},
    counts={"n": "int64"},
)
def spell_end_counts(
    tables: Tables,
    *,
    window_days: Window,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    entry: Entry,
    other_ends: Sequence[str],
    with_reasons: bool,
    by: Sequence[str],
    activity: Sequence[str] = ("purchases",),
) -> ir.Table:
    """
    Count spells by how long they lasted and what ended them.

    A spell that lapses ends on its last activity day. One of ``other_ends`` recorded on or after that day, before
    the silence was longer than the window, ends the spell instead, on the day of the record; so it does within a
    spell, and activity after it opens the next one. A record after the silence was complete changes nothing.

    Parameters
    ----------
    window_days, observation_start_day, as_of_day, history, entry, by, activity
        As for ``spell_counts``; without ``other_ends`` durations and ends are the same.
    other_ends : list of str
        Values of ``reason`` in ``churn_reasons`` that end a spell by themselves; may be empty.
    with_reasons : bool
        Whether a lapse is told by its reason: the last one recorded from the last activity day until the silence was
        complete. Then the cause is ``"lapsed: price"`` and the like, ``"lapsed: not told"`` without one; otherwise
        it is ``"lapsed"``.

    Returns
    -------
    ir.Table
        ``by``, ``entry_days``, ``duration_days``, ``cause`` (empty where the spell goes on), ``replicate`` and the
        count of spells ``n``.
    """
    asked = (window_days, observation_start_day, as_of_day, history, entry, by)
    spells = classified_spells(tables, *asked, activity=activity, closings=closing_days(tables, other_ends, as_of_day))
    spells = spells.filter(spells.status == "used")
    lapse = ibis.literal(LAPSED)
    if with_reasons:
        silence = {"first_day": spells.last_day, "last_day": spells.last_day + spells.window_days}
        spells = told_between(spells, tables, **silence)
        lapse = ibis.literal(f"{LAPSED}: ") + spells.reason.fill_null(NOT_TOLD)
    cause = spells.event_observed.ifelse(ibis.coalesce(spells.closing, lapse), "")
    keys = [*by, "entry_days", "duration_days", "cause", "replicate"]
    return spells.mutate(cause=cause).group_by(keys).agg(n=lambda t: t.count())
