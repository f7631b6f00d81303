"""papermill's own engine, on a kernel of this interpreter, reporting the cell at work."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from sys import executable
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode
from papermill.execute import remove_error_markers

from lcm_research.run.outcome import judge

__all__ = ["execute", "read_with_ids"]

INJECTED = "injected-parameters"
STARTS = 3
"""Kernels may race for a port and die before the first cell; then another one is started."""

Report = Callable[[Mapping[str, Any]], None]


class OwnKernel(AsyncKernelManager):
    """A kernel of this very interpreter, whatever kernelspecs the machine has under whatever names."""

    report: Report = staticmethod(lambda event: None)

    @property
    def kernel_spec(self) -> KernelSpec:
        """What starts the kernel."""
        start = [executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=start, display_name="lcm_research", language="python")

    async def _async_post_start_kernel(self, **options: Any) -> None:
        await super()._async_post_start_kernel(**options)
        # its pid is its process group too: what the parent ends when the run is stopped
        self.report({"event": "kernel", "pid": self.provisioner.process.pid})  # type: ignore[union-attr]

    post_start_kernel = _async_post_start_kernel


def execute(job: Mapping[str, Any], report: Report) -> None:
    """
    Execute a notebook, write it to ``job["output"]`` and report the outcome.

    Parameters
    ----------
    job : mapping
        ``notebook`` and ``output`` (paths), ``parameters``, ``cell_timeout_s``.
    report : function
        Called with each event.
    """
    OwnKernel.report = staticmethod(report)
    for _ in range(STARTS):
        attempt = Attempt(report)
        attempt.execute(job)
        if attempt.notebook is not None:
            break
    notebook = remove_error_markers(attempt.notebook or read_with_ids(Path(job["notebook"])))
    for cell in notebook.cells:
        if INJECTED in cell.metadata.get("tags", []):
            cell.id = INJECTED
    nbformat.write(notebook, job["output"])
    report({"event": "outcome", **judge(notebook.cells, attempt.exception, at=attempt.at).record()})


class Attempt:
    """One execution: the live notebook as soon as its kernel answers, the cell at work, what was raised."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.notebook: NotebookNode | None = None
        self.at = 0
        self.exception: Exception | None = None

    def execute(self, job: Mapping[str, Any]) -> None:
        """Execute the notebook."""
        try:
            papermill.execute_notebook(
                read_with_ids(Path(job["notebook"])),  # not its path: papermill would fill in {braces} there
                None,
                parameters=dict(job["parameters"]),
                kernel_name="lcm_research",
                language="python",
                progress_bar=False,
                request_save_on_cell_execute=False,
                cwd=str(Path(job["notebook"]).parent),
                execution_timeout=job["cell_timeout_s"],
                kernel_manager_class=OwnKernel,
                record_timing=False,
                on_notebook_start=self._started,
                on_cell_start=self._at_cell,
            )
        except Exception as error:  # whatever it is, it is this notebook's outcome
            self.exception = error

    def _started(self, notebook: NotebookNode) -> None:
        self.notebook = notebook

    def _at_cell(self, cell: NotebookNode, cell_index: int) -> None:
        self.at = cell_index + 1
        total = len(self.notebook.cells) if self.notebook else self.at
        self.report({"event": "cell", "number": self.at, "total": total})


def read_with_ids(path: Path) -> NotebookNode:
    """
    Read a notebook of format 4.

    Where its cells have no ids (before 4.5) they are numbered, the same in every run, since findings name them.
    """
    raw = json.loads(path.read_text(encoding="utf-8"))
    if raw["nbformat_minor"] < 5:
        raw["nbformat_minor"] = 5
        for number, cell in enumerate(raw["cells"], start=1):
            cell["id"] = f"cell-{number}"
    return nbformat.reads(json.dumps(raw), as_version=4)
