"""
How a comparison is measured: every side in a process of its own, in turn, timed without imports and loading.

A side that took longer than ``PATIENCE_S`` is not asked for the next larger size: the table says so.
"""

from __future__ import annotations

import math
import multiprocessing as mp
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pandas as pd

__all__ = ["Side", "Task", "draw", "measure", "write"]

REPEATS = 3
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Side:
    """
    One way to do a task.

    ``prepare`` takes the folder with the input files, imports and loads what the task starts from, and returns
    the work itself; only the work is timed, and what it returns is compared between sides (NaN where a side, such as
    a scan of the columns, has no answer).
    """

    name: str
    prepare: Callable[[Path], Callable[[], float]]


@dataclass(frozen=True)
class Task:
    """A task and its sides, ours first."""

    name: str
    sides: Sequence[Side]


def measure(tasks: Sequence[Task], sizes: Sequence[int], inputs: Callable[[int], Path]) -> pd.DataFrame:
    """
    Measure every task at every size.

    Parameters
    ----------
    inputs : function
        From a size to the folder with its input files.

    Returns
    -------
    DataFrame
        ``task``, ``side``, ``size``, ``seconds`` (median), ``peak_mb`` (of the whole process), ``result``.
    """
    lines, tired = [], set()
    for size in sizes:
        folder = inputs(size)
        for task in tasks:
            for side in task.sides:
                if (task.name, side.name) in tired:
                    continue
                seconds, peak_mb, result = _apart(side, folder)
                lines.append((task.name, side.name, size, seconds, peak_mb, result))
                print(f"{task.name:45s} {side.name:16s} {size:>10,} {seconds:9.3f} s {peak_mb:7.0f} MB", flush=True)
                if seconds > PATIENCE_S:
                    tired.add((task.name, side.name))
    return pd.DataFrame(lines, columns=["task", "side", "size", "seconds", "peak_mb", "result"])


def write(table: pd.DataFrame, tasks: Sequence[Task], path: Path, *, command: str) -> None:
    """Write the measurements as a Markdown table: ratios to our side, so that the machine hardly matters."""
    lines = [f"Made by `{command}`; read ratios, not seconds. “–”: not asked, for it took too long before.", ""]
    lines += ["| task | customers | side | seconds | times ours | peak MB | deviation from ours |"]
    lines += ["|---|---:|---|---:|---:|---:|---:|"]
    for task in tasks:
        for size in sorted(table["size"].unique()):
            asked = table[(table["task"] == task.name) & (table["size"] == size)].set_index("side")
            ours = asked.loc[task.sides[0].name]
            for side in task.sides:
                if side.name not in asked.index:
                    lines.append(f"| {task.name} | {size:,} | {side.name} | – | – | – | – |")
                    continue
                made = asked.loc[side.name]
                ratio, apart = made["seconds"] / ours["seconds"], abs(made["result"] - ours["result"])
                off = "–" if math.isnan(apart) else f"{apart:.1e}"
                times = f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"
                lines.append(
                    f"| {task.name} | {size:,} | {side.name} | {made['seconds']:.3f} | {times} "
                    f"| {made['peak_mb']:.0f} | {off} |"
                )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw(table: pd.DataFrame, tasks: Sequence[Task], path: Path) -> None:
    """Draw time against size, a panel a task; our side solid, peers hollow."""
    import matplotlib.pyplot as plt  # not in the processes that are measured

    columns = 3
    rows = -(-len(tasks) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(10, 3.1 * rows), sharex=True, squeeze=False, layout="constrained")
    for ax, task in zip(axes.flat, tasks, strict=False):
        for place, side in enumerate(task.sides):
            own = table[(table["task"] == task.name) & (table["side"] == side.name)]
            style = {"color": "#000000", "lw": 2} if place == 0 else {"color": f"C{place}", "lw": 1, "ls": "--"}
            ax.plot(own["size"], own["seconds"], marker="o", mfc=style["color"] if place == 0 else "white", **style)
            ax.annotate(side.name, (own["size"].iloc[-1], own["seconds"].iloc[-1]), (4, 3), textcoords="offset points")
        ax.set(xscale="log", yscale="log", title=task.name)
        ax.margins(x=0.3)
    for ax in axes.flat[len(tasks) :]:
        ax.set_axis_off()
    fig.supxlabel("customers")
    fig.supylabel("seconds")
    fig.savefig(path, dpi=110)


def _apart(side: Side, folder: Path) -> tuple[float, float, float]:
    """Seconds, peak memory and result of one side, in a fresh process."""
    context = mp.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(side, folder, there))
    process.start()
    there.close()
    try:
        seconds, peak_mb, result = here.recv()
    except EOFError:
        raise SystemExit(f"{side.name} died on {folder.name}; see the error above") from None
    process.join()
    return seconds, peak_mb, result


def _work(side: Side, folder: Path, answer: Connection) -> None:
    warnings.simplefilter("ignore")
    work = side.prepare(folder)
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - started)
        if times[-1] > PATIENCE_S:
            break
    answer.send((statistics.median(times), _peak_mb(), float(result)))


def _peak_mb() -> float:
    """Largest memory of this process; what ``getrusage`` says is its parent's where that was larger."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
