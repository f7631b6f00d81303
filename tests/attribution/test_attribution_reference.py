"""Credit against numbers computed elsewhere on 10,000 paths: exact, or inside the error of a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lcm_research.attribution.credit import Credit
from lcm_research.attribution.heuristics import heuristic_credit
from lcm_research.attribution.paths import edges_from_paths, touches_from_paths
from lcm_research.attribution.removal import markov_credit

PRINTED = 1e-11
"""The numbers are printed to 12 digits."""
SIMULATED_EFFECT, SIMULATED_SHARE = 0.02, 0.01
"""How far 100,000 simulated journeys strayed from the exact removal effects, and from shares."""

SOURCES = {
    "first_touch": ("first", PRINTED),
    "last_touch": ("last", PRINTED),
    "linear_touch": ("linear", PRINTED),
    "markov order=1 redirect_to_null null=yes": ("markov", PRINTED),
    "closed form markov order=1 with_null selfloops": ("markov", PRINTED),
    "markov order=1 null=yes default nsim=1e5 seed=0": ("markov", None),
}


@pytest.fixture(scope="module")
def credits_by_model(reference: Path) -> dict[tuple[str, str], Credit]:
    paths = pd.read_csv(reference / "attribution" / "paths.csv", sep=";")
    paths.columns = pd.Index(["path", "conversions", "value", "nulls"])
    edges, touches = edges_from_paths(paths, separator=">"), touches_from_paths(paths, separator=">")
    made = {("markov", of): markov_credit(edges, of=of) for of in ("conversions", "value")}
    for model in ("first", "last", "linear"):
        made |= {(model, of): heuristic_credit(touches, model=model, of=of) for of in ("conversions", "value")}
    return made


def quantity(credit: Credit, measure: str) -> pd.Series:
    if measure.startswith("removal_effect"):
        return pd.Series(credit.removal_effect, credit.channels)
    return pd.Series(credit.share if measure == "share" else credit.credit, credit.channels)


@pytest.mark.parametrize("source", SOURCES)
def test_credit_is_what_others_computed(
    source: str, reference: Path, credits_by_model: dict, record_property: Any
) -> None:
    numbers = pd.read_csv(reference / "attribution" / "numbers.csv")
    of_source = numbers[numbers["model"] == source]
    assert len(of_source) >= 24
    model, tolerance = SOURCES[source]
    deviation = 0.0
    for measure, expected in of_source.groupby("measure"):
        credit = credits_by_model[model, "value" if "value" in measure else "conversions"]
        found = quantity(credit, measure)
        expected = expected.set_index("channel")["value"]
        assert set(found.index) == set(expected.index)
        deviation = max(deviation, float((found / expected - 1).abs().max()))
        if tolerance:
            assert found[expected.index].to_numpy() == pytest.approx(expected.to_numpy(), rel=tolerance)
        else:
            scale, strays = (1, SIMULATED_EFFECT) if "removal" in measure else (credit.total, SIMULATED_SHARE)
            assert (found / scale)[expected.index].to_numpy() == pytest.approx(expected.to_numpy() / scale, abs=strays)
    if tolerance:
        record_property("deviation", f"attribution, {source}: {len(of_source)} numbers, {deviation:.1e}")


def test_paths_without_customers_have_no_interval(credits_by_model: dict) -> None:
    for credit in credits_by_model.values():
        assert credit.table()[["lower", "upper"]].isna().all(axis=None)
