"""Every reduction gives the same counts on Spark as on DuckDB, from the same expression."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest

import lcm_research
from lcm_research.data.backend import connect, open_tables
from lcm_research.data.ingested import Ingested
from lcm_research.data.reduction import Reduction, Tables
from lcm_research.data.sources import ingest
from lcm_research.stages.rules import stage_rules
from lcm_research.study import Engine, Study, load_study
from needs import unavailable

pytestmark = pytest.mark.spark

DEMO = Path(__file__).resolve().parents[1] / "params" / "demo.yml"
WINDOW = {"observation_start_day": 19358, "as_of_day": 20088}  # 2023-01-01 to 2024-12-31
SPELLS = WINDOW | {"window_days": 120, "history": "from_observation_start"}
EXPOSED = SPELLS | {"churn_activity": ["purchases"], "actions": [], "by": ["region"]}
LANDMARK = EXPOSED | {"landmark_days": 61, "activity_breaks": [2, 4, 8]}
PANEL = SPELLS | {"scheme": "nadc", "thresholds": {}, "period": "month"}
JOURNEYS = WINDOW | {"lookback_days": 30, "touch_types": ["click", "view", "visit"]}

OWN = {"kappa": 3, "strength": 3, "usual_gap_days": 36, "shortest_days": 60, "longest_days": 365, "censored_by": "own"}
BREAKS = {"recency_breaks": [30, 60], "frequency_breaks": [2, 4], "tenure_breaks": [60], "engagement_breaks": [30]}
OPEN = BREAKS | {"observation_start_day": 19358, "window_days": 120, "lookback_days": 120, "decision_day": 19800}
CONTRACTS = WINDOW | {"grace_days": 30, "entry": "late"}
ENDS = SPELLS | {"entry": "incident", "by": []}

COVARIATES = PANEL | {
    **{"engaged_breaks": [1, 3], "engaged_when": ["before", "during", "after"], "actions": [], "touched_breaks": [1]},
    **{"bought_breaks": [1, 2], "bought_months": 6, "silent_breaks": [1, 3], "by_quarter": True, "by": ["region"]},
}
UNIVERSES = WINDOW | {"history": "from_observation_start", "period": "month"}
UNIVERSES |= {"universes": {name: stage_rules(name, window_days=120).parameters() for name in ("nadc", "pal")}}

CHOICES: dict[str, list[dict[str, Any]]] = {
    "spell_counts": [
        SPELLS | {"entry": "incident", "by": ["region"]},
        SPELLS | {"entry": "late", "by": [], "history": "complete"},
        SPELLS | {"window_days": OWN, "entry": "late", "by": ["region"], "activity": ["purchases", "engagements"]},
    ],
    "gap_counts": [
        {
            "observation_start_day": 19358,
            "until_day": 19723,
            "history": "from_observation_start",
            "activity": ["purchases", "engagements"],
        }
    ],
    "spell_end_counts": [
        ENDS | {"other_ends": ["death", "account_closed"], "with_reasons": True},
        ENDS | {"window_days": OWN, "other_ends": ["death"], "with_reasons": False},
    ],
    "second_lifetime_counts": [SPELLS | {"horizon_days": 60, "by": []}],
    "contract_counts": [CONTRACTS | {"by": ["plan"]}],
    "contract_end_counts": [CONTRACTS | {"by": [], "other_ends": ["death"]}],
    "contract_reconciliation": [CONTRACTS],
    "recurrent_event_counts": [
        SPELLS | {"event": "activity", "max_events": 4, "by": ["region"]},
        SPELLS | {"event": "lapse", "max_events": 3, "by": ["region"]},
    ],
    "spell_history_counts": [SPELLS | {"breaks_days": [1, 30, 90], "by": ["region"]}],
    "frequency_recency_counts": [
        SPELLS | {"period": "day", "by": ["region"]},
        SPELLS | {"period": "week", "by": [], "history": "complete"},
    ],
    "open_counts": [OPEN | {"by": ["region"]}],
    "warning_counts": [OPEN | {"by": ["region"], "horizon_days": 60, "as_of_day": 20088, "period_days": 20}],
    "spell_reconciliation": [SPELLS | {"entry": "late"}],
    "return_counts": [SPELLS | {"by": []}],
    "exposure_counts": [EXPOSED | {"period_days": 30, "lag_periods": 1, "activity_breaks": [2, 4, 8]}],
    "ever_engaged_counts": [EXPOSED],
    "landmark_counts": [LANDMARK, LANDMARK | {"exposure_days": 30}],
    "transition_counts": [
        PANEL | {"by": ["region"]},
        PANEL | {"scheme": "nadcr"},
        PANEL | {"scheme": "acamc"},
        PANEL | {"scheme": "aipl"},
    ],
    "stage_stock": [PANEL | {"scheme": "pnmc"}, PANEL | {"scheme": "agadcr", "confirm_periods": 2, "min_dwell": 3}],
    "cut_value_counts": [PANEL | {"scheme": "intro5"}],
    "second_order_counts": [PANEL | {"by": ["region"]}],
    "dwell_counts": [PANEL],
    "stay_counts": [PANEL],
    "entry_counts": [PANEL, PANEL | {"history": "complete"}],
    "recency_counts": [PANEL, PANEL | {"scheme": "aipl"}],
    "spend_by_recency": [PANEL],
    "spend_ahead": [PANEL | {"n_periods": 6}],
    "passage_counts": [PANEL | {"target": "churned", "prospects": ["prospect"]}],
    "cohort_counts": [PANEL | {"cohort": "quarter"}],
    "customers_by_pair": [PANEL],
    "customers_by_stay": [PANEL],
    "flow_counts_between": [PANEL | {"periods": ["2023-09-01", "2023-12-01", "2024-03-01"]}],
    "behaviour_counts": [PANEL | {"n_periods": 12, "with_engagements": True, "by": ["region"]}],
    "covariate_counts": [COVARIATES],
    "covariate_customers": [COVARIATES],
    "coarse_transition_counts": [UNIVERSES | {"by": ["region"]}],
    "agreement_counts": [UNIVERSES],
    "sequence_counts": [PANEL | {"n_periods": 6}],
    "customers_by_move": [PANEL],
    "customers_by_use": [PANEL],
    "edge_counts": [JOURNEYS | {"collapse_repeats": flag} for flag in (True, False)],
    "touch_sums": [JOURNEYS | {"collapse_repeats": True}],
    "decay_sums": [JOURNEYS | {"collapse_repeats": True, "half_life_days": 7}],
    "last_non_direct_sums": [JOURNEYS | {"collapse_repeats": False, "direct_channels": ["direct"]}],
    "channel_customers": [JOURNEYS],
    "journey_reconciliation": [JOURNEYS | {"collapse_repeats": False}],
    "rows_by_month": [{"first_day": 19358, "last_day": 20088}],
    "rows_at_edges": [WINDOW | {"edge_days": 7}],
    "repeated_rows": [{}],
    "customers_by_history": [WINDOW | {"window_days": 120}],
}


def with_contracts_and_reasons(tables: Tables) -> Tables:
    """Add what the demo has not: a contract for each customer and a reason for every other one who bought."""
    customers = tables["customers"]
    customers = customers.mutate(
        contract_start_day=customers.first_seen_at_day,
        contract_end_day=customers.first_seen_at_day + 90 + 5 * customers.replicate,
        contract_status=(customers.replicate % 7 == 0).ifelse("Renewed", "ended"),
        plan=customers.region,
    )
    bought = tables["transactions"].group_by("customer_id")
    reasons = bought.agg(day=lambda t: t.day.max() + 20, ts_us=lambda t: t.ts_us.max(), n=lambda t: t.count())
    reasons = reasons.mutate(
        reason_id=reasons.customer_id,
        reason=ibis.cases((reasons.n % 3 == 0, "price"), (reasons.n % 3 == 1, "death"), else_="account_closed"),
        source=ibis.literal("survey"),
    )
    added = {"customers": customers, "churn_reasons": reasons.filter(reasons.n % 2 == 1)}
    return Tables({**tables, **added}, fingerprint=tables.fingerprint)


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
            con = connect(Engine(backend="spark", memory_limit_gb=2))
        except Exception as error:
            unavailable(f"Spark does not start; it needs Java 17 ({type(error).__name__})")
        con._session.conf.set("spark.sql.shuffle.partitions", "2")
        yield with_contracts_and_reasons(open_tables(ingested, con))
        con._session.stop()


@pytest.fixture(scope="module")
def on_duckdb(ingested: Ingested) -> Tables:
    return with_contracts_and_reasons(open_tables(ingested, connect(Engine())))


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
