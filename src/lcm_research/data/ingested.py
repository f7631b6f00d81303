"""What ingest hands over: parquet of the canonical tables, where every row went, and what the checks saw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

__all__ = ["ROWS_IN", "ROWS_USED", "DataCheck", "Ingested", "InputFile", "Ledger", "read_manifest", "write_manifest"]

ROWS_IN = "rows_in"
ROWS_USED = "rows_used"
MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file that was read; ``file`` is relative to the study's folder."""

    table: str
    file: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """
    A line of the reconciliation: how many rows of a table a rule left out, and why.

    The first line of a table is ``rows_in`` and the last ``rows_used``; the lines between are what was left out,
    each row once, so that they add up. ``reason`` is what the study says; the rules of ingest itself
    (``no_customer``, ``after_as_of``, ``before_observation_start``, ``unknown_customer``) have none.
    """

    table: str
    rule: str
    reason: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """Something that ingest looked at: whether all is well, and in how many (``n``) of the rows it is not."""

    name: str
    table: str
    passed: bool
    n: int
    of: int
    column: str = ""


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """
    The canonical tables of a study, ready to be counted.

    Parameters
    ----------
    tables : mapping of table to path
        Immutable parquet, for the owner only.
    fingerprint : str
        Hash of the study's words about its data and of the content of its files; the same data, the same hash.
    days : mapping of table to (first, last)
        First and last local day of the rows used, as days since 1970-01-01.
    """

    tables: Mapping[str, Path]
    fingerprint: str
    inputs: tuple[InputFile, ...]
    reconciliation: tuple[Ledger, ...]
    checks: tuple[DataCheck, ...]
    n_customers: int
    n_rows: Mapping[str, int]
    days: Mapping[str, tuple[int, int]]

    def ledger(self) -> pd.DataFrame:
        """Return the reconciliation as a table: table, rule, reason, rows."""
        return pd.DataFrame([asdict(line) for line in self.reconciliation])


def write_manifest(folder: Path, ingested: Ingested) -> None:
    """Write what is beside the parquet files; written last, it says that they are complete."""
    record = asdict(ingested)
    record["tables"] = {
        name: [path.name, (folder / path.name).stat().st_size] for name, path in ingested.tables.items()
    }
    manifest = folder / MANIFEST
    manifest.touch(mode=0o600)
    manifest.write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> Ingested | None:
    """Return what ``folder`` holds; None where it is absent or a file of it is missing or has another size."""
    try:
        record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = {name: (folder / file, size) for name, (file, size) in record.pop("tables").items()}
        if any(path.stat().st_size != size for path, size in files.values()):
            return None
        return Ingested(
            tables={name: path for name, (path, _) in files.items()},
            inputs=tuple(InputFile(**line) for line in record.pop("inputs")),
            reconciliation=tuple(Ledger(**line) for line in record.pop("reconciliation")),
            checks=tuple(DataCheck(**line) for line in record.pop("checks")),
            days={name: (first, last) for name, (first, last) in record.pop("days").items()},
            **record,
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
