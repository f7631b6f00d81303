"""What describes few customers is blanked, and cannot be had back by a subtraction."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcm_research.errors import ModelError
from lcm_research.privacy import merge_small_groups, small_rows


def test_a_lone_small_row_takes_the_next_smallest_with_it() -> None:
    n = pd.Series([4, 50, 12, 0])
    assert small_rows(n, None, min_group=10).tolist() == [True, False, True, False]


def test_two_small_rows_protect_each_other() -> None:
    assert small_rows(pd.Series([4, 3, 50]), None, min_group=10).tolist() == [True, True, False]


def test_each_group_that_adds_up_is_protected_by_itself() -> None:
    n, within = pd.Series([4, 50, 60, 70, 80]), pd.Series(["a", "a", "a", "b", "b"])
    assert small_rows(n, within, min_group=10).tolist() == [True, True, False, False, False]


@given(st.lists(st.integers(0, 40), min_size=2, max_size=12), st.integers(2, 15))
def test_no_total_gives_a_blanked_row_away(sizes: list[int], min_group: int) -> None:
    hidden = small_rows(pd.Series(sizes), None, min_group=min_group)
    assert all(not (0 < n < min_group) or h for n, h in zip(sizes, hidden, strict=True))
    if hidden.any() and sum(n > 0 for n in sizes) > 1:
        assert hidden.sum() > 1


def test_small_groups_are_merged_until_they_are_large_enough() -> None:
    counts = pd.DataFrame({"region": ["a", "b", "c", "d"], "n": [3, 4, 11, 90]})
    merged = merge_small_groups(counts, "region", min_group=10, n=["n"], other="other")
    assert merged.groupby("region")["n"].sum().to_dict() == {"other": 18, "d": 90}
    same = merge_small_groups(counts[counts["n"] > 9], "region", min_group=10, n=["n"], other="other")
    assert list(same["region"]) == ["c", "d"]


def test_too_few_customers_altogether_are_refused() -> None:
    with pytest.raises(ModelError, match=r"hold 7 customers together, fewer than privacy.min_group=10"):
        merge_small_groups(pd.DataFrame({"g": ["a", "b"], "n": [3, 4]}), "g", min_group=10, n=["n"], other="other")
