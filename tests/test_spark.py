"""Every reduction gives the same counts on Spark as on DuckDB, from the same expression."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import lcm_research
from lcm_research.data.backend import connect, open_tables
from lcm_research.data.ingested import Ingested
from lcm_research.data.reduction import Reduction, Tables
from lcm_research.data.sources import ingest
from lcm_research.study import Engine, Study, load_study
from needs import unavailable

pytestmark = pytest.mark.spark

DEMO = Path(__file__).resolve().parents[1] / "params" / "demo.yml"
WINDOW = {"observation_start_day": 19358, "as_of_day": 20088}  # 2023-01-01 to 2024-12-31
SPELLS = WINDOW | {"window_days": 120, "history": "from_observation_start"}
EXPOSED = SPELLS | {"churn_activity": ["purchases"], "actions": [], "by": ["region"]}
PANEL = SPELLS | {"scheme": "nadc", "thresholds": {}, "period": "month"}
JOURNEYS = WINDOW | {"lookback_days": 30, "touch_types": ["click", "view", "visit"]}

CHOICES: dict[str, list[dict[str, Any]]] = {
    "spell_counts": [
        SPELLS | {"entry": "incident", "by": ["region"]},
        SPELLS | {"entry": "late", "by": [], "history": "complete"},
    ],
    "spell_reconciliation": [SPELLS | {"entry": "late"}],
    "return_counts": [SPELLS | {"by": []}],
    "exposure_counts": [EXPOSED | {"period_days": 30, "lag_periods": 1, "activity_breaks": [2, 4, 8]}],
    "ever_engaged_counts": [EXPOSED],
    "landmark_counts": [EXPOSED | {"landmark_days": 61, "activity_breaks": [2, 4, 8]}],
    "transition_counts": [PANEL | {"by": ["region"]}, PANEL | {"scheme": "pnmc"}],
    "stage_stock": [PANEL],
    "customers_by_move": [PANEL],
    "customers_by_use": [PANEL],
    "edge_counts": [JOURNEYS | {"collapse_repeats": flag} for flag in (True, False)],
    "touch_sums": [JOURNEYS | {"collapse_repeats": True}],
    "channel_customers": [JOURNEYS],
    "journey_reconciliation": [JOURNEYS | {"collapse_repeats": False}],
    "rows_by_month": [{"first_day": 19358, "last_day": 20088}],
    "rows_at_edges": [WINDOW | {"edge_days": 7}],
    "repeated_rows": [{}],
    "customers_by_history": [WINDOW | {"window_days": 120}],
}


def reductions() -> dict[str, Reduction]:
    """Return every reduction of the package by name."""
    found = {}
    for module in pkgutil.walk_packages(lcm_research.__path__, "lcm_research."):
        if not module.name.endswith("__main__"):
            members = vars(importlib.import_module(module.name)).values()
            found |= {r.name: r for r in members if isinstance(r, Reduction)}
    return found


@pytest.fixture(scope="module")
def study() -> Study:
    study = load_study(DEMO)
    simulate = study.data.simulate.model_copy(update={"n_customers": 300})
    return study.model_copy(update={"data": study.data.model_copy(update={"simulate": simulate})})


@pytest.fixture(scope="module")
def ingested(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    return ingest(study, DEMO, cache=tmp_path_factory.mktemp("ingest"))


@pytest.fixture(scope="module")
def on_spark(ingested: Ingested) -> Iterator[Tables]:
    try:
        import pyspark  # noqa: F401
    except ImportError:
        unavailable("pyspark is not installed (make spark)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            con = connect(Engine(backend="spark"))
        except Exception as error:
            unavailable(f"Spark does not start; it needs Java 17 ({type(error).__name__})")
        con._session.conf.set("spark.sql.shuffle.partitions", "2")
        yield open_tables(ingested, con)
        con._session.stop()


@pytest.fixture(scope="module")
def on_duckdb(ingested: Ingested) -> Tables:
    return open_tables(ingested, connect(Engine()))


def test_every_reduction_is_held_here() -> None:
    assert set(reductions()) == set(CHOICES)


CASES = [
    pytest.param(name, choice, id=f"{name}-{i}") for name, made in CHOICES.items() for i, choice in enumerate(made)
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "choice"), CASES)
def test_counts_are_the_same_on_spark(name: str, choice: dict[str, Any], on_spark: Tables, on_duckdb: Tables) -> None:
    reduction = reductions()[name]
    expected = reduction.execute(on_duckdb, **choice)
    assert len(expected)
    pd.testing.assert_frame_equal(reduction.execute(on_spark, **choice), expected)
