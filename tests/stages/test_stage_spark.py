"""Every scheme gives the same stages on Spark as on DuckDB, from the same expression."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import ibis
import pandas as pd
import pytest
from test_stage_schemes import NEW, WINDOW, communities, community_tables, random_people, rules_of, tables_of

from lcm_research.data.backend import connect
from lcm_research.data.reduction import Tables
from lcm_research.stages.cuts import cut_value_counts
from lcm_research.stages.panel import stage_stock, transition_counts
from lcm_research.study import Engine
from needs import unavailable

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    try:
        import pyspark  # noqa: F401
    except ImportError:
        unavailable("pyspark is not installed (make spark)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            con = connect(Engine(backend="spark", memory_limit_gb=2))
        except Exception as error:
            unavailable(f"Spark does not start; it needs Java 17 ({type(error).__name__})")
        con._session.conf.set("spark.sql.shuffle.partitions", "2")
        yield con
        con._session.stop()


@pytest.fixture(scope="module")
def made() -> Tables:
    return Tables(dict(tables_of(random_people(7, 40))) | dict(community_tables(communities(7))))


@pytest.fixture(scope="module")
def on_spark(spark: Any, made: Tables, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder, on_duckdb = tmp_path_factory.mktemp("tables"), ibis.duckdb.connect()
    for name, table in made.items():
        on_duckdb.to_parquet(table, folder / f"{name}.parquet")
    return Tables({name: spark.read_parquet(folder / f"{name}.parquet") for name in made})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scheme", [*NEW, "community3"])
def test_every_scheme_gives_the_same_moves_on_spark(scheme: str, made: Tables, on_spark: Tables) -> None:
    told = rules_of(scheme).parameters() | WINDOW | {"period": "month"}
    expected = transition_counts.execute(made, **told)
    assert len(expected)
    pd.testing.assert_frame_equal(transition_counts.execute(on_spark, **told), expected)


@pytest.mark.filterwarnings("ignore")
def test_held_stages_and_cuts_are_the_same_on_spark(made: Tables, on_spark: Tables) -> None:
    told = rules_of("intro5").parameters() | WINDOW | {"period": "month"}
    pd.testing.assert_frame_equal(cut_value_counts.execute(on_spark, **told), cut_value_counts.execute(made, **told))
    told |= {"confirm_periods": 2, "min_dwell": 3}
    pd.testing.assert_frame_equal(stage_stock.execute(on_spark, **told), stage_stock.execute(made, **told))
