"""Paths as input: counted as journeys are, and refused where they are none."""

from __future__ import annotations

import pandas as pd
import pytest

from lcm_research.attribution.paths import edges_from_paths, touches_from_paths
from lcm_research.errors import ModelError


def paths(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["path", "conversions", "value", "nulls"])


def test_each_journey_has_one_start_and_one_outcome() -> None:
    edges = edges_from_paths(paths(("a > b > a", 2, 700, 3), ("a", 1, 50, 0)), separator=">")
    found = {(row.from_channel, row.to_channel): (row.n, row.value_minor) for row in edges.itertuples()}
    assert found == {
        ("(start)", "a"): (6, 0),
        ("a", "b"): (5, 0),
        ("b", "a"): (5, 0),
        ("a", "(conversion)"): (3, 750),
        ("a", "(null)"): (3, 0),
    }


def test_touches_are_those_of_converted_journeys() -> None:
    touches = touches_from_paths(paths(("a > b", 2, 700, 3), ("c", 0, 0, 4)), separator=">")
    assert touches.drop(columns="replicate").to_numpy().tolist() == [
        ["a", 2, True, False, 2, 700],
        ["b", 2, False, True, 2, 700],
    ]


def test_groups_of_customers_are_kept_apart_where_they_are_known() -> None:
    given = paths(("a", 1, 5, 0), ("a", 1, 7, 0)).assign(replicate=[4, 9])
    assert edges_from_paths(given, separator=">")["replicate"].tolist() == [4, 9, 4, 9]


@pytest.mark.parametrize(
    ("given", "separator", "message"),
    [
        (paths(("a > > b", 1, 1, 1)), ">", "row 0 has a touch without a channel: 'a > > b'"),
        (paths(("a", 1, 1, 1)).drop(columns="nulls"), ">", "'nulls' is missing"),
        (paths(("a", -1, 1, 1)), ">", "counts not negative"),
        (paths(("a", 1, None, 1)), ">", "must be there in every row"),
        (paths(("a", 1, 1, 1)), " ", "separator must be a visible text"),
        (paths(("a > (start)", 1, 1, 1)), ">", r"a channel is named '\(start\)'"),
    ],
)
def test_what_is_no_table_of_paths_is_refused(given: pd.DataFrame, separator: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        edges_from_paths(given, separator=separator)
