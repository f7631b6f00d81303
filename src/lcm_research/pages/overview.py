"""What a run's manifest says to a reader: its period, its health, its chapters, what changed, where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from lcm_research.findings.wording.common import count
from lcm_research.pages.anchors import file_name
from lcm_research.pages.cards import Card, card, estimate_line, null_of
from lcm_research.pages.words import Words, moment

__all__ = [
    "ANSWERED",
    "Change",
    "ChapterLine",
    "Fact",
    "Facts",
    "Provenance",
    "Report",
    "changes",
    "chapter_lines",
    "facts",
    "failure_lines",
    "health",
    "provenance",
]

Json = Mapping[str, Any]
ANSWERED = ("ok", "unchanged")
"""States of a notebook whose page is published."""

_STATUS_MARKS = {"ok": "✓", "unchanged": "✓", "skipped": "–"}


@dataclass(frozen=True, kw_only=True)
class Report:
    """A run as the pages read it: its manifest and its findings."""

    run: Json
    findings: Sequence[Json]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A name with its value; ``doubt`` says whether a reader should hesitate, None where it is for them to judge."""

    name: str
    value: str
    doubt: bool | None = False


Facts = tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class ChapterLine:
    """A notebook in the list of chapters."""

    name: str
    title: str
    status: str
    mark: str
    answered: bool
    reason: str
    link: str | None
    warnings: tuple[str, ...]
    cards: tuple[Card, ...]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A finding that differs from the run before; ``turned`` where its reading or its verdict does."""

    question: str
    before: str
    now: str
    turned: bool
    link: str | None


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What is needed to make the numbers again, as tables of texts."""

    facts: Facts
    inputs: tuple[tuple[str, ...], ...]
    left_out: tuple[tuple[str, ...], ...]
    parameters: tuple[tuple[str, ...], ...]
    versions: tuple[tuple[str, ...], ...]


def facts(run: Json, words: Words) -> Facts:
    """Return the period, the size and the time of a run."""
    lines = [
        Fact(
            name=words("facts.period"),
            value=words("facts.span", start=words.text(run.get("observation_start")), end=words.text(run.get("as_of"))),
        ),
        Fact(name=words("facts.customers"), value=_count(run.get("n_customers"))),
        Fact(name=words("facts.rows"), value=_count(run.get("n_rows"))),
        Fact(name=words("facts.run_at"), value=moment(run.get("finished_at"), run.get("timezone"))),
    ]
    return tuple(line for line in lines if line.value)


def health(run: Json, findings: Sequence[Json], words: Words) -> Facts:
    """Return one line of health: checks passed, findings in doubt, chapters without an answer, late data."""
    checks = [check for record in findings for check in record.get("checks") or ()]
    passed = sum(_passed(check) for check in checks)
    doubted = sum(any(not _passed(check) for check in record.get("checks") or ()) for record in findings)
    silent = sum(notebook.get("status") not in ANSWERED for notebook in run.get("notebooks") or ())
    made = words("facts.checks_value", passed=passed, total=len(checks)) if checks else words("facts.no_checks")
    late = _days_late(run)
    lines = [Fact(name=words("facts.checks"), value=made, doubt=passed < len(checks) or not checks)]
    if doubted:
        lines.append(Fact(name=words("facts.doubted"), value=count(doubted), doubt=True))
    if silent:
        lines.append(Fact(name=words("facts.not_answered"), value=count(silent), doubt=True))
    if late:
        lines.append(Fact(name=words("facts.late"), value=words("facts.late_value", days=count(late)), doubt=None))
    if (run.get("git") or {}).get("dirty"):
        lines.append(Fact(name=words("facts.uncommitted"), value="", doubt=True))
    return tuple(lines)


def chapter_lines(run: Json, findings: Sequence[Json], words: Words, *, chapters: str) -> tuple[ChapterLine, ...]:
    """Return the notebooks of a run in its order, each with its findings."""
    return tuple(_chapter_line(notebook, findings, words, chapters) for notebook in run.get("notebooks") or ())


def _chapter_line(notebook: Json, findings: Sequence[Json], words: Words, chapters: str) -> ChapterLine:
    name, status = str(notebook.get("name", "")), str(notebook.get("status", ""))
    key = f"status.{status}"
    reason = words.text(notebook.get("reason")) or _failing(notebook, words)
    return ChapterLine(
        name=name,
        title=words.text(notebook.get("title")) or name,
        status=words(key) if words.knows(key) else status,
        mark=_STATUS_MARKS.get(status, "✗"),
        answered=status in ANSWERED,
        reason=reason,
        link=f"{chapters}{quote(file_name(name))}.html" if status in ANSWERED else None,
        warnings=tuple(words.text(warning) for warning in notebook.get("warnings") or ()),
        cards=tuple(card(record, words, chapters=chapters) for record in findings if record.get("notebook") == name),
    )


def failure_lines(failure: Json, words: Words) -> tuple[tuple[str, str, str], ...]:
    """Return the notebooks that stopped a failed run: title, status, and the cell with its error."""
    lines = chapter_lines(failure, (), words, chapters="")
    return tuple((line.title, line.status, line.reason) for line in lines if line.mark == "✗")


def changes(now: Report, before: Report, words: Words, *, chapters: str) -> tuple[Change, ...]:
    """
    Return the findings that are new, gone, or written differently than in the run before.

    Those whose reading or verdict changed come first.
    """
    earlier = {record.get("id"): record for record in before.findings}
    present = {record.get("id"): record for record in now.findings}
    made = [_change(earlier.get(id), present.get(id), words, chapters) for id in {**present, **earlier}]
    return tuple(sorted((c for c in made if c.before != c.now or c.turned), key=lambda c: not c.turned))


def _change(before: Json | None, now: Json | None, words: Words, chapters: str) -> Change:
    known = now if now is not None else before or {}
    return Change(
        question=words.text(known.get("question")),
        before=words("study.new") if before is None else estimate_line(before, words),
        now=words("study.gone") if now is None else estimate_line(now, words),
        turned=before is not None and now is not None and _stance(before) != _stance(now),
        link=card(now, words, chapters=chapters).link if now is not None else None,
    )


def _stance(record: Json) -> tuple[Any, int]:
    """Return the verdict of a finding and the side of the null its interval lies on."""
    null = null_of(record)
    lower, upper = record.get("lower"), record.get("upper")
    if null is None:
        return record.get("verdict"), 0
    above = isinstance(lower, int | float) and lower > null
    below = isinstance(upper, int | float) and upper < null
    return record.get("verdict"), int(above) - int(below)


def provenance(run: Json, words: Words) -> Provenance:
    """Return what is needed to make a run's numbers again."""
    titles = {n.get("name"): words.text(n.get("title")) or str(n.get("name")) for n in run.get("notebooks") or ()}
    given = {n.get("name"): n.get("parameters") or {} for n in run.get("notebooks") or ()}
    given |= {name: {**given.get(name, {}), **values} for name, values in (run.get("parameters") or {}).items()}
    return Provenance(
        facts=_origin(run, words),
        inputs=tuple(
            (
                str(i.get("table")),
                str(i.get("file")),
                _count(i.get("rows")),
                _count(i.get("bytes")),
                str(i.get("sha256")),
            )
            for i in run.get("inputs") or ()
        ),
        left_out=tuple(
            (str(r.get("table")), str(r.get("rule")), words.text(r.get("reason")), _count(r.get("rows")))
            for r in run.get("reconciliation") or ()
        ),
        parameters=tuple(
            (titles.get(name, str(name)), str(key), json.dumps(value, ensure_ascii=False, default=str))
            for name, values in given.items()
            for key, value in values.items()
        ),
        versions=tuple((str(name), str(version)) for name, version in (run.get("versions") or {}).items()),
    )


def _origin(run: Json, words: Words) -> Facts:
    git = run.get("git") or {}
    commit = str(git.get("commit") or words("provenance.no_commit"))
    values = {
        "study": words.text(run.get("study")),
        "run": words.text(run.get("run_id")),
        "started": moment(run.get("started_at"), run.get("timezone")),
        "duration": words("provenance.seconds", n=_count(run.get("duration_s"))),
        "timezone": words.text(run.get("timezone")),
        "seed": words.text(run.get("seed")),
        "engine": words.text(run.get("engine")),
        "commit": f"{commit} ({words('provenance.dirty')})" if git.get("dirty") else commit,
        "code": words.text(run.get("code")),
    }
    return tuple(Fact(name=words(f"provenance.{key}"), value=value) for key, value in values.items() if value)


def _failing(notebook: Json, words: Words) -> str:
    parts = []
    if notebook.get("failing_cell") is not None:
        parts.append(words("failure.at_cell", cell=notebook["failing_cell"]))
    if notebook.get("error"):
        parts.append(words.text(notebook["error"]))
    return words("page.separator").join(parts)


def _passed(check: Any) -> bool:
    return isinstance(check, Mapping) and check.get("passed") is True


def _days_late(run: Json) -> int:
    """Return the days from the last day of data to the run, 0 where the manifest does not say."""
    try:
        started = datetime.fromisoformat(str(run.get("started_at"))).date()
        return max(0, (started - date.fromisoformat(str(run.get("as_of")))).days)
    except ValueError:
        return 0


def _count(n: Any) -> str:
    """Write a whole number; anything else as it came."""
    if isinstance(n, int | float) and not isinstance(n, bool):
        return count(n) if abs(n) < 1e18 else str(n)
    return "" if n is None else str(n)
