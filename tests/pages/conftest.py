"""A browser for the pages, and the reports it opens."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pages_sample
import pytest
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from lcm_research.pages.index import write_front_door, write_run_pages, write_study_index

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium from LCM_CHROMIUM, the system's, or playwright's own; a skip without one, a failure under LCM_CI=1."""
    found = os.environ.get("LCM_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        except PlaywrightError as error:
            reason = f"no Chromium to open pages in ({str(error).splitlines()[0]}); install one or set LCM_CHROMIUM"
            if os.environ.get("LCM_CI") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that publishes the sample study in a language, once, and returns ``reports``."""
    made: dict[str, Path] = {}

    def publish(language: str) -> Path:
        if language not in made:
            reports = tmp_path_factory.mktemp(f"reports-{language}")
            write_run_pages(pages_sample.write_reports(reports, language))
            write_study_index(reports, pages_sample.STUDY)
            write_front_door(reports)
            made[language] = reports
        return made[language]

    return publish
