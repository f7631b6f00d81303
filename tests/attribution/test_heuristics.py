"""First, last and linear credit: by hand, and that nothing is lost or made."""

from __future__ import annotations

from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.attribution.heuristics import HEURISTICS, heuristic_credit
from lcm_research.attribution.paths import touches_from_paths
from lcm_research.errors import ModelError


def touches(*rows: tuple) -> pd.DataFrame:
    paths = pd.DataFrame(list(rows), columns=["path", "conversions", "value", "nulls"])
    return touches_from_paths(paths, separator=">")


def credit_of(counts: pd.DataFrame, model: str, of: str) -> dict[str, float]:
    credit = heuristic_credit(counts, model=model, of=of)
    return dict(zip(credit.channels, credit.credit.tolist(), strict=True))


# 2 conversions for 600 after a > b > b, one for 90 after c; the path that never converts does not count
WORKED = touches(("a > b > b", 2, 600, 5), ("c", 1, 90, 0), ("d", 0, 0, 9))


@pytest.mark.parametrize(
    ("model", "conversions", "value"),
    [
        ("first", {"a": 2, "b": 0, "c": 1}, {"a": 600, "b": 0, "c": 90}),
        ("last", {"a": 0, "b": 2, "c": 1}, {"a": 0, "b": 600, "c": 90}),
        ("linear", {"a": 2 / 3, "b": 4 / 3, "c": 1}, {"a": 200, "b": 400, "c": 90}),
    ],
)
def test_credit_worked_by_hand(model: str, conversions: dict, value: dict) -> None:
    assert credit_of(WORKED, model, "conversions") == pytest.approx(conversions, abs=1e-14)
    assert credit_of(WORKED, model, "value") == pytest.approx(value, abs=1e-12)


def test_credit_of_unconverted_paths_is_zero() -> None:
    credit = heuristic_credit(WORKED, model="linear", of="conversions", channels=list("abcd"))
    assert credit.credit[3] == 0


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.lists(st.sampled_from("abcde"), min_size=1, max_size=9).map(">".join),
            st.integers(1, 5),
            st.integers(1, 10**9),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=10,
    )
)
def test_credit_sums_to_the_conversions_and_to_their_value(rows: list) -> None:
    counts = touches(*rows)
    for of, column, total in (
        ("conversions", "n", sum(row[1] for row in rows)),
        ("value", "value_minor", sum(row[2] for row in rows)),
    ):
        # exactly, in the counts that all rules are made of
        for part in (counts["is_first"], counts["is_last"]):
            assert counts.loc[part, column].sum() == total
        equal_parts = [
            Fraction(int(n), int(length)) for n, length in zip(counts[column], counts["journey_length"], strict=True)
        ]
        assert sum(equal_parts) == total
        for model in HEURISTICS:
            credit = heuristic_credit(counts, model=model, of=of)
            assert credit.total == total
            assert credit.credit.sum() == pytest.approx(total, rel=1e-13)


def test_a_rule_that_is_not_known_is_refused() -> None:
    with pytest.raises(ModelError, match="model must be one of first, last, linear; came 'u-shaped'"):
        heuristic_credit(WORKED, model="u-shaped", of="value")  # type: ignore[arg-type]


def test_a_channel_with_the_name_of_a_state_is_refused() -> None:
    with pytest.raises(ModelError, match=r"a channel is named '\(null\)'"):
        heuristic_credit(WORKED.replace({"channel": {"a": "(null)"}}), model="last", of="conversions")


def test_nothing_to_share_out_is_refused() -> None:
    with pytest.raises(ModelError, match="credit of value needs journeys that convert, with a positive total; it is 0"):
        heuristic_credit(touches(("a", 2, 0, 1)), model="last", of="value")
