"""A report appears completely or not at all, and a crash at any step is finished by the next command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lcm_research.errors import RunError
from lcm_research.run import publish as publishing
from lcm_research.run.harvest import Harvest
from lcm_research.run.publish import newest_run, publish, repair

FINDING = {"id": "share", "notebook": "stay", "cell": "c1"}


class Pages:
    """Pages that say which run they are of."""

    def __init__(self, fail_at: str = "") -> None:
        self.fail_at = fail_at

    def write_run_pages(self, folder: Path) -> None:
        self._step("run")
        (folder / "stay.html").write_text(json.loads((folder / "run.json").read_text())["run_id"])

    def write_study_index(self, reports: Path, study: str) -> None:
        self._step("study")
        (reports / study / "index.html").write_text((reports / study / "latest.json").read_text())

    def write_front_door(self, reports: Path) -> None:
        self._step("front")
        runs = sorted(p.parent.name for p in reports.glob("*/runs/*/run.json"))
        (reports / "index.html").write_text(" ".join(runs))

    def _step(self, name: str) -> None:
        if name == self.fail_at:
            raise RunError(f"no power at {name}")


@pytest.fixture(autouse=True)
def pages(monkeypatch: pytest.MonkeyPatch) -> Pages:
    fake = Pages()
    monkeypatch.setattr(publishing, "_pages", lambda: fake)
    return fake


def record(run_id: str, status: str = "good", study: str = "shop") -> Mapping[str, Any]:
    return {"schema": 1, "run_id": run_id, "study": study, "status": status}


def harvested() -> list[Harvest]:
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return [Harvest(name="stay", notebook=notebook, findings=(FINDING,), tables={"t": "a\n"}, figures={"f": "<svg/>"})]


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def latest(reports: Path) -> str:
    return json.loads((reports / "shop" / "latest.json").read_text())["run_id"]


def test_a_good_run_brings_its_whole_folder_and_becomes_the_latest(tmp_path: Path) -> None:
    folder = publish(tmp_path, record("r1"), harvested())
    assert folder == tmp_path / "shop" / "runs" / "r1"
    reports = ["findings.json", "run.json", "stay.html", "stay.ipynb"]
    assert files(folder) == ["figures/stay.f.svg", *reports, "tables/stay.t.csv"]
    assert json.loads((folder / "findings.json").read_text()) == {"schema": 1, "findings": [FINDING]}
    assert json.loads((tmp_path / "shop" / "latest.json").read_text()) == {"schema": 1, "run_id": "r1"}
    outside = [name for name in files(tmp_path) if "/runs/" not in name]
    assert outside == [".lock", "index.html", "shop/index.html", "shop/latest.json"]


def test_everybody_may_read_what_is_published(tmp_path: Path) -> None:
    publish(tmp_path, record("r1"), harvested())
    assert all(p.stat().st_mode & 0o044 == 0o044 for p in tmp_path.rglob("*"))


def test_a_failed_run_adds_its_manifest_and_leaves_the_last_good_report(tmp_path: Path) -> None:
    publish(tmp_path, record("r1"), harvested())
    before = (tmp_path / "shop" / "latest.json").read_bytes()
    folder = publish(tmp_path, record("r2", "failed"), harvested())
    assert files(folder) == ["run.json"]
    assert (tmp_path / "shop" / "latest.json").read_bytes() == before
    assert (tmp_path / "index.html").read_text() == "r1 r2"
    assert newest_run(tmp_path, "shop") == record("r2", "failed")


def test_a_study_that_never_succeeded_shows_on_the_front_door_only(tmp_path: Path) -> None:
    publish(tmp_path, record("r1", "failed"), [])
    assert (tmp_path / "index.html").read_text() == "r1"
    assert files(tmp_path / "shop") == ["runs/r1/run.json"]


def test_pages_that_cannot_be_written_publish_nothing(tmp_path: Path, pages: Pages) -> None:
    publish(tmp_path, record("r1"), harvested())
    before = files(tmp_path)
    pages.fail_at = "run"
    with pytest.raises(RunError, match="no power at run"):
        publish(tmp_path, record("r2"), harvested())
    assert files(tmp_path) == before
    assert not repair(tmp_path)


@pytest.mark.parametrize("step", ["study", "front"])
def test_a_crash_before_the_index_is_finished_by_the_next_command(tmp_path: Path, pages: Pages, step: str) -> None:
    publish(tmp_path, record("r1"), harvested())
    pages.fail_at = step
    with pytest.raises(RunError):
        publish(tmp_path, record("r2"), harvested())
    assert latest(tmp_path) == "r2"
    assert (tmp_path / "index.html").read_text() == "r1"
    pages.fail_at = ""
    assert repair(tmp_path)
    assert (tmp_path / "index.html").read_text() == "r1 r2"
    assert "r2" in (tmp_path / "shop" / "index.html").read_text()
    assert not repair(tmp_path)


def test_a_crash_between_rename_and_commit_is_committed_by_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, record("r1"), harvested())
    write = publishing._write_atomically

    def crash(path: Path, value: Mapping[str, Any]) -> None:
        if path.name == "latest.json":
            raise KeyboardInterrupt
        write(path, value)

    monkeypatch.setattr(publishing, "_write_atomically", crash)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path, record("r2"), harvested())
    assert latest(tmp_path) == "r1"
    monkeypatch.setattr(publishing, "_write_atomically", write)
    assert repair(tmp_path)
    assert latest(tmp_path) == "r2"


def test_a_crash_before_the_rename_leaves_nothing_to_commit(tmp_path: Path) -> None:
    publish(tmp_path, record("r1"), harvested())
    (tmp_path / ".staging" / "r2").mkdir(parents=True)
    (tmp_path / ".publishing.json").write_text('{"study": "shop", "run_id": "r2"}')
    assert repair(tmp_path)
    assert latest(tmp_path) == "r1"
    assert not (tmp_path / ".staging").exists()
    assert not (tmp_path / ".publishing.json").exists()


def test_an_index_that_cannot_be_built_does_not_hold_up_another_study(tmp_path: Path, pages: Pages) -> None:
    pages.fail_at = "study"
    with pytest.raises(RunError):
        publish(tmp_path, record("r1"), harvested())
    with pytest.raises(RunError):
        publish(tmp_path, record("o1", study="other"), harvested())
    assert json.loads((tmp_path / "other" / "latest.json").read_text())["run_id"] == "o1"


def test_nothing_is_made_where_there_are_no_reports(tmp_path: Path) -> None:
    assert not repair(tmp_path / "reports")
    assert newest_run(tmp_path / "reports", "shop") is None
    assert not (tmp_path / "reports").exists()
