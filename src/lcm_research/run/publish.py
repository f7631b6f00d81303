"""
A report becomes visible completely or not at all, and the last good one stays until the next is complete.

Everything happens under one lock per reports folder, so what lies in ``.staging`` when the lock is free was
left by a process that died. The commit point is one ``os.replace`` of ``latest.json``. A journal, written
before anything becomes visible and removed after the index pages, lets the next command finish what a crash
left undone.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lcm_research.data.cache import atomic_path
from lcm_research.errors import RunError
from lcm_research.run.harvest import Harvest, to_json

__all__ = ["newest_run", "publish", "repair"]

STAGING = ".staging"
JOURNAL = ".publishing.json"
LOCK = ".lock"


def publish(reports: Path, record: Mapping[str, Any], harvests: Sequence[Harvest]) -> Path:
    """
    Publish a run and return its folder.

    A good run brings its notebooks, findings, tables, figures and pages, and becomes the study's latest. A
    failed one brings only its manifest; ``latest.json`` is not touched.
    """
    study, run_id = record["study"], record["run_id"]
    with _locked(reports):
        with suppress(RunError):  # an older run whose index cannot be built does not hold up this one
            _finish_what_was_left(reports)
        shutil.rmtree(reports / STAGING, ignore_errors=True)
        staged = reports / STAGING / run_id
        staged.mkdir(parents=True)
        try:
            _write(staged / "run.json", to_json(record, sort=False))
            if record["status"] == "good":
                _write_report(staged, harvests)
            _flush(staged)
            _write_atomically(reports / JOURNAL, {"study": study, "run_id": run_id})
            folder = reports / study / "runs" / run_id
            folder.parent.mkdir(parents=True, exist_ok=True)
            staged.rename(folder)
        finally:
            shutil.rmtree(reports / STAGING, ignore_errors=True)
        _finish_what_was_left(reports)
    return folder


def _write_report(folder: Path, harvests: Sequence[Harvest]) -> None:
    findings = sorted((f for one in harvests for f in one.findings), key=lambda f: f["id"])
    _write(folder / "findings.json", to_json({"schema": 1, "findings": findings}))
    for one in harvests:
        _write(folder / f"{one.name}.ipynb", to_json(one.notebook))
        for id, text in one.tables.items():
            _write(folder / "tables" / f"{one.name}.{id}.csv", text)
        for id, text in one.figures.items():
            _write(folder / "figures" / f"{one.name}.{id}.svg", text)
    _pages().write_run_pages(folder)


def _pages() -> Any:
    """Return the pages' functions that write; imported late, they bring the templates with them."""
    from lcm_research.pages import index

    return index


def repair(reports: Path) -> bool:
    """
    Finish what a crash left undone: commit a run that was complete, rebuild index pages, sweep the staging.

    Returns
    -------
    bool
        Whether there was anything to do.
    """
    if not (reports / STAGING).exists() and not (reports / JOURNAL).exists():
        return False
    with _locked(reports):
        shutil.rmtree(reports / STAGING, ignore_errors=True)
        _finish_what_was_left(reports)
    return True


def _finish_what_was_left(reports: Path) -> None:
    """Bring latest.json and the index pages to where the journal says that they must come; under the lock."""
    journal = reports / JOURNAL
    if not journal.exists():
        return
    entry = json.loads(journal.read_text(encoding="utf-8"))
    study = reports / entry["study"]
    manifest = study / "runs" / entry["run_id"] / "run.json"
    if manifest.exists():  # otherwise the crash came before the rename, and nothing is visible
        _flush_folder(manifest.parents[1])
        if json.loads(manifest.read_text(encoding="utf-8"))["status"] == "good":
            _write_atomically(study / "latest.json", {"schema": 1, "run_id": entry["run_id"]})
        if (study / "latest.json").exists():
            _pages().write_study_index(reports, entry["study"])
        _pages().write_front_door(reports)
    journal.unlink()


def newest_run(reports: Path, study: str) -> Mapping[str, Any] | None:
    """Return the manifest of a study's newest run, good or failed; None where it has none."""
    manifests = sorted((reports / study / "runs").glob("*/run.json"))
    return json.loads(manifests[-1].read_text(encoding="utf-8")) if manifests else None


@contextmanager
def _locked(reports: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system frees when a process dies."""
    reports.mkdir(parents=True, exist_ok=True)
    with (reports / LOCK).open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _write_atomically(path: Path, value: Mapping[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(to_json(value), encoding="utf-8")
        temporary.chmod(0o644)
    _flush_folder(path.parent)


def _flush(folder: Path) -> None:
    """Bring every file of a folder to the disk, then the folders' own entries."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as written:
                os.fsync(written.fileno())
    for path in [*(p for p in folder.rglob("*") if p.is_dir()), folder]:
        _flush_folder(path)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
