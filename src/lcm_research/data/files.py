"""
A study's files: where they lie, what they contain as a fingerprint, and how they are read in place.

Text files are read with every column as text, so that ids keep their leading zeros. Nothing here prints a value
of a file: errors name the file, the line and what to do.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import json
import os
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import duckdb
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lcm_research.data.cache import atomic_path
from lcm_research.errors import DataError, StudyError, nearest
from lcm_research.study import Read

__all__ = ["SourceFile", "find_file", "read_file", "reading"]

TEXT = {".csv": None, ".txt": None, ".tsv": "\t", ".tab": "\t"}
PARQUET = {".parquet", ".pq"}
WORKBOOK = {".xlsx", ".xlsm"}
SEPARATORS = ",;\t|"
CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file of a study; ``name`` is relative to the study's folder, ``path`` is where it really lies."""

    table: str
    name: str
    path: Path
    sha256: str
    bytes: int
    modified_ns: int

    @property
    def format(self) -> str:
        """The suffix that says how it is read, without ``.gz``."""
        return Path(self.name.lower().removesuffix(".gz")).suffix

    @property
    def is_gzip(self) -> bool:
        """Whether it is compressed as a whole."""
        return self.name.lower().endswith(".gz")

    def changed(self) -> bool:
        """Return whether the file is no longer the one that was fingerprinted, by size and time."""
        stat = self.path.stat()
        return (stat.st_size, stat.st_mtime_ns) != (self.bytes, self.modified_ns)


def find_file(folder: Path, table: str, name: str, *, cache: Path) -> SourceFile:
    """
    Return a file of a study with the fingerprint of its content.

    Refused are a file that is absent, one outside ``folder`` once links are followed, one of an unknown format
    and a gzip that is damaged or cut off. The fingerprint is remembered in ``cache`` by path, size and time.
    """
    where = f"data.tables.{table}.file"
    root = folder.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise StudyError(
            f"{where}: '{name}' lies outside the study's data folder (links are followed); put a copy inside it"
        )
    if not path.is_file():
        known = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()] if root.is_dir() else []
        hint = nearest(name, known[:50]) if known else "the folder is empty: put the file there or see data.folder"
        raise DataError(f"{where}: no file '{name}' in the study's data folder; {hint}")
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    if suffix not in {*TEXT, *PARQUET, *WORKBOOK}:
        raise StudyError(f"{where}: expected csv, tsv, txt (each also .gz), parquet or xlsx; came '{name}'")
    stat = path.stat()
    sha256 = _fingerprint(path, stat, name, cache)
    return SourceFile(
        table=table, name=name, path=path, sha256=sha256, bytes=stat.st_size, modified_ns=stat.st_mtime_ns
    )


def _fingerprint(path: Path, stat: os.stat_result, name: str, cache: Path) -> str:
    state = [str(path), stat.st_size, stat.st_mtime_ns]
    memo = cache / "fingerprints" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"
    if memo.exists():
        remembered = json.loads(memo.read_text(encoding="utf-8"))
        if remembered["state"] == state:
            return str(remembered["sha256"])
    if name.lower().endswith(".gz"):
        _check_gzip(path, name)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    with atomic_path(memo) as temporary:
        temporary.write_text(json.dumps({"state": state, "sha256": sha256}), encoding="utf-8")
    return sha256


def _check_gzip(path: Path, name: str) -> None:
    """Decompress once: the engine takes a gzip that was cut off for a shorter file."""
    try:
        with gzip.open(path) as file:
            while file.read(CHUNK):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise DataError(f"'{name}' is no whole gzip file: it was cut off or damaged; copy or export it again") from None


def read_file(con: Any, file: SourceFile, read: Read, scratch: Path) -> ir.Table:
    """
    Return the rows of a file as an Ibis table on DuckDB, not yet read.

    Parameters
    ----------
    con : Ibis DuckDB connection
    read : Read
        The separator, the encoding and the sheet, as the study says them.
    scratch : Path
        A private folder for a copy in utf-8 where the file has another encoding, and for workbooks.
    """
    # the engine would take [ and * of a name for a pattern, so it reads through a link with a plain name
    link = scratch / f"{file.table}{file.format}{'.gz' if file.is_gzip else ''}"
    link.symlink_to(file.path)
    if file.format in PARQUET:
        return _read_parquet(con, file, link)
    if file.format in WORKBOOK:
        return _read_workbook(con, file, read, scratch)
    return _read_text(con, file, read, link, scratch)


def _read_parquet(con: Any, file: SourceFile, link: Path) -> ir.Table:
    try:
        n_rows = pq.read_metadata(link).num_rows
    except (pa.ArrowException, OSError):
        raise DataError(
            f"'{file.name}' is no whole parquet file: it was cut off or damaged; copy or export it again"
        ) from None
    with reading(file):
        table = con.read_parquet(link)
    # columns without a value may have no type; as text they are mapped, and the rows counted: there are none
    return table if n_rows else table.cast(dict.fromkeys(table.columns, "string"))


def _read_workbook(con: Any, file: SourceFile, read: Read, scratch: Path) -> ir.Table:
    try:
        with warnings.catch_warnings(action="ignore"), pd.ExcelFile(file.path, engine="openpyxl") as book:
            sheet = read.sheet if read.sheet is not None else book.sheet_names[0]
            if sheet not in book.sheet_names:
                known = nearest(str(sheet), map(str, book.sheet_names))
                raise StudyError(f"data.tables.{file.table}.read.sheet: '{file.name}' has no sheet '{sheet}'; {known}")
            rows = book.parse(sheet, dtype=str, keep_default_na=False)
    except (zipfile.BadZipFile, KeyError, OSError):
        raise DataError(f"'{file.name}' is no whole xlsx workbook; save it again as xlsx, or as csv") from None
    rows.columns = [str(column) for column in rows.columns]
    _check_header(file, list(rows.columns))
    path = scratch / f"{file.table}-sheet.parquet"
    text = pa.schema([(column, pa.string()) for column in rows.columns])
    rows.astype(object).to_parquet(path, index=False, schema=text)
    return con.read_parquet(path)


def _read_text(con: Any, file: SourceFile, read: Read, link: Path, scratch: Path) -> ir.Table:
    encoding = _codec(file, read)
    runs_of_blanks = read.separator == " "
    if encoding not in {"utf-8", "utf-8-sig", "ascii"} or runs_of_blanks:
        link = _transcode(file, link, encoding, scratch / f"{file.table}-utf8.csv", runs_of_blanks=runs_of_blanks)
    separator = "\t" if runs_of_blanks else read.separator or TEXT[file.format]
    with _open_text(link, "utf-8-sig") as text:
        names, separator = _header(file, text, separator)
    with reading(file):
        return con.read_csv(
            link,
            columns=dict.fromkeys(names, "VARCHAR"),
            delim=separator,
            quote="" if runs_of_blanks else '"',
            escape="" if runs_of_blanks else '"',
            header=True,
            auto_detect=False,
            compression="gzip" if link.name.endswith(".gz") else "none",
        )


def _codec(file: SourceFile, read: Read) -> str:
    where = f"data.tables.{file.table}.read"
    if read.separator is not None and len(read.separator) != 1:
        raise StudyError(f"{where}.separator: expected one character; came '{read.separator}'")
    try:
        return codecs.lookup(read.encoding).name
    except LookupError:
        raise StudyError(
            f"{where}.encoding: no encoding is named '{read.encoding}'; use utf-8, gb18030, latin-1 or utf-16"
        ) from None


def _open_text(path: Path, encoding: str) -> IO[str]:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _transcode(file: SourceFile, link: Path, encoding: str, target: Path, *, runs_of_blanks: bool) -> Path:
    """Write the file anew as utf-8, line by line; runs of blanks become one tab."""
    line = 1
    try:
        with _open_text(link, encoding) as source, target.open("w", encoding="utf-8", newline="") as copy:
            for row in source:
                copy.write("\t".join(row.split()) + "\n" if runs_of_blanks else row)
                line += 1
    except UnicodeError:
        raise DataError(
            f"'{file.name}': not {encoding} near line {line}; say the right one under "
            f"data.tables.{file.table}.read.encoding (utf-8, gb18030, latin-1, utf-16)"
        ) from None
    return target


def _header(file: SourceFile, text: IO[str], separator: str | None) -> tuple[list[str], str]:
    """Return the names in the first line, and the separator: the candidate that occurs most often in it."""
    try:
        first = text.readline()
        if separator is None:
            bare = re.sub(r'"[^"]*"', "", first)
            separator = max(SEPARATORS, key=bare.count)
        names = next(csv.reader([first, *_quoted_rest(first, text)], delimiter=separator), [])
    except UnicodeError:
        raise DataError(
            f"'{file.name}' is not utf-8; say its encoding under data.tables.{file.table}.read.encoding "
            "(gb18030, latin-1, utf-16)"
        ) from None
    _check_header(file, names)
    return names, separator


def _quoted_rest(first: str, text: IO[str]) -> Iterator[str]:
    """Yield the lines that a quoted line break in the header spreads over."""
    quotes = first.count('"')
    while quotes % 2 and (line := text.readline()):
        quotes += line.count('"')
        yield line


def _check_header(file: SourceFile, names: list[str]) -> None:
    if not any(name.strip() for name in names):
        raise DataError(f"'{file.name}' is empty: expected a first line with the names of the columns")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"'{file.name}' has two columns named '{twice[0]}'; rename one of them in the file")


@contextmanager
def reading(file: SourceFile) -> Iterator[None]:
    """Turn the engine's errors about a file, which quote its rows, into ours, which do not."""
    try:
        yield
    except duckdb.Error as error:
        raise DataError(f"'{file.name}': {_explained(file, str(error))}") from None


def _explained(file: SourceFile, message: str) -> str:
    line = re.search(r"CSV Error on Line: (\d+)", message)
    place = f"line {line[1]}" if line else "a row"
    fields = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    read = f"data.tables.{file.table}.read"
    if fields:
        return (
            f"{place} has {fields[2]} fields where the first line has {fields[1]}; a field that holds the separator "
            f"must be quoted, another separator is set under {read}.separator, and a file cut off must be copied again"
        )
    if "unterminated quote" in message:
        return f"{place} opens a quote that never closes; the file was cut off or its quotes are not doubled"
    if "not utf-8" in message or "nvalid unicode" in message:
        return f"{place} is not utf-8; say the file's encoding under {read}.encoding (gb18030, latin-1, utf-16)"
    if "Out of Memory" in message:
        return "the engine's memory limit was too small for it; raise engine.memory_limit_gb"
    reason = message.partition(":")[0]
    return f"the engine could not read it ({reason}); open it and look for damaged rows, or export it again"
