"""What ``lcm check`` and ``lcm list`` show."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from lcm_research.errors import StudyError
from lcm_research.run.manifest import INGEST_RULES
from lcm_research.run.plan import Plan
from lcm_research.run.publish import newest_run
from lcm_research.study import load_study

if TYPE_CHECKING:
    from lcm_research.data.ingested import Ingested

__all__ = ["show_data", "show_notebooks", "show_studies"]


def show_data(console: Console, plan: Plan, ingested: Ingested) -> None:
    """Show where every row went, and what the checks of the data saw."""
    study = plan.study
    _line(console, f"{study.study}: {study.title}")
    _line(console, f"{study.observation_start} to {study.as_of}, {study.timezone}, {ingested.n_customers:,} customers")
    _table(
        console,
        ("table", "rule", "why", "rows"),
        [(r.table, r.rule, _why(r.rule, r.reason), f"{r.rows:,}") for r in ingested.reconciliation],
    )
    _table(
        console,
        ("check", "table", "column", "result"),
        [(c.name, c.table, c.column, "passed" if c.passed else f"{c.n:,} of {c.of:,}") for c in ingested.checks],
    )


def _why(rule: str, reason: str) -> str:
    return reason or INGEST_RULES.get(rule, {}).get("en", "")


def show_notebooks(console: Console, plan: Plan, ingested: Ingested) -> None:
    """Show which notebooks can run, and which would be skipped for want of a table."""
    rows = []
    for planned in plan.notebooks:
        missing = [table for table in planned.notebook.requires if table not in ingested.tables]
        can = f"is skipped: no table {', '.join(missing)}" if missing else "can run"
        given = ", ".join(f"{name}={value!r}" for name, value in planned.given.items() if name != "study")
        rows.append((planned.name, can, given))
    _table(console, ("notebook", "", "parameters set"), rows)


def show_studies(console: Console, reports: Path) -> None:
    """Show the studies in params/ and how their newest run ended."""
    rows = []
    for path in sorted(_params_folder().glob("*.yml")):
        try:
            study = load_study(path)
        except StudyError as error:
            rows.append((path.stem, str(error).splitlines()[0], "", ""))
            continue
        run = newest_run(reports, study.study)
        last = f"{run['status']}, {run['finished_at']}" if run else "never run"
        rows.append((study.study, study.title, study.language, last))
    _table(console, ("study", "title", "language", "last run"), rows)


def _params_folder() -> Path:
    named = os.environ.get("LCM_PARAMS")
    here = Path.cwd().resolve()
    for folder in [Path(named)] if named else [folder / "params" for folder in (here, *here.parents)]:
        if folder.is_dir():
            return folder
    raise StudyError(f"no folder params/ in {here} or above; set LCM_PARAMS to the folder that holds your studies")


def _table(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    for name in header:
        table.add_column(name, justify="right" if name == "rows" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    console.print()
    console.print(table)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
