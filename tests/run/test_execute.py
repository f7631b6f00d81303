"""How executed notebooks end; every ending once, on real kernels."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbclient.exceptions import CellTimeoutError

from lcm_research.run import engine
from lcm_research.run.execute import Event, environment_for, execute_all, make_job
from lcm_research.run.outcome import Outcome, judge
from lcm_research.run.plan import Planned, read_notebook

ENDINGS: dict[str, list[str]] = {
    "fine": [
        """
        import sys, os, warnings
        from lcm_research.errors import FewEventsWarning
        warnings.warn("only 3 events", FewEventsWarning)
        warnings.warn("of another library")
        os.system("echo '{\\"event\\": \\"outcome\\"}'")
        """,
        """
        seen = [sys.executable, study, horizon_days, os.environ["OMP_NUM_THREADS"], os.environ["LCM_LANGUAGE"]]
        seen.append(os.path.basename(os.readlink(f"/proc/{os.getppid()}/fd/1")))
        """,
        "from IPython.display import display\ndisplay({'text/markdown': repr(seen)}, raw=True)",
        "",
    ],
    "raises": ["open('/nowhere/at/all.csv')", "1"],
    "exits": ["import sys; sys.exit(0)", "1"],
    "magic": ["%no_such_magic", "1"],
    "lacks": [
        "from lcm_research.errors import MissingTableError\nraise MissingTableError('touchpoints', purpose='credit')"
    ],
    "dies": ["import os; os._exit(3)", "1"],
    "loops": [
        """
        import subprocess
        child = subprocess.Popen(["sleep", "300"])
        open("loop.pid", "w").write(str(child.pid))
        while True: pass
        """
    ],
}
LOOP_LIMIT_S = 10.0


@pytest.fixture(scope="module")
def ended(
    tmp_path_factory: pytest.TempPathFactory, new_project: Callable[[Path], Any]
) -> tuple[dict[str, Outcome], list[Event], Path]:
    project = new_project(tmp_path_factory.mktemp("project"))
    work = tmp_path_factory.mktemp("{work}")
    environment = environment_for(params=project.root / "params", cache=work, jobs=3, language="zh")
    jobs = []
    for name, code in ENDINGS.items():
        planned = Planned(
            notebook=read_notebook(project.notebook(name, *code)), given={"study": "shop", "horizon_days": 7}
        )
        jobs.append(make_job(planned, folder=work, environment=environment, limit_s=60))
    events: list[Event] = []
    outcomes = execute_all(jobs[-1:], at_once=1, limit_s=LOOP_LIMIT_S, watch=events.append)
    outcomes = execute_all(jobs[-2::-1], at_once=3, limit_s=100, watch=events.append) | outcomes
    (project.root / "executed").symlink_to(work)
    return outcomes, events, project.root


def test_a_notebook_whose_cells_all_ran_is_ok_and_keeps_our_warnings(ended: Any) -> None:
    fine = ended[0]["fine"]
    assert fine.status == "ok"
    assert fine.warnings == ("FewEventsWarning: only 3 events",)
    assert fine.duration_s > 0.5


def test_the_kernel_is_this_interpreter_with_one_thread_the_parameters_and_no_way_into_the_channel(ended: Any) -> None:
    cells = json.loads((ended[2] / "executed" / "fine" / "executed.ipynb").read_text())["cells"]
    assert cells[3]["id"] == "injected-parameters"
    shown = "".join(cells[6]["outputs"][0]["data"]["text/markdown"])
    assert shown == repr([sys.executable, "shop", 7, "1", "zh", "worker.log"])


@pytest.mark.parametrize(
    ("name", "status", "cell", "error"),
    [
        ("raises", "failed", 5, "FileNotFoundError: [Errno 2] No such file or directory: 'all.csv'"),
        ("exits", "failed", 5, "SystemExit: 0"),
        ("magic", "failed", 5, "UsageError: Line magic function `%no_such_magic` not found."),
        ("dies", "died", 5, "DeadKernelError: Kernel died"),
        ("loops", "timed out", 5, None),
        ("lacks", "skipped", None, None),
    ],
)
def test_every_other_end_has_its_name_its_cell_and_its_error(
    ended: Any, name: str, status: str, cell: int | None, error: str | None
) -> None:
    outcome = ended[0][name]
    assert (outcome.status, outcome.failing_cell, outcome.error) == (status, cell, error)


def test_a_missing_table_is_the_reason_in_both_languages(ended: Any) -> None:
    reason = ended[0]["lacks"].reason
    assert "no table 'touchpoints', which credit needs" in reason["en"]
    assert "数据表 touchpoints" in reason["zh"]


def test_a_notebook_beyond_the_limit_leaves_no_process(ended: Any) -> None:
    pid = int((ended[2] / "notebooks" / "loop.pid").read_text())
    assert not _runs(pid)
    assert ended[0]["loops"].duration_s == pytest.approx(LOOP_LIMIT_S, abs=1.0)


def _runs(pid: int) -> bool:
    """Return whether a process is at work; one that waits to be collected is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z" and os.kill(pid, 0) is None
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_each_notebook_is_watched_from_start_over_its_cells_to_its_end(ended: Any) -> None:
    seen = [event for event in ended[1] if event.notebook == "fine"]
    assert seen[0] == Event(notebook="fine")
    assert [e.cell for e in seen[1:-1]] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {e.n_cells for e in seen[1:-1]} == {8}
    assert seen[-1].outcome == ended[0]["fine"]


def test_outcomes_come_in_the_order_of_the_jobs(ended: Any) -> None:
    assert list(ended[0]) == [*list(ENDINGS)[-2::-1], "loops"]


def test_a_code_cell_that_never_ran_fails_a_notebook_that_raised_nothing() -> None:
    ran = {"cell_type": "code", "id": "a", "source": "1", "execution_count": 1, "outputs": []}
    left_out = {**ran, "id": "b", "execution_count": None}
    assert judge([ran, {**left_out, "source": " \n"}], None, at=2).status == "ok"
    judged = judge([ran, left_out], None, at=2)
    assert (judged.status, judged.failing_cell, judged.error) == ("failed", 2, "this cell did not run")


def test_an_error_that_a_cell_was_allowed_to_raise_fails_the_notebook() -> None:
    output = {
        "output_type": "error",
        "ename": "ValueError",
        "evalue": "\x1b[31mno\x1b[0m /home/ann/x/y.csv",
        "traceback": [],
    }
    cell = {"cell_type": "code", "id": "a", "source": "1", "execution_count": 1, "outputs": [output]}
    judged = judge([cell], None, at=1)
    assert (judged.status, judged.failing_cell, judged.error) == ("failed", 1, "ValueError: no y.csv")


def test_a_cell_beyond_its_time_is_timed_out_although_its_kernel_answered_something_else() -> None:
    output = {"output_type": "error", "ename": "KeyboardInterrupt", "evalue": "", "traceback": []}
    cell = {"cell_type": "code", "id": "a", "source": "1", "execution_count": 1, "outputs": [output]}
    judged = judge([cell], CellTimeoutError("4 seconds"), at=1)
    assert (judged.status, judged.failing_cell, judged.error) == ("timed out", 1, None)


def test_a_kernel_that_never_answered_died() -> None:
    assert judge([], RuntimeError("Kernel died before replying to kernel_info"), at=0).status == "died"


def test_a_kernel_that_does_not_start_is_tried_three_times(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []

    def race(*args: Any, **options: Any) -> None:
        starts.append(args)
        raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr(engine.papermill, "execute_notebook", race)
    job = {
        "notebook": str(project.notebook("stay")),
        "output": str(project.root / "out.ipynb"),
        "parameters": {},
        "cell_timeout_s": 9,
    }
    events: list[Any] = []
    engine.execute(job, events.append)
    assert len(starts) == 3
    assert (events[-1]["event"], events[-1]["status"]) == ("outcome", "died")


def test_cells_without_ids_are_numbered_the_same_in_every_run(project: Any) -> None:
    path = project.notebook("stay", "1")
    old = json.loads(path.read_text())
    old["nbformat_minor"] = 4
    for cell in old["cells"]:
        del cell["id"]
    path.write_text(json.dumps(old))
    assert [cell.id for cell in engine.read_with_ids(path).cells] == ["cell-1", "cell-2", "cell-3", "cell-4"]
