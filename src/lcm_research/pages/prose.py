"""Markdown, formulas and source code of a notebook as HTML that has passed the sanitiser."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import mistune
from latex2mathml.converter import convert
from markupsafe import Markup
from mistune.plugins.formatting import strikethrough
from mistune.plugins.math import math as math_plugin
from mistune.plugins.table import table as table_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from lcm_research.pages.anchors import fragment, readable_slug
from lcm_research.pages.sanitize import clean, clean_code, safe_image, safe_link
from lcm_research.pages.words import Words

__all__ = ["Heading", "Outline", "Prose", "formula", "highlighted"]


@dataclass(frozen=True)
class Heading:
    """A heading of a page, as its table of contents shows it."""

    level: int
    anchor: str
    text: str


@dataclass
class Outline:
    """The headings of one page: levels without gaps below the title, ids without collisions."""

    headings: list[Heading] = field(default_factory=list)

    def add(self, level: int, text: str) -> Heading:
        """Enter a heading; ``#`` and ``##`` are both the level below the page's title."""
        above = self.headings[-1].level if self.headings else 1
        anchor = f"section-{readable_slug(text)}"
        same = sum(heading.anchor == anchor or heading.anchor.startswith(f"{anchor}.") for heading in self.headings)
        entered = Heading(max(2, min(level, above + 1, 6)), f"{anchor}.{same + 1}" if same else anchor, text)
        self.headings.append(entered)
        return entered


class Prose:
    """
    The prose of one page: Markdown to sanitised HTML, with one outline and one numbering of formulas.

    Raw HTML in Markdown is shown as the text that it is; comments are left out.
    """

    def __init__(self, words: Words) -> None:
        self._renderer = _Renderer(words)
        self._reader = mistune.Markdown(self._renderer, plugins=[table_plugin, strikethrough, math_plugin])

    @property
    def outline(self) -> Outline:
        """The headings rendered so far."""
        return self._renderer.outline

    def html(self, markdown: str) -> Markup:
        """Return ``markdown`` as HTML; ``$`` opens a formula."""
        return Markup(clean(str(self._reader(_without_comments(markdown)))))


class _Renderer(mistune.HTMLRenderer):
    def __init__(self, words: Words) -> None:
        super().__init__(escape=True)
        self.words = words
        self.outline = Outline()
        self.n_formulas = self.n_tables = 0

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        """Render a heading at the level that the page's outline gives it."""
        entered = self.outline.add(level, html.unescape(re.sub(r"<[^>]*>", "", text)).strip())
        return f'<h{entered.level} id="{html.escape(entered.anchor)}">{text}</h{entered.level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """Render a link; one to a notebook leads to its page, one to a heading to that heading."""
        if url.startswith("#"):
            url = fragment(f"section-{readable_slug(unquote(url[1:]))}")
        elif "://" not in url:
            url = re.sub(r"\.ipynb(?=$|#)", ".html", url)
        return f'<a href="{html.escape(url)}">{text}</a>' if safe_link(url) else text

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """Render an image that is embedded; of any other, its alt text."""
        return f'<img src="{html.escape(url)}" alt="{html.escape(text)}">' if safe_image(url) else text

    def block_code(self, code: str, info: str | None = None) -> str:
        """Render a block of code as plain text."""
        return f"<pre><code>{html.escape(code)}</code></pre>\n"

    def table(self, text: str) -> str:
        """Render a table in a container that scrolls by itself."""
        self.n_tables += 1
        label = html.escape(self.words("page.text_table", n=self.n_tables))
        return f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table>{text}</table></div>\n'

    def table_cell(self, text: str, align: str | None = None, head: bool = False) -> str:
        """Render a cell of a table, aligned by class."""
        tag = 'th scope="col"' if head and text else "td"
        classes = f' class="{align}"' if align in ("right", "center") else ""
        return f"<{tag}{classes}>{text}</{tag[:2]}>"

    def inline_math(self, text: str) -> str:
        """Render a formula within a line."""
        return formula(text, display="inline")

    def block_math(self, text: str) -> str:
        """Render a displayed formula in a container that scrolls by itself."""
        self.n_formulas += 1
        label = html.escape(self.words("chapter.formula", n=self.n_formulas))
        return (
            f'<div class="formula" role="group" tabindex="0" aria-label="{label}">'
            f"{formula(text, display='block')}</div>\n"
        )


def formula(latex: str, *, display: str) -> str:
    """Return a formula as MathML; one that cannot be read stays as its source."""
    try:
        return convert(latex, display=display)
    except Exception:  # latex2mathml has no common error: a formula never stops a page
        return f"<code>{html.escape(latex)}</code>"


def highlighted(code: str) -> Markup:
    """Return Python source with Pygments' classes."""
    made: str = highlight(code.strip("\n"), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    return Markup(clean_code(made))


def first_title(markdown_cells: Iterable[str]) -> str | None:
    """Return the text of the first ``# Title`` of a notebook."""
    for source in markdown_cells:
        match = re.search(r"^#[ \t]+(.+?)[ \t#]*$", source, flags=re.MULTILINE)
        if match:
            return match.group(1)
    return None


def _without_comments(markdown: str) -> str:
    return re.sub(r"<!--.*?-->", "", markdown, flags=re.DOTALL)
