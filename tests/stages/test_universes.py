"""The definitions a study could have chosen."""

from __future__ import annotations

from collections.abc import Callable

import ibis
import pandas as pd
import pytest

from lcm_research.data.reduction import Tables
from lcm_research.errors import StudyError
from lcm_research.stages.cuts import with_cuts
from lcm_research.stages.rules import StageRules, stage_rules
from lcm_research.stages.scheme import known_schemes
from lcm_research.stages.universes import customer_schemes, stage_universes


@pytest.fixture
def purchases_only() -> Tables:
    customers = pd.DataFrame({"customer_id": ["a"], "replicate": [0]})
    transactions = pd.DataFrame(
        {
            "transaction_id": ["1"],
            "customer_id": ["a"],
            "ts_us": [0],
            "day": [100],
            "amount_minor": [100],
            "currency": ["CNY"],
            "is_return": [False],
        }
    )
    return Tables({"customers": ibis.memtable(customers), "transactions": ibis.memtable(transactions)}, "")


def cut(rules: StageRules) -> StageRules:
    """Return rules with every cut set to 100."""
    if set(rules.cuts) == set(rules.scheme.cuts):
        return rules
    counts = pd.DataFrame([(name, "2024-01-01", 100, 1) for name in rules.scheme.cuts])
    counts.columns = ["cut", "period_start", "value", "n"]
    return with_cuts(rules, counts, cut_mode="frozen", reference_period="2024-01-01")


def rules_of(own: str, *, window_days: int = 180) -> Callable[[str], StageRules]:
    return lambda name: cut(stage_rules(name or own, window_days=window_days))


def test_the_own_scheme_is_first_and_schemes_without_their_tables_are_off(purchases_only: Tables) -> None:
    schemes, refused = customer_schemes(purchases_only, rules_of("pnmc"))
    assert next(iter(schemes)) == "pnmc"
    assert {"nadc", "nadcr", "intro5", "keynode5"} <= set(schemes)
    assert "no table 'engagements'" in refused["aipl"]
    assert "no table 'referrals'" in refused["arg"]


def test_every_scheme_of_customers_is_used_or_refused_and_none_of_communities(purchases_only: Tables) -> None:
    schemes, refused = customer_schemes(purchases_only, rules_of("nadc"))
    assert set(schemes) | set(refused) == set(known_schemes()) - {"community3"}
    assert not set(schemes) & set(refused)


def test_thresholds_are_changed_one_at_a_time() -> None:
    schemes = {name: rules_of("")(name) for name in ("nadc", "pnmc")}
    found = stage_universes(schemes, own="nadc", every_threshold=False, with_cuts=cut)
    assert list(found)[:2] == ["nadc", "pnmc"]
    assert found["nadc"].own
    assert not found["pnmc"].own
    assert [label for label in found if label.startswith("nadc,")] == [
        "nadc, w_new = 15",
        "nadc, w_new = 60",
        "nadc, w_active = 30",
        "nadc, w_active = 90",
        "nadc, window_days = 90",
        "nadc, window_days = 120",
        "nadc, window_days = 270",
    ]
    # of another scheme the churn window alone
    assert [label for label in found if label.startswith("pnmc,")] == [
        "pnmc, window_days = 90",
        "pnmc, window_days = 120",
        "pnmc, window_days = 270",
    ]
    changed = found["nadc, w_active = 30"]
    assert changed.choices == {"scheme": "nadc", "threshold": "w_active", "before": "60", "after": "30"}
    assert {k: v for k, v in changed.rules.thresholds.items() if v != schemes["nadc"].thresholds[k]} == {"w_active": 30}
    assert found["pnmc, window_days = 90"].rules.parameters()["window_days"] == 90


def test_every_threshold_of_every_scheme_on_request() -> None:
    schemes = {name: rules_of("")(name) for name in ("nadc", "pnmc")}
    found = stage_universes(schemes, own="nadc", every_threshold=True, with_cuts=cut)
    assert "pnmc, n_mature = 3" in found
    assert len(found) == 2 + sum(len(rules.alternatives()) for rules in schemes.values())


def test_every_definition_has_its_cuts() -> None:
    schemes = {"intro5": rules_of("")("intro5")}
    for own in ("intro5", "nadc"):
        found = stage_universes(schemes, own=own, every_threshold=False, with_cuts=cut)
        assert all(set(each.rules.cuts) == {"m_cut"} for each in found.values())


def test_a_window_that_does_not_go_with_the_other_thresholds_is_left_out() -> None:
    rules = stage_rules("nadc", window_days=400, thresholds={"w_active": 100})
    found = stage_universes({"nadc": rules}, own="other", every_threshold=False, with_cuts=cut)
    # 90 is below w_active
    assert list(found) == ["nadc", *(f"nadc, window_days = {days}" for days in (120, 180, 270))]


def test_an_own_scheme_that_does_not_exist_is_refused(purchases_only: Tables) -> None:
    with pytest.raises(StudyError, match="no scheme is named 'nadk'"):
        customer_schemes(purchases_only, rules_of("nadk"))
