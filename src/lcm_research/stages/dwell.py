"""
What the stage panel tells beyond single moves: pairs of moves, stays, entries, recency, spending and sequences.

Each is a reduction of the same panel, so its counts agree with ``transition_counts``. Nobody leaves the panel: the
exits of a stage are the moves out of it, and a customer enters it once.
"""

from __future__ import annotations

from typing import Any, Unpack

import ibis
import ibis.expr.types as ir

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError, StudyError
from lcm_research.stages.calendar import months, period_of_each_day
from lcm_research.stages.clocks import Watched, clocks
from lcm_research.stages.panel import ANY, PanelOptions, panel_of
from lcm_research.stages.rules import StageRules

__all__ = [
    "CONTACT",
    "MAX_SEQUENCE",
    "OPEN",
    "UNKNOWN_BEFORE",
    "WINDOW_START",
    "customers_by_pair",
    "customers_by_stay",
    "dwell_counts",
    "entry_counts",
    "recency_counts",
    "second_order_counts",
    "sequence_counts",
    "spend_by_recency",
    "stay_counts",
]

OPEN = "(open)"
"""Next stage of a stay that had not ended by the last period."""

WINDOW_START, CONTACT, UNKNOWN_BEFORE = "window_start", "first_contact", "unknown_before"
"""Where a customer enters from: there in the first period, first seen in a later one, or known only from then on."""

MAX_SEQUENCE = 12
"""Longest sequence of periods that is counted; longer ones would be the customers again."""


@reduction(
    keys={"before_stage": "object", "from_stage": "object", "to_stage": "object", "replicate": "int64"},
    counts={"n": "int64"},
)
def second_order_counts(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count pairs of moves in a row: the stages of a customer at the ends of three consecutive periods.

    Options: see ``PanelOptions``. Customer-periods with an unknown stage at any of the three are not counted.

    Returns
    -------
    Ibis table
        before_stage, from_stage, to_stage, the segments, replicate; n customers.
    """
    panel, rules = panel_of(tables, **options)
    by = options.get("by", ())
    in_time = ibis.window(group_by="customer_id", order_by="period")
    panel = panel.mutate(before=panel.was.lag().over(in_time))
    moved = panel.filter((panel.code >= 0) & (panel.was >= 0) & (panel.before >= 0))
    cells = moved.group_by("before", "was", "code", *by, "replicate").agg(n=moved.count())
    return cells.select(
        *by,
        "replicate",
        "n",
        before_stage=rules.name(cells.before),
        from_stage=rules.name(cells.was),
        to_stage=rules.name(cells.code),
    )


@reduction(
    keys={"before_stage": "object", "from_stage": "object", "to_stage": "object", "replicate": "int64"},
    counts={"n_customers": "int64"},
)
def customers_by_pair(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count the different customers behind each pair of moves: ``second_order_counts`` counts their months.

    Options: see ``PanelOptions``. ``(any)`` as the next stage holds everybody with that past, and as the stage before
    as well everybody who was in the stage with a known month before and after.

    Returns
    -------
    Ibis table
        before_stage, from_stage, to_stage, the segments, replicate; n_customers.
    """
    panel, rules = panel_of(tables, **options)
    by = options.get("by", ())
    in_time = ibis.window(group_by="customer_id", order_by="period")
    panel = panel.mutate(before=panel.was.lag().over(in_time))
    moved = panel.filter((panel.code >= 0) & (panel.was >= 0) & (panel.before >= 0))
    counted = []
    for keys in (("before", "was", "code"), ("before", "was"), ("was",)):
        cells = moved.group_by(*keys, *by, "replicate").agg(n_customers=moved.customer_id.nunique())
        names = dict(zip(("before_stage", "from_stage", "to_stage"), ("before", "was", "code"), strict=True))
        named = {new: rules.name(cells[old]) if old in keys else ibis.literal(ANY) for new, old in names.items()}
        counted.append(cells.select(*by, "replicate", "n_customers", **named))
    return ibis.union(*counted)


@reduction(
    keys={
        "stage": "object",
        "next_stage": "object",
        "dwell_periods": "int64",
        "start_observed": "bool",
        "replicate": "int64",
    },
    counts={"n": "int64"},
)
def dwell_counts(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count stays in a stage by how many period ends they lasted and by the stage that followed.

    Options: see ``PanelOptions``. A stay that runs to the last period is censored; its next stage is ``(open)``.
    ``start_observed`` is False for a stay that was under way in the first period or when the stage became known:
    its length is a lower bound.

    Returns
    -------
    Ibis table
        stage, next_stage, dwell_periods, start_observed, the segments, replicate; n stays.
    """
    stays, rules = _stays(tables, **options)
    by = options.get("by", ())
    cells = stays.group_by("code", "next", "dwell_periods", "start_observed", *by, "replicate").agg(n=stays.count())
    return cells.select(
        "dwell_periods",
        "start_observed",
        *by,
        "replicate",
        "n",
        stage=rules.name(cells.code),
        next_stage=rules.name(cells.next).fill_null(OPEN),
    )


@reduction(keys={"stage": "object", "longest_periods": "int64", "replicate": "int64"}, counts={"n_customers": "int64"})
def customers_by_stay(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count the different customers behind the stays in a stage, by the longest time that one of theirs was at risk.

    Options: see ``PanelOptions``. Only stays whose beginning was seen, as ``dwell_counts`` marks them; an open stay
    could not be seen ending in the last period, so it was at risk for one period less.

    Returns
    -------
    Ibis table
        stage, longest_periods (0: never at risk), the segments, replicate; n_customers.
    """
    stays, rules = _stays(tables, **options)
    by = options.get("by", ())
    seen = stays.filter(stays.start_observed)
    seen = seen.mutate(at_risk=seen.dwell_periods - seen.next.isnull().cast("int64"))
    each = seen.group_by("customer_id", "code", *by, "replicate").agg(longest_periods=seen.at_risk.max())
    cells = each.group_by("code", "longest_periods", *by, "replicate").agg(n_customers=each.count())
    return cells.select("longest_periods", *by, "replicate", "n_customers", stage=rules.name(cells.code))


@reduction(
    keys={
        "from_stage": "object",
        "to_stage": "object",
        "entry_periods": "int64",
        "exit_periods": "int64",
        "replicate": "int64",
    },
    counts={"n": "int64"},
)
def stay_counts(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count stays of incident customers by when they began and ended, in periods since the first contact.

    Options: see ``PanelOptions``. Only customers first seen after the first period: for the others the time since
    the first contact is not known. ``to_stage`` is ``(open)`` where the stay runs to the last period.

    Returns
    -------
    Ibis table
        from_stage, to_stage, entry_periods, exit_periods, the segments, replicate; n stays.
    """
    stays, rules = _stays(tables, **options)
    by = options.get("by", ())
    stays = stays.filter(stays.first_period > 0)
    stays = stays.mutate(entry_periods=stays.period - stays.first_period)
    stays = stays.mutate(exit_periods=stays.entry_periods + stays.dwell_periods)
    cells = stays.group_by("code", "next", "entry_periods", "exit_periods", *by, "replicate").agg(n=stays.count())
    return cells.select(
        "entry_periods",
        "exit_periods",
        *by,
        "replicate",
        "n",
        from_stage=rules.name(cells.code),
        to_stage=rules.name(cells.next).fill_null(OPEN),
    )


@reduction(
    keys={"period_start": "object", "stage": "object", "origin": "object", "replicate": "int64"},
    counts={"n": "int64"},
)
def entry_counts(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count the customers whose stage is known for the first time, by period and stage.

    Options: see ``PanelOptions``. The stock of a stage at the end of a period is the moves into it (stays among
    them) plus these entries.

    Returns
    -------
    Ibis table
        period_start, stage, origin (``window_start``, ``first_contact`` or ``unknown_before``), the segments,
        replicate; n customers.
    """
    panel, rules = panel_of(tables, **options)
    by = options.get("by", ())
    first = panel.filter((panel.code >= 0) & (panel.was.isnull() | (panel.was < 0)))
    origin = ibis.cases((first.was < 0, UNKNOWN_BEFORE), (first.period == 0, WINDOW_START), else_=CONTACT)
    first = first.mutate(origin=origin)
    cells = first.group_by("period_start", "code", "origin", *by, "replicate").agg(n=first.count())
    return cells.select("period_start", "origin", *by, "replicate", "n", stage=rules.name(cells.code))


@reduction(
    keys={
        "from_stage": "object",
        "from_silent": "int64",
        "to_stage": "object",
        "to_silent": "int64",
        "replicate": "int64",
    },
    counts={"n": "int64"},
)
def recency_counts(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count moves between stages, with stages that are left by the clock split by recency.

    Pfeifer and Carraway's form: in a stage that time alone leads out of, the chance of the next move depends on how
    many whole periods have been silent since the last purchase; or since the last social act, where that is what
    the stage's clock watches (``lcm_research.stages.clocks``). Options: see ``PanelOptions``.

    Returns
    -------
    Ibis table
        from_stage, from_silent, to_stage, to_silent, the segments, replicate; n customers. ``silent`` is 0 in
        stages without a clock, and in a period with a purchase (or social act). Moves from or to a stage whose
        clock watches purchases are not counted while the last purchase lies before the first period; silence in
        social acts counts from the first contact where there was none yet.

    Raises
    ------
    ModelError
        A clock watches something else, or purchases and social acts at once.
    """
    panel, rules = _with_recency(tables, **options)
    by = options.get("by", ())
    in_time = ibis.window(group_by="customer_id", order_by="period")
    panel = panel.mutate(silent_before=panel.silent.lag().over(in_time))
    moved = panel.filter((panel.code >= 0) & (panel.was >= 0) & panel.silent.notnull() & panel.silent_before.notnull())
    cells = moved.group_by("was", "silent_before", "code", "silent", *by, "replicate").agg(n=moved.count())
    return cells.select(
        *by,
        "replicate",
        "n",
        from_stage=rules.name(cells.was),
        from_silent=cells.silent_before,
        to_stage=rules.name(cells.code),
        to_silent=cells.silent,
    )


@reduction(
    keys={"stage": "object", "silent": "int64", "currency": "object", "replicate": "int64"},
    counts={"amount_minor": "int64"},
)
def spend_by_recency(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Sum what customers spent in a period by the stage, split by recency, that they were in at its end.

    Returns count against it. Options: see ``PanelOptions``. Only periods that ``recency_counts`` has as the end of
    a move: divide by its n to get the spend of a customer in a period.

    Returns
    -------
    Ibis table
        stage, silent (as in ``recency_counts``), currency, the segments, replicate; amount_minor, in minor units of
        the currency.
    """
    panel, rules = _with_recency(tables, **options)
    by = options.get("by", ())
    in_time = ibis.window(group_by="customer_id", order_by="period")
    panel = panel.mutate(silent_before=panel.silent.lag().over(in_time))
    there = panel.filter((panel.code >= 0) & (panel.was >= 0) & panel.silent.notnull() & panel.silent_before.notnull())
    spent = _by_period(tables["transactions"], options)
    spent = spent.group_by("customer_id", "period", "currency").agg(amount_minor=spent.amount_minor.sum())
    joined = there.join(spent, ["customer_id", "period"], how="inner")
    cells = joined.group_by("code", "silent", "currency", *by, "replicate").agg(amount_minor=joined.amount_minor.sum())
    return cells.select("silent", "currency", *by, "replicate", "amount_minor", stage=rules.name(cells.code))


@reduction(keys={"sequence": "int64", "replicate": "int64"}, counts={"n": "int64"})
def sequence_counts(tables: Tables, *, n_periods: int, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count customers by their whole sequence of stages over the last periods.

    For questions that moves alone cannot answer: who never moves at all. Only customers whose stage is known in
    each of the last ``n_periods + 1`` periods.

    Parameters
    ----------
    tables : Tables
    n_periods : int
        Moves in a sequence, from 2 to 12.
    **options
        See ``PanelOptions``.

    Returns
    -------
    Ibis table
        sequence, the segments, replicate; n customers. A sequence is a number whose digits to the base of the
        number of stages are places in the scheme's order, the first period first.
    """
    if not 2 <= n_periods <= MAX_SEQUENCE:
        raise StudyError(f"expected n_periods from 2 to {MAX_SEQUENCE}; came {n_periods}")
    panel, rules = panel_of(tables, **options)
    by = options.get("by", ())
    total = len(_calendar(options))
    if n_periods + 1 > total:
        raise ModelError(
            f"n_periods={n_periods} moves need {n_periods + 1} whole periods; the window holds {total}; ask for "
            f"{max(total - 1, 0)} at most"
        )
    late = panel.filter((panel.period >= total - 1 - n_periods) & (panel.code >= 0))
    # an integer table of powers keeps this free of floating point on every engine
    powers = ibis.cases(*((late.period == total - 1 - k, len(rules.stages) ** k) for k in range(n_periods + 1)))
    late = late.mutate(digit=late.code * powers.cast("int64"))
    whole = late.group_by("customer_id", *by, "replicate").agg(sequence=late.digit.sum(), periods=late.count())
    whole = whole.filter(whole.periods == n_periods + 1)
    return whole.group_by("sequence", *by, "replicate").agg(n=whole.count())


def _calendar(options: PanelOptions) -> Any:
    return months(observation_start_day=options["observation_start_day"], as_of_day=options["as_of_day"])


def _stays(tables: Tables, **options: Unpack[PanelOptions]) -> tuple[ir.Table, StageRules]:
    """Return one row for each unbroken stay: its stage, first period, length, and the stage after it (missing)."""
    panel, rules = panel_of(tables, **options)
    total = len(_calendar(options))
    in_time = ibis.window(group_by="customer_id", order_by="period")
    panel = panel.mutate(first_period=panel.period.min().over(ibis.window(group_by="customer_id")))
    starts = panel.filter(panel.was.isnull() | (panel.was != panel.code))
    starts = starts.mutate(next_start=starts.period.lead().over(in_time), next=starts.code.lead().over(in_time))
    entered = starts.was.isnull() & (starts.period > 0)
    starts = starts.mutate(
        dwell_periods=starts.next_start.fill_null(total) - starts.period,
        start_observed=(entered | (starts.was >= 0)).fill_null(False),
    )
    return starts.filter(starts.code >= 0), rules


def _by_period(events: ir.Table, options: PanelOptions) -> ir.Table:
    days = ibis.memtable(period_of_each_day(_calendar(options))).rename(on_day="day")
    return events.join(days, events.day == days.on_day, how="inner")


def _with_recency(tables: Tables, **options: Unpack[PanelOptions]) -> tuple[ir.Table, StageRules]:
    """Return the panel with ``silent``, missing where a stage has a clock and the last purchase is not known."""
    panel, rules = panel_of(tables, **options)
    held = {name: options[name] for name in ("confirm_periods", "min_dwell") if name in options}
    # a clock without its table is off, as in the rules
    watched = {stage: table for stage, table in clocks(rules, **held).items() if table in tables}
    so_far = ibis.window(group_by="customer_id", order_by="period", preceding=None, following=0)
    silent: Any = ibis.literal(0, "int64")
    for table in sorted(set(watched.values())):
        active = _by_period(_that_stop(table, tables, rules), options)
        active = active.select("customer_id", "period", active_in=active.period).distinct()
        joined = panel.left_join(active, ["customer_id", "period"])
        panel = joined.select(*panel.columns, "active_in")
        last = panel.active_in.max().over(so_far)
        if table == "engagements":  # a prospect who never engaged has been silent since the first contact
            last = last.fill_null(panel.period.min().over(ibis.window(group_by="customer_id")))
        panel = panel.mutate(**{f"since_{table}": panel.period - last}).drop("active_in")
    for table in sorted(set(watched.values())):
        places = [place for place, stage in enumerate(rules.stages) if watched.get(stage) == table]
        silent = panel.code.isin(places).ifelse(panel[f"since_{table}"], silent)
    return panel.mutate(silent=silent), rules


def _that_stop(table: Watched, tables: Tables, rules: StageRules) -> ir.Table:
    """Return the purchases, or the social acts, that stop a clock."""
    rows = tables[table]
    if table == "transactions":
        return rows.filter(~rows.is_return)
    nothing = [action for action, weight in rules.scheme.acts.weights.items() if weight == 0]
    return rows.filter(~rows.action.isin(nothing)) if nothing else rows
