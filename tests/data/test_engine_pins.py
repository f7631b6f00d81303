"""
What the pinned Ibis, DuckDB and sqlglot must do together: red here means that an upgrade broke the engine.

A plain install resolves to versions under which select-only work is green and these fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest

# Ibis 12 calls what DuckDB 1.5 names as going; DuckDB 2 dropped it, which is why it is not allowed
pytestmark = pytest.mark.filterwarnings("ignore:fetch_.* is deprecated:DeprecationWarning")

ROWS = pd.DataFrame({"k": ["a", "b", "a"], "n": [1, 2, 3]})


@pytest.fixture
def con() -> Iterator[Any]:
    con = ibis.duckdb.connect()
    yield con
    con.disconnect()


def test_tables_are_created_overwritten_and_dropped(con: Any) -> None:
    con.create_table("t", ROWS)
    con.create_table("t", ROWS.head(1), overwrite=True)
    assert con.table("t").count().execute() == 1
    con.insert("t", ROWS)
    assert con.table("t").count().execute() == 4
    con.truncate_table("t")
    con.drop_table("t")
    assert "t" not in con.list_tables()


def test_views_are_created_overwritten_and_dropped(con: Any) -> None:
    source = con.create_table("t", ROWS)
    con.create_view("v", source.filter(source.n > 1))
    con.create_view("v", source, overwrite=True)
    assert con.table("v").n.sum().execute() == 6
    con.drop_view("v")
    assert con.list_tables() == ["t"]


def test_sql_is_run_and_refers_to_tables(con: Any) -> None:
    con.create_table("t", ROWS)
    assert con.sql("select k, sum(n) as n from t group by k").order_by("k").execute()["n"].tolist() == [4, 2]
    assert con.raw_sql("select 1 + 1").fetchone() == (2,)


def test_results_come_in_batches(con: Any) -> None:
    table = con.create_table("t", pd.DataFrame({"n": range(10_000)}))
    with con.to_pyarrow_batches(table, chunk_size=4_000) as reader:
        assert sum(batch.num_rows for batch in reader) == 10_000
    assert table.to_pyarrow().num_rows == 10_000


def test_a_failed_call_leaves_the_connection_usable(con: Any) -> None:
    with pytest.raises(Exception, match="nothing_here"):
        con.raw_sql("select * from nothing_here")
    con.create_table("t", ROWS)
    assert con.table("t").count().execute() == 3


def test_files_are_read_and_written(con: Any, tmp_path: Path) -> None:
    con.to_parquet(ibis.memtable(ROWS), tmp_path / "t.parquet")
    con.to_csv(ibis.memtable(ROWS), tmp_path / "t.csv")
    assert con.read_parquet(tmp_path / "t.parquet").n.sum().execute() == 6
    text = con.read_csv(tmp_path / "t.csv", columns={"k": "VARCHAR", "n": "VARCHAR"}, header=True, auto_detect=False)
    assert text.schema() == ibis.schema({"k": "string", "n": "string"})


def test_windows_memtables_unions_and_joins_count_alike(con: Any) -> None:
    table = con.create_table("t", ROWS)
    ranked = table.mutate(place=ibis.row_number().over(group_by="k", order_by=["n", "k"]))
    assert con.to_pandas(ranked.order_by(["k", "n"]))["place"].tolist() == [0, 1, 0]
    calendar = ibis.memtable({"first": [0, 2], "last": [1, 3]})
    joined = table.inner_join(calendar, [table.n >= calendar.first, table.n <= calendar.last])
    assert con.to_pandas(joined.count()) == 3
    both = ibis.union(table, table, distinct=True)
    assert con.to_pandas(both.count()) == 3
    hidden = ibis.literal("abc").hexdigest("md5")
    assert con.execute(hidden) == "900150983cd24fb0d6963f7d28e17f72"
