"""Questions to a chain of stages under several definitions, on counts worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.stages.rules import stage_rules
from lcm_research.stages.universes import Universe
from lcm_research.transitions.multiverse import NO_CHOICE, NO_SUCH_STAGE, chain_curves, level_curves, two_largest

NADC, PNMC = (stage_rules(name, window_days=180) for name in ("nadc", "pnmc"))
UNIVERSES = {
    "nadc": Universe(rules=NADC, own=True),
    "pnmc": Universe(rules=PNMC),
    "nadc, w_new = 15": Universe(rules=NADC, threshold="w_new", before=30, after=15),
}

MOVES = {
    ("nadc", "at_risk", "established"): 2,
    ("nadc", "at_risk", "returned"): 1,
    ("nadc", "at_risk", "at_risk"): 7,
    ("nadc", "established", "established"): 8,
    ("nadc", "established", "at_risk"): 2,
    ("nadc", "lapsed", "new"): 1,
    ("nadc", "lapsed", "lapsed"): 9,
    ("pnmc", "established", "established"): 9,
    ("pnmc", "established", "lapsed"): 1,
    ("pnmc", "lapsed", "new"): 1,
    ("pnmc", "lapsed", "lapsed"): 4,
}


def counted(moves: dict[tuple[str, str, str], int], *, groups: int = 100, **columns: str) -> pd.DataFrame:
    """Return the same moves in each group of customers, in January 2024 unless ``columns`` say otherwise."""
    rows = [(*key, group, n) for key, n in moves.items() for group in range(groups)]
    table = pd.DataFrame(rows, columns=["universe", "from_stage", "to_stage", "replicate", "n"])
    return table.assign(**{"period_start": "2024-01-01"} | columns)


RESTS = {"n_customers": 700, "fewest": 10}


def test_levels_are_shares_of_customer_months() -> None:
    curves = level_curves(counted(MOVES), UNIVERSES, **RESTS)
    own = {name: curve.reference.estimate for name, curve in curves.items()}
    assert own["returns"].value == pytest.approx(3 / 10)
    assert own["stays-active"].value == pytest.approx(8 / 10)
    assert own["lapsed-returns"].value == pytest.approx(1 / 10)
    # 10 of 30 customer-months end established: 2 from at risk, 8 that stay
    assert own["established"].value == pytest.approx(10 / 30)
    assert own["lapsed"].value == pytest.approx(9 / 30)
    assert {estimate.n for estimate in own.values()} == {700}


def test_a_scheme_without_the_stage_has_no_answer_and_says_so() -> None:
    curve = level_curves(counted(MOVES), UNIVERSES, **RESTS)["returns"]
    assert [each.choices["scheme"] for each in curve.tried] == ["nadc"]
    assert set(curve.unanswered.values()) == {NO_SUCH_STAGE}
    assert len(curve.unanswered) == 2


def test_a_definition_that_leaves_no_choice_has_no_answer() -> None:
    curve = level_curves(counted({("nadc", "established", "new"): 5} | MOVES), UNIVERSES, **RESTS)["stays-active"]
    assert "scheme = pnmc" not in curve.unanswered
    only = {key: n for key, n in MOVES.items() if key != ("pnmc", "established", "lapsed")}
    curve = level_curves(counted(only), UNIVERSES, **RESTS)["stays-active"]
    assert curve.unanswered["scheme = pnmc"] == NO_CHOICE


def test_differences_are_in_percentage_points() -> None:
    found = chain_curves(counted(MOVES), UNIVERSES, groups=None, **RESTS)
    # at risk 3 of 10, lapsed 1 of 10; established 8 of 10
    assert found["recency"].reference.estimate.value == pytest.approx(20)
    assert found["stay-or-return"].reference.estimate.value == pytest.approx(50)
    assert found["recency"].reference.estimate.unit == "percentage points"
    assert "groups-return" not in found


def test_the_later_half_is_compared_with_the_earlier_and_the_month_between_with_neither() -> None:
    halves = [counted(MOVES, period_start=f"2024-0{month}-01") for month in (1, 2)]
    between = counted({("nadc", "at_risk", "established"): 50}, period_start="2024-03-01")
    more = MOVES | {("nadc", "at_risk", "established"): 5}  # 6 of 13 instead of 3 of 10
    later = [counted(more, period_start=f"2024-0{month}-01") for month in (4, 5)]
    found = chain_curves(pd.concat([*halves, between, *later]), UNIVERSES, groups=None, **RESTS)["return-trend"]
    assert found.reference.estimate.value == pytest.approx(100 * (6 / 13 - 3 / 10))


def test_two_groups_are_compared_in_the_order_given() -> None:
    more = MOVES | {("nadc", "at_risk", "established"): 5, ("nadc", "established", "at_risk"): 0}
    counts = pd.concat([counted(MOVES, region="east"), counted(more, region="west")])
    found = chain_curves(counts, UNIVERSES, groups=("region", "west", "east"), **RESTS)
    assert found["groups-return"].reference.estimate.value == pytest.approx(100 * (6 / 13 - 3 / 10))
    # everybody established in the west stays
    assert "groups-stay" not in found or not found["groups-stay"].reference.own


def test_the_interval_is_the_delete_a_group_jackknife() -> None:
    draws = np.random.default_rng(5)
    counts = counted(MOVES)
    counts = counts.assign(n=draws.poisson(counts["n"]))
    found = chain_curves(counts, UNIVERSES, groups=None, **RESTS)["recency"].reference.estimate
    rows = counts[counts["universe"] == "nadc"]

    def difference(part: pd.DataFrame) -> float:
        shares = []
        for start in ("at_risk", "lapsed"):
            begun = part[part["from_stage"] == start]
            shares.append(begun.loc[begun["to_stage"].isin(["new", "established", "returned"]), "n"].sum())
            shares[-1] /= begun["n"].sum()
        return 100 * (shares[0] - shares[1])

    without = np.array([difference(rows[rows["replicate"] != group]) for group in range(100)])
    assert found.value == pytest.approx(difference(rows))
    assert found.leave_one_out == pytest.approx(without)
    error = np.sqrt(0.99 * ((without - difference(rows)) ** 2).sum())
    assert found.upper - found.value == pytest.approx(1.98422 * error, rel=1e-4)


def test_too_few_customers_on_either_side_have_no_answer() -> None:
    few = counted({("nadc", "at_risk", "established"): 1}, groups=19)
    rest = counted({key: n for key, n in MOVES.items() if key[1:] == ("at_risk", "at_risk")})
    assert "returns" not in level_curves(pd.concat([few, rest]), UNIVERSES, **RESTS)
    enough = counted({("nadc", "at_risk", "established"): 1}, groups=20)
    assert "returns" in level_curves(pd.concat([enough, rest]), UNIVERSES, **RESTS)
    # a study that protects groups below 30 customers needs 30 groups
    assert "returns" not in level_curves(pd.concat([enough, rest]), UNIVERSES, n_customers=700, fewest=30)


def test_the_two_largest_groups_of_the_first_segment_that_has_two() -> None:
    rows = [("a", "all", "east", 5), ("a", "all", "west", 9), ("a", "all", "unknown", 99), ("b", "all", "east", 50)]
    counts = pd.DataFrame(rows, columns=["universe", "kind", "region", "n"])
    assert two_largest(counts, ["kind", "region"], own="a") == ("region", "west", "east")
    assert two_largest(counts, ["region"], own="b") is None
    assert two_largest(counts, [], own="a") is None


def test_counts_of_a_definition_that_was_not_named_are_refused() -> None:
    with pytest.raises(ModelError, match=r"column 'universe' holds \['zzz'\]"):
        level_curves(counted({("zzz", "new", "new"): 1}), UNIVERSES, **RESTS)
