"""
What the data cover: rows by month and table, both ends of the window, who bought, what is there twice.

The counts behind ``00_data_audit``; what they mean for the other notebooks is in ``what_can_be_answered``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from lcm_research.data.ingested import Ingested
from lcm_research.data.reduction import Tables, reduction
from lcm_research.data.tables import EVENT_TIMES, TABLES
from lcm_research.study import EPOCH, Study

__all__ = [
    "EVENTS",
    "QUESTIONS",
    "Question",
    "customers_by_history",
    "edges",
    "monthly",
    "months_between",
    "repeated_rows",
    "rows_at_edges",
    "rows_by_month",
    "what_can_be_answered",
]

EVENTS = tuple(name for name, table in TABLES.items() if table.time in EVENT_TIMES)
"""The tables whose rows have a day."""


@reduction(keys={"table": "object", "month": "object", "replicate": "int64"}, counts={"n_rows": "int64", "n": "int64"})
def rows_by_month(tables: Tables, *, first_day: int, last_day: int) -> ir.Table:
    """
    Count rows and the customers behind them (``n``) by table and month (``2023-01``).

    Parameters
    ----------
    first_day, last_day : int
        Days since 1970-01-01; rows outside them are not counted.
    """
    months = ibis.memtable(months_between(first_day, last_day))

    def of(table: ir.Table) -> ir.Table:
        dated = table.inner_join(months, [table.day >= months.first, table.day <= months.last])
        return dated.group_by("month", "replicate").agg(n_rows=dated.count(), n=dated.customer_id.nunique())

    return _over_events(tables, of)


@reduction(keys={"table": "object", "part": "object", "replicate": "int64"}, counts={"n_rows": "int64"})
def rows_at_edges(tables: Tables, *, observation_start_day: int, as_of_day: int, edge_days: int) -> ir.Table:
    """
    Count rows by table and part of the time line.

    The parts are ``before`` the window, its ``first`` and ``last`` ``edge_days`` days, and ``middle``.
    """

    def of(table: ir.Table) -> ir.Table:
        part = ibis.cases(
            (table.day < observation_start_day, "before"),
            (table.day > as_of_day - edge_days, "last"),
            (table.day < observation_start_day + edge_days, "first"),
            else_="middle",
        )
        counted = table.mutate(part=part)
        return counted.group_by("part", "replicate").agg(n_rows=counted.count())

    return _over_events(tables, of)


@reduction(keys={"table": "object", "replicate": "int64"}, counts={"n_rows": "int64", "n_repeats": "int64"})
def repeated_rows(tables: Tables) -> ir.Table:
    """Count rows, and those that repeat an earlier one in every column but the key."""

    def of(table: ir.Table) -> ir.Table:
        columns = [c for c in table.columns if c not in {TABLES[c].key for c in EVENTS}]
        distinct = table.group_by(columns).agg(copies=table.count())
        return distinct.group_by("replicate").agg(n_rows=distinct.copies.sum(), n_repeats=(distinct.copies - 1).sum())

    return _over_events(tables, of)


def _over_events(tables: Tables, of: Callable[[ir.Table], ir.Table]) -> ir.Table:
    """Return what ``of`` makes of each table of events, with its customers' ``replicate``, one below the other."""
    groups = tables["customers"].select("customer_id", "replicate")
    parts = []
    for name in EVENTS:
        if name in tables:
            made = of(tables[name].inner_join(groups, "customer_id"))
            parts.append(made.mutate(table=ibis.literal(name)))
    return parts[0] if len(parts) == 1 else ibis.union(*parts)


@reduction(
    keys={"buys": "int64", "seen_before": "int64", "undecided": "int64", "replicate": "int64"}, counts={"n": "int64"}
)
def customers_by_history(tables: Tables, *, observation_start_day: int, as_of_day: int, window_days: int) -> ir.Table:
    """
    Count customers by what the data know of them; each key is 0 or 1.

    - ``buys``: a purchase (a row of ``transactions`` that is no return) lies in the window;
    - ``seen_before``: a row of any table, or ``first_seen_at``, lies before ``observation_start_day``;
    - ``undecided``: the last purchase of the window is no more than ``window_days`` old at ``as_of_day``, so that
      whether the customer has lapsed is not known yet.
    """
    customers = tables["customers"].select("customer_id", "replicate", day=_first_seen(tables["customers"]))
    firsts = [customers.select("customer_id", "day")]
    firsts += [tables[name].select("customer_id", "day") for name in EVENTS if name in tables]
    seen = ibis.union(*firsts) if len(firsts) > 1 else firsts[0]
    seen = seen.group_by("customer_id").agg(first_day=seen.day.min())
    t = tables["transactions"]
    bought = t.filter(~t.is_return, t.day.between(observation_start_day, as_of_day))
    bought = bought.group_by("customer_id").agg(last_day=bought.day.max())
    known = customers.select("customer_id", "replicate").left_join(seen, "customer_id").drop("customer_id_right")
    known = known.left_join(bought, "customer_id").drop("customer_id_right")
    counted = known.mutate(
        buys=known.last_day.notnull().cast("int64"),
        seen_before=(known.first_day < observation_start_day).fill_null(False).cast("int64"),
        undecided=(known.last_day >= as_of_day - window_days).fill_null(False).cast("int64"),
    )
    return counted.group_by("buys", "seen_before", "undecided", "replicate").agg(n=counted.count())


def _first_seen(customers: ir.Table) -> Any:
    has = "first_seen_at_day" in customers.columns
    return customers.first_seen_at_day if has else ibis.null("int64")


def months_between(first_day: int, last_day: int) -> pd.DataFrame:
    """
    Return the calendar months that the days fall into.

    Returns
    -------
    DataFrame
        ``month`` (``2023-01``), its ``first`` and ``last`` day as days since 1970-01-01.

    Examples
    --------
    >>> months_between(0, 31)
         month  first  last
    0  1970-01      0    30
    1  1970-02     31    58
    """
    start, end = np.array([first_day, last_day], "datetime64[D]").astype("datetime64[M]")
    months = np.arange(start, end + 2)
    days = months.astype("datetime64[D]").astype("int64")
    names = [str(month) for month in months[:-1]]
    return pd.DataFrame({"month": names, "first": days[:-1], "last": days[1:] - 1})


def monthly(counts: pd.DataFrame, *, first_day: int, last_day: int, min_group: int) -> pd.DataFrame:
    """
    Return rows by month (index) and table (columns) from ``rows_by_month``.

    A month without rows is 0; one whose rows come from fewer than ``min_group`` customers is missing.
    """
    months = months_between(first_day, last_day)["month"]
    by_month = counts.groupby(["month", "table"])
    rows, n = (by_month[c].sum().unstack("table", fill_value=0).reindex(months, fill_value=0) for c in ("n_rows", "n"))
    shown = rows.astype(float).where((n == 0) | (n >= min_group))
    return shown[[name for name in EVENTS if name in set(counts["table"])]]


def edges(counts: pd.DataFrame, study: Study, ingested: Ingested, *, edge_days: int) -> pd.DataFrame:
    """
    Return where each table begins and ends, and how full its last days are.

    Parameters
    ----------
    counts : DataFrame
        From ``rows_at_edges`` with the same ``edge_days``.

    Returns
    -------
    DataFrame
        ``table``, ``first_date``, ``last_date``, ``days_short`` (from the last row to ``as_of``), ``n_before``
        (rows before the window) and ``last_ratio``: rows a day in the last ``edge_days`` over rows a day in the
        rest of the window, which is well below 1 where the last days have not all arrived.
    """
    parts = counts.groupby(["table", "part"])["n_rows"].sum().unstack("part", fill_value=0)
    parts = parts.reindex(columns=["before", "first", "middle", "last"], fill_value=0)
    rest_days = study.as_of_day - study.observation_start_day + 1 - edge_days
    lines: list[dict[str, Any]] = []
    for name in [name for name in EVENTS if name in parts.index]:
        first, last = ingested.days[name]
        n = parts.loc[name]
        rest = (n["first"] + n["middle"]) / rest_days if rest_days > 0 else 0.0
        lines.append(
            {
                "table": name,
                "first_date": str(EPOCH + timedelta(first)),
                "last_date": str(EPOCH + timedelta(last)),
                "days_short": study.as_of_day - last,
                "n_before": int(n["before"]),
                "last_ratio": float(n["last"] / edge_days / rest) if rest else float("nan"),
            }
        )
    return pd.DataFrame(lines)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a notebook answers, which tables it cannot do without, which others it uses, and if it has a horizon."""

    notebook: str
    needs: tuple[str, ...]
    uses: tuple[str, ...] = ()
    has_horizon: bool = False
    words: Mapping[str, str]


QUESTIONS = (
    Question(
        notebook="01_churn_survival",
        needs=("transactions",),
        uses=("engagements",),
        has_horizon=True,
        words={"en": "How long do customers stay, and who stays longer?", "zh": "客户能留存多久，谁留得更久？"},
    ),
    Question(
        notebook="02_stage_markov",
        needs=("transactions",),
        words={"en": "How do customers move between stages?", "zh": "客户如何在生命周期阶段之间迁移？"},
    ),
    Question(
        notebook="03_social_attribution",
        needs=("touchpoints", "transactions"),
        words={"en": "Which channels go with purchases?", "zh": "哪些渠道与购买相关联？"},
    ),
    Question(
        notebook="05_stage_multiverse",
        needs=("transactions",),
        uses=("engagements", "touchpoints"),
        words={"en": "Do the answers survive other definitions?", "zh": "换用其他定义，结论是否依然成立？"},
    ),
    Question(
        notebook="07_churn_warning",
        needs=("transactions",),
        uses=("engagements",),
        words={"en": "Can the lapse be seen coming?", "zh": "流失能否提前看出来？"},
    ),
)


def what_can_be_answered(study: Study, ingested: Ingested) -> pd.DataFrame:
    """
    Return which notebooks these data can feed.

    Returns
    -------
    DataFrame
        ``notebook``, ``missing`` (tables it cannot do without, comma-separated), ``poorer`` (tables it would use and
        does not have) and ``horizon_days``, the longest time to a lapse that the window can show (0 where a question
        has no horizon).
    """
    horizon = study.as_of_day - study.churn.longest_days - study.observation_start_day
    return pd.DataFrame(
        [
            {
                "notebook": question.notebook,
                "missing": ", ".join(name for name in question.needs if name not in ingested.tables),
                "poorer": ", ".join(name for name in question.uses if name not in ingested.tables),
                "horizon_days": horizon if question.has_horizon else 0,
            }
            for question in QUESTIONS
        ]
    )
