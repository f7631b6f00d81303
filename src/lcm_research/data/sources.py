"""
From a user's files to canonical tables: mapped, left out by named rules, checked in the engine, written once.

Each row goes one way, and the ledger says which. In order: the study's own ``leave_out`` rules (the first that
takes a row counts it; a rule that is null does not take it); then ``no_customer``, a row without a customer's id;
``after_as_of``, a row (or a customer first seen) later than the study; ``before_observation_start``, only where
``history`` is ``from_observation_start``, since such a table is then no whole past; and ``unknown_customer``, a row
whose customer the table of customers does not have or leaves out.

A study without a file of customers gets one from the ids in its other tables.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from lcm_research.data.backend import connect
from lcm_research.data.canonical import replicate
from lcm_research.data.checks import judge
from lcm_research.data.files import SourceFile, find_file
from lcm_research.data.ingested import (
    ROWS_IN,
    ROWS_USED,
    DataCheck,
    Ingested,
    InputFile,
    Ledger,
    read_manifest,
    write_manifest,
)
from lcm_research.data.recorded import dated, refuse_late_values, with_starts
from lcm_research.data.scratch import scratch_folder
from lcm_research.data.segments import add_segments
from lcm_research.data.staging import Staged, stage
from lcm_research.data.tables import TABLES
from lcm_research.errors import DataError, StudyError, nearest
from lcm_research.study import Study

__all__ = ["Ingested", "ingest"]


def ingest(study: Study, path: Path, *, cache: Path) -> Ingested:
    """
    Return the canonical tables of a study, made on first use and kept until its files, words or this code change.

    Parameters
    ----------
    study : Study
    path : Path
        Of the study's YAML; its data folder is relative to it.
    cache : Path
        Where parquet files are kept, for their owner only.

    Raises
    ------
    StudyError
        For a table or column that the contract does not have, an expression that is not allowed, a path outside
        the data folder.
    DataError
        For files that are absent, damaged or lack a column, and for rows that cannot be used, with their number,
        what was expected and what to do; no value of a row is shown.
    """
    _check_mapping(study)
    folder = _folder(study, path)
    files = {name: find_file(folder, name, source.file, cache=cache) for name, source in study.data.tables.items()}
    fingerprint = _fingerprint(study, files)
    target = cache / f"ingest-{hashlib.sha256((fingerprint + _code()).encode()).hexdigest()[:32]}"
    known = read_manifest(target)
    if known is None:
        _make(study, files, fingerprint, target, cache)
        known = read_manifest(target)
    if known is None:
        raise DataError(f"the tables of study '{study.study}' were changed in the cache while being made; run again")
    return known


def _check_mapping(study: Study) -> None:
    """Refuse tables and columns that the contract does not have, and required ones that are not mapped."""
    for name, source in study.data.tables.items():
        if name not in TABLES:
            raise StudyError(f"data.tables: no table is named '{name}'; {nearest(name, TABLES)}")
        columns = TABLES[name].columns
        for column in source.columns:
            if column not in columns:
                raise StudyError(
                    f"data.tables.{name}.columns: '{name}' has no column '{column}'; {nearest(column, columns)}"
                )
        for column in TABLES[name].required():
            if column not in source.columns:
                raise StudyError(
                    f"data.tables.{name}.columns: expected '{column}' ({columns[column].meaning}); say which column "
                    "of the file it is; a constant is written \"'...'\""
                )
    owned = {name for name in study.data.tables if TABLES[name].owner is not None}
    if owned <= {"customers"} and study.churn.kind != "contract":
        raise StudyError("data.tables: expected a table of events beside customers; map transactions")
    if dated(study) and "customers" not in study.data.tables:
        raise StudyError(f"segments.{dated(study)[0]}.recorded_at: needs the table customers; map it under data.tables")


def _folder(study: Study, path: Path) -> Path:
    if study.data.simulate is None:
        folder = study.folder(path)
        if not folder.is_dir():
            raise DataError(
                f"data.folder: expected the folder of the study's files, read from where {path.name} lies; there is no "
                f"folder '{study.data.folder}'; correct data.folder, or make the folder and put the files into it"
            )
        return folder
    from lcm_research.data.simulate import demo_folder

    simulation = study.data.simulate
    return demo_folder(n_customers=simulation.n_customers, n_months=simulation.n_months, seed=simulation.seed)


def _fingerprint(study: Study, files: Mapping[str, SourceFile]) -> str:
    """Return a hash of what the study says about its data and of the files' content; where they lie is no matter."""
    said = study.model_dump(mode="json", include={"timezone", "observation_start", "as_of", "segments"})
    for segment in said["segments"].values():
        undated = ("known",) if segment["recorded_at"] else ("known", "recorded_at", "later")
        for word in undated:
            del segment[word]
    if dated(study):  # who began when is told by what churn means
        said["churn"] = study.churn.model_dump(mode="json")
    said["data"] = study.data.model_dump(mode="json", include={"history", "tables"})
    said["files"] = {name: file.sha256 for name, file in files.items()}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _code() -> str:
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(here.glob("*.py")):
        if source.stem not in {"audit", "reduction", "simulate"}:
            digest.update(source.read_bytes())
    return digest.hexdigest()


def _make(study: Study, files: Mapping[str, SourceFile], fingerprint: str, target: Path, cache: Path) -> None:
    """Make the tables in a folder of this process and let it appear under its name all at once."""
    work = scratch_folder(cache / "staging")
    made = work / "made"
    made.mkdir(mode=0o700)
    con = connect(study.engine.model_copy(update={"backend": "duckdb"}))
    try:
        staged = {name: stage(con, study, file, work) for name, file in files.items()}
        checks = _refuse_or_check(study, staged)
        write_manifest(made, _write(con, study, staged, checks, fingerprint, made))
        for file in files.values():
            if file.changed():
                raise DataError(f"'{file.name}' changed while it was read; run again when it is complete")
        _appear(made, target)
    finally:
        con.disconnect()
        shutil.rmtree(work, ignore_errors=True)


def _refuse_or_check(study: Study, staged: Mapping[str, Staged]) -> list[DataCheck]:
    """Return the checks of all tables; DataError with everything that makes one of them unusable."""
    problems: list[str] = []
    checks: list[DataCheck] = []
    for table in staged.values():
        window = (study.observation_start, study.as_of)
        found, seen = judge(table.counts, table.name, table.source, table.rules, window)
        problems += found
        checks += seen
    if problems:
        raise DataError("\n".join(problems))
    return checks


def _write(
    con: Any, study: Study, staged: Mapping[str, Staged], checks: list[DataCheck], fingerprint: str, made: Path
) -> Ingested:
    """Write the canonical tables of the rows that stay, and return what is said beside them."""
    known = staged["customers"].kept() if "customers" in staged else None
    events: dict[str, ir.Table] = {}
    for name in [name for name in TABLES if name in staged and name != "customers"]:
        kept, owner = staged[name].kept(), TABLES[name].owner
        if known is not None and owner is not None:
            kept = kept.semi_join(known, kept[owner] == known.customer_id)
        events[name] = _written(con, kept, made, name)
    if known is None:
        known = _customers_of(events)
    known = known.mutate(replicate=replicate(known.customer_id))
    if dated(study):
        known = with_starts(known, study, events)
        refuse_late_values(known, study)
    grouped = add_segments(known, events.get("transactions"), study.segments)
    tables = {"customers": _written(con, grouped, made, "customers"), **events}
    n_rows, days = _sizes(con, tables)
    _refuse_too_few(n_rows, staged)
    return Ingested(
        tables={name: made / f"{name}.parquet" for name in tables},
        fingerprint=fingerprint,
        inputs=tuple(_input(table) for table in staged.values()),
        reconciliation=tuple(line for name in tables for line in _ledger(name, staged.get(name), n_rows[name])),
        checks=tuple(checks),
        n_customers=n_rows["customers"],
        n_rows=n_rows,
        days=days,
    )


def _written(con: Any, table: ir.Table, folder: Path, name: str) -> ir.Table:
    """Write a table as parquet for its owner only, flushed to the disk, and return it."""
    path = folder / f"{name}.parquet"
    con.to_parquet(table, path, compression="zstd")
    path.chmod(0o600)
    with path.open("rb") as written:
        os.fsync(written.fileno())
    return con.read_parquet(path)


def _customers_of(events: Mapping[str, ir.Table]) -> ir.Table:
    """Return the customers that appear in any table of events."""
    owned = [(table, TABLES[name].owner) for name, table in events.items()]
    ids = [table.select(customer_id=table[owner]).distinct() for table, owner in owned if owner is not None]
    return ids[0] if len(ids) == 1 else ibis.union(*ids, distinct=True)


def _sizes(con: Any, tables: Mapping[str, ir.Table]) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
    """Return the rows of each table, and the first and last day of those that have days."""
    n_rows = {name: int(con.execute(table.count())) for name, table in tables.items()}
    days = {}
    for name, table in tables.items():
        if "day" in table.columns and n_rows[name]:
            ends = con.execute(table.aggregate(first=table.day.min(), last=table.day.max())).iloc[0]
            days[name] = (int(ends["first"]), int(ends["last"]))
    return n_rows, days


def _refuse_too_few(n_rows: Mapping[str, int], staged: Mapping[str, Staged]) -> None:
    for name, table in staged.items():
        if n_rows[name] == 0:
            raise DataError(
                f"data.tables.{name}: none of {table.counts.used:,} rows has a customer of the table customers; "
                f"see that customers.customer_id and {name}.{TABLES[name].owner} hold the same ids, or drop the "
                "customers file"
            )
    if n_rows["customers"] < 2:
        owners = {name: TABLES[name].owner for name in staged}
        columns = " and ".join(f"data.tables.{name}.columns.{owner}" for name, owner in owners.items() if owner)
        raise DataError(
            f"a study needs at least two customers; came {n_rows['customers']}; say under {columns} which column "
            "tells customers apart (a column, not a constant)"
        )


def _input(table: Staged) -> InputFile:
    file = table.file
    return InputFile(table=file.table, file=file.name, sha256=file.sha256, bytes=file.bytes, rows=table.counts.rows)


def _ledger(name: str, staged: Staged | None, used: int) -> list[Ledger]:
    """Return where the rows of a table went; a table that was made from the others begins with what was made."""
    if staged is None:
        return [Ledger(table=name, rule=rule, reason="", rows=used) for rule in (ROWS_IN, ROWS_USED)]
    lines = [Ledger(table=name, rule=ROWS_IN, reason="", rows=staged.counts.rows)]
    for number, rule in enumerate(staged.rules, start=1):
        said = staged.source.leave_out.get(rule)
        n = staged.counts.by_rule.get(number, 0)
        if said is not None or n:
            lines.append(Ledger(table=name, rule=rule, reason=said.because if said else "", rows=n))
    if used < staged.counts.used:
        lines.append(Ledger(table=name, rule="unknown_customer", reason="", rows=staged.counts.used - used))
    return [*lines, Ledger(table=name, rule=ROWS_USED, reason="", rows=used)]


def _appear(made: Path, target: Path) -> None:
    """Rename the complete folder into place, unless another process was first; a damaged one gives way."""
    if target.exists() and read_manifest(target) is None:
        shutil.rmtree(target)
    try:
        made.rename(target)
    except OSError:
        if read_manifest(target) is None:
            raise
