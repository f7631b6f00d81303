"""What customers did month by month, against a plain loop over the panel and the purchases."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from lcm_research.data.reduction import Tables
from lcm_research.errors import ModelError, StudyError
from lcm_research.stages.behaviour import ABSENT, behaviour_counts, behaviour_digits, n_behaviours
from lcm_research.stages.calendar import months, period_of_each_day
from lcm_research.stages.panel import stage_panel
from lcm_research.stages.rules import stage_rules

START, AS_OF = 18628, 19174  # 2021-01-01 to 2022-07-01: 18 whole months
WINDOW: dict[str, Any] = {
    "observation_start_day": START,
    "as_of_day": AS_OF,
    "history": "from_observation_start",
}
OPTIONS: dict[str, Any] = WINDOW | {"scheme": "nadc", "thresholds": {}, "window_days": 120, "period": "month"}
RULES = stage_rules("nadc", window_days=120)


@pytest.fixture(scope="module")
def tables() -> Tables:
    rng = np.random.default_rng(11)
    bought = pd.DataFrame({"customer_id": rng.integers(0, 120, 900).astype(str)})
    bought["day"] = rng.integers(18500, 19200, 900)
    bought = bought.assign(is_return=rng.random(900) < 0.1, amount_minor=100, currency="CNY")
    acts = pd.DataFrame({"customer_id": rng.integers(0, 120, 700).astype(str), "day": rng.integers(18500, 19200, 700)})
    acts["action"] = "like"
    people = pd.DataFrame({"customer_id": np.arange(120).astype(str), "replicate": np.arange(120) % 100})
    seen = bought.groupby("customer_id")["day"].min() - rng.integers(0, 90, bought["customer_id"].nunique())
    people["first_seen_at_day"] = people["customer_id"].map(seen).fillna(18700).astype("int64")
    people["region"] = np.where(np.arange(120) % 3 == 0, "north", "south")
    made = {"customers": people, "transactions": bought, "engagements": acts}
    return Tables({name: ibis.memtable(table) for name, table in made.items()})


def expected(
    tables: Tables, n_periods: int, with_engagements: bool, window: dict[str, Any] = WINDOW
) -> dict[tuple, int]:
    """Count (behaviour by period, stage, group) of every customer by a plain loop."""
    calendar = months(observation_start_day=START, as_of_day=window["as_of_day"])
    period = period_of_each_day(calendar).set_index("day")["period"]
    bought, acts = tables["transactions"].to_pandas(), tables["engagements"].to_pandas()
    bought = bought[~bought["is_return"]]
    when = {name: own["day"].map(period).dropna().astype(int) for name, own in bought.groupby("customer_id")}
    acted = {name: set(own["day"].map(period).dropna().astype(int)) for name, own in acts.groupby("customer_id")}
    panel = stage_panel(tables, rules=RULES, **window).to_pandas()
    last, found = len(calendar) - 1, {}
    for row in panel[panel["period"] == last].to_dict("records"):
        own = list(when.get(row["customer_id"], []))
        if row["code"] < 0 or not own or min(own) == last:
            continue
        word = []
        for month in range(last - n_periods + 1, last + 1):
            engaged = with_engagements and month in acted.get(row["customer_id"], set())
            word.append(ABSENT if month <= min(own) else min(own.count(month), 2) + 3 * engaged)
        key = (tuple(word), RULES.stages[row["code"]], row["replicate"])
        found[key] = found.get(key, 0) + 1
    return found


@pytest.mark.parametrize(("n_periods", "with_engagements"), [(12, True), (12, False), (3, True)])
def test_every_customer_counts_once_by_what_they_did_after_the_first_purchase(
    tables: Tables, n_periods: int, with_engagements: bool
) -> None:
    asked = {"n_periods": n_periods, "with_engagements": with_engagements}
    counts = behaviour_counts.execute(tables, **asked, **OPTIONS)
    read = behaviour_digits(counts["sequence"].to_numpy(), **asked)
    rows = zip(map(tuple, read.tolist()), counts["stage"], counts["replicate"], counts["n"], strict=True)
    assert {(word, stage, group): n for word, stage, group, n in rows} == expected(tables, **asked)
    assert (read == ABSENT).any() == (n_periods == 12)  # nobody first bought in the last months of these tables
    assert set(read[read > ABSENT]) <= set(range(6 if with_engagements else 3))


def test_customers_of_unknown_stage_are_not_counted(tables: Tables) -> None:
    # after three months, less than a churn window, nothing is known of customers seen before the first
    early = WINDOW | {"as_of_day": 18717}
    asked = {"n_periods": 2, "with_engagements": False}
    counts = behaviour_counts.execute(tables, **asked, **OPTIONS | early)
    own = expected(tables, **asked, window=early)
    assert counts["n"].sum() == sum(own.values()) > 0
    unknown = OPTIONS | early | {"history": "complete"}
    assert behaviour_counts.execute(tables, **asked, **unknown)["n"].sum() > counts["n"].sum()


def test_segments_add_up_to_all(tables: Tables) -> None:
    asked = {"n_periods": 6, "with_engagements": True}
    whole = behaviour_counts.execute(tables, **asked, **OPTIONS)
    parts = behaviour_counts.execute(tables, **asked, **OPTIONS, by=["region"])
    keys = ["sequence", "stage", "replicate"]
    pd.testing.assert_frame_equal(parts.groupby(keys, as_index=False)["n"].sum()[whole.columns], whole)


def test_a_number_is_read_with_what_it_was_written_with() -> None:
    # to the base 7 of six behaviours: -1 is 0, none is 1, two with an act is 6
    assert behaviour_digits(np.array([0 * 49 + 1 * 7 + 6]), n_periods=3, with_engagements=True).tolist() == [[-1, 0, 5]]
    assert n_behaviours(with_engagements=True) == 6
    with pytest.raises(ModelError, match="sequence 64 is longer than n_periods=3 periods of 3 behaviours"):
        behaviour_digits(np.array([64]), n_periods=3, with_engagements=False)


@pytest.mark.parametrize("n_periods", [1, 13])
def test_sequences_are_of_2_to_12_periods(tables: Tables, n_periods: int) -> None:
    with pytest.raises(StudyError, match=f"from 2 to 12; came {n_periods}"):
        behaviour_counts.execute(tables, n_periods=n_periods, with_engagements=False, **OPTIONS)


def test_communities_buy_nothing() -> None:
    asked = OPTIONS | {"scheme": "community3"}
    with pytest.raises(ModelError, match="'community3' is one of communities, which buy nothing"):
        behaviour_counts.execute(Tables({}), n_periods=3, with_engagements=False, **asked)
