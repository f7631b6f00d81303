"""Numbers computed elsewhere (R's survival), reached through the public functions."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lcm_research.survival.comparison import log_rank
from lcm_research.survival.curves import SurvivalCurve, kaplan_meier, median
from lcm_research.survival.hazards import CoxFit, cox, predicted_survival
from lcm_research.survival.proportionality import proportional_hazards_test
from lcm_research.survival.restricted import restricted_mean

ROSSI = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]
SHORT = ["fin", "age", "prio"]
NORMAL = 1.959963984540054

FITS: dict[str, tuple[str, dict[str, object]]] = {
    "cox_rossi_efron": ("rossi", {"covariates": ROSSI, "ties": "efron"}),
    "cox_rossi_breslow": ("rossi", {"covariates": ROSSI, "ties": "breslow"}),
    "cox_rossi_robust": ("rossi", {"covariates": SHORT, "ties": "efron", "intervals": "robust"}),
    "cox_rossi_strata_wexp": (
        "rossi",
        {"covariates": [c for c in ROSSI if c != "wexp"], "ties": "efron", "strata": "wexp"},
    ),
    "cox_rossi_replicated_efron": ("replicated", {"covariates": SHORT, "ties": "efron"}),
    "cox_rossi_casewt_efron": ("weighted", {"covariates": SHORT, "ties": "efron", "case_weights": "w"}),
    "cox_rossi_casewt_breslow": ("weighted", {"covariates": SHORT, "ties": "breslow", "case_weights": "w"}),
    "tvcox_heart": (
        "heart",
        {"covariates": ["age", "surgery", "transplant1", "age:transplant1", "surgery:transplant1"], "ties": "efron"},
    ),
    "tvcox_heart_main": ("heart", {"covariates": ["age", "year", "surgery", "transplant1"], "ties": "efron"}),
    "ag_bladder2": (
        "bladder",
        {"covariates": ["rx", "number", "size"], "ties": "efron", "intervals": "robust", "cluster": "id"},
    ),
    "pwp_bladder2": (
        "bladder",
        {
            "covariates": ["rx", "number", "size"],
            "ties": "efron",
            "intervals": "robust",
            "cluster": "id",
            "strata": "enum",
        },
    ),
}
UNUSED = ("concordance",)


@cache
def data(folder: Path, name: str) -> pd.DataFrame:
    files = {
        "rossi": "lifelines_rossi.csv",
        "replicated": "rossi_freqw.csv",
        "weighted": "rossi_freqw.csv",
        "lung": "r_lung.csv",
        "heart": "r_heart.csv",
        "bladder": "r_bladder2.csv",
    }
    table = pd.read_csv(folder / "survival" / files[name])
    renamed = {"week": "duration_days", "arrest": "event_observed", "time": "duration_days"}
    renamed |= {"start": "entry_days", "stop": "duration_days", "event": "event_observed"}
    table = table.rename(columns=renamed).assign(n=table["w"] if name == "replicated" else 1)
    if name == "lung":
        table = table.assign(event_observed=table["status"] == 2, sex=table["sex"].astype(str))
    if name == "heart":
        given = table["transplant"].astype(int)
        table = table.assign(transplant1=given)
        table = table.assign(**{f"{c}:transplant1": table[c] * given for c in ("age", "surgery")})
    return table


@cache
def fitted(folder: Path, case: str) -> CoxFit:
    name, choices = FITS[case]
    return cox(data(folder, name), **({"intervals": "information"} | choices))  # type: ignore[arg-type]


def curve(folder: Path, name: str, interval: str, sex: str = "") -> SurvivalCurve:
    table = data(folder, name)
    return kaplan_meier(table[table["sex"] == sex] if sex else table, interval=interval)  # type: ignore[arg-type]


def from_cox(folder: Path, case: str, quantity: str) -> float:
    fit = fitted(folder, case)
    fields = {
        "loglik_null": fit.log_likelihood_null,
        "loglik": fit.log_likelihood,
        "LR_chisq": fit.likelihood_ratio,
        "Wald_chisq": fit.wald,
        "score_chisq": fit.score_test,
    }
    if quantity in fields:
        return fields[quantity]
    if quantity.startswith("H0("):
        day = float(re.findall(r"\d+", quantity)[1])
        return float(fit.baseline_hazard[fit.days <= day].sum())
    if quantity.startswith("S(52|"):
        person = {"fin": 0, "age": 25, "race": 1, "wexp": 0, "mar": 0, "paro": 1, "prio": 3}
        return predicted_survival(fit, person | {"fin": int("fin=1" in quantity)}, 52)
    kind, name = re.fullmatch(r"(\w+)\[(.+)\]", quantity).groups()  # type: ignore[union-attr]
    place = fit.names.index(name)
    kinds = {
        "coef": fit.coefficients,
        "se": np.sqrt(np.diag(fit.covariance)),
        "robust_se": fit.standard_error,
    }
    return float(kinds[kind][place])


def from_curve(folder: Path, case: str, quantity: str) -> float:
    numbers = [float(x) for x in re.findall(r"\((\d+)\)", quantity)]
    if case == "km_rossi":
        made = curve(folder, "rossi", "log-log")
        place = int(np.searchsorted(made.times, numbers[0], side="right")) - 1
        columns = {"S": "survival", "se": "standard_error", "loglog_lower": "lower", "loglog_upper": "upper"}
        return float(getattr(made, columns[quantity.split("(")[0]])[place])
    sex = re.search(r"sex=(\d)", quantity).group(1)  # type: ignore[union-attr]
    made = curve(folder, "lung", "log", sex)
    if case == "km_lung_sex":
        half = median(made)
        return half.lower if "LCL" in quantity else half.value
    mean = restricted_mean(made, horizon_days=365)
    return (mean.upper - mean.lower) / 2 / NORMAL if quantity.startswith("se") else mean.value


def ours(folder: Path, case: str, quantity: str) -> float:
    if case in FITS:
        return from_cox(folder, case, quantity)
    if case.startswith("coxzph_rossi_"):
        table = proportional_hazards_test(fitted(folder, "cox_rossi_efron"), transform=case.split("_")[-1])  # type: ignore[arg-type]
        name = quantity.removeprefix("chisq[").removesuffix("]")
        return float(table.set_index("covariate").loc[name, "chi_square"])
    if case.startswith("logrank_lung_rho"):
        return log_rank(data(folder, "lung"), by="sex", rho=float(case[-1])).chi_square
    return from_curve(folder, case, quantity)


CASES = [*FITS, "km_rossi", "km_lung_sex", "rmst_lung_365", "logrank_lung_rho0", "logrank_lung_rho1"]
CASES += [f"coxzph_rossi_{scale}" for scale in ("km", "log", "identity")]


@pytest.mark.filterwarnings("ignore:.*events for 3 parameters:lcm_research.errors.FewEventsWarning")
@pytest.mark.parametrize("case", CASES)
def test_the_number_is_the_one_computed_elsewhere(reference: Path, case: str, record_property: Any) -> None:
    table = pd.read_csv(reference / "survival" / "numbers.csv")
    table = table[(table["case"] == case) & ~table["quantity"].isin(UNUSED)]
    assert len(table)
    rows = []
    for row in table.itertuples():
        expected, found = float(row.expected), ours(reference, case, row.quantity)
        allowed = {"rel": abs(expected)}.get(row.tolerance.split()[1] if " " in row.tolerance else "", 1.0)
        size = 1e-9 if row.tolerance == "exact" else float(row.tolerance.split()[0]) * allowed
        rows.append((row.quantity, expected, found, abs(found - expected) / size))
    told = pd.DataFrame(rows, columns=["quantity", "expected", "found", "share_of_tolerance"])
    exact = told[told["quantity"] != "Wald_chisq"]  # printed with two decimals
    deviation = ((exact["found"] - exact["expected"]).abs() / exact["expected"].abs()).max()
    record_property("deviation", f"{case}: {len(told)} numbers, {deviation:.1e}")
    assert (told["share_of_tolerance"] <= 1).all(), f"{case}\n{told[told['share_of_tolerance'] > 1].to_string()}"
