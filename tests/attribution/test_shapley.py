"""Shapley values: by hand, against all orders and all subsets, their laws, and orders that are sampled."""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import factorial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from some_paths import CHANNELS, of_groups, path_tables, renamed, split, table

from lcm_research.attribution.channel_sets import sets_from_paths
from lcm_research.attribution.kgrams import HISTORY_SEPARATOR
from lcm_research.attribution.shapley import (
    RateShapley,
    shapley_credit,
    shapley_rate,
)
from lcm_research.attribution.shapley_game import shapley_of_game, subset_sums
from lcm_research.attribution.shapley_sampled import sampled_shapley_rate
from lcm_research.errors import ModelError
from lcm_research.estimate import jackknife

OUTCOMES = ("conversions", "value")


def sets(paths: pd.DataFrame) -> pd.DataFrame:
    return sets_from_paths(paths, separator=">")


def named(values: object) -> dict[str, float]:
    numbers = values.value if isinstance(values, RateShapley) else values.credit  # type: ignore[attr-defined]
    return dict(zip(values.channels, numbers.tolist(), strict=True))  # type: ignore[attr-defined]


def within(paths: pd.DataFrame, of: str) -> dict[frozenset, tuple[int, int]]:
    """Journeys, and what they earned, that hold nothing outside each set of channels."""
    held = paths["path"].map(lambda path: frozenset(path.split(">")))
    names = sorted(frozenset().union(*held))
    found = {}
    for size in range(len(names) + 1):
        for chosen in map(frozenset, itertools.combinations(names, size)):
            rows = paths[held.map(lambda channels, c=chosen: channels <= c)]
            column = "value" if of == "value" else "conversions"
            found[chosen] = (int((rows["conversions"] + rows["nulls"]).sum()), int(rows[column].sum()))
    return found


def brute_force(worth: dict[frozenset, Fraction]) -> dict[str, Fraction]:
    players = sorted(max(worth, key=len))
    k = len(players)
    value = dict.fromkeys(players, Fraction(0))
    for player in players:
        for before in (s for s in worth if player not in s):
            orders = Fraction(factorial(len(before)) * factorial(k - len(before) - 1), factorial(k))
            value[player] += orders * (worth[before | {player}] - worth[before])
    return value


def rates(paths: pd.DataFrame, of: str) -> dict[frozenset, Fraction]:
    return {s: Fraction(earned, n) if n else Fraction(0) for s, (n, earned) in within(paths, of).items()}


def test_games_worked_by_hand() -> None:
    # a: 4 of 10 convert; a and b: 1 of 10.
    # Within the set: v(a) = 4, v(b) = 0, v(ab) = 5: a 4 + 1/2, b 1/2.
    # Rate: v(a) = .4, v(b) = 0, v(ab) = 5/20 = .25: a (.4 + .25) / 2 = .325, b (0 - .15) / 2 = -.075, signed.
    paths = table(("a", 4, 40, 6), ("b>a>b", 1, 10, 9))
    assert named(shapley_credit(sets(paths), of="conversions")) == pytest.approx({"a": 4.5, "b": 0.5})
    rate = shapley_rate(sets(paths), of="conversions")
    assert named(rate) == pytest.approx({"a": 0.325, "b": -0.075})
    assert rate.rate == 0.25
    assert rate.coverage == pytest.approx(2 / 3)  # of a, b and ab only b holds no journey


def test_a_single_journey_is_enough_for_a_rate() -> None:
    # v(a) = 1 of 1, v(b) = 0, v(ab) = 1 of 4: a (1 + 1/4) / 2, b (0 - 3/4) / 2
    rate = shapley_rate(sets(table(("a", 1, 10, 0), ("a>b", 0, 0, 3))), of="conversions")
    assert named(rate) == pytest.approx({"a": 0.625, "b": -0.375})


def test_the_rate_game_is_never_offered_as_a_share() -> None:
    rate = shapley_rate(sets(table(("a", 4, 40, 6), ("a>b", 1, 10, 9))), of="conversions")
    assert not hasattr(rate, "share")
    assert not any("share" in column for column in rate.table())
    assert rate.table()["added_to_rate"].min() < 0


def test_the_glove_game_is_worth_what_textbooks_say() -> None:
    # v of a glove game: player 0 has a left glove, 1 and 2 a right one each: 2/3, 1/6, 1/6 (Osborne and Rubinstein)
    worth = np.array([0, 0, 0, 1, 0, 1, 0, 1], float)
    assert shapley_of_game(worth) == pytest.approx([2 / 3, 1 / 6, 1 / 6])


@settings(max_examples=20, deadline=None)
@given(worth=st.lists(st.integers(-50, 50), min_size=64, max_size=64), k=st.integers(1, 6))
def test_any_game_agrees_with_all_its_orders(worth: list[int], k: int) -> None:
    game = np.array([0, *worth[1 : 1 << k]], float)
    added = np.zeros(k)
    for order in itertools.permutations(range(k)):
        held = 0
        for player in order:
            added[player] += game[held | 1 << player] - game[held]
            held |= 1 << player
    found = shapley_of_game(game)
    assert found == pytest.approx(added / factorial(k), abs=1e-11)
    assert found.sum() == pytest.approx(game[-1], abs=1e-10)


@settings(max_examples=10, deadline=None)
@given(k=st.integers(1, 6), seed=st.integers(0, 99))
def test_subset_sums_are_sums_over_subsets(k: int, seed: int) -> None:
    amounts = np.random.default_rng(seed).integers(0, 9, 1 << k).astype(float)
    expected = [sum(amounts[t] for t in range(1 << k) if t & s == t) for s in range(1 << k)]
    assert subset_sums(amounts.copy()).tolist() == expected


def test_subset_sums_piece_by_piece_are_those_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    amounts = np.random.default_rng(1).integers(0, 9, 1 << 9).astype(float)
    at_once = subset_sums(amounts.copy())
    monkeypatch.setattr("lcm_research.attribution.shapley_game._IN_CACHE", 8)
    assert subset_sums(amounts.copy()).tolist() == at_once.tolist()


@settings(max_examples=20, deadline=None)
@given(paths=path_tables)
def test_both_games_agree_with_brute_force(paths: pd.DataFrame) -> None:
    for of in OUTCOMES:
        rate = shapley_rate(sets(paths), of=of)
        expected = {c: float(v) for c, v in brute_force(rates(paths, of)).items()}
        assert named(rate) == pytest.approx(expected, abs=1e-10)
        assert rate.value.sum() == pytest.approx(rate.rate, abs=1e-10)
        earned = {s: Fraction(v) for s, (_, v) in within(paths, of).items()}
        credit = shapley_credit(sets(paths), of=of)
        expected = {c: float(v) for c, v in brute_force(earned).items()}
        assert named(credit) == pytest.approx(expected, rel=1e-11, abs=1e-11)
        assert credit.credit.sum() == pytest.approx(credit.total, rel=1e-12)
        assert (credit.credit >= 0).all()


@settings(max_examples=20, deadline=None)
@given(paths=path_tables, order=st.permutations(CHANNELS))
def test_names_rows_and_splits_do_not_matter(paths: pd.DataFrame, order: list[str]) -> None:
    names = dict(zip(CHANNELS, order, strict=True))
    for solve in (shapley_credit, shapley_rate):
        plain, other = (named(solve(sets(p), of="value")) for p in (paths, renamed(paths, names)))
        assert {names[c]: v for c, v in plain.items()} == pytest.approx(other, abs=1e-9)
        pieces = pd.concat([sets(split(paths).iloc[::2]), sets(split(paths).iloc[1::2])], ignore_index=True)
        assert plain == pytest.approx(named(solve(pieces[pieces["n"] > 0], of="value")), abs=1e-9)


def test_channels_that_do_the_same_get_the_same_and_idle_ones_nothing() -> None:
    # b and c stand in each other's place; idle stands beside a in journeys like those of a alone
    paths = table(("a>b", 3, 9, 2), ("a>c", 3, 9, 2), ("b", 1, 3, 3), ("c", 1, 3, 3), ("a", 2, 6, 2))
    for solve in (shapley_credit, shapley_rate):
        found = named(solve(sets(paths), of="conversions", channels=["ghost", "c", "b", "a"]))
        assert found["b"] == pytest.approx(found["c"], abs=1e-15)
        assert found["ghost"] == 0
    worth = np.array([0.0, 2.0, 0.0, 2.0])  # the second player adds nothing to any set
    assert shapley_of_game(worth).tolist() == [2.0, 0.0]


def test_groups_left_out_are_solved_without_them() -> None:
    paths = of_groups()
    for of in OUTCOMES:
        credit, rate = shapley_credit(sets(paths), of=of), shapley_rate(sets(paths), of=of)
        for group in (0, 57, 99):
            rest = sets(paths[paths["replicate"] != group])
            alone = shapley_credit(rest, of=of, channels=credit.channels).share
            assert credit.share_without[group] == pytest.approx(alone, rel=1e-12)
            alone_rate = shapley_rate(rest, of=of, channels=rate.channels).value
            assert rate.value_without[group] == pytest.approx(alone_rate, abs=1e-10)
    found = rate.estimate("b", n=400)
    by_hand = jackknife(rate.value[1], rate.value_without[:, 1], unit="", n=400)
    assert (found.value, found.lower, found.upper) == (by_hand.value, by_hand.lower, by_hand.upper)
    assert found.unit == "value per journey"
    assert credit.n_groups.tolist() == rate.n_groups.tolist()


def test_sampled_orders_come_close_add_up_and_repeat() -> None:
    counts = sets(of_groups(channels="abcdefg", per_group=6))
    for of in OUTCOMES:
        exact = shapley_rate(counts, of=of)
        sampled, again = (
            sampled_shapley_rate(counts, of=of, n_orders=400, rng=np.random.default_rng(5)) for _ in range(2)
        )
        assert sampled.value.tolist() == again.value.tolist()
        assert sampled.value_without.tolist() == again.value_without.tolist()
        assert (abs(sampled.value - exact.value) < 4 * sampled.sampling_se).all()
        assert (sampled.sampling_se > 0).all()
        assert sampled.value.sum() == pytest.approx(exact.rate, rel=1e-11)
        assert sampled.value_without.sum(axis=1) == pytest.approx(exact.value_without.sum(axis=1), rel=1e-10)
        lower, upper = sampled.interval()
        near, far = exact.interval()
        assert (upper - lower > 0.9 * (far - near)).all()
        assert sampled.coverage > 0.9


def test_all_orders_sampled_are_the_exact_value() -> None:
    # with two channels an order and its reverse are all there are
    counts = sets(table(("a", 4, 40, 6), ("a>b", 1, 10, 9)))
    sampled = sampled_shapley_rate(counts, of="conversions", n_orders=20, rng=np.random.default_rng(0))
    assert named(sampled) == pytest.approx({"a": 0.325, "b": -0.075}, abs=1e-14)
    assert sampled.sampling_se == pytest.approx([0, 0], abs=1e-15)


def test_sampled_groups_are_left_out_in_the_same_orders() -> None:
    paths = of_groups()
    whole = sampled_shapley_rate(sets(paths), of="value", n_orders=40, rng=np.random.default_rng(5))
    for group in (0, 99):
        rest = sets(paths[paths["replicate"] != group])
        alone = sampled_shapley_rate(rest, of="value", n_orders=40, rng=np.random.default_rng(5))
        assert whole.value_without[group] == pytest.approx(alone.value, abs=1e-10)


def test_too_many_channels_for_all_their_sets_are_refused_and_can_be_sampled() -> None:
    rng = np.random.default_rng(2)
    names = [f"c{i:02d}" for i in range(30)]
    counts = sets(
        table(*[(">".join(rng.choice(names, 4)), int(rng.integers(0, 2)), 5, 1, i % 100) for i in range(600)])
    )
    with pytest.raises(ModelError, match=r"30 channels have 2 \*\* 30 sets, more than the 2 \*\* 24"):
        shapley_rate(counts, of="conversions")
    found = sampled_shapley_rate(counts, of="conversions", n_orders=20, rng=rng)
    assert found.value.sum() == pytest.approx(found.rate)
    assert shapley_credit(counts, of="conversions").credit.sum() == pytest.approx(counts["n_conversions"].sum())
    with pytest.raises(ModelError, match="n_orders must be even and at least 20; came 21"):
        sampled_shapley_rate(counts, of="conversions", n_orders=21, rng=rng)


@pytest.mark.parametrize("solve", [shapley_credit, shapley_rate])
def test_sets_without_an_answer_are_refused(solve: object) -> None:
    def asked(channels: str, **more: object) -> pd.DataFrame:
        return pd.DataFrame(
            {"channels": [channels], "replicate": 0, "n": 3, "n_conversions": 1, "value_minor": 5} | more
        )

    for counts, message in (
        (asked("a", n_conversions=0), "needs journeys that convert, with a positive total; it is 0"),
        (asked(""), "holds no channel"),
        (asked(HISTORY_SEPARATOR.join("aa")), "holds one of them twice"),
        (asked("(null)"), r"a channel is named '\(null\)'"),
    ):
        with pytest.raises(ModelError, match=message):
            solve(counts, of="conversions")  # type: ignore[operator]
    with pytest.raises(ModelError, match="hold the channel 'a', which is not among"):
        solve(asked("a"), of="conversions", channels=["b"])  # type: ignore[operator]
    with pytest.raises(ModelError, match="no journey has the channel 'z'"):
        shapley_rate(asked("a"), of="conversions").estimate("z", n=1)
    with pytest.raises(ModelError, match="row 0 counts 0 journeys"):
        shapley_rate(asked("a", n=0), of="conversions")
