"""Homogeneity over time: the likelihood-ratio test on what customers do, not on what the clock does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.stages.moves import possible_moves
from lcm_research.stages.rules import stage_rules
from lcm_research.transitions.homogeneity import homogeneity, homogeneity_over_time

RULES = stage_rules("nadc", window_days=180)
MOVES = possible_moves(RULES)


def counts(rows: list[tuple[str, str, str, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["period_start", "from_stage", "to_stage", "n"]).assign(replicate=0)


def test_the_statistic_is_that_of_a_contingency_table_of_periods_by_outcomes() -> None:
    returned, stayed, churned = [30, 55, 40], [60, 30, 50], [10, 15, 10]
    rows = []
    for month, (a, d, c) in enumerate(zip(returned, stayed, churned, strict=True), start=1):
        start = f"2021-0{month}-01"
        rows += [(start, "dormant", "active", a), (start, "dormant", "dormant", d), (start, "dormant", "churned", c)]
    found = homogeneity_over_time(counts(rows), stages=RULES.stages, moves=MOVES)
    # staying and the clock's move to churned are one outcome
    table = np.column_stack([returned, np.add(stayed, churned)])
    expected = stats.chi2_contingency(table, lambda_="log-likelihood", correction=False)
    dormant = found.by_stage.set_index("stage").loc["dormant"]
    assert dormant["statistic"] == pytest.approx(expected.statistic)
    assert (dormant["degrees_of_freedom"], dormant["blocks"], dormant["n_from"]) == (2, 3, 300)
    assert (dormant["lowest"], dormant["highest"]) == (pytest.approx(0.30), pytest.approx(0.55))
    assert found.p_value == pytest.approx(expected.pvalue)


def test_moves_by_the_clock_alone_are_not_tested() -> None:
    rows = [("2021-01-01", "active", "dormant", 90), ("2021-01-01", "active", "active", 10)]
    rows += [("2021-02-01", "active", "dormant", 10), ("2021-02-01", "active", "active", 90)]
    found = homogeneity_over_time(counts(rows), stages=RULES.stages, moves=MOVES)
    assert not found.applies
    assert np.isnan(found.p_value)
    assert "active" not in set(found.by_stage["stage"])


def test_periods_with_too_few_are_joined_with_the_next() -> None:
    # 10 in 100 return, so 5 are expected in every 50: months of 25 make blocks of two
    rows = []
    for month in range(1, 5):
        start = f"2021-0{month}-01"
        rows += [(start, "churned", "active", [2, 3, 3, 2][month - 1]), (start, "churned", "churned", 23)]
    dormant = homogeneity_over_time(counts(rows), stages=RULES.stages, moves=MOVES).by_stage.set_index("stage")
    assert dormant.loc["churned", "blocks"] == 2
    assert dormant.loc["churned", "degrees_of_freedom"] == 1


def test_without_a_purchase_there_is_nothing_to_compare() -> None:
    rows = [("2021-01-01", "churned", "churned", 90), ("2021-02-01", "churned", "churned", 90)]
    assert not homogeneity_over_time(counts(rows), stages=RULES.stages, moves=MOVES).applies


def test_the_test_has_the_size_it_promises() -> None:
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(300):
        returned = rng.binomial(200, 0.2, 6)
        rows = [(f"2021-0{m + 1}-01", "churned", to, n) for m, k in enumerate(returned)
                for to, n in (("active", int(k)), ("churned", int(200 - k)))]  # fmt: skip
        rejected += homogeneity_over_time(counts(rows), stages=RULES.stages, moves=MOVES).p_value < 0.05
    assert 5 <= rejected <= 29  # 15 expected; binomial(300, .05) leaves this range in 1 of 1,000 runs


def test_no_counts_are_refused() -> None:
    with pytest.raises(ModelError, match="came none"):
        homogeneity_over_time(counts([]), stages=RULES.stages, moves=MOVES)


# -- cohorts and segments ---------------------------------------------------------------------------------------------


def moves_between(rows: list[tuple[str, str, str, int]], by: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[by, "from_stage", "to_stage", "n"]).assign(replicate=0)


def test_segments_are_compared_by_the_same_table_without_an_order() -> None:
    rows = [
        (s, "a", to, n)
        for s, cells in {"east": (30, 70), "west": (50, 50)}.items()
        for to, n in zip("ab", cells, strict=True)
    ]
    rows += [("east", "b", "b", 10), ("west", "b", "b", 10)]
    found = homogeneity(moves_between(rows, "region"), stages=["a", "b"], moves=None, by="region", ordered=False)
    expected = stats.chi2_contingency([[30, 70], [50, 50]], correction=False, lambda_="log-likelihood")
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.pearson == pytest.approx(stats.chi2_contingency([[30, 70], [50, 50]], correction=False).statistic)
    assert found.degrees_of_freedom == 1
    row = found.by_stage.set_index("stage").loc["a"]
    assert (row["lowest"], row["highest"]) == (0.5, 0.7)  # shares who left a: 50 and 70 in 100


def test_small_segments_are_compared_together() -> None:
    sizes = {"east": 400, "north": 6, "south": 400, "west": 7}
    rows = [(s, "a", to, n // 2 + n % 2 * (to == "b")) for s, n in sizes.items() for to in "ab"]
    found = homogeneity(moves_between(rows, "region"), stages=["a", "b"], moves=None, by="region", ordered=False)
    assert found.by_stage["blocks"].tolist() == [
        3,
        0,
    ]  # each outcome expected 5 times takes 10: north and west together


def test_customers_who_differ_do_not_upset_the_replicate_test_of_segments() -> None:
    rng = np.random.default_rng(9)
    classical = replicate = 0
    for _ in range(100):
        chance = rng.beta(1, 2, 400)
        returned = rng.binomial(12, chance)
        frame = pd.DataFrame(
            {"region": np.where(rng.random(400) < 0.5, "east", "west"), "replicate": np.arange(400) % 100}
        )
        parts = [frame.assign(from_stage="a", to_stage=to, n=n) for to, n in (("b", returned), ("a", 12 - returned))]
        found = homogeneity(pd.concat(parts), stages=["a", "b"], moves=None, by="region", ordered=False)
        classical += found.p_value < 0.05
        replicate += found.replicate.p_value < 0.05
    assert replicate <= 13  # 5 expected; binomial(100, .05) is above in 1 of 2,000 runs
    assert classical >= 30


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ModelError, match="needs the column 'region'; the counts hold period_start, from_stage"):
        homogeneity(counts([("2021-01-01", "new", "new", 1)]), stages=["new"], moves=None, by="region", ordered=False)
