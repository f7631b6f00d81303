"""What the command line answers, as a scheduler sees it: exit codes, streams, and what lies on the disk after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lcm_research import cli

OPENING = 'study: str = "demo"  # name in params/ or path to a YAML\n'
LOOP = """import pathlib, subprocess
child = subprocess.Popen(["sleep", "300"])
pathlib.Path('loop.pid').write_text(str(child.pid))
while True: pass"""


def lcm(*arguments: str, folder: Path, **options: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LCM_") or k == "LCM_CACHE"}
    command = [sys.executable, "-m", "lcm_research", *arguments]
    return subprocess.run(command, cwd=folder, env=environment | options, capture_output=True, text=True, timeout=100)


def write_project(root: Path, **notebooks: str) -> None:
    """Write a study for each notebook, named as it is, over one file of purchases."""
    for folder in ("params", "notebooks", "data"):
        (root / folder).mkdir()
    sales = [f"c{i},2024-{1 + i % 6:02d}-03,{10 + i}.5" for i in range(30)]
    (root / "data" / "sales.csv").write_text("\n".join(["who,day,paid", *sales]), encoding="utf-8")
    for name, code in notebooks.items():
        (root / "params" / f"{name}.yml").write_text(
            f"study: {name}\ntitle: A {name} study\ntimezone: UTC\nobservation_start: 2024-01-01\nas_of: 2024-12-31\n"
            "data:\n  folder: ../data\n  tables:\n    transactions:\n      file: sales.csv\n"
            "      leave_out: {cheap: {when: paid < 12, because: samples}}\n"
            "      columns: {customer_id: who, ts: \"strptime(day, '%Y-%m-%d')\", amount: paid, currency: \"'EUR'\"}\n"
            f"churn: {{window_days: 90}}\nnotebooks: {{{name}: }}\n",
            encoding="utf-8",
        )
        cells = [
            {
                "cell_type": "code",
                "id": id,
                "metadata": {"tags": tags},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for id, tags, source in [("given", ["parameters"], OPENING), ("work", [], code)]
        ]
        written = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (root / "notebooks" / f"{name}.ipynb").write_text(json.dumps(written), encoding="utf-8")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    write_project(
        root, fine="1", broken="1 / 0", slow=LOOP, credit="lcm = None\nif lcm:\n    1\nlcm.require('touchpoints')"
    )
    return root


def test_a_good_run_ends_with_0_and_publishes(shop: Path) -> None:
    done = lcm("run", "fine", "--out", "good", folder=shop)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "fine: fine: started"
    assert "fine: fine: ✓ ok in " in done.stdout
    assert "published in good/fine/index.html" in done.stdout
    for name in ("good/index.html", "good/fine/index.html", "good/fine/latest.json"):
        assert (shop / name).is_file()


def test_a_failed_notebook_ends_with_1_and_shows_beside_the_other_study(shop: Path) -> None:
    done = lcm("run", "broken", "params/fine.yml", "--out", "several", "--debug", folder=shop)
    assert done.returncode == 1
    assert "broken: broken: ✗ failed" in done.stdout
    assert "cell 3: ZeroDivisionError: division by zero" in done.stdout
    assert "failed; the last good report is kept" in done.stdout
    assert "published in several/fine/index.html" in done.stdout
    assert "Traceback" in done.stderr
    assert not (shop / "several" / "broken" / "latest.json").exists()
    assert "A broken study" in (shop / "several" / "index.html").read_text(encoding="utf-8")


def test_every_study_is_run_and_the_worst_code_is_returned(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {"fine": 0, "broken": 1}
    asked = []

    def run(plan: Any, **options: Any) -> int:
        asked.append((plan.study.study, options))
        return codes[plan.study.study]

    monkeypatch.setattr(cli, "_run", run)
    monkeypatch.chdir(shop)
    invoke = CliRunner().invoke
    options = {"reports": Path("r"), "jobs": 3, "timeout": 9.0, "debug": False}
    assert invoke(cli.app, ["run", "broken", "fine", "--out", "r", "--jobs", "3", "--timeout", "9"]).exit_code == 1
    assert asked == [("broken", options), ("fine", options)]
    assert invoke(cli.app, ["run", "nope", "broken", "fine"]).exit_code == 2
    assert len(asked) == 4
    assert invoke(cli.app, ["run", "fine"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nope"], "no study named 'nope' in params/"),
        (["run", "fine", "--set", "fine.x=3"], "the notebook declares no parameter 'x'"),
        (["run", "fine", "--set", "fin.x=3"], "did you mean 'fine'?"),
        (["run", "fine", "--only", "fin"], "did you mean 'fine'?"),
        (["check", "params/none.yml"], "no study file at params/none.yml"),
    ],
)
def test_a_refusal_ends_with_2_says_why_and_leaves_nothing(shop: Path, arguments: list[str], message: str) -> None:
    before = set(shop.iterdir())
    done = lcm(*arguments, folder=shop)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert set(shop.iterdir()) == before


@pytest.mark.parametrize("arguments", [["run"], ["run", "fine", "--jobs", "0"], ["fly"], ["run", "fine", "--what"]])
def test_what_the_command_line_does_not_know_ends_with_2(shop: Path, arguments: list[str]) -> None:
    assert lcm(*arguments, folder=shop).returncode == 2


def test_check_shows_where_rows_went_and_what_can_run_and_writes_nothing(shop: Path) -> None:
    before = set(shop.rglob("*"))
    done = lcm("check", "credit", folder=shop)
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "transactions cheap samples 2" in lines
    assert "transactions rows_used rows used 28" in lines
    assert "credit is skipped: no table touchpoints" in lines
    assert set(shop.rglob("*")) == before


def test_list_shows_each_study_with_its_last_run(shop: Path) -> None:
    done = lcm("list", "--out", "good", folder=shop)
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert any(line.startswith("fine A fine study en good, 20") for line in lines)
    assert "broken A broken study en never run" in lines


def test_an_interrupted_run_ends_its_notebooks_and_publishes_nothing(shop: Path) -> None:
    process, child = _start_slow(shop, "stopped")
    process.send_signal(signal.SIGTERM)  # a scheduler's; handled as Ctrl-C is
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert not _runs(child)
    assert not (shop / "stopped").exists()


def test_notebooks_end_with_a_run_that_is_killed(shop: Path) -> None:
    process, child = _start_slow(shop, "killed")
    process.kill()
    process.communicate(timeout=20)
    deadline = time.monotonic() + 5
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)


def _start_slow(shop: Path, out: str) -> tuple[subprocess.Popen[str], int]:
    """Start a run whose notebook never ends, and wait until it is at work."""
    marker = shop / "notebooks" / "loop.pid"
    marker.unlink(missing_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LCM_") or k == "LCM_CACHE"}
    command = [sys.executable, "-m", "lcm_research", "run", "slow", "--out", out]
    process = subprocess.Popen(
        command, cwd=shop, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (marker.exists() and marker.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process, int(marker.read_text())


def _runs(pid: int) -> bool:
    """Return whether a process is at work; one that waits to be collected is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("arguments", [["version"], ["--help"], ["run", "--help"]])
def test_the_command_line_starts_without_the_libraries(shop: Path, arguments: list[str]) -> None:
    code = (
        "import sys; from lcm_research.cli import app; sys.argv = ['lcm', *sys.argv[1:]]\n"
        "try: app()\nexcept SystemExit: pass\n"
        "heavy = {'pandas', 'numpy', 'lifelines', 'matplotlib', 'duckdb', 'ibis', 'papermill', 'nbformat', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=shop, capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout


def test_lab_opens_the_notebooks_with_this_interpreter(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lcm_research.run.lab import command

    monkeypatch.chdir(shop / "data")
    arguments, environment = command(["--no-browser"])
    assert arguments == [sys.executable, "-m", "jupyterlab", str(shop / "notebooks"), "--no-browser"]
    first = Path(environment["JUPYTER_PATH"].split(os.pathsep)[0])
    spec = json.loads((first / "kernels" / "lcm_research" / "kernel.json").read_text())
    assert spec["argv"][0] == sys.executable
