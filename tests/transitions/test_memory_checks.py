"""The order of a chain beside what could explain a rejected one: each found where it was put in."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.stages.moves import Moves
from lcm_research.transitions.memory import COHORT, OVER_TIME, STAYERS, MemoryChecks, memory_checks

STAGES = ("a", "b")
ALL = np.ones((2, 2), dtype=bool)
MOVES = Moves(stages=STAGES, possible=ALL, clock=~ALL, purchase=~ALL)


def brand(seed: int, *, apart: float = 0.0, memory: float = 0.0) -> dict[str, pd.DataFrame]:
    """1,000 customers over 9 months; tastes differ by region by ``apart``, those just come leave more by ``memory``."""
    rng, n, k = np.random.default_rng(seed), 1000, 8
    region = rng.random(n) < 0.5
    walk = [rng.integers(0, 2, n)]
    came = np.zeros(n, dtype=bool)
    for _ in range(k):
        leave = 0.28 + apart * (region - 0.5) + memory * (came - 0.5)
        moved = rng.random(n) < leave
        walk.append(np.where(moved, 1 - walk[-1], walk[-1]))
        came = moved
    people = pd.DataFrame({"replicate": np.arange(n) % 100, "region": np.where(region, "north", "south")})
    people["cohort"] = np.where(np.arange(n) < n / 2, "2024-01-01", "2024-04-01")
    names = np.array(STAGES)
    months = [people.assign(from_stage=names[a], to_stage=names[b]) for a, b in pairwise(walk)]
    moved_rows = pd.concat([each.assign(period_start=f"2024-{t + 2:02d}-01") for t, each in enumerate(months)])
    threes = zip(walk, walk[1:], walk[2:], strict=False)
    pairs = pd.concat(
        [people.assign(before_stage=names[z], from_stage=names[a], to_stage=names[b]) for z, a, b in threes]
    )
    number = sum(w * 2 ** (k - t) for t, w in enumerate(walk))
    return {
        "pairs": counted(pairs, ["before_stage", "from_stage", "to_stage"]),
        "moved": counted(moved_rows, ["from_stage", "to_stage", "period_start", "region"]),
        "cohorts": counted(moved_rows, ["from_stage", "to_stage", "cohort"]),
        "sequences": counted(people.assign(sequence=number), ["sequence"]),
    }


def counted(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return rows[[*keys, "replicate"]].value_counts().rename("n").reset_index()


def checks(made: dict[str, pd.DataFrame], **changed: object) -> MemoryChecks:
    asked = {
        "n_periods": 8,
        "stages": STAGES,
        "moves": MOVES,
        "segments": ["region"],
        "known_from_purchase": [],
        "prospects": [],
        "rng": np.random.default_rng(1),
        "level": 0.95,
    }
    tables = dict(made)
    return memory_checks(tables.pop("pairs"), **(tables | asked | changed))


def test_every_test_stands_on_the_spread_between_groups_of_customers() -> None:
    found = checks(brand(3))
    assert list(found.on_groups) == ["1", "2", OVER_TIME, COHORT, "region", STAYERS]
    assert found.segments == ("region",)
    assert all(test.applies for test in found.on_groups.values())


def test_customers_alike_without_memory_are_rejected_as_often_as_promised() -> None:
    rejected = np.zeros(5, dtype=int)
    for seed in range(30):
        tests = checks(brand(seed)).on_groups
        rejected += [tests[key].p_value < 0.05 for key in ("2", OVER_TIME, COHORT, "region", STAYERS)]
    assert rejected.max() <= 6  # 1.5 expected; binomial(30, .05) is above in 1 of 1,000 runs


def test_memory_is_found_in_the_order_and_not_between_segments() -> None:
    tests = checks(brand(5, memory=0.3)).on_groups
    assert tests["2"].p_value < 1e-6
    assert tests["region"].p_value > 0.01
    assert tests[COHORT].p_value > 0.01


def test_regions_that_differ_look_like_memory_and_are_found_between_segments() -> None:
    tests = checks(brand(5, apart=0.5)).on_groups
    assert tests["2"].p_value < 1e-6
    assert tests["region"].p_value < 1e-6
    assert tests[STAYERS].p_value < 1e-6


def test_a_segment_of_the_first_purchase_is_compared_after_it_only() -> None:
    made = brand(5)
    # in a, before the first purchase, the segment foretells whether there will be one
    foretold = made["moved"].copy()
    there = (foretold["from_stage"] == "a") & (foretold["to_stage"] == "b")
    foretold.loc[there, "region"] = "north"
    told = checks(made | {"moved": foretold})
    assert told.on_groups["region"].p_value < 1e-6
    kept = checks(made | {"moved": foretold}, known_from_purchase=["region"], prospects=["a"])
    assert kept.on_groups["region"].p_value > 0.01
    assert kept.alike["region"].by_stage.set_index("stage")["n_from"]["a"] == 0


def test_without_sequences_or_segments_the_others_are_still_tested() -> None:
    found = checks(brand(5) | {"sequences": None}, segments=[])
    assert found.stayers is None
    assert list(found.on_groups) == ["1", "2", OVER_TIME, COHORT]


def test_without_three_known_months_in_a_row_nothing_is_tested() -> None:
    made = brand(5)
    with pytest.raises(ModelError, match="three periods in a row; none were counted"):
        checks(made | {"pairs": made["pairs"].iloc[:0]})
