"""Pages on disk: all of a page or none of it, derived from the manifests."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pages_sample
import pytest

from lcm_research.errors import RunError
from lcm_research.pages import index
from lcm_research.pages.index import read_study, write_front_door, write_run_pages, write_study_index

STUDY = pages_sample.STUDY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pages_sample.write_reports(tmp_path, "en")


def test_every_answered_notebook_gets_a_page(folder: Path) -> None:
    written = write_run_pages(folder)
    assert [path.name for path in written] == ["01_survival.html", "02_states.html", "04_claims.html"]
    assert all(path.stat().st_size > 10_000 for path in written)


def test_pages_can_be_read_by_others(folder: Path) -> None:
    assert {path.stat().st_mode & 0o777 for path in write_run_pages(folder)} == {0o644}


def test_a_notebook_that_cannot_be_read_leaves_no_page_at_all(folder: Path) -> None:
    (folder / "04_claims.ipynb").write_text("{ not json")
    with pytest.raises(RunError, match=r"04_claims\.ipynb to be JSON"):
        write_run_pages(folder)
    assert list(folder.glob("*.html")) == []


def test_a_write_that_fails_leaves_the_old_page_and_nothing_partial(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_study_index(folder.parents[2], STUDY)
    before = path.read_bytes()

    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write_study_index(folder.parents[2], STUDY)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".part-")] == []


def test_the_study_page_is_the_run_that_latest_names(folder: Path) -> None:
    page = write_study_index(folder.parents[2], STUDY).read_text()
    assert f'content="{pages_sample.RUN}"' in page
    assert f"runs/{pages_sample.RUN}/01_survival.html#cell-e1" in page
    assert "Findings that differ from the run of 2024-06-12 02:13" in page


def test_a_failure_is_shown_only_after_the_last_good_run(folder: Path) -> None:
    reports = folder.parents[2]
    assert read_study(reports, STUDY).failure["run_id"] == pages_sample.FAILED_RUN
    old = pages_sample.failed_run("en") | {"finished_at": "2024-01-01T00:00:00+00:00"}
    pages_sample.write_json(reports / STUDY / "runs" / pages_sample.FAILED_RUN / "run.json", old)
    assert read_study(reports, STUDY).failure is None


def test_a_manifest_that_was_cut_off_is_passed_over(folder: Path) -> None:
    reports = folder.parents[2]
    for run in (pages_sample.FAILED_RUN, pages_sample.BEFORE):
        (reports / STUDY / "runs" / run / "run.json").write_text('{"schema": 1, "run')
    entry = read_study(reports, STUDY)
    assert (entry.failure, entry.previous) == (None, None)
    assert entry.report is not None


def test_a_study_without_a_good_run_has_no_page_and_a_line_on_the_front_door(folder: Path) -> None:
    reports = folder.parents[2]
    (reports / STUDY / "latest.json").unlink()
    with pytest.raises(RunError, match=f"no good run of '{STUDY}'"):
        write_study_index(reports, STUDY)
    assert "there is no good report yet" in write_front_door(reports).read_text()


def test_a_latest_that_names_an_absent_run_says_what_is_missing(folder: Path) -> None:
    reports = folder.parents[2]
    (reports / STUDY / "latest.json").write_text(json.dumps({"schema": 1, "run_id": "gone"}))
    with pytest.raises(RunError, match=r"expected run\.json in .*gone"):
        write_study_index(reports, STUDY)


def test_the_front_door_lists_studies_and_not_the_staging_folder(folder: Path) -> None:
    reports = folder.parents[2]
    (reports / ".staging" / "runs").mkdir(parents=True)
    (reports / "notes").mkdir()
    page = write_front_door(reports).read_text()
    assert page.count('<section class="study"') == 1


def test_names_that_would_leave_the_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"came '\.\./x'"):
        read_study(tmp_path, "../x")
    assert index.__all__
