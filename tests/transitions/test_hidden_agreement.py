"""Hidden stages beside those of the rules: the cross table by hand, and indices against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.errors import ModelError
from lcm_research.transitions.hidden_agreement import (
    adjusted_rand_index,
    agreement,
    choose_hidden_markov,
    normalised_mutual_information,
)
from lcm_research.transitions.hidden_markov import HiddenMarkov

STAGES = ["active", "dormant", "churned"]
TWO = {"n_periods": 2, "with_engagements": False}
# the quiet stage never buys and the busy one always does, so the last month tells which it is
APART = HiddenMarkov(
    initial=np.full((2, 2), 0.5),
    transition=np.array([[0.9, 0.1], [0.1, 0.9]]),
    emission=np.array([[0.98, 0.01, 0.01], [0.01, 0.49, 0.5]]),
)
BUYS, SILENT = 4 * 1 + 3, 4 * 3 + 1  # to the base 4: none then two, two then none


def table(rows: list[tuple[int, str, int]], groups: int = 50) -> pd.DataFrame:
    """(sequence, stage, n customers in each of the first groups)."""
    made = [(sequence, stage, group, n) for sequence, stage, n in rows for group in range(groups)]
    return pd.DataFrame(made, columns=["sequence", "stage", "replicate", "n"])


def test_customers_are_crossed_by_stage_and_most_likely_hidden_stage() -> None:
    counts = table([(BUYS, "active", 3), (SILENT, "active", 1), (SILENT, "churned", 2)])
    found = agreement(counts, APART, stages=STAGES, level=0.95, **TWO)
    assert found.stages == ("active", "churned")  # nobody is dormant
    np.testing.assert_array_equal(found.n, [[50, 150], [100, 0]])
    assert found.share("active", 0, level=0.95).value == 0.25
    assert (found.share("churned", 0, level=0.95).value, found.share("churned", 0, level=0.95).n) == (1.0, 100)
    assert found.difference("churned", "active", 0, level=0.95).value == 0.75
    # silent last month: 0.5 * (0.01 * 0.9 * 0.01 ...) spelt out; begun in the busy stage, two then none
    a = 0.5 * 0.01 * 0.9 * 0.98 + 0.5 * 0.5 * 0.1 * 0.98
    b = 0.5 * 0.01 * 0.1 * 0.01 + 0.5 * 0.5 * 0.9 * 0.01
    busy = (0.5 * 0.98 * 0.1 + 0.5 * 0.01 * 0.9) * 0.5
    busy /= busy + (0.5 * 0.98 * 0.9 + 0.5 * 0.01 * 0.1) * 0.01
    assert found.certainty.value == pytest.approx((150 * busy + 150 * a / (a + b)) / 300)
    with pytest.raises(ModelError, match="nobody was in the stage 'dormant' at the end; there were active, churned"):
        found.share("dormant", 0, level=0.95)


def test_indices_are_those_of_scikit_learn() -> None:
    # adjusted_rand_score and normalized_mutual_info_score of scikit-learn on the customers spelt out
    cross = np.array([[22, 209, 619, 300], [436, 94, 50, 3], [1396, 48, 12, 0]])
    assert adjusted_rand_index(cross) == pytest.approx(0.47079365034103826, rel=1e-12)
    assert normalised_mutual_information(cross) == pytest.approx(0.466508735328624, rel=1e-12)


@given(st.lists(st.integers(2, 30), min_size=2, max_size=4), st.permutations([0, 1, 2, 3]))
@settings(max_examples=25, deadline=None)
def test_names_of_groups_are_no_matter_and_the_same_division_is_1(sizes, order) -> None:
    same = np.diag(sizes)[:, [k for k in order if k < len(sizes)]]
    assert adjusted_rand_index(same) == pytest.approx(1.0)
    assert normalised_mutual_information(same) == pytest.approx(1.0)
    independent = np.outer(sizes, [3, 5])
    assert normalised_mutual_information(independent) == pytest.approx(0.0, abs=1e-12)


def test_the_interval_is_wider_where_groups_differ() -> None:
    alike = table([(BUYS, "active", 4), (SILENT, "active", 4), (SILENT, "churned", 8)], groups=100)
    uneven = alike.assign(n=alike["n"] * np.where((alike["sequence"] == BUYS) & (alike["replicate"] % 2 == 0), 2, 1))
    uneven["n"] *= np.where((uneven["sequence"] == BUYS) & (uneven["replicate"] % 2 == 1), 0, 1)
    one, other = (agreement(c, APART, stages=STAGES, level=0.95, **TWO).adjusted_rand for c in (alike, uneven))
    assert one.value == pytest.approx(other.value)
    assert one.upper - one.lower < other.upper - other.lower


def test_one_stage_alone_has_nothing_to_agree_with() -> None:
    counts = table([(BUYS, "active", 3), (SILENT, "active", 1)])
    with pytest.raises(ModelError, match="1 stages of the rules and 2 hidden stages"):
        agreement(counts, APART, stages=STAGES, level=0.95, **TWO)
    counts = table([(SILENT, "active", 3), (SILENT, "churned", 1)])
    with pytest.raises(ModelError, match="2 stages of the rules and 1 hidden stages"):
        agreement(counts, APART, stages=STAGES, level=0.95, **TWO)


def test_customers_of_too_few_groups_are_refused() -> None:
    counts = table([(BUYS, "active", 30), (SILENT, "churned", 30)])
    with pytest.raises(ModelError, match="customers in 20 of the 100 groups of customers; came 1:"):
        agreement(counts[counts["replicate"] == counts["replicate"].min()], APART, stages=STAGES, level=0.95, **TWO)


def test_the_number_of_hidden_stages_is_the_one_with_the_smallest_criterion() -> None:
    rng = np.random.default_rng(2)
    busy = rng.random(3000) < 0.5  # two kinds of customers who never change
    digits = 1 + (rng.random((3000, 6)) < np.where(busy, 0.8, 0.05)[:, None])
    counts = pd.DataFrame({"sequence": digits @ 4 ** np.arange(5, -1, -1), "stage": "active", "replicate": 0, "n": 1})
    asked = {"n_periods": 6, "with_engagements": False, "n_starts": 2, "rng": np.random.default_rng(1)}
    choice = choose_hidden_markov(counts, n_states=[3, 1, 2, 2], **asked)
    assert choice.table()["n_states"].tolist() == [1, 2, 3]
    assert choice.best.n_states == 2
    assert not choice.at_the_edge
    np.testing.assert_allclose(choice.buying, [0.05, 0.8], atol=0.02)
    assert choice.table()["bic"].min() == choice.best.bic
    assert choose_hidden_markov(counts, n_states=[1, 2], **asked).at_the_edge
    with pytest.raises(ModelError, match="followed after their first purchase; none were counted"):
        choose_hidden_markov(counts[:0], n_states=[2], **asked)
