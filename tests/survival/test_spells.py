"""Spells: the definition by hand, against an oracle, on another engine, and what the wrong recipes would say."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ibis.backends.sql.compilers import pyspark
from spell_oracle import classify, count_used, make_tables

from lcm_research.errors import ModelError
from lcm_research.survival.spells import bought_once, return_counts, spell_counts, spell_reconciliation

CHOICES: dict[str, Any] = {"window_days": 30, "observation_start_day": 100, "as_of_day": 300, "history": "complete"}
# the cut is 300 - 30 = 270; late entry opens on 100 + 30 = 130


def counted(purchases: dict[str, list[int]], **changed: Any) -> list[tuple[int, int, bool, int]]:
    made = {name: changed.pop(name) for name in ("returns", "first_seen", "segment") if name in changed}
    choices = CHOICES | {"entry": "incident", "by": []} | changed
    table = spell_counts.execute(make_tables(purchases, **made), **choices)
    return list(table[["entry_days", "duration_days", "event_observed", "n"]].itertuples(index=False, name=None))


def test_a_lapse_is_dated_at_the_last_activity_before_the_first_long_silence() -> None:
    # 110, 120, 140 then silence until 171 (31 > 30 days): the spell is 110..140, inclusive 31 days
    assert counted({"a": [110, 120, 140, 171]}) == [(0, 31, True, 1)]


def test_a_silence_of_exactly_the_window_is_no_lapse() -> None:
    # 110 to 140 is 30 days, no more than the window; 140 is before the cut and nothing follows
    assert counted({"a": [110, 140]}) == [(0, 31, True, 1)]


def test_a_spell_with_activity_at_or_after_the_cut_is_censored_there() -> None:
    # every gap at most 30 and last activity on day 270, the cut: 270 - 240 = 30 days, whatever followed
    assert counted({"a": [240, 270]}) == [(0, 30, False, 1)]
    assert counted({"a": [240, 269]}) == [(0, 30, True, 1)]
    assert counted({"a": [240, 270, 299]}) == [(0, 30, False, 1)]


def test_spells_that_start_at_or_after_the_cut_are_left_out() -> None:
    assert counted({"a": [269]}) == [(0, 1, True, 1)]
    assert counted({"a": [270]}) == []


def test_a_customer_who_bought_before_observation_is_not_incident() -> None:
    assert counted({"a": [99, 110]}) == []
    assert counted({"a": [60, 100]}) == []  # the later spell of an old customer is none either


def test_a_customer_first_seen_before_observation_is_not_incident() -> None:
    assert counted({"a": [110]}, first_seen={"a": 99}) == []
    assert counted({"a": [110]}, first_seen={"a": 100}) == [(0, 1, True, 1)]


def test_without_a_complete_history_a_first_spell_counts_only_after_a_silent_window() -> None:
    later = {"history": "from_observation_start"}
    assert counted({"a": [129]}, **later) == []
    assert counted({"a": [130]}, **later) == [(0, 1, True, 1)]
    assert counted({"a": [129]}, first_seen={"a": 105}, **later) == [(0, 1, True, 1)]
    # what lies before observation is not used
    assert counted({"a": [99, 130]}, **later) == [(0, 1, True, 1)]


def test_returns_and_days_after_as_of_are_no_activity() -> None:
    assert counted({"a": [110, 301]}, returns={"a": [120]}) == [(0, 1, True, 1)]


def test_purchases_of_one_day_are_one_activity() -> None:
    assert counted({"a": [110, 110, 110]}) == [(0, 1, True, 1)]


def test_a_spell_open_when_late_entry_opens_enters_with_its_age() -> None:
    # starts on 120, alive until 145: on day 130 it is 10 days old; duration 145 - 120 + 1 = 26
    assert counted({"a": [120, 145]}, entry="late") == [(10, 26, True, 1)]
    # its last activity is on day 130 itself: at risk on its 11th day
    assert counted({"a": [120, 130]}, entry="late") == [(10, 11, True, 1)]
    # over by then
    assert counted({"a": [120, 129]}, entry="late") == []
    # every spell of a customer, entering at its start from then on
    assert counted({"a": [120, 145, 200]}, entry="late") == [(0, 1, True, 1), (10, 26, True, 1)]


def test_late_entry_takes_no_spell_whose_start_was_not_seen() -> None:
    later = {"entry": "late", "history": "from_observation_start"}
    assert counted({"a": [120, 145]}, **later) == []
    assert counted({"a": [120, 145]}, first_seen={"a": 118}, **later) == [(10, 26, True, 1)]
    assert counted({"a": [110, 150]}, **later) == [(0, 1, True, 1)]


def test_segments_become_keys_and_a_missing_one_is_unknown() -> None:
    tables = make_tables({"a": [110], "b": [110]}, segment={"a": "north", "b": None})
    table = spell_counts.execute(tables, **CHOICES, entry="incident", by=["region"])
    assert table["region"].tolist() == ["north", "unknown"]
    assert table["replicate"].tolist() == [0, 1]


def test_every_spell_and_every_customer_is_accounted_for() -> None:
    purchases = {"used": [110], "old": [90], "young": [270], "twice": [110, 200], "never": []}
    table = spell_reconciliation.execute(make_tables(purchases), **CHOICES, entry="incident")
    told = table.groupby("status")[["n_customers", "n_spells"]].sum().to_dict("index")
    assert told == {
        "used": {"n_customers": 2, "n_spells": 2},
        "known_before": {"n_customers": 1, "n_spells": 1},
        "later_spell": {"n_customers": 1, "n_spells": 1},
        "starts_after_cut": {"n_customers": 1, "n_spells": 1},
        "no_purchase": {"n_customers": 1, "n_spells": 0},
    }


def test_a_return_is_counted_from_the_declared_lapse() -> None:
    # last activity 110, declared 140: back on 150 after 10 days; the other is not back by 300, 160 days on
    table = return_counts.execute(make_tables({"a": [110, 150], "b": [110]}), **CHOICES, by=[])
    rows = table[["duration_days", "event_observed", "n"]].itertuples(index=False, name=None)
    assert list(rows) == [(10, True, 1), (160, False, 1)]


def test_bought_once_counts_those_who_end_on_their_first_day() -> None:
    purchases = {f"c{i}": [110] if i < 60 else [110, 115] for i in range(100)}
    counts = spell_counts.execute(make_tables(purchases), **CHOICES, entry="incident", by=[])
    share = bought_once(counts)
    assert (share.value, share.n) == (0.6, 100)
    assert share.lower < 0.6 < share.upper
    with pytest.raises(ModelError, match="came none"):
        bought_once(counts.iloc[:0])


PURCHASES = st.lists(st.lists(st.integers(60, 330), max_size=9), min_size=1, max_size=14)
SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(
    days=PURCHASES, seen=st.lists(st.none() | st.integers(80, 140), min_size=14, max_size=14), window=st.integers(5, 60)
)
@pytest.mark.parametrize("history", ["complete", "from_observation_start"])
@pytest.mark.parametrize("entry", ["incident", "late"])
def test_counts_are_those_of_the_definition_written_out(
    history: str, entry: str, days: list[list[int]], seen: list[int | None], window: int
) -> None:
    purchases = {f"c{i}": own for i, own in enumerate(days)}
    first_seen = dict(zip(purchases, seen, strict=False))
    choices = CHOICES | {"history": history, "entry": entry, "window_days": window}
    tables = make_tables(purchases, first_seen=first_seen)
    table = spell_counts.execute(tables, **choices, by=[])
    assert Counter({row[:-1]: row[-1] for row in table.itertuples(index=False, name=None)}) == count_used(
        purchases, first_seen, **choices
    )
    statuses = Counter(
        status for c, own in purchases.items() for status, *_ in classify(own, first_seen_day=first_seen[c], **choices)
    )
    told = spell_reconciliation.execute(tables, **choices).groupby("status")["n_spells"].sum()
    assert told[told > 0].to_dict() == dict(statuses)


@SETTINGS
@given(days=PURCHASES, wait=st.integers(1, 60))
def test_a_later_as_of_changes_no_spell_that_ended_before_the_cut(days: list[list[int]], wait: int) -> None:
    purchases = {f"c{i}": own for i, own in enumerate(days)}
    tables = make_tables(purchases)
    choices = CHOICES | {"entry": "incident", "by": []}
    earlier = spell_counts.execute(tables, **choices)
    later = spell_counts.execute(tables, **(choices | {"as_of_day": 300 + wait}))
    keys = ["entry_days", "duration_days", "event_observed", "replicate"]
    ended, still = (t[t["event_observed"]].set_index(keys)["n"] for t in (earlier, later))
    assert (still.reindex(ended.index, fill_value=0) >= ended).all()


def test_counts_of_disjoint_customers_add_up() -> None:
    rng = np.random.default_rng(3)
    purchases = {f"c{i}": sorted(rng.integers(60, 330, rng.integers(0, 9)).tolist()) for i in range(200)}
    halves = [dict(list(purchases.items())[:100]), dict(list(purchases.items())[100:])]
    choices = CHOICES | {"entry": "late", "by": []}
    apart = pd.concat([spell_counts.execute(make_tables(half), **choices) for half in halves])
    keys = ["entry_days", "duration_days", "event_observed", "replicate"]
    added = apart.groupby(keys, as_index=False)["n"].sum().sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(added, spell_counts.execute(make_tables(purchases), **choices))


def test_the_reductions_compile_for_spark() -> None:
    tables = make_tables({"a": [110]}, segment={"a": "north"})
    for expression in (
        spell_counts(tables, **CHOICES, entry="late", by=["region"]),
        spell_reconciliation(tables, **CHOICES, entry="incident"),
        return_counts(tables, **CHOICES, by=["region"]),
    ):
        assert "GROUP BY" in pyspark.compiler.to_sqlglot(expression).sql("spark")


def test_refusals_say_what_came_and_what_to_do() -> None:
    tables = make_tables({"a": [110]}, segment={"a": "north"})
    with pytest.raises(ModelError, match=r"20 days after observation_start.*window of 30"):
        spell_counts(tables, **(CHOICES | {"as_of_day": 120}), entry="incident", by=[])
    with pytest.raises(ModelError, match=r"no column 'regio'.*did you mean 'region'"):
        spell_counts(tables, **CHOICES, entry="incident", by=["regio"])
    with pytest.raises(ModelError, match="came 'prevalent'"):
        spell_counts(tables, **CHOICES, entry="prevalent", by=[])
    with pytest.raises(ModelError, match="came 'some'"):
        spell_counts(tables, **(CHOICES | {"history": "some"}), entry="incident", by=[])
    with pytest.raises(ModelError, match="at least 1; came 0"):
        spell_counts(tables, **(CHOICES | {"window_days": 0}), entry="incident", by=[])
