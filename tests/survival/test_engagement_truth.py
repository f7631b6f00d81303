"""Days that engaging goes with, by hand and by law; and what is found where the truth of a brand is known."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.data.reduction import Tables
from lcm_research.data.simulated.brand import Brand
from lcm_research.data.simulated.engagement_truth import engagement_truth, truth_choices
from lcm_research.errors import DataError, ModelError
from lcm_research.estimate import Estimate
from lcm_research.survival.curves import kaplan_meier
from lcm_research.survival.engagement import ever_engaged_ratio, lagged_ratio, landmark_ratio
from lcm_research.survival.hazards import cox
from lcm_research.survival.restricted import restricted_mean_difference, standardised_difference
from lcm_research.survival.spells import classified_spells
from lcm_research.survival.standardised import landmark_difference, landmark_means

TOOLS = Path(__file__).resolve().parents[2] / "tools"

Cell = tuple[str, bool, int, bool, int]


def cells(*rows: Cell, groups: int = 100) -> pd.DataFrame:
    """The same cells (activity, engaged, duration, lapsed, n) in every group of customers."""
    table = pd.DataFrame(rows, columns=["activity", "engaged", "duration_days", "event_observed", "n"])
    return table.merge(pd.DataFrame({"replicate": range(groups)}), how="cross")


CONFOUNDED = cells(
    # class 1: whoever lapses does on day 10, one in two on either side
    ("1", True, 10, True, 1),
    ("1", True, 40, False, 1),
    ("1", False, 10, True, 3),
    ("1", False, 40, False, 3),
    # class 2+: nobody lapses before day 40, three in four engaged
    ("2+", True, 40, False, 6),
    ("2+", False, 40, False, 2),
)


def test_means_are_areas_weighted_by_the_shares_of_the_classes() -> None:
    found = landmark_means(CONFOUNDED, adjust_for=["activity"], horizon_days=30)
    # class 1: 10 + 20 / 2 = 20 days on both sides; class 2+: 30; 8 of 16 spells in either: 25
    assert (found.engaged.value, found.others.value) == pytest.approx((25.0, 25.0))
    assert found.difference.value == pytest.approx(0.0)
    assert found.ratio.value == pytest.approx(1.0)
    assert found.difference.n == 1_600
    assert (found.difference.unit, found.ratio.unit) == ("days", "ratio")


def test_unadjusted_means_keep_what_the_classes_explain() -> None:
    found = landmark_means(CONFOUNDED, adjust_for=[], horizon_days=30)
    # engaged: 1 in 8 lapses on day 10: 10 + 20 * 7 / 8 = 27.5; others 3 in 8: 10 + 20 * 5 / 8 = 22.5
    assert (found.engaged.value, found.others.value) == pytest.approx((27.5, 22.5))
    assert found.difference.value == pytest.approx(5.0)
    assert found.ratio.value == pytest.approx(27.5 / 22.5)


def some_counts(seed: int, n_rows: int = 1_500) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    activity, engaged = rng.choice(["1", "2-3", "4+"], n_rows), rng.random(n_rows) < 0.5
    lapse = rng.exponential(30 + 20 * engaged + 20 * (activity == "4+"))
    made = {
        "activity": activity,
        "engaged": engaged,
        "duration_days": np.minimum(np.ceil(lapse), 60).astype("int64"),
        "event_observed": lapse <= 60,
        "replicate": np.arange(n_rows) % 100,
        "n": rng.integers(1, 4, n_rows),
    }
    return pd.DataFrame(made)


def test_the_value_is_that_of_the_curves_of_each_class() -> None:
    counts = some_counts(1).assign(n=1)
    pairs = {
        name: tuple(kaplan_meier(rows[rows["engaged"] == kind], interval="log-log") for kind in (True, False))
        for name, rows in counts.groupby("activity")
    }
    expected = standardised_difference(pairs, horizon_days=45)  # type: ignore[arg-type]
    found = landmark_difference(counts, adjust_for=["activity"], horizon_days=45)
    assert found.value == pytest.approx(expected.value, abs=1e-9)
    # Greenwood's interval of independent samples is about as wide
    assert (found.upper - found.lower) / (expected.upper - expected.lower) == pytest.approx(1, abs=0.3)


def test_without_classes_it_is_the_difference_of_two_curves_and_its_interval() -> None:
    counts = some_counts(2)
    curves = [kaplan_meier(counts[counts["engaged"] == kind], interval="replicate") for kind in (True, False)]
    expected = restricted_mean_difference(*curves, horizon_days=45)
    found = landmark_difference(counts, adjust_for=[], horizon_days=45)
    assert (found.value, found.lower, found.upper) == pytest.approx((expected.value, expected.lower, expected.upper))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000), group=st.integers(0, 99))
def test_a_leave_one_out_value_is_the_value_without_the_group(seed: int, group: int) -> None:
    counts = some_counts(seed)
    found = landmark_difference(counts, adjust_for=["activity"], horizon_days=40)
    rest = landmark_difference(counts[counts["replicate"] != group], adjust_for=["activity"], horizon_days=40)
    assert found.leave_one_out is not None
    assert found.leave_one_out[group] == pytest.approx(rest.value, abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_split_and_shuffled_rows_change_nothing_and_swapped_sides_turn_the_sign(seed: int) -> None:
    counts = some_counts(seed, 600)
    split = pd.concat([counts.assign(n=1), counts.assign(n=counts["n"] - 1)]).sample(frac=1, random_state=seed)
    swapped = counts.assign(engaged=~counts["engaged"])
    found, same, turned = (
        landmark_means(table, adjust_for=["activity"], horizon_days=40) for table in (counts, split, swapped)
    )
    for name in ("difference", "ratio"):
        assert vars(getattr(same, name))["value"] == pytest.approx(getattr(found, name).value, abs=1e-9)
        assert getattr(same, name).upper == pytest.approx(getattr(found, name).upper, abs=1e-9)
    assert turned.difference.value == pytest.approx(-found.difference.value, abs=1e-9)
    assert turned.ratio.value == pytest.approx(1 / found.ratio.value, abs=1e-9)


def test_what_cannot_be_compared_is_refused_with_its_share() -> None:
    lonely = pd.concat([CONFOUNDED, cells(("4+", True, 40, False, 4))])
    with pytest.raises(ModelError, match=r"class 'activity 4\+' \(20\.0% of 2,000 spells\) all engaged.*merge it"):
        landmark_difference(lonely, adjust_for=["activity"], horizon_days=30)
    with pytest.raises(ModelError, match=r"class 'customers: all' \(100\.0% of 800 spells\) none engaged"):
        landmark_difference(CONFOUNDED[~CONFOUNDED["engaged"]], adjust_for=[], horizon_days=30)
    with pytest.raises(ModelError, match=r"horizon_days=41 .* 40 days of those who engaged .*'activity 1'.*\[1, 40\]"):
        landmark_difference(CONFOUNDED, adjust_for=["activity"], horizon_days=41)
    with pytest.raises(ModelError, match="horizon_days must be at least 1; came 0"):
        landmark_difference(CONFOUNDED, adjust_for=["activity"], horizon_days=0)
    with pytest.raises(ModelError, match="within 30 days in 19 groups of customers, fewer than 20"):
        landmark_difference(CONFOUNDED[CONFOUNDED["replicate"] < 19], adjust_for=["activity"], horizon_days=30)
    with pytest.raises(ModelError, match=r"no column 'activty'.*did you mean 'activity'"):
        landmark_difference(CONFOUNDED, adjust_for=["activty"], horizon_days=30)
    with pytest.raises(ModelError, match=r"needs the columns .*engaged"):
        landmark_difference(CONFOUNDED.drop(columns="engaged"), adjust_for=[], horizon_days=30)


def test_a_side_whose_last_spell_lapses_needs_no_longer_follow_up() -> None:
    gone = cells(("1", True, 10, True, 1), ("1", False, 30, False, 1))
    # nobody of the engaged is left after day 10
    assert landmark_difference(gone, adjust_for=["activity"], horizon_days=30).value == pytest.approx(10 - 30)


# --- brands whose truth is known ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tools() -> Iterator[ModuleType]:
    """``tools/coverage.py``, by another name than that of the package ``coverage``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOLS))
        patch.delitem(sys.modules, "simulated_study", raising=False)
        spec = importlib.util.spec_from_file_location("engaging_coverage", TOOLS / "coverage.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "engaging_coverage", module)
        spec.loader.exec_module(module)
        yield module


NULL = Brand(engagement_follows="purchases", engaged_hazard_ratio=1.0, return_hazard_monthly=0.0)


@pytest.fixture(scope="module")
def null_counts(tools: ModuleType) -> dict[str, pd.DataFrame]:
    """Of thirty thousand customers whom engaging does not keep; whoever leaves engages no more."""
    recipes = {
        "fine": tools.fine_exposure,
        "landmark": tools.landmark_of,
        "ever": tools.ever_of,
        "unlagged": lambda tables: person_periods(tables, lapse_at="last_purchase", lag_periods=0),
        "declared": lambda tables: person_periods(tables, lapse_at="declared", lag_periods=1),
    }
    with tools.in_engine(list(tools.drawn(NULL, n_customers=30_000, seed=11))) as tables:
        counted = {name: recipe(tables) for name, recipe in recipes.items()}
    added_up = sys.modules["simulated_study"].added_up
    return {
        name: own
        if name in ("unlagged", "declared")
        else added_up([own], counts=["n_at_risk", "n_events"] if name == "fine" else ["n"])
        for name, own in counted.items()
    }


@pytest.fixture(scope="module")
def null_found(null_counts: dict[str, pd.DataFrame], tools: ModuleType) -> dict[str, Estimate]:
    exposure, landmark, ever = (
        tools.in_classes(null_counts["fine"].assign(draw="")),
        null_counts["landmark"],
        null_counts["ever"],
    )
    return {
        "naive": ever_engaged_ratio(ever, ties="efron"),
        "landmark": landmark_ratio(landmark, adjust_for=[], ties="efron"),
        "crude": lagged_ratio(exposure, lag_periods=1, adjust_for=[], ties="efron"),
        "corrected": lagged_ratio(exposure, lag_periods=1, adjust_for=["activity"], ties="efron"),
        "days_crude": landmark_difference(landmark, adjust_for=[], horizon_days=180),
        "days": landmark_difference(landmark, adjust_for=["activity"], horizon_days=180),
    }


def test_where_past_purchases_carry_the_confounding_the_corrected_ratio_of_no_effect_is_one(
    null_found: dict[str, Estimate],
) -> None:
    corrected, days = null_found["corrected"], null_found["days"]
    assert 0.9 < corrected.value < 1.1
    assert corrected.lower < 1 < corrected.upper
    assert corrected.upper / corrected.lower < 1.2
    assert days.lower < 0 < days.upper
    assert days.upper - days.lower < 12


def test_the_wrong_recipes_find_an_effect_where_there_is_none(null_found: dict[str, Estimate]) -> None:
    # ever engaged: whoever stays has the time to
    assert null_found["naive"].upper < 0.15
    # those who bought often engage more, and stay
    assert null_found["crude"].upper < 1
    assert null_found["landmark"].upper < 1
    assert null_found["days_crude"].lower > 0


def person_periods(tables: Tables, *, lapse_at: str, lag_periods: int) -> pd.DataFrame:
    """Periods at risk of 30 days with the act of ``lag_periods`` earlier, the lapse dated as ``lapse_at`` says."""
    choices = (180, 19358, 20088, "from_observation_start", "incident", ())
    spells = classified_spells(tables, *choices).filter(lambda t: t.status == "used").to_pandas()
    silent = 0 if lapse_at == "last_purchase" else 180
    until = np.where(spells["event_observed"], spells["last_day"] + silent, 20088 - 180 + silent)
    spells["length"] = (until - spells["start_day"]).astype(int)
    n_periods = spells["length"].to_numpy() // 30 + 1
    rows = spells.loc[spells.index.repeat(n_periods), ["customer_id", "replicate", "start_day", "event_observed"]]
    rows["period"] = np.concatenate([np.arange(n) for n in n_periods])
    rows["lapsed"] = rows["event_observed"] & (rows["period"] == np.repeat(n_periods - 1, n_periods))
    acts = tables["engagements"].to_pandas().merge(spells[["customer_id", "start_day"]], on="customer_id")
    acts["period"] = (acts["day"] - acts["start_day"]) // 30 + lag_periods
    acted = acts[["customer_id", "period"]].drop_duplicates().assign(engaged=True)
    rows = rows.merge(acted, on=["customer_id", "period"], how="left")
    rows = rows[rows["period"] >= lag_periods].assign(engaged=lambda t: t["engaged"].notna())
    counts = rows.groupby(["period", "lapsed", "engaged", "replicate"]).size().rename("n").reset_index()
    counts = counts.rename(columns={"lapsed": "event_observed"})
    return counts.assign(entry_days=counts["period"], duration_days=counts["period"] + 1)


def test_without_a_lag_and_with_the_declared_date_no_effect_looks_like_a_large_one(
    null_counts: dict[str, pd.DataFrame],
) -> None:
    unlagged, declared = (
        cox(null_counts[name], covariates=["engaged"], ties="efron", intervals="replicate").hazard_ratios["engaged"]
        for name in ("unlagged", "declared")
    )
    # in the period of the last purchase there was less time to engage
    assert unlagged.upper < 0.9
    # who is silent for 180 days has left: a period before the declared date nobody engages
    assert declared.upper < 0.1


def test_the_stored_truth_of_no_effect_is_one_and_no_days() -> None:
    for returns in (0.0, Brand().return_hazard_monthly):
        null = engagement_truth(engagement_follows="chance", engaged_hazard_ratio=1.0, return_hazard_monthly=returns)
        assert null.n_customers == 1_000_000
        assert abs(np.log(null.hazard_ratio)) < 3 * null.log_hazard_ratio_error < 0.02
        assert abs(null.difference_days) < 3 * null.difference_days_error < 1.2


def test_the_stored_truth_of_an_effect_lies_between_the_monthly_one_and_none() -> None:
    kept = engagement_truth(
        engagement_follows="chance", engaged_hazard_ratio=0.6, return_hazard_monthly=Brand().return_hazard_monthly
    )
    assert 0.6 < kept.hazard_ratio < 1 - 3 * kept.log_hazard_ratio_error
    assert kept.difference_days > 3 * kept.difference_days_error


def test_by_chance_within_classes_is_as_good_as_by_chance_for_all() -> None:
    # chances differ between the classes in one and not in the other, and with them the weights of the classes
    for ratio in (0.6, 1.0):
        alike, within = (
            engagement_truth(engagement_follows=follows, engaged_hazard_ratio=ratio, return_hazard_monthly=0.0)
            for follows in ("chance", "purchases")
        )
        error = np.hypot(alike.log_hazard_ratio_error, within.log_hazard_ratio_error)
        assert abs(np.log(within.hazard_ratio / alike.hazard_ratio)) < 3 * error < 0.03
        error = np.hypot(alike.difference_days_error, within.difference_days_error)
        assert abs(within.difference_days - alike.difference_days) < 3 * error < 2


def test_a_truth_that_was_not_counted_is_refused_with_those_that_were() -> None:
    with pytest.raises(DataError, match=r"\('chance', 0\.5, 0\.0\); there are .*\('chance', 0\.6, 0\.0\)"):
        engagement_truth(engagement_follows="chance", engaged_hazard_ratio=0.5, return_hazard_monthly=0.0)


def test_the_truth_was_counted_with_the_choices_that_coverage_uses(tools: ModuleType) -> None:
    assert dict(truth_choices()) == tools.CHOICES


def held(rows: list[dict[str, Any]], truth: dict[str, float]) -> dict[str, int]:
    """In how many brands each analysis holds the truth."""
    table = pd.DataFrame(rows)
    true = table["analysis"].map(truth)
    return ((table["lower"] <= true) & (true <= table["upper"])).groupby(table["analysis"]).sum().to_dict()


N_BRANDS = 8


@pytest.mark.parametrize("place", [0, 1])
def test_corrected_intervals_hold_the_truth_where_past_purchases_carry_the_confounding(
    tools: ModuleType, place: int
) -> None:
    scenario = tools.SCENARIOS[place]
    assert scenario.engagement_follows == "purchases"
    rows = tools.analysed(scenario, range(N_BRANDS), 6_000)
    hazard_ratio, days = scenario.truth
    counted = held(rows, dict.fromkeys(tools.ANALYSES, hazard_ratio) | {"days": days})
    # six of eight or more in 99.4% of such draws at 95%; the seeds are fixed
    assert min(counted["lagged"], counted["days"]) >= 6
    assert counted["naive"] == 0
    assert sum(row["control_warns"] for row in rows if row["analysis"] == "lagged") <= 2


def test_where_a_latent_activity_carries_it_the_negative_control_warns(tools: ModuleType) -> None:
    scenario = tools.SCENARIOS[5]
    assert (scenario.engagement_follows, scenario.engaged_hazard_ratio) == ("activity", 1.0)
    rows = tools.analysed(scenario, range(4), 6_000)
    lagged = [row for row in rows if row["analysis"] == "lagged"]
    assert all(row["control_warns"] for row in lagged)
    assert all(row["e_value_end"] < 2 for row in lagged)
    assert np.mean([row["estimate"] for row in lagged]) < 0.93


def test_the_page_on_coverage_stands_on_the_stored_truth(tools: ModuleType) -> None:
    text = tools.OUTPUT.read_text(encoding="utf-8")
    for scenario in tools.SCENARIOS:
        section = text.split(f"## {scenario.title}\n")[1].split("\n## ")[0]
        assert all(f"| {number:.3f} |" in section for number in scenario.truth)
    assert "seeds 0 to 399" in text
