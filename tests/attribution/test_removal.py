"""Removal effects: by hand, against removing each channel and solving again, and laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.attribution.edges import Edges
from lcm_research.attribution.paths import edges_from_paths
from lcm_research.attribution.removal import markov_credit, removal_effects
from lcm_research.errors import ModelError

CHANNELS = list("abcde")


def from_paths(*rows: tuple) -> pd.DataFrame:
    return edges_from_paths(
        pd.DataFrame(list(rows), columns=["path", "conversions", "value", "nulls", "replicate"][: len(rows[0])]),
        separator=">",
    )


def effects(edges: pd.DataFrame, of: str = "conversions") -> dict[str, float]:
    credit = markov_credit(edges, of=of)
    return dict(zip(credit.channels, credit.removal_effect.tolist(), strict=True))


def brute_force(edges: pd.DataFrame, of: str) -> dict[str, float]:
    """Conversions (or value) per journey with and without each channel, by sums over the chain's powers."""
    together = Edges.by_group(edges).total()

    def earned(removed: int | None) -> float:
        leaving = together.steps.sum(axis=1) + together.conversions + together.nulls
        step = together.steps / leaving[:, None]
        gain = (together.conversions if of == "conversions" else together.value) / leaving
        at = together.starts / together.starts.sum()
        if removed is not None:
            step[:, removed] = 0  # steps into the channel end the journey
            at[removed] = 0
        return float(at @ np.linalg.solve(np.eye(len(gain)) - step, gain))

    whole = earned(None)
    return {name: 1 - earned(k) / whole for k, name in enumerate(together.channels)}


def test_removal_effect_worked_by_hand() -> None:
    # 4 journeys a > b, of which 2 convert; 4 journeys b, of which 1 converts.
    # From b: 3 of 8 convert. From a: always on to b, so 3/8. Overall 3/8.
    # Without a: half of the journeys are lost: 1 - (1/2 * 3/8) / (3/8) = 1/2. Without b: all of them.
    edges = from_paths(("a > b", 2, 0, 2), ("b", 1, 0, 3))
    assert effects(edges) == pytest.approx({"a": 0.5, "b": 1.0}, abs=1e-15)
    credit = markov_credit(edges, of="conversions")
    # shares 1/3 and 2/3 of 3 conversions
    assert credit.credit == pytest.approx([1.0, 2.0], abs=1e-14)


def test_removal_effect_of_value_worked_by_hand() -> None:
    # a converts 1 of 2 for 900, b 1 of 2 for 100: a journey is worth 250, without a 25, without b 225.
    edges = from_paths(("a", 1, 900, 1), ("b", 1, 100, 1))
    assert effects(edges, "value") == pytest.approx({"a": 0.9, "b": 0.1}, abs=1e-15)
    assert effects(edges, "conversions") == pytest.approx({"a": 0.5, "b": 0.5}, abs=1e-15)


def test_only_the_last_touch_sees_the_outcome() -> None:
    # a > b converts always and c > b never, yet after b a first-order chain cannot tell them apart
    edges = from_paths(("a > b", 5, 0, 0), ("c > b", 0, 0, 5))
    found = effects(edges)
    assert found["a"] == pytest.approx(found["c"], abs=1e-15)


def test_a_channel_that_no_journey_has_earns_nothing() -> None:
    edges = from_paths(("a", 1, 10, 1), ("b", 1, 10, 0))
    credit = markov_credit(edges, of="value", channels=["a", "ghost", "b"])
    assert credit.channels == ("a", "ghost", "b")
    assert credit.removal_effect[1] == 0
    assert credit.share.sum() == pytest.approx(1)


def test_channels_that_no_journey_comes_to_change_nothing() -> None:
    edges = from_paths(("a > b", 2, 20, 2), ("b", 1, 10, 3))
    # x and y lead to each other for ever, and z to b, but nothing leads to them
    island = [("x", "y", 0, 5, 0), ("y", "x", 0, 5, 0), ("z", "b", 0, 7, 0)]
    more = pd.concat([edges, pd.DataFrame(island, columns=list(edges))], ignore_index=True)
    # b's own row is as before; the steps from z into b do not count as visits
    for of in ("conversions", "value"):
        found = effects(more, of)
        assert {name: found[name] for name in "ab"} == pytest.approx(effects(edges, of), abs=1e-15)
        assert [found[name] for name in "xyz"] == [0, 0, 0]


def test_journeys_that_never_end_are_refused() -> None:
    rows = [("(start)", "a", 0, 5, 0), ("a", "b", 0, 5, 0), ("b", "a", 0, 5, 0), ("(start)", "c", 0, 1, 0)]
    rows.append(("c", "(conversion)", 0, 1, 9))
    edges = pd.DataFrame(rows, columns=["from_channel", "to_channel", "replicate", "n", "value_minor"])
    with pytest.raises(ModelError, match="journeys come to 'a' and none that does ever ends"):
        markov_credit(edges, of="conversions")


def test_credit_without_a_conversion_is_refused() -> None:
    with pytest.raises(
        ModelError, match="credit of conversions needs journeys that convert, with a positive total; it is 0"
    ):
        markov_credit(from_paths(("a", 0, 0, 3)), of="conversions")
    with pytest.raises(ModelError, match="credit of value needs journeys that convert, with a positive total; it is 0"):
        markov_credit(from_paths(("a", 2, 0, 3)), of="value")


def test_a_channel_that_is_not_among_the_declared_ones_is_refused() -> None:
    with pytest.raises(ModelError, match="journeys hold the channel 'b', which is not among"):
        markov_credit(from_paths(("a > b", 1, 1, 1)), of="conversions", channels=["a"])


journey_table = st.lists(
    st.tuples(
        st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=7).map(">".join),
        st.integers(0, 4),
        st.integers(0, 1000),
        st.integers(0, 4),
    ),
    min_size=1,
    max_size=12,
).filter(lambda rows: any(conversions and value for _, conversions, value, _ in rows))


def consistent(rows: list[tuple]) -> pd.DataFrame:
    return from_paths(*[(path, n, value if n else 0, nulls) for path, n, value, nulls in rows])


@settings(max_examples=60, deadline=None)
@given(rows=journey_table)
def test_closed_form_agrees_with_removing_each_channel_and_solving_again(rows: list) -> None:
    edges = consistent(rows)
    for of in ("conversions", "value"):
        assert effects(edges, of) == pytest.approx(brute_force(edges, of), rel=1e-12, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(rows=journey_table, order=st.permutations(CHANNELS))
def test_names_and_order_of_channels_do_not_matter(rows: list, order: list) -> None:
    renamed = dict(zip(CHANNELS, order, strict=True))
    other = [(">".join(renamed[c] for c in path.split(">")), *rest) for path, *rest in reversed(rows)]
    for of in ("conversions", "value"):
        found = effects(consistent(rows), of)
        assert {renamed[name]: effect for name, effect in found.items()} == pytest.approx(
            effects(consistent(other), of), rel=1e-12, abs=1e-12
        )


@settings(max_examples=25, deadline=None)
@given(rows=journey_table)
def test_repeats_of_a_channel_in_a_row_do_not_change_removal_effects(rows: list) -> None:
    def collapsed(path: str) -> str:
        names = path.split(">")
        return ">".join(c for i, c in enumerate(names) if i == 0 or c != names[i - 1])

    short = [(collapsed(path), *rest) for path, *rest in rows]
    for of in ("conversions", "value"):
        assert effects(consistent(rows), of) == pytest.approx(effects(consistent(short), of), rel=1e-11, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(rows=journey_table)
def test_credit_lies_between_zero_and_the_total_and_sums_to_it(rows: list) -> None:
    for of in ("conversions", "value"):
        credit = markov_credit(consistent(rows), of=of)
        assert credit.credit.sum() == pytest.approx(credit.total, rel=1e-12)
        assert (credit.removal_effect >= 0).all()
        assert (credit.removal_effect <= 1 + 1e-12).all()


def test_several_sets_of_journeys_are_solved_at_once_as_one_by_one() -> None:
    rng = np.random.default_rng(3)
    edges = from_paths(
        *[
            (
                ">".join(rng.choice(CHANNELS, rng.integers(1, 6))),
                int(rng.integers(0, 3)),
                int(rng.integers(1, 9)),
                1,
                group,
            )
            for group in range(100)
            for _ in range(3)
        ]
    )
    grouped = Edges.by_group(edges)
    left_out = removal_effects(grouped.without_each_group(), of="conversions")
    for group in (0, 57, 99):
        alone = markov_credit(edges[edges["replicate"] != group], of="conversions", channels=list(grouped.channels))
        assert left_out[group] == pytest.approx(alone.removal_effect, rel=1e-12)
