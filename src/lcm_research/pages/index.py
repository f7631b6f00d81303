"""Pages on disk: each is rendered whole, then written under a temporary name and renamed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lcm_research.data.cache import atomic_path
from lcm_research.errors import RunError
from lcm_research.pages.anchors import file_name
from lcm_research.pages.overview import ANSWERED, Report
from lcm_research.pages.render import StudyEntry, render_index, render_notebook, render_study
from lcm_research.pages.words import language_of

__all__ = ["read_study", "write_front_door", "write_run_pages", "write_study_index"]


def write_run_pages(run_folder: Path) -> list[Path]:
    """
    Write ``<notebook>.html`` beside each executed notebook of a run, and return the paths.

    All pages are rendered before the first is written.

    Raises
    ------
    RunError
        Where the manifest, the findings or a notebook that the manifest calls done is absent or not JSON.
    """
    run, findings = _report(run_folder)
    pages = {}
    for notebook in run.get("notebooks") or ():
        if notebook.get("status") not in ANSWERED:
            continue
        name = file_name(notebook["name"])
        pages[run_folder / f"{name}.html"] = render_notebook(
            _read(run_folder / f"{name}.ipynb"),
            run=run,
            findings=[record for record in findings if record.get("notebook") == name],
            language=language_of(run),
            name=name,
        )
    for path, page in pages.items():
        _write(path, page)
    return list(pages)


def write_study_index(reports: Path, study: str) -> Path:
    """
    Write ``<study>/index.html`` from the latest good run, the one before it and a failure since.

    Raises
    ------
    RunError
        Where the study has no good run yet, or its manifests cannot be read.
    """
    entry = read_study(reports, study)
    if entry.report is None:
        raise RunError(
            f"no good run of '{study}' in {reports}; expected {study}/latest.json to name one; run 'lcm run' first"
        )
    path = reports / study / "index.html"
    _write(
        path,
        render_study(entry.report.run, entry.report.findings, previous=entry.previous, failure=entry.failure),
    )
    return path


def write_front_door(reports: Path) -> Path:
    """Write ``index.html`` with every study that has a run, by name."""
    folders = sorted(p.name for p in reports.iterdir() if p.is_dir() and not p.name.startswith("."))
    entries = [read_study(reports, name) for name in folders if (reports / name / "runs").is_dir()]
    path = reports / "index.html"
    _write(path, render_index([entry for entry in entries if entry.report or entry.failure]))
    return path


def read_study(reports: Path, study: str) -> StudyEntry:
    """
    Read what has been published of a study: its latest good run, the good run before it, a failure after it.

    A run whose manifest cannot be read is passed over, except the one that ``latest.json`` names: RunError.
    """
    folder = reports / file_name(study)
    manifests = _manifests(folder / "runs")
    latest = _read(folder / "latest.json").get("run_id") if (folder / "latest.json").exists() else None
    failed = [run for run in manifests if run.get("status") == "failed"]
    if latest is None:
        return StudyEntry(name=study, report=None, failure=failed[-1] if failed else None)
    run, findings = _report(folder / "runs" / file_name(latest))
    earlier = [r for r in manifests if r.get("status") == "good" and _when(r) < _when(run)]
    since = [r for r in failed if _when(r) > _when(run)]
    return StudyEntry(
        name=study,
        report=Report(run=run, findings=findings),
        previous=_previous(folder / "runs", earlier),
        failure=since[-1] if since else None,
    )


def _manifests(runs: Path) -> list[Mapping[str, Any]]:
    """Return the manifests of a study's runs, oldest first."""
    found = []
    for path in runs.glob("*/run.json"):
        try:
            found.append(_read(path))
        except RunError:
            continue
    return sorted(found, key=_when)


def _when(run: Mapping[str, Any]) -> tuple[str, str]:
    return str(run.get("finished_at") or run.get("started_at")), str(run.get("run_id"))


def _previous(runs: Path, earlier: list[Mapping[str, Any]]) -> Report | None:
    for run in reversed(earlier):
        try:
            manifest, findings = _report(runs / file_name(run.get("run_id")))
        except RunError:
            continue
        return Report(run=manifest, findings=findings)
    return None


def _report(run_folder: Path) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    return _read(run_folder / "run.json"), list(_read(run_folder / "findings.json").get("findings") or ())


def _read(path: Path) -> Mapping[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"expected {path.name} in {path.parent}, and there is none; run the study again") from None
    except ValueError as error:
        raise RunError(f"expected {path} to be JSON; {error}; run the study again") from None
    if not isinstance(read, Mapping):
        raise RunError(f"expected {path} to hold a JSON object; came {type(read).__name__}; run the study again")
    return read


def _write(path: Path, page: str) -> None:
    """Write a page for everybody to read, all of it or nothing."""
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
        temporary.chmod(0o644)
