"""An executed notebook as the sections of a page: what was emitted stays, everything else is left out."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

from lcm_research.errors import ModelError
from lcm_research.findings.finding import FIGURE_MIME, FINDING_MIME, TABLE_MIME, WITHHELD_MIME, valid_id
from lcm_research.pages.anchors import cell_anchor
from lcm_research.pages.cards import Card, card
from lcm_research.pages.prose import Heading, Prose, first_title, highlighted
from lcm_research.pages.words import Words

__all__ = ["Chapter", "FigurePart", "Section", "TablePart", "TextPart", "WithheldPart", "chapter"]

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TextPart:
    """Prose that has passed the sanitiser."""

    html: Markup
    kind: Literal["text"] = "text"


@dataclass(frozen=True, kw_only=True)
class FindingPart:
    """A finding in the cell that made it."""

    card: Card
    kind: Literal["finding"] = "finding"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a published table."""

    label: str
    numeric: bool


@dataclass(frozen=True, kw_only=True)
class TablePart:
    """A published table; each cell is its number and, in a lighter tone, the interval behind it."""

    number: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[tuple[str, str], ...], ...]
    file: str | None
    kind: Literal["table"] = "table"


@dataclass(frozen=True, kw_only=True)
class FigurePart:
    """A published figure as an embedded image; its size in pixels where the SVG says it."""

    number: str
    title: str
    caption: str
    alt: str
    src: str
    width: int | None
    height: int | None
    file: str | None
    kind: Literal["figure"] = "figure"


@dataclass(frozen=True, kw_only=True)
class WithheldPart:
    """Something that describes too small a group."""

    kind: Literal["withheld"] = "withheld"


Part = TextPart | FindingPart | TablePart | FigurePart | WithheldPart


@dataclass(frozen=True, kw_only=True)
class Section:
    """A cell as the page shows it: its parts, then its code, folded."""

    anchor: str
    parts: tuple[Part, ...]
    code: Markup | None
    code_label: str
    folded: str | None


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A notebook as a page shows it."""

    title: str | None
    sections: tuple[Section, ...]
    headings: tuple[Heading, ...]
    n_cards: int


def chapter(notebook: Json, findings: Sequence[Json], words: Words, *, name: str) -> Chapter:
    """
    Turn an executed notebook into a chapter.

    Parameters
    ----------
    notebook : mapping
        In the notebook format, version 4.
    findings : list of mapping
        The records of the run; they add to a finding in the notebook the cell that the run found it in.
    name : str
        What the run calls the notebook.
    words : Words
        Of the page's language; Markdown cells tagged with the other one are left out.
    """
    return _Reader(words, name, {record.get("id"): record for record in findings}).read(notebook)


class _Reader:
    """Reads one notebook; it keeps count of tables and figures, and of the headings seen so far."""

    def __init__(self, words: Words, name: str, records: Mapping[Any, Json]) -> None:
        self.words = words
        self.name = name
        self.records = records
        self.prose = Prose(words)
        self.n_tables = self.n_figures = 0
        self.taken: set[str] = set()

    def read(self, notebook: Json) -> Chapter:
        cells = [(n, cell) for n, cell in enumerate(notebook.get("cells", []), start=1) if self._is_shown(cell)]
        title = first_title(_joined(cell.get("source")) for _, cell in cells if cell.get("cell_type") == "markdown")
        sections = [section for n, cell in cells if (section := self._section(n, cell, title))]
        return Chapter(
            title=title,
            sections=tuple(sections),
            headings=tuple(self.prose.outline.headings),
            n_cards=sum(part.kind == "finding" for section in sections for part in section.parts),
        )

    def _is_shown(self, cell: Json) -> bool:
        tags = _tags(cell)
        spoken = tags & {"en", "zh"}
        return cell.get("cell_type") != "markdown" or not spoken or self.words.language in spoken

    def _section(self, n: int, cell: Json, title: str | None) -> Section | None:
        source = _joined(cell.get("source"))
        if cell.get("cell_type") == "markdown":
            html = self.prose.html(_without_title(source, title))
            parts: tuple[Part, ...] = (TextPart(html=html),) if html.strip() else ()
            code = None
        elif cell.get("cell_type") == "code":
            parts = tuple(part for output in cell.get("outputs", []) if (part := self._part(output)))
            code = highlighted(source) if source.strip() else None
        else:
            return None
        if not parts and code is None:
            return None
        return Section(
            anchor=self._anchor(n, cell, parts),
            parts=parts,
            code=code,
            code_label=self._code_label(n, cell),
            folded=self.words("chapter.provenance", n=n) if "provenance" in _tags(cell) else None,
        )

    def _anchor(self, n: int, cell: Json, parts: Iterable[Part]) -> str:
        """Return the id of a cell: what its findings call it, or the cell's own name."""
        named = [
            self.records[p.card.id].get("cell") for p in parts if p.kind == "finding" and p.card.id in self.records
        ]
        wanted = cell_anchor(next((name for name in named if name is not None), cell.get("id") or n))
        anchor = wanted if wanted not in self.taken else f"{wanted}.{n}"
        self.taken.add(anchor)
        return anchor

    def _code_label(self, n: int, cell: Json) -> str:
        tags = _tags(cell)
        if "injected-parameters" in tags:
            return self.words("chapter.injected")
        return self.words("chapter.parameters") if "parameters" in tags else self.words("chapter.code", n=n)

    def _part(self, output: Json) -> Part | None:
        """Return an output that was emitted; None for everything else."""
        data = output.get("data") or {}
        described = (output.get("metadata") or {}).get("lcm") or {}
        if WITHHELD_MIME in data:
            return WithheldPart()
        if FINDING_MIME in data:
            return self._finding(data[FINDING_MIME])
        if TABLE_MIME in data:
            return self._table(data[TABLE_MIME])
        if FIGURE_MIME in data and described.get("kind") == "figure":
            return self._figure(_joined(data[FIGURE_MIME]), described)
        return None

    def _finding(self, record: Json) -> FindingPart:
        return FindingPart(card=card({**record, **self.records.get(record.get("id"), {})}, self.words, chapters=None))

    def _table(self, record: Json) -> TablePart:
        self.n_tables += 1
        columns = tuple(
            Column(
                label=self.words.text(column.get("label") or column.get("name")), numeric=column.get("align") == "right"
            )
            for column in record.get("columns", [])
        )
        rows = tuple(
            tuple(_cell(self.words.text(value), column.numeric) for value, column in zip(row, columns, strict=False))
            for row in record.get("rows", [])
        )
        return TablePart(
            number=self.words("chapter.table", n=self.n_tables),
            title=self.words.text(record.get("title")),
            note=self.words.text(record.get("note")),
            columns=columns,
            rows=rows,
            file=self._file("tables", record.get("id"), "csv"),
        )

    def _figure(self, svg: str, described: Json) -> FigurePart | None:
        if "<svg" not in svg[:5000]:
            return None
        self.n_figures += 1
        return FigurePart(
            number=self.words("chapter.figure", n=self.n_figures),
            title=self.words.text(described.get("title")),
            caption=self.words.text(described.get("caption")),
            alt=self.words.text(described.get("alt")),
            src="data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode(),
            width=_pixels(svg, "width"),
            height=_pixels(svg, "height"),
            file=self._file("figures", described.get("id"), "svg"),
        )

    def _file(self, folder: str, id: Any, suffix: str) -> str | None:
        """Return where the run keeps a table or a figure of this notebook; None where its id is no id."""
        try:
            return f"{folder}/{self.name}.{valid_id(str(id))}.{suffix}"
        except ModelError:
            return None


def _tags(cell: Json) -> set[str]:
    return {str(tag) for tag in (cell.get("metadata") or {}).get("tags") or []}


def _joined(text: Any) -> str:
    """Return a text that the notebook format keeps whole or as a list of lines."""
    return "".join(str(line) for line in text) if isinstance(text, list) else str(text or "")


def _without_title(source: str, title: str | None) -> str:
    if title is None:
        return source
    return re.sub(rf"^#[ \t]+{re.escape(title)}[ \t#]*$", "", source, count=1, flags=re.MULTILINE)


def _cell(text: str, numeric: bool) -> tuple[str, str]:
    """Split ``12.4 (8.1 to 16.9)`` into the number and its interval."""
    match = re.fullmatch(r"([^()（）]*\S)\s*([(（].*[)）])", text) if numeric else None
    return (match.group(1), match.group(2)) if match else (text, "")


def _pixels(svg: str, attribute: str) -> int | None:
    """Return a length of an SVG's root in pixels, from pixels or points."""
    match = re.search(rf'<svg\b[^>]*?\s{attribute}="([0-9.]+)(pt|px)?"', svg)
    if not match:
        return None
    return round(float(match.group(1)) * (4 / 3 if match.group(2) == "pt" else 1))
