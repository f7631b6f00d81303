"""Counts that cannot be used are refused in words that lead on; columns of any pandas kind are taken as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.survival.competing import cumulative_incidence
from lcm_research.survival.competing_hazards import fine_gray
from lcm_research.survival.cumulative_hazard import nelson_aalen
from lcm_research.survival.curves import kaplan_meier
from lcm_research.survival.hazards import cox
from lcm_research.survival.risk_sets import SPELL, check_spells

PARTS: dict[str, Any] = {"covariates": ["region"], "ties": "efron", "intervals": "information"}


def brand(n: int = 300, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    life, seen = rng.geometric(1 / 15, n), rng.integers(5, 40, n)
    table = pd.DataFrame({"region": rng.choice(["north", "south"], n), "duration_days": np.minimum(life, seen)})
    table = table.assign(event_observed=life <= seen, entry_days=0, replicate=rng.integers(0, 100, n), n=1)
    return table.assign(cause=np.where(table["event_observed"], "price", ""))


ESTIMATORS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "a survival curve": lambda t: kaplan_meier(t, interval="log-log"),
    "a cumulative hazard": lambda t: nelson_aalen(t, interval="log"),
    "a cumulative incidence": lambda t: cumulative_incidence(t, cause="price", interval="log-log"),
    "Cox's model": lambda t: cox(t, **PARTS),
    "a subdistribution hazard": lambda t: fine_gray(t, cause="price", **PARTS),
}


@pytest.mark.parametrize("purpose", ESTIMATORS)
def test_counts_that_hold_no_spells_are_refused_alike_everywhere(purpose: str) -> None:
    table, estimate = brand(), ESTIMATORS[purpose]
    days = table["duration_days"]
    refused: dict[str, dict[str, Any]] = {
        "2 spells have an infinite duration_days; give the last day on which each was seen": {
            "duration_days": days.astype(float).where(table.index > 1, np.inf)
        },
        r"'duration_days' holds object \(such as '\d+'\), not numbers of days; convert .* with pd.to_numeric": {
            "duration_days": days.astype(str)
        },
        r"'duration_days' holds timedelta64\[ns\]": {"duration_days": pd.to_timedelta(days, unit="D")},
        "3 of 300 rows have no value in 'duration_days'": {"duration_days": days.where(table.index > 2)},
        "4 spells have duration_days below 1": {"duration_days": days.where(table.index > 3, 0), "entry_days": -1},
        "5 spells end on or before their entry_days": {"entry_days": days.where(table.index < 5, 0)},
        r"6 of 300 rows have a negative n \(lowest -2\); counts are 0 or more": {"n": np.where(table.index < 6, -2, 1)},
        r"7 of 300 rows have an n that is no whole number \(first 0.5\).*case_weights": {
            "n": np.where(table.index < 7, 0.5, 1)
        },
        "8 of 300 rows have no value in 'n'": {"n": np.where(table.index < 8, np.nan, 1)},
        "'n' holds object": {"n": "1"},
        f"{purpose} needs at least one spell; came none": {"n": 0},
        r"9 of 300 rows have a replicate that is none of the whole numbers 0 to 99 \(first 140\)": {
            "replicate": np.where(table.index < 9, 140, 1)
        },
    }
    for message, changed in refused.items():
        with pytest.raises(ModelError, match=message):
            estimate(table.assign(**changed))
    with pytest.raises(ModelError, match=rf"{purpose} needs the columns .*; missing \['duration_days'\]"):
        estimate(table.drop(columns="duration_days"))


def test_an_event_is_true_or_false_or_one_or_zero() -> None:
    table = brand().drop(columns="cause")
    whole = kaplan_meier(table, interval="log-log").survival
    for kind in (int, float, object, "Int64", "boolean"):
        assert (
            kaplan_meier(table.astype({"event_observed": kind}), interval="log-log").survival.tolist() == whole.tolist()
        )
    for strange, told in ((table["event_observed"] + 1, "came 2"), (table["event_observed"].astype(str), "came '")):
        with pytest.raises(ModelError, match=f"event_observed must be true or false .*; {told}"):
            cox(table.assign(event_observed=strange), **PARTS)


@pytest.mark.parametrize("purpose", ESTIMATORS)
@pytest.mark.parametrize("kind", ["nullable", "pyarrow", "categorical", "float"])
def test_columns_of_any_pandas_kind_give_the_same_numbers(purpose: str, kind: str) -> None:
    table, estimate = brand(), ESTIMATORS[purpose]
    if kind == "categorical":
        other = table.astype({"region": "category", "cause": "category"})
    elif kind == "float":
        other = table.astype({"duration_days": float, "n": float, "replicate": float, "entry_days": float})
    else:
        other = table.convert_dtypes(dtype_backend="pyarrow" if kind == "pyarrow" else "numpy_nullable")
        assert not any(isinstance(dtype, np.dtype) for dtype in other.dtypes)
    numbers = [estimate(each).table().select_dtypes("number").to_numpy() for each in (table, other)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-12, nan_ok=True)


def test_a_missing_value_in_a_nullable_column_is_counted() -> None:
    table = brand().astype({"duration_days": "Int64", "region": "string[pyarrow]"})
    table.loc[:3, "duration_days"] = pd.NA
    with pytest.raises(ModelError, match="4 of 300 rows have no value in 'duration_days'"):
        cox(table, **PARTS)
    table = brand().astype({"region": "string[pyarrow]"})
    table.loc[:4, "region"] = pd.NA
    with pytest.raises(ModelError, match="covariate 'region' is missing for 5 spells"):
        cox(table, **PARTS)


def test_rows_of_no_spell_change_nothing_whatever_they_hold() -> None:
    table = brand()
    empty = pd.DataFrame({"region": ["west"], "duration_days": [np.nan], "event_observed": True, "n": 0, "cause": "x"})
    more = pd.concat([table, empty.assign(replicate=5, entry_days=7)])
    assert len(check_spells(more, SPELL, "a test")) == len(table)
    for estimate in ESTIMATORS.values():
        pd.testing.assert_frame_equal(estimate(more).table(), estimate(table).table(), check_dtype=False)


def test_events_that_cannot_be_compared_are_refused_before_fitting() -> None:
    table = brand()
    events = table.index[table["event_observed"]]
    alone = table["region"].where(table.index != events[0], "west")
    one = table.assign(event_observed=table.index == events[0])
    same = table.assign(duration_days=9, event_observed=table["event_observed"])
    half = np.where(table.index < 5, None, "a")
    north = table.assign(event_observed=table["event_observed"] & (table["region"] == "north"))
    # in each stratum one region only
    apart = table.assign(x=(table["region"] == "south").astype(int), half=table["region"])
    refused: list[tuple[str, pd.DataFrame, dict[str, Any]]] = [
        (r"0 events for 1 parameters \(0.0 each\), fewer than 5 each", table.assign(event_observed=False), {}),
        (r"1 events for 1 parameters \(1.0 each\), fewer than 5 each", one, {}),
        (f"all {len(events)} events are on day 9: there is no order of events to compare", same, {}),
        (r"column 'region\[west\]' sets one spell apart from all others", table.assign(region=alone), {}),
        ("'x' is the same for all at risk within a stratum on", apart, {"strata": "half", "covariates": ["x"]}),
        (r"column 'region\[(north|south)\]' separates perfectly", north, {}),
        ("ties must be one of efron, breslow; came 'exact'", table, {"ties": "exact"}),
        ("intervals must be one of replicate, robust, information; came 'sand'", table, {"intervals": "sand"}),
        ("needs the columns .*; missing .'half'.", table, {"strata": "half"}),
        ("5 of 300 rows have no value in 'half'", table.assign(half=half), {"strata": "half"}),
        ("300 of 300 rows have a case weight in 'w' that is not", table.assign(w=0.0), {"case_weights": "w"}),
    ]
    for message, changed, chosen in refused:
        with pytest.raises(ModelError, match=message):
            cox(changed.drop(columns="cause"), **(PARTS | chosen))


def test_columns_that_others_determine_among_those_at_risk_are_refused() -> None:
    # x and y differ only among spells that are over before the first event
    table = brand().drop(columns=["cause", "replicate"])
    table["duration_days"] += 3
    x = (table["region"] == "south").astype(int)
    early = pd.DataFrame({"duration_days": 2, "event_observed": False, "n": 1, "x": [0, 1], "y": [1, 0]})
    both = pd.concat([table.assign(x=x, y=x), early.loc[early.index.repeat(3)]])
    with pytest.raises(ModelError, match=r"column '[xy]' is collinear among those at risk on days with an event"):
        cox(both.assign(entry_days=0), covariates=["x", "y"], ties="efron", intervals="information")
