"""
The dense stage panel: the stage of every customer at the end of every period since the first contact.

A stage at the end of a period depends on rows up to that day only. Customers are followed through silent periods
too, to the last whole month. Where the data cannot tell the stage it is ``unknown``: without a complete history, a
customer whose last purchase may lie before the observation window has no known recency until the window is
longer than the churn window.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict, Unpack

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import StudyError
from lcm_research.stages.availability import primitives_off
from lcm_research.stages.calendar import months
from lcm_research.stages.dense import History, is_known, known_at_each_end, people
from lcm_research.stages.gaps import gaps_of, moves_in_gaps, stocks_in_gaps
from lcm_research.stages.holding import held
from lcm_research.stages.primitives import CORE
from lcm_research.stages.rules import StageRules, stage_rules
from lcm_research.stages.signature_layout import signature_layout
from lcm_research.stages.signatures import moves_in_signatures, signatures_of, stocks_in_signatures
from lcm_research.stages.steps import primitives_before

__all__ = [
    "ANY",
    "UNKNOWN",
    "customers_by_move",
    "customers_by_use",
    "cuts_by_period",
    "panel_of",
    "stage_panel",
    "stage_stock",
    "transition_counts",
]

UNKNOWN = "unknown"
"""Stage of a customer-period that the data cannot tell."""

ANY = "(any)"
"""Destination of ``customers_by_move`` that stands for all of them."""


class PanelOptions(TypedDict):
    """
    What every count of the panel is told, in JSON-able values.

    ``scheme`` (a name or ``Scheme.definition()``), ``thresholds`` and ``window_days`` are what
    ``StageRules.parameters`` returns; the others are those of ``stage_panel``.
    """

    scheme: str | Mapping[str, Any]
    thresholds: Mapping[str, float]
    window_days: int
    period: Literal["month"]
    observation_start_day: int
    as_of_day: int
    history: History
    by: NotRequired[Sequence[str]]
    confirm_periods: NotRequired[int]
    min_dwell: NotRequired[int]


def stage_panel(
    tables: Tables,
    *,
    rules: StageRules,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    by: Sequence[str] = (),
    confirm_periods: int = 1,
    min_dwell: int = 0,
) -> ir.Table:
    """
    Return one row for each customer and period since the first contact, in the engine.

    The first contact is ``first_seen_at``, a transaction, or anything else that a primitive of the rules counts. In a
    scheme of communities the rows are communities since their creation, under the same names.

    Parameters
    ----------
    tables : Tables
        With ``customers`` and ``transactions`` (or ``community`` and ``community_member``), and the tables of the
        other primitives that the rules name.
    rules : StageRules
        The scheme with its thresholds.
    observation_start_day, as_of_day : int
        The window, in days since 1970-01-01. Periods are the calendar months that touch it and are over by
        ``as_of_day``; later rows are not read.
    history : {"complete", "from_observation_start"}
        Whether the tables hold each customer's whole history. Otherwise rows before the window are not read, and
        a customer first seen before it, or at an unknown time, is ``unknown`` until a purchase and the end of the
        longest window of the rules (the churn window among them); for good where the scheme needs the whole history.
    by : list of str
        Segments: columns of ``customers`` (or ``community``) to keep.
    confirm_periods, min_dwell : int
        How a stage is held on to: see ``lcm_research.stages.holding.held``.

    Returns
    -------
    Ibis table
        customer_id, replicate, the segments, period, period_start, ``code`` (place of the stage in
        ``rules.stages``, -1 where unknown), ``was`` (the code one period before; missing in the first) and
        ``coarse`` (place of the coarse stage in ``COARSE``, or -1).

    Raises
    ------
    MissingTableError, DataError
        The study lacks what the rules need.
    StudyError
        A cut of the scheme is not set.
    """
    calendar = months(observation_start_day=observation_start_day, as_of_day=as_of_day)
    ends = calendar.assign(**cuts_by_period(rules, calendar))
    dense, names = known_at_each_end(
        tables, rules=rules, ends=ends, observation_start_day=observation_start_day, history=history, by=by
    )

    def code(known_then: Mapping[str, ir.Value], end_day: ir.IntegerValue) -> ir.IntegerValue:
        known = is_known(dense, known_then, end_day, rules=rules, observation_start_day=observation_start_day)
        return known.ifelse(rules.code(known_then), -1)

    columns = ["customer_id", "replicate", *by, "period", "period_start"]
    coarse_names = _for_coarse(rules, names)
    panel = dense.select(*columns, **coarse_names, code=code(names, dense.end_day))
    if set(names) <= set(CORE) and confirm_periods == 1 and min_dwell in (0, 1):
        # the same row tells the stage of the period before: no window over the dense panel
        existed = (dense.period > 0) & (dense.silent | dense.step_period_before.notnull())
        was = existed.ifelse(code(primitives_before(dense), dense.end_day_before), ibis.null("int64"))
        panel = dense.select(*columns, **coarse_names, code=code(names, dense.end_day), was=was)
    else:
        panel = held(panel, confirm_periods=confirm_periods, min_dwell=min_dwell, total=len(calendar))
        panel = panel.mutate(was=panel.code.lag().over(ibis.window(group_by="customer_id", order_by="period")))
    coarse = rules.coarse(panel.code, {name: panel[name] for name in coarse_names})
    return panel.select(*columns, "code", "was", coarse=coarse)


def cuts_by_period(rules: StageRules, calendar: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the cuts that differ by period, one value a period of the calendar."""
    found = {}
    for name in rules.scheme.cuts:
        cut = rules.cuts.get(name)
        if cut is None:
            raise StudyError(
                f"scheme '{rules.scheme.scheme}' compares with the cut {name}, which is read off the data first: count "
                "cut_value_counts and hand the result to with_cuts (lcm_research.stages.cuts)"
            )
        if isinstance(cut, Mapping):
            values = calendar["period_start"].map(dict(cut))
            if values.isna().all():
                first, last = calendar["period_start"].iloc[0], calendar["period_start"].iloc[-1]
                raise StudyError(f"the cut {name} has no value from {first} to {last}; read it over the same window")
            # in a period without a value there is nobody to compare
            found[name] = values.fillna(0).astype("float64")
    return found


def _for_coarse(rules: StageRules, names: Mapping[str, ir.Value]) -> dict[str, ir.Value]:
    """Return what the crosswalk to coarse stages asks about."""
    cases = [case.when for stage in rules.scheme.stages.values() for case in stage.cases]
    asked = {name for text in cases for name in rules.scheme.expression("stages", text).names()}
    return {name: value for name, value in names.items() if name in asked}


def panel_of(
    tables: Tables,
    *,
    scheme: str | Mapping[str, Any],
    thresholds: Mapping[str, float],
    window_days: int,
    period: Literal["month"],
    **window: Any,
) -> tuple[ir.Table, StageRules]:
    """Return the panel that ``PanelOptions`` describe, and the rules that made it."""
    if period != "month":
        raise StudyError(f"expected period='month', the only one there is; came {period!r}")
    rules = stage_rules(scheme, window_days=window_days, thresholds=thresholds)
    return stage_panel(tables, rules=rules, **window), rules


def counted_of(
    tables: Tables, counted: Literal["moves", "stocks"], **options: Unpack[PanelOptions]
) -> tuple[ir.Table, StageRules]:
    """
    Return moves or stocks, some rows with ``n_customers`` for each, and the rules that made them.

    They come from signatures where those tell all that the rules ask, and from gaps otherwise. The panel itself is
    gone through where a stage depends on more than its own period end: where it is held on to, or a rule asks for how
    many period ends in a row something has held. All three give the same counts.
    """
    if options["period"] != "month":
        return panel_of(tables, **options)
    rules = stage_rules(options["scheme"], window_days=options["window_days"], thresholds=options["thresholds"])
    held_on = options.get("confirm_periods", 1) != 1 or options.get("min_dwell", 0) not in (0, 1)
    if held_on or rules.scheme.streaks:
        panel, rules = panel_of(tables, **options)
        return panel.mutate(n_customers=1), rules
    start, end = options["observation_start_day"], options["as_of_day"]
    calendar = months(observation_start_day=start, as_of_day=end)
    ends = calendar.assign(**cuts_by_period(rules, calendar))
    window: dict[str, Any] = {"observation_start_day": start, "history": options["history"]}
    told = window | {"rules": rules, "ends": ends, "by": options.get("by", ())}
    moves = counted == "moves"
    layout = None if primitives_off(tables, rules) else signature_layout(rules, ends=ends, moves=moves)
    if layout is None:
        gaps = gaps_of(tables, **told)
        return (moves_in_gaps(gaps) if moves else stocks_in_gaps(gaps)), rules
    signatures = signatures_of(tables, layout=layout, **told)
    return (moves_in_signatures(signatures) if moves else stocks_in_signatures(signatures)), rules


@reduction(
    keys={"from_stage": "object", "to_stage": "object", "period_start": "object", "replicate": "int64"},
    counts={"n": "int64"},
)
def transition_counts(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count customers' moves between stages from the end of one period to the end of the next.

    A customer who stays is counted as well. ``period_start`` is the first day of the period in which the move
    happened, the later one. Customer-periods with an unknown stage at either end are not counted.

    Parameters
    ----------
    tables : Tables
    **options
        See ``PanelOptions``.

    Returns
    -------
    Ibis table
        from_stage, to_stage, period_start, the segments, replicate; n customers.
    """
    moved, rules = counted_of(tables, "moves", **options)
    by = options.get("by", ())
    moved = moved.filter((moved.code >= 0) & (moved.was >= 0))
    cells = moved.group_by("was", "code", "period_start", *by, "replicate").agg(n=moved.n_customers.sum())
    return cells.select(
        "period_start", *by, "replicate", "n", from_stage=rules.name(cells.was), to_stage=rules.name(cells.code)
    )


@reduction(keys={"period_start": "object", "stage": "object", "replicate": "int64"}, counts={"n": "int64"})
def stage_stock(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count the customers in each stage at the end of each period, ``unknown`` among them.

    Options: see ``PanelOptions``. Nobody leaves the panel, so the last period holds every
    customer who was ever seen.

    Returns
    -------
    Ibis table
        period_start, stage, the segments, replicate; n customers.
    """
    held_in, rules = counted_of(tables, "stocks", **options)
    by = options.get("by", ())
    cells = held_in.group_by("period_start", "code", *by, "replicate").agg(n=held_in.n_customers.sum())
    return cells.select("period_start", *by, "replicate", "n", stage=rules.name(cells.code).fill_null(UNKNOWN))


@reduction(keys={"from_stage": "object", "to_stage": "object", "replicate": "int64"}, counts={"n_customers": "int64"})
def customers_by_move(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count the different customers who made each move at least once.

    ``transition_counts`` counts a customer who stays dormant for six months six times; this counts heads. The
    destination ``(any)`` holds everybody who started a period in a stage. Options: see
    ``PanelOptions``.

    Returns
    -------
    Ibis table
        from_stage, to_stage, the segments, replicate; n_customers.
    """
    panel, rules = panel_of(tables, **options)
    by = options.get("by", ())
    moved = panel.filter((panel.code >= 0) & (panel.was >= 0))
    # a bit for each destination: one pass over the panel, however many moves a customer made
    bits = [(moved.code == place).cast("int64").max() * 2**place for place in range(len(rules.stages))]
    made = moved.group_by("customer_id", "was", *by, "replicate").agg(moves=functools.reduce(operator.add, bits))
    kinds = made.group_by("was", "moves", *by, "replicate").agg(n_customers=made.count())
    cells = kinds.cross_join(ibis.memtable(_destinations(rules.stages)))
    cells = cells.filter((cells.moves & cells.mask) != 0)
    cells = cells.group_by("was", "to_stage", *by, "replicate").agg(n_customers=cells.n_customers.sum())
    return cells.select("to_stage", *by, "replicate", "n_customers", from_stage=rules.name(cells.was))


@reduction(keys={"status": "object", "replicate": "int64"}, counts={"n_customers": "int64"})
def customers_by_use(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count every customer of the study by what the panel makes of them; options: see ``PanelOptions``, without ``by``.

    Returns
    -------
    Ibis table
        status, replicate; n_customers. ``used``: the stage is known at the end of two months in a row;
        ``not_twice``: followed, but it never is; ``not_seen``: no contact by the end of the last whole month.
    """
    panel, rules = panel_of(tables, **options)
    twice = ((panel.code >= 0) & (panel.was >= 0)).fill_null(False)
    followed = panel.group_by("customer_id").agg(used=twice.cast("int64").max())
    everybody = people(tables, rules, history="complete", observation_start_day=0).left_join(followed, "customer_id")
    status = ibis.cases((everybody.used == 1, "used"), (everybody.used == 0, "not_twice"), else_="not_seen")
    told = everybody.select("replicate", status=status)
    return told.group_by("status", "replicate").agg(n_customers=told.count())


def _destinations(stages: Sequence[str]) -> pd.DataFrame:
    """Return the bits that stand for each destination and, under ``(any)``, for all of them."""
    bits = [(stage, 1 << place) for place, stage in enumerate(stages)]
    return pd.DataFrame([*bits, (ANY, (1 << len(stages)) - 1)], columns=["to_stage", "mask"])
