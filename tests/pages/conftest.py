"""The reports that a browser opens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pages_sample
import pytest

from lcm_research.pages.index import write_front_door, write_run_pages, write_study_index


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
