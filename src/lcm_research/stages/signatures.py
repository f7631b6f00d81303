"""
Moves and stocks counted from signatures: bits that a purchase of a day has, whoever made it.

The bits of a customer are those of the purchases, or-ed together, in one pass and in any order: the youngest side of
the rules' boundaries that holds a purchase tells the days since the last one as well as rules ask for them, the oldest
side those since the first. Signatures are cut into words of a few months; what is gone through by period are the
words that differ, not the customers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.reduction import Tables
from lcm_research.stages.dense import History, is_known, people
from lcm_research.stages.events import sources_of
from lcm_research.stages.rules import StageRules
from lcm_research.stages.signature_layout import Count, Layout
from lcm_research.stages.steps import with_period_before

__all__ = ["Signatures", "moves_in_signatures", "signatures_of", "stocks_in_signatures"]


@dataclass(frozen=True)
class Signatures:
    """
    What customers' signatures say at the end of each period, counted, and what they were made with.

    Parameters
    ----------
    table : Ibis table
        period, period_start, end_day, end_day_before, ``read`` (the bits of this and the period ends before it),
        known, the segments, replicate, n_customers.
    layout : Layout
    rules : StageRules
    observation_start_day : int
    by : sequence of str
    """

    table: ir.Table
    layout: Layout
    rules: StageRules
    observation_start_day: int
    by: Sequence[str]


def moves_in_signatures(signatures: Signatures) -> ir.Table:
    """
    Return the moves from the end of each period to the end of the next, some rows for each move.

    Returns
    -------
    Ibis table
        As ``moves_in_gaps``; the signatures are laid out for moves.
    """
    code, was = (_code(signatures, back=back) for back in (0, 1))
    return _counted(signatures, back=1, was=was, code=code)


def stocks_in_signatures(signatures: Signatures) -> ir.Table:
    """
    Return the customers at the end of each period, some rows for each stage.

    Returns
    -------
    Ibis table
        As ``stocks_in_gaps``; the signatures are laid out for stocks.
    """
    return _counted(signatures, back=0, code=_code(signatures, back=0))


def _counted(signatures: Signatures, *, back: int, **codes: ir.IntegerValue) -> ir.Table:
    """Return the codes of all with a contact by the earliest period end that is asked about."""
    rows = signatures.table
    told = rows.select(
        "period_start",
        *signatures.by,
        "replicate",
        "n_customers",
        seen=_has(rows, signatures.layout, "contact", back=back),
        **codes,
    )
    return told.filter(told.seen).drop("seen")


def signatures_of(
    tables: Tables,
    *,
    layout: Layout,
    rules: StageRules,
    ends: pd.DataFrame,
    observation_start_day: int,
    history: History,
    by: Sequence[str] = (),
) -> Signatures:
    """
    Return the signatures of all customers, counted by what they say at the end of each period.

    Parameters
    ----------
    tables, rules, observation_start_day, history, by
        As ``stage_panel`` takes them.
    layout : Layout
        From ``signature_layout``.
    ends : DataFrame
        The calendar.
    """
    since, until = None if history == "complete" else observation_start_day, int(ends["end_day"].iloc[-1])
    days = layout.words_of_days(ends)
    bought = sources_of(tables, rules.scheme, rules.windows, since=since, until=until)["transactions"]()
    seen = ["first_seen_at_day"] if "first_seen_at_day" in tables["customers"].columns else []
    segments = list(dict.fromkeys([*by, *seen]))
    who = people(tables, rules, history=history, observation_start_day=observation_start_day, by=segments)
    whole = _whole(who, _of_purchases(bought, days, layout), days, layout)
    group = ["known", *by, "replicate"]
    numbers = [f"count_{k}" for k in range(len(layout.counts))]
    each = whole.cross_join(ibis.memtable(pd.DataFrame({"word": range(len(layout.words))}, dtype="int64")))
    columns = dict(zip(["bits", *numbers], [layout.words, *layout.numbers], strict=True))
    one = {c: ibis.cases(*((each.word == i, each[name]) for i, name in enumerate(of))) for c, of in columns.items()}
    each = each.select("word", *group, **one).filter(ibis._.bits != 0)
    kinds = each.group_by("word", "bits", *numbers, *group).agg(n_customers=each.count())
    # words are gone through by period, each for all who have it
    rows = kinds.join(ibis.memtable(layout.rows(ends)), "word")
    width, width_of_count = layout.row_bits
    read = (rows.bits >> rows.shift) & _whole_number((1 << width) - 1)
    for k, name in enumerate(numbers):
        enough = (rows[name] >> rows.count_shift) & _whole_number((1 << width_of_count) - 1)
        read = read | (enough << _whole_number(width + k * width_of_count))
    rows = rows.mutate(read=read)
    counted = rows.group_by("period", "read", *group).agg(n_customers=rows.n_customers.sum().cast("int64"))
    table = counted.join(ibis.memtable(with_period_before(ends)), "period")
    return Signatures(table, layout, rules, observation_start_day, by)


@ibis.udf.agg.builtin
def bit_or(word: int) -> int:  # type: ignore[empty-body]
    """Return the bits that any of the words has, as DuckDB and Spark both call it."""


def _of_purchases(bought: Any, days: pd.DataFrame, layout: Layout) -> ir.Table:
    """Return the words of each customer with a purchase, or with a return, which is a contact and no more."""
    placed = bought.select("customer_id", day=bought.day.clip(lower=int(days["on_day"].min())), kept=~bought.is_return)
    told = ibis.memtable(days)
    placed = placed.join(told, [placed.day == told.on_day, placed.kept == told.purchase])
    numbers = [name for names in layout.numbers for name in names]
    if numbers:
        # of purchases on days that are alike, no more than rules ask for
        alike = placed.group_by("customer_id", "alike").agg(n=placed.count().clip(upper=layout.most_counted))
        words = days[["alike", *layout.words, *numbers]].drop_duplicates()
        placed = alike.join(ibis.memtable(words), "alike")
    found = placed.group_by("customer_id").agg(
        **{name: bit_or(placed[name]) for name in layout.words},
        **{name: (placed.n * placed[name]).sum() for name in numbers},
    )
    enough = {
        name: (found[name].cast("int64") + _whole_number(more)) & _whole_number(bits)
        for (more, bits), names in zip(layout.enough, layout.numbers, strict=True)
        for name in names
    }
    return found.mutate(**enough)


def _whole(who: ir.Table, purchases: ir.Table, days: pd.DataFrame, layout: Layout) -> ir.Table:
    """Return everybody with the words of their purchases and of the first contact, 0 where there are none."""
    parts = who.left_join(purchases, "customer_id")
    words = {name: parts[name].fill_null(0) for name in layout.words}
    numbers = {name: parts[name].fill_null(0) for names in layout.numbers for name in names}
    if "first_seen_at_day" in who.columns:
        told = days.loc[~days["purchase"], ["on_day", *words]].rename(columns={name: f"seen_{name}" for name in words})
        first_seen = parts.first_seen_at_day.clip(lower=int(days["on_day"].min()))
        parts = parts.mutate(seen_day=first_seen).left_join(ibis.memtable(told), [("seen_day", "on_day")])
        words = {name: parts[name].fill_null(0) | parts[f"seen_{name}"].fill_null(0) for name in layout.words}
        numbers = {name: parts[name].fill_null(0) for name in numbers}
    return parts.select(*(name for name in who.columns if name != "customer_id"), **words, **numbers)


def _whole_number(value: int) -> ir.IntegerScalar:
    return ibis.literal(value, "int64")


def _has(rows: ir.Table, layout: Layout, bit: str | Count, *, back: int) -> ir.BooleanValue:
    mask = layout.mask(bit, back=back) if isinstance(bit, str) else layout.count_mask(bit, back=back)
    return (rows.read & _whole_number(mask)) != 0


def _code(signatures: Signatures, *, back: int) -> ir.IntegerValue:
    """Return the stage at a row's period end, or at the one before, -1 where it is unknown."""
    rows, rules, layout = signatures.table, signatures.rules, signatures.layout
    names = _names(rows, layout, back=back)
    end_day = rows.end_day_before if back else rows.end_day
    known = is_known(rows, names, end_day, rules=rules, observation_start_day=signatures.observation_start_day)
    return known.ifelse(rules.code(names), -1)


def _names(rows: ir.Table, layout: Layout, *, back: int) -> dict[str, ir.Value]:
    """Return what rules ask, one number for all that they do not tell apart."""

    def last(back: int) -> ir.IntegerValue:
        younger = [(_has(rows, layout, f"r{i}", back=back), boundary) for i, boundary in enumerate(layout.r)]
        return _first(younger, layout.r[-1] + 1, bought=_has(rows, layout, "bought", back=back))

    bought = _has(rows, layout, "bought", back=back)
    names: dict[str, ir.Value] = {"n": bought.cast("int64")}
    if layout.r:
        names["r"] = last(back)
    if layout.before:
        names["r_before"] = last(back + 1)
    if layout.u:
        older = [(_has(rows, layout, f"u{i}", back=back), boundary + 1) for i, boundary in enumerate(layout.u)]
        names["u"] = _first(older[::-1], layout.u[0], bought=bought)
    if layout.in_period:
        names["n_period"] = _has(rows, layout, "in_period", back=back).cast("int64")
    for count in sorted(layout.counts, key=lambda count: count.at_least):
        fewer = names.get(count.primitive, _whole_number(0))
        names[count.primitive] = _has(rows, layout, count, back=back).ifelse(_whole_number(count.at_least), fewer)
    return names


def _first(cases: Sequence[tuple[ir.BooleanValue, int]], otherwise: int, *, bought: ir.BooleanValue) -> Any:
    """Return the value of the first case that holds; missing without a purchase."""
    told = [(holds, ibis.literal(value, "int64")) for holds, value in cases]
    return ibis.cases((~bought, ibis.null("int64")), *told, else_=ibis.literal(otherwise, "int64"))
