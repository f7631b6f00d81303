"""What is refused before anything starts because the counts cannot answer it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import ibis
import pandas as pd
import pytest

from lcm_research.errors import DataError, StudyError
from lcm_research.run.preflight import CHECKS, _ends_are_told
from lcm_research.stages.rules import stage_rules
from lcm_research.study import Churn, PersonalWindow


@pytest.mark.parametrize("horizon_days", [-5, 0, 366])
@pytest.mark.parametrize(
    ("churn", "words"),
    [
        (Churn(window_days=180), "the churn window of 180 days"),
        (Churn(personal_window=PersonalWindow(longest_days=200)), "the longest personal window of 200 days"),
        (Churn(kind="contract", grace_days=30), "the 30 days of grace"),
    ],
)
def test_a_horizon_beyond_the_follow_up_is_refused_before_anything_starts(
    churn: Churn, words: str, horizon_days: int
) -> None:
    lcm: Any = SimpleNamespace(max_horizon_days=365, study=SimpleNamespace(churn=churn))
    with pytest.raises(
        StudyError, match=rf"horizon_days={horizon_days} is outside the follow-up of 365 .*less {words}"
    ):
        CHECKS["01_churn_survival"](lcm, {"horizon_days": horizon_days})


def counted(**columns: list[Any]) -> Any:
    return lambda **asked: pd.DataFrame(columns)


def test_contracts_that_cannot_be_followed_are_told_by_why() -> None:
    lcm: Any = SimpleNamespace(
        max_horizon_days=365,
        study=SimpleNamespace(churn=Churn(kind="contract", grace_days=30)),
        spells=counted(n=[], event_observed=[]),
        spell_statuses=counted(status=["known_before", "no_contract", "starts_after_cut"], n_customers=[3, 4, 5]),
    )
    with pytest.raises(DataError) as refusal:
        CHECKS["01_churn_survival"](lcm, {})
    for said in (
        "at least 30 days before its end (churn.grace_days)",
        "3 were customers before",
        "4 have no contract_",
    ):
        assert said in str(refusal.value)
    assert "5 have a contract that began in the last 30 days, too late to see it end" in str(refusal.value)
    lcm.spells = counted(n=[9], event_observed=[False])
    with pytest.raises(
        DataError, match=r"of 9 new contracts that can be followed none does.*shorter churn\.grace_days"
    ):
        CHECKS["01_churn_survival"](lcm, {})


@pytest.mark.parametrize(
    ("churn", "said"),
    [
        (Churn(personal_window=PersonalWindow()), r"churn\.personal_window"),
        (Churn(kind="contract", grace_days=30), "churn.kind: contract"),
    ],
)
def test_stages_need_one_window_for_all(churn: Churn, said: str) -> None:
    lcm: Any = SimpleNamespace(study=SimpleNamespace(churn=churn, stages=None))
    with pytest.raises(StudyError, match=rf"the study says {said}; leave 02_stage_markov out"):
        CHECKS["02_stage_markov"](lcm, {})


def test_a_scheme_of_communities_is_no_chapter_of_customers() -> None:
    study = SimpleNamespace(churn=Churn(window_days=180))
    lcm: Any = SimpleNamespace(study=study, stage_rules=lambda scheme: stage_rules(scheme, window_days=180))
    with pytest.raises(StudyError, match="'community3' puts communities into stages, and this chapter follows cust"):
        CHECKS["02_stage_markov"](lcm, {"scheme": "community3"})


def test_an_end_that_no_reason_tells_of_is_refused_with_the_nearest() -> None:
    reasons = ibis.memtable(pd.DataFrame({"reason": ["death", "price", "price"]}))
    lcm: Any = SimpleNamespace(tables={"churn_reasons": reasons})
    lcm.study = SimpleNamespace(churn=Churn(kind="contract", grace_days=30, other_ends=("death",)))
    _ends_are_told(lcm)
    lcm.study = SimpleNamespace(churn=Churn(kind="contract", grace_days=30, other_ends=("deth",)))
    with pytest.raises(StudyError, match=r"has the reason 'deth' \(2 others are there\); did you mean 'death'"):
        _ends_are_told(lcm)
