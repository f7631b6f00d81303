"""
One table of a study, from its file to a flagged copy: mapped, every row given the number of the rule that takes it.

Nothing is left out here yet, so that what is counted and what is used come from the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from lcm_research.data.canonical import EXPECTED, map_column
from lcm_research.data.checks import FILLED, Counts, count_table
from lcm_research.data.expressions import Expression, parse
from lcm_research.data.files import SourceFile, read_file, reading
from lcm_research.data.recorded import recorded_columns
from lcm_research.data.tables import EVENT_TIMES, TABLES
from lcm_research.errors import DataError, StudyError, nearest
from lcm_research.study import Study, TableSource

__all__ = ["Staged", "stage"]

AUTOMATIC = ("no_customer", "after_as_of", "before_observation_start")
"""Rules of ingest itself, after those of the study and in this order."""


@dataclass(frozen=True, kw_only=True)
class Staged:
    """
    A table, mapped and flagged but not yet filtered, in a file of its own.

    Parameters
    ----------
    source : TableSource
        As the study says it, the text of its columns ready to stand inside another expression.
    rules : list of str
        Names of the rules that leave rows out; the column ``rule`` holds their place from 1, and 0 for the rows that
        stay.
    """

    name: str
    source: TableSource
    file: SourceFile
    rules: Sequence[str]
    table: ir.Table
    counts: Counts

    def kept(self) -> ir.Table:
        """Return the rows that no rule took, with canonical columns only."""
        kept = self.table.filter(self.table.rule == 0)
        if "is_return" in kept.columns:
            kept = kept.mutate(is_return=kept.is_return.fill_null(False))
        return kept.select(*(c for c in kept.columns if c != "rule" and not c.startswith(FILLED)))


def stage(con: Any, study: Study, file: SourceFile, work: Path) -> Staged:
    """
    Map one table and write it with ``rule`` and, for columns that accept only some values, whether there was one.

    Parameters
    ----------
    con : Ibis DuckDB connection
    work : Path
        A private folder for the copy.
    """
    name, source = file.table, study.data.tables[file.table]
    raw = read_file(con, file, source.read, work)
    columns: dict[str, ir.Value] = {column: raw[column] for column in raw.columns}
    mapped, rules = _parse(source, file, list(columns))
    stored, flags = _map(name, mapped, columns, study.timezone)
    if name == "customers":
        stored |= recorded_columns(study, columns, file.name)
    taken = [_condition(rule, columns) for rule in rules] + _automatic(study, name, stored)
    branches = [(condition.fill_null(False), number) for number, condition in enumerate(taken, start=1)]
    path = work / f"staged-{name}.parquet"
    with reading(file):
        con.to_parquet(raw.select(**stored, **flags, rule=ibis.cases(*branches, else_=0).cast("int64")), path)
        table = con.read_parquet(path)
    names = [*source.leave_out, *AUTOMATIC]
    source = source.model_copy(update={"columns": {column: mapped[column].inside() for column in source.columns}})
    return Staged(
        name=name, source=source, file=file, rules=names, table=table, counts=count_table(table, name, source)
    )


def _parse(source: TableSource, file: SourceFile, columns: list[str]) -> tuple[dict[str, Expression], list[Expression]]:
    """Parse a table's columns and rules; DataError where one names a column that the file does not have."""
    where = f"data.tables.{file.table}"
    mapped = {
        column: parse(text, where=f"{where}.columns.{column}", columns=columns)
        for column, text in source.columns.items()
    }
    rules = [
        parse(rule.when, where=f"{where}.leave_out.{key}", columns=columns) for key, rule in source.leave_out.items()
    ]
    for expression in [*mapped.values(), *rules]:
        for missing in sorted(expression.names() - set(columns)):
            raise DataError(
                f"{expression.where}: '{file.name}' has no column '{missing}'; {nearest(missing, columns)} "
                "(a constant is written \"'...'\")"
            )
    return mapped, rules


def _condition(rule: Expression, columns: Mapping[str, ir.Value]) -> Any:
    condition = rule.to_ibis(columns)
    if not condition.type().is_boolean():
        raise StudyError(f"{rule.where}: '{rule.text}': expected a condition, came {condition.type()}")
    return condition


def _map(
    name: str, mapped: Mapping[str, Expression], columns: Mapping[str, ir.Value], timezone: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the stored columns of a canonical table, in its order, and flags for rows that hold a value."""
    declared = TABLES[name].columns
    currency = None
    stored: dict[str, Any] = {}
    flags: dict[str, Any] = {}
    for column in sorted(mapped, key=lambda c: declared[c].kind == "money"):  # money needs the currency
        made = map_column(column, declared[column], mapped[column], columns, timezone=timezone, currency=currency)
        stored |= made.stored
        if declared[column].kind in EXPECTED:
            flags[f"{FILLED}{column}"] = made.filled
        currency = stored.get("currency")
    key = TABLES[name].key
    if key not in stored:
        stored[key] = (ibis.row_number() + 1).cast("string")
    if name == "transactions" and "is_return" not in stored:
        stored["is_return"] = ibis.literal(False)
    order = [key, *(c for c in ("customer_id", "ts_us", "day") if c in stored and c != key)]
    return {c: stored[c] for c in [*order, *(c for c in stored if c not in order)]}, flags


def _automatic(study: Study, name: str, stored: Mapping[str, Any]) -> list[Any]:
    """Return the conditions of the automatic rules, in their order; what began before the window goes on in it."""
    declared, never = TABLES[name], ibis.literal(False)
    day = stored.get(declared.day, ibis.null("int64"))
    cut_off = study.data.history == "from_observation_start" and declared.time in EVENT_TIMES
    nobody = stored[declared.owner].isnull() if declared.owner else never
    return [nobody, day > study.as_of_day, day < study.observation_start_day if cut_off else never]
