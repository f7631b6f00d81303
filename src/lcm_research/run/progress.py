"""What a person sees while notebooks run: bars on a terminal, one line an event in a scheduler's log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from lcm_research.run.execute import Event
from lcm_research.run.outcome import Outcome

__all__ = ["shown", "told"]

MARKS = {"ok": "✓", "skipped": "–"}


@contextmanager
def shown(console: Console, study: str) -> Iterator[Watch]:
    """Give a watcher of events that suits the console."""
    if not console.is_terminal:
        yield Watch(console, study)
        return
    columns = [
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    ]
    with Progress(*columns, console=console) as progress:
        yield Bars(console, study, progress)


class Watch:
    """Writes a line when a notebook starts and when it ends."""

    def __init__(self, console: Console, study: str) -> None:
        self.console = console
        self.study = study

    def __call__(self, event: Event) -> None:
        """Take an event in."""
        if event.outcome:
            self._line(f"{event.notebook}: {told(event.outcome)}")
        elif event.cell == 0:
            self._line(f"{event.notebook}: started")

    def _line(self, text: str) -> None:
        self.console.print(f"{self.study}: {text}", markup=False, highlight=False, soft_wrap=True)


class Bars(Watch):
    """Draws a bar for each notebook at work, with its cell."""

    def __init__(self, console: Console, study: str, progress: Progress) -> None:
        super().__init__(console, study)
        self.progress = progress
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        """Take an event in."""
        name = event.notebook
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(f"{self.study} {name}", total=None, state="starting")
        task = self.tasks[name]
        if event.outcome:
            self.progress.update(task, total=1, completed=1, state=escape(told(event.outcome)))
            self.progress.stop_task(task)
        elif event.cell:
            state = f"cell {event.cell} of {event.n_cells}"
            self.progress.update(task, total=event.n_cells, completed=event.cell - 1, state=state)


def told(outcome: Outcome) -> str:
    """
    Return how a notebook ended, in a line.

    >>> told(Outcome(status="failed", failing_cell=3, error="ValueError: no customers", duration_s=2.04))
    '✗ failed in 2.0 s, cell 3: ValueError: no customers'
    """
    text = f"{MARKS.get(outcome.status, '✗')} {outcome.status} in {outcome.duration_s:.1f} s"
    if outcome.failing_cell:
        text += f", cell {outcome.failing_cell}"
    why = outcome.reason["en"] if outcome.reason else outcome.error
    return f"{text}: {why.splitlines()[0]}" if why else text
