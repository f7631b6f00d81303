"""
What is counted about a table before it is used: one generated aggregate a table, violations only, never a value.

What makes a table unusable is an error that says how many rows, what was expected and what to do; what deserves
doubt is a ``DataCheck`` that the audit shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.canonical import EXPECTED
from lcm_research.data.ingested import DataCheck
from lcm_research.data.tables import EVENT_TIMES, TABLES, Column
from lcm_research.study import EPOCH, TableSource

__all__ = ["FILLED", "Counts", "count_table", "judge"]

FILLED = "filled_"
"""Begins the names of the flags that say where the user's columns held something."""

YEARS = (date(1900, 1, 1), date(2200, 12, 31))
"""Days outside these years are taken for damage or a wrong format."""

REMEDIES = {
    "ts": "say their format, as in strptime({column}, '%d/%m/%Y')",
    "money": "take signs (¥, ￥, $, 元) and thousands separators out, as in "
    "replace(replace({column}, '¥', ''), ',', ''); a decimal comma becomes a point, as in replace({column}, ',', '.')",
    "currency": "a constant is written \"'CNY'\"",
    "bool": "compare, as in {column} = 'Y'",
    "int": "round or cut them, as in round({column})",
    "float": "take signs and separators out, as in replace({column}, ',', '')",
}
"""What to do about values that do not fit their kind."""

SECOND_REMEDIES = {
    "strptime(": "see that the format is the file's (%d is the day, %m the month, %Y the year)",
    "replace(": "another sign or separator is left: take it out too, as in replace(..., '$', '')",
}
"""What to do where the study's expression holds the remedy already."""

UNREADABLE = {"ts": "cast({column} as timestamp) is null", "money": "cast({column} as decimal(18, 6)) is null"}
"""Rules that leave out the values that do not fit their kind."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What the aggregate of a table counted: rows by rule, and the violations among the rows that stay."""

    by_rule: Mapping[int, int]
    metrics: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return sum(self.by_rule.values())

    @property
    def used(self) -> int:
        """Rows that no rule left out."""
        return self.by_rule.get(0, 0)


def count_table(table: ir.Table, name: str, source: TableSource) -> Counts:
    """
    Count the violations of a mapped table.

    It has the column ``rule``, 0 where a row stays, and for columns that accept only some values a flag
    ``filled_<column>``: what was filled and is null now could not be read.
    """
    stays = table.rule == 0
    metrics: dict[str, Any] = {}
    for column in source.columns:
        is_null = stays & table[_stored(name, column)].isnull()
        flag = f"{FILLED}{column}"
        metrics[f"unread_{column}"] = (is_null & table[flag]).sum() if flag in table.columns else ibis.literal(0)
        metrics[f"null_{column}"] = is_null.sum()
    key = TABLES[name].key
    if key in source.columns:
        metrics["duplicates"] = stays.sum() - table[key].nunique(where=stays)
    if TABLES[name].day in table.columns:
        low, high = [(end - EPOCH).days for end in YEARS]
        day = table[TABLES[name].day]
        metrics["strange_years"] = (day.notnull() & ~day.between(low, high)).sum()
        metrics["first_day"], metrics["last_day"] = day.min(), day.max()
        metrics["first_day_used"], metrics["last_day_used"] = day.min(where=stays), day.max(where=stays)
    if {"contract_start_day", "contract_end_day"} <= set(table.columns):
        metrics["ends_before_start"] = (stays & (table.contract_end_day < table.contract_start_day)).sum()
    if "amount_minor" in table.columns:
        purchase = stays & ~table.is_return.fill_null(False)
        metrics["negative"] = (purchase & (table.amount_minor < 0)).sum()
        metrics["zero"] = (purchase & (table.amount_minor == 0)).sum()
        metrics["currencies"] = table.currency.nunique(where=stays)
    by_rule = table.group_by("rule").agg(n=ibis._.count()).to_pandas()
    row = table.aggregate(**metrics).to_pandas().iloc[0]
    return Counts(
        by_rule=dict(zip(by_rule["rule"].astype(int), by_rule["n"].astype(int), strict=True)),
        metrics={metric: None if pd.isna(value) else int(value) for metric, value in row.items()},
    )


def _stored(table: str, column: str) -> str:
    """Return the stored column that is null where the canonical one is."""
    kind = TABLES[table].columns[column].kind
    if kind == "ts":
        return "ts_us" if column in EVENT_TIMES else f"{column}_us"
    return f"{column}_minor" if kind == "money" else column


def judge(
    counts: Counts, name: str, source: TableSource, rules: Sequence[str], window: tuple[date, date]
) -> tuple[list[str], list[DataCheck]]:
    """
    Return what makes a table unusable, in words, and the checks of what does not.

    Parameters
    ----------
    rules : list of str
        Names of the rules that left rows out, in the order of their numbers from 1.
    window : (date, date)
        First and last day of the study, for the message where no row falls into it.
    """
    if counts.rows == 0:
        return [
            f"data.tables.{name}: '{source.file}' holds no row below the names of its columns; export it again, name "
            f"another file under data.tables.{name}.file, or leave the table out of the study"
        ], []
    problems = [problem for column in source.columns for problem in _column_problems(counts, name, source, column)]
    if counts.metrics.get("duplicates"):
        key = TABLES[name].key
        hint = f", or do not map it: row numbers are used where {key} is not mapped" if name != "customers" else ""
        problems.append(
            f"data.tables.{name}.columns.{key}: expected another one in every row; {_of(counts, 'duplicates')} repeat "
            f"one; take rows that came twice out of the file, map another column{hint}"
        )
    if counts.metrics.get("strange_years"):
        time = TABLES[name].time
        problems.append(
            f"data.tables.{name}.columns.{time}: expected years {YEARS[0].year} to {YEARS[1].year}; "
            f"{_of(counts, 'strange_years')} have another: the format is wrong or the file damaged; "
            f"{_remedy('ts', source.columns[time])}"
        )
    if counts.metrics.get("ends_before_start"):
        problems.append(
            f"data.tables.{name}.columns.contract_end: expected no contract to end before contract_start; "
            f"{_of(counts, 'ends_before_start')} do; see that the two columns are not exchanged, or leave those rows "
            f"out under data.tables.{name}.leave_out, as in "
            f"{_yaml('ends_before_start', _earlier(source, 'contract_end', 'contract_start'))}"
        )
    if counts.used == 0 and not problems:
        problems.append(_nothing_left(counts, name, source, rules, window))
    return problems, _doubts(counts, name, source)


def _column_problems(counts: Counts, name: str, source: TableSource, column: str) -> list[str]:
    declared = TABLES[name].columns[column]
    where, unread = f"data.tables.{name}.columns.{column}", counts.metrics[f"unread_{column}"]
    missing = counts.metrics[f"null_{column}"] - unread
    text = source.columns[column]
    if unread and _must_be_read(column, declared):
        return [
            f"{where}: expected {EXPECTED[declared.kind]}; {_of(counts, f'unread_{column}')} hold something else"
            f"{' or a date that does not exist' if declared.kind == 'ts' else ''}; {_remedy(declared.kind, text)}; "
            f"or leave those rows out under data.tables.{name}.leave_out{_as_rule(column, declared.kind, text)}"
        ]
    if missing and (declared.required or column == TABLES[name].key):
        return [
            f"{where}: expected a value in every row; {missing:,} of {counts.used:,} rows have none; say what stands "
            f"for it, as in coalesce({text}, ...), or leave them out under data.tables.{name}.leave_out, as in "
            f"{_yaml(f'without_{column}', f'{text} is null')}"
        ]
    return []


def _must_be_read(column: str, declared: Column) -> bool:
    """A return that cannot be read would be counted as a purchase, and the end of a contract or membership as none."""
    silent = ("is_return", "contract_start", "contract_end", "left_at", "accepted_at")
    return declared.kind in EXPECTED and (declared.required or column in silent)


def _remedy(kind: str, text: str) -> str:
    tried = (remedy for sign, remedy in SECOND_REMEDIES.items() if kind in UNREADABLE and sign in text)
    return next(tried, REMEDIES[kind].format(column=text))


def _as_rule(column: str, kind: str, text: str) -> str:
    """Return the rule that takes the rows whose value does not fit, as the YAML has it."""
    if kind not in UNREADABLE:
        return ""
    rule = f"{text} is null" if "strptime(" in text else UNREADABLE[kind].format(column=text)
    return f", as in {_yaml(f'unread_{column}', rule)}"


def _earlier(source: TableSource, column: str, other: str) -> str:
    return f"{source.columns[column]} < {source.columns[other]}"


def _yaml(key: str, rule: str) -> str:
    """Return a rule as a line of YAML, where text that begins with a quote must be quoted."""
    return f"{key}: '{rule}'" if rule.startswith('"') else f"{key}: {rule}"


def _of(counts: Counts, metric: str) -> str:
    return f"{counts.metrics[metric]:,} of {counts.used:,} rows"


def _nothing_left(
    counts: Counts, name: str, source: TableSource, rules: Sequence[str], window: tuple[date, date]
) -> str:
    out = ", ".join(f"{rules[rule - 1]} {n:,}" for rule, n in sorted(counts.by_rule.items()))
    said = f"data.tables.{name}: no row of '{source.file}' is left of {counts.rows:,} (left out by {out})"
    first, last = counts.metrics.get("first_day"), counts.metrics.get("last_day")
    if first is None or last is None:
        return f"{said}; change the rules under leave_out, or map another file"
    span = f"{EPOCH + timedelta(first)} to {EPOCH + timedelta(last)}"
    return (
        f"{said}; its rows run from {span} and the study from {window[0]} to {window[1]}; "
        "change observation_start, as_of or the rules under leave_out"
    )


def _doubts(counts: Counts, name: str, source: TableSource) -> list[DataCheck]:
    """Return the checks of a table that can be used; unread optional values first."""
    columns = TABLES[name].columns
    doubts = [
        _check(counts, "values_read", name, f"unread_{column}", column)
        for column in source.columns
        if columns[column].kind in EXPECTED and not _must_be_read(column, columns[column])
    ]
    if "negative" in counts.metrics:
        doubts.append(_check(counts, "purchases_not_negative", name, "negative", "amount"))
        doubts.append(_check(counts, "purchases_not_zero", name, "zero", "amount"))
        n = counts.metrics["currencies"]
        doubts.append(DataCheck(name="currencies", table=name, passed=True, n=n, of=counts.used, column="currency"))
    return doubts


def _check(counts: Counts, check: str, name: str, metric: str, column: str) -> DataCheck:
    n = counts.metrics[metric] or 0
    return DataCheck(name=check, table=name, passed=n == 0, n=n, of=counts.used, column=column)
