"""What stops the clock of each stage, and recency counted in it."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from lcm_research.data.reduction import Tables
from lcm_research.errors import ModelError, StudyError
from lcm_research.stages.clocks import clocks
from lcm_research.stages.dwell import recency_counts
from lcm_research.stages.panel import transition_counts
from lcm_research.stages.passage import passage_counts
from lcm_research.stages.rules import stage_rules
from lcm_research.stages.spending import spend_ahead

START = 18628  # 2021-01-01
OPTIONS: dict[str, Any] = {
    "thresholds": {},
    "window_days": 90,
    "period": "month",
    "observation_start_day": START,
    "as_of_day": START + 180,  # 2021-06-30: six whole months
    "history": "complete",
}


def test_clocks_of_buyers_watch_purchases_and_those_of_prospects_watch_social_acts() -> None:
    found = {name: dict(clocks(stage_rules(name, window_days=180))) for name in ("nadc", "aipl", "pnlc", "intro5")}
    assert found["nadc"] == dict.fromkeys(["new", "active", "dormant"], "transactions")
    assert found["aipl"] == {"interest": "engagements", "purchase": "transactions", "loyalty": "transactions"}
    assert found["pnlc"] == {"potential": "engagements", "new": "transactions", "loyal": "transactions"}
    silent = stage_rules("intro5", window_days=180, thresholds={"prospect_churn": 1})
    assert clocks(silent)["intro"] == "engagements"  # churned names r as well, which a prospect does not have
    # churned speaks of prospects too (re), but growth and decline have bought
    assert found["intro5"] == {"intro": "engagements", "growth": "transactions", "decline": "transactions"}


def test_clocks_that_silence_does_not_tell_are_refused() -> None:
    with pytest.raises(ModelError, match="leave 'active' by a clock that watches engagements and transactions"):
        clocks(stage_rules("pal", window_days=180))
    with pytest.raises(ModelError, match="leave 'growth' by a clock that watches referrals"):
        clocks(stage_rules("arg", window_days=180))


def tables() -> Tables:
    """A prospect likes and comments on 10 January, likes on 5 February, buys on 20 April; another only unfollows."""
    acts = [("a", 9, "like"), ("a", 9, "comment"), ("a", 35, "like"), ("b", 40, "unfollow")]
    engaged = pd.DataFrame(acts, columns=["customer_id", "day", "action"])
    engaged = engaged.assign(day=engaged["day"] + START, platform="weibo", event_id=range(4), ts_us=range(4))
    bought = pd.DataFrame({"customer_id": ["a"], "day": [START + 109], "amount_minor": [5000], "currency": "CNY"})
    bought = bought.assign(is_return=False, transaction_id="t", ts_us=9)
    people = pd.DataFrame(
        {"customer_id": ["a", "b"], "replicate": [3, 4], "first_seen_at_day": START + np.array([2, 3])}
    )
    frames = {"customers": people, "transactions": bought, "engagements": engaged}
    return Tables({name: ibis.memtable(frame) for name, frame in frames.items()})


def test_prospects_are_split_by_months_since_their_last_social_act() -> None:
    found = recency_counts.execute(tables(), scheme="intro5", **OPTIONS | {"thresholds": {"m_cut": 1.0}})
    intro = found[(found["from_stage"] == "intro") & (found["replicate"] == 3)]
    pairs = intro[["from_silent", "to_stage", "to_silent"]].apply(tuple, axis=1).tolist()
    # ends of January and February with an act in the month; March is silent; in April the first purchase
    assert sorted(pairs) == [(0, "intro", 0), (0, "intro", 1), (1, "growth", 0)]
    # unfollowing is no engagement: silent since the first contact, and never lost, as the rules know no last act
    other = found[found["replicate"] == 4]
    assert sorted(zip(other["from_silent"], other["to_silent"], strict=True)) == [(k, k + 1) for k in range(5)]


def test_no_move_of_a_prospect_is_lost() -> None:
    asked = OPTIONS | {"scheme": "aipl"}
    moved = recency_counts.execute(tables(), **asked).groupby(["from_stage", "to_stage"])["n"].sum()
    plain = transition_counts.execute(tables(), **asked).groupby(["from_stage", "to_stage"])["n"].sum()
    pd.testing.assert_series_equal(moved, plain)
    assert ("interest", "awareness") in moved.index


def test_spending_ahead_follows_every_month_end_with_enough_months_after_it() -> None:
    found = spend_ahead.execute(tables(), n_periods=2, scheme="nadc", **OPTIONS)
    people = found[found["currency"] == ""].groupby("stage")["n"].sum()
    # two customers, ends of January to April; a is a prospect until March and new in April
    assert people.to_dict() == {"prospect": 7, "new": 1}
    paid = found[found["currency"] == "CNY"].groupby("stage")["amount_minor"].sum()
    # the purchase of April is within two months after the ends of February and March, not of January or April
    assert paid.to_dict() == {"prospect": 10_000}
    with pytest.raises(StudyError, match="n_periods of 1 or more; came 0"):
        spend_ahead.execute(tables(), n_periods=0, scheme="nadc", **OPTIONS)


def test_passage_counts_months_from_the_first_purchase_to_the_stage() -> None:
    asked = {"scheme": "nadc", "target": "dormant", "prospects": ["prospect"]}
    found = passage_counts.execute(tables(), **asked, **OPTIONS)
    # a buys on 20 April: new at the end of April and active at that of May (r = 41); dormant on 30 June (r = 71)
    assert found.drop(columns="replicate").to_numpy().tolist() == [[2, True, 1]]
    churned = passage_counts.execute(tables(), **asked | {"target": "churned"}, **OPTIONS)
    assert churned.drop(columns="replicate").to_numpy().tolist() == [[2, False, 1]]
    with pytest.raises(ModelError, match="no stage is named 'gone'; the stages are prospect, new"):
        passage_counts.execute(tables(), **asked | {"target": "gone"}, **OPTIONS)


def test_who_was_there_in_the_first_month_is_no_newcomer() -> None:
    early = {"customers": pd.DataFrame({"customer_id": ["a", "b"], "replicate": [3, 4]})}
    bought = pd.DataFrame({"customer_id": ["a", "b"], "day": [START + 5, START + 40], "amount_minor": 100})
    early["transactions"] = bought.assign(is_return=False, currency="CNY", transaction_id=["s", "t"], ts_us=[1, 2])
    found = passage_counts.execute(
        Tables({name: ibis.memtable(frame) for name, frame in early.items()}),
        scheme="nadc",
        target="dormant",
        prospects=["prospect"],
        **OPTIONS,
    )
    assert found["replicate"].tolist() == [4]
