"""What "removing" a channel can mean: each by hand and made another way, and their spread."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from some_paths import of_groups, path_tables, table

from lcm_research.attribution.channel_sets import sets_from_paths
from lcm_research.attribution.edges import Edges
from lcm_research.attribution.paths import edges_from_paths
from lcm_research.attribution.removal import markov_credit
from lcm_research.attribution.removal_meanings import MEANINGS, RemovalMeanings, removal_meanings
from lcm_research.errors import ModelError


def meanings(paths: pd.DataFrame, of: str = "conversions", **more: list[str]) -> RemovalMeanings:
    edges, sets = edges_from_paths(paths, separator=">"), sets_from_paths(paths, separator=">")
    return removal_meanings(edges, sets, of=of, **more)


def of_channel(found: RemovalMeanings, channel: str) -> dict[str, float]:
    return dict(zip(MEANINGS, found.effect[:, found.channels.index(channel)].tolist(), strict=True))


def test_four_meanings_worked_by_hand() -> None:
    # 10 journeys: a > b 3 of 4 convert, b 1 of 2, a 1 of 4; 5 conversions.
    # Remove b. First-order chain: start a 8/10, b 2/10; a on to b 4/8, converts 1/8; b converts 4/6.
    # redirect: left 8/10 * 1/8 * 10 = 1 conversion: lost 4/5.
    # fail: the 4 journeys a > b end after a, which converts 1 of the 4 that ended there: 1 + 4 * 1/4 = 2 left: lost
    #   3/5; the 2 that were b alone do not convert.
    # fail and refit: a > b keeps its outcome: only the conversion after b alone is lost, 1/5.
    # remove journeys: those with b have 4 of the 5.
    found = meanings(table(("a>b", 3, 30, 1), ("b", 1, 10, 1), ("a", 1, 10, 3)))
    assert of_channel(found, "b") == pytest.approx(
        {"redirect": 0.8, "fail": 0.6, "fail_and_refit": 0.2, "remove_journeys": 0.8}
    )
    assert found.spread[1] == pytest.approx(0.6)
    higher, lower, difference = found.widest("b", n=10)
    assert (higher, lower) == ("redirect", "fail_and_refit")
    assert difference.value == pytest.approx(0.6)
    assert np.isnan(difference.lower)


def failing_touches(paths: pd.DataFrame, of: str, channel: str) -> float:
    """Effect of ``fail`` from a chain over where a journey is and the last touch that did not fail."""
    edges = Edges.by_group(edges_from_paths(paths, separator=">")).total()
    k, fails = len(edges.channels), edges.channels.index(channel)
    ends = edges.conversions + edges.nulls
    leaving = edges.steps.sum(axis=1) + ends
    worth = np.append(edges.outcomes(of) / np.where(ends > 0, ends, 1), 0.0)  # the last place: no touch left
    step, gain, start = np.zeros((k, k + 1, k, k + 1)), np.zeros((k, k + 1)), np.zeros((k, k + 1))
    for at in range(k):
        start[at, k if at == fails else at] = edges.starts[at] / edges.starts.sum()
        for held in range(k + 1):
            gain[at, held] = ends[at] / leaving[at] * worth[held]
            for to in range(k):
                step[at, held, to, held if to == fails else to] = edges.steps[at, to] / leaving[at]
    size = k * (k + 1)
    earned = start.ravel() @ np.linalg.solve(np.eye(size) - step.reshape(size, size), gain.ravel())
    return float(1 - earned * edges.starts.sum() / edges.outcomes(of).sum())


def refitted(paths: pd.DataFrame, of: str, channel: str) -> float:
    """Effect of ``fail_and_refit`` from a chain fitted to the journeys without the channel's touches."""
    left = paths["path"].map(lambda path: ">".join(c for c in path.split(">") if c != channel))
    rest = paths.assign(path=left)[left != ""]
    whole = paths["value" if of == "value" else "conversions"].sum()
    if rest.empty:
        return 1.0
    edges = Edges.by_group(edges_from_paths(rest, separator=">")).total()
    leaving = edges.steps.sum(axis=1) + edges.conversions + edges.nulls
    expected = np.linalg.solve(np.eye(len(leaving)) - edges.steps / leaving[:, None], edges.outcomes(of) / leaving)
    return float(1 - edges.starts @ expected / whole)


@settings(max_examples=12, deadline=None)
@given(paths=path_tables)
def test_each_meaning_agrees_with_another_way_to_it(paths: pd.DataFrame) -> None:
    for of in ("conversions", "value"):
        found = meanings(paths, of)
        column = paths["value" if of == "value" else "conversions"]
        redirect = markov_credit(edges_from_paths(paths, separator=">"), of=of).removal_effect
        for k, channel in enumerate(found.channels):
            held = paths["path"].map(lambda path, c=channel: c in path.split(">"))
            expected = {
                "redirect": redirect[k],
                "fail": failing_touches(paths, of, channel),
                "fail_and_refit": refitted(paths, of, channel),
                "remove_journeys": column[held].sum() / column.sum(),
            }
            assert of_channel(found, channel) == pytest.approx(expected, abs=1e-11)


def test_groups_left_out_are_solved_without_them() -> None:
    paths = of_groups(channels="ab")
    for of in ("conversions", "value"):
        whole = meanings(paths, of)
        for group in (0, 57, 99):
            alone = meanings(paths[paths["replicate"] != group], of, channels=list(whole.channels))
            assert whole.effect_without[group] == pytest.approx(alone.effect, abs=1e-12)
    for meaning in MEANINGS:
        lower, upper = whole.interval(meaning)
        value = whole.effect[MEANINGS.index(meaning)]
        assert (lower < value).all()
        assert (value < upper).all()
    higher, lower_meaning, difference = whole.widest("a", n=400)
    assert difference.lower < difference.value < difference.upper
    rows = whole.table().set_index("channel")
    assert difference.value == pytest.approx(rows.loc["a", higher] - rows.loc["a", lower_meaning])
    assert rows["spread"].loc[list(whole.channels)].to_numpy() == pytest.approx(whole.spread)


def test_an_effect_that_rests_on_few_groups_has_no_interval() -> None:
    # b is met in every group, and all of a journey that converts in 19 of them
    rows = [("a>b", 1, 10, 1, group) for group in range(100)] + [("b", 1, 10, 1, group) for group in range(19)]
    found = meanings(table(*rows))
    assert found.n_groups[:, found.channels.index("b")].tolist() == [100, 100, 19, 100]
    lower, upper = (ends[found.channels.index("b")] for ends in found.interval("fail_and_refit"))
    assert np.isnan([lower, upper]).all()
    assert np.isnan(found.widest("b", n=200)[2].lower)
    assert np.isfinite(found.interval("fail")[0][found.channels.index("b")])


def test_edges_and_sets_of_other_journeys_are_refused() -> None:
    paths = table(("a>b", 3, 30, 1), ("b", 1, 10, 1))
    edges, sets = edges_from_paths(paths, separator=">"), sets_from_paths(paths.head(1), separator=">")
    with pytest.raises(ModelError, match="count different journeys: conversions of 4 and 3"):
        removal_meanings(edges, sets, of="conversions")
    with pytest.raises(ModelError, match="no journey has the channel 'c'"):
        meanings(paths).widest("c", n=1)
    with pytest.raises(ModelError, match=r"credit of value needs journeys that convert, .* it is 0"):
        meanings(table(("a", 0, 0, 3)), "value")


def test_a_channel_that_no_journey_has_loses_nothing_in_any_meaning() -> None:
    found = meanings(table(("a>b", 3, 30, 1)), channels=["ghost", "a", "b"])
    assert of_channel(found, "ghost") == dict.fromkeys(MEANINGS, 0)
