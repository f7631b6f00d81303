"""Contracts: ends, grace and late entry by hand, against an oracle, and what censoring at as_of would say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ibis.backends.sql.compilers import pyspark
from spell_oracle import with_reasons

from lcm_research.data.reduction import Tables
from lcm_research.errors import DataError, ModelError
from lcm_research.survival.contracts import contract_counts, contract_end_counts, contract_reconciliation
from lcm_research.survival.curves import kaplan_meier, survival_at

CHOICES: dict[str, Any] = {"grace_days": 30, "observation_start_day": 100, "as_of_day": 300, "entry": "incident"}
# an end on day 270 or before is known by 300; a contract that runs then is censored after day 270

Contract = tuple[int | None, int | None, str | None]


def tables_of(contracts: Sequence[Contract]) -> Tables:
    """One customer a contract (first day, last day, status), customer ``i`` in group ``i % 100``."""
    table = pd.DataFrame(contracts, columns=["contract_start_day", "contract_end_day", "contract_status"])
    table = table.astype({"contract_start_day": "Int64", "contract_end_day": "Int64", "contract_status": "string"})
    table["customer_id"], table["replicate"] = [f"c{i}" for i in range(len(table))], np.arange(len(table)) % 100
    return Tables({"customers": ibis.memtable(table.assign(region="north"))})


def counted(*contracts: Contract, **changed: Any) -> list[tuple[int, int, bool]]:
    table = contract_counts.execute(tables_of(contracts), **(CHOICES | {"by": []} | changed))
    return list(table[["entry_days", "duration_days", "event_observed"]].itertuples(index=False, name=None))


def test_a_contract_ends_on_its_last_day_and_both_days_count() -> None:
    assert counted((110, 139, None)) == [(0, 30, True)]
    assert counted((110, 110, "cancelled")) == [(0, 1, True)]


def test_an_end_is_known_when_the_grace_is_over() -> None:
    assert counted((110, 270, None)) == [(0, 161, True)]
    # one day later a renewal may still come: the contract ran on days 110 to 270 of what can be known
    assert counted((110, 271, None)) == [(0, 161, False)]
    assert counted((110, 271, None), grace_days=29) == [(0, 162, True)]
    assert counted((110, 400, None)) == [(0, 161, False)]


def test_without_grace_open_contracts_are_censored_at_as_of() -> None:
    assert counted((110, None, None), grace_days=0) == [(0, 191, False)]
    assert counted((110, 300, None), grace_days=0) == [(0, 191, True)]


def test_a_contract_that_goes_on_has_no_end() -> None:
    assert counted((110, None, "cancelled")) == [(0, 161, False)]
    assert counted((110, 139, "renewed")) == [(0, 161, False)]
    assert counted((110, 139, "Active")) == [(0, 161, False)]


def test_older_contracts_enter_late_with_their_age() -> None:
    assert counted((90, 139, None)) == []
    # ten days old when observation starts on day 100, at risk from its 11th day on
    assert counted((90, 139, None), entry="late") == [(10, 50, True)]
    assert counted((90, 100, None), entry="late") == [(10, 11, True)]
    assert counted((90, 99, None), entry="late") == []
    assert counted((110, 139, None), entry="late") == [(0, 30, True)]


def test_contracts_that_began_after_the_cut_are_left_out() -> None:
    assert counted((270, 270, None)) == [(0, 1, True)]
    assert counted((270, None, None)) == [(0, 1, False)]
    assert counted((271, None, None)) == []


def test_every_contract_and_every_customer_is_accounted_for() -> None:
    tables = tables_of([(110, 139, None), (90, 139, None), (280, None, None), (None, None, None), (50, 60, None)])
    for entry, expected in (
        ("incident", {"used": 1, "known_before": 2, "starts_after_cut": 1, "no_contract": 1}),
        ("late", {"used": 2, "over_before_entry": 1, "starts_after_cut": 1, "no_contract": 1}),
    ):
        told = contract_reconciliation.execute(tables, **(CHOICES | {"entry": entry}))
        assert told.groupby("status")["n_customers"].sum().to_dict() == expected


def ends(contract: Contract, told: list[tuple[int, str]], **changed: Any) -> list[tuple[int, str]]:
    tables = with_reasons(tables_of([contract]), [("c0", day, reason) for day, reason in told])
    asked = CHOICES | {"by": [], "other_ends": ["death"]} | changed
    table = contract_end_counts.execute(tables, **asked)
    return list(table[["duration_days", "cause"]].itertuples(index=False, name=None))


def test_an_end_has_the_last_reason_told_until_the_grace_is_over() -> None:
    assert ends((110, 139, None), []) == [(30, "not told")]
    assert ends((110, 139, None), [(112, "price"), (169, "service"), (170, "moved")]) == [(30, "service")]
    assert ends((110, 139, None), [(109, "price")]) == [(30, "not told")]
    assert ends((110, None, None), [(120, "price")]) == [(161, "")]


def test_another_end_comes_before_the_contract_s_own() -> None:
    assert ends((110, 139, None), [(120, "death")]) == [(11, "death")]
    assert ends((110, None, None), [(120, "death")]) == [(11, "death")]
    assert ends((110, None, None), [(270, "death")]) == [(161, "death")]
    assert ends((110, None, None), [(271, "death")]) == [(161, "")]
    assert ends((110, 139, None), [(120, "death")], other_ends=[]) == [(30, "death")]  # then it is the end's reason


def test_segments_become_keys() -> None:
    table = contract_counts.execute(tables_of([(110, 139, None)]), **CHOICES, by=["region"])
    assert table["region"].tolist() == ["north"]


CONTRACTS = st.lists(
    st.tuples(
        st.none() | st.integers(60, 320), st.none() | st.integers(0, 200), st.sampled_from([None, "ended", "renewed"])
    ),
    min_size=1,
    max_size=12,
)
SETTINGS = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def made(contracts: list[Contract]) -> Tables:
    return tables_of([(s, None if s is None or d is None else s + d, status) for s, d, status in contracts])


@SETTINGS
@given(contracts=CONTRACTS, grace=st.integers(0, 40))
@pytest.mark.parametrize("entry", ["incident", "late"])
def test_counts_are_those_of_a_walk_through_the_days(entry: str, contracts: list[Contract], grace: int) -> None:
    expected: Counter[tuple[object, ...]] = Counter()
    for place, (start, length, status) in enumerate(contracts):
        if start is None or (entry == "incident" and start < 100):
            continue
        end = None if length is None or status == "renewed" else start + length
        at_risk = [day for day in range(start, 301 - grace) if end is None or day <= end]
        before = [day for day in at_risk if day < 100]
        if len(at_risk) > len(before):
            ended = end is not None and end + grace <= 300
            expected[len(before) if entry == "late" else 0, len(at_risk), ended, place % 100] += 1
    asked = CHOICES | {"entry": entry, "grace_days": grace, "by": []}
    table = contract_counts.execute(made(contracts), **asked)
    assert Counter({row[:-1]: row[-1] for row in table.itertuples(index=False, name=None)}) == expected


@SETTINGS
@given(contracts=CONTRACTS, wait=st.integers(1, 60))
def test_a_later_as_of_changes_no_contract_that_was_seen_to_end(contracts: list[Contract], wait: int) -> None:
    tables = made(contracts)
    earlier, later = (
        contract_counts.execute(tables, **(CHOICES | {"by": [], "as_of_day": day})) for day in (300, 300 + wait)
    )
    keys = ["duration_days", "event_observed", "replicate"]
    ended, still = (t[t["event_observed"]].set_index(keys)["n"] for t in (earlier, later))
    assert (still.reindex(ended.index, fill_value=0) >= ended).all()


def test_censoring_at_as_of_would_overstate_how_long_contracts_run() -> None:
    # every contract ends on each of its days with probability 1/100
    rng = np.random.default_rng(4)
    start = rng.integers(0, 300, 20_000)
    end = start + rng.geometric(0.01, len(start)) - 1
    truth = 0.99**90
    counts = contract_counts.execute(
        tables_of([(int(s), int(e), None) for s, e in zip(start, end, strict=True)]),
        grace_days=60,
        observation_start_day=0,
        as_of_day=300,
        entry="incident",
        by=[],
    )
    found = survival_at(kaplan_meier(counts, interval="replicate"), 90)
    assert found.lower < truth < found.upper
    known = end + 60 <= 300
    at_as_of = pd.DataFrame({"duration_days": np.where(known, end, 300) - start + 1, "event_observed": known, "n": 1})
    assert survival_at(kaplan_meier(at_as_of, interval="log-log"), 90).value > truth + 0.05


def test_refusals_say_what_came_and_what_to_do() -> None:
    tables = tables_of([(110, 139, None)])
    with pytest.raises(ModelError, match="200 days after observation_start, not more than the 200 days of grace"):
        contract_counts(tables, **(CHOICES | {"grace_days": 200}), by=[])
    with pytest.raises(ModelError, match="grace_days must be 0 or more; came -1"):
        contract_counts(tables, **(CHOICES | {"grace_days": -1}), by=[])
    with pytest.raises(ModelError, match="came 'open'"):
        contract_counts(tables, **(CHOICES | {"entry": "open"}), by=[])
    with pytest.raises(ModelError, match=r"no column 'regio'.*did you mean 'region'"):
        contract_counts(tables, **CHOICES, by=["regio"])
    bare = Tables({"customers": tables["customers"].drop("contract_end_day")})
    with pytest.raises(DataError, match=r"needs contract_end of the customers; map them under data\.tables\.customers"):
        contract_counts(bare, **CHOICES, by=[])


def test_the_reductions_compile_for_spark() -> None:
    tables = with_reasons(tables_of([(110, 139, None)]), [("c0", 120, "death")])
    for expression in (
        contract_counts(tables, **CHOICES, by=["region"]),
        contract_end_counts(tables, **CHOICES, by=[], other_ends=["death"]),
        contract_reconciliation(tables, **CHOICES),
    ):
        assert "GROUP BY" in pyspark.compiler.to_sqlglot(expression).sql("spark")
