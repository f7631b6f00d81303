"""Markdown, formulas and headings."""

from __future__ import annotations

import pytest

from lcm_research.pages.prose import Prose, first_title
from lcm_research.pages.words import Words


def html(markdown: str) -> str:
    return str(Prose(Words("en")).html(markdown))


def test_formulas_become_mathml() -> None:
    made = html("where $S(t)$ and\n\n$$\\frac{d_i}{n_i}$$\n")
    assert '<math display="inline">' in made
    assert '<math display="block">' in made
    assert "<mfrac>" in made
    assert "$" not in made


def test_money_in_authored_text_is_no_formula() -> None:
    assert "<math" not in html("between $5 and $6 a day")


def test_a_formula_that_cannot_be_read_stays_as_its_source() -> None:
    assert "<code>\\frac{</code>" in html("$\\frac{$")


def test_chinese_in_formulas_stays() -> None:
    assert "留存" in html("$\\text{留存}$")


def test_headings_leave_no_gap_and_stay_below_the_title() -> None:
    prose = Prose(Words("en"))
    prose.html("# Again\n\n#### Deep\n\n## Back\n\n##### Deeper\n")
    assert [heading.level for heading in prose.outline.headings] == [2, 3, 2, 3]


def test_headings_of_the_same_text_get_different_ids() -> None:
    prose = Prose(Words("en"))
    prose.html("## Check\n\n## Check\n")
    prose.html("## Check\n")
    anchors = [heading.anchor for heading in prose.outline.headings]
    assert anchors == ["section-Check", "section-Check.2", "section-Check.3"]


def test_a_link_to_a_heading_leads_to_its_id() -> None:
    prose = Prose(Words("zh"))
    made = prose.html("[下文](#结论有多可信)\n\n## 结论有多可信\n")
    assert 'href="#section-%E7%BB%93' in made
    assert 'id="section-结论有多可信"' in made


def test_a_link_to_a_notebook_leads_to_its_page_and_one_elsewhere_stays() -> None:
    made = html("[a](02_states.ipynb#x) [b](https://example.org/y.ipynb)")
    assert 'href="02_states.html#x"' in made
    assert 'href="https://example.org/y.ipynb"' in made


def test_a_link_that_leads_nowhere_safe_leaves_its_words() -> None:
    assert html("[a](javascript:alert) [b](//example.org)") == "<p>a b</p>\n"


def test_html_in_markdown_is_text() -> None:
    assert html("a <b>bold</b> name") == "<p>a &lt;b&gt;bold&lt;/b&gt; name</p>\n"


def test_formulas_pass_the_wall_as_well() -> None:
    assert "javascript" not in html("$\\href{javascript:alert(1)}{x}$")


def test_images_from_elsewhere_leave_their_words() -> None:
    assert html("![a curve](https://example.org/a.png)") == "<p>a curve</p>\n"


def test_comments_are_left_out() -> None:
    assert html("a <!-- secret\n\nplan --> b") == "<p>a  b</p>\n"


def test_tables_in_text_have_scopes_and_a_scrolling_region() -> None:
    made = html("| a | b |\n|---|---:|\n| 1 | 2 |\n")
    assert 'role="region" tabindex="0" aria-label="Table in the text, 1"' in made
    assert '<th scope="col" class="right">b</th>' in made
    assert '<td class="right">2</td>' in made


@pytest.mark.parametrize(
    ("cells", "title"),
    [(["text\n# Who stays?  \n## x"], "Who stays?"), (["## no"], None), (["a", "# 谁会留下 #"], "谁会留下")],
)
def test_the_first_title_of_a_notebook_is_its_title(cells: list[str], title: str | None) -> None:
    assert first_title(cells) == title
