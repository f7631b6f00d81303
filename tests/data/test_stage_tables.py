"""Tiers, invitations, answers and communities: what is stored of them, and that the schemes that ask for them run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from small_study import Brand

from lcm_research.data.backend import connect, open_tables
from lcm_research.errors import DataError, StudyError
from lcm_research.stages.panel import stage_stock
from lcm_research.stages.scheme import load_scheme
from lcm_research.study import Engine

Words = Callable[..., dict[str, Any]]

JANUARY, DECEMBER = 18262, 18627  # 2020-01-01 and 2020-12-31
TIERS = {"file": "tiers.csv", "columns": {"customer_id": "id", "valid_from": "since", "tier": "tier"}}
INVITATIONS = {
    "file": "invited.csv",
    "columns": {"referrer_id": "who", "invitee_id": "whom", "invited_at": "sent", "accepted_at": "accepted"},
}
ANSWERS = {
    "file": "answers.csv",
    "columns": {
        **{"customer_id": "id", "ts": "at", "item_id": "'loyalty'", "value": "score"},
        **{"scale_min": "0", "scale_max": "10"},
    },
}
COMMUNITIES = {
    "community": {
        "file": "groups.csv",
        "columns": {"community_id": "group", "platform": "'wechat'", "created_at": "created"},
    },
    "community_member": {
        "file": "members.csv",
        "columns": {"community_id": "group", "customer_id": "id", "joined_at": "joined", "left_at": "quit"},
    },
}


def stock(brand: Brand, tables: dict[str, Any], scheme: Any, **thresholds: float) -> dict[str, int]:
    """Return the customers (or communities) in each stage at the end of December."""
    made = open_tables(brand.ingest(tables), connect(Engine()))
    counts = stage_stock.execute(
        made,
        scheme=scheme,
        thresholds=thresholds,
        window_days=180,
        period="month",
        observation_start_day=JANUARY,
        as_of_day=DECEMBER,
        history="complete",
    )
    last = counts[counts["period_start"] == "2020-12-01"]
    return last.groupby("stage")["n"].sum().to_dict()


@pytest.fixture
def buyers(brand: Brand, sales: Words) -> dict[str, Any]:
    brand.write("sales.csv", "customer,date,amount\na,2020-10-10,9\nb,2020-10-10,9\nc,2020-01-10,9\n")
    return sales()


def test_an_accepted_invitation_puts_its_sender_into_growth(brand: Brand, buyers: dict[str, Any]) -> None:
    brand.write("invited.csv", "who,whom,sent,accepted\na,x,2020-11-01,2020-12-05\nb,y,2020-11-01,\nz,y,2020-11-01,\n")
    made = brand.table("referrals", buyers | {"referrals": INVITATIONS})
    assert made["referrer_id"].tolist() == ["a", "b", "z"]
    assert made["invited_at_day"].tolist() == [18567] * 3
    assert made["accepted_at_day"].fillna(-1).tolist() == [18601, -1, -1]
    # z is known for an invitation that nobody accepted, which is no contact that the scheme knows of
    assert stock(brand, buyers | {"referrals": INVITATIONS}, "arg") == {"growth": 1, "retention": 1, "churned": 1}


def test_an_acceptance_that_cannot_be_read_is_refused(brand: Brand, buyers: dict[str, Any]) -> None:
    brand.write("invited.csv", "who,whom,sent,accepted\na,x,2020-11-01,soon\n")
    with pytest.raises(DataError, match=r"referrals\.columns\.accepted_at: expected dates"):
        brand.ingest(buyers | {"referrals": INVITATIONS})


def test_invitations_of_strangers_are_left_out_by_their_sender(brand: Brand, buyers: dict[str, Any]) -> None:
    brand.write("people.csv", "id\na\nb\nc\n")
    brand.write("invited.csv", "who,whom,sent,accepted\na,x,2020-11-01,\nz,a,2020-11-01,\n")
    people = {"customers": {"file": "people.csv", "columns": {"customer_id": "id"}}}
    ledger = brand.ingest(buyers | people | {"referrals": INVITATIONS}).ledger().query("table == 'referrals'")
    assert ledger.set_index("rule")["rows"].to_dict() == {"rows_in": 2, "unknown_customer": 1, "rows_used": 1}


def test_a_tier_that_began_before_the_window_is_kept(brand: Brand, buyers: dict[str, Any]) -> None:
    brand.write("tiers.csv", "id,since,tier\na,2019-05-01,silver\na,2020-12-05,gold\nb,2021-05-01,gold\n")
    tables = buyers | {"tier_history": TIERS}
    # what began before goes on in the window; what begins after as_of is not known yet
    assert brand.table("tier_history", tables, data={"history": "from_observation_start"})["customer_id"].tolist() == [
        "a",
        "a",
    ]


def test_an_upgrade_is_an_expansion(brand: Brand, buyers: dict[str, Any]) -> None:
    brand.write("tiers.csv", "id,since,tier\na,2019-05-01,silver\na,2020-12-05,gold\nb,2020-05-01,gold\n")
    amec = load_scheme("amec").definition() | {"tiers": ["silver", "gold"]}
    assert stock(brand, buyers | {"tier_history": TIERS}, amec) == {"expand": 1, "maintain": 1, "churn": 1}


def test_an_answer_can_make_a_buyer_loyal(brand: Brand, buyers: dict[str, Any]) -> None:
    brand.write("sales.csv", "customer,date,amount\n" + "".join(f"{c},2020-{m}-10,9\n" for c in "ab" for m in (10, 11)))
    brand.write("answers.csv", "id,at,score\na,2020-12-01,9\nb,2020-12-01,2\n")
    brand.write("acts.csv", "id,at\na,2020-02-01\n")
    acts = {"customer_id": "id", "ts": "at", "platform": "'weibo'", "action": "'like'"}
    tables = buyers | {"survey": ANSWERS, "engagements": {"file": "acts.csv", "columns": acts}}
    assert stock(brand, tables, "pnlc") == {"loyal": 1, "new": 1}


def test_a_community_is_a_unit_of_its_own(brand: Brand, buyers: dict[str, Any]) -> None:
    brand.write("groups.csv", "group,created\ng,2020-02-01\nh,2020-12-20\n")
    members = "".join(f"g,m{i},2020-03-01,\n" for i in range(120)) + "h,m1,2020-12-21,2020-12-22\n"
    brand.write("members.csv", "group,id,joined,quit\n" + members)
    made = brand.ingest(buyers | COMMUNITIES)
    assert made.n_customers == 3  # members need not be customers
    assert made.n_rows["community_member"] == 121
    assert stock(brand, buyers | COMMUNITIES, "community3") == {"growth": 1, "early": 1}


def test_an_end_of_membership_that_cannot_be_read_is_refused(brand: Brand, buyers: dict[str, Any]) -> None:
    brand.write("groups.csv", "group,created\ng,2020-02-01\n")
    brand.write("members.csv", "group,id,joined,quit\ng,m,2020-03-01,later\n")
    with pytest.raises(DataError, match=r"community_member\.columns\.left_at: expected dates .* 1 of 1 rows hold"):
        brand.ingest(buyers | COMMUNITIES)


def test_communities_alone_are_no_study_of_customers(brand: Brand) -> None:
    brand.write("groups.csv", "group,created\ng,2020-02-01\n")
    brand.write("members.csv", "group,id,joined,quit\ng,m,2020-03-01,\n")
    with pytest.raises(StudyError, match="expected a table of events beside customers; map transactions"):
        brand.ingest(dict(COMMUNITIES))
