"""Moves beside what was known before them: each row by a plain loop, and nothing of the future among it."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.data.reduction import Tables
from lcm_research.errors import StudyError
from lcm_research.stages.calendar import months
from lcm_research.stages.covariates import class_names, covariate_counts, covariate_customers
from lcm_research.stages.panel import ANY, UNKNOWN, stage_panel, transition_counts
from lcm_research.stages.rules import stage_rules

START, AS_OF = 18628, 19174  # 2021-01-01 to 2022-07-01: 18 whole months
RULES = stage_rules("nadc", window_days=120)
PANEL: dict[str, Any] = {
    "scheme": "nadc",
    "thresholds": {},
    "window_days": 120,
    "period": "month",
    "observation_start_day": START,
    "as_of_day": AS_OF,
    "history": "from_observation_start",
}
ASKED: dict[str, Any] = {
    "engaged_breaks": [1, 3],
    "engaged_when": ["before", "during", "after"],
    "actions": [],
    "touched_breaks": [1],
    "bought_breaks": [1, 2],
    "bought_months": 3,
    "silent_breaks": [1, 2],
    "by_quarter": True,
}
COVARIATES = ["engaged_before", "engaged_during", "engaged_after", "touched_before", "bought_before", "silent_before"]


def drawn(seed: int) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(seed)

    def rows(n: int) -> pd.DataFrame:
        return pd.DataFrame({"customer_id": rng.integers(0, 50, n).astype(str), "day": rng.integers(18500, 19200, n)})

    bought = rows(300).assign(is_return=rng.random(300) < 0.05, amount_minor=100, currency="CNY")
    acts = rows(400).assign(action=rng.choice(["like", "share", "review"], 400))
    people = pd.DataFrame({"customer_id": np.arange(50).astype(str), "replicate": np.arange(50) % 100})
    people["first_seen_at_day"] = people["customer_id"].map(bought.groupby("customer_id")["day"].min()).fillna(18700)
    people = people.astype({"first_seen_at_day": "int64"}).assign(region=np.where(np.arange(50) % 3, "east", "west"))
    return {"customers": people, "transactions": bought, "engagements": acts, "touchpoints": rows(200)}


def as_tables(frames: dict[str, pd.DataFrame]) -> Tables:
    return Tables({name: ibis.memtable(frame) for name, frame in frames.items()})


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    return drawn(4)


def named(n: int, breaks: list[int]) -> str:
    return class_names(breaks)[int(np.digitize(n, breaks))]


def oracle(frames: dict[str, pd.DataFrame], history: str, asked: dict[str, Any]) -> pd.DataFrame:
    """One row a move, by a plain loop over customers and months."""
    calendar = months(observation_start_day=START, as_of_day=AS_OF)
    told = {"observation_start_day": START, "as_of_day": AS_OF, "history": history}
    panel = stage_panel(as_tables(frames), rules=RULES, **told).to_pandas()
    seen = {name: f if history == "complete" else f[f["day"] >= START] for name, f in frames.items() if "day" in f}
    acts = seen["engagements"]
    acts = acts[acts["action"].isin(asked["actions"])] if asked["actions"] else acts
    acted = acts.drop_duplicates(["customer_id", "day"])
    bought = seen["transactions"].query("~is_return").drop_duplicates(["customer_id", "day"])
    first_seen = frames["customers"].set_index("customer_id")["first_seen_at_day"]

    def ends(period: int) -> tuple[int, int]:
        month = pd.Period(calendar["period_start"].iloc[0], freq="M") + period
        return tuple((end - pd.Timestamp(0)).days for end in (month.start_time, month.end_time))  # type: ignore

    def within(rows: pd.DataFrame, first: int, last: int) -> pd.Series:
        return rows.loc[(rows["day"] >= ends(first)[0]) & (rows["day"] <= ends(last)[1]), "day"]

    made = []
    for row in panel[(panel["code"] >= 0) & (panel["was"] >= 0)].itertuples():
        p, own = row.period, {name: f[f["customer_id"] == row.customer_id] for name, f in seen.items()}
        days, purchases = (f[f["customer_id"] == row.customer_id] for f in (acted, bought))
        known = history == "complete" or first_seen[row.customer_id] >= START
        lately = within(purchases, p - asked["bought_months"], p - 1)
        month_of = {q: len(within(purchases, q, q)) for q in range(p - asked["bought_months"], p)}
        silent = next((p - 1 - q for q in sorted(month_of, reverse=True) if month_of[q]), asked["bought_months"])
        month_seen, months_seen = (known or ends(p - k)[0] >= START for k in (1, asked["bought_months"]))
        values = {
            "engaged_before": (len(within(days, p - 1, p - 1)), "engaged", month_seen),
            "engaged_during": (len(within(days, p, p)), "engaged", True),
            "engaged_after": (len(within(days, p + 1, p + 1)), "engaged", p + 1 < len(calendar)),
            "touched_before": (len(within(own["touchpoints"], p - 1, p - 1)), "touched", month_seen),
            "bought_before": (len(lately), "bought", months_seen),
            "silent_before": (silent, "silent", months_seen),
        }
        start = calendar["period_start"].iloc[p]
        classes = {c: named(n, asked[f"{k}_breaks"]) if ok else UNKNOWN for c, (n, k, ok) in values.items()}
        made.append(
            classes
            | {"from_stage": RULES.stages[int(row.was)], "to_stage": RULES.stages[row.code]}
            | {"replicate": row.replicate, "customer_id": row.customer_id}
            | {"quarter": f"{start[:4]}-Q{(int(start[5:7]) - 1) // 3 + 1}"}
        )
    return pd.DataFrame(made)


@pytest.mark.parametrize("history", ["complete", "from_observation_start"])
@pytest.mark.parametrize("actions", [[], ["like"]])
def test_every_move_stands_beside_what_a_plain_loop_finds(
    frames: dict[str, pd.DataFrame], history: str, actions: list[str]
) -> None:
    asked = ASKED | {"actions": actions, "bought_months": 6}
    found = covariate_counts.execute(as_tables(frames), **PANEL | {"history": history}, **asked)
    keys = ["from_stage", "to_stage", *COVARIATES, "quarter", "replicate"]
    expected = oracle(frames, history, asked).value_counts(keys).rename("n").sort_index()
    pd.testing.assert_series_equal(
        found.set_index(keys)["n"].sort_index(), expected, check_names=False, check_index_type=False
    )
    assert (found["engaged_after"] == UNKNOWN).any()
    assert (found["bought_before"] == UNKNOWN).any() == (history != "complete")


def test_the_moves_are_those_of_the_chapter(frames: dict[str, pd.DataFrame]) -> None:
    keys = ["from_stage", "to_stage", "region", "replicate"]
    tables, panel = as_tables(frames), PANEL | {"by": ["region"]}
    found = covariate_counts.execute(tables, **panel, **ASKED).groupby(keys)["n"].sum()
    moved = transition_counts.execute(tables, **panel).groupby(keys)["n"].sum()
    pd.testing.assert_series_equal(found, moved)


def test_customers_are_different_ones(frames: dict[str, pd.DataFrame]) -> None:
    found = covariate_customers.execute(as_tables(frames), **PANEL, **ASKED)
    rows = oracle(frames, PANEL["history"], ASKED)
    rows = rows[(rows[["engaged_before", "touched_before", "bought_before", "silent_before"]] != UNKNOWN).all(axis=1)]
    heads = found.groupby(["from_stage", "covariate", "level", "to_stage"])["n_customers"].sum()
    engaged = rows[(rows["from_stage"] == "active") & (rows["engaged_before"] == "1-2")]
    assert heads["active", "engaged_before", "1-2", ANY] == engaged["customer_id"].nunique()
    stayed = engaged[engaged["to_stage"] == "active"]["customer_id"].nunique()
    assert heads["active", "engaged_before", "1-2", "active"] == stayed
    assert heads["dormant", "", "", ANY] == rows[rows["from_stage"] == "dormant"]["customer_id"].nunique()
    assert stayed > 5


@settings(max_examples=6, deadline=None)
@given(st.integers(8, 17), st.integers(0, 1000))
def test_no_row_of_the_month_of_the_move_or_later_is_among_the_covariates(last: int, seed: int) -> None:
    # the window ends with month `last`: rows from its first day on may change where customers went, never what the
    # moves into it are set beside
    frames, rng = drawn(seed % 3), np.random.default_rng(seed)
    calendar = months(observation_start_day=START, as_of_day=AS_OF)
    start_day, end_day = (int(calendar[f"{edge}_day"].iloc[last]) for edge in ("start", "end"))

    def more(name: str) -> pd.DataFrame:
        rows = frames[name]
        added = rows.sample(60, random_state=seed).assign(day=rng.integers(start_day, end_day + 40, 60))
        return pd.concat([rows, added], ignore_index=True)

    asked = ASKED | {"engaged_when": ["before"]}
    panel = PANEL | {"as_of_day": end_day}
    names = ["engaged_before", "touched_before", "bought_before", "silent_before", "quarter"]
    before = covariate_counts.execute(as_tables(frames), **panel, **asked)
    later = {name: more(name) for name in ("engagements", "touchpoints")}
    pd.testing.assert_frame_equal(covariate_counts.execute(as_tables(frames | later), **panel, **asked), before)
    # purchases, too, change destinations alone
    bought = covariate_counts.execute(as_tables(frames | {"transactions": more("transactions")}), **panel, **asked)
    known = [f[f["from_stage"] != "prospect"].groupby(["from_stage", *names])["n"].sum() for f in (before, bought)]
    pd.testing.assert_series_equal(*known)


def test_in_the_month_of_the_move_engaging_goes_with_coming_back_though_it_does_nothing() -> None:
    # 2,000 customers bought once; in each later month one in ten happens to be in the market: those buy, and look at
    # the brand. Being in the market is drawn anew each month, so engaging tells nothing of the month after.
    rng = np.random.default_rng(3)
    n, calendar = 2000, months(observation_start_day=START, as_of_day=AS_OF)
    ids = np.arange(n).astype(str)
    first = pd.DataFrame({"customer_id": ids, "day": START + rng.integers(0, 28, n)})
    bought, acts = [first], []
    for day in calendar["start_day"].iloc[1:]:
        there, looks = rng.random(n) < 0.1, rng.random(n) < 0.05
        bought.append(pd.DataFrame({"customer_id": ids[there], "day": day + rng.integers(0, 28, there.sum())}))
        looks |= there
        acts.append(pd.DataFrame({"customer_id": ids[looks], "day": day + rng.integers(0, 28, looks.sum())}))
    frames = {
        "customers": pd.DataFrame({"customer_id": ids, "replicate": np.arange(n) % 100}),
        "transactions": pd.concat(bought).assign(is_return=False, amount_minor=1, currency="CNY"),
        "engagements": pd.concat(acts).assign(action="like"),
    }
    asked = ASKED | {"engaged_breaks": [1], "touched_breaks": [], "engaged_when": ["before", "during"]}
    counts = covariate_counts.execute(as_tables(frames), **PANEL | {"history": "complete"}, **asked)
    dormant = counts[counts["from_stage"] == "dormant"]

    def share(column: str, level: str) -> float:
        rows = dormant[dormant[column] == level]
        return float(rows.loc[rows["to_stage"] == "active", "n"].sum() / rows["n"].sum())

    assert share("engaged_during", "1+") > 0.6
    assert share("engaged_during", "0") == 0
    assert abs(share("engaged_before", "1+") - share("engaged_before", "0")) < 0.03


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engaged_breaks": [3, 1]}, r"breaks that rise and begin at 1 or later.*came \[3, 1\]"),
        ({"bought_breaks": [0, 2]}, r"came \[0, 2\]"),
        ({"bought_months": 0}, "bought_months of 1 or more; came 0"),
        ({"engaged_when": ["later"]}, "expected engaged_when of before, during, after; came 'later'"),
        ({"silent_breaks": [1, 5]}, "go up to 5 months, beyond bought_months=3"),
        (
            {"bought_breaks": list(range(1, 40))},
            # 3 * 2 * 40 * 3 * 6 classes, the last the quarters of 18 months
            r"4,320 patterns, more than 2,000; cut 'bought_before' \(40 classes\)",
        ),
    ],
)
def test_what_cannot_be_counted_is_refused(
    frames: dict[str, pd.DataFrame], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        covariate_counts(as_tables(frames), **PANEL, **ASKED | change)


def test_an_empty_list_of_breaks_leaves_a_covariate_out_and_needs_no_table(frames: dict[str, pd.DataFrame]) -> None:
    few = {name: frames[name] for name in ("customers", "transactions")}
    asked = ASKED | {"engaged_breaks": [], "touched_breaks": [], "by_quarter": False}
    found = covariate_counts.execute(as_tables(few), **PANEL, **asked)
    assert list(found.columns) == ["bought_before", "silent_before", "replicate", "from_stage", "to_stage", "n"]
    other = {"bought_breaks": [], "silent_breaks": [1]}
    assert "bought_before" not in covariate_counts.execute(as_tables(few), **PANEL, **asked | other).columns
