"""The shifted-beta-geometric: a published case, by hand, against its likelihood written out, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from lcm_research.errors import ModelError
from lcm_research.survival.retention import (
    ShiftedBetaGeometricFit,
    predicted_retained,
    predicted_retention_curve,
    residual_lifetime,
    retention_rate,
    shifted_beta_geometric,
)


def from_survivors(survivors: list[int]) -> pd.DataFrame:
    """Customers left after each period, the first entry all of them, as counts."""
    lost = -np.diff(survivors)
    table = pd.DataFrame({"duration_periods": np.arange(1, len(survivors)), "event_observed": True, "n": lost})
    still = pd.DataFrame({"duration_periods": [len(survivors) - 1], "event_observed": [False], "n": [survivors[-1]]})
    return pd.concat([table, still], ignore_index=True)


def brand(n: int = 4000, seed: int = 1) -> pd.DataFrame:
    """Chances to leave from a beta(0.8, 2.5); everybody is followed for 4 to 9 periods."""
    rng = np.random.default_rng(seed)
    life, seen = rng.geometric(rng.beta(0.8, 2.5, n)), rng.integers(4, 10, n)
    table = pd.DataFrame({"duration_periods": np.minimum(life, seen), "event_observed": life <= seen})
    table = table.assign(replicate=rng.integers(0, 100, n))
    return table.groupby(list(table.columns)).size().rename("n").reset_index()


def fit_of(table: pd.DataFrame, intervals: Any = "information") -> ShiftedBetaGeometricFit:
    return shifted_beta_geometric(table, intervals=intervals)


def test_the_number_is_the_one_published(reference: Path, record_property: Any) -> None:
    years = pd.read_csv(reference / "survival" / "sbg_fader_hardie_2007.csv")
    fit = fit_of(from_survivors(years["high_end"].tolist()[:8]))
    numbers = pd.read_csv(reference / "survival" / "numbers.csv").query("case == 'sbg_high_end'")
    found = {"alpha (7 renewals)": fit.alpha, "beta": fit.beta, "loglik": fit.log_likelihood}
    furthest = 0.0
    for row in numbers.itertuples():
        share = re.fullmatch(r"S\((\d+)\)", row.quantity)
        if share:
            value = predicted_retained(fit, int(share.group(1))).value
        elif row.quantity.startswith("DERL"):
            value = residual_lifetime(fit, period=7, discount=0.1).value
        else:
            value = found[row.quantity]
        expected, size = float(row.expected), float(row.tolerance.split()[0])
        allowed = size * (abs(expected) if row.tolerance.endswith("rel") else 1)
        assert abs(value - expected) <= allowed, row.quantity
        furthest = max(furthest, abs(value / expected - 1))
    record_property("deviation", f"sbg_high_end: {len(numbers)} numbers, {furthest:.1e}")


def test_two_periods_are_met_exactly() -> None:
    # 1,000, then 600, then 450: retention 0.6 and 0.75; two parameters meet both
    fit = fit_of(from_survivors([1000, 600, 450]))
    # beta / (alpha + beta) = 0.6 and (beta + 1) / (alpha + beta + 1) = 0.75 give alpha 2 / 3, beta 1
    assert (fit.alpha, fit.beta) == (pytest.approx(2 / 3), pytest.approx(1))
    assert [retention_rate(fit, period).value for period in (1, 2, 3)] == pytest.approx([0.6, 0.75, 3 / (11 / 3)])
    assert fit.log_likelihood == pytest.approx(400 * np.log(0.4) + 150 * np.log(0.15) + 450 * np.log(0.45))
    assert (fit.n, fit.n_events, fit.follow_up_periods) == (1000, 550, 2)
    assert fit.aic == pytest.approx(4 - 2 * fit.log_likelihood)
    # two shares met exactly: their binomial intervals on the logit scale
    rate = retention_rate(fit, 1)
    half = 1.959963984540054 / np.sqrt(1000 * 0.6 * 0.4)
    assert [rate.lower, rate.upper] == pytest.approx(special.expit(np.log(1.5) + np.array([-half, half])), rel=1e-6)
    curve = predicted_retention_curve(fit, [0, 1, 2, 5])
    assert curve["survival"][:3].tolist() == pytest.approx([1, 0.6, 0.45])
    assert curve["beyond_follow_up"].tolist() == [False, False, False, True]


def test_renewals_to_come_by_their_sum() -> None:
    fit = fit_of(from_survivors([1000, 600, 450, 370]))
    alpha, beta = fit.alpha, fit.beta
    # in period 3, with two renewals behind: the chance to make renewal 3, 4, ... given those
    renewals = np.arange(3, 4000)
    left = np.exp(special.betaln(alpha, beta + renewals) - special.betaln(alpha, beta + 2))
    expected = float((left / 1.1 ** (renewals - 3)).sum())
    found = residual_lifetime(fit, period=3, discount=0.1)
    assert found.value == pytest.approx(expected, rel=1e-10)
    assert found.lower < found.value < found.upper
    assert found.unit == "periods"


def test_the_fit_is_at_the_top_of_the_likelihood_written_out() -> None:
    table = brand()
    fit = fit_of(table)

    def written_out(at: np.ndarray) -> float:
        alpha, beta = np.exp(at)
        total = 0.0
        for row in table.itertuples():
            # leaving in period t: t - 1 renewals of a chance 1 - p, then p, averaged over the beta distribution
            mean = special.beta(alpha + row.event_observed, beta + row.duration_periods - row.event_observed)
            total += row.n * np.log(mean / special.beta(alpha, beta))
        return total

    assert fit.log_likelihood == pytest.approx(written_out(fit.log_parameters), rel=1e-12)
    h, information = 1e-3, np.linalg.inv(fit.covariance)
    for i, step in enumerate(h * np.eye(2)):
        up, down = (written_out(fit.log_parameters + sign * step) for sign in (1, -1))
        assert abs(up - down) / (2 * h) < 1e-3 * information[i, i] ** 0.5
        assert (2 * fit.log_likelihood - up - down) / h**2 == pytest.approx(information[i, i], rel=1e-3)


def test_counts_give_what_rows_give() -> None:
    table = brand(1500)
    rows = table.loc[np.repeat(table.index, table["n"])].assign(n=1).sample(frac=1, random_state=2)
    one, other = fit_of(table, "replicate"), fit_of(rows, "replicate")
    assert np.allclose(one.log_parameters, other.log_parameters, rtol=0, atol=1e-9)
    assert np.allclose(one.standard_error, other.standard_error, rtol=0, atol=1e-9)
    nullable = table.astype({"n": "Int64", "duration_periods": "Int64", "event_observed": "boolean"})
    assert fit_of(nullable).log_likelihood == pytest.approx(one.log_likelihood)


def test_the_truth_is_covered_as_often_as_intervals_say() -> None:
    truth = float(np.exp(special.betaln(0.8, 2.5 + 20) - special.betaln(0.8, 2.5)))
    covered = {"replicate": 0, "information": 0}
    for seed in range(60):
        table = brand(1500, seed)
        for intervals in covered:
            share = predicted_retained(fit_of(table, intervals), 20)
            covered[intervals] += share.lower < truth < share.upper
    # 57 of 60 expected; fewer than 52 have a chance of 1 in 100
    assert min(covered.values()) >= 52


def test_the_jackknife_is_close_to_refitting_without_each_group() -> None:
    table = brand(3000)
    fit = fit_of(table, "replicate")
    share, (alpha, _) = predicted_retained(fit, 12), fit.log_parameters
    assert fit.moved is not None
    assert share.leave_one_out is not None
    far = int(np.abs(fit.moved[:, 0]).argmax())
    for group in (0, far):
        left = fit_of(table[table["replicate"] != group])
        assert alpha - fit.moved[group, 0] == pytest.approx(left.log_parameters[0], abs=0.1 * abs(fit.moved[far, 0]))
        assert share.leave_one_out[group] == pytest.approx(predicted_retained(left, 12).value, abs=1e-3)


def test_what_cannot_be_fitted_is_refused() -> None:
    # retention falls with tenure, or stays at 0.7 for ever
    for survivors in ([1000, 900, 700, 400], [10_000, 7000, 4900, 3430]):
        with pytest.raises(ModelError, match=r"alpha and beta run off .*one rate of leaving, 0\.\d+ a period"):
            fit_of(from_survivors(survivors))
    table = brand(500)
    refused = {
        r"missing \['duration_periods'\]": table.drop(columns="duration_periods"),
        "at least one customer; came none": table.assign(n=0),
        r"\d+ customers have duration_periods that is no whole number": table.assign(duration_periods=1.5),
        "rows have no value in 'n'": table.assign(n=table["n"].where(table["n"] > 1)),
        "3 events for 2 parameters": from_survivors([100, 99, 97]),
    }
    for message, wrong in refused.items():
        with pytest.raises(ModelError, match=message):
            fit_of(wrong)
    with pytest.raises(ModelError, match="in 7 groups of customers, fewer than 20"):
        fit_of(table.assign(replicate=table["replicate"] % 7), "replicate")
    fit = fit_of(table)
    for call, message in (
        (lambda: predicted_retained(fit, -1), "from 0 on; came -1"),
        (lambda: retention_rate(fit, 0), "from 1 on; came 0"),
        (lambda: residual_lifetime(fit, period=1, discount=0), "must be positive; came 0"),
    ):
        with pytest.raises(ModelError, match=message):
            call()


def test_beta_draws_are_what_the_model_says() -> None:
    # the share that goes on past 3 periods is the mean of (1 - p)**3 over the beta distribution
    fit = fit_of(from_survivors([1000, 600, 450]))
    expected = stats.beta(fit.alpha, fit.beta).expect(lambda p: (1 - p) ** 3)
    assert predicted_retained(fit, 3).value == pytest.approx(expected, rel=1e-6)
