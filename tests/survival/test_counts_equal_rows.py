"""Counts give what rows give, for any split of the rows: each estimator that takes replicated rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.survival.changing_ratios import drift_ratios, step_ratios
from lcm_research.survival.competing_hazards import cause_specific, fine_gray
from lcm_research.survival.curves import kaplan_meier
from lcm_research.survival.hazards import CoxFit, cox
from lcm_research.survival.recurrent_hazards import prentice_williams_peterson

Fit = Callable[[pd.DataFrame], CoxFit]
SEEDS = st.integers(0, 10_000)


def rows_of(seed: int, n: int = 700) -> pd.DataFrame:
    """Rows with many ties, two covariates, strata, late entry, two causes and groups of customers."""
    rng = np.random.default_rng(seed)
    region, x = rng.choice(["north", "south"], n), rng.integers(0, 3, n)
    entry, life = rng.integers(0, 4, n), 1 + rng.integers(0, 4, n) + rng.geometric(0.12 * np.exp(0.2 * x), n)
    seen = np.maximum(rng.integers(3, 25, n), entry + 1)
    cause = np.where(life > seen, "", rng.choice(["price", "moved"], n, p=[0.7, 0.3]))
    table = pd.DataFrame({"region": region, "x": x, "event_number": rng.integers(1, 3, n), "entry_days": entry})
    table["duration_days"] = np.maximum(np.minimum(life, seen), entry + 1)
    return table.assign(cause=cause, event_observed=cause != "", replicate=rng.integers(0, 100, n), n=1)


def splits_of(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same rows as counts: alike rows added up, some counts cut into several rows, some empty, all shuffled."""
    rng = np.random.default_rng(seed)
    cells = rows.groupby([c for c in rows if c != "n"], as_index=False)["n"].sum()
    first = rng.integers(0, cells["n"].to_numpy() + 1)
    parts = pd.concat([cells.assign(n=first), cells.assign(n=cells["n"] - first)])
    return parts.sample(frac=1, random_state=seed)


def late(rows: pd.DataFrame, **choices: Any) -> CoxFit:
    return cox(rows, covariates=["region", "x"], strata="event_number", reference={"region": "north"}, **choices)


def from_day_one(function: Any) -> Any:
    def fit(rows: pd.DataFrame, **choices: Any) -> CoxFit:
        early = rows.drop(columns="entry_days")
        return function(early, cause="price", covariates=["region", "x"], reference={"region": "north"}, **choices)

    return fit


def steps(rows: pd.DataFrame, **choices: Any) -> CoxFit:
    rows = rows.drop(columns="cause")
    return step_ratios(
        rows, covariate="region", days=[6], covariates=["x"], reference={"region": "north"}, **choices
    ).fit


def drift(rows: pd.DataFrame, **choices: Any) -> CoxFit:
    rows = rows.drop(columns="cause")
    return drift_ratios(rows, covariate="x", scale="log", period_days=5, **choices).fit


def gaps(rows: pd.DataFrame, **choices: Any) -> CoxFit:
    return prentice_williams_peterson(rows, clock="gap", covariates=["x"], **choices)


MODELS = {
    "cox": late,
    "cause-specific": from_day_one(cause_specific),
    "fine-gray": from_day_one(fine_gray),
    "steps": steps,
    "drift": drift,
    "gap-time": gaps,
}
PIECES = ("steps", "drift", "gap-time")  # without an unclustered sandwich: a spell or customer is several rows


@pytest.mark.filterwarnings("ignore::lcm_research.errors.FewEventsWarning")
@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("model", MODELS)
@given(seed=SEEDS, split=SEEDS)
@settings(max_examples=6, deadline=None)
def test_a_fit_on_counts_is_the_fit_on_rows(model: str, ties: str, seed: int, split: int) -> None:
    rows = rows_of(seed)
    counts = splits_of(rows, split)
    assert (counts["n"] == 0).any()
    for intervals in ("information", "replicate") if model in PIECES else ("information", "replicate", "robust"):
        on_rows, on_counts = (MODELS[model](each, ties=ties, intervals=intervals) for each in (rows, counts))
        assert on_counts.coefficients == pytest.approx(on_rows.coefficients, abs=1e-9)
        assert on_counts.standard_error == pytest.approx(on_rows.standard_error, abs=1e-9)
        assert on_counts.log_likelihood == pytest.approx(on_rows.log_likelihood, abs=1e-7)
        assert (on_counts.n, on_counts.n_events) == (on_rows.n, on_rows.n_events)


@given(seed=SEEDS, split=SEEDS)
@settings(max_examples=10, deadline=None)
def test_a_curve_on_counts_is_the_curve_on_rows(seed: int, split: int) -> None:
    rows = rows_of(seed)
    by_rows, by_counts = (kaplan_meier(each, interval="replicate") for each in (rows, splits_of(rows, split)))
    assert by_counts.times.tolist() == by_rows.times.tolist()
    for name in ("survival", "standard_error", "lower", "upper"):
        assert getattr(by_counts, name) == pytest.approx(getattr(by_rows, name), abs=1e-12)
