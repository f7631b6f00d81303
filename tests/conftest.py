"""What every test may ask for: the outside reference numbers and datasets, where they lie beside the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

BESIDE = Path(__file__).resolve().parents[2] / "shared"


def unavailable(reason: str) -> NoReturn:
    """Skip a test for want of a browser, a font or Spark; where everything is installed (``LCM_CI``), fail it."""
    if os.environ.get("LCM_CI"):
        pytest.fail(f"{reason}; with LCM_CI set this is a failure")
    pytest.skip(reason)


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
