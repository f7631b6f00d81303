"""Pages as text: what is shown, in which order, and what is left out."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from typing import Any

import pages_sample
import pytest
from bs4 import BeautifulSoup

from lcm_research.errors import RunError
from lcm_research.findings.finding import FIGURE_MIME
from lcm_research.pages.render import Report, StudyEntry, in_order_of_cells, render_index, render_notebook, render_study
from lcm_research.pages.words import _texts

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt"></svg>'
FINDINGS = pages_sample.sample_findings()
MINE = [record for record in FINDINGS if record["notebook"] == "01_survival"]


def chapter_page(language: str = "en", **more: Any) -> str:
    notebook = pages_sample.sample_notebook(language, "01_survival", SVG) | more
    return render_notebook(
        notebook, run=pages_sample.sample_run(language), findings=MINE, language=language, name="01_churn_survival"
    )


def study_page(language: str = "en", **more: Any) -> str:
    run = pages_sample.sample_run(language) | more
    earlier = [FINDINGS[0] | {"lower": -1.0}, *FINDINGS[1:]]
    previous = Report(run=pages_sample.sample_run(language, run_id="r0"), findings=earlier)
    return render_study(run, FINDINGS, previous=previous, failure=pages_sample.failed_run(language))


def front_page(language: str = "en") -> str:
    report = Report(run=pages_sample.sample_run(language), findings=FINDINGS)
    return render_index([StudyEntry(name=pages_sample.STUDY, report=report)])


def soup(page: str) -> BeautifulSoup:
    return BeautifulSoup(page, "html.parser")


PAGES = {"chapter": chapter_page, "study": study_page, "front": front_page}
every_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
both_languages = pytest.mark.parametrize("language", ["en", "zh"])


@every_page
@both_languages
def test_the_policy_lets_in_one_stylesheet_and_embedded_images(page: Any, language: str) -> None:
    made = soup(page(language))
    style = made.find("style").string
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = made.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert len(made.find_all("style")) == 1


@every_page
@both_languages
def test_no_page_has_a_script_a_handler_or_a_style_attribute(page: Any, language: str) -> None:
    made = soup(page(language))
    assert made.find_all(["script", "iframe", "object", "form", "link", "svg"]) == []
    assert [tag for tag in made.find_all(True) if any(a == "style" or a.startswith("on") for a in tag.attrs)] == []


@every_page
@both_languages
def test_headings_are_in_order_below_one_title(page: Any, language: str) -> None:
    levels = [int(tag.name[1]) for tag in soup(page(language)).find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@every_page
@both_languages
def test_no_id_is_there_twice_and_every_link_within_the_page_has_an_end(page: Any, language: str) -> None:
    from urllib.parse import unquote

    made = soup(page(language))
    ids = [tag["id"] for tag in made.find_all(id=True)]
    assert len(ids) == len(set(ids))
    ends = {unquote(a["href"][1:]) for a in made.find_all("a", href=True) if a["href"].startswith("#")}
    assert ends <= set(ids)


@every_page
@both_languages
def test_tables_have_captions_scopes_and_a_region_that_can_be_focused(page: Any, language: str) -> None:
    for table in soup(page(language)).find_all("table"):
        assert table.parent["tabindex"] == "0"
        assert table.parent["aria-label"]
        assert all(head.get("scope") in ("col", "row") and head.text.strip() for head in table.find_all("th"))
        assert table.caption or table.find_parent(class_="prose")


@every_page
def test_the_language_of_the_page_is_said(page: Any) -> None:
    assert soup(page("en")).html["lang"] == "en"
    assert soup(page("zh")).html["lang"] == "zh-Hans"


def test_the_same_run_gives_the_same_bytes() -> None:
    assert [chapter_page(), study_page(), front_page()] == [chapter_page(), study_page(), front_page()]


def test_a_chapter_shows_only_the_text_of_its_language() -> None:
    assert "谁会留下" not in chapter_page("en")
    assert "Who is in it" not in chapter_page("zh")
    assert soup(chapter_page("zh")).h1.text == "谁会留下，留多久？"


def test_what_was_not_emitted_is_left_out() -> None:
    page = chapter_page()
    for raw in ("RAWSTREAM", "RAWFRAME", "RAWPNG", "RAWSENTENCE", "RAWREASON", "iVBORw0KGgo"):
        assert raw not in page


def test_a_withheld_result_leaves_one_line() -> None:
    assert [p.text for p in soup(chapter_page()).find_all(class_="withheld")] == [
        "A result is left out here: the group behind it is too small to publish."
    ]


def test_markdown_that_was_not_emitted_is_left_out() -> None:
    assert "Shares are" not in chapter_page()


def test_a_frame_that_knows_markdown_is_not_our_wording() -> None:
    frame = pages_sample.shown({"text/markdown": "| RAWFRAME |\n|---|\n| 3 |", "text/html": "<table></table>"})
    assert "RAWFRAME" not in chapter_page(cells=[pages_sample.code_cell("a", "x", frame)])


def test_a_finding_stands_in_the_cell_that_the_run_names() -> None:
    made = soup(chapter_page())
    cell = made.find(id="cell-e1")
    assert cell.find(id="finding-engaged-stay").find(class_="sentence").text == FINDINGS[0]["sentence"]["en"]
    assert cell.find(class_="follow").a["href"] == "../../index.html#finding-engaged-stay"


def test_a_cell_that_the_run_numbers_has_that_id() -> None:
    numbered = [record | {"cell": 11} for record in MINE[:1]]
    notebook = pages_sample.sample_notebook("en", "01_survival", SVG)
    page = render_notebook(
        notebook, run=pages_sample.sample_run("en"), findings=numbered, language="en", name="01_churn_survival"
    )
    assert soup(page).find(id="cell-11").find(id="finding-engaged-stay")


def test_a_chapter_opens_with_its_own_findings() -> None:
    made = soup(chapter_page())
    lead = made.find(class_="lead")
    assert [a["href"] for a in lead.find_all("a")] == [f"#finding-{record['id']}" for record in MINE]
    assert "In doubt: the check “A placebo exposure has no effect” did not pass" in lead.text


def test_code_comes_folded_after_what_it_made() -> None:
    cell = soup(chapter_page()).find(id="cell-e1")
    parts = [tag.name for tag in cell.find_all(True, recursive=False)]
    assert parts == ["figure", "article", "details"]
    assert cell.find_all("details", class_="source")[0].summary.text == "Code of cell 10"


def test_parameters_and_provenance_are_folded_with_their_names() -> None:
    made = soup(chapter_page())
    assert made.find(id="cell-p1").summary.text == "Parameters and their units"
    assert made.find(id="cell-p2").summary.text == "Parameters that this study sets"
    assert made.find(id="cell-v1").find("details", class_="folded").find("table")


def test_numbers_stand_right_with_their_interval_apart() -> None:
    table = soup(chapter_page()).find(id="cell-t1").table
    cell = table.tbody.tr.find_all("td")[2]
    assert cell["class"] == ["right"]
    assert cell.find(class_="spread").text == "(127 to 135)"
    assert table.tbody.tr.th["scope"] == "row"


def test_a_figure_is_an_embedded_image_with_its_words_and_size() -> None:
    figure = soup(chapter_page()).find("figure")
    image = figure.img
    assert base64.b64decode(image["src"].removeprefix("data:image/svg+xml;base64,")).decode() == SVG
    assert (image["width"], image["height"]) == ("96", "48")  # 72 and 36 points
    assert image["alt"].startswith("Two falling curves")
    assert "Each curve is the share" in figure.figcaption.text


def test_an_image_that_was_not_emitted_is_left_out() -> None:
    cells = [pages_sample.code_cell("a", "x", pages_sample.shown({FIGURE_MIME: SVG}))]
    assert soup(chapter_page(cells=cells)).find_all("figure") == []


def test_the_table_of_contents_names_every_section() -> None:
    links = [a.text for a in soup(chapter_page()).find(class_="side").find_all("a")]
    assert links == ["Who is in it", "How long customers stay", "How far to trust it", "Not measured"]


def test_a_study_page_is_in_its_order() -> None:
    heads = [head.text for head in soup(study_page()).find_all("h2")]
    assert heads == [
        "Main findings",
        "What changed since the run before",
        "Chapters",
        "What could not be answered",
        "Definitions used here",
        "Where these numbers come from",
    ]


def test_a_study_page_opens_with_seven_cards_and_keeps_all_findings() -> None:
    made = soup(study_page())
    assert len(made.find_all("article")) == 7
    for record in FINDINGS:
        assert made.find(id=f"finding-{record['id']}")
    assert "7 of 8 findings" in made.text


def test_the_line_of_health_counts_checks_doubts_and_silence() -> None:
    health = soup(study_page()).find(class_="health").get_text(" ", strip=True)
    assert "Checks passed 6 of 8" in health  # 3 + 1 + 1 + 1 + 1 + 1 checks, two of them failed
    assert "Findings in doubt 2" in health
    assert "Chapters without an answer 1" in health
    assert "11 days" in health  # data to 30 June, run on 11 July
    assert "uncommitted" in health


def test_what_changed_leads_with_what_turned() -> None:
    rows = soup(study_page()).find(attrs={"aria-labelledby": "changed"}).tbody.find_all("tr")
    assert len(rows) == 1
    assert "12.4 days (−1.00 to 16.9)" in rows[0].text
    assert "reading changed" in rows[0].text


def test_new_and_gone_findings_are_said() -> None:
    run = pages_sample.sample_run("en")
    page = render_study(run, FINDINGS[1:2], previous=Report(run=run, findings=FINDINGS[:1]))
    rows = soup(page).find(attrs={"aria-labelledby": "changed"}).tbody.find_all("tr")
    assert [row.find_all("td")[0].text.split(" ")[0] for row in rows] == ["new", "12.4"]
    assert "no longer there" in rows[1].text


def test_what_could_not_be_answered_names_the_table() -> None:
    section = soup(study_page()).find(attrs={"aria-labelledby": "unanswered"})
    assert "data.tables.touchpoints" in section.text


def test_a_failure_stands_beside_the_last_good_report() -> None:
    failure = soup(study_page()).find(class_="failure").text
    assert "The run of 2024-07-13 02:14 failed" in failure
    assert "cell 7: ModelError: stage 'dormant' was never left" in failure
    assert 'class="failure"' not in render_study(pages_sample.sample_run("en"), FINDINGS)


def test_provenance_holds_what_is_needed_to_make_the_numbers_again() -> None:
    text = soup(study_page()).find(attrs={"aria-labelledby": "provenance"}).text
    for held in (
        "20230101",
        "3f2c9a1b",
        "uncommitted",
        "9c1f" * 16,
        "412,877",
        "horizon_days",
        "180",
        "1.5.6",
        "首购渠道",
    ):
        assert held in text


def test_a_study_without_findings_says_so() -> None:
    run = pages_sample.sample_run("en")
    assert "This run made no finding." in render_study(run, [])
    assert "none were made" in render_study(run, [])


def test_a_manifest_that_says_little_still_makes_a_page() -> None:
    assert "<h1>s</h1>" in render_study({"run_id": "r", "study": "s"}, [])


def test_the_front_door_leads_to_the_study_and_shows_three_findings() -> None:
    made = soup(front_page())
    assert made.h2.a["href"] == "brand-2023/index.html"
    assert len(made.find(class_="findings").find_all("li")) == 3


def test_a_study_that_never_succeeded_shows_its_failure() -> None:
    page = render_index([StudyEntry(name="s", report=None, failure=pages_sample.failed_run("en"))])
    assert "there is no good report yet" in page


def test_an_empty_front_door_says_so() -> None:
    assert "No study has been published here yet." in render_index([])


def test_a_run_whose_name_would_leave_the_folder_is_refused() -> None:
    with pytest.raises(RunError, match=r"came '\.\./x'"):
        render_study({"run_id": "../x", "study": "s"}, [])


def test_every_fixed_text_is_there_in_both_languages_with_the_same_places() -> None:
    for part, texts in _texts().items():
        for name, text in texts.items():
            assert set(text) == {"en", "zh"}, f"{part}.{name}"
            assert sorted(re.findall(r"{\w+}", text["en"])) == sorted(re.findall(r"{\w+}", text["zh"]))


def test_findings_of_a_chapter_stand_in_the_order_of_its_cells() -> None:
    notebook = {"cells": [{"id": "first"}, {"id": "second"}]}
    records = [{"id": "a", "cell": "second"}, {"id": "b", "cell": "first"}, {"id": "c", "cell": "gone"}]
    assert [record["id"] for record in in_order_of_cells(records, notebook)] == ["b", "a", "c"]
