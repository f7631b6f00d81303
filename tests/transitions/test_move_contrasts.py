"""Differences in percentage points, hazard ratios of moves, guards and what-ifs: by hand, refitted, simulated."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate
from lcm_research.stages.moves import Moves, possible_moves
from lcm_research.stages.panel import ANY
from lcm_research.stages.rules import stage_rules
from lcm_research.transitions.covariate_path import covariate_path
from lcm_research.transitions.move_cells import STAYS, move_cells
from lcm_research.transitions.move_contrasts import LeadCheck, lead_check, move_contrast
from lcm_research.transitions.move_hazards import transition_hazard_ratios
from lcm_research.transitions.multinomial import MultinomialLogit, multinomial_logit

NADC = possible_moves(stage_rules("nadc", window_days=180))
CHOICE = {"from_stage": "dormant", "moves": NADC, "reference": {"engaged": "0"}}


def spread(rows: Mapping[tuple[str, ...], int], covariates: list[str]) -> pd.DataFrame:
    counts = pd.DataFrame([(*key, n) for key, n in rows.items()], columns=[*covariates, "to_stage", "n"])
    return counts.assign(from_stage="dormant").merge(pd.DataFrame({"replicate": range(100)}), how="cross")


# within each class the odds of returning are three times as large at 1+: 3 and 1, 1 and 1/3
TWO_CLASSES = {
    **{("1+", "often", "active"): 9, ("1+", "often", "dormant"): 3},
    **{("0", "often", "active"): 2, ("0", "often", "dormant"): 2},
    **{("1+", "once", "active"): 2, ("1+", "once", "dormant"): 2},
    **{("0", "once", "active"): 3, ("0", "once", "dormant"): 9},
}


def drawn(n: int, seed: int, *, effect: float, latent: float = 0.0, lead: bool = False) -> pd.DataFrame:
    """Customer-months in which buying often goes with engaging and with returning; engaging by ``effect``."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, 1, 400)
    rows = pd.DataFrame({"customer": rng.integers(0, 400, n)})
    hidden = latent * own[rows["customer"]]
    often = rng.random(n) < 0.5
    engaged = rng.random(n) < 1 / (1 + np.exp(1.5 - 1.2 * often - hidden))
    back = rng.random(n) < 1 / (1 + np.exp(2 - 1.0 * often - effect * engaged - hidden))
    after = rng.random(n) < 1 / (1 + np.exp(1.5 - 1.2 * often - hidden))
    rows = rows.assign(
        from_stage="dormant",
        replicate=rows["customer"] % 100,
        activity=np.where(often, "often", "once"),
        engaged=np.where(engaged, "1+", "0"),
        later=np.where(after, "1+", "0"),
        to_stage=np.where(back, "active", "dormant"),
    )
    keys = ["from_stage", "to_stage", "engaged", "activity", *(["later"] if lead else []), "replicate"]
    return rows.value_counts(keys).rename("n").reset_index()


def fitted(counts: pd.DataFrame, *covariates: str) -> MultinomialLogit:
    return multinomial_logit(counts, covariates=["engaged", *covariates], **CHOICE)  # type: ignore[arg-type]


def test_a_contrast_averages_over_the_classes_as_they_are() -> None:
    # half of all are in either class: (0.75 + 0.5) / 2 - (0.5 + 0.25) / 2 = 25 points
    # as they are: 11 of 16 less 5 of 16 = 37.5 points
    found = move_contrast(
        fitted(spread(TWO_CLASSES, ["engaged", "activity"]), "activity"),
        to_stage="active",
        covariate="engaged",
        level="1+",
    )
    assert found.adjusted.value == pytest.approx(25)
    assert found.naive.value == pytest.approx(37.5)
    assert (found.probability.value, found.probability_against.value) == pytest.approx((0.625, 0.375))
    assert found.adjusted.unit == "percentage points"
    assert (found.level, found.against, found.adjusted.n) == ("1+", "0", 3200)
    assert (found.n_level, found.n_against, found.n_moved, found.n_moved_against) == (1600, 1600, 1100, 500)
    assert found.smallest == 500


def test_staying_is_the_mirror_of_all_other_moves() -> None:
    fit = fitted(spread(TWO_CLASSES, ["engaged", "activity"]), "activity")
    found = move_contrast(fit, to_stage=STAYS, covariate="engaged", level="1+")
    assert found.adjusted.value == pytest.approx(-25)
    with pytest.raises(ModelError, match="'0' of 'engaged' is what the others are compared with"):
        move_contrast(fit, to_stage="active", covariate="engaged", level="0")


def test_customers_behind_a_contrast_are_heads_not_months() -> None:
    rows = [("engaged", "1+", ANY, 700), ("engaged", "0", ANY, 900), ("engaged", "1+", "active", 300)]
    heads = pd.DataFrame(rows, columns=["covariate", "level", "to_stage", "n_customers"])
    heads = heads.assign(from_stage="dormant", replicate=1)
    fit = fitted(spread(TWO_CLASSES, ["engaged", "activity"]), "activity")
    found = move_contrast(fit, to_stage="active", covariate="engaged", level="1+", customers=heads)
    assert (found.n_level, found.n_against, found.n_moved) == (700, 900, 300)
    none = heads[heads["level"] == "2"]
    assert move_contrast(fit, to_stage="active", covariate="engaged", level="1+", customers=none).n_level == 0


def test_the_interval_is_that_of_fitting_again_without_each_group() -> None:
    counts = drawn(8000, 1, effect=0.8, latent=0.7)
    found = move_contrast(fitted(counts, "activity"), to_stage="active", covariate="engaged", level="1+")
    without = [
        move_contrast(
            fitted(counts[counts["replicate"] != group], "activity"),
            to_stage="active",
            covariate="engaged",
            level="1+",
        ).adjusted.value
        for group in range(100)
    ]
    error = np.sqrt(99 / 100 * ((np.array(without) - found.adjusted.value) ** 2).sum())
    assert found.adjusted.upper - found.adjusted.value == pytest.approx(1.984 * error, rel=0.03)


def test_what_is_measured_is_taken_out_and_what_is_not_stays_in() -> None:
    held = move_contrast(
        fitted(drawn(12_000, 2, effect=0.0), "activity"), to_stage="active", covariate="engaged", level="1+"
    )
    assert held.naive.sign() == 1
    assert held.adjusted.sign() == 0
    hidden = move_contrast(
        fitted(drawn(12_000, 2, effect=0.0, latent=1.0), "activity"),
        to_stage="active",
        covariate="engaged",
        level="1+",
    )
    assert hidden.adjusted.sign() == 1


def test_the_month_after_tells_hidden_activity_from_an_effect() -> None:
    choice = {"to_stage": "active", "lag": ("engaged", "1+"), "lead": ("later", "1+")}
    hidden = lead_check(fitted(drawn(12_000, 3, effect=0.0, latent=1.0, lead=True), "activity", "later"), **choice)
    assert hidden.lead.sign(1.0) == 1
    assert not hidden.separated
    assert hidden.more.value == pytest.approx(hidden.lag.value / hidden.lead.value)
    effect = lead_check(fitted(drawn(12_000, 3, effect=0.8, lead=True), "activity", "later"), **choice)
    assert effect.lag.sign(1.0) == 1
    assert effect.separated


def test_a_lead_may_be_weaker_but_not_as_strong() -> None:
    def ratio(value: float, width: float = 1.2) -> Estimate:
        return Estimate(value=value, lower=value / width, upper=value * width, unit="ratio", n=9)

    assert LeadCheck(lag=ratio(3), lead=ratio(1.1), more=ratio(1.1)).separated  # the lead says nothing
    assert LeadCheck(lag=ratio(3), lead=ratio(1.5), more=ratio(2)).separated  # less than the lag
    assert not LeadCheck(lag=ratio(3), lead=ratio(2.9), more=ratio(1.03)).separated  # as much
    assert not LeadCheck(lag=ratio(1), lead=ratio(2), more=ratio(0.5)).separated  # alone


def test_how_much_farther_the_lag_is_counts_either_direction_alike() -> None:
    # the odds ratios are 1/3 at 1+ of the month before and 2 at 1+ of the month after, without interaction: the lag is
    # 3 times from nothing, the lead 2 times, 3 / 2 = 1.5
    rows = {}
    for lag, lead, odds in (("0", "0", 1.0), ("1+", "0", 1 / 3), ("0", "1+", 2.0), ("1+", "1+", 2 / 3)):
        rows |= {(lag, lead, "active"): round(60 * odds / (1 + odds)), (lag, lead, "dormant"): round(60 / (1 + odds))}
    fit = fitted(spread(rows, ["engaged", "later"]), "later")
    found = lead_check(fit, to_stage="active", lag=("engaged", "1+"), lead=("later", "1+"))
    later = fit.cells.levels["later"][0]
    assert later == "0"
    assert (found.lag.value, found.lead.value, found.more.value) == pytest.approx((1 / 3, 2, 1.5))


def test_a_hazard_ratio_by_hand() -> None:
    # hazards within the month: -log(1 - 0.4) against -log(1 - 0.2)
    rows = {("1+", "active"): 4, ("1+", "dormant"): 6, ("0", "active"): 2, ("0", "dormant"): 8}
    cells = move_cells(spread(rows, ["engaged"]), covariates=["engaged"], **CHOICE)  # type: ignore[arg-type]
    found = transition_hazard_ratios(cells, to_stage="active")
    assert found.ratios["engaged[1+]"].value == pytest.approx(np.log(0.6) / np.log(0.8))
    assert found.ratios["engaged[1+]"].unit == "hazard_ratio"
    assert found.table()["hazard_ratio"].tolist() == [found.ratios["engaged[1+]"].value]
    with pytest.raises(ModelError, match=r"'\(stays\)' is staying, which has no hazard"):
        transition_hazard_ratios(cells, to_stage=STAYS)


def test_hazards_agree_with_rows_and_their_moves_with_the_scores_of_rows() -> None:
    counts = drawn(3000, 4, effect=0.5, latent=0.5)
    cells = move_cells(counts, covariates=["engaged", "activity"], **CHOICE)  # type: ignore[arg-type]
    found = transition_hazard_ratios(cells, to_stage="active")
    rows = counts.loc[counts.index.repeat(counts["n"])]
    reference = cells.levels["activity"][0]
    x = np.column_stack([np.ones(len(rows)), rows["engaged"] == "1+", rows["activity"] != reference]).astype(float)
    y = (rows["to_stage"] == "active").to_numpy(float)
    link = sm.families.links.CLogLog()
    fit = sm.GLM(y, x, family=sm.families.Binomial(link)).fit(maxiter=100, tol=1e-12, tol_criterion="params")
    np.testing.assert_allclose(found.coefficients, fit.params, atol=1e-8)
    np.testing.assert_allclose(found.covariance, fit.cov_params(), atol=1e-8)
    # slope by the linear predictor, from its definition: (y - p) / (p (1 - p)) dp/dx
    p = fit.fittedvalues
    slope = (y - p) / (p * (1 - p)) * (1 - p) * np.exp(x @ fit.params)
    group = (rows["replicate"] == 31).to_numpy()
    np.testing.assert_allclose(found.moved[31], fit.cov_params() @ (slope[group] @ x[group]), atol=1e-8)


def _stock(dormant: int) -> np.ndarray:
    stock = np.zeros((100, len(NADC.stages)))
    stock[:, NADC.stages.index("dormant")] = dormant
    return stock


def test_a_path_moves_those_at_the_reference_and_the_others_give_way() -> None:
    # half are at either level; 4 in 10 return at 1+, 2 in 10 at 0; of those who do nothing 1 in 4 is churned in time
    rows = {("1+", "active"): 20, ("1+", "dormant"): 20, ("1+", "churned"): 10}
    rows |= {("0", "active"): 10, ("0", "dormant"): 32, ("0", "churned"): 8}
    counts = spread(rows, ["engaged"])
    moved = np.zeros((100, 5, 5))
    place = NADC.stages.index
    for to, n in counts.groupby("to_stage")["n"].sum().items():
        moved[:, place("dormant"), place(str(to))] = n / 100
    fits = {"dormant": fitted(counts)}
    asked = {"moves": NADC, "covariate": "engaged", "level": "1+"}
    found = covariate_path(fits, moved, _stock(7), share=0.5, n_months=1, **asked)  # type: ignore[arg-type]
    # 30 of 100 return as it is; half of the 50 at 0 return as the others do: 0.25 * (0.4 - 0.2) = 5 points more
    assert found.differences["active"].value == pytest.approx(5)
    # dormant to churned stand 52 to 18 among those who do nothing, and give way in that proportion
    assert found.differences["dormant"].value == pytest.approx(-5 * 52 / 70)
    assert found.differences["churned"].value == pytest.approx(-5 * 18 / 70)
    assert found.as_is[place("active")] == pytest.approx(0.3)
    assert found.differences["active"].n == 700
    # two months: nobody was seen to leave the other stages, so 0.35 + 0.65 * (52 / 70) * 0.35 against 0.3 ...
    twice = covariate_path(fits, moved, _stock(7), share=0.5, n_months=2, **asked)  # type: ignore[arg-type]
    stays, before = 0.65 * 52 / 70, 0.7 * 52 / 70
    assert twice.differences["active"].value == pytest.approx(100 * (0.35 * (1 + stays) - 0.3 * (1 + before)))
    assert twice.changed.sum() == pytest.approx(1)
    assert sum(each.value for each in twice.differences.values()) == pytest.approx(0)


def test_a_path_leaves_those_at_other_levels_where_they_are() -> None:
    # a third at each level, of whom 2, 4 and 6 in 10 return; those at 0 as at 2+: (0.6 - 0.2) / 3 more, 1 stays at 0.4
    rows = {
        (level, to): n for level, k in (("0", 2), ("1", 4), ("2+", 6)) for to, n in (("active", k), ("dormant", 10 - k))
    }
    counts = spread(rows, ["engaged"])
    moved, place = np.zeros((100, 5, 5)), NADC.stages.index
    moved[:, place("dormant"), [place("active"), place("dormant")]] = (12, 18)
    found = covariate_path(
        {"dormant": fitted(counts)},
        moved,
        _stock(7),
        moves=NADC,
        covariate="engaged",
        level="2+",
        share=1.0,
        n_months=1,
    )
    assert found.differences["active"].value == pytest.approx(40 / 3)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"share": 0.0}, "share is above 0 and at most 1; came 0"),
        ({"n_months": 13}, "n_months is from 1 to 12; came 13"),
        ({"fits": {}}, "needs the model of at least one stage; came none"),
        ({"level": "7"}, "covariate 'engaged' has no level '7'"),
    ],
)
def test_a_path_that_cannot_be_followed_is_refused(choice: dict[str, object], message: str) -> None:
    fits = {"dormant": fitted(spread(TWO_CLASSES, ["engaged", "activity"]), "activity")}
    asked = {"fits": fits, "moves": NADC, "covariate": "engaged", "level": "1+", "share": 0.1, "n_months": 3} | choice
    with pytest.raises(ModelError, match=message):
        covariate_path(moves_by_group=np.ones((100, 5, 5)), stock=_stock(1), **asked)  # type: ignore[arg-type]


def test_a_stage_that_nothing_is_said_about_moves_as_before() -> None:
    two = np.ones((2, 2), dtype=bool)
    free = Moves(stages=("dormant", "active"), possible=two, clock=~two, purchase=~two)
    counts = spread({("1+", "active"): 4, ("1+", "dormant"): 6, ("0", "active"): 2, ("0", "dormant"): 8}, ["engaged"])
    fit = multinomial_logit(
        counts, from_stage="dormant", covariates=["engaged"], moves=free, reference={"engaged": "0"}
    )
    stock = np.tile([0.0, 10.0], (100, 1))
    found = covariate_path(
        {"dormant": fit},
        np.tile([[14.0, 6.0], [5.0, 5.0]], (100, 1, 1)),
        stock,
        moves=free,
        covariate="engaged",
        level="1+",
        share=1.0,
        n_months=1,
    )
    assert found.differences["active"].value == 0
    assert found.as_is.tolist() == [0.5, 0.5]
