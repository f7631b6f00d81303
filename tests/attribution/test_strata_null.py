"""The null within strata: by hand, as the null of one stratum, and laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_credit import Truth, simulate

from lcm_research.attribution.edges import Edges
from lcm_research.attribution.null import credit_beyond_null, null_credit
from lcm_research.attribution.paths import edges_from_paths
from lcm_research.attribution.strata_null import Ends
from lcm_research.errors import ModelError

COLUMNS = ["stratum", "history", "replicate", "n", "n_conversions", "value_minor"]


def from_paths(*rows: tuple) -> pd.DataFrame:
    return edges_from_paths(pd.DataFrame(list(rows), columns=["path", "conversions", "value", "nulls"]), separator=">")


def from_ends(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=COLUMNS)


HAND = from_paths(("a", 4, 400, 5), ("b", 2, 130, 9))
BY_ACTIVITY = from_ends(
    ("lively", "a", 0, 8, 4, 400),
    ("lively", "b", 0, 2, 1, 100),
    ("quiet", "a", 0, 1, 0, 0),
    ("quiet", "b", 0, 9, 1, 30),
)


def test_null_within_strata_worked_by_hand() -> None:
    # lively: 5 of 10 convert, so 4 after a and 1 after b; quiet: 1 of 10, so .1 after a and .9 after b
    null = null_credit(HAND, of="conversions", ends=BY_ACTIVITY)
    assert null.credit == pytest.approx([4.1, 1.9], abs=1e-14)
    # a lively end is worth 50, a quiet one 3
    assert null_credit(HAND, of="value", ends=BY_ACTIVITY).credit == pytest.approx([403, 127], abs=1e-12)


def test_a_channel_of_lively_people_stands_out_only_where_strata_do_not_know_it() -> None:
    # all alike: 6 of 20, so 2.7 of the 9 that end with a; it has 4, and .1 less than lively and quiet people explain
    alike = credit_beyond_null(HAND, of="conversions")
    within = credit_beyond_null(HAND, of="conversions", ends=BY_ACTIVITY)
    assert alike.difference[0] == pytest.approx(1.3 / 6)
    assert within.difference[0] == pytest.approx(-0.1 / 6)


def test_of_a_history_only_the_last_channel_counts() -> None:
    edges = from_paths(("b > a", 1, 10, 3), ("a > b", 3, 10, 3))
    short = from_ends(("x", "a", 0, 4, 1, 10), ("x", "b", 0, 6, 3, 10))
    long = short.assign(history=["b\x1fa", "a\x1fb"])
    by_short, by_long = (null_credit(edges, of="value", ends=ends).share for ends in (short, long))
    assert np.array_equal(by_short, by_long)


def test_one_stratum_is_the_null_without_strata_exactly() -> None:
    made = simulate(Truth(n_customers=300), np.random.default_rng(1))
    edges, ends = made.edges(), made.ends(by_activity=False)
    for of in ("conversions", "value"):
        plain, one = null_credit(edges, of=of), null_credit(edges, of=of, ends=ends)
        assert np.array_equal(plain.share, one.share)
        assert np.array_equal(plain.share_without, one.share_without)


def test_each_group_is_left_out_before_the_rates_of_strata_are_formed() -> None:
    made = simulate(Truth(n_customers=300), np.random.default_rng(2))
    edges, ends = made.edges(), made.ends()
    for of in ("conversions", "value"):
        whole = null_credit(edges, of=of, ends=ends)
        alone = null_credit(edges[edges["replicate"] != 42], of=of, ends=ends[ends["replicate"] != 42])
        assert whole.share_without[42] == pytest.approx(alone.share, rel=1e-12)


strata_of_ends = st.lists(
    st.tuples(st.sampled_from(["u", "v", "w"]), st.sampled_from(["a", "b", "c"]), st.integers(1, 9), st.floats(0, 1)),
    min_size=2,
    max_size=12,
)


def counted(rows: list[tuple]) -> pd.DataFrame:
    made = [(s, h, 0, n, round(n * share), 10 * round(n * share)) for s, h, n, share in rows]
    return from_ends(*made).groupby(COLUMNS[:3], as_index=False).sum()


@settings(max_examples=30, deadline=None)
@given(rows=strata_of_ends, names=st.permutations(["u", "v", "w"]))
def test_expected_outcomes_sum_to_the_observed_whatever_strata_are_called(rows: list, names: list) -> None:
    ends = counted(rows)
    renamed = ends.assign(stratum=ends["stratum"].map(dict(zip("uvw", names, strict=True)))).iloc[::-1]
    one, other = Ends.by_group(ends).total(), Ends.by_group(renamed).total()
    for outcome, again in ((one.conversions, other.conversions), (one.value, other.value)):
        assert one.expected(outcome).sum() == pytest.approx(outcome.sum(), abs=1e-9)
        assert other.expected(again) == pytest.approx(one.expected(outcome), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    n=st.lists(st.integers(1, 30), min_size=4, max_size=4),
    rate=st.sampled_from([0.25, 0.5]),
)
def test_merging_strata_of_equal_rates_changes_nothing(n: list, rate: float) -> None:
    # four journeys for each n: every stratum converts at the same rate, and each conversion is worth 10
    rows = [(s, h, 4 * k, rate) for (s, h), k in zip([(s, h) for s in "uv" for h in "ab"], n, strict=True)]
    ends = counted([*rows, ("w", "a", 8, 1.0), ("w", "b", 4, 0.0)])
    merged = ends.assign(stratum=ends["stratum"].replace("v", "u"))
    apart, together = (Ends.by_group(table).total() for table in (ends, merged))
    assert together.strata == ("u", "w")
    assert together.expected(together.conversions) == pytest.approx(apart.expected(apart.conversions), rel=1e-12)
    assert together.expected(together.value) == pytest.approx(apart.expected(apart.value), rel=1e-12)


def test_strata_that_say_nothing_are_told() -> None:
    # one channel only; all convert; none converts; two channels and both outcomes
    ends = from_ends(
        *[("one", "a", 0, 4, 2, 0), ("all", "a", 0, 2, 2, 0), ("all", "b", 0, 1, 1, 0)],
        *[("none", "a", 0, 2, 0, 0), ("none", "b", 1, 1, 0, 0), ("some", "a", 0, 3, 1, 0), ("some", "b", 0, 1, 1, 0)],
    )
    table = Ends.by_group(ends).total().table().set_index("stratum")
    assert table["says_something"].to_dict() == {"all": False, "none": False, "one": False, "some": True}
    assert table.loc["some", ["n_journeys", "n_conversions", "n_channels"]].tolist() == [4, 2, 2]
    assert table.loc["some", "conversion_share"] == 0.5


def test_an_outcome_in_a_stratum_without_journeys_of_a_group_leaves_no_hole() -> None:
    # stratum "new" is in group 7 only: without that group it has no journeys and no outcomes
    ends = from_ends(("old", "a", 0, 4, 2, 20), ("old", "b", 1, 4, 1, 10), ("new", "a", 7, 2, 1, 10))
    grouped = Ends.by_group(ends).without_each_group()
    assert grouped.expected(grouped.conversions)[7].tolist() == [1.5, 1.5]


def test_ends_of_other_journeys_are_refused() -> None:
    other = BY_ACTIVITY.assign(n=[8, 2, 1, 10])
    with pytest.raises(ModelError, match="in group 0 the journeys that end with 'b' are 12 by stratum and 11 by step"):
        null_credit(HAND, of="conversions", ends=other)
    dearer = BY_ACTIVITY.assign(value_minor=[400, 100, 7, 30])
    with pytest.raises(ModelError, match="the value that end with 'a' are 407 by stratum and 400 by step"):
        null_credit(HAND, of="value", ends=dearer)


def test_ends_that_cannot_be_are_refused() -> None:
    with pytest.raises(ModelError, match=r"needs the columns .*'stratum' is missing"):
        Ends.by_group(BY_ACTIVITY.drop(columns="stratum"))
    with pytest.raises(ModelError, match="n_conversions must lie between 0 and n; in row 1 it is 5 of 2"):
        Ends.by_group(BY_ACTIVITY.assign(n_conversions=[4, 5, 0, 1]))
    with pytest.raises(ModelError, match="ends without a touch"):
        Ends.by_group(BY_ACTIVITY.assign(history=["a", "", "a", "b"]))
    with pytest.raises(ModelError, match="name journeys of unknown stratum 'unknown'"):
        Ends.by_group(BY_ACTIVITY.assign(stratum=["lively", None, "quiet", "quiet"]))
    with pytest.raises(ModelError, match="journeys end with 'b', which is not among"):
        Ends.by_group(BY_ACTIVITY, ["a"])


def test_simulated_ends_and_steps_count_the_same_journeys() -> None:
    made = simulate(Truth(n_customers=200), np.random.default_rng(3))
    edges = Edges.by_group(made.edges())
    assert edges.starts.sum() == len(made.converted)
    assert edges.conversions.sum() == made.converted.sum()
    assert Ends.by_group(made.ends()).value.sum() == made.value.sum()
