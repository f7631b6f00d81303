"""Sentences about engaging and staying: the interval and the checks choose the verb."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from lcm_research.estimate import Estimate
from lcm_research.findings.finding import Check
from lcm_research.findings.wording import engagement as wording
from lcm_research.findings.wording import guards
from lcm_research.findings.wording.common import both
from lcm_research.findings.wording.estimand import estimand_table, lag_text
from lcm_research.survival.censoring_bounds import CensoringBounds
from lcm_research.survival.detectable import DetectableRatio
from lcm_research.survival.engagement import BiasPanel, e_value
from lcm_research.survival.estimand import Estimand
from lcm_research.survival.negative_control import PastActivity
from lcm_research.survival.positivity import Positivity
from lcm_research.survival.simpson import Reversal
from lcm_research.survival.window_choice import WindowChoice

LABELS = {"membership": {"en": "Membership", "zh": "会员身份"}, "region": {"en": "Region", "zh": "地区"}}
SPAN = {"lag_periods": 1, "period_days": 30}


def around(value: float, lower: float, upper: float, unit: str = "hazard_ratio", n: int = 1137) -> Estimate:
    return Estimate(value=value, lower=lower, upper=upper, unit=unit, n=n)


def panel(lagged: Estimate, gap: Estimate | None = None, naive: Estimate | None = None) -> BiasPanel:
    return BiasPanel(
        naive=naive or around(0.1, 0.08, 0.12, n=1790),
        landmark=around(0.58, 0.45, 0.73, n=871),
        lagged=lagged,
        gap=gap or around(0.14, 0.11, 0.17, "ratio"),
    )


PASSED = Check(name=both("overlap", "重叠"), passed=True)
FAILED = Check(name=both("the control", "阴性对照"), passed=False)
LOWER, HIGHER, OPEN = around(0.7, 0.61, 0.8), around(1.3, 1.1, 1.5), around(0.9, 0.75, 1.1)


def test_a_failed_check_leaves_goes_with_and_is_named() -> None:
    told = wording.panel_sentence(panel(LOWER), [PASSED, FAILED], **SPAN)
    assert (
        "goes with a lower rate of lapsing (hazard ratio 0.700, 95% interval 0.610 to 0.800, n = 1,137)" in told["en"]
    )
    assert "That engaging is the reason is not shown; not passed: the control." in told["en"]
    assert "overlap" not in told["en"]
    assert "与流失风险较低相伴（风险比 0.700，95% 置信区间 0.610 至 0.800，n = 1,137）" in told["zh"]
    assert "未通过的检查：阴性对照。" in told["zh"]


def test_passed_checks_leave_it_adjusted_and_not_randomised() -> None:
    told = wording.panel_sentence(panel(LOWER), [PASSED], **SPAN)
    assert "customers who had engaged in the 30 days before lapse at a lower rate" in told["en"]
    assert "this is adjusted, not randomised" in told["en"]
    assert "goes with" not in told["en"]
    assert "并非随机试验" in told["zh"]


@pytest.mark.parametrize("ratio", [LOWER, HIGHER, OPEN])
@pytest.mark.parametrize("checks", [[PASSED], [FAILED], []])
def test_no_sentence_says_that_engaging_keeps_anybody(ratio: Estimate, checks: list[Check]) -> None:
    told = wording.panel_sentence(panel(ratio), checks, **SPAN)
    assert "keep" not in told["en"]
    assert "because" not in told["en"]
    assert "留住" not in told["zh"]


def test_the_verb_follows_the_interval() -> None:
    assert "at a higher rate" in wording.panel_sentence(panel(HIGHER), [PASSED], **SPAN)["en"]
    assert "goes with a higher rate" in wording.panel_sentence(panel(HIGHER), [FAILED], **SPAN)["en"]
    told = wording.panel_sentence(panel(OPEN), [FAILED], **SPAN)
    assert "the data do not separate the rates at which customers who had engaged in the 30 days before" in told["en"]
    assert "数据未能区分前 30 天内有互动与无互动的客户的流失风险" in told["zh"]


def test_a_claim_that_only_the_naive_ratio_would_make_is_told() -> None:
    told = wording.gap_sentence(panel(OPEN))
    assert (
        "the ratio is 0.100 (95% interval 0.0800 to 0.120, n = 1,790), which leaves out 1 where the corrected"
        in told["en"]
    )
    assert "其区间排除 1，而校正后的区间不排除" in told["zh"]
    both_leave_out = wording.gap_sentence(panel(LOWER))
    assert (
        "0.140 times the corrected one (95% interval 0.110 to 0.170): so much comes of the time" in both_leave_out["en"]
    )
    close = wording.gap_sentence(panel(LOWER, gap=around(0.95, 0.8, 1.1, "ratio"), naive=around(0.67, 0.6, 0.75)))
    assert "the data do not separate it from the corrected one (0.950 times, 95% interval 0.800 to 1.10)" in close["en"]
    assert "未能将其与校正后的结果区分" in close["zh"]


ASKED = Estimand(
    observation_start=date(2023, 1, 1),
    as_of=date(2024, 12, 31),
    window_days=180,
    period_days=30,
    lag_periods=2,
    actions=("like", "share"),
    activity_breaks=(2, 4),
    alike_in=("region",),
    tier="C",
)


def test_the_estimand_is_told_item_by_item_in_both_languages() -> None:
    english, chinese = (estimand_table(ASKED, language=lang, labels=LABELS) for lang in ("en", "zh"))
    told = dict(zip(english["item"], english["value"], strict=True))
    assert "from 2023-01-01 on and before 2024-07-04, still going on day 61" in told["population"]
    assert (
        told["exposure"] == "engaged at least once (like, share) in 30 days that ended 30 days before, period by period"
    )
    assert "silence of more than 180 days, dated at the last purchase" in told["outcome and its date"]
    assert told["horizon"] == "day 61 to day 540 of the spell"
    assert "(1, 2-3, 4+) and Region" in told["contrast"]
    assert told["design"] == "C, adjusted observation: not randomised"
    assert len(chinese) == len(english) == 7
    assert "至少互动一次（like、share）" in chinese["value"].iloc[2]
    assert "过往购买天数类别（1, 2-3, 4+）、地区均相同" in chinese["value"].iloc[5]
    assert lag_text(1, 30)["en"] == "in the 30 days before"


def test_what_could_be_found_is_told_with_its_conditions() -> None:
    found = DetectableRatio(
        below=0.783, above=1.277, n_events=575, share_engaged=0.6, design_effect=1.25, power=0.8, level=0.95
    )
    told = wording.detectable_sentence(found)
    assert told["en"] == (
        "With 575 lapses, 60% of the time at risk engaged and a design effect of 1.25, a 95% interval leaves out 1 "
        "with a probability of 80% only where the true hazard ratio is at most 0.783 or at least 1.28."
    )
    assert "真实风险比不高于 0.783 或不低于 1.28" in told["zh"]
    days = wording.detectable_days_sentence(18.62, by=LABELS["region"], horizon_days=360, power=0.8, level=0.95)
    assert days["en"].startswith("By Region: a difference of 18.6 days within 360 is found with a probability of 80%")
    assert days["zh"].startswith("按地区：前 360 天内相差 18.6 天时")


def overlap(*shares: float) -> Positivity:
    values = np.array(shares)
    return Positivity(
        activity=tuple(str(i) for i in range(1, len(shares) + 1)),
        share_engaged=tuple(around(v, v, v, "share") for v in shares),
        n_engaged=(1000 * values).astype(int),
        n_not_engaged=(1000 - 1000 * values).astype(int),
        has_both=(values >= 0.05) & (values <= 0.95),
        min_share=0.05,
    )


def test_positivity_passes_or_names_the_levels_that_lack_one_kind() -> None:
    check = wording.overlap_check(overlap(0.2, 0.5, 0.9))
    assert check.passed
    assert "between 20% and 90% of the time at risk is engaged: every group has at least 5% of both" in check.note["en"]  # type: ignore[index]
    broken = wording.overlap_check(overlap(0.01, 0.5, 0.6, 0.99))
    assert not broken.passed
    assert "Of 4 groups by past purchase days, 2 (1, 4) have less than 5%" in broken.note["en"]  # type: ignore[index]
    assert "the others hold 50% of the time at risk" in broken.note["en"]  # type: ignore[index]
    assert "2 组（1、4 天）" in broken.note["zh"]  # type: ignore[index]
    assert "hardly anybody to compare with" in wording.no_claim_sentence()["en"]
    assert wording.no_claim_sentence("too few")["zh"] == "不作经调整的比较：too few。"


FADE = {"lags": (1, 3), "period_days": 30}


def test_fading_is_a_move_towards_one() -> None:
    up, down, still = (around(*ends, "ratio", 814) for ends in ((1.35, 1.05, 1.74), (0.7, 0.6, 0.9), (1.1, 0.8, 1.4)))
    faded = wording.fading_check(up, shortest=LOWER, **FADE)
    assert not faded.passed
    assert (
        "Moved back from 30 to 90 days the hazard ratio is 1.35 times what it was (95% interval 1.05 to 1.74, "
        in faded.note["en"]
    )  # type: ignore[index]
    assert "so would an effect that wears off" in faded.note["en"]  # type: ignore[index]
    # above 1 at the shortest lag, falling is fading and rising is not
    assert not wording.fading_check(down, shortest=HIGHER, **FADE).passed
    grown = wording.fading_check(up, shortest=HIGHER, **FADE)
    assert grown.passed
    assert "it grows" in grown.note["en"]  # type: ignore[index]
    seen = wording.fading_check(still, shortest=LOWER, **FADE)
    assert seen.passed
    assert "no fading was seen, which does not rule it out" in seen.note["en"]  # type: ignore[index]
    assert "未见减弱，但不能排除" in seen.note["zh"]  # type: ignore[index]


def test_the_negative_control_demotes_where_the_past_differs_or_cannot_be_seen() -> None:
    control = PastActivity(difference=around(0.69, 0.5, 0.88, "purchase_days"), within_class_sd=2.9, n_strata=41)
    check = wording.past_activity_check(control)
    assert not check.passed
    assert "bought on 0.690 days more before they engaged" in check.note["en"]  # type: ignore[index]
    assert "activity is not separated" in check.note["en"]  # type: ignore[index]
    assert "活跃程度未被分离" in check.note["zh"]  # type: ignore[index]
    fewer = replace(control, difference=around(-0.69, -0.88, -0.5, "purchase_days"))
    assert "0.690 days fewer" in wording.past_activity_sentence(fewer)["en"]
    none = wording.past_activity_check(replace(control, difference=around(0.02, -0.1, 0.14, "purchase_days")))
    assert none.passed
    assert "do not separate how many purchase days" in none.note["en"]  # type: ignore[index]
    unseen = wording.past_activity_check(PastActivity(difference=None, within_class_sd=0.0, n_strata=41))
    assert not unseen.passed
    assert "cannot show whether activity is held equal" in unseen.note["en"]  # type: ignore[index]


def test_acts_that_keep_nobody_should_go_with_nothing() -> None:
    assert wording.harmless_check(OPEN, ["like"]).passed
    failed = wording.harmless_check(LOWER, ["like", "follow"])
    assert not failed.passed
    assert "(like, follow) go with lapsing all the same (hazard ratio 0.700" in failed.note["en"]  # type: ignore[index]
    assert "（like、follow）同样与流失相关" in failed.note["zh"]  # type: ignore[index]


def test_the_e_value_names_its_form_and_what_would_move_the_interval() -> None:
    strong = e_value(LOWER, outcome="common")
    told = wording.e_value_sentence(strong)
    assert f"risk ratios of {strong.estimate:.2f} each" in told["en"]
    assert f"{strong.interval_end:.2f} would move the interval to 1 (E-value, form for common outcomes)" in told["en"]
    assert "采用结局常见时的形式" in told["zh"]
    assert "form for rare outcomes" in wording.e_value_sentence(e_value(LOWER, outcome="rare"))["en"]
    open_ended = wording.e_value_check(e_value(OPEN, outcome="common"), least=1.5)
    assert not open_ended.passed
    assert "The interval holds 1: no missed cause is needed" in open_ended.note["en"]  # type: ignore[index]
    assert wording.e_value_check(strong, least=strong.interval_end).passed
    assert not wording.e_value_check(strong, least=strong.interval_end + 0.01).passed


def choice(recommended: int | None, lower: int | None, upper: int | None) -> WindowChoice:
    shares = {w: around(s, s - 0.02, s + 0.02, "share") for w, s in ((120, 0.3), (180, 0.19), (240, 0.15))}
    return WindowChoice(
        return_days=180,
        most_return=0.2,
        shares=shares,
        n_lapses={120: 800, 180: 600, 240: 400},
        recommended=recommended,
        lower=lower,
        upper=upper,
        share_agreeing=0.71,
        n_resamples=1999,
        level=0.95,
    )


def test_the_recommended_window_is_told_and_the_studys_stays() -> None:
    told = guards.window_sentence(choice(180, 120, None), window_days=90, reference_days=480)
    assert told["en"] == (
        "In the first 480 days of observation 180 days is the shortest window looked at after which at most 20% of the "
        "lapses are followed by a purchase within 180 days of being declared (95% interval 120 days to beyond 240 "
        "days; the same in 71% of 1,999 resamples). The study's window of 90 days stays."
    )
    assert "95% 置信区间 120 天至超过 240 天；1,999 次重抽样中有 71% 结果相同" in told["zh"]
    none = guards.window_sentence(choice(None, None, None), window_days=90, reference_days=480)
    assert "no window up to 240 days is long enough" in none["en"]
    assert "240 天以内没有哪个窗口" in none["zh"]


@pytest.mark.parametrize(
    ("lower", "upper", "window", "passed"),
    [
        (120, 240, 120, True),
        (120, 240, 240, True),
        (120, None, 900, True),
        (120, 180, 181, False),
        (120, 180, 119, False),
        (None, None, 180, False),
    ],
)
def test_the_studys_window_should_lie_in_the_interval(
    lower: int | None, upper: int | None, window: int, passed: bool
) -> None:
    assert guards.window_check(choice(180, lower, upper), window_days=window, reference_days=480).passed is passed


def bounds(worst: float, best: float, lost: float) -> CensoringBounds:
    def days(v: float) -> Estimate:
        return around(v, v - 5, v + 5, "days")

    return CensoringBounds(
        horizon_days=360,
        share_censored=around(lost, lost, lost, "share"),
        hazard_factors=(np.inf, 1.0, 0.0),
        stays=tuple(around(v, v, v, "probability") for v in (0.08, 0.24, 0.4)),
        restricted_mean=(days(worst), days(167), days(best)),
    )


def test_bounds_are_told_and_held_against_the_usual_interval() -> None:
    wide = guards.censoring_check(bounds(120, 191, 0.32))
    assert not wide.passed
    assert "32.0% of the spells" in wide.note["en"]  # type: ignore[index]
    assert "the mean lies between 120 days (95% interval 115 to 125) and 191 days" in wide.note["en"]  # type: ignore[index]
    assert "between 8.0% and 40.0% stay" in wide.note["en"]  # type: ignore[index]
    assert "在 8.0% 与 40.0% 之间" in wide.note["zh"]  # type: ignore[index]
    assert guards.censoring_check(bounds(162, 172, 0.01)).passed
    assert not guards.censoring_check(bounds(161.9, 167, 0.01)).passed
    assert not guards.censoring_check(bounds(167, 172.1, 0.01)).passed
    assert "censoring hides nothing" in guards.censoring_sentence(bounds(167, 167, 0.0))["en"]
    texts = [guards.factor_text(factor)["en"] for factor in (np.inf, 2.0, 1.0, 0.5, 0.0)]
    assert texts[0] == "all lapse at once"
    assert "2.0" in texts[1]
    assert len(set(texts)) == 5


def reversal(pooled: Estimate, alike: Estimate) -> Reversal:
    return Reversal(
        by="membership",
        group="member",
        reference="other",
        within="region",
        pooled=pooled,
        standardised=alike,
        n_levels=3,
        n_opposite=3,
        share_covered=1.0,
    )


UP, DOWN, DOWN_UNSURE = (around(*ends, "days") for ends in ((9, 4, 14), (-6, -9, -3), (-1, -5, 3)))


def test_a_reversal_is_told_with_both_differences() -> None:
    found = [reversal(UP, DOWN), reversal(UP, UP)]
    check = guards.reversal_check(found, labels=LABELS)
    assert not check.passed
    assert (
        "by Membership, “member” less “other” is 9.00 days (95% interval 4.00 to 14.0) in all and −6.00 days "
        "(95% interval −9.00 to −3.00) with both made up alike by Region" in check.note["en"]  # type: ignore[index]
    )
    assert "“member”减“other”总体为 9.00 天" in check.note["zh"]  # type: ignore[index]
    assert "地区构成一致时为 −6.00 天" in check.note["zh"]  # type: ignore[index]


def test_a_sign_that_changes_within_chance_is_no_reversal() -> None:
    check = guards.reversal_check([reversal(UP, DOWN_UNSURE)], labels=LABELS)
    assert check.passed
    assert "none turns around" in check.note["en"]  # type: ignore[index]
    assert "In 1 the sign changes within what chance allows" in check.note["en"]  # type: ignore[index]
    assert "In " not in guards.reversal_sentence([reversal(UP, UP)], labels=LABELS)["en"]
    assert not guards.reversal_check([], labels=LABELS).passed
    assert "No pair of segments" in guards.reversal_sentence([], labels=LABELS)["en"]


def test_every_column_of_the_table_of_reversals_has_a_heading() -> None:
    for language in ("en", "zh"):
        table = guards.reversal_table([reversal(UP, DOWN)], language=language, labels=LABELS)  # type: ignore[arg-type]
        assert set(guards.reversal_headings(language)) == set(table.columns)  # type: ignore[arg-type]
    assert set(guards.window_headings("zh")) | {"share_returned"} == set(choice(180, 120, 240).table().columns)


def test_each_analysis_has_its_name_and_a_study_without_engagements_says_so() -> None:
    assert len({wording.analysis_text(name)["en"] for name in ("naive", "landmark", "lagged")}) == 3
    assert "no table of engagements" in wording.no_engagements_sentence()["en"]
    assert "bought as often" in wording.engaged_question()["en"]
