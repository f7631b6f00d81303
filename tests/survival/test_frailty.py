"""Shared frailty: the closed form against integration, statsmodels and refits, simulated truths, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import integrate, stats

from lcm_research.errors import FewEventsWarning, ModelError
from lcm_research.survival.frailty import marginal_hazard_ratio, shared_frailty
from lcm_research.survival.frailty_likelihood import Histories, evaluate, fit_given

BREAKS = [0, 20]


def customers(n: int, seed: int, variance: float, ratio: float = 0.5, n_spells: int = 3) -> pd.DataFrame:
    """Histories of spells that lapse at .05 a day until day 20 and .02 later, followed for 60 days each."""
    rng = np.random.default_rng(seed)
    region = rng.choice(["north", "south"], n, p=[0.6, 0.4])
    own = rng.gamma(1 / variance, variance, n) if variance else np.ones(n)
    rate = own * np.where(region == "south", ratio, 1)
    needed = rng.exponential(1, (n, n_spells)) / rate[:, None]
    life = np.where(needed <= 1, needed / 0.05, 20 + (needed - 1) / 0.02)
    seen, lapsed = np.ceil(np.minimum(life, 60)), life <= 60
    table = pd.DataFrame({"region": region, "replicate": rng.integers(0, 100, n), "n": 1})
    table["events_1"], table["events_2"] = (lapsed & (life <= 20)).sum(axis=1), (lapsed & (life > 20)).sum(axis=1)
    table["exposure_days_1"] = np.minimum(seen, 20).sum(axis=1).astype(int)
    table["exposure_days_2"] = (seen - np.minimum(seen, 20)).sum(axis=1).astype(int)
    keys = [c for c in table if c != "n"]
    return table.groupby(keys)["n"].sum().reset_index()


def fit_of(table: pd.DataFrame, **changed: Any) -> Any:
    choices: dict[str, Any] = {"breaks_days": BREAKS, "covariates": ["region"], "intervals": "information"}
    return shared_frailty(table, **(choices | changed))


HAND = Histories(
    events=np.array([[2.0, 1.0], [0.0, 0.0], [1.0, 0.0]]),
    exposure=np.array([[30.0, 80.0], [20.0, 10.0], [15.0, 0.0]]),
    x=np.array([[1.0], [0.0], [1.0]]),
    n=np.array([1.0, 2.0, 3.0]),
)
AT = np.array([np.log(0.05), np.log(0.02), 0.4])


def test_the_likelihood_is_the_integral_over_the_frailty() -> None:
    variance, total = 0.7, 0.0
    for events, exposure, x, n in zip(HAND.events, HAND.exposure, HAND.x[:, 0], HAND.n, strict=True):
        rates = np.array([0.05, 0.02]) * np.exp(0.4 * x)

        def given(z: float, events: Any = events, exposure: Any = exposure, rates: Any = rates) -> float:
            density = stats.gamma.pdf(z, 1 / variance, scale=variance)
            return float(density * np.prod((z * rates) ** events) * np.exp(-z * exposure @ rates))

        total += n * np.log(integrate.quad(given, 0, 40, epsabs=1e-14)[0])
    assert evaluate(AT, variance, HAND).value == pytest.approx(total, abs=1e-7)


@pytest.mark.parametrize("variance", [0.0, 1e-5, 0.3, 2.0])
def test_score_and_information_are_the_slopes_of_the_likelihood(variance: float) -> None:
    def value(at: np.ndarray) -> float:
        return evaluate(at[:-1], at[-1], HAND).value

    def gradient(at: np.ndarray) -> np.ndarray:
        return HAND.n @ evaluate(at[:-1], at[-1], HAND).scores

    point, step = np.append(AT, max(variance, 2e-6)), np.eye(4) * 1e-6
    slopes = [(value(point + e) - value(point - e)) / 2e-6 for e in step]
    assert gradient(point) == pytest.approx(slopes, abs=1e-5)
    bends = np.array([(gradient(point - e) - gradient(point + e)) / 2e-6 for e in step])
    assert evaluate(point[:-1], point[-1], HAND).information == pytest.approx(bends, abs=1e-4)


def test_one_class_of_tenure_is_the_negative_binomial_regression_of_statsmodels() -> None:
    table = customers(1500, 1, 0.6)
    one = table.assign(
        events_1=table["events_1"] + table["events_2"],
        exposure_days_1=table["exposure_days_1"] + table["exposure_days_2"],
    ).drop(columns=["events_2", "exposure_days_2"])
    ours = fit_of(one, breaks_days=[0])
    rows = one.loc[one.index.repeat(one["n"])]
    x = sm.add_constant((rows["region"] == "south").to_numpy(float))
    # the day of a lapse counts half
    days = (rows["exposure_days_1"] - rows["events_1"] / 2).to_numpy()
    model = sm.NegativeBinomial(rows["events_1"].to_numpy(), x, exposure=days)
    theirs = model.fit(disp=0, method="bfgs", maxiter=500, gtol=1e-8)
    assert ours.coefficients[0] == pytest.approx(theirs.params[1], abs=1e-6)
    assert np.log(ours.daily_rate[0]) == pytest.approx(theirs.params[0], abs=1e-6)
    assert ours.variance.value == pytest.approx(theirs.params[2], rel=1e-5)
    assert ours.standard_error[0] == pytest.approx(theirs.bse[1], rel=1e-4)
    poisson = sm.Poisson(rows["events_1"].to_numpy(), x, exposure=days).fit(disp=0)
    assert ours.chi_square == pytest.approx(2 * (theirs.llf - poisson.llf), rel=1e-6)
    # a variance of 0 lies on the edge: half of the time the statistic is 0
    calm = fit_of(customers(120, 3, 0.1))
    assert 0 < calm.chi_square < 20
    assert calm.p_value == pytest.approx(stats.chi2.sf(calm.chi_square, 1) / 2)


def test_as_the_variance_goes_to_zero_it_is_the_model_without_a_frailty() -> None:
    table = customers(800, 2, 0.0)
    # fewer repeated lapses than chance brings: the likelihood falls from a variance of 0 on
    calm = table.assign(events_2=np.where(table["events_1"] > 1, 0, table["events_2"]))
    fit = fit_of(calm)
    assert (fit.variance.value, fit.variance.lower, fit.chi_square, fit.p_value) == (0, 0, 0, 1)
    assert fit.hazard_ratios == fit.without_frailty
    columns = {"events": "events_{}", "days": "exposure_days_{}"}
    by_class = [calm.assign(k=k, **{c: calm[name.format(k)] for c, name in columns.items()}) for k in (1, 2)]
    long = pd.concat(by_class).assign(
        days=lambda t: t["days"] - t["events"] / 2, south=lambda t: t["region"] == "south"
    )
    long = long[long["days"] > 0]
    x = np.column_stack([long["k"] == 1, long["k"] == 2, long["south"]]).astype(float)
    poisson = sm.GLM(
        long["events"], x, family=sm.families.Poisson(), offset=np.log(long["days"]), freq_weights=long["n"]
    ).fit(tol=1e-12)
    assert fit.coefficients[0] == pytest.approx(poisson.params.iloc[2], abs=1e-8)
    assert fit.standard_error[0] == pytest.approx(poisson.bse.iloc[2], rel=1e-6)
    assert np.log(fit.daily_rate) == pytest.approx(poisson.params.to_numpy()[:2], abs=1e-8)
    # and a variance next to 0 is next to it
    near, at_zero = (evaluate(AT, v, HAND) for v in (1e-7, 0.0))
    assert near.value == pytest.approx(at_zero.value, abs=1e-5)
    assert near.scores == pytest.approx(at_zero.scores, abs=1e-4)


def test_the_simulated_variance_and_ratio_are_found() -> None:
    fit = fit_of(customers(4000, 3, 0.8), intervals="replicate")
    assert fit.variance.lower < 0.8 < fit.variance.upper
    assert fit.variance.upper - fit.variance.lower < 0.3
    given = fit.hazard_ratios["region[south]"]
    assert given.lower < 0.5 < given.upper
    assert fit.daily_rate == pytest.approx([0.05, 0.02], rel=0.08)
    assert fit.p_value < 1e-20
    # frailties mixed, the same rates differ less between the regions
    assert fit.without_frailty["region[south]"].value > given.value * 1.05


def test_the_interval_of_the_variance_covers_and_the_test_on_the_edge_keeps_its_size() -> None:
    inside = [fit_of(customers(250, seed, 0.5)).variance for seed in range(40)]
    assert np.mean([v.lower <= 0.5 <= v.upper for v in inside]) >= 0.88
    none = np.array([fit_of(customers(150, 100 + seed, 0.0)).p_value for seed in range(60)])
    # half of the samples without a frailty lie on the edge; a chi-square of one degree alone would reject 2.5%
    assert 0.3 < (none == 1).mean() < 0.75
    assert (none < 0.05).mean() <= 0.12


def test_the_interval_ends_where_the_profile_likelihood_has_fallen() -> None:
    table = customers(600, 5, 0.5)
    fit = fit_of(table)
    own = Histories(
        events=table[["events_1", "events_2"]].to_numpy(float),
        exposure=table[["exposure_days_1", "exposure_days_2"]].to_numpy()
        - table[["events_1", "events_2"]].to_numpy() / 2,
        x=(table["region"] == "south").to_numpy(float)[:, None],
        n=table["n"].to_numpy(float),
    )
    for end in (fit.variance.lower, fit.variance.upper):
        fallen = fit.log_likelihood - fit_given(end, np.log([0.05, 0.02, 1]), own)[1].value
        assert 2 * fallen == pytest.approx(3.841459, abs=1e-5)


def test_the_one_step_jackknife_is_close_to_refitting_without_each_group() -> None:
    table = customers(3000, 6, 0.8)
    fit = fit_of(table, intervals="replicate")
    without = fit.hazard_ratios["region[south]"].leave_one_out
    marginal = marginal_hazard_ratio(fit, "region[south]", 40).leave_one_out
    for g in (0, 33, 71):
        again = fit_of(table[table["replicate"] != g])
        assert without[g] == pytest.approx(again.hazard_ratios["region[south]"].value, abs=1e-3)
        assert marginal[g] == pytest.approx(marginal_hazard_ratio(again, "region[south]", 40).value, abs=1e-3)


def test_the_marginal_ratio_drifts_to_one_as_the_frail_leave() -> None:
    fit = fit_of(customers(4000, 3, 0.8))
    b, v, (early, late) = fit.coefficients[0], fit.variance.value, fit.daily_rate
    assert marginal_hazard_ratio(fit, "region[south]", 0).value == pytest.approx(np.exp(b))
    # by day 50: 20 days at the first rate and 30 at the second
    gone = v * (20 * early + 30 * late)
    found = marginal_hazard_ratio(fit, "region[south]", 50)
    assert found.value == pytest.approx(np.exp(b) * (1 + gone) / (1 + gone * np.exp(b)))
    assert np.exp(b) < found.value < 1
    # on day 0 it is the coefficient, with its interval
    start = marginal_hazard_ratio(fit, "region[south]", 0)
    assert (start.lower, start.upper) == pytest.approx(
        (fit.hazard_ratios["region[south]"].lower, fit.hazard_ratios["region[south]"].upper), rel=1e-5
    )


def test_rows_of_one_customer_each_give_the_same_fit() -> None:
    table = customers(900, 7, 0.5)
    rows = table.loc[table.index.repeat(table["n"])].assign(n=1).sample(frac=1, random_state=1)
    fits = [fit_of(each, intervals="replicate") for each in (table, rows)]
    assert fits[0].coefficients == pytest.approx(fits[1].coefficients, abs=1e-9)
    assert fits[0].standard_error == pytest.approx(fits[1].standard_error, abs=1e-9)
    assert fits[0].variance.value == pytest.approx(fits[1].variance.value, abs=1e-9)
    assert fits[0].table().columns.tolist()[-1] == "hazard_ratio_without_frailty"


def test_few_repeated_lapses_are_doubted() -> None:
    table = customers(600, 8, 0.5)
    repeated = (table["events_1"] + table["events_2"]).to_numpy() >= 2
    few = table[~repeated | (repeated.cumsum() <= 8)].assign(n=1)
    with pytest.warns(FewEventsWarning, match="8 customers have two lapses or more, fewer than 20") as caught:
        fit_of(few)
    assert caught[0].filename.endswith("test_frailty.py")


def test_what_cannot_be_fitted_is_refused() -> None:
    table = customers(600, 8, 0.5)
    once = np.arange(len(table)) % 2
    refused: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "came none": ({}, {"breaks_days": []}),
        r"missing \['events_3', 'exposure_days_3'\]": ({}, {"breaks_days": [0, 20, 40]}),
        "there is also events_2": ({}, {"breaks_days": [0]}),
        "rows have a 'events_1' that is no count": ({"events_1": 0.5}, {}),
        "rows have a 'exposure_days_2' that is no count": ({"exposure_days_2": -1}, {}),
        r"\d+ customers lapse more often in class 2 than they have days": ({"exposure_days_2": 0}, {}),
        "class 2 of 2 holds no lapse": ({"events_2": 0}, {}),
        "0 events for 1 parameters": ({"events_1": 0, "events_2": 0}, {}),
        "0 customers have two lapses or more, fewer than 5": (
            {"events_1": once, "events_2": 1 - once, "exposure_days_1": 9, "exposure_days_2": 9},
            {},
        ),
        r"column 'region\[south\]' separates perfectly": (
            {c: table[c].where(table["region"] == "north", 0) for c in ("events_1", "events_2")},
            {},
        ),
        "intervals must be 'replicate' or 'information'; came 'robust'": ({}, {"intervals": "robust"}),
        "in 9 groups of customers, fewer than 20": ({"replicate": table["replicate"] % 9}, {"intervals": "replicate"}),
    }
    for message, (changed, chosen) in refused.items():
        with pytest.raises(ModelError, match=message):
            fit_of(table.assign(**changed), **chosen)
    fit = fit_of(table.astype({"n": "Int64", "region": "category"}))
    with pytest.raises(ModelError, match=r"no column 'region\[sout\]'; did you mean"):
        marginal_hazard_ratio(fit, "region[sout]", 5)
    with pytest.raises(ModelError, match="day -1 lies before the first break, 0"):
        marginal_hazard_ratio(fit, "region[south]", -1)
