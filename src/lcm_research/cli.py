"""
The command line: ``lcm run``, ``check``, ``list``, ``lab``, ``version``.

It ends with 0 when every study's report was published, 1 when a notebook failed, 2 when something was refused
before anything started, and 130 when it was interrupted.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from lcm_research.errors import LcmError, RunError

if TYPE_CHECKING:
    from rich.console import Console

    from lcm_research.run.plan import Plan

__all__ = ["app", "main"]

GOOD, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="lcm",
    help="Social media along the customer lifecycle: run studies, publish their findings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StudyName = Annotated[str, typer.Argument(help="name in params/, or path to a YAML", metavar="STUDY")]
StudyNames = Annotated[list[str], typer.Argument(help="names in params/, or paths to YAMLs", metavar="STUDY...")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="notebook.parameter=value, over what the study says; repeatable")
]
Only = Annotated[list[str] | None, typer.Option("--only", help="run this notebook and no other; repeatable")]
Jobs = Annotated[int | None, typer.Option(min=1, help="notebooks side by side; as many as cores where absent")]
Out = Annotated[Path, typer.Option("--out", help="folder of the reports")]
SpokenLanguage = Annotated[Literal["en", "zh"] | None, typer.Option(help="over the study's own")]
Debug = Annotated[bool, typer.Option("--debug", help="show tracebacks")]
Timeout = Annotated[float, typer.Option(min=1, help="seconds that one notebook may take")]


def main() -> None:
    """Run the command line and end the process with its exit code."""
    # jupyterlab's dependency compiles a grammar whenever nbformat is imported; nothing here needs it
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except LcmError as error:
        _complain(error, debug="--debug" in sys.argv)
        sys.exit(_code(error))


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    """End on a scheduler's signal as on Ctrl-C: children are ended and nothing is left half-written."""
    raise KeyboardInterrupt


@app.command()
def run(
    studies: StudyNames,
    settings: Settings = None,
    only: Only = None,
    jobs: Jobs = None,
    out: Out = Path("reports"),
    language: SpokenLanguage = None,
    debug: Debug = False,
    timeout: Timeout = 3600.0,
) -> None:
    """Run the notebooks of studies and publish their reports."""
    from lcm_research.run.plan import make_plan

    worst = GOOD
    try:
        for study in studies:
            try:
                plan = make_plan(study, settings=settings or (), only=only or (), language=language)
                code = _run(plan, reports=out, jobs=jobs, timeout=timeout, debug=debug)
            except LcmError as error:
                _complain(error, debug=debug)
                code = _code(error)
            worst = max(worst, code)
    except KeyboardInterrupt:
        _console(stderr=True).print("interrupted: the notebooks were ended, and nothing of this run was published")
        worst = INTERRUPTED
    raise typer.Exit(worst)


def _run(plan: Plan, *, reports: Path, jobs: int | None, timeout: float, debug: bool) -> int:
    from lcm_research.run.progress import shown
    from lcm_research.run.publish import repair
    from lcm_research.run.runner import n_cores, run_study

    console = _console()
    repair(reports)
    with shown(console, plan.study.study) as watch:
        done = run_study(plan, reports=reports, at_once=jobs or n_cores(), limit_s=timeout, watch=watch)
    if done.is_good:
        _say(console, f"{plan.study.study}: published in {reports / plan.study.study / 'index.html'}")
        return GOOD
    _say(console, f"{plan.study.study}: failed; the last good report is kept")
    for notebook in done.record["notebooks"]:
        path = done.kept.get(notebook["name"])
        if path is None:
            continue
        why = f": {notebook['error']}" if notebook["error"] else ""
        _say(console, f"{plan.study.study}: {notebook['name']} {notebook['status']}{why}")
        _say(console, f"{plan.study.study}: {notebook['name']} is kept as it ended in {path}")
        if debug:
            _say(_console(stderr=True), _traceback(path))
    return FAILED


def _traceback(path: Path) -> str:
    """Return the traceback in an executed notebook, or the log of a process that left none."""
    import json

    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    outputs = [output for cell in json.loads(text)["cells"] for output in cell.get("outputs", [])]
    return "\n".join(line for o in outputs if o["output_type"] == "error" for line in o["traceback"])


@app.command()
def check(
    study: StudyName,
    settings: Settings = None,
    only: Only = None,
    language: SpokenLanguage = None,
    debug: Debug = False,
) -> None:
    """Check a study's YAML, parameters and data, and say which notebooks can run; nothing is published."""
    from lcm_research.run.plan import make_plan
    from lcm_research.run.preview import show_data, show_notebooks
    from lcm_research.run.runner import read_data

    plan = make_plan(study, settings=settings or (), only=only or (), language=language)
    ingested = read_data(plan)
    console = _console()
    show_data(console, plan, ingested)
    show_notebooks(console, plan, ingested)


@app.command("list")
def list_studies(out: Out = Path("reports")) -> None:
    """List the studies in params/ with their last run."""
    from lcm_research.run.preview import show_studies
    from lcm_research.run.publish import repair

    repair(out)
    show_studies(_console(), out)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> None:
    """Open JupyterLab on the notebooks, with this project's kernel; further options go to JupyterLab."""
    from lcm_research.run.lab import command

    arguments, environment = command(context.args)
    raise typer.Exit(subprocess.call(arguments, env=environment))


@app.command()
def version() -> None:
    """Show the version."""
    from lcm_research import __version__

    typer.echo(f"lcm_research {__version__}")


def _console(*, stderr: bool = False) -> Console:
    """Return a console; where nobody looks, lines are as long as they are."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 200)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _complain(error: LcmError, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    _say(_console(stderr=True), f"lcm: {error}")


def _code(error: LcmError) -> int:
    """Return the exit code: what could not be carried out or published failed, all else was refused before."""
    return FAILED if isinstance(error, RunError) else REFUSED
