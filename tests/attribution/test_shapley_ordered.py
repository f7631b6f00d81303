"""Shapley credit by position: by hand, and that it only splits what the channel has; the games side by side."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from some_paths import of_groups, path_tables, table

from lcm_research.attribution.channel_sets import sets_from_paths
from lcm_research.attribution.shapley import shapley_credit, shapley_rate
from lcm_research.attribution.shapley_ordered import games_side_by_side, ordered_shapley, positions_from_paths
from lcm_research.errors import ModelError


def test_position_worked_by_hand() -> None:
    # a > b > a twice converted for 80: a has half, in equal parts at touches 1 and 3; b half at touch 2
    positions = positions_from_paths(table(("a>b>a", 2, 80, 4), ("b", 0, 0, 3)), separator=">")
    found = ordered_shapley(positions, of="conversions", n_positions=3)
    assert found.channels == ("a", "b")
    assert found.credit.tolist() == [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]
    # told apart up to the second touch: the third is with it
    assert ordered_shapley(positions, of="value", n_positions=2).credit.tolist() == [[20, 20], [0, 40]]
    rows = found.table()
    assert rows[rows["channel"] == "a"]["share_of_channel"].tolist() == [0.5, 0.0, 0.5]


@settings(max_examples=25, deadline=None)
@given(paths=path_tables)
def test_positions_only_split_what_the_channel_has(paths: pd.DataFrame) -> None:
    positions, sets = positions_from_paths(paths, separator=">"), sets_from_paths(paths, separator=">")
    for of in ("conversions", "value"):
        credit = shapley_credit(sets, of=of)
        for n_positions in (1, 3, 7):
            found = ordered_shapley(positions, of=of, n_positions=n_positions, channels=credit.channels)
            assert found.credit.sum(axis=1) == pytest.approx(credit.credit, rel=1e-12, abs=1e-12)
            assert (found.credit >= 0).all()


def test_games_stand_side_by_side_by_channel() -> None:
    paths = of_groups()
    sets = sets_from_paths(paths, separator=">")
    rate = shapley_rate(sets, of="conversions")
    ordered = ordered_shapley(positions_from_paths(paths, separator=">"), of="conversions", n_positions=2)
    rows = games_side_by_side(sets, rate, ordered=ordered).set_index("channel")
    credit = shapley_credit(sets, of="conversions")
    for k, channel in enumerate(rate.channels):
        assert rows.loc[channel, "added_to_rate"] == rate.value[k]
        assert rows.loc[channel, "credit"] == credit.credit[k]
        assert rows.loc[channel, "credit_at_first_touch"] == ordered.credit[k, 0]
        assert rows.loc[channel, "rate_lower"] < rate.value[k] < rows.loc[channel, "rate_upper"]
    assert rows["credit"].is_monotonic_decreasing
    other = ordered_shapley(positions_from_paths(paths, separator=">"), of="value", n_positions=2)
    with pytest.raises(ModelError, match="share out different things"):
        games_side_by_side(sets, rate, ordered=other)


def test_positions_without_an_answer_are_refused() -> None:
    positions = positions_from_paths(table(("a>b", 2, 80, 4)), separator=">")
    with pytest.raises(ModelError, match="n_positions must be at least 1; came 0"):
        ordered_shapley(positions, of="value", n_positions=0)
    with pytest.raises(ModelError, match="hold the channel 'b', which is not among"):
        ordered_shapley(positions, of="value", n_positions=1, channels=["a"])
