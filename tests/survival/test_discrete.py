"""The hazard by period on counts: by hand, against R and refits on rows, laws, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.errors import FewEventsWarning, ModelError
from lcm_research.survival.discrete import DiscreteHazardFit, Link, discrete_hazard, hazard_by_period
from lcm_research.survival.hazards import cox
from lcm_research.survival.period_cells import period_counts


def brand(n: int = 3000, seed: int = 1, late: bool = False) -> pd.DataFrame:
    """Spells of two regions; a spell in the south lapses at 0.6 times the daily rate."""
    rng = np.random.default_rng(seed)
    region = rng.choice(["north", "south"], n, p=[0.6, 0.4])
    life = np.ceil(rng.exponential(30 / np.where(region == "south", 0.6, 1)))
    seen, entry = rng.integers(20, 80, n), rng.integers(0, 15, n) * late
    table = pd.DataFrame({"region": region, "duration_days": np.minimum(life, seen).astype(int)})
    table = table.assign(event_observed=life <= seen, replicate=rng.integers(0, 100, n), entry_days=entry)
    table = table[table["duration_days"] > table["entry_days"]]
    return table.groupby(list(table.columns)).size().rename("n").reset_index()


def until(table: pd.DataFrame, day: int) -> pd.DataFrame:
    """Spells followed up to a day only."""
    lapsed = table["event_observed"] & (table["duration_days"] <= day)
    return table.assign(event_observed=lapsed, duration_days=table["duration_days"].clip(upper=day))


def fit_of(table: pd.DataFrame, **chosen: Any) -> DiscreteHazardFit:
    choices: dict[str, Any] = {"period_days": 10, "link": "cloglog", "covariates": ["region"]}
    choices |= {"baseline": "log-period", "intervals": "information"} | chosen
    return discrete_hazard(table, **choices)


def rossi(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "survival" / "lifelines_rossi.csv").assign(n=1)
    return table.rename(columns={"week": "duration_days", "arrest": "event_observed"})


def test_the_number_is_the_one_computed_elsewhere(reference: Path, record_property: Any) -> None:
    fit = fit_of(rossi(reference), period_days=1, covariates=["fin", "age", "prio"])  # a week is the unit there
    numbers = pd.read_csv(reference / "survival" / "numbers.csv").query("case == 'dthazard_rossi_cloglog'")
    assert len(numbers) == 11
    furthest = 0.0
    for row in numbers.itertuples():
        found = fit.deviance
        if row.quantity != "deviance":
            kind, name = re.fullmatch(r"(\w+)\[(.+)\]", row.quantity).groups()  # type: ignore[union-attr]
            values = {"coef": fit.coefficients, "se": fit.standard_error}[kind]
            found = float(values[fit.names.index(name.replace("week", "period"))])
        expected, tolerance = float(row.expected), float(row.tolerance.split()[0])
        assert abs(found - expected) <= tolerance * abs(expected), row.quantity
        furthest = max(furthest, abs(found - expected) / abs(expected))
    record_property("deviation", f"dthazard_rossi_cloglog: {len(numbers)} numbers, {furthest:.1e}")


def test_periods_hold_who_the_person_weeks_hold(reference: Path) -> None:
    weeks = pd.read_csv(reference / "survival" / "rossi_person_week.csv")
    expected = weeks.groupby(["fin", "week"])["arrest"].agg(["size", "sum"]).reset_index()
    found = period_counts(rossi(reference), period_days=1, by=["fin"])
    assert found.to_numpy(float).tolist() == expected.to_numpy(float).tolist()


def test_odds_by_hand() -> None:
    # period 1: north 10 of 40 lapse, south 20 of 40: odds 1/3 and 1; period 2: north 10 of 30, south 12 of 20
    table = pd.DataFrame(
        {
            "region": np.repeat(["north", "south"], 3),
            "duration_days": [5, 15, 20] * 2,
            "event_observed": [True, True, False] * 2,
            "n": [10, 10, 20, 20, 12, 8],
        }
    )
    fit = fit_of(table, link="logit", baseline="period", reference={"region": "north"})
    assert fit.names == ("period[1]", "period[2]", "region[south]")
    assert (fit.at_risk.tolist(), fit.events.tolist(), fit.n, fit.n_events) == ([80, 50], [30, 22], 80, 52)
    # the likelihood's equations: fitted lapses of each period and of the south are those counted
    south = hazard_by_period(fit, {"region[south]": 1})["hazard"]
    north = hazard_by_period(fit, {"region[south]": 0})["hazard"]
    assert 40 * north[0] + 40 * south[0] == pytest.approx(30)
    assert 30 * north[1] + 20 * south[1] == pytest.approx(22)
    assert 40 * south[0] + 20 * south[1] == pytest.approx(32)
    odds = (south / (1 - south)) / (north / (1 - north))
    assert odds.tolist() == pytest.approx([fit.ratios["region[south]"].value] * 2)
    assert fit.table().columns.tolist()[3] == "odds_ratio"


def test_a_baseline_alone_is_the_share_that_lapses() -> None:
    # 20 of 80 in period 1; 15 of 60 in period 2: hazard 1/4 in both, survival 3/4 and 9/16
    table = pd.DataFrame({"duration_days": [7, 17, 20], "event_observed": [True, True, False], "n": [20, 15, 45]})
    for link in ("cloglog", "logit"):
        fit = fit_of(table, link=link, covariates=[], baseline="period")
        told = hazard_by_period(fit, {})
        assert np.allclose(told["hazard"], 0.25)
        assert np.allclose(told["survival"], [3 / 4, 9 / 16])
        assert told["last_day"].tolist() == [10, 20]
        assert fit.log_likelihood == pytest.approx(35 * np.log(1 / 4) + 105 * np.log(3 / 4))
    # on the logit scale the variance is 1 / lapses + 1 / others
    half = 1.959963984540054 * np.sqrt(1 / 20 + 1 / 60)
    assert told["hazard_upper"][0] == pytest.approx(1 / (1 + 3 * np.exp(-half)))
    # Greenwood: sum of d / (n (n - d)), on the log-log scale
    error = np.sqrt(20 / (80 * 60) + 15 / (60 * 45)) / np.log(16 / 9)
    assert told["survival_upper"][1] == pytest.approx((9 / 16) ** np.exp(-1.959963984540054 * error))
    assert told["survival_lower"][1] == pytest.approx((9 / 16) ** np.exp(1.959963984540054 * error))


def test_a_period_seen_in_part_counts_in_part() -> None:
    # periods of 10 days. lost on day 14: 1 and 0.4; enters on day 5, lost on day 10: 0.5; lapses on day 12, having
    # entered on day 3: 0.7 and a lapse; lapses on day 10 (still period 1), entered on day 6
    table = pd.DataFrame(
        {
            "duration_days": [14, 10, 12, 10],
            "entry_days": [0, 5, 3, 6],
            "event_observed": [False, False, True, True],
            "n": [1, 2, 4, 8],
        }
    )
    found = period_counts(table, period_days=10, by=[])
    assert found["at_risk"].tolist() == pytest.approx([1 + 2 * 0.5 + 4 * 0.7 + 8, 0.4 + 4])
    assert found["events"].tolist() == [8, 4]
    # on the clock of days everyone who does not lapse counts whole days
    days = period_counts(table, period_days=1, by=[])
    assert days["at_risk"].sum() == 14 + 2 * 5 + 4 * 9 + 8 * 4


def test_spells_lost_sight_of_within_a_period_hardly_move_the_hazard() -> None:
    # 1% a day; a tenth of 10 million spells is lost sight of on each third day up to day 30
    table = []
    for lost in range(3, 31, 3):
        days = np.arange(1, lost + 1)
        table.append(
            pd.DataFrame({"duration_days": days, "event_observed": True, "n": 1e6 * 0.99 ** (days - 1) * 0.01})
        )
        table.append(pd.DataFrame({"duration_days": [lost], "event_observed": False, "n": 1e6 * 0.99**lost}))
    counts = pd.concat(table, ignore_index=True)
    counts["n"] = counts["n"].round().astype(int)
    fit = fit_of(counts, covariates=[], period_days=15, baseline="period")
    told = hazard_by_period(fit, {})
    assert np.allclose(told["hazard"], 1 - 0.99**15, rtol=0.02)
    # leaving out who is lost sight of within a period, but not who lapses in it, raises it
    seen_whole = counts["duration_days"] // 15 * 15
    floored = counts.assign(duration_days=np.where(counts["event_observed"], counts["duration_days"], seen_whole))
    left_out = period_counts(floored[floored["duration_days"] > 0], period_days=15, by=[])
    assert (left_out["events"] / left_out["at_risk"] > 1.2 * (1 - 0.99**15)).all()


def rows_of(table: pd.DataFrame, period_days: int) -> pd.DataFrame:
    """One row a person and period, its weight the share seen: the expansion that counts spare."""
    rows = []
    for spell in table.loc[np.repeat(table.index, table["n"])].itertuples():
        last = -(-spell.duration_days // period_days)
        for period in range(1, last + 1):
            lapsed = bool(spell.event_observed) and period == last
            start, stop = (period - 1) * period_days, min(period * period_days, spell.duration_days)
            days = stop - max(start, spell.entry_days)
            if lapsed or days > 0:
                share = 1.0 if lapsed else days / period_days
                rows.append((spell.region, spell.replicate, period, lapsed, share))
    return pd.DataFrame(rows, columns=["region", "replicate", "period", "lapsed", "weight"])


@pytest.mark.parametrize("link", ["cloglog", "logit"])
@pytest.mark.parametrize("baseline", ["period", "log-period"])
def test_counts_give_what_person_period_rows_give(link: Link, baseline: str) -> None:
    table = until(brand(500, late=True), 45)
    fit = fit_of(table, link=link, baseline=baseline, intervals="replicate", reference={"region": "north"})
    rows = rows_of(table, 10)
    own = np.column_stack([np.ones(len(rows)), np.log(rows["period"])])
    if baseline == "period":
        own = (rows["period"].to_numpy()[:, None] == np.arange(1, rows["period"].max() + 1)).astype(float)
    x = np.column_stack([own, rows["region"] == "south"])
    family = sm.families.Binomial(sm.families.links.CLogLog() if link == "cloglog" else sm.families.links.Logit())
    model = sm.GLM(rows["lapsed"].to_numpy(float), x, family=family, freq_weights=rows["weight"].to_numpy())
    refit = model.fit(tol=1e-12, tol_criterion="params")
    assert np.allclose(fit.coefficients, refit.params, rtol=0, atol=1e-9)
    assert np.allclose(fit.covariance, refit.cov_params(), rtol=0, atol=1e-9)
    assert fit.log_likelihood == pytest.approx(refit.llf, rel=1e-12)
    assert fit.deviance == pytest.approx(refit.deviance, rel=1e-12)
    # the jackknife's moves, from each row's own score
    at = x @ refit.params
    mean = family.link.inverse(at)
    score = (rows["lapsed"] - mean) / (mean * (1 - mean)) / family.link.deriv(mean) * rows["weight"]
    by_group = np.stack([np.bincount(rows["replicate"], score * column, 100) for column in x.T], axis=1)
    assert np.allclose(fit.moved, by_group @ refit.cov_params(), rtol=0, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), link=st.sampled_from(["cloglog", "logit"]), late=st.booleans())
def test_counts_give_what_rows_give_however_they_are_split(seed: int, link: Link, late: bool) -> None:
    table = brand(400, seed=3, late=late)
    whole = fit_of(table, link=link, intervals="replicate")
    rows = table.loc[np.repeat(table.index, table["n"])].assign(n=1)
    first = np.random.default_rng(seed).integers(0, table["n"].to_numpy() + 1)
    split = table.loc[np.repeat(table.index, 2)].reset_index(drop=True)
    split["n"] = np.column_stack([first, table["n"] - first]).ravel()
    for other in (rows.sample(frac=1, random_state=seed), split.sample(frac=1, random_state=seed)):
        again = fit_of(other, link=link, intervals="replicate")
        assert np.allclose(again.coefficients, whole.coefficients, rtol=0, atol=1e-9)
        assert np.allclose(again.standard_error, whole.standard_error, rtol=0, atol=1e-9)
        assert again.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), period_days=st.integers(1, 40))
def test_lapses_and_days_at_risk_add_up_over_any_periods(seed: int, period_days: int) -> None:
    table = brand(60, seed=seed, late=True)
    found = period_counts(table, period_days=period_days, by=["region"])
    for region, own in table.groupby("region"):
        told = found[found["region"] == region]
        lapsed = own[own["event_observed"]]
        assert told["events"].sum() == lapsed["n"].sum()
        # of a lapse's own period nothing counts as seen without lapsing
        before = (lapsed["duration_days"] - 1) // period_days * period_days
        ended = own["duration_days"].astype(float)
        ended[before.index] = before
        days = ((ended - own["entry_days"]).clip(lower=0) * own["n"]).sum()
        others = (told["at_risk"] - told["events"]).sum() * period_days
        assert others == pytest.approx(days, abs=1e-9)


def test_a_true_ratio_is_found_whatever_the_period_and_agrees_with_cox() -> None:
    table = brand(20_000)
    close = cox(table, covariates=["region"], ties="efron", intervals="replicate", reference={"region": "north"})
    for period_days in (1, 7, 15):
        fit = fit_of(table, period_days=period_days, intervals="replicate", reference={"region": "north"})
        ratio = fit.ratios["region[south]"]
        assert ratio.unit == "hazard_ratio"
        assert ratio.lower < 0.6 < ratio.upper
        assert ratio.value == pytest.approx(close.hazard_ratios["region[south]"].value, rel=0.01)
        assert fit.standard_error[-1] == pytest.approx(close.standard_error[0], rel=0.05)


def test_the_jackknife_is_close_to_refitting_without_each_group() -> None:
    table = brand(2000, late=True)
    for link in ("cloglog", "logit"):
        fit = fit_of(table, link=link, baseline="period", horizon_days=50, intervals="replicate")
        assert fit.moved is not None
        (name,) = fit.design.names
        ratio = fit.ratios[name]
        assert ratio.leave_one_out is not None
        # t with 99 degrees of freedom, on the log scale
        half = 1.9842169515 * fit.standard_error[fit.names.index(name)]
        assert np.log([ratio.lower, ratio.upper]) == pytest.approx(np.log(ratio.value) + np.array([-half, half]))
        for group in (0, 31, 64):
            left = fit_of(table[table["replicate"] != group], link=link, baseline="period", horizon_days=50)
            assert np.abs(fit.coefficients - fit.moved[group] - left.coefficients).max() < 2e-3
            assert np.abs(fit.coefficients - left.coefficients).max() > 2e-3
            assert ratio.leave_one_out[group] == pytest.approx(left.ratios[name].value, abs=2e-3)


def test_intervals_of_each_kind_agree_where_customers_have_one_spell() -> None:
    known, shown = (fit_of(brand(20_000), intervals=kind) for kind in ("information", "replicate"))
    values = dict.fromkeys(known.design.names, 1.0)
    one, other = hazard_by_period(known, values), hazard_by_period(shown, values)
    for name in ("hazard", "survival"):
        assert np.allclose(one[name], other[name], rtol=1e-12)
        width, again = (told[f"{name}_upper"] - told[f"{name}_lower"] for told in (one, other))
        assert np.allclose(width, again, rtol=0.3)


def test_a_horizon_forgets_what_comes_after_it() -> None:
    table = brand()
    cut, expected = fit_of(table, horizon_days=40), fit_of(until(table, 40))
    assert np.array_equal(cut.coefficients, expected.coefficients)
    assert len(cut.at_risk) == 4


def test_what_cannot_be_fitted_is_refused_by_name() -> None:
    table = brand(300)
    lapsed = table["event_observed"]
    refused: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "no covariate 'regio'.*did you mean 'region'": ({}, {"covariates": ["regio"]}),
        "'region' is constant": ({"region": "north"}, {}),
        r"column 'copy\[south\]' is collinear": ({"copy": table["region"]}, {"covariates": ["region", "copy"]}),
        r"4 events for 1 parameters \(4.0 each\), fewer than 5": ({"event_observed": table.index < 4}, {}),
        r"column 'region\[south\]' separates perfectly": (
            {"event_observed": lapsed & (table["region"] == "north")},
            {},
        ),
        r"column 'log\(period\)' separates perfectly": (
            {"event_observed": lapsed & (table["duration_days"] <= 10)},
            {},
        ),
        "period 3 of 8 holds no lapse, so its level": (
            {"event_observed": lapsed & ((table["duration_days"] <= 20) | (table["duration_days"] > 30))},
            {"baseline": "period"},
        ),
        "in 9 groups of customers, fewer than 20": ({"replicate": table["replicate"] % 9}, {"intervals": "replicate"}),
        "period_days=0 is not a whole number": ({}, {"period_days": 0}),
        "horizon_days=5 ends before the first period of 10 days": ({}, {"horizon_days": 5}),
        "'log-period' needs two periods or more; came 1": ({}, {"period_days": 100}),
        "130 periods, more than 120": (
            {"duration_days": table["duration_days"].where(table.index > 0, 130)},
            {"period_days": 1, "baseline": "period"},
        ),
        "spells end on or before their entry": ({"entry_days": table["duration_days"]}, {}),
        "at least one spell; came none": ({"n": 0}, {}),
    }
    for message, (changed, chosen) in refused.items():
        with pytest.raises(ModelError, match=message):
            fit_of(table.assign(**changed), **chosen)
    with pytest.raises(ModelError, match="'replicate' needs the column 'replicate'"):
        fit_of(table.drop(columns="replicate"), intervals="replicate")
    with pytest.raises(ModelError, match=r"missing \['n'\]"):
        fit_of(table.drop(columns="n"))
    all_lapse = pd.DataFrame({"duration_days": [5, 15], "event_observed": True, "n": 20})
    with pytest.raises(ModelError, match="period 2 of 2 holds no spell that goes on"):
        fit_of(all_lapse, covariates=[], baseline="period")
    with pytest.raises(ModelError, match=r"missing \['region\["):
        hazard_by_period(fit_of(table), {})


def test_few_events_a_parameter_are_doubted() -> None:
    table = brand(300)
    events = table.index[table["event_observed"]]
    few = table.assign(event_observed=table.index.isin(events[::20][:9]), n=1)
    with pytest.warns(FewEventsWarning, match=r"9 events for 1 parameters \(9.0 each\), fewer than 10 each") as caught:
        fit_of(few)
    assert caught[0].filename.endswith("test_discrete.py")
