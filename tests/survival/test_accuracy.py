"""Judging predictions: by hand, against scikit-survival, by laws, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.errors import ModelError
from lcm_research.survival.accuracy import (
    auc_at,
    auc_gain,
    brier_at,
    brier_score,
    followed_through,
    known_by,
    time_dependent_auc,
    without_each_group,
)
from lcm_research.survival.accuracy_calibration import calibration
from lcm_research.survival.accuracy_concordance import concordance_index, harrell_concordance, uno_concordance
from lcm_research.survival.curves import kaplan_meier, survival_at

GOLDEN = Path(__file__).resolve().parents[1] / "golden"

# five customers: lapse on 2, lost on 3, lapse on 5, lapse on 7, lost on 10
FIVE = pd.DataFrame(
    {
        "duration_days": [2, 3, 5, 7, 10],
        "event_observed": [True, False, True, True, False],
        "n": 1,
        "risk": [0.8, 0.6, 0.4, 0.5, 0.1],
    }
)


def spells(seed: int, size: int, *, days: int = 12) -> pd.DataFrame:
    """Rows with ties everywhere: in days, between lapse and censoring, and in predictions."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "duration_days": rng.integers(1, days, size),
            "event_observed": rng.random(size) < 0.6,
            "n": 1,
            "risk": rng.integers(0, 6, size) / 5,
            "replicate": np.arange(size) % 100,
        }
    )


def many(size: int = 1500) -> pd.DataFrame:
    """Customers whose risk the prediction knows, lost sight of at random; lapses in every group."""
    rng = np.random.default_rng(5)
    strength = rng.integers(-2, 3, size) / 2
    lapse = 1 + rng.exponential(25 * np.exp(-strength)).astype(int)
    lost = rng.integers(1, 80, size)
    table = pd.DataFrame({"duration_days": np.minimum(lapse, lost), "event_observed": lapse <= lost, "n": 1})
    risks = {f"risk_{d}": 1 - np.exp(-d / 25 * np.exp(strength)) for d in (10, 20, 30)}
    return table.assign(**risks, replicate=np.arange(size) % 100)


def test_those_lost_sight_of_are_answered_for_by_those_followed_longer() -> None:
    # lost on day 3 with 4 at risk: 3/4 are followed through day 4 and later, all through day 3
    assert followed_through(FIVE)(np.array([2, 3, 4, 10])).tolist() == [1, 1, 0.75, 0.75]
    known = known_by(FIVE, prediction="risk", day=6)
    assert known.risk.tolist() == [0.1, 0.4, 0.5, 0.6, 0.8]
    # by day 6 the first lapsed (weight 1) and the third (4/3); the last two went on (4/3 each); the lost count for 0
    assert known.lapsed == pytest.approx([0, 4 / 3, 0, 0, 1])
    assert known.stayed == pytest.approx([4 / 3, 0, 4 / 3, 0, 0])
    assert known.base_rate == pytest.approx(7 / 15)  # Kaplan-Meier: 1 - 4/5 * 2/3


def test_brier_score_and_auc_of_five_customers() -> None:
    known = known_by(FIVE, prediction="risk", day=6)
    # (1 * .2^2 + 4/3 * (.6^2 + .5^2 + .1^2)) / 5
    assert brier_at(known) == pytest.approx((0.04 + 4 / 3 * 0.62) / 5)
    # lapsed 1 (.8) and 4/3 (.4), stayed 4/3 (.5) and 4/3 (.1): the first beats both, the other one of them
    assert auc_at(known) == pytest.approx((8 / 3 + 16 / 9) / (7 / 3 * 8 / 3))


def test_one_lost_on_the_day_itself_went_on_past_it() -> None:
    known = known_by(FIVE, prediction="risk", day=3)
    assert known.stayed.sum() == 4  # the one lost on day 3 among them, nobody weighted
    assert known.lapsed.sum() == 1


def test_concordance_of_five_customers() -> None:
    # the first lapse beats 4; the third spell loses to .5 and beats .1; the fourth beats .1
    pairs = harrell_concordance(FIVE, prediction="risk")
    assert (pairs.concordant, pairs.discordant, pairs.tied) == (6, 1, 0)
    # before day 6 two lapses: 4 pairs of weight 1, and one each way of weight (4/3)^2
    pairs = uno_concordance(FIVE, prediction="risk", truncation_day=6)
    assert pairs.index == pytest.approx((4 + 16 / 9) / (4 + 32 / 9))
    assert uno_concordance(FIVE, prediction="risk", truncation_day=5).index == 1  # the second lapse is on day 5


def test_ties_are_handled_as_the_index_defines_them() -> None:
    same_day = pd.DataFrame({"duration_days": [4, 4, 4], "event_observed": [True, True, False], "n": 1})
    same_day["risk"] = [0.5, 0.2, 0.2]
    # two lapses of one day are not compared; each is with the one who goes on past it
    pairs = harrell_concordance(same_day, prediction="risk")
    assert (pairs.concordant, pairs.discordant, pairs.tied) == (1, 0, 1)


def test_numbers_are_those_of_scikit_survival() -> None:
    rows = pd.read_csv(GOLDEN / "accuracy_rows.csv").assign(n=1)
    golden = pd.read_csv(GOLDEN / "accuracy.csv").set_index("name")["value"]
    close = {"rel": 1e-12, "abs": 0}
    for day in (10, 20, 30):
        known = known_by(rows, prediction=f"risk_{day}", day=day)
        assert brier_at(known) == pytest.approx(golden[f"brier_{day}"], **close)
        assert auc_at(known) == pytest.approx(golden[f"auc_{day}"], **close)
        assert 1 - known.base_rate == pytest.approx(golden[f"kaplan_meier_{day}"], **close)
        assert known.base_rate * (1 - known.base_rate) == pytest.approx(golden[f"null_brier_{day}"], **close)
    for column in ("duration_days", "tied_days"):
        pairs = harrell_concordance(rows.assign(duration_days=rows[column]), prediction="risk_20")
        assert pairs.index == pytest.approx(golden[f"harrell_{column}_index"], **close)
        assert pairs.concordant == golden[f"harrell_{column}_concordant"]
        assert pairs.discordant == golden[f"harrell_{column}_discordant"]
        assert pairs.tied == golden[f"harrell_{column}_tied"]
    pairs = uno_concordance(rows, prediction="risk_20", truncation_day=35)
    assert pairs.index == pytest.approx(golden["uno"], **close)
    grouped = rows.assign(replicate=np.arange(len(rows)) % 100)
    score = brier_score(grouped, risk={day: f"risk_{day}" for day in (10, 20, 30)})
    assert score.integrated.value == pytest.approx(golden["integrated_brier"], **close)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(2, 40))
def test_pairs_are_those_found_by_looking_at_each(seed: int, size: int) -> None:
    rows = spells(seed, size).assign(n=np.random.default_rng(seed).integers(1, 4, size))
    found = np.zeros(3)
    duration, event, n, risk = (rows[c].to_numpy() for c in ("duration_days", "event_observed", "n", "risk"))
    for i in range(size):
        for j in range(size):
            later = duration[j] > duration[i] or (duration[j] == duration[i] and not event[j])
            if event[i] and later:
                place = 0 if risk[i] > risk[j] else 1 if risk[i] < risk[j] else 2
                found[place] += n[i] * n[j]
    if found.sum() == 0:
        with pytest.raises(ModelError, match="no two spells can be compared"):
            harrell_concordance(rows, prediction="risk")
        return
    pairs = harrell_concordance(rows, prediction="risk")
    assert (pairs.concordant, pairs.discordant, pairs.tied) == pytest.approx(found)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_counts_give_what_rows_give_and_weights_add_up(seed: int) -> None:
    rows = spells(seed, 60).assign(n=np.random.default_rng(seed).integers(1, 5, 60))
    each = rows.loc[rows.index.repeat(rows["n"])].assign(n=1).sample(frac=1, random_state=1)
    day = 5
    known, known_each = (known_by(t, prediction="risk", day=day) for t in (rows, each))
    assert brier_at(known) == pytest.approx(brier_at(known_each), rel=1e-12)
    assert auc_at(known) == pytest.approx(auc_at(known_each), rel=1e-12)
    for index in (
        harrell_concordance,
        lambda t, prediction: uno_concordance(t, prediction=prediction, truncation_day=9),
    ):
        assert index(rows, prediction="risk").index == pytest.approx(index(each, prediction="risk").index, rel=1e-12)
    assert known.lapsed.sum() + known.stayed.sum() == pytest.approx(rows["n"].sum(), rel=1e-12)
    curve = kaplan_meier(rows, interval="log-log")
    assert 1 - known.base_rate == pytest.approx(survival_at(curve, day).value, rel=1e-12)


def test_only_the_order_of_predictions_bears_on_ranks() -> None:
    rows = spells(3, 200)
    turned = rows.assign(risk=rows["risk"] ** 3)
    assert harrell_concordance(rows, prediction="risk") == harrell_concordance(turned, prediction="risk")
    assert auc_at(known_by(rows, prediction="risk", day=6)) == auc_at(known_by(turned, prediction="risk", day=6))
    reverse = rows.assign(risk=1 - rows["risk"])
    total = harrell_concordance(rows, prediction="risk").index + harrell_concordance(reverse, prediction="risk").index
    assert total == pytest.approx(1)


def test_perfect_reversed_and_constant_predictions() -> None:
    rows = many()
    perfect = rows.assign(risk=1 - rows["duration_days"] / 100)
    perfect.loc[~perfect["event_observed"], "risk"] = 0.0
    backwards = perfect.assign(risk=1 - perfect["risk"])
    flat = rows.assign(risk=0.3)
    assert harrell_concordance(perfect, prediction="risk").index == 1
    assert auc_at(known_by(perfect, prediction="risk", day=20)) == pytest.approx(1)
    assert harrell_concordance(backwards, prediction="risk").index == 0
    assert auc_at(known_by(backwards, prediction="risk", day=20)) == pytest.approx(0)
    assert harrell_concordance(flat, prediction="risk").index == 0.5
    assert auc_at(known_by(flat, prediction="risk", day=20)) == pytest.approx(0.5)
    area = time_dependent_auc(perfect, risk={20: "risk"})[0]
    assert (area.value, area.lower, area.upper) == (1, 1, 1)
    outcome = rows.assign(risk=(rows["event_observed"] & (rows["duration_days"] <= 20)).astype(float))
    assert brier_at(known_by(outcome, prediction="risk", day=20)) == pytest.approx(0)


def test_the_base_rate_has_the_null_score_and_an_index_of_zero() -> None:
    rows = many()
    share = known_by(rows.assign(any=0.5), prediction="any", day=20).base_rate
    score = brier_score(rows.assign(risk=share), risk={20: "risk"})
    assert score.score[0].value == pytest.approx(score.null[0].value)
    assert score.index[0].value == pytest.approx(0, abs=1e-12)
    assert score.integrated_index.value == pytest.approx(0, abs=1e-12)


def test_a_prediction_that_knows_the_risk_beats_the_base_rate_on_every_day() -> None:
    score = brier_score(many(), risk={d: f"risk_{d}" for d in (10, 20, 30)})
    assert all(index.lower > 0 for index in score.index)
    assert all(e.lower < e.value < e.upper for e in (*score.score, *score.null))
    table = score.table()
    assert table["horizon_days"].tolist() == [10, 20, 30]
    # trapezoids over two equal steps: a quarter, a half, a quarter
    values = np.array([e.value for e in score.score])
    assert score.integrated.value == pytest.approx(values @ [0.25, 0.5, 0.25])


def test_intervals_leave_out_one_group_of_customers_at_a_time() -> None:
    rows = many()
    area = time_dependent_auc(rows, risk={20: "risk_20"})[0]
    kept = rows[rows["replicate"] != 17]
    assert area.leave_one_out is not None
    assert area.leave_one_out[17] == pytest.approx(auc_at(known_by(kept, prediction="risk_20", day=20)))
    index = concordance_index(rows, prediction="risk_20", kind="uno", truncation_day=40)
    assert index.leave_one_out is not None
    without = uno_concordance(kept, prediction="risk_20", truncation_day=40).index
    assert index.leave_one_out[17] == pytest.approx(without)
    assert index.lower < index.value < index.upper


def test_a_gain_over_a_rival_knows_that_both_judge_the_same_customers() -> None:
    rows = many().assign(rival=0.5)
    gain = auc_gain(rows, prediction="risk_20", rival="rival", horizon_days=20)
    area = time_dependent_auc(rows, risk={20: "risk_20"})[0]
    assert gain.value == pytest.approx(area.value - 0.5)
    assert gain.sign() == 1
    none = auc_gain(rows, prediction="risk_20", rival="risk_30", horizon_days=20)  # the same order
    assert (none.value, none.lower, none.upper) == (0, 0, 0)


def calibrated(predicted: dict[float, float]) -> pd.DataFrame:
    """In each of 100 groups 100 customers of each risk, as many of whom lapse within 30 days as the risk says."""
    rows = [
        (g, predicted[r], 30 if stays else 10, not stays, round(100 * (1 - r if stays else r)))
        for g in range(100)
        for r in predicted
        for stays in (True, False)
    ]
    return pd.DataFrame(rows, columns=["replicate", "risk", "duration_days", "event_observed", "n"])


def test_right_predictions_are_calibrated() -> None:
    found = calibration(calibrated({0.2: 0.2, 0.5: 0.5, 0.8: 0.8}), prediction="risk", horizon_days=30, n_groups=3)
    assert [group[0] for group in found.groups] == [10_000] * 3
    assert [group[1] for group in found.groups] == pytest.approx([0.2, 0.5, 0.8])
    assert [group[2].value for group in found.groups] == pytest.approx([0.2, 0.5, 0.8])
    assert found.in_the_large.value == pytest.approx(0, abs=1e-12)
    assert found.slope is not None
    assert found.slope.value == pytest.approx(1)
    assert found.table()["n"].sum() == 30_000


def test_timid_predictions_have_a_slope_above_one_and_low_ones_a_positive_difference() -> None:
    # half the log odds of .2 and .8: odds 4 become 2, so 1/3 and 2/3; the log odds seen are twice those predicted
    timid = calibration(calibrated({0.2: 1 / 3, 0.8: 2 / 3}), prediction="risk", horizon_days=30, n_groups=2)
    assert timid.slope is not None
    assert timid.slope.value == pytest.approx(2)
    assert timid.in_the_large.value == pytest.approx(0, abs=1e-12)
    low = calibration(calibrated({0.2: 0.1, 0.8: 0.7}), prediction="risk", horizon_days=30, n_groups=2)
    assert low.in_the_large.value == pytest.approx(0.1)


def test_a_constant_prediction_has_no_slope_and_groups_where_all_are_alike_an_exact_interval() -> None:
    flat = calibration(calibrated({0.2: 0.5, 0.8: 0.5}), prediction="risk", horizon_days=30, n_groups=4)
    assert flat.slope is None
    assert len(flat.groups) == 1
    rows = calibrated({0.5: 0.5})
    sure = rows[rows["event_observed"]].assign(risk=0.9)
    found = calibration(pd.concat([rows, sure]), prediction="risk", horizon_days=30, n_groups=2)
    assert found.groups[1][2].value == 1
    assert found.groups[1][2].lower == pytest.approx(0.025 ** (1 / 5000))  # Clopper-Pearson, all of 5,000


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"risk_20": 1.5}, "'risk_20' should hold predicted risks from 0 to 1; came 1.5 in 1500 of 1500 rows"),
        ({"risk_20": np.nan}, "1500 of 1500 rows have no value in 'risk_20'"),
        ({"entry_days": 1, "duration_days": 50}, "came spells with late entry"),
        ({"event_observed": False}, "in 0 groups of customers, fewer than 20"),
        ({"duration_days": 15}, "day 20 is outside the follow-up of 15 days"),
        ({"n": 0}, "at least one spell; came none"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_its_numbers(changed: dict[str, float], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        brier_score(many().assign(**changed), risk={20: "risk_20"})


def test_uno_needs_a_day_and_intervals_need_groups() -> None:
    with pytest.raises(ModelError, match="needs truncation_day"):
        concordance_index(many(), prediction="risk_20", kind="uno")
    with pytest.raises(ModelError, match="need the column 'replicate'"):
        without_each_group(many().drop(columns="replicate"), lambda rows: 0.0)
    with pytest.raises(ModelError, match="'harrell' or 'uno'; came 'gini'"):
        concordance_index(many(), prediction="risk_20", kind="gini")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="at least 2 groups of predicted risk; came 1"):
        calibration(many(), prediction="risk_20", horizon_days=20, n_groups=1)
