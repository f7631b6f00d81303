"""Hazards of events that come again: against R, against Cox on the same rows, by law, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.survival.hazards import CoxFit, cox
from lcm_research.survival.recurrent_hazards import andersen_gill, prentice_williams_peterson

COVARIATES: dict[str, Any] = {"covariates": ["rx", "number", "size"], "ties": "efron"}
BY_PATIENT: dict[str, Any] = COVARIATES | {"intervals": "robust", "cluster": "id"}


def bladder(folder: Path) -> pd.DataFrame:
    names = {"start": "entry_days", "stop": "duration_days", "event": "event_observed", "enum": "event_number"}
    return pd.read_csv(folder / "survival" / "r_bladder2.csv").rename(columns=names).assign(n=1)


def stretches(n: int = 1500, seed: int = 1, ratio: float = 0.6) -> pd.DataFrame:
    """Up to four events of each customer at a rate of 1/20 a day, ``ratio`` times it in the south."""
    rng = np.random.default_rng(seed)
    region, ends, replicate = rng.choice(["north", "south"], n), rng.integers(30, 90, n), rng.integers(0, 100, n)
    made, start = [], np.zeros(n, int)
    for number in range(1, 5):
        gap = np.ceil(rng.exponential(20 / np.where(region == "south", ratio, 1))).astype(int)
        stop, here = np.minimum(start + gap, ends), start < ends
        table = pd.DataFrame({"region": region, "entry_days": start, "duration_days": stop, "replicate": replicate})
        table = table.assign(event_number=number, event_observed=start + gap <= ends, customer=np.arange(n), n=1)
        made.append(table[here])
        start = np.where(start + gap <= ends, stop, ends)
    return pd.concat(made, ignore_index=True)


def named(fit: CoxFit) -> dict[str, float]:
    told = {"loglik_null": fit.log_likelihood_null, "loglik": fit.log_likelihood, "score_chisq": fit.score_test}
    for name, b, se, robust in zip(
        fit.names, fit.coefficients, np.sqrt(np.diag(fit.covariance)), fit.standard_error, strict=True
    ):
        told |= {f"coef[{name}]": b, f"se[{name}]": se, f"robust_se[{name}]": robust}
    return told


@pytest.mark.parametrize("case", ["ag_bladder2", "pwp_bladder2"])
def test_the_number_is_the_one_computed_elsewhere(reference: Path, case: str) -> None:
    table = bladder(reference)
    fit = (
        andersen_gill(table, **BY_PATIENT)
        if case == "ag_bladder2"
        else prentice_williams_peterson(table, clock="total", **BY_PATIENT)
    )
    numbers = pd.read_csv(reference / "survival" / "numbers.csv")
    numbers = numbers[(numbers["case"] == case) & numbers["quantity"].isin(named(fit))]
    assert len(numbers) == 12
    assert [named(fit)[q] for q in numbers["quantity"]] == pytest.approx(numbers["expected"].tolist(), rel=1e-6)


def test_gap_time_counts_from_the_event_before(reference: Path) -> None:
    table = bladder(reference)
    fit = prentice_williams_peterson(table, clock="gap", **BY_PATIENT)
    since = table.assign(duration_days=table["duration_days"] - table["entry_days"]).drop(columns="entry_days")
    assert named(fit) == named(cox(since, strata="event_number", **BY_PATIENT))
    total = prentice_williams_peterson(table, clock="total", **BY_PATIENT)
    assert abs(fit.coefficients - total.coefficients).max() > 0.01


def test_with_one_event_each_all_three_are_cox_model() -> None:
    first = stretches().query("event_number == 1")
    choices: dict[str, Any] = {"covariates": ["region"], "ties": "efron", "intervals": "replicate"}
    whole = cox(first, **choices)
    for fit in (
        andersen_gill(first, **choices),
        prentice_williams_peterson(first, clock="total", **choices),
        prentice_williams_peterson(first, clock="gap", **choices),
    ):
        assert fit.coefficients == pytest.approx(whole.coefficients, abs=1e-12)
        assert fit.standard_error == pytest.approx(whole.standard_error, abs=1e-12)


def test_all_three_find_the_ratio_of_a_constant_rate() -> None:
    table = stretches(4000, seed=2)
    choices: dict[str, Any] = {"covariates": ["region"], "ties": "efron", "intervals": "replicate"}
    choices |= {"reference": {"region": "north"}}
    for fit in (
        andersen_gill(table, **choices),
        prentice_williams_peterson(table, clock="total", **choices),
        prentice_williams_peterson(table, clock="gap", **choices),
    ):
        ratio = fit.hazard_ratios["region[south]"]
        assert ratio.lower < 0.6 < ratio.upper
        assert ratio.upper - ratio.lower < 0.1


def test_only_intervals_by_customer_widen_where_some_have_many_events() -> None:
    table = stretches(600, seed=3)
    # every customer's stretches twice over: as many events again that say nothing new
    twice = pd.concat([table, table])
    choices: dict[str, Any] = {"covariates": ["region"], "ties": "breslow"}
    once, doubled = (
        {
            kind: andersen_gill(
                each, intervals=kind, cluster="customer" if kind == "robust" else None, **choices
            ).standard_error[0]  # type: ignore[arg-type]
            for kind in ("information", "robust", "replicate")
        }
        for each in (table, twice)
    )
    assert doubled["information"] == pytest.approx(once["information"] / np.sqrt(2), rel=1e-6)
    assert doubled["robust"] == pytest.approx(once["robust"], rel=1e-6)
    assert doubled["replicate"] == pytest.approx(once["replicate"], rel=1e-6)


def test_what_cannot_be_fitted_is_refused() -> None:
    table = stretches(300)
    choices: dict[str, Any] = {"covariates": ["region"], "ties": "efron", "intervals": "robust"}
    with pytest.raises(ModelError, match="intervals='robust' needs cluster, the column of the customer"):
        andersen_gill(table, **choices)
    with pytest.raises(ModelError, match="clock must be 'total' or 'gap'; came 'calendar'"):
        prentice_williams_peterson(table, clock="calendar", cluster="customer", **choices)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"Peterson's model needs the columns .*; missing \['event_number'\]"):
        prentice_williams_peterson(table.drop(columns="event_number"), clock="gap", cluster="customer", **choices)
    with pytest.raises(ModelError, match=r"Gill's model needs the columns .*; missing \['entry_days'\]"):
        andersen_gill(table.drop(columns="entry_days"), cluster="customer", **choices)
