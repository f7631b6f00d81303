"""Pages opened in Chromium: quiet, offline, accessible, as wide as the screen, and deaf to hostile values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pages_sample
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from lcm_research.pages.index import write_front_door, write_run_pages, write_study_index

pytestmark = pytest.mark.browser

STUDY, RUN = pages_sample.STUDY, pages_sample.RUN
PATHS = {
    "front": "index.html",
    "study": f"{STUDY}/index.html",
    "chapter": f"{STUDY}/runs/{RUN}/01_survival.html",
}
HOSTILE = "'\"><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">{{ 7*7 }}</style>"
languages = pytest.mark.parametrize("language", ["en", "zh"])
schemes = pytest.mark.parametrize("scheme", ["light", "dark"])
pages = pytest.mark.parametrize("name", PATHS)


@contextmanager
def opened(browser: Browser, path: Path, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """Open a page and collect what it says to the console and asks of the network."""
    context = browser.new_context(**options)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"console {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error {error}"))
    page.on("request", lambda request: said.append(request.url) if not _stays(request.url) else None)
    page.goto(path.as_uri(), wait_until="load")
    yield page, said
    context.close()


def _stays(address: str) -> bool:
    return address.startswith(("file://", "data:"))


@pages
@languages
@schemes
def test_a_page_is_quiet_offline_and_as_wide_as_a_phone(
    browser: Browser, published: Callable[[str], Path], name: str, language: str, scheme: str
) -> None:
    path = published(language) / PATHS[name]
    with opened(browser, path, viewport={"width": 375, "height": 800}, color_scheme=scheme) as (page, said):
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert said == []


@pages
@languages
@schemes
def test_axe_finds_nothing(
    browser: Browser, published: Callable[[str], Path], name: str, language: str, scheme: str
) -> None:
    path = published(language) / PATHS[name]
    # the page's own policy would keep the checker out
    options = {"viewport": {"width": 1280, "height": 800}, "color_scheme": scheme, "bypass_csp": True}
    with opened(browser, path, **options) as (page, _):
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()


def test_axe_finds_nothing_on_a_phone(browser: Browser, published: Callable[[str], Path]) -> None:
    for name, path in PATHS.items():
        options = {"viewport": {"width": 375, "height": 800}, "bypass_csp": True}
        with opened(browser, published("en") / path, **options) as (page, _):
            assert Axe().run(page).violations_count == 0, name


def test_the_stylesheet_is_let_in(browser: Browser, published: Callable[[str], Path]) -> None:
    with opened(browser, published("en") / PATHS["study"], color_scheme="dark") as (page, _):
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 29)"


def test_the_first_key_reaches_the_skip_link_and_the_contents_follow(
    browser: Browser, published: Callable[[str], Path]
) -> None:
    with opened(browser, published("en") / PATHS["study"]) as (page, _):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#content"
        assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"


@languages
def test_every_link_leads_to_a_page_and_an_id_that_exist(
    browser: Browser, published: Callable[[str], Path], language: str
) -> None:
    find = "[...document.querySelectorAll('a[href]')].map(a => a.href).filter(h => /^file:.*html/.test(h))"
    absent = "ids => ids.filter(id => id && document.getElementById(decodeURIComponent(id)) === null)"
    wanted: dict[str, set[str]] = {}
    for path in PATHS.values():
        with opened(browser, published(language) / path) as (page, _):
            for link in page.evaluate(find):
                file, _, anchor = link.partition("#")
                wanted.setdefault(file, set()).add(anchor)
    assert len(wanted) == 5  # three chapters, the study, the front door
    with opened(browser, published(language) / PATHS["front"]) as (page, _):
        for file, anchors in wanted.items():
            page.goto(file)
            assert page.evaluate(absent, sorted(anchors)) == []


def test_a_card_leads_to_its_cell(browser: Browser, published: Callable[[str], Path]) -> None:
    with opened(browser, published("en") / PATHS["study"]) as (page, _):
        page.locator("article .follow a").first.click()
        assert page.url.endswith("01_survival.html#cell-e1")
        assert page.locator("#cell-e1 article .sentence").is_visible()


def hostile(value: Any) -> Any:
    """Return a record with every text in it replaced, but for the words that steer."""
    steering = {"notebook", "cell", "status", "language", "run_id", "name", "align", "kind", "tier", "cell_type"}
    if isinstance(value, dict):
        return {key: held if key in steering else hostile(held) for key, held in value.items()}
    if isinstance(value, list):
        return [hostile(held) for held in value]
    return HOSTILE if isinstance(value, str) else value


@pytest.fixture(scope="module")
def hostile_reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    reports = tmp_path_factory.mktemp("hostile")
    folder = pages_sample.write_reports(reports, "en")
    run = hostile(pages_sample.sample_run("en")) | {
        "versions": {HOSTILE: HOSTILE},
        "parameters": {"01_survival": {HOSTILE: HOSTILE}},
    }
    pages_sample.write_json(folder / "run.json", run)
    findings = [hostile(record) | {"id": record["id"] + HOSTILE} for record in pages_sample.sample_findings()]
    pages_sample.write_json(folder / "findings.json", {"schema": 1, "findings": findings})
    path = folder / "01_survival.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = [
            f"{HOSTILE}\n\n# {HOSTILE}\n\n[x](javascript:document.title='owned') ![y](https://example.org)"
        ]
        cell["outputs"] = hostile(cell.get("outputs", []))
        for output in cell["outputs"]:
            output["output_type"] = "display_data"
            output.setdefault("data", {})["text/html"] = HOSTILE
    pages_sample.write_json(path, notebook)
    write_run_pages(folder)
    write_study_index(reports, STUDY)
    write_front_door(reports)
    return reports


@pages
@pytest.mark.parametrize("bypass_csp", [False, True], ids=["with policy", "without policy"])
def test_hostile_values_do_nothing_even_without_the_policy(
    browser: Browser, hostile_reports: Path, name: str, bypass_csp: bool
) -> None:
    options = {"viewport": {"width": 375, "height": 800}, "bypass_csp": bypass_csp}
    with opened(browser, hostile_reports / PATHS[name], **options) as (page, said):
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.title() != "owned"
        assert said == []
        assert page.evaluate("document.querySelectorAll('script, [onerror], [style]').length") == 0
        assert page.evaluate("[...document.links].filter(a => a.protocol === 'javascript:').length") == 0
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        assert "{{ 7*7 }}" in page.content()
