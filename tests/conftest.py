"""What every test may ask for: the outside reference numbers and datasets, where they lie beside the project."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from needs import unavailable

BESIDE = Path(__file__).resolve().parents[2] / "shared"


def _folder(variable: str, name: str) -> Path:
    folder = Path(os.environ.get(variable) or BESIDE / name)
    if not folder.is_dir():
        pytest.skip(f"{name} numbers are not on this machine (looked in {folder}; set {variable})")
    return folder


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of numbers computed elsewhere (R, published tables); the test skips where it is absent."""
    return _folder("LCM_REFERENCE", "reference")


@pytest.fixture(scope="session")
def datasets() -> Path:
    """Folder of real datasets; the test skips where it is absent."""
    return _folder("LCM_DATA", "data")


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own cache out of the tests; one folder serves a whole session."""
    if "LCM_TEST_CACHE" not in os.environ:
        os.environ["LCM_TEST_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    monkeypatch.setenv("LCM_CACHE", os.environ["LCM_TEST_CACHE"])


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium from LCM_CHROMIUM, the PATH, or playwright's own."""
    on_path = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    found = os.environ.get("LCM_CHROMIUM") or next(filter(None, on_path), None)
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(
                executable_path=found, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            )
        except PlaywrightError as error:
            unavailable(f"no Chromium to open pages in ({str(error).splitlines()[0]}); install one or set LCM_CHROMIUM")
        yield opened
        opened.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how far each reference case is from the number that was computed elsewhere."""
    passed = terminalreporter.getreports("passed")
    told = [str(value) for report in passed for name, value in report.user_properties if name == "deviation"]
    if told:
        terminalreporter.section("outside reference numbers: largest relative deviation")
        for line in sorted(told):
            terminalreporter.write_line(line)
