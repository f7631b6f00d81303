"""Shapley values and chains of histories against numbers computed elsewhere on 10,000 paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lcm_research.attribution.channel_sets import sets_from_paths
from lcm_research.attribution.history_removal import kgram_credit
from lcm_research.attribution.kgrams import kgrams_from_paths
from lcm_research.attribution.paths import edges_from_paths
from lcm_research.attribution.removal_meanings import removal_meanings
from lcm_research.attribution.shapley import shapley_credit, shapley_rate
from lcm_research.attribution.shapley_sampled import sampled_shapley_rate

PRINTED = 1e-11
"""The numbers are printed to 12 digits."""


@pytest.fixture(scope="module")
def paths(reference: Path) -> pd.DataFrame:
    read = pd.read_csv(reference / "attribution" / "paths.csv", sep=";")
    read.columns = pd.Index(["path", "conversions", "value", "nulls"])
    return read


@pytest.fixture(scope="module")
def numbers(reference: Path) -> pd.DataFrame:
    return pd.read_csv(reference / "attribution" / "numbers.csv")


def expected(numbers: pd.DataFrame, model: str, measure: str) -> pd.Series:
    rows = numbers[(numbers["model"] == model) & (numbers["measure"] == measure)]
    assert len(rows) == 12
    return rows.set_index("channel")["value"]


def test_shapley_credit_is_what_others_computed(
    paths: pd.DataFrame, numbers: pd.DataFrame, record_property: Any
) -> None:
    credit = shapley_credit(sets_from_paths(paths, separator=">"), of="conversions")
    told = expected(numbers, "shapley allow_loops=True", "raw")
    found = pd.Series(credit.credit, credit.channels)[told.index]
    assert found.to_numpy() == pytest.approx(told.to_numpy(), rel=PRINTED)
    deviation = float((found / told - 1).abs().max())
    record_property("deviation", f"attribution, shapley within the set: 12 numbers, {deviation:.1e}")


@pytest.mark.parametrize("of", ["conversions", "value"])
def test_a_chain_of_histories_of_one_channel_is_what_others_computed(
    of: str, paths: pd.DataFrame, numbers: pd.DataFrame
) -> None:
    credit = kgram_credit(kgrams_from_paths(paths, separator=">", order=1), of=of)
    model = "closed form markov order=1 with_null selfloops"
    suffix = "_value" if of == "value" else ""
    for measure, values in ((of, credit.credit), (f"removal_effect{suffix}", credit.removal_effect)):
        told = expected(numbers, model, measure)
        assert pd.Series(values, credit.channels)[told.index].to_numpy() == pytest.approx(told.to_numpy(), rel=PRINTED)


def test_meanings_of_removal_lie_far_apart(paths: pd.DataFrame, numbers: pd.DataFrame) -> None:
    edges, sets = edges_from_paths(paths, separator=">"), sets_from_paths(paths, separator=">")
    rows = removal_meanings(edges, sets, of="conversions").table().set_index("channel")
    told = expected(numbers, "markov order=1 redirect_to_null null=yes", "removal_effect")
    assert rows["redirect"][told.index].to_numpy() == pytest.approx(told.to_numpy(), rel=PRINTED)
    held = paths["path"].str.split(" > ").map(lambda channels: "alpha" in channels)
    assert rows.loc["alpha", "remove_journeys"] == pytest.approx(
        paths["conversions"][held].sum() / paths["conversions"].sum()
    )
    assert rows.loc["alpha", "spread"] > 0.3


def test_sampled_orders_stray_no_further_than_they_say(paths: pd.DataFrame) -> None:
    sets = sets_from_paths(paths, separator=">")
    exact = shapley_rate(sets, of="conversions")
    sampled = sampled_shapley_rate(sets, of="conversions", n_orders=400, rng=np.random.default_rng(3))
    assert (abs(sampled.value - exact.value) < 4 * sampled.sampling_se).all()
    assert exact.value.sum() == pytest.approx(19785 / (19785 + 68602), rel=1e-12)
