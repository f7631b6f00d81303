"""How much the stage before changes a move: by hand, among customers alike, and which move is asked about."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.stages.moves import possible_moves
from lcm_research.stages.panel import ANY
from lcm_research.stages.rules import stage_rules
from lcm_research.transitions.past import contrast_within, moves_to_compare, past_contrast

STAGES = ["a", "d", "c"]
KEYS = ["before_stage", "from_stage", "to_stage", "replicate", "n"]


def second(shares: dict[str, tuple[int, int]], *, region: str = "north", replicates: int = 100) -> pd.DataFrame:
    """For each group of customers, moves from d by the stage before: how many went to a, and how many stayed."""
    rows = []
    for before, (made, stayed) in shares.items():
        for group in range(replicates):
            extra = (group % 3) - 1  # groups differ, and add up to the same
            rows += [(before, "d", "a", group, made + extra), (before, "d", "d", group, stayed - extra)]
    return pd.DataFrame(rows, columns=KEYS).assign(region=region)


def heads(counts: pd.DataFrame) -> pd.DataFrame:
    """As if every customer-period were a customer of its own."""
    keys = ["before_stage", "from_stage"]
    each = counts.groupby([*keys, "to_stage"])["n"].sum().rename("n_customers").reset_index()
    pairs = counts.groupby(keys)["n"].sum().rename("n_customers").reset_index().assign(to_stage=ANY)
    whole = pairs.groupby("from_stage")["n_customers"].sum().reset_index().assign(before_stage=ANY, to_stage=ANY)
    return pd.concat([each, pairs, whole]).assign(replicate=0)


def contrast(counts: pd.DataFrame, *, candidates: list[tuple[str, str]] | None = None, min_group: int = 10):
    return past_contrast(
        counts,
        stages=STAGES,
        candidates=candidates or [("d", "a")],
        customers=heads(counts),
        min_group=min_group,
        level=0.95,
    )


def test_the_difference_is_of_two_shares_in_percentage_points() -> None:
    # from a: 3 of 10 go to a; had been in d: 2 of 20. 30% less 10% is 20 points; groups add 99 extra moves to neither
    counts = second({"a": (3, 7), "d": (2, 18)}, replicates=99)
    found = contrast(counts)
    assert (found.start, found.end, found.came, found.had) == ("d", "a", "a", "d")
    assert found.probability_came.value == pytest.approx(0.3)
    assert found.probability_had.value == pytest.approx(0.1)
    assert found.difference.value == pytest.approx(20.0)
    assert found.difference.unit == "percentage points"
    assert found.difference.lower < 20 < found.difference.upper
    assert found.difference.n == 99 * 30


def test_the_two_stages_before_are_those_of_most_customer_months_whatever_the_difference() -> None:
    # c differs most, but fewest come from it
    counts = second({"a": (3, 7), "d": (2, 18), "c": (4, 2)}, replicates=99)
    assert {contrast(counts).came, contrast(counts).had} == {"a", "d"}
    # without the stage itself among the two, the one with most is compared with
    elsewhere = second({"a": (3, 17), "c": (4, 6)}, replicates=99)
    assert (contrast(elsewhere).came, contrast(elsewhere).had) == ("c", "a")


def test_the_first_move_that_can_be_compared_is_taken() -> None:
    counts = second({"a": (3, 7), "d": (2, 18)}, replicates=99)
    assert contrast(counts, candidates=[("c", "a"), ("d", "a")]).start == "d"
    with pytest.raises(ModelError, match=r"two stages before it.*10 customers.*none of 1 moves has them"):
        contrast(counts, candidates=[("c", "a")])
    # 198 customers of the stage before went there; with more asked for there is nothing to compare
    with pytest.raises(ModelError, match="199 customers who made the move"):
        contrast(counts, min_group=199)
    assert contrast(counts, min_group=198).end == "a"
    with pytest.raises(ModelError, match="none were counted"):
        contrast(counts.iloc[:0])


def test_among_customers_alike_a_difference_made_by_the_mix_is_gone() -> None:
    # north buys with .4 and mostly comes from a, south with .1 and mostly had been in d: within regions no difference
    north = second({"a": (8, 12), "d": (2, 3)}, region="north", replicates=99)
    south = second({"a": (1, 9), "d": (3, 27)}, region="south", replicates=99)
    counts = pd.concat([north, south])
    pooled = contrast(counts)
    # 9 of 30 against 5 of 35
    assert pooled.difference.value == pytest.approx(100 * (9 / 30 - 5 / 35))
    assert pooled.difference.sign() == 1
    within = contrast_within(pooled, counts, stages=STAGES, by=["region"], level=0.95)
    assert within.value == pytest.approx(0.0, abs=1e-9)
    assert within.sign() == 0


def test_differences_within_segments_are_weighted_as_mantel_and_haenszel_do() -> None:
    # north 30 points with 10 and 20, weight 200/30; south 0 points with 10 and 10, weight 100/20
    north = second({"a": (5, 5), "d": (4, 16)}, region="north", replicates=99)
    south = second({"a": (2, 8), "d": (2, 8)}, region="south", replicates=99)
    # in the east only one past occurs: it says nothing
    east = second({"a": (9, 1)}, region="east", replicates=99)
    counts = pd.concat([north, south, east])
    found = contrast_within(contrast(counts), counts, stages=STAGES, by=["region"], level=0.95)
    assert found.value == pytest.approx(30 * (200 / 30) / (200 / 30 + 100 / 20))
    apart = pd.concat([second({"a": (3, 7)}, region="north"), second({"d": (2, 18)}, region="south")])
    with pytest.raises(ModelError, match="among customers alike in region nobody is left to compare"):
        contrast_within(contrast(counts), apart, stages=STAGES, by=["region"], level=0.95)


@pytest.mark.parametrize("scheme", ["nadc", "rete6", "ga4state", "community3"])
def test_a_scheme_has_moves_to_compare_and_none_is_the_clocks(scheme: str) -> None:
    rules = stage_rules(scheme, window_days=180)
    moves = possible_moves(rules)
    found = moves_to_compare(rules, moves)
    assert found
    places = np.array([[rules.stages.index(stage) for stage in pair] for pair in found])
    assert moves.possible[tuple(places.T)].all()
    assert not moves.clock[tuple(places.T)].any()
    assert (places[:, 0] != places[:, 1]).all()


def test_returns_of_customers_at_risk_are_asked_about_first() -> None:
    rules = stage_rules("nadc", window_days=180)
    assert moves_to_compare(rules, possible_moves(rules)) == [
        ("dormant", "active"),
        ("churned", "active"),
        ("prospect", "new"),
    ]
