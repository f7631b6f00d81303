"""Nothing but an allow-list passes from a notebook to the page."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from lcm_research.pages.prose import Prose, formula, highlighted
from lcm_research.pages.sanitize import clean, clean_code, safe_image, safe_link
from lcm_research.pages.words import Words

SVG = "data:image/svg+xml;base64,PHN2Zy8+"
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mtext><img src=x onerror=alert(1)></mtext></math>",
    "<math><annotation-xml encoding='text/html'><style><img src=x onerror=alert(1)></style></annotation-xml></math>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<img src='http://example.org/x.png'>",
    "<img src='data:text/html;base64,AAAA'>",
    "<iframe src='//example.org'></iframe>",
    "<form action='//example.org'><input name=a><button>x</button></form>",
    "<style>body{display:none}</style>",
    "<p style='position:fixed'>x</p>",
    "<p onclick=alert(1)>x</p>",
    "<base href='//example.org'>",
    "<meta http-equiv=refresh content='0;url=//example.org'>",
    "<object data='x'></object><embed src='x'>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<!--><script>alert(1)</script>-->",
    "{{ 7 * 7 }}{% raw %}",
    "'\"><script>alert(1)</script>",
]
FORBIDDEN_TAGS = ["script", "style", "svg", "iframe", "form", "input", "object", "embed", "base", "meta", "template"]


def assert_harmless(html: str) -> None:
    soup = BeautifulSoup(html, "html.parser")
    assert soup.find_all(FORBIDDEN_TAGS) == []
    for tag in soup.find_all(True):
        for attribute, value in tag.attrs.items():
            assert not attribute.startswith("on")
            assert attribute != "style"
            if attribute == "href":
                assert safe_link(str(value))
            if attribute == "src":
                assert safe_image(str(value))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_hostile_html_passes_the_wall(hostile: str) -> None:
    assert_harmless(clean(hostile))
    assert_harmless(clean(f"<table><tr><td>{hostile}</td></tr></table>"))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_html_in_markdown_is_shown_as_text(hostile: str) -> None:
    html = Prose(Words("en")).html(f"# {hostile}\n\n{hostile}\n\n- [{hostile}](x)\n")
    assert_harmless(html)
    assert "alert(1)" not in html or "&lt;" in html or "alert(1)" in BeautifulSoup(html, "html.parser").text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_code_is_text_in_spans(hostile: str) -> None:
    soup = BeautifulSoup(highlighted(f"x = 1\n{hostile}\n"), "html.parser")
    assert {tag.name for tag in soup.find_all(True)} <= {"span"}
    assert hostile in soup.text


def test_code_keeps_only_the_classes_of_pygments() -> None:
    assert clean_code('<span class="k skip">if</span>') == '<span class="k">if</span>'


def test_embedded_images_stay_and_all_others_lose_their_source() -> None:
    assert clean(f'<img src="{SVG}" alt="a">') == f'<img src="{SVG}" alt="a">'
    assert clean('<img src="data:image/gif;base64,AAAA" alt="a">') == '<img alt="a">'
    assert clean(f'<a href="{SVG}">a</a>') == '<a rel="noopener noreferrer">a</a>'


def test_ids_are_ours_or_none() -> None:
    assert clean('<h2 id="section-a">a</h2><h2 id="content">b</h2>') == '<h2 id="section-a">a</h2><h2>b</h2>'


@pytest.mark.parametrize(
    ("latex", "gone"),
    [
        (r"\href{javascript:alert(1)}{x}", "javascript"),
        (r"\style{color:red}{x}", "style"),
        (r"\class{skip}{x}", "class="),
    ],
)
def test_formulas_bring_no_links_styles_or_classes(latex: str, gone: str) -> None:
    assert gone not in clean(formula(latex, display="inline"))


@given(st.text())
def test_any_text_is_harmless_as_markdown(text: str) -> None:
    assert_harmless(Prose(Words("en")).html(text))


@given(st.text(alphabet="<>\"'=/ abonimgsrcrpthmdxe:;&#"))
def test_any_markup_is_harmless(text: str) -> None:
    assert_harmless(clean(text))
