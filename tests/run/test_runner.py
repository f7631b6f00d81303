"""A study from plan to report, on real kernels, with data that were read before."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lcm_research.data.ingested import Ingested, InputFile
from lcm_research.errors import DataError
from lcm_research.run import runner
from lcm_research.run.manifest import new_run_id
from lcm_research.run.outcome import Outcome
from lcm_research.run.plan import make_plan
from lcm_research.run.runner import Run, run_study

KEYS = """
schema run_id study title language started_at finished_at duration_s seed timezone observation_start as_of status
git versions engine inputs reconciliation n_customers n_rows definitions parameters notebooks code
"""


def run(reports: Path, **options: Any) -> Run:
    return run_study(make_plan("shop", **options), reports=reports, at_once=2, limit_s=60, watch=lambda event: None)


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, ingested: Ingested) -> None:
    monkeypatch.setattr(runner, "read_data", lambda plan: ingested)


@pytest.fixture(scope="module")
def twice(
    tmp_path_factory: pytest.TempPathFactory, new_project: Callable[[Path], Any]
) -> Iterator[tuple[Any, list[Run], list[Path]]]:
    """Run a study of three notebooks twice; one asks for a table that is not there."""
    project = new_project(tmp_path_factory.mktemp("project"))
    finds = "from lcm_research.study import find_study\nassert find_study(study).name == 'renamed.yaml'"
    project.notebook("stay", finds, project.finding("stay-share"), "import warnings\nwarnings.warn('x')")
    project.notebook("buy", project.finding("buy-share"))
    lacks = (
        "from lcm_research.errors import MissingTableError\nraise MissingTableError('touchpoints', purpose='credit')"
    )
    project.notebook("credit", lacks)
    path = project.study(notebooks="{stay: {horizon_days: 30}, buy: , credit: }")
    path = path.rename(path.with_name("renamed.yaml"))
    reading = Ingested(
        tables={},
        fingerprint="f",
        inputs=(InputFile(table="transactions", file="sales.csv", sha256="0" * 64, bytes=400, rows=30),),
        reconciliation=(),
        checks=(),
        n_customers=30,
        n_rows={"transactions": 28, "customers": 30},
        days={},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LCM_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(runner, "read_data", lambda plan: reading)
        patch.chdir(project.root)
        runs = [
            run_study(make_plan(path), reports=project.reports, at_once=2, limit_s=60, watch=lambda event: None)
            for _ in range(2)
        ]
        left = list(Path(os.environ["LCM_CACHE"]).rglob("*.ipynb"))
        yield project, runs, left


def test_the_same_inputs_give_the_same_findings_byte_for_byte(twice: Any) -> None:
    first, second = (r.folder for r in twice[1])
    assert first != second
    assert (first / "findings.json").read_bytes() == (second / "findings.json").read_bytes()
    assert (first / "stay.ipynb").read_bytes() == (second / "stay.ipynb").read_bytes()
    assert (first / "findings.json").read_bytes().endswith(b"}\n")


def test_findings_are_sorted_by_id_and_name_notebook_and_cell(twice: Any) -> None:
    findings = json.loads((twice[1][0].folder / "findings.json").read_text())["findings"]
    assert [(f["id"], f["notebook"], f["cell"]) for f in findings] == [
        ("buy-share", "buy", "cell-1"),
        ("stay-share", "stay", "cell-2"),
    ]


def test_the_manifest_says_everything_and_is_what_is_published(twice: Any) -> None:
    done = twice[1][0]
    published = json.loads((done.folder / "run.json").read_text())
    assert list(published) == KEYS.split()
    assert published == json.loads(json.dumps(done.record))
    assert (published["status"], published["n_customers"], published["n_rows"]) == ("good", 30, 28)
    assert published["versions"]["papermill"].startswith("2.")
    assert all(set(d["value"]) == {"en", "zh"} for d in published["definitions"])


def test_the_manifest_has_each_notebook_in_the_studys_order(twice: Any) -> None:
    notebooks = twice[1][0].record["notebooks"]
    assert [(n["name"], n["status"]) for n in notebooks] == [("stay", "ok"), ("buy", "ok"), ("credit", "skipped")]
    assert notebooks[0]["parameters"] == {"study": "shop", "horizon_days": 30}
    assert notebooks[0]["title"] == {"en": "Who stays?", "zh": "谁会留下？"}
    assert set(notebooks[0]) == {
        *("name", "title", "status", "reason", "duration_s", "failing_cell", "error", "warnings", "parameters")
    }


def test_a_skipped_notebook_has_a_reason_and_no_page(twice: Any) -> None:
    folder, credit = twice[1][0].folder, twice[1][0].record["notebooks"][2]
    assert "touchpoints" in credit["reason"]["en"]
    assert sorted(p.name for p in folder.glob("*.html")) == ["buy.html", "stay.html"]
    assert sorted(p.name for p in folder.glob("*.ipynb")) == ["buy.ipynb", "stay.ipynb"]


def test_nothing_of_this_machine_and_nothing_unemitted_is_published(twice: Any) -> None:
    project, runs, _ = twice
    for path in (p for p in project.reports.rglob("*") if p.is_file()):
        text = path.read_text(encoding="utf-8")
        assert str(project.root) not in text, path
        assert "papermill" not in text or path.name in {"run.json", "index.html"}, path  # its version
    shown = json.dumps([c.get("outputs") for c in json.loads((runs[0].folder / "buy.ipynb").read_text())["cells"]])
    assert "not for readers" not in shown
    assert "vnd.lcm.finding" in shown


def test_executed_notebooks_do_not_stay_behind(twice: Any) -> None:
    assert twice[2] == []


def test_the_latest_run_is_the_second(twice: Any) -> None:
    project, runs, _ = twice
    assert json.loads((project.reports / "shop" / "latest.json").read_text())["run_id"] == runs[1].record["run_id"]
    assert runs[0].record["run_id"] < runs[1].record["run_id"]


def test_two_notebooks_that_emit_one_id_fail_the_run_and_keep_the_last_report(project: Any, data: None) -> None:
    project.notebook("stay", project.finding("share"))
    project.notebook("buy", project.finding("share"))
    project.study(notebooks="{stay: , buy: }")
    good = run(project.reports, only=["stay"])
    assert good.is_good
    done = run(project.reports)
    assert not done.is_good
    assert [n["status"] for n in done.record["notebooks"]] == ["ok", "failed"]
    error = done.record["notebooks"][1]["error"]
    assert "finding 'share' is emitted twice, in cell 'cell-1' of stay and in cell 'cell-1' of buy" in error
    assert [p.name for p in done.folder.iterdir()] == ["run.json"]
    assert json.loads((project.reports / "shop" / "latest.json").read_text())["run_id"] == good.record["run_id"]
    assert json.loads(done.kept["buy"].read_text())["cells"]


def test_data_that_cannot_be_read_leave_nothing_behind(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(plan: Any) -> Ingested:
        raise DataError("no file sales.csv")

    monkeypatch.setattr(runner, "read_data", refuse)
    project.notebook("stay")
    project.study()
    with pytest.raises(DataError, match=r"sales\.csv"):
        run(project.reports)
    assert not project.reports.exists()


@pytest.mark.parametrize(
    ("statuses", "good"),
    [
        (["ok"], True),
        (["ok", "skipped"], True),
        (["skipped"], False),
        (["ok", "failed"], False),
        (["ok", "died"], False),
        (["ok", "timed out"], False),
    ],
)
def test_a_run_is_good_when_nothing_failed_and_something_was_answered(statuses: list[Any], good: bool) -> None:
    assert runner._is_good({str(i): Outcome(status=s) for i, s in enumerate(statuses)}) is good


def test_run_ids_sort_by_time() -> None:
    start = datetime(2026, 1, 2, 3, 4, 5, 1000, UTC)
    moments = [
        start,
        start + timedelta(milliseconds=1),
        start + timedelta(milliseconds=999),
        start + timedelta(hours=9),
    ]
    ids = [new_run_id(moment) for moment in moments]
    assert ids == sorted(ids)
    assert ids[0].startswith("20260102T030405Z-001")
    assert new_run_id(start) != new_run_id(start)
