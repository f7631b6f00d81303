"""How far models differ: which channel, which two models, and whether the data tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.attribution.disagreement import compare_shares, widest_disagreement
from lcm_research.attribution.edges import Edges
from lcm_research.attribution.heuristics import HEURISTICS, heuristic_credit
from lcm_research.attribution.paths import edges_from_paths, touches_from_paths
from lcm_research.attribution.removal import markov_credit
from lcm_research.errors import ModelError


def paths() -> pd.DataFrame:
    # each group: 3 conversions after a > b, 1 after a > c, 1 (or 2) after b
    per_group = [[("a > b", 3), ("a > c", 1), ("b", 1 + g % 2)] for g in range(100)]
    rows = [(path, n, 10 * n, 2, g) for g, paths in enumerate(per_group) for path, n in paths]
    return pd.DataFrame(rows, columns=["path", "conversions", "value", "nulls", "replicate"])


def credits_of() -> list:
    edges, touches = edges_from_paths(paths(), separator=">"), touches_from_paths(paths(), separator=">")
    made = [heuristic_credit(touches, model=m, of="conversions", channels=["a", "b", "c"]) for m in HEURISTICS]
    return [*made, markov_credit(edges, of="conversions", channels=["a", "b", "c"])]


def test_the_widest_disagreement_worked_by_hand() -> None:
    # 550 conversions, 400 of them after journeys from a on: first touch gives a 400/550, last touch 0
    found = widest_disagreement(credits_of(), n=100)
    assert (found.channel, found.higher.model, found.lower.model) == ("a", "first", "last")
    assert found.difference.value == pytest.approx(400 / 550)
    assert found.difference.lower < 400 / 550 < found.difference.upper
    assert found.difference.n == 100


def test_its_interval_allows_for_having_been_picked() -> None:
    found = widest_disagreement(credits_of(), n=100).difference
    # three channels and six pairs of models: 95% for eighteen together; t with 99 df at 1 - .05 / 36 is 3.068
    spread = np.sqrt(0.99 * ((found.leave_one_out - found.value) ** 2).sum())
    assert (found.upper - found.lower) / 2 == pytest.approx(3.068 * spread, rel=1e-3)


def test_shares_stand_side_by_side_and_each_model_sums_to_one() -> None:
    table = compare_shares(credits_of())
    assert list(table) == ["channel", "first", "last", "linear", "markov"]
    assert table.drop(columns="channel").sum().tolist() == pytest.approx([1, 1, 1, 1])
    assert table["markov"].is_monotonic_decreasing


def test_models_of_different_things_are_not_compared() -> None:
    touches = touches_from_paths(paths(), separator=">")
    first = heuristic_credit(touches, model="first", of="conversions")
    last = heuristic_credit(touches, model="last", of="value")
    with pytest.raises(ModelError, match="'first' and 'last' share out different things"):
        widest_disagreement([first, last], n=1)
    with pytest.raises(ModelError, match="needs at least two; came 1"):
        compare_shares([first])


def test_a_chain_of_whole_journeys_is_sound() -> None:
    table = Edges.by_group(edges_from_paths(paths(), separator=">")).total().table()
    assert table["touches"].tolist() == table["left"].tolist() == [800, 850, 300]
    assert table[["reached", "ends"]].all(axis=None)
    # journeys end with b (450 converted of 850) and c (100 of 300), never with a
    assert table["conversion_share"].tolist() == pytest.approx([np.nan, 450 / 850, 100 / 300], nan_ok=True)


def test_a_chain_with_a_hole_shows_it() -> None:
    edges = edges_from_paths(paths(), separator=">")
    broken = pd.concat([edges, pd.DataFrame([("x", "b", 0, 7, 0)], columns=list(edges))], ignore_index=True)
    table = Edges.by_group(broken).total().table().set_index("channel")
    assert not table.loc["x", "reached"]
    assert table.loc["b", "touches"] - table.loc["b", "left"] == 7
