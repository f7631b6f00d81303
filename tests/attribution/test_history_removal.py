"""Removal effects in chains of any order: by hand, against removing and solving again, and laws."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from some_paths import CHANNELS, of_groups, path_tables, renamed, split, table

from lcm_research.attribution.credit import Credit
from lcm_research.attribution.history_removal import kgram_credit, pair_removal
from lcm_research.attribution.kgrams import HISTORY_SEPARATOR, KGrams, kgrams_from_paths, shorter_kgrams
from lcm_research.attribution.paths import edges_from_paths
from lcm_research.attribution.removal import markov_credit
from lcm_research.errors import ModelError

ORDERS = (1, 2, 3)
OUTCOMES = ("conversions", "value")


def grams(paths: pd.DataFrame, order: int) -> pd.DataFrame:
    return kgrams_from_paths(paths, separator=">", order=order)


def effects(credit: Credit) -> dict[str, float]:
    return dict(zip(credit.channels, credit.removal_effect.tolist(), strict=True))


def solved_again(paths: pd.DataFrame, order: int, of: str, removed: set[str]) -> float:
    """What a journey brings on average where steps into ``removed`` end it, from a chain over tuples."""
    n: dict[tuple, float] = {}
    gain: dict[tuple, float] = {}
    step: dict[tuple, float] = {}
    for row in paths.itertuples():
        held: tuple[str, ...] = ()
        amount = row.conversions + row.nulls
        for channel in row.path.split(">"):
            after = (*held, channel)[-order:]
            step[held, after] = step.get((held, after), 0) + amount
            n[held] = n.get(held, 0) + amount
            held = after
        n[held] = n.get(held, 0) + amount
        gain[held] = gain.get(held, 0) + (row.conversions if of == "conversions" else row.value)
    states = sorted(n)
    place = {s: i for i, s in enumerate(states)}
    q = np.zeros((len(states), len(states)))
    for (before, after), count in step.items():
        q[place[before], place[after]] = count / n[before] if after[-1] not in removed else 0
    g = np.array([gain.get(s, 0) / n[s] for s in states])
    return float(np.linalg.solve(np.eye(len(states)) - q, g)[place[()]])


def removed_and_solved_again(paths: pd.DataFrame, order: int, of: str, *removed: str) -> float:
    return 1 - solved_again(paths, order, of, set(removed)) / solved_again(paths, order, of, set())


def test_second_order_worked_by_hand() -> None:
    # a > b converts always, c > b never: order 2 tells them apart where order 1 cannot.
    # 10 journeys, 5 convert. Without a all are lost, without c none, without b all.
    paths = table(("a>b", 5, 50, 0), ("c>b", 0, 0, 5))
    assert effects(kgram_credit(grams(paths, 2), of="conversions")) == pytest.approx(
        {"a": 1, "b": 1, "c": 0}, abs=1e-15
    )
    assert effects(kgram_credit(grams(paths, 1), of="conversions")) == pytest.approx({"a": 0.5, "b": 1, "c": 0.5})


def test_pairs_worked_by_hand() -> None:
    # 4 conversions: a > b, a, b, c. Without a: 2 lost of 4; without b: 2; without both 3. Synergy 3/4 - 1 = -1/4:
    # the journey through both, lost twice.
    paths = table(("a>b", 1, 1, 0), ("a", 1, 1, 0), ("b", 1, 1, 0), ("c", 1, 1, 0))
    rows = pair_removal(grams(paths, 2), of="conversions").table().set_index(["channel", "other_channel"])
    assert rows.loc[("a", "b"), "joint_removal_effect"] == pytest.approx(0.75)
    assert rows.loc[("a", "b"), "sum_of_removal_effects"] == pytest.approx(1.0)
    assert rows.loc[("a", "b"), "synergy"] == pytest.approx(-0.25)
    assert rows.loc[("a", "c"), "synergy"] == pytest.approx(0, abs=1e-15)
    assert rows[["lower", "upper"]].isna().all(axis=None)  # paths without customers


def test_histories_are_the_last_channels_of_the_journey() -> None:
    counts = grams(table(("a>b>a>c", 2, 30, 1)), 2)
    found = {(r.history.replace(HISTORY_SEPARATOR, " "), r.to): (r.n, r.value_minor) for r in counts.itertuples()}
    assert found == {
        ("", "a"): (3, 0),
        ("a", "b"): (3, 0),
        ("a b", "a"): (3, 0),
        ("b a", "c"): (3, 0),
        ("a c", "(conversion)"): (2, 30),
        ("a c", "(null)"): (1, 0),
    }


@settings(max_examples=20, deadline=None)
@given(paths=path_tables)
def test_order_one_says_what_edges_say(paths: pd.DataFrame) -> None:
    edges, counts = edges_from_paths(paths, separator=">"), grams(paths, 1)
    as_edges = counts.assign(from_channel=counts["history"].replace("", "(start)"), to_channel=counts["to"])
    keys = ["from_channel", "to_channel", "replicate"]
    columns = [*keys, "n", "value_minor"]
    expected = edges.sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(as_edges[columns].sort_values(keys, ignore_index=True), expected)
    for of in OUTCOMES:
        one, other = kgram_credit(counts, of=of), markov_credit(edges, of=of)
        assert one.removal_effect == pytest.approx(other.removal_effect, abs=1e-14)
        assert one.n_groups.tolist() == other.n_groups.tolist()


@settings(max_examples=20, deadline=None)
@given(paths=path_tables, order=st.sampled_from(ORDERS))
def test_closed_form_agrees_with_removing_and_solving_again(paths: pd.DataFrame, order: int) -> None:
    for of in OUTCOMES:
        credit = kgram_credit(grams(paths, order), of=of)
        for channel, effect in effects(credit).items():
            assert effect == pytest.approx(removed_and_solved_again(paths, order, of, channel), abs=1e-12)
        assert credit.credit.sum() == pytest.approx(credit.total, rel=1e-12)
    names = credit.channels
    if len(names) > 1:
        pairs = pair_removal(grams(paths, order), of="value")
        for (i, j), joint in zip(pairs.places, pairs.joint, strict=True):
            expected = removed_and_solved_again(paths, order, "value", names[i], names[j])
            assert joint == pytest.approx(expected, abs=1e-12)
        assert (pairs.synergy <= 1e-12).all()


@settings(max_examples=20, deadline=None)
@given(paths=path_tables, perm=st.permutations(CHANNELS), order=st.sampled_from((2, 3)))
def test_names_rows_and_splits_do_not_matter(paths: pd.DataFrame, perm: list[str], order: int) -> None:
    names = dict(zip(CHANNELS, perm, strict=True))
    plain = effects(kgram_credit(grams(paths, order), of="value"))
    other = effects(kgram_credit(grams(renamed(paths, names), order), of="value"))
    assert {names[c]: v for c, v in plain.items()} == pytest.approx(other, abs=1e-12)
    assert plain == pytest.approx(effects(kgram_credit(grams(split(paths), order), of="value")), abs=1e-12)
    counts = grams(paths, order)
    apart = pd.concat([counts.assign(n=counts["n"] - 1), counts.assign(n=1, value_minor=0)], ignore_index=True)
    assert plain == pytest.approx(effects(kgram_credit(apart, of="value")), abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(paths=path_tables)
def test_a_longer_history_can_be_forgotten(paths: pd.DataFrame) -> None:
    for order in (1, 2):
        short = shorter_kgrams(grams(paths, 3), order=order).sort_values(["history", "to"], ignore_index=True)
        expected = grams(paths, order).sort_values(["history", "to"], ignore_index=True)
        pd.testing.assert_frame_equal(short, expected)


def test_a_channel_that_no_journey_has_earns_nothing() -> None:
    credit = kgram_credit(grams(table(("a>b", 1, 10, 1)), 2), of="value", channels=["b", "ghost", "a"])
    assert credit.channels == ("b", "ghost", "a")
    assert credit.removal_effect.tolist() == [1, 0, 1]


def test_histories_that_no_journey_comes_to_change_nothing() -> None:
    counts = grams(table(("a>b", 2, 20, 2), ("b", 1, 10, 3)), 2)
    # x and y lead to each other for ever, and nothing leads to them
    island = [(f"x{HISTORY_SEPARATOR}y", "x", 0, 5, 0), (f"y{HISTORY_SEPARATOR}x", "y", 0, 5, 0)]
    more = pd.concat([counts, pd.DataFrame(island, columns=list(counts))], ignore_index=True)
    for of in OUTCOMES:
        found, plain = effects(kgram_credit(more, of=of)), effects(kgram_credit(counts, of=of))
        assert {c: found[c] for c in "ab"} == pytest.approx(plain, abs=1e-15)
        assert [found[c] for c in "xy"] == [0, 0]


@pytest.mark.parametrize("order", [1, 2])
def test_all_groups_left_out_at_once_are_those_left_out_one_by_one(order: int) -> None:
    paths = of_groups()
    for of in OUTCOMES:
        whole = kgram_credit(grams(paths, order), of=of)
        pairs = pair_removal(grams(paths, order), of=of)
        for group in (0, 57, 99):
            rest = grams(paths[paths["replicate"] != group], order)
            alone = kgram_credit(rest, of=of, channels=whole.channels)
            assert whole.removal_effect_without[group] == pytest.approx(alone.removal_effect, rel=1e-12)
            assert whole.share_without[group] == pytest.approx(alone.share, rel=1e-12)
            joint = pair_removal(rest, of=of, channels=whole.channels)
            assert pairs.joint_without[group] == pytest.approx(joint.joint, rel=1e-12)
            assert (pairs.joint_without - pairs.apart_without)[group] == pytest.approx(joint.synergy, abs=1e-12)
    lower, upper = pairs.interval()
    assert (lower < pairs.synergy).all()
    assert (pairs.synergy < upper).all()
    assert len(pairs.places) == len(list(itertools.combinations(range(5), 2)))


def test_the_group_sets_are_solved_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = grams(of_groups(), 2)
    together = kgram_credit(counts, of="value")
    monkeypatch.setattr("lcm_research.attribution.history_removal._CELLS_AT_ONCE", 3 * 30**2)
    assert kgram_credit(counts, of="value").share_without == pytest.approx(together.share_without, rel=1e-13)


def test_journeys_that_never_end_are_refused() -> None:
    rows = [
        ("", "a", 0, 5, 0),
        ("a", "b", 0, 5, 0),
        ("b", "a", 0, 5, 0),
        ("", "c", 0, 1, 0),
        ("c", "(conversion)", 0, 1, 9),
    ]
    counts = pd.DataFrame(rows, columns=["history", "to", "replicate", "n", "value_minor"])
    with pytest.raises(ModelError, match="journeys come to 'a' and none that does ever ends"):
        kgram_credit(counts, of="conversions")


def test_what_has_no_answer_is_refused() -> None:
    paths = table(("a>b", 1, 1, 1))
    with pytest.raises(ModelError, match="order must be at least 1: the last channel; came 0"):
        grams(paths, 0)
    with pytest.raises(ModelError, match=r"credit of conversions needs journeys that convert, .* it is 0"):
        kgram_credit(grams(table(("a", 0, 0, 3)), 2), of="conversions")
    with pytest.raises(ModelError, match="pairs of channels need at least two; journeys hold 1"):
        pair_removal(grams(table(("a", 1, 1, 3)), 2), of="conversions")
    with pytest.raises(ModelError, match="journeys hold the channel 'b', which is not among"):
        kgram_credit(grams(paths, 2), of="conversions", channels=["a"])
    start = pd.DataFrame({"history": [""], "to": ["(null)"], "replicate": [0], "n": [1], "value_minor": [0]})
    with pytest.raises(ModelError, match="from its start to its outcome without a touch"):
        KGrams.by_group(pd.concat([grams(paths, 2), start]))
    with pytest.raises(ModelError, match=r"holds the control character '\\x1f'"):
        grams(table((f"a{HISTORY_SEPARATOR}b", 1, 1, 1)), 2)


def test_too_many_histories_are_refused_before_they_are_solved() -> None:
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(1000)]
    many = table(*[(">".join(rng.choice(names, 5)), 1, 5, 1, i % 100) for i in range(1000)])
    with pytest.raises(ModelError, match=r"histories of up to 2 channels are more than 2,000, .* choose a lower order"):
        kgram_credit(grams(many, 2), of="value")
