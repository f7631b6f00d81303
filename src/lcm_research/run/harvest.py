"""What an executed notebook publishes: its findings, tables and figures, and the notebook without the rest."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcm_research.errors import ModelError, RunError
from lcm_research.findings.finding import FIGURE_MIME, FINDING_MIME, TABLE_MIME, WITHHELD_MIME, valid_id

__all__ = ["Harvest", "check_no_folder_shows", "check_unique", "harvest", "table_csv", "to_json"]

Json = Mapping[str, Any]

EMITTED: Mapping[str, tuple[str, ...]] = {
    FINDING_MIME: (FINDING_MIME, "text/markdown"),
    TABLE_MIME: (TABLE_MIME, "text/html"),
    WITHHELD_MIME: (WITHHELD_MIME,),
    FIGURE_MIME: (FIGURE_MIME, "text/plain"),
}
"""What is kept of an output that was emitted, by the type that shows that it was."""

_NUMBER = re.compile(r"[+-]?[\d.,\s]*\d[\d.,\s]*(%|[eE][+-]?\d+)?")


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """
    What one notebook gives to a report.

    Parameters
    ----------
    notebook : mapping
        As published: no metadata of papermill, no output that was not emitted.
    findings : tuple of mapping
        Records, each with ``notebook`` and ``cell``.
    tables, figures : mapping of id to text
        CSV and SVG.
    """

    name: str
    notebook: Json
    findings: tuple[Json, ...]
    tables: Mapping[str, str]
    figures: Mapping[str, str]


def harvest(executed: Json, *, name: str) -> Harvest:
    """
    Take what a notebook emitted.

    Raises
    ------
    RunError
        Where an id is missing, malformed, or used twice for one kind of thing.
    """
    findings: dict[str, Json] = {}
    tables: dict[str, str] = {}
    figures: dict[str, str] = {}
    for cell, output in _emitted(executed):
        data, place = output["data"], f"cell '{cell['id']}' of {name}"
        if FINDING_MIME in data:
            record = {**data[FINDING_MIME], "notebook": name, "cell": cell["id"]}
            findings[_new(record.get("id"), findings, "finding", place)] = record
        elif TABLE_MIME in data:
            table = data[TABLE_MIME]
            tables[_new(table.get("id"), tables, "table", place)] = table_csv(table)
        elif _is_figure(output):
            figures[_new(output["metadata"]["lcm"].get("id"), figures, "figure", place)] = _text(data[FIGURE_MIME])
    return Harvest(
        name=name, notebook=_published(executed), findings=tuple(findings.values()), tables=tables, figures=figures
    )


def _new(id: Any, known: Mapping[str, Any], kind: str, place: str) -> str:
    try:
        name = valid_id(str(id))
    except ModelError as error:
        raise RunError(f"{kind} in {place}: {error}") from None
    if name in known:
        first = known[name]["cell"] if kind == "finding" else "another cell"
        raise RunError(
            f"{kind} '{name}' is emitted twice, in cell '{first}' and in {place}; give each an id of its own"
        )
    return name


def _emitted(executed: Json) -> Iterator[tuple[Json, Json]]:
    for cell in executed["cells"]:
        for output in cell.get("outputs", []):
            if _marker(output):
                yield cell, output


def _marker(output: Json) -> str | None:
    """Return the type that shows that an output was emitted; None where it was not."""
    data = output.get("data", {})
    if FIGURE_MIME in data:
        return FIGURE_MIME if _is_figure(output) else None
    return next((mime for mime in EMITTED if mime in data), None)


def _is_figure(output: Json) -> bool:
    described = output.get("metadata", {}).get("lcm", {})
    return FIGURE_MIME in output.get("data", {}) and described.get("kind") == "figure"


def _published(executed: Json) -> dict[str, Any]:
    """Return the notebook with what was emitted and nothing of the machine that ran it."""
    about = executed.get("metadata", {})
    return {
        "cells": [_cell(cell) for cell in executed["cells"]],
        "metadata": {key: about[key] for key in ("kernelspec", "language_info") if key in about},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(cell: Json) -> dict[str, Any]:
    tags = cell.get("metadata", {}).get("tags", [])
    kept = {
        "cell_type": cell["cell_type"],
        "id": cell["id"],
        "metadata": {"tags": tags} if tags else {},
        "source": cell["source"],
    }
    if "attachments" in cell:
        kept["attachments"] = cell["attachments"]
    if cell["cell_type"] == "code":
        kept["execution_count"] = cell.get("execution_count")
        kept["outputs"] = [_output(o, marker) for o in cell.get("outputs", []) if (marker := _marker(o))]
    return kept


def _output(output: Json, marker: str) -> dict[str, Any]:
    data = {mime: output["data"][mime] for mime in EMITTED[marker] if mime in output["data"]}
    described = {key: value for key, value in output.get("metadata", {}).items() if key == "lcm"}
    return {"output_type": "display_data", "data": data, "metadata": described}


def table_csv(table: Json) -> str:
    r"""
    Return an emitted table as CSV: column names, then rows.

    A text that a spreadsheet would run as a formula gets an apostrophe before it; numbers stay as they are.

    >>> table_csv({"columns": [{"name": "channel"}, {"name": "change"}], "rows": [["=cmd()", "-1.5"]]})
    "channel,change\n'=cmd(),-1.5\n"
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in [[column["name"] for column in table["columns"]], *table["rows"]]:
        writer.writerow([_harmless(str(cell)) for cell in row])
    return text.getvalue()


def _harmless(cell: str) -> str:
    runs = cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{cell}" if runs and not _NUMBER.fullmatch(cell) else cell


def _text(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def check_unique(harvests: Iterable[Harvest]) -> None:
    """Raise RunError where two notebooks emit a finding under one id; tables and figures are a notebook's own."""
    seen: dict[str, str] = {}
    for one in harvests:
        for finding in one.findings:
            place = f"cell '{finding['cell']}' of {one.name}"
            if finding["id"] in seen:
                raise RunError(
                    f"finding '{finding['id']}' is emitted twice, in {seen[finding['id']]} and in {place}; "
                    "give each an id of its own"
                )
            seen[finding["id"]] = place


def check_no_folder_shows(notebook: Json, *, name: str, folders: Iterable[Path]) -> None:
    """
    Raise RunError where a published notebook names a folder of this machine, with the cell.

    Parameters
    ----------
    folders : list of Path
        What may not show; the root and folders directly below it are not looked for, but for the user's home.
    """
    home = Path.home()
    hidden = {str(folder) for folder in folders if len(folder.parts) > 2} | (
        {str(home)} if home != Path("/") else set()
    )
    found = re.compile("|".join(rf"(?<![\w.-]){re.escape(h)}(?![\w.-])" for h in sorted(hidden)) or r"(?!)")
    for number, cell in enumerate(notebook["cells"], start=1):
        match = found.search(json.dumps(cell, ensure_ascii=False))
        if match:
            raise RunError(
                f"{name}: cell {number} ('{cell['id']}') shows a folder of this machine "
                f"(.../{Path(match.group()).name}), which a published notebook must not; "
                "name the study, or a path relative to it"
            )


def to_json(value: Any, *, sort: bool = True) -> str:
    """Return JSON text that is the same for the same value: keys in order, no NaN, a newline at the end."""
    return json.dumps(value, ensure_ascii=False, sort_keys=sort, indent=1, allow_nan=False) + "\n"
