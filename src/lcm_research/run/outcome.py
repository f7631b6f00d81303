"""How a notebook's execution ended, decided from the executed notebook itself, not from papermill's marks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from lcm_research import errors
from lcm_research.errors import LcmWarning

__all__ = ["Outcome", "Status", "judge", "without_paths"]

Status = Literal["ok", "skipped", "failed", "died", "timed out"]
Cells = Sequence[Mapping[str, Any]]

_OUR_WARNINGS = {n for n, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, LcmWarning)}
_FOLDERS = re.compile(r"(?<![\w.:/\\])/(?:[^\s/'\"<>|:]+/)+")
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_WARNING = re.compile(r"(?:^|: )(\w*Warning): (.+)$", flags=re.MULTILINE)
_MISSING_TABLE = re.compile(r"no table '(\w+)', which (.+) needs;")
MAX_MESSAGE = 500


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """
    The end of one notebook.

    Parameters
    ----------
    reason : mapping, optional
        Why a notebook was skipped, ``{"en", "zh"}``.
    failing_cell : int, optional
        Number of the cell that stopped it, from 1 over all cells of the executed notebook.
    error : str, optional
        Class and message, without folders of this machine.
    warnings : tuple of str
        First line of each of our warnings that a cell showed.
    """

    status: Status
    reason: Mapping[str, str] | None = None
    failing_cell: int | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()
    duration_s: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether a run with this notebook may be published."""
        return self.status in {"ok", "skipped"}

    def record(self) -> dict[str, Any]:
        """Return what a manifest says."""
        return asdict(self) | {"warnings": list(self.warnings), "duration_s": round(self.duration_s, 2)}


def without_paths(text: str) -> str:
    """
    Return a message without colour codes and without the folders of this machine, cut at 500 characters.

    >>> without_paths("no file /home/ann/data/x.csv")
    'no file x.csv'
    """
    return _FOLDERS.sub("", _COLOUR.sub("", text)).strip()[:MAX_MESSAGE]


def judge(cells: Cells, exception: BaseException | None, *, at: int) -> Outcome:
    """
    Say how an execution ended that left these cells behind.

    A notebook is ``ok`` only where every code cell was executed and none shows an error; papermill marks cells
    ``completed`` that never ran, and calls ``sys.exit(0)`` in the middle a success.

    Parameters
    ----------
    cells : list of cell
        As executed, injected parameters included.
    exception : BaseException, optional
        What papermill raised.
    at : int
        Number of the cell that was at work last; 0 where none was.
    """
    warnings = tuple(dict.fromkeys(_warnings(cells)))
    kind = type(exception).__name__
    # a stopped kernel may still have answered with a KeyboardInterrupt, which is not what happened
    if kind == "CellTimeoutError":
        return Outcome(status="timed out", failing_cell=at, warnings=warnings)
    if kind == "DeadKernelError" or (exception is not None and at == 0):
        return Outcome(status="died", failing_cell=at or None, error=_named(exception), warnings=warnings)
    found = _first_error(cells)
    if found and found[1] == "MissingTableError":
        return Outcome(status="skipped", reason=_skipped(without_paths(found[2])), warnings=warnings)
    if found is None and exception is not None:
        # an error by its reply, but not among the outputs, as from an unknown magic
        found = at, "", _stderr(cells[at - 1]) or _named(exception)
    found = found or _not_executed(cells)
    if found is None:
        return Outcome(status="ok", warnings=warnings)
    number, kind, message = found
    text = ": ".join(part for part in (kind, without_paths(message)) if part)
    return Outcome(status="failed", failing_cell=number, error=text, warnings=warnings)


def _named(exception: BaseException | None) -> str:
    return f"{type(exception).__name__}: {without_paths(str(exception))}".removesuffix(": ")


def _first_error(cells: Cells) -> tuple[int, str, str] | None:
    for number, cell in enumerate(cells, start=1):
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                return number, output["ename"], output["evalue"]
    return None


def _not_executed(cells: Cells) -> tuple[int, str, str] | None:
    for number, cell in enumerate(cells, start=1):
        if cell["cell_type"] == "code" and cell["source"].strip() and cell.get("execution_count") is None:
            return number, "", "this cell did not run"
    return None


def _stderr(cell: Mapping[str, Any]) -> str:
    streams = [o["text"] for o in cell.get("outputs", []) if o["output_type"] == "stream" and o["name"] == "stderr"]
    return "".join(streams).strip()


def _skipped(message: str) -> dict[str, str]:
    """Return the reason in both languages; as it came where a MissingTableError was given words of its own."""
    found = _MISSING_TABLE.search(message)
    if not found:
        return {"en": message, "zh": message}
    table, purpose = found.groups()
    return {
        "en": message,
        "zh": f"“{purpose}”需要数据表 {table}，而本研究没有此表；请在 data.tables.{table} 中给出映射",
    }


def _warnings(cells: Cells) -> Iterator[str]:
    for cell in cells:
        for output in cell.get("outputs", []):
            if output["output_type"] == "stream" and output["name"] == "stderr":
                for kind, text in _WARNING.findall(_COLOUR.sub("", output["text"])):
                    if kind in _OUR_WARNINGS:
                        yield f"{kind}: {without_paths(text)}"
