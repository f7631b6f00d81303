"""Small studies for the tests of the data room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from small_study import COLUMNS, Brand


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return Brand(tmp_path)


@pytest.fixture
def sales() -> Callable[..., dict[str, Any]]:
    """Return the words for one table of sales; keywords change its columns."""

    def words(file: str = "sales.csv", read: Mapping[str, Any] | None = None, leave_out: Any = None, **columns: str):
        described = {"file": file, "columns": COLUMNS | columns, "read": read or {}, "leave_out": leave_out or {}}
        return {"transactions": described}

    return words
