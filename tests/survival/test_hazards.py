"""Cox's model and the two-part model on counts: by hand, against refits on rows, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import FewEventsWarning, ModelError
from lcm_research.survival.hazards import cox, predicted_survival
from lcm_research.survival.proportionality import proportional_hazards_test
from lcm_research.survival.two_part import first_day_logit, two_part


def brand(n: int = 3000, seed: int = 1, ratio: float = 0.6) -> pd.DataFrame:
    """Spells of two regions and three ages; a spell in the south lapses at ``ratio`` times the daily rate."""
    rng = np.random.default_rng(seed)
    region, age = rng.choice(["north", "south"], n, p=[0.6, 0.4]), rng.choice(["a", "b", "c"], n)
    life = np.ceil(rng.exponential(30 / np.where(region == "south", ratio, 1)))
    seen = rng.integers(20, 80, n)
    table = pd.DataFrame({"region": region, "age": age, "duration_days": np.minimum(life, seen).astype(int)})
    table = table.assign(event_observed=life <= seen, replicate=rng.integers(0, 100, n), entry_days=0)
    return table.groupby(list(table.columns)).size().rename("n").reset_index()


CHOICES = {"ties": "efron", "intervals": "replicate"}


def test_the_partial_likelihood_by_hand() -> None:
    # each of 12 strata: one lapse among one exposed and one not; exposed lapses in 8. ratio 8/4 = 2
    rows = [
        (day, event, x, stratum)
        for stratum in range(12)
        for day, event, x in ((1, True, int(stratum < 8)), (2, False, int(stratum >= 8)))
    ]
    table = pd.DataFrame(rows, columns=["duration_days", "event_observed", "x", "stratum"]).assign(n=1)
    fit = cox(table, covariates=["x"], ties="efron", intervals="information", strata="stratum")
    assert fit.hazard_ratios["x"].value == pytest.approx(2)
    # the information is 12 * (2/3) * (1/3)
    assert fit.standard_error[0] == pytest.approx(1 / np.sqrt(12 * 2 / 9))
    assert fit.log_likelihood_null == pytest.approx(12 * np.log(0.5))


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_counts_are_replicated_rows(ties: str) -> None:
    table = brand(600)
    rows = table.loc[table.index.repeat(table["n"])].assign(n=1).sample(frac=1, random_state=1)
    fits = [cox(each, covariates=["region", "age"], ties=ties, intervals="replicate") for each in (table, rows)]  # type: ignore[arg-type]
    assert fits[0].coefficients == pytest.approx(fits[1].coefficients, abs=1e-9)
    assert fits[0].standard_error == pytest.approx(fits[1].standard_error, rel=1e-9)
    assert fits[0].log_likelihood == pytest.approx(fits[1].log_likelihood)


def test_the_one_step_jackknife_is_close_to_refitting_without_each_group() -> None:
    table = brand()
    found = cox(table, covariates=["region"], **CHOICES).hazard_ratios["region[south]"]  # type: ignore[arg-type]
    refitted = [
        cox(table[table["replicate"] != g], covariates=["region"], ties="efron", intervals="information")
        .hazard_ratios["region[south]"]
        .value
        for g in range(0, 100, 5)
    ]
    assert found.leave_one_out is not None
    assert np.abs(found.leave_one_out[::5] - refitted).max() < 2e-4


def test_the_interval_by_group_widens_where_customers_come_in_copies() -> None:
    rows = brand(800)
    rows = rows.loc[rows.index.repeat(rows["n"])].assign(n=1)
    fours = pd.concat([rows] * 4)
    model, grouped = (
        cox(fours, covariates=["region"], ties="breslow", intervals=kind).standard_error[0]  # type: ignore[arg-type]
        for kind in ("information", "replicate")
    )
    assert grouped / model == pytest.approx(2, abs=0.35)


def test_late_entry_leaves_a_constant_ratio_where_it_was() -> None:
    table = brand(20_000, seed=4)
    late = table.assign(entry_days=np.minimum(table["replicate"] % 15, table["duration_days"] - 1))
    fit = cox(late, covariates=["region"], **CHOICES)  # type: ignore[arg-type]
    ratio = fit.hazard_ratios["region[south]"]
    assert ratio.lower < 0.6 < ratio.upper
    assert ratio.upper - ratio.lower < 0.1


def test_the_reference_is_the_most_frequent_level_or_the_one_named() -> None:
    table = brand()
    usual = cox(table, covariates=["region"], **CHOICES)  # type: ignore[arg-type]
    named = cox(table, covariates=["region"], reference={"region": "south"}, **CHOICES)  # type: ignore[arg-type]
    assert (usual.names, named.names) == (("region[south]",), ("region[north]",))
    assert usual.coefficients == pytest.approx(-named.coefficients)
    assert usual.table()["covariate"].tolist() == ["region[south]"]


def test_a_prediction_follows_the_baseline_and_the_ratio() -> None:
    fit = cox(brand(), covariates=["region"], **CHOICES)  # type: ignore[arg-type]
    north, south = (predicted_survival(fit, {"region[south]": x}, 20) for x in (0, 1))
    assert north == pytest.approx(np.exp(-20 / 30), abs=0.03)
    assert np.log(south) / np.log(north) == pytest.approx(fit.hazard_ratios["region[south]"].value)
    with pytest.raises(ModelError, match=r"missing \['region\[south\]'\]"):
        predicted_survival(fit, {}, 20)


def test_a_drifting_ratio_is_found_and_a_constant_one_is_not() -> None:
    table = brand(6000, seed=3)
    constant = proportional_hazards_test(cox(table, covariates=["region", "age"], **CHOICES), transform="km")  # type: ignore[arg-type]
    assert constant["covariate"].tolist() == ["region", "age", "GLOBAL"]
    assert constant["degrees_of_freedom"].tolist() == [1, 2, 3]
    assert constant["p_value"].min() > 0.01
    # customers of age c lapse on day 3 or not for long
    drifting = table.assign(
        duration_days=table["duration_days"].where((table["age"] != "c") | (table.index % 3 > 0), 3)
    )
    found = proportional_hazards_test(cox(drifting, covariates=["region", "age"], **CHOICES), transform="km")  # type: ignore[arg-type]
    assert found.set_index("covariate").loc["age", "p_value"] < 1e-6


def test_what_cannot_be_fitted_is_refused_by_name() -> None:
    table = brand(300)
    refused = {
        "no covariate 'regio'.*did you mean 'region'": ({}, ["regio"]),
        "at least one covariate; came none": ({}, []),
        "'age' is constant": ({"age": "a"}, ["region", "age"]),
        "'age' is missing for": ({"age": table["age"].where(table["age"] != "b")}, ["age"]),
        r"column 'copy\[south\]' is collinear: 'region\[south\]' determine": (
            {"copy": table["region"]},
            ["region", "copy"],
        ),
        "0 events for 1 parameters": ({"event_observed": False}, ["region"]),
        r"4 events for 1 parameters \(4.0 each\), fewer than 5": ({"event_observed": table.index < 4}, ["region"]),
        r"column 'region\[south\]' separates perfectly": (
            {"event_observed": table["event_observed"] & (table["region"] == "north")},
            ["region"],
        ),
        "in 9 groups of customers, fewer than 20": ({"replicate": table["replicate"] % 9}, ["region"]),
    }
    for message, (changed, covariates) in refused.items():
        with pytest.raises(ModelError, match=message):
            cox(table.assign(**changed), covariates=covariates, **CHOICES)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="no level 'nort'; did you mean 'north'"):
        cox(table, covariates=["region"], reference={"region": "nort"}, **CHOICES)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="needs the column 'replicate'"):
        cox(table.drop(columns="replicate"), covariates=["region"], **CHOICES)  # type: ignore[arg-type]


def test_separation_that_takes_several_columns_is_found_while_fitting() -> None:
    # south lapses only at age a and north only at age b: neither column alone separates
    table = brand(600)
    own = np.where(table["region"] == "south", "a", "b") == table["age"]
    age = pd.Series(np.where(table["age"] == "c", "b", table["age"]), index=table.index)
    table = table.assign(event_observed=table["event_observed"] & own, age=age, both=(age == "a").astype(int))
    table["cross"] = np.where(table["region"] + age == "southa", 2, np.where(table["region"] + age == "northb", 2, 1))
    table["cross"] = table["cross"] + table["both"]
    with pytest.raises(ModelError, match="separates"):
        cox(table, covariates=["both", "cross"], ties="efron", intervals="information")


def test_too_many_patterns_name_the_covariate_to_coarsen() -> None:
    table = pd.DataFrame({"duration_days": 5, "event_observed": True, "n": 1, "visits": np.arange(2001.0)})
    with pytest.raises(ModelError, match=r"2,001 covariate patterns.*cut 'visits' \(2,001 values\)"):
        cox(table, covariates=["visits"], ties="efron", intervals="information")


def test_few_events_a_parameter_are_doubted() -> None:
    table = brand(300)
    events = table.index[table["event_observed"]]
    few = table.assign(event_observed=table.index.isin(events[::20][:9]), n=1)
    with pytest.warns(FewEventsWarning, match=r"9 events for 1 parameters \(9.0 each\), fewer than 10 each"):
        cox(few, covariates=["region"], ties="efron", intervals="information")


# north: 40 of 100 bought once; south: 60 of 100: odds ratio (60/40) / (40/60) = 2.25
ONCE = pd.DataFrame(
    {
        "region": np.repeat(["north", "south"], 200),
        "duration_days": np.tile(np.repeat([1, 20], 100), 2),
        "event_observed": True,
        "replicate": np.tile(np.arange(100), 4),
        "n": np.repeat([2, 3, 3, 2], 100),
    }
)


def test_the_odds_of_buying_once_by_hand() -> None:
    fit = first_day_logit(ONCE, covariates=["region"])
    assert fit.odds_ratios["region[south]"].value == pytest.approx(2.25)
    assert fit.intercept == pytest.approx(np.log(2 / 3))
    assert (fit.n, fit.n_events) == (1000, 500)
    # every group of customers is alike, so leaving one out changes nothing
    assert fit.standard_error[0] == pytest.approx(0, abs=1e-9)


def test_the_two_parts_take_all_spells_and_those_that_go_on() -> None:
    table = brand(4000)
    first_days = table["event_observed"] & (table["duration_days"] == 1)
    fit = two_part(table, covariates=["region"], ties="efron")
    assert fit.first_day.n == table["n"].sum()
    assert fit.first_day.n_events == table.loc[first_days, "n"].sum()
    assert fit.later.n == table.loc[table["duration_days"] > 1, "n"].sum()
    assert fit.table()["covariate"].tolist() == ["region[south]"]
    assert {"odds_ratio", "hazard_ratio", "lower_first_day", "upper_later"} <= set(fit.table())


def test_the_first_days_interval_is_close_to_refitting_without_each_group() -> None:
    table = brand(4000)
    found = first_day_logit(table, covariates=["region"]).odds_ratios["region[south]"]
    refitted = [
        first_day_logit(table[table["replicate"] != g], covariates=["region"]).odds_ratios["region[south]"].value
        for g in range(0, 100, 10)
    ]
    assert found.leave_one_out is not None
    assert np.abs(found.leave_one_out[::10] - refitted).max() < 2e-3


def test_a_first_day_that_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(ModelError, match="incident entry"):
        two_part(ONCE.assign(entry_days=1), covariates=["region"], ties="efron")
    with pytest.raises(ModelError, match="0 spells end on their first day and 1000 go on"):
        first_day_logit(ONCE.assign(event_observed=False), covariates=["region"])
    with pytest.raises(ModelError, match="in 7 groups of customers, fewer than 20"):
        first_day_logit(ONCE.assign(replicate=ONCE["replicate"] % 7), covariates=["region"])
    only_north = ONCE.assign(event_observed=ONCE["region"] == "north")
    with pytest.raises(ModelError, match=r"column 'region\[south\]' separates"):
        first_day_logit(only_north, covariates=["region"])
    with pytest.raises(ModelError, match="need the column 'replicate'"):
        first_day_logit(ONCE.drop(columns="replicate"), covariates=["region"])
