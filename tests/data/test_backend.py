from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_study import Brand

from lcm_research.data.backend import connect, open_tables
from lcm_research.data.scratch import scratch_folder
from lcm_research.errors import MissingTableError, StudyError
from lcm_research.study import Engine


def setting(con: Any, name: str) -> Any:
    return con.raw_sql(f"select current_setting('{name}')").fetchone()[0]


def test_duckdb_is_in_memory_private_and_downloads_nothing() -> None:
    con = connect(Engine())
    path = con.raw_sql("select path from duckdb_databases() where database_name = current_database()").fetchone()
    assert path == (None,)
    assert setting(con, "autoinstall_known_extensions") is False
    assert setting(con, "autoload_known_extensions") is False
    assert stat.S_IMODE(Path(setting(con, "temp_directory")).stat().st_mode) == 0o700
    assert setting(con, "TimeZone") == "UTC"


def test_processes_share_cores_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lcm_research.data.backend._cores", lambda: 8)
    monkeypatch.setattr("lcm_research.data.backend._memory_bytes", lambda: 10_000_000_000)
    # 60% of 10 GB by 4 processes is 1.5 GB (1.3 GiB) and 2 of 8 cores
    con = connect(Engine(), jobs=4)
    assert (setting(con, "threads"), setting(con, "memory_limit")) == (2, "1.3 GiB")
    monkeypatch.setenv("LCM_JOBS", "8")
    assert setting(connect(Engine()), "threads") == 1
    assert setting(connect(Engine(memory_limit_gb=0.5)), "memory_limit") == "476.8 MiB"


def test_timezones_work_without_an_extension() -> None:
    query = "select timezone('Asia/Shanghai', timestamp '2020-01-01 00:00:00')"
    assert str(connect(Engine()).raw_sql(query).fetchone()[0]).startswith("2019-12-31 16:00:00")


def test_scratch_of_dead_processes_is_swept_and_of_living_ones_kept(tmp_path: Path) -> None:
    script = "import os, pathlib; from lcm_research.data.scratch import scratch_folder; "
    script += f"scratch_folder(pathlib.Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", script + "; os._exit(0)"], check=True)  # killed before it could clean up
    (dead,) = tmp_path.iterdir()
    mine = scratch_folder(tmp_path)
    assert not dead.exists()
    assert mine.name.startswith(f"{os.getpid()}-")
    subprocess.run([sys.executable, "-c", script], check=True)  # cleans up after itself, and leaves mine
    assert list(tmp_path.iterdir()) == [mine]


def test_tables_are_opened_and_absent_ones_say_what_to_map(brand: Brand, sales: Callable[..., dict[str, Any]]) -> None:
    brand.write("sales.csv", "customer,date,amount\na,2020-01-01,1\nb,2020-01-02,2\n")
    ingested = brand.ingest(sales())
    tables = open_tables(ingested, connect(Engine()))
    assert tables.fingerprint == ingested.fingerprint
    assert sorted(tables) == ["customers", "transactions"]
    assert tables["transactions"].count().execute() == 2
    with pytest.raises(MissingTableError, match=r"data\.tables\.touchpoints"):
        tables["touchpoints"]


def test_spark_without_pyspark_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(StudyError, match=r"pip install 'lcm-research\[spark\]'"):
        connect(Engine(backend="spark"))
