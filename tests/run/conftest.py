"""A small project to run: a study, its data and notebooks of a few cells."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lcm_research.data.ingested import Ingested, InputFile, Ledger

PARAMETERS = 'study: str = "demo"  # name in params/ or path to a YAML\nhorizon_days: int = 360  # days\n'
FINDING = """
from IPython.display import display
record = {{"id": "{id}", "study": study, "value": 0.5, "n": 60, "sentence": {{"en": "Half.", "zh": "一半。"}},
          "question": {{"en": "How many?", "zh": "多少？"}}, "lower": 0.4, "upper": 0.6, "level": 0.95, "unit": "share",
          "tier": "D", "checks": [], "verdict": None, "registered": False, "null_value": None}}
display({{"application/vnd.lcm.finding+json": record, "text/markdown": "Half."}}, raw=True)
print("not for readers")
"""


@dataclass(frozen=True)
class Project:
    """Folders of a project in a temporary place."""

    root: Path

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def notebook(self, name: str, *code: str, parameters: str = PARAMETERS, title: str = "Who stays?") -> Path:
        """Write a notebook: a title in two languages, parameters, and a cell for each text of code."""
        cells = [
            {"cell_type": "markdown", "id": "title-en", "metadata": {"tags": ["en"]}, "source": f"# {title}"},
            {"cell_type": "markdown", "id": "title-zh", "metadata": {"tags": ["zh"]}, "source": "# 谁会留下？"},
            code_cell(parameters, "given", ["parameters"]),
            *(code_cell(textwrap.dedent(text), f"cell-{i}") for i, text in enumerate(code, start=1)),
        ]
        kernel = {"name": "lcm_research", "display_name": "lcm_research", "language": "python"}
        written = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        path = self.root / "notebooks" / f"{name}.ipynb"
        path.write_text(json.dumps(written), encoding="utf-8")
        return path

    def finding(self, id: str) -> str:
        """Return the code of a cell that emits a finding and prints something else."""
        return FINDING.format(id=id)

    def study(self, name: str = "shop", *, notebooks: str = "{stay: }", more: str = "") -> Path:
        """Write a study over one file of transactions."""
        path = self.root / "params" / f"{name}.yml"
        path.write_text(
            f"study: {name}\ntitle: Who stays at the shop?\ntimezone: UTC\nobservation_start: 2024-01-01\n"
            "as_of: 2024-12-31\ndata:\n  folder: ../data\n  tables:\n    transactions:\n      file: sales.csv\n"
            "      columns: {customer_id: who, ts: \"strptime(day, '%Y-%m-%d')\", amount: paid, currency: \"'EUR'\"}\n"
            f"churn: {{window_days: 90}}\nnotebooks: {notebooks}\n{more}",
            encoding="utf-8",
        )
        return path


def code_cell(source: str, id: str, tags: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": id,
        "metadata": {"tags": list(tags)},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for variable in [v for v in os.environ if v.startswith("LCM_") and v not in {"LCM_CACHE", "LCM_TEST_CACHE"}]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)


def make_project(root: Path) -> Project:
    for folder in ("params", "notebooks", "data"):
        (root / folder).mkdir()
    sales = [f"c{i},2024-{1 + i % 6:02d}-03,{10 + i}.5" for i in range(30)]
    (root / "data" / "sales.csv").write_text("\n".join(["who,day,paid", *sales]), encoding="utf-8")
    return Project(root)


@pytest.fixture(scope="session")
def new_project() -> Callable[[Path], Project]:
    """A maker of projects, for fixtures that live longer than a test."""
    return make_project


@pytest.fixture
def ingested() -> Ingested:
    """What reading the data would return."""
    return Ingested(
        tables={"transactions": Path("transactions.parquet")},
        fingerprint="f",
        inputs=(InputFile(table="transactions", file="sales.csv", sha256="0" * 64, bytes=400, rows=30),),
        reconciliation=(
            Ledger(table="transactions", rule="rows_in", reason="", rows=30),
            Ledger(table="transactions", rule="staff", reason="orders by staff", rows=2),
        ),
        checks=(),
        n_customers=30,
        n_rows={"transactions": 28, "customers": 30},
        days={"transactions": (19725, 19877)},
    )
