"""Several notebooks at a time, a process each: progress as it comes, limits kept, nothing left running."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from lcm_research.run.outcome import Outcome
from lcm_research.run.plan import Planned

__all__ = ["Event", "Job", "execute_all", "make_job"]

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "ARROW_IO_THREADS")
"""One thread each: several notebooks share the machine, and sums come out the same in every run."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something to tell a watcher; ``outcome`` once a notebook has ended, until then the cell at work."""

    notebook: str
    cell: int = 0
    n_cells: int = 0
    outcome: Outcome | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """One notebook to execute: its order on disk, its environment, and where the executed notebook comes to lie."""

    name: str
    order: Path
    executed: Path
    environment: Mapping[str, str]
    log: Path


def make_job(planned: Planned, *, folder: Path, environment: Mapping[str, str], limit_s: float) -> Job:
    """Write the order for one notebook into ``folder``; its kernel gets folders of its own there."""
    home = folder / planned.name
    home.mkdir(mode=0o700)
    order, executed = home / "job.json", home / "executed.ipynb"
    wanted = {
        "notebook": str(planned.notebook.path),
        "output": str(executed),
        "parameters": dict(planned.given),
        "cell_timeout_s": limit_s,
    }
    order.write_text(json.dumps(wanted), encoding="utf-8")
    private = {"IPYTHONDIR": str(home / "ipython"), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    return Job(
        name=planned.name,
        order=order,
        executed=executed,
        environment={**environment, **private},
        log=home / "worker.log",
    )


def environment_for(*, params: Path, cache: Path, jobs: int, language: str) -> dict[str, str]:
    """Return the environment of every notebook: the same on every machine, and no profile of the user."""
    return {
        **os.environ,
        **dict.fromkeys(ONE_THREAD, "1"),
        "LCM_PARAMS": str(params),
        "LCM_CACHE": str(cache),
        "LCM_JOBS": str(jobs),
        "LCM_LANGUAGE": language,
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "agg",
        "PYTHONUTF8": "1",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


@dataclass(kw_only=True)
class Running:
    """A worker at work, and what it has said so far."""

    job: Job
    process: subprocess.Popen[bytes]
    started: float
    deadline: float
    kernels: list[int] = field(default_factory=list)
    unread: bytes = b""
    cell: int = 0
    said: Mapping[str, Any] | None = None
    has_ended: bool = False

    @property
    def pipe(self) -> IO[bytes]:
        """Where the worker's lines come from."""
        assert self.process.stdout is not None
        return self.process.stdout

    def listen(self, watch: Callable[[Event], None]) -> None:
        """Take in what the worker has written; it has ended where its pipe is closed."""
        chunk = os.read(self.pipe.fileno(), 65536)
        self.has_ended = not chunk
        *lines, self.unread = (self.unread + chunk).split(b"\n")
        for line in lines:
            said = json.loads(line)
            match said.pop("event"):
                case "kernel":
                    self.kernels.append(said["pid"])
                case "cell":
                    self.cell = said["number"]
                    watch(Event(notebook=self.job.name, cell=self.cell, n_cells=said["total"]))
                case "outcome":
                    self.said = said

    def end(self) -> None:
        """End the worker, its kernels and what those started; all of them lead process groups."""
        for group in [*self.kernels, self.process.pid]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()
        self.process.wait()

    def outcome(self) -> Outcome:
        """Return how the notebook ended: the worker's own word, or that it went without one."""
        took = time.monotonic() - self.started
        if self.said:
            return Outcome(**{**self.said, "warnings": tuple(self.said["warnings"]), "duration_s": took})
        if not self.has_ended:
            return Outcome(status="timed out", failing_cell=self.cell or None, duration_s=took)
        error = _exit(self.process.wait())
        return Outcome(status="died", failing_cell=self.cell or None, error=error, duration_s=took)


def _exit(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}" + (", as when memory runs out" if code == -signal.SIGKILL else "")


def execute_all(
    jobs: Sequence[Job], *, at_once: int, limit_s: float, watch: Callable[[Event], None]
) -> dict[str, Outcome]:
    """
    Execute notebooks in order, ``at_once`` at a time, and return how each ended.

    Parameters
    ----------
    limit_s : float
        Seconds that one notebook may take; then its processes are ended.
    watch : function
        Called with each event, from this thread.
    """
    waiting, running = deque(jobs), list[Running]()
    outcomes: dict[str, Outcome] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    running.append(_start(waiting.popleft(), limit_s))
                    selector.register(running[-1].pipe, selectors.EVENT_READ, running[-1])
                    watch(Event(notebook=running[-1].job.name))
                soonest = min(worker.deadline for worker in running)
                for key, _ in selector.select(max(0.0, soonest - time.monotonic())):
                    key.data.listen(watch)
                for worker in [w for w in running if w.has_ended or time.monotonic() >= w.deadline]:
                    selector.unregister(worker.pipe)
                    outcomes[worker.job.name] = outcome = worker.outcome()
                    worker.end()
                    running.remove(worker)
                    watch(Event(notebook=worker.job.name, outcome=outcome))
        finally:
            for worker in running:
                worker.end()
    return {job.name: outcomes[job.name] for job in jobs}


def _start(job: Job, limit_s: float) -> Running:
    with job.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lcm_research.run.worker", str(job.order)],
            stdin=subprocess.PIPE,  # never written to: its end tells the worker that this process is gone
            stdout=subprocess.PIPE,
            stderr=log,
            env=dict(job.environment),
            start_new_session=True,
        )
    now = time.monotonic()
    return Running(job=job, process=process, started=now, deadline=now + limit_s)
