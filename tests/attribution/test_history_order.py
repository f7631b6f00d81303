"""Choosing how many channels a journey remembers: by hand, on chains with a known order, the same answer always."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from some_paths import of_groups, table

from lcm_research.attribution.history_order import OrderChoice, choose_order
from lcm_research.attribution.history_removal import kgram_credit
from lcm_research.attribution.kgrams import kgrams_from_paths, shorter_kgrams
from lcm_research.errors import ModelError
from lcm_research.estimate import jackknife_se

NAMES = "abcd"


def simulated(order: int, n: int, seed: int) -> pd.DataFrame:
    """Journeys of ``n`` customers whose next step depends on the last one or two channels."""
    rng = np.random.default_rng(seed)
    k = len(NAMES)
    step = rng.dirichlet(np.ones(k + 2), size=(k if order == 2 else 1, k))
    step[..., k] += 0.2
    step = np.broadcast_to(step / step.sum(-1, keepdims=True), (k, k, k + 2))
    rows = []
    for i in range(n):
        path = [int(rng.integers(k))]
        while (to := int(rng.choice(k + 2, p=step[path[-2] if len(path) > 1 else path[-1], path[-1]]))) < k:
            path.append(to)
        converted = to == k
        rows.append((">".join(NAMES[c] for c in path), int(converted), 100, int(not converted), i % 100))
    return table(*rows)


def grams(paths: pd.DataFrame, order: int = 3) -> pd.DataFrame:
    return kgrams_from_paths(paths, separator=">", order=order)


def test_likelihood_and_parameters_worked_by_hand() -> None:
    # 2 x a > b converted, 1 x b not. Steps: start a 2, start b 1; a b 2; b conversion 2, b null 1: 8 steps.
    # order 1: 2 log(2/3) + log(1/3) twice (start, and after b); a leads to b always.
    # order 2: a>b converts always, b alone never: only the start is uncertain.
    choice = choose_order(grams(table(("a>b", 2, 9, 0), ("b", 0, 0, 1)), 2), most=2)
    start = 2 * math.log(2 / 3) + math.log(1 / 3)
    assert choice.log_likelihood == pytest.approx([2 * start, start])
    # start: 2 first channels, less one; a: 1 way on, less one; b: 2 ends, less one; order 2 has b and a b apart
    assert choice.n_parameters.tolist() == [2, 3]
    assert choice.n_steps == 8
    assert choice.aic == pytest.approx([4 - 4 * start, 6 - 2 * start])
    assert choice.bic == pytest.approx([2 * math.log(8) - 4 * start, 3 * math.log(8) - 2 * start])


def test_the_forecast_of_others_worked_by_hand() -> None:
    # Group 0 (fold 0): 3 x a converted. Group 1 (fold 1): 1 x a not. Three targets: a, (conversion), (null).
    # Fold 0 from fold 1: a first (1 + 1/3) / 2 = 2/3; conversion after a (0 + 1/3) / 2 = 1/6.
    # Fold 1 from fold 0: a first (3 + 1/3) / 4 = 5/6; no conversion after a (0 + 1/3) / 4 = 1/12.
    choice = choose_order(grams(table(("a", 3, 9, 0, 0), ("a", 0, 0, 1, 1)), 1), most=1)
    assert choice.score_by_group[0, 0] == pytest.approx(3 * math.log(2 / 3) + 3 * math.log(1 / 6))
    assert choice.score_by_group[1, 0] == pytest.approx(math.log(5 / 6) + math.log(1 / 12))
    assert choice.steps_by_group[:3].tolist() == [6, 2, 0]
    assert choice.score[0] == pytest.approx(choice.score_by_group.sum() / 8)


@pytest.mark.parametrize("order", [1, 2])
def test_the_order_that_made_the_journeys_is_chosen(order: int) -> None:
    choice = choose_order(grams(simulated(order, 3000, seed=7)), most=3)
    assert [choice.chosen(by) for by in ("aic", "bic", "score")] == [order] * 3
    assert choice.gain(2, 1).sign() == (1 if order == 2 else -1)
    assert choice.gain(1, 2).value == pytest.approx(-choice.gain(2, 1).value)


def test_a_second_order_fit_of_first_order_journeys_agrees_within_its_interval() -> None:
    counts = grams(simulated(1, 3000, seed=11))
    for of in ("conversions", "value"):
        one, two = (kgram_credit(shorter_kgrams(counts, order=k), of=of) for k in (1, 2))
        apart = two.removal_effect - one.removal_effect
        spread = jackknife_se(apart, two.removal_effect_without - one.removal_effect_without)
        assert (abs(apart) < 3 * spread).all()
        assert (spread > 0).all()


def test_the_same_counts_give_the_same_answer_in_any_order_of_rows() -> None:
    counts = grams(of_groups())
    first, again = (
        choose_order(c, most=3) for c in (counts, counts.sample(frac=1, random_state=4).reset_index(drop=True))
    )
    assert again.log_likelihood == pytest.approx(first.log_likelihood, rel=1e-13)
    assert again.score_by_group == pytest.approx(first.score_by_group, rel=1e-12)
    assert again.n_parameters.tolist() == first.n_parameters.tolist()
    pd.testing.assert_frame_equal(choose_order(counts, most=3).table(), first.table())


def test_longer_counts_say_the_same_of_a_shorter_order() -> None:
    counts = grams(of_groups())
    long, short = choose_order(counts, most=2), choose_order(shorter_kgrams(counts, order=2), most=2)
    assert long.log_likelihood == pytest.approx(short.log_likelihood, rel=1e-13)
    assert long.score == pytest.approx(short.score, rel=1e-13)


def test_one_group_of_customers_foretells_nobody() -> None:
    choice = choose_order(grams(of_groups().assign(replicate=5), 2), most=2)
    assert choice.table()[["score", "gain", "lower", "upper"]].isna().all(axis=None)
    assert choice.chosen("bic") == 1
    with pytest.raises(ModelError, match="too few groups to foretell"):
        choice.chosen("score")


def test_orders_that_were_not_counted_are_refused() -> None:
    counts = grams(of_groups(), 2)
    with pytest.raises(ModelError, match=r"most=3 is outside 1 to 2, the longest history counted; count .* order=3"):
        choose_order(counts, most=3)
    with pytest.raises(ModelError, match="order 3 was not compared; choose among 1, 2"):
        choose_order(counts, most=2).gain(3, 1)


def test_more_memory_has_to_earn_its_place() -> None:
    # 100 steps a group; order 2 is better by 1 nat a group on average, give or take `spread`
    def choice(spread: float) -> OrderChoice:
        gain = 1 + spread * np.where(np.arange(100) % 2, 1.0, -1.0)
        return OrderChoice(
            log_likelihood=np.array([-100.0, -90.0]),
            n_parameters=np.array([3, 9]),
            n_steps=10_000,
            score_by_group=np.stack([np.zeros(100), gain], axis=1),
            steps_by_group=np.full(100, 100.0),
        )

    # standard error of the mean: spread / 10
    assert choice(spread=9).gain(2, 1).sign() == 0
    assert choice(spread=9).chosen("score") == 1
    assert choice(spread=1).chosen("score") == 2
