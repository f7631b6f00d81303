"""
Moves between stages beside what was known of the customer before them: engagement, touches and past purchases.

A move happens in a month; what it is set beside ended with the month before, at whose end the stage it starts from
is read. In the month of the move itself whoever came back has more to engage with, so engagement of that month goes
along with coming back though it does nothing. It can be counted, and so can the month after, as guards only.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, Unpack, get_args

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import StudyError
from lcm_research.stages.calendar import months, period_of_each_day
from lcm_research.stages.dense import people
from lcm_research.stages.panel import ANY, UNKNOWN, PanelOptions, panel_of
from lcm_research.stages.rules import StageRules

__all__ = ["MAX_PATTERNS", "CovariateOptions", "class_names", "covariate_counts", "covariate_customers"]

MAX_PATTERNS = 2000
"""More combinations of classes than this are no longer counts."""

When = Literal["before", "during", "after"]
SHIFT: Mapping[When, int] = {"before": 1, "during": 0, "after": -1}


class CovariateOptions(PanelOptions):
    """
    What the counts are told: the options of the panel, and which covariates in which classes.

    An empty list of breaks leaves a covariate out. Breaks ``[1, 3]`` make the classes ``0``, ``1-2`` and ``3+``.

    Attributes
    ----------
    engaged_breaks, engaged_when : lists
        Days with a social act in the month ``before`` the move; ``during`` and ``after`` it are for guards only.
    actions : list of str
        Social acts that count; an empty list is every act.
    touched_breaks : list of int
        Touchpoints in the month before the move.
    bought_breaks, bought_months : list of int, int
        Purchase days in so many months, the one before the move the last.
    silent_breaks : list of int
        Months without a purchase at the start of the move; 0 is a purchase in the month before it. Who bought in
        none of ``bought_months`` is in the last class.
    by_quarter : bool
        Whether to keep the quarter of the move.
    """

    engaged_breaks: Sequence[int]
    engaged_when: Sequence[When]
    actions: Sequence[str]
    touched_breaks: Sequence[int]
    bought_breaks: Sequence[int]
    bought_months: int
    silent_breaks: Sequence[int]
    by_quarter: NotRequired[bool]


@reduction(
    keys={"from_stage": "object", "to_stage": "object", "replicate": "int64"},
    counts={"n": "int64"},
)
def covariate_counts(tables: Tables, **options: Unpack[CovariateOptions]) -> ir.Table:
    """
    Count moves and stays by what was known of the customer before the month in which they happened.

    Parameters
    ----------
    tables : Tables
        With ``engagements`` and ``touchpoints`` where they are asked for.
    **options
        See ``CovariateOptions``.

    Returns
    -------
    Ibis table
        from_stage, to_stage, the segments, then those asked for of engaged_before, engaged_during, engaged_after,
        touched_before, bought_before, silent_before and quarter (``"2024-Q1"``), all text; replicate; n
        customer-months, as ``transition_counts`` counts them. A class is ``unknown`` where it rests on days before the
        observation of a customer whose whole history is not known, or on a month after the last.

    Raises
    ------
    StudyError
        Breaks that do not rise, more than 2,000 combinations of classes from before the move, or a scheme of
        communities.
    """
    moved, rules, names = _moved(tables, **options)
    keys = [*options.get("by", ()), *names]
    cells = moved.group_by("was", "code", *keys, "replicate").agg(n=moved.count())
    return cells.select(*keys, "replicate", "n", from_stage=rules.name(cells.was), to_stage=rules.name(cells.code))


@reduction(
    keys={"from_stage": "object", "covariate": "object", "level": "object", "to_stage": "object", "replicate": "int64"},
    counts={"n_customers": "int64"},
)
def covariate_customers(tables: Tables, **options: Unpack[CovariateOptions]) -> ir.Table:
    """
    Count the different customers behind each class of each covariate, and those of them who made each move.

    Only customer-months in which nothing from before the move is unknown. Options: see ``CovariateOptions``.

    Returns
    -------
    Ibis table
        from_stage, covariate, level, to_stage (``(any)`` for all), replicate; n_customers.
    """
    moved, rules, names = _moved(tables, **options)
    columns = [*options.get("by", ()), *names]
    for name in columns:
        if name not in ("engaged_during", "engaged_after"):
            moved = moved.filter(moved[name] != UNKNOWN)
    # one pass: every move stands once for each covariate and for none, under its destination and under any
    asked = [(name, to_any) for name in ["", *columns] for to_any in (False, True)]
    moved = moved.cross_join(ibis.memtable(pd.DataFrame(asked, columns=["covariate", "to_any"])))
    levels = [(moved.covariate == name, moved[name]) for name in columns]
    moved = moved.mutate(
        level=ibis.cases(*levels, else_="") if levels else ibis.literal(""),
        to_code=moved.to_any.ifelse(ibis.literal(-1, "int64"), moved.code.cast("int64")),
    )
    keys = ["was", "covariate", "level", "to_code", "replicate"]
    cells = moved.group_by(keys).agg(n_customers=moved.customer_id.nunique())
    to_stage = (cells.to_code < 0).ifelse(ANY, rules.name(cells.to_code))
    kept = ["covariate", "level", "replicate", "n_customers"]
    return cells.select(*kept, from_stage=rules.name(cells.was), to_stage=to_stage)


def class_names(breaks: Sequence[int]) -> list[str]:
    """
    Names of the classes of a count that begin at 0 and at each break.

    >>> class_names([1, 2, 5])
    ['0', '1', '2-4', '5+']
    """
    if not breaks or list(breaks) != sorted(set(breaks)) or breaks[0] < 1:
        raise StudyError(f"expected breaks that rise and begin at 1 or later, such as [1, 3]; came {list(breaks)}")
    pairs = itertools.pairwise([0, *breaks])
    closed = [str(begin) if end == begin + 1 else f"{begin}-{end - 1}" for begin, end in pairs]
    return [*closed, f"{breaks[-1]}+"]


def _moved(tables: Tables, **options: Unpack[CovariateOptions]) -> tuple[ir.Table, StageRules, list[str]]:
    """Return one row for each counted move or stay, the rules, and the names of its covariates."""
    told: dict[str, Any] = {name: value for name, value in options.items() if name in PanelOptions.__annotations__}
    panel, rules = panel_of(tables, **told)
    calendar = months(observation_start_day=options["observation_start_day"], as_of_day=options["as_of_day"])
    _check(rules, options, n_quarters=calendar["period_start"].map(_quarter).nunique())
    moved = panel.filter((panel.code >= 0) & (panel.was >= 0))
    moved = moved.select("customer_id", "replicate", *options.get("by", ()), "period", "was", "code")
    start, history = options["observation_start_day"], options["history"]
    who = people(tables, rules, history=history, observation_start_day=start).select("customer_id", "known")
    moved = moved.join(who, "customer_id").join(ibis.memtable(_by_period(calendar, options)), "period")
    days = ibis.memtable(_days_of_months(calendar, options["bought_months"])).rename(on_day="day")
    names: list[str] = []

    def in_months(table: ir.Table) -> ir.Table:
        """Return the rows that may be read, with ``month``: the period of their day, below 0 before the first."""
        read = table if history == "complete" else table.filter(table.day >= start)
        return read.join(days, read.day == days.on_day).drop("on_day").rename(month="period")

    for when in options["engaged_when"] if options["engaged_breaks"] else ():
        acted = in_months(_acts(tables, options["actions"])).group_by("customer_id", "month").agg(found=ibis._.count())
        moved = _beside(moved, acted.select("customer_id", "found", period=acted.month + SHIFT[when]))
        seen = {"before": moved.month_whole | moved.known, "during": ibis.literal(True), "after": ~moved.last}[when]
        moved = _classed(moved, f"engaged_{when}", options["engaged_breaks"], seen)
        names.append(f"engaged_{when}")
    if options["touched_breaks"]:
        touched = in_months(tables["touchpoints"].select("customer_id", "day"))
        touched = touched.group_by("customer_id", "month").agg(found=ibis._.count())
        moved = _beside(moved, touched.select("customer_id", "found", period=touched.month + 1))
        moved = _classed(moved, "touched_before", options["touched_breaks"], moved.month_whole | moved.known)
        names.append("touched_before")
    if options["bought_breaks"] or options["silent_breaks"]:
        bought = _bought_before(in_months(_purchase_days(tables)), options["bought_months"])
        whole = moved.months_whole | moved.known
        moved, names = _with_purchases(moved, bought, options, whole, names)
    if options.get("by_quarter"):
        names.append("quarter")
    return moved, rules, names


def _with_purchases(
    moved: ir.Table, bought: ir.Table, options: CovariateOptions, whole: ir.BooleanValue, names: list[str]
) -> tuple[ir.Table, list[str]]:
    names = [*names]
    moved = moved.mutate(whole=whole)
    if options["bought_breaks"]:
        moved = _beside(moved, bought.select("customer_id", "period", found=bought.n_bought))
        moved = _classed(moved, "bought_before", options["bought_breaks"], moved.whole)
        names.append("bought_before")
    if options["silent_breaks"]:
        moved = _beside(moved, bought.select("customer_id", "period", found=bought.silent))
        moved = moved.mutate(found=moved.found.fill_null(options["bought_months"]))
        moved = _classed(moved, "silent_before", options["silent_breaks"], moved.whole)
        names.append("silent_before")
    return moved, names


def _acts(tables: Tables, actions: Sequence[str]) -> ir.Table:
    acts = tables["engagements"]
    acts = acts.filter(acts.action.isin(list(actions))) if actions else acts
    return acts.select("customer_id", "day").distinct()


def _purchase_days(tables: Tables) -> ir.Table:
    bought = tables["transactions"]
    return bought.filter(~bought.is_return).select("customer_id", "day").distinct()


def _bought_before(bought: ir.Table, n_months: int) -> ir.Table:
    """Purchase days in the months up to the one before each period, and the months since the last of them."""
    by_month = bought.group_by("customer_id", "month").agg(n_days=ibis._.count())
    offsets = ibis.memtable(pd.DataFrame({"silent": range(n_months)}, dtype="int64"))
    counted = by_month.cross_join(offsets)
    counted = counted.mutate(period=counted.month + counted.silent + 1)
    return counted.group_by("customer_id", "period").agg(n_bought=counted.n_days.sum(), silent=counted.silent.min())


def _beside(moved: ir.Table, found: ir.Table) -> ir.Table:
    joined = moved.left_join(found, ["customer_id", "period"])
    return joined.select(*moved.columns, "found")


def _classed(moved: ir.Table, name: str, breaks: Sequence[int], seen: ir.BooleanValue) -> ir.Table:
    """Replace ``found`` by its class under a name, ``unknown`` where it was not seen whole."""
    names, n = class_names(breaks), moved.found.fill_null(0)
    cases = [(~seen, UNKNOWN), *((n < end, label) for end, label in zip(breaks, names[:-1], strict=True))]
    return moved.mutate(**{name: ibis.cases(*cases, else_=names[-1])}).drop("found")


def _by_period(calendar: pd.DataFrame, options: CovariateOptions) -> pd.DataFrame:
    """What is the same for all moves of a period: its quarter, and whether the months before it were seen whole."""
    starts = pd.PeriodIndex(calendar["period_start"], freq="M")

    def whole(n_months: int) -> list[bool]:
        firsts = (starts - n_months).start_time
        return list((firsts - pd.Timestamp(0)).days >= options["observation_start_day"])

    return pd.DataFrame(
        {
            "period": calendar["period"],
            "quarter": calendar["period_start"].map(_quarter),
            "month_whole": whole(1),
            "months_whole": whole(options["bought_months"]),
            "last": calendar["period"] == calendar["period"].max(),
        }
    )


def _quarter(period_start: str) -> str:
    return f"{period_start[:4]}-Q{(int(period_start[5:7]) + 2) // 3}"


def _days_of_months(calendar: pd.DataFrame, months_before: int) -> pd.DataFrame:
    """Return every day with its period, those of earlier months with numbers below 0."""
    first = pd.Period(calendar["period_start"].iloc[0], freq="M") - months_before
    start_day = (first.start_time - pd.Timestamp(0)).days
    longer = months(observation_start_day=start_day, as_of_day=int(calendar["end_day"].iloc[-1]))
    days = period_of_each_day(longer)
    return days.assign(period=days["period"] - months_before)


def _check(rules: StageRules, options: CovariateOptions, *, n_quarters: int) -> None:
    if rules.scheme.unit != "customer":
        raise StudyError(f"scheme '{rules.scheme.scheme}' is of communities; covariates are those of customers")
    unknown = [when for when in options["engaged_when"] if when not in get_args(When)]
    if unknown:
        raise StudyError(f"expected engaged_when of {', '.join(get_args(When))}; came '{unknown[0]}'")
    if options["bought_months"] < 1:
        raise StudyError(f"expected bought_months of 1 or more; came {options['bought_months']}")
    sizes = {name: len(class_names(b)) for name, b in _breaks(options).items()}
    if options["silent_breaks"] and options["silent_breaks"][-1] > options["bought_months"]:
        raise StudyError(
            f"silent_breaks go up to {options['silent_breaks'][-1]} months, beyond bought_months="
            f"{options['bought_months']}; look back further or take fewer breaks"
        )
    if options.get("by_quarter"):
        sizes["quarter"] = n_quarters
    n_patterns = math.prod(sizes.values())
    if n_patterns > MAX_PATTERNS:
        widest = max(sizes, key=lambda name: sizes[name])
        raise StudyError(
            f"the classes make {n_patterns:,} patterns, more than {MAX_PATTERNS:,}; cut '{widest}' "
            f"({sizes[widest]} classes) by coarser breaks or leave it out"
        )


def _breaks(options: CovariateOptions) -> dict[str, Sequence[int]]:
    """Return the breaks of each covariate from before the move that is asked for."""
    pairs = {
        "engaged_before": options["engaged_breaks"] if "before" in options["engaged_when"] else (),
        "touched_before": options["touched_breaks"],
        "bought_before": options["bought_breaks"],
        "silent_before": options["silent_breaks"],
    }
    return {name: breaks for name, breaks in pairs.items() if breaks}
