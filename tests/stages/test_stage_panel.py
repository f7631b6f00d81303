"""The stage panel: against a slow panel written independently, and the laws that every panel keeps."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lcm_research.data.reduction import Tables
from lcm_research.errors import ModelError, StudyError
from lcm_research.stages.calendar import months, period_of_each_day
from lcm_research.stages.moves import possible_moves
from lcm_research.stages.panel import (
    ANY,
    customers_by_move,
    customers_by_use,
    stage_panel,
    stage_stock,
    transition_counts,
)
from lcm_research.stages.rules import stage_rules

EPOCH = date(1970, 1, 1)
START = (date(2021, 1, 1) - EPOCH).days
AS_OF = (date(2021, 12, 31) - EPOCH).days
WINDOW = {"observation_start_day": START, "as_of_day": AS_OF, "period": "month", "thresholds": {}}


def day(text: str) -> int:
    return (date.fromisoformat(text) - EPOCH).days


def tables(purchases: dict[str, list[int]], returns: dict[str, list[int]] | None = None, **customers: Any) -> Tables:
    """Tables of customers named in ``purchases``; ``customers`` are further columns, in the same order."""
    rows = [(c, d, False) for c, days in purchases.items() for d in days]
    rows += [(c, d, True) for c, days in (returns or {}).items() for d in days]
    transactions = pd.DataFrame(rows, columns=["customer_id", "day", "is_return"])
    people = pd.DataFrame({"customer_id": list(purchases), "replicate": range(len(purchases))}).assign(**customers)
    people["replicate"] %= 100
    types = {"customer_id": "string", "day": "int64", "is_return": "boolean"}
    return Tables({"customers": ibis.memtable(people), "transactions": ibis.memtable(transactions, schema=types)})


# -- an oracle that goes customer by customer and month by month ------------------------------------------------------


def month_ends(start: int, as_of: int) -> list[int]:
    ends = []
    first = EPOCH + timedelta(days=start)
    year, month = first.year, first.month
    while True:
        year, month = (year + month // 12, month % 12 + 1)
        end = (date(year, month, 1) - EPOCH).days - 1
        if end > as_of:
            return ends
        ends.append(end)


def oracle_stage(scheme: str, days: list[int], end: int, previous_end: int, previous: str | None, w: int) -> str:
    """Stage by the table of schemes, with the stage of the period before where the scheme asks for it."""
    n = len(days)
    if n == 0:
        return "potential" if scheme == "pnmc" else "prospect"
    r, u = end - max(days), end - min(days)
    if scheme == "pnmc":
        return "churned" if r > w else "mature" if n >= 4 and u >= 180 else "new"
    bought = any(d > previous_end for d in days)
    if scheme == "nadcr" and bought and previous in ("dormant", "churned"):
        return "repurchase"
    return "new" if u <= 30 else "active" if r <= 60 else "dormant" if r <= w else "churned"


def oracle(
    scheme: str, purchases: dict[str, list[int]], seen: dict[str, int | None], *, history: str, w: int
) -> pd.DataFrame:
    ends = month_ends(START, AS_OF)
    rows = []
    for customer, all_days in purchases.items():
        days = [d for d in all_days if history == "complete" or d >= START]
        contact = min([d for d in [*days, seen[customer]] if d is not None], default=None)
        before_window = (date(2020, 12, 31) - EPOCH).days
        earlier = (date(2020, 11, 30) - EPOCH).days
        past = [d for d in days if d <= before_window]
        # the stage at the end of the month before the window, for the scheme that remembers
        previous = oracle_stage(scheme, past, before_window, earlier, None, w) if past else None
        previous_end = before_window
        for end in ends:
            if contact is None or contact > end:
                previous_end = end
                continue
            so_far = [d for d in days if d <= end]
            stage = oracle_stage(scheme, so_far, end, previous_end, previous, w)
            whole = history == "complete" or (seen[customer] is not None and seen[customer] >= START)
            known = whole or (end >= START + w and len(so_far) > 0)
            rows.append((customer, end, stage if known else "unknown"))
            previous, previous_end = stage, end
    return pd.DataFrame(rows, columns=["customer_id", "end", "stage"])


def oracle_moves(panel: pd.DataFrame) -> dict[tuple[str, str, str], int]:
    moves: dict[tuple[str, str, str], int] = {}
    for _, rows in panel.groupby("customer_id"):
        stages, ends = list(rows["stage"]), list(rows["end"])
        for a, b, end in zip(stages, stages[1:], ends[1:], strict=False):
            if "unknown" not in (a, b):
                key = (a, b, str((EPOCH + timedelta(days=end)).replace(day=1)))
                moves[key] = moves.get(key, 0) + 1
    return moves


purchase_days = st.lists(st.integers(START - 250, AS_OF + 20), max_size=9)
people = st.lists(st.tuples(purchase_days, st.none() | st.integers(START - 100, AS_OF + 20)), min_size=1, max_size=40)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(people=people, scheme=st.sampled_from(["nadc", "nadcr", "pnmc"]), w=st.sampled_from([90, 180]), data=st.data())
def test_counts_are_those_of_a_panel_built_customer_by_customer(people, scheme, w, data) -> None:
    history = data.draw(st.sampled_from(["complete", "from_observation_start"]))
    purchases = {f"c{i}": days for i, (days, _) in enumerate(people)}
    seen = {f"c{i}": first for i, (_, first) in enumerate(people)}
    made = tables(purchases, first_seen_at_day=pd.array(list(seen.values()), dtype="Int64"))
    expected = oracle(scheme, purchases, seen, history=history, w=w)
    options = dict(WINDOW, scheme=scheme, window_days=w, history=history)

    stock = stage_stock.execute(made, **options)
    assert stock["n"].sum() == len(expected)
    assert stock.groupby("stage")["n"].sum().to_dict() == expected["stage"].value_counts().to_dict()

    counts = transition_counts.execute(made, **options)
    found = counts.groupby(["from_stage", "to_stage", "period_start"])["n"].sum().to_dict()
    assert found == oracle_moves(expected)

    moves = possible_moves(stage_rules(scheme, window_days=w))
    place = {stage: i for i, stage in enumerate(moves.stages)}
    assert all(moves.possible[place[a], place[b]] for a, b, _ in found), "a move happened that is called impossible"

    heads = customers_by_move.execute(made, **options)
    pairs = _customers_by_pair(expected)
    assert heads.groupby(["from_stage", "to_stage"])["n_customers"].sum().to_dict() == pairs


def _customers_by_pair(panel: pd.DataFrame) -> dict[tuple[str, str], int]:
    made = set()
    for customer, rows in panel.groupby("customer_id"):
        stages = list(rows["stage"])
        for a, b in itertools.pairwise(stages):
            if "unknown" not in (a, b):
                made |= {(customer, a, b), (customer, a, ANY)}
    pairs: dict[tuple[str, str], int] = {}
    for _, a, b in made:
        pairs[a, b] = pairs.get((a, b), 0) + 1
    return pairs


@settings(max_examples=3, deadline=None)
@given(people=people, later=st.lists(st.integers(0, 60), min_size=1, max_size=5))
def test_no_later_row_changes_an_earlier_stage(people, later) -> None:
    cut = day("2021-08-31")
    past = {f"c{i}": [d for d in days if d <= cut] for i, (days, _) in enumerate(people)}
    changed = {c: [*days, *(cut + 1 + x for x in later)] for c, days in past.items()}
    options = dict(WINDOW, scheme="nadcr", window_days=180, history="complete")
    before, after = (stage_stock.execute(tables(p), **options) for p in (past, changed))
    pd.testing.assert_frame_equal(
        before[before["period_start"] <= "2021-08-01"].reset_index(drop=True),
        after[after["period_start"] <= "2021-08-01"].reset_index(drop=True),
    )
    short = stage_stock.execute(tables(changed), **(options | {"as_of_day": cut}))
    pd.testing.assert_frame_equal(before[before["period_start"] <= "2021-08-01"].reset_index(drop=True), short)


@settings(max_examples=3, deadline=None)
@given(people=people, windows=st.lists(st.integers(61, 400), min_size=2, max_size=2))
def test_a_longer_churn_window_never_gives_more_churned(people, windows) -> None:
    made = tables({f"c{i}": days for i, (days, _) in enumerate(people)})
    options = dict(WINDOW, scheme="nadc", history="complete")
    stocks = [stage_stock.execute(made, **options, window_days=w) for w in sorted(windows)]
    short, long = (s[s["stage"] == "churned"].groupby("period_start")["n"].sum() for s in stocks)
    assert (long <= short.reindex(long.index, fill_value=0)).all()


@settings(max_examples=3, deadline=None)
@given(people=people)
def test_every_customer_period_has_exactly_one_stage(people) -> None:
    made = tables({f"c{i}": days for i, (days, _) in enumerate(people)})
    rules = stage_rules("nadcr", window_days=180)
    panel = stage_panel(made, rules=rules, observation_start_day=START, as_of_day=AS_OF, history="complete").to_pandas()
    assert not panel.duplicated(["customer_id", "period"]).any()
    assert panel["code"].between(0, len(rules.stages) - 1).all()
    last = panel.groupby("customer_id")["period"].agg(["min", "max", "size"])
    assert (last["max"] == 11).all()
    assert (last["size"] == 12 - last["min"]).all()


# -- worked by hand ---------------------------------------------------------------------------------------------------


def moves_of(made: Tables, **options: Any) -> dict[tuple[str, str, str], int]:
    given = dict(WINDOW, scheme="nadc", window_days=180, history="complete") | options
    counts = transition_counts.execute(made, **given)
    return counts.groupby(["from_stage", "to_stage", "period_start"])["n"].sum().to_dict()


def test_one_purchase_runs_through_the_stages_by_the_clock() -> None:
    # bought on 2021-01-10. Jan 31: u = 21 new. Feb 28: r = 49 active. Mar 31: r = 80 dormant. Apr 30 110, May 31 141,
    # Jun 30 171 dormant. Jul 31: r = 202 churned, and so on to Dec 31.
    found = moves_of(tables({"a": [day("2021-01-10")]}))
    assert found[("new", "active", "2021-02-01")] == 1
    assert found[("active", "dormant", "2021-03-01")] == 1
    assert [found[("dormant", "dormant", f"2021-0{m}-01")] for m in (4, 5, 6)] == [1, 1, 1]
    assert found[("dormant", "churned", "2021-07-01")] == 1
    assert sum(n for (a, b, _), n in found.items() if (a, b) == ("churned", "churned")) == 5
    assert sum(found.values()) == 11


def test_a_return_is_a_contact_and_not_a_purchase() -> None:
    found = moves_of(tables({"a": []}, returns={"a": [day("2021-10-05")]}))
    assert found == {("prospect", "prospect", "2021-11-01"): 1, ("prospect", "prospect", "2021-12-01"): 1}


def test_a_customer_seen_before_the_first_purchase_is_a_prospect_until_then() -> None:
    made = tables({"a": [day("2021-11-20")]}, first_seen_at_day=[day("2021-09-03")])
    found = moves_of(made)
    assert found == {
        ("prospect", "prospect", "2021-10-01"): 1,
        ("prospect", "new", "2021-11-01"): 1,
        ("new", "active", "2021-12-01"): 1,  # Dec 31 is 41 days after the first purchase
    }


def test_without_a_whole_history_stages_are_unknown_until_the_window_has_passed() -> None:
    # window 180 from 2021-01-01 ends on 2021-06-30; the stage of Jun 30 is the first known one
    made = tables({"a": [day("2021-01-10")]})
    stock = stage_stock.execute(made, **dict(WINDOW, scheme="nadc", window_days=180, history="from_observation_start"))
    known = stock[stock["stage"] != "unknown"]
    assert stock["stage"].tolist()[:5] == ["unknown"] * 5
    assert known["period_start"].min() == "2021-06-01"
    assert sum(moves_of(made, history="from_observation_start").values()) == 6  # Jul to Dec


def test_a_customer_first_seen_inside_the_window_is_known_from_the_start() -> None:
    made = tables({"a": [day("2021-01-10")]}, first_seen_at_day=[day("2021-01-10")])
    assert sum(moves_of(made, history="from_observation_start").values()) == 11


def test_somebody_first_seen_before_an_incomplete_history_is_never_called_a_prospect() -> None:
    made = tables({"a": []}, first_seen_at_day=[START - 50])
    stock = stage_stock.execute(made, **dict(WINDOW, scheme="nadc", window_days=180, history="from_observation_start"))
    assert set(stock["stage"]) == {"unknown"}


def test_the_month_that_is_not_over_is_dropped() -> None:
    found = moves_of(tables({"a": [day("2021-10-10")]}), as_of_day=day("2021-12-30"))
    assert max(start for _, _, start in found) == "2021-11-01"


def test_counts_are_split_by_segment() -> None:
    made = tables({"a": [day("2021-10-10")], "b": [day("2021-11-10")]}, region=["north", "south"])
    counts = transition_counts.execute(
        made, **dict(WINDOW, scheme="nadc", window_days=180, history="complete", by=["region"])
    )
    # a: Oct new, Nov active, Dec dormant (82 days); b: Nov new, Dec active
    assert counts.groupby("region")["n"].sum().to_dict() == {"north": 2, "south": 1}


def test_months_are_inclusive_and_cover_every_day_once() -> None:
    calendar = months(observation_start_day=day("2020-02-10"), as_of_day=day("2020-04-30"))
    assert calendar["end_day"].tolist() == [day("2020-02-29"), day("2020-03-31"), day("2020-04-30")]
    days = period_of_each_day(calendar)
    assert days["day"].tolist() == list(range(day("2020-02-01"), day("2020-04-30") + 1))
    assert np.bincount(days["period"]).tolist() == [29, 31, 30]


def test_a_window_without_a_whole_month_is_refused() -> None:
    with pytest.raises(ModelError, match="2021-03-02 to 2021-03-30 holds none"):
        months(observation_start_day=day("2021-03-02"), as_of_day=day("2021-03-30"))


def test_another_period_than_a_month_is_refused() -> None:
    with pytest.raises(StudyError, match=r"period='month'.*came 'week'"):
        moves_of(tables({"a": [START]}), period="week")


@pytest.mark.parametrize("made_by", [transition_counts, stage_stock, customers_by_move])
def test_reductions_compile_for_spark(made_by) -> None:
    from ibis.backends.sql.compilers.pyspark import compiler

    made = tables({"a": [START]}, first_seen_at_day=[START], region=["north"])
    options = dict(WINDOW, scheme="nadcr", window_days=180, history="from_observation_start", by=["region"])
    assert compiler.to_sqlglot(made_by(made, **options)).sql("spark").startswith("SELECT")


def test_every_customer_of_the_study_is_accounted_for() -> None:
    # a is followed from October; b comes in December, so only one month end is known; c comes after the last month end
    made = tables({"a": [day("2021-10-10")], "b": [day("2021-12-10")], "c": [day("2022-01-05")], "d": []})
    told = customers_by_use.execute(made, **dict(WINDOW, scheme="nadc", window_days=180, history="complete"))
    assert told.groupby("status")["n_customers"].sum().to_dict() == {"used": 1, "not_twice": 1, "not_seen": 2}


def test_counts_of_disjoint_customers_add_up() -> None:
    north = {"a": [day("2021-03-10"), day("2021-08-01")], "b": [day("2021-05-20")]}
    south = {"c": [day("2021-01-10")]}
    together, *apart = (moves_of(tables(part)) for part in (north | south, north, south))
    summed = {key: sum(part.get(key, 0) for part in apart) for key in set().union(*apart)}
    assert together == summed


def test_a_customer_who_makes_a_move_twice_is_one_customer() -> None:
    # bought on Jan 10 and Jun 10: new in January, active in February, dormant March to May, active June and July,
    # dormant from August on: active to dormant twice, one customer
    made = tables({"a": [day("2021-01-10"), day("2021-06-10")]})
    options = dict(WINDOW, scheme="nadc", window_days=300, history="complete")
    heads = customers_by_move.execute(made, **options).set_index(["from_stage", "to_stage"])["n_customers"].to_dict()
    assert moves_of(made, window_days=300)[("active", "dormant", "2021-08-01")] == 1
    assert heads == {
        ("new", "active"): 1,
        ("new", ANY): 1,
        ("active", "active"): 1,
        ("active", "dormant"): 1,
        ("active", ANY): 1,
        ("dormant", "active"): 1,
        ("dormant", "dormant"): 1,
        ("dormant", ANY): 1,
    }
