"""
The engine of a study: DuckDB in memory with its share of the machine, or Spark, over the same parquet files.

There is never a database file: a killed process leaves nothing half-made. No extension is ever downloaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis

from lcm_research.data.cache import cache_folder
from lcm_research.data.reduction import Tables
from lcm_research.data.scratch import scratch_folder
from lcm_research.errors import StudyError
from lcm_research.study import Engine

if TYPE_CHECKING:
    from lcm_research.data.ingested import Ingested

__all__ = ["connect", "open_tables"]

SHARE_OF_MEMORY = 0.6
"""DuckDB exceeds its limit by up to half a gigabyte, and pandas and the fits need room beside it."""


def connect(engine: Engine, *, jobs: int | None = None) -> Any:
    """
    Return an Ibis connection to the study's engine.

    Parameters
    ----------
    engine : Engine
        Of the study: the backend, and a memory limit where the machine's share is not wanted.
    jobs : int, optional
        Processes that share the machine: each gets that part of its cores and of 60% of its memory. From
        ``LCM_JOBS`` where absent, else 1.
    """
    jobs = max(1, jobs or int(os.environ.get("LCM_JOBS") or 1))
    return _spark(engine, jobs) if engine.backend == "spark" else _duckdb(engine, jobs)


def open_tables(ingested: Ingested, con: Any) -> Tables:
    """Return the canonical tables of an ingested study on an engine."""
    expressions = {name: con.read_parquet(path, table_name=name) for name, path in ingested.tables.items()}
    return Tables(expressions, fingerprint=ingested.fingerprint)


def _duckdb(engine: Engine, jobs: int) -> Any:
    return ibis.duckdb.connect(
        threads=max(1, _cores() // jobs),
        memory_limit=f"{_memory_gb(engine, jobs):.2f}GB",
        temp_directory=str(scratch_folder(cache_folder() / "spill")),
        autoinstall_known_extensions=False,
        autoload_known_extensions=False,
    )


def _spark(engine: Engine, jobs: int) -> Any:
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise StudyError(
            "engine.backend: 'spark' needs pyspark and Java 17, and pyspark is not installed; "
            "run: pip install 'lcm-research[spark]', or set engine.backend to duckdb"
        ) from None
    cores = max(1, _cores() // jobs)
    session = (
        SparkSession.builder.master(f"local[{cores}]")
        .appName("lcm_research")
        .config("spark.driver.memory", f"{1000 * _memory_gb(engine, jobs):.0f}m")
        .config("spark.sql.shuffle.partitions", 2 * cores)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    return ibis.pyspark.connect(session)


def _memory_gb(engine: Engine, jobs: int) -> float:
    return max(engine.memory_limit_gb or SHARE_OF_MEMORY * _memory_bytes() / jobs / 1e9, 0.2)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_bytes() -> int:
    """Return the memory of the machine, or of the container that the process runs in."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):
        return machine
    return min(machine, limit)
