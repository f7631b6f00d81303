"""
The only door to a page: what is not emitted here is shown in JupyterLab and left out of what is published.

Everything that passes has an id, and loses what describes fewer than ``privacy.min_group`` customers.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure

from lcm_research.errors import MissingFontWarning, ModelError
from lcm_research.estimate import Estimate
from lcm_research.findings.finding import (
    FIGURE_MIME,
    FINDING_MIME,
    TABLE_MIME,
    WITHHELD_MIME,
    Check,
    Finding,
    Tier,
    valid_id,
)
from lcm_research.findings.verdict import verdict
from lcm_research.findings.wording.common import count, estimate_text, number
from lcm_research.findings.wording.glossary import heading
from lcm_research.privacy import small_rows
from lcm_research.study import Hypothesis

__all__ = ["Emit"]

BLANK = "·"


@dataclass(frozen=True, kw_only=True)
class Emit:
    """What a notebook publishes with; ``open_study`` makes it."""

    study: str
    language: Literal["en", "zh"]
    min_group: int
    hypotheses: tuple[Hypothesis, ...] = ()

    def finding(
        self,
        *,
        id: str,
        question: Mapping[str, str],
        estimate: Estimate,
        sentence: Mapping[str, str],
        tier: Tier,
        checks: Sequence[Check] = (),
        null: float | None = None,
        headline: bool = False,
    ) -> None:
        """
        Display and record a finding; one that rests on fewer than ``min_group`` customers is withheld.

        A hypothesis of the study that names ``id`` gives it its verdict and marks it as registered.
        ``null`` is the value that means "nothing there", where there is one. A ``headline`` is among the main
        findings of the study's page, whatever it turns out to be.
        """
        if estimate.n < self.min_group:
            self._withhold(id, estimate.n)
            return
        registered = next((h for h in self.hypotheses if h.finding == id), None)
        made = Finding(
            id=id,
            study=self.study,
            question=question,
            estimate=estimate,
            sentence=sentence,
            tier=tier,
            checks=tuple(checks),
            verdict=verdict(estimate, registered) if registered else None,
            registered=registered is not None,
            headline=headline,
            null=registered.null if registered else null,
            claimed=registered.value if registered else None,
        )
        text = f"**{question[self.language]}** {sentence[self.language]}"
        display({FINDING_MIME: made.record(), "text/markdown": text}, raw=True)

    def table(
        self,
        table: pd.DataFrame,
        *,
        id: str,
        title: str,
        n: str | None,
        by: Sequence[str] = (),
        within: Sequence[str] = (),
        counts: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        note: str = "",
    ) -> None:
        """
        Display and publish a table.

        Parameters
        ----------
        n : str or None
            Column with the customers behind each row; None where no row describes a group of customers.
            In a row below ``min_group`` everything but ``by`` is blanked.
        by : list of str
            Columns that name a row; the first column where absent, with ``within``.
        within : list of str
            Columns whose values hold rows that add up to a known total.
        counts : list of str
            Columns in which every cell is itself a count of customers; small cells are blanked, and with them
            what the row says beside its counts, which could give them away.
        labels : mapping
            Column headings in the study's language; the glossary's where absent.
        """
        named = [*by, *within] or [str(table.columns[0])]
        texts = table.map(self._cell)
        hidden = pd.DataFrame(False, index=table.index, columns=table.columns)
        group = table[list(within)].astype(str).agg("|".join, axis=1) if within else None
        if n is not None:
            rows = small_rows(table[n], group, min_group=self.min_group)
            hidden.loc[rows, [c for c in table.columns if c not in named]] = True
        for column in counts:
            hidden[column] |= small_rows(table[column], group, min_group=self.min_group)
        beside = [c for c in table.columns if c not in {*named, *counts, n}]
        hidden.loc[hidden[list(counts)].any(axis=1), beside] = True
        texts = texts.mask(hidden, BLANK)
        self._display_table(texts, table, valid_id(id), title, note, labels or {}, bool(hidden.to_numpy().any()))

    def figure(
        self, figure: Figure, *, id: str, title: str, alt: str, smallest_group: int | None, caption: str = ""
    ) -> None:
        """
        Display and publish a figure, as SVG that keeps its text as text.

        Parameters
        ----------
        smallest_group : int or None
            Customers in the smallest group drawn; below ``min_group`` the figure is withheld. None where no
            group of customers is drawn.
        alt : str
            What the figure shows, for those who do not see it; required.
        """
        if not alt.strip():
            raise ModelError(f"figure '{id}' needs an alt text that says what it shows; came an empty one")
        if smallest_group is not None and smallest_group < self.min_group:
            self._withhold(id, smallest_group)
            return
        described = {"kind": "figure", "id": valid_id(id), "title": title, "alt": alt, "caption": caption}
        display({FIGURE_MIME: _svg(figure), "text/plain": alt}, metadata={"lcm": described}, raw=True)

    def _withhold(self, id: str, n: int) -> None:
        reason = {
            "en": f"'{id}' describes fewer than {self.min_group} customers and is not published",
            "zh": f"“{id}”涉及的客户少于 {self.min_group} 人，不予公布",
        }[self.language]
        record = {"id": valid_id(id), "reason": reason}
        display({WITHHELD_MIME: record, "text/plain": f"{reason} (n = {n})"}, raw=True)

    def _cell(self, value: Any) -> str:
        if isinstance(value, Estimate):
            return estimate_text(value, self.language)
        if isinstance(value, bool | np.bool_):
            return {"en": ("no", "yes"), "zh": ("否", "是")}[self.language][bool(value)]
        if isinstance(value, int | np.integer):
            return count(int(value)).replace("-", "−")
        if isinstance(value, float | np.floating):
            return "–" if np.isnan(value) else number(float(value))
        return "–" if value is None or value is pd.NA else str(value)

    def _display_table(
        self,
        texts: pd.DataFrame,
        source: pd.DataFrame,
        id: str,
        title: str,
        note: str,
        labels: Mapping[str, str],
        blanked: bool,
    ) -> None:
        if blanked:
            hint = {
                "en": f"{BLANK} fewer than {self.min_group} customers, or needed to protect such a group",
                "zh": f"{BLANK} 少于 {self.min_group} 人，或为保护此类小组而隐去",
            }[self.language]
            note = f"{note} {hint}".strip()
        columns = [
            {
                "name": str(c),
                "label": labels.get(str(c)) or heading(str(c), self.language),
                "align": _alignment(source[c]),
            }
            for c in texts.columns
        ]
        rows = texts.to_numpy().tolist()
        record = {"id": id, "title": title, "note": note, "columns": columns, "rows": rows}
        described = {"kind": "table", "id": id, "title": title}
        display({TABLE_MIME: record, "text/html": _html(record)}, metadata={"lcm": described}, raw=True)


def _alignment(column: pd.Series) -> str:
    numbers = column.map(lambda v: isinstance(v, Estimate | int | float | np.number) and not isinstance(v, bool))
    return "right" if len(column) and numbers.any() else "left"


def _html(record: Mapping[str, Any]) -> str:
    """Return the table as JupyterLab shows it; pages are built from the record."""
    aligned = [column["align"] for column in record["columns"]]
    head = "".join(f'<th scope="col">{html.escape(column["label"])}</th>' for column in record["columns"])
    rows = (
        "".join(f'<td style="text-align:{a}">{html.escape(text)}</td>' for a, text in zip(aligned, row, strict=True))
        for row in record["rows"]
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    caption = f"<caption>{html.escape(record['title'])}</caption>"
    note = f"<p>{html.escape(record['note'])}</p>" if record["note"] else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def _svg(figure: Figure) -> str:
    """Draw a figure as SVG: the same bytes for the same figure, no date, ids from a fixed salt."""
    buffer = io.StringIO()
    with (
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lcm_research"}),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    missing = [w for w in caught if "missing from" in str(w.message)]
    if missing:
        glyph = str(missing[0].message).split(" missing")[0]
        warnings.warn(
            f"a label has characters that no font here draws ({glyph}); the text stays text and readers' browsers "
            "draw it, but widths are guessed: install fonts-noto-cjk",
            MissingFontWarning,
            stacklevel=3,
        )
    return re.sub(r"<\?xml.*?<svg", "<svg", buffer.getvalue(), count=1, flags=re.DOTALL)
