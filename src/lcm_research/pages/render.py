"""Pages as text: an executed notebook, a study and the front door become complete HTML documents."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lcm_research.pages.anchors import file_name, fragment
from lcm_research.pages.cards import card, main_findings
from lcm_research.pages.chapter import chapter
from lcm_research.pages.overview import (
    ANSWERED,
    Report,
    changes,
    chapter_lines,
    facts,
    failure_lines,
    health,
    provenance,
)
from lcm_research.pages.words import Language, Words, language_of, moment

__all__ = ["Report", "StudyEntry", "render_index", "render_notebook", "render_study"]

Json = Mapping[str, Any]
N_ON_FRONT = 3
"""Findings of a study that the front door shows."""


@dataclass(frozen=True, kw_only=True)
class StudyEntry:
    """A study on the front door: its last good report, the one before it, and a failure since; any may be absent."""

    name: str
    report: Report | None
    previous: Report | None = None
    failure: Json | None = None


def render_notebook(nb: Json, *, run: Json, findings: Sequence[Json], language: Language, name: str) -> str:
    """
    Return the page of an executed notebook.

    Outputs that were not emitted (streams, HTML, images, widgets, errors) are left out.

    Parameters
    ----------
    nb : mapping
        The notebook, format version 4.
    run : mapping
        The run's manifest.
    findings : list of mapping
        The records of this notebook, as ``findings.json`` holds them.
    name : str
        What the manifest calls the notebook.
    """
    words = Words(language)
    made = chapter(nb, findings, words, name=name)
    about: Json = next((n for n in run.get("notebooks") or () if n.get("name") == name), {})
    title = made.title or words.text(about.get("title")) or str(about.get("name") or run.get("study", ""))
    return _page(
        "chapter.html.jinja",
        words,
        run=run,
        title=title,
        trail=[(words("page.all_studies"), "../../../index.html"), (words.text(run.get("title")), "../../index.html")],
        chapter=made,
        cards=[card(record, words, chapters="") for record in in_order_of_cells(findings, nb)],
        facts=facts(run, words),
        warnings=[words.text(warning) for warning in about.get("warnings") or ()],
        study_page="../../index.html",
    )


def in_order_of_cells(findings: Sequence[Json], notebook: Json) -> list[Json]:
    """Return a notebook's findings in the order in which its cells make them."""
    place = {str(cell.get("id")): n for n, cell in enumerate(notebook.get("cells", []))}
    return sorted(findings, key=lambda record: place.get(str(record.get("cell")), len(place)))


def render_study(
    run: Json, findings: Sequence[Json], *, previous: Report | None = None, failure: Json | None = None
) -> str:
    """
    Return the page of a study from its last good run.

    Parameters
    ----------
    run, findings
        The manifest and the records of the last good run.
    previous : Report, optional
        The good run before it; the page says what changed since.
    failure : mapping, optional
        The manifest of a failed run that came after it; shown beside the good report.
    """
    words = Words(language_of(run))
    chapters = f"runs/{quote(file_name(run['run_id']))}/"
    published = _linkable(run, findings)
    first = main_findings(published, [str(n.get("name")) for n in run.get("notebooks") or ()])
    lines = chapter_lines(run, published, words, chapters=chapters)
    now = Report(run=run, findings=published)
    return _page(
        "study.html.jinja",
        words,
        run=run,
        title=words.text(run.get("title")) or str(run.get("study")),
        trail=[(words("page.all_studies"), "../index.html")],
        facts=facts(run, words),
        health=health(run, findings, words),
        cards=[card(record, words, chapters=chapters) for record in first],
        n_findings=len(findings),
        previous_at=moment(previous.run.get("finished_at"), previous.run.get("timezone")) if previous else None,
        changes=changes(now, previous, words, chapters=chapters) if previous else (),
        lines=lines,
        unanswered=[line for line in lines if not line.answered],
        definitions=[(words.text(d.get("term")), words.text(d.get("value"))) for d in run.get("definitions") or ()],
        provenance=provenance(run, words),
        failure=_failure(failure, words),
    )


def render_index(studies: Sequence[StudyEntry], *, language: Language | None = None) -> str:
    """Return the front door; its language is the studies' own where they agree, otherwise English."""
    spoken = {language_of(entry.report.run if entry.report else entry.failure or {}) for entry in studies}
    words = Words(language or (spoken.pop() if len(spoken) == 1 else "en"))
    return _page(
        "front.html.jinja",
        words,
        run={},
        title=words("front.title"),
        trail=[],
        entries=[_entry(entry) for entry in studies],
    )


def _entry(entry: StudyEntry) -> Json:
    """Return what the front door shows of a study, in the study's language."""
    run = entry.report.run if entry.report else entry.failure or {}
    words = Words(language_of(run))
    shown: dict[str, Any] = {"words": words, "title": words.text(run.get("title")) or entry.name, "link": None}
    shown |= {
        "failure": _failure(entry.failure, words, never=entry.report is None),
        "cards": [],
        "facts": (),
        "health": (),
    }
    if entry.report is None:
        return shown
    base = f"{quote(file_name(entry.name))}/"
    published = _linkable(run, entry.report.findings)
    order = [str(n.get("name")) for n in run.get("notebooks") or ()]
    chapters = f"{base}runs/{quote(file_name(run['run_id']))}/"
    changed = changes(entry.report, entry.previous, words, chapters=chapters) if entry.previous else ()
    return shown | {
        "link": f"{base}index.html",
        "facts": facts(run, words),
        "health": health(run, entry.report.findings, words),
        "cards": [card(r, words, chapters=chapters) for r in main_findings(published, order)[:N_ON_FRONT]],
        "n_findings": len(published),
        "n_changed": len(changed),
    }


def _failure(failure: Json | None, words: Words, *, never: bool = False) -> Json | None:
    if failure is None:
        return None
    when = moment(failure.get("finished_at") or failure.get("started_at"), failure.get("timezone"))
    return {
        "text": words("failure.never" if never else "failure.kept", when=when),
        "lines": failure_lines(failure, words),
    }


def _linkable(run: Json, findings: Sequence[Json]) -> list[Json]:
    """Return the findings, without the notebook where it has no page to link to."""
    pages = {n.get("name") for n in run.get("notebooks") or () if n.get("status") in ANSWERED}
    return [record if record.get("notebook") in pages else {**record, "notebook": None} for record in findings]


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lcm_research.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["fragment"] = fragment
    return environment


@functools.cache
def _stylesheet() -> tuple[Markup, str]:
    """Return the one stylesheet and the hash under which the page's policy lets it in."""
    text = resources.files("lcm_research.pages").joinpath("templates/page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(text), f"sha256-{digest}"


def _page(template: str, words: Words, **values: Any) -> str:
    css, digest = _stylesheet()
    return _environment().get_template(template).render(words=words, css=css, style_hash=digest, **values)
