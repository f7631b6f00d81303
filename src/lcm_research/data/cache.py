"""
Where working data lie between runs: immutable parquet files under content keys, for their owner only.

A file is written under a temporary name, flushed to the disk and renamed, so that another process sees
all of it or nothing. A damaged file is made again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa

__all__ = ["atomic_path", "cache_folder", "read_or_make"]


def cache_folder() -> Path:
    """Return the cache folder, ``LCM_CACHE`` or the user's, made for its owner only where absent."""
    named = os.environ.get("LCM_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named).expanduser().resolve() if named else base / "lcm_research"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it is flushed and renamed, on failure removed."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_or_make(path: Path, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Read the table at ``path``; make and keep it where it is absent or damaged."""
    if path.exists():
        try:
            return pd.read_parquet(path)
        except (OSError, pa.ArrowException):
            path.unlink(missing_ok=True)
    table = make()
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)
    return table
