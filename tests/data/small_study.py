"""A small study: a folder of files that a test writes, and the words that describe them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lcm_research.data.ingested import Ingested
from lcm_research.data.sources import ingest
from lcm_research.study import Study

COLUMNS = {"customer_id": "customer", "ts": "date", "amount": "amount", "currency": "'CNY'"}


def study_of(tables: Mapping[str, Any], **words: Any) -> Study:
    """Return a study of 2020 in Shanghai with these tables; ``words`` replace or add top-level keys."""
    data = {"folder": "files", "tables": tables, **words.pop("data", {})}
    said = {
        "study": "small",
        "title": "A small study",
        "timezone": "Asia/Shanghai",
        "observation_start": "2020-01-01",
        "as_of": "2020-12-31",
        "churn": {"window_days": 90},
        "notebooks": {"00_data_audit": None},
        "data": data,
    }
    return Study.model_validate(said | words)


class Brand:
    """A folder of files that a test fills, and the study that it describes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        (folder / "files").mkdir()
        self.cache.mkdir()

    def write(self, name: str, text: str, encoding: str = "utf-8") -> Path:
        path = self.folder / "files" / name
        path.write_bytes(text.encode(encoding))
        return path

    def ingest(self, tables: Mapping[str, Any] | None = None, **words: Any) -> Ingested:
        tables = tables or {"transactions": {"file": "sales.csv", "columns": COLUMNS}}
        return ingest(study_of(tables, **words), self.folder / "small.yml", cache=self.cache)

    def table(self, name: str, tables: Mapping[str, Any] | None = None, **words: Any) -> pd.DataFrame:
        return pd.read_parquet(self.ingest(tables, **words).tables[name])
