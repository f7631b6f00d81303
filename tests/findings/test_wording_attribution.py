"""Sentences about credit: flip the interval and read the verb; every number is in both languages."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lcm_research.attribution.credit import Credit
from lcm_research.attribution.disagreement import widest_disagreement
from lcm_research.attribution.null import Excess
from lcm_research.attribution.reconciliation import STATUSES, SUBJECTS, untouched_share
from lcm_research.errors import ModelError
from lcm_research.findings.wording import attribution as wording

CHANNELS = ("search", "email", "store")


def credit(
    share: list[float], *, spread: float = 0.004, model: str = "markov", n_groups: int = 100, of: str = "conversions"
) -> Credit:
    """Credit whose shares have standard errors of about ``spread``: alternate groups lie above and below."""
    shares = np.array(share)
    swing = np.where(np.arange(100) % 2, 1, -1)[:, None] * np.array([1, -1, 0]) * spread / 9.95
    return Credit(
        model=model,
        of=of,
        channels=CHANNELS,
        share=shares,
        share_without=shares + swing,
        total=1000.0,
        n_groups=np.full(3, n_groups),
    )


def excess(share: list[float], null: list[float], **options: object) -> Excess:
    return Excess(credit=credit(share, **options), null=credit(null, spread=0, model="null"))


def numbers(text: str) -> list[str]:
    return re.findall(r"−?\d[\d,.]*\d|\d", text.replace("95%", ""))


def test_the_top_channel_is_named_with_interval_and_customers() -> None:
    said = wording.top_credit_sentence(credit([0.5, 0.3, 0.2]), n_customers=1234)
    assert said["en"].startswith("Markov removal effect gives search more associated credit for conversions than any ")
    assert "50.0% (95% interval 49.2% to 50.8%, n = 1,234)" in said["en"]
    assert "search 的转化关联归因份额高于其他所有渠道，为 50.0%（95% 置信区间 49.2% 至 50.8%，n = 1,234）" in said["zh"]


def test_a_top_channel_that_is_not_separated_is_not_said_to_have_more() -> None:
    said = wording.top_credit_sentence(credit([0.40, 0.39, 0.21], of="value"), n_customers=1234)
    assert "largest share of associated credit for conversion value" in said["en"]
    assert said["en"].endswith("but the data do not separate it from email.")
    assert "more" not in said["en"]
    assert said["zh"].endswith("但数据未能将其与 email 区分开。")


def test_a_missing_interval_is_said() -> None:
    said = wording.top_credit_sentence(credit([0.5, 0.3, 0.2], n_groups=19), n_customers=30)
    assert "(no interval: met by too few groups of customers, n = 30)" in said["en"]
    assert "（客户组过少，无法给出区间，n = 30）" in said["zh"]
    assert "nan" not in said["en"] + said["zh"]


@pytest.mark.parametrize(
    ("null", "en", "zh"),
    [
        ([0.45, 0.35, 0.2], "so that 5.00 points go beyond it", "超出 5.00 个百分点"),
        ([0.55, 0.25, 0.2], "it is credited with 5.00 points less than that", "实际归因低 5.00 个百分点"),
        (
            [0.505, 0.295, 0.2],
            "The data do not show that it is credited with more or less",
            "数据未显示其归因高于或低于",
        ),
    ],
)
def test_the_verb_follows_the_interval_of_the_difference(null: list, en: str, zh: str) -> None:
    said = wording.excess_sentence(excess([0.5, 0.3, 0.2], null), "search", n_customers=1234)
    assert en in said["en"]
    assert zh in said["zh"]
    assert "joint 95% interval" in said["en"]
    assert f"alone would earn it {100 * null[0]:.1f}%" in said["en"]


def test_credit_beyond_volume_is_never_called_an_effect_and_names_the_rival_reading() -> None:
    above = excess([0.5, 0.3, 0.2], [0.45, 0.35, 0.2])
    said = wording.excess_sentence(above, "search", n_customers=1234)
    assert said["en"].endswith("The customers whom it reaches may be likelier to buy anyway.")
    assert said["zh"].endswith("它触达的客户也可能本来就更倾向于购买。")
    less = wording.excess_sentence(above, "email", n_customers=1234)
    assert less["en"].endswith("The customers whom it reaches may be less likely to buy anyway.")
    assert less["zh"].endswith("它触达的客户也可能本来就较少购买。")
    listed = wording.beyond_volume_sentence(above, n_customers=9)
    assert listed["en"].endswith("it may reach customers who would buy more, or less, without it.")
    assert listed["zh"].endswith("它触达的客户可能本来就买得更多或更少。")
    for sentence in (
        said,
        less,
        listed,
        wording.top_credit_sentence(above.credit, n_customers=9),
    ):
        assert not re.search(r"effect of|because|causes|drives", sentence["en"])
        assert not re.search("因为|导致|带来|效果", sentence["zh"])


def test_channels_beyond_and_below_their_volume_are_listed_once() -> None:
    said = wording.beyond_volume_sentence(excess([0.5, 0.3, 0.2], [0.45, 0.35, 0.2]), n_customers=1234)
    assert said["en"].startswith(
        "Credited with more than volume and place alone would earn: search, by 5.00 points (joint 95% "
        "interval 4.03 to 5.97, n = 1,234); credited with less: email; not separated from it: 1 of 3 (95% for all "
        "channels together)."
    )
    assert "应得水平的渠道：search，超出 5.00 个百分点（联合 95%" in said["zh"]
    assert "；低于该水平的渠道：email；未能区分的渠道：1 个（共 3 个）" in said["zh"]
    two = wording.beyond_volume_sentence(excess([0.5, 0.3, 0.2], [0.46, 0.26, 0.28], spread=0.001), n_customers=1234)
    assert "search and email, furthest search by 4.00 points" in two["en"]
    assert "search、email，超出最多的是 search， 4.00 个百分点" not in two["zh"]
    silent = wording.beyond_volume_sentence(excess([0.5, 0.3, 0.2], [0.5, 0.3, 0.2]), n_customers=1234)
    assert silent["en"].startswith("The data do not show that any of 3 channels is credited with more or less")
    assert silent["zh"].startswith("数据未显示 3 个渠道中有任何一个")


def test_a_difference_of_shares_is_told_in_points() -> None:
    above = excess([0.5, 0.3, 0.2], [0.45, 0.35, 0.2]).estimate("search", n=9)
    told = wording.in_points(above)
    assert (told.unit, told.n, told.sign()) == ("percentage points", 9, 1)
    assert told.value == pytest.approx(5.0)  # 0.50 less 0.45
    assert told.upper - told.lower == pytest.approx(100 * (above.upper - above.lower))
    assert told.leave_one_out == pytest.approx(100 * above.leave_one_out)


def test_disagreement_names_channel_models_and_leaders() -> None:
    credits_of = [credit([0.3, 0.45, 0.25], model="first", spread=0), credit([0.5, 0.3, 0.2])]
    found = widest_disagreement(credits_of, n=1234)
    said = wording.disagreement_sentence(found, credits_of)
    assert said["en"].startswith(
        "Models differ most on search: 50.0% by Markov removal effect, 30.0% by first touch, 20.00 points apart (joint"
    )
    assert said["en"].endswith("Who comes first depends on the model: first touch email; Markov removal effect search.")
    assert said["zh"].endswith("首位渠道因模型而异：首次触点为 email；马尔可夫移除效应为 search。")
    same = [credit([0.501, 0.299, 0.2], model="first", spread=0), credit([0.5, 0.3, 0.2])]
    calm = wording.disagreement_sentence(widest_disagreement(same, n=1234), same)
    assert calm["en"].startswith("The data do not separate the models; they lie furthest apart on")
    assert calm["en"].endswith("All 2 models put search first.")
    assert calm["zh"].endswith("2 种模型都把 search 排在首位。")


def reconciliation() -> pd.DataFrame:
    rows = [
        ("touch", "used", 700),
        ("touch", "repeated", 50),
        ("touch", "other_touch_type", 250),
        ("customer", "used", 120),
        ("customer", "no_journey", 30),
        ("converted_journey", "used", 100),
        ("unconverted_journey", "used", 300),
        ("converted_journey", "ends_too_late", 5),
        ("unconverted_journey", "starts_too_early", 7),
        ("conversion", "with_touch", 105),
        ("conversion", "without_touch", 35),
    ]
    told = pd.DataFrame(rows, columns=["subject", "status", "n"])
    # spread over 35 groups, so that a jackknife can be formed
    parts = [told.assign(replicate=g, n=told["n"] // 35 + (told["n"] % 35 > g)) for g in range(35)]
    return pd.concat(parts, ignore_index=True).assign(n_customers=1)


def test_the_reconciliation_adds_up_in_words() -> None:
    said = wording.reconciliation_sentence(reconciliation())
    expected = ["750", "1,000", "75.0", "400", "120", "25.0", "12"]
    assert said["en"].startswith(
        "750 of 1,000 touches (75.0%) make 400 journeys of 120 customers; 25.0% of the journeys"
    )
    assert sorted(numbers(said["zh"])) == sorted(expected) == sorted(numbers(said["en"]))


def test_conversions_without_a_touch_are_told() -> None:
    share = untouched_share(reconciliation())
    said = wording.untouched_sentence(share, lookback_days=30)
    assert said["en"].startswith("25.0% of conversions (95% interval")
    assert said["en"].endswith("n = 140 conversions) had no touch in the 30 days before; nobody is credited for them.")
    assert "在此前 30 天内没有触点，不归因于任何渠道" in said["zh"]
    assert numbers(said["en"]) == numbers(said["zh"])


def test_every_subject_and_status_has_words_in_both_languages() -> None:
    for words in [*map(wording.subject_text, SUBJECTS), *map(wording.status_text, STATUSES)]:
        assert words["en"]
        assert re.search("[一-鿿]", words["zh"])


def test_the_sum_of_raw_removal_effects_is_told() -> None:
    raw = replace(credit([0.5, 0.3, 0.2]), removal_effect=np.array([0.9, 0.54, 0.36]))
    assert wording.raw_effects_sentence(raw)["en"].startswith("The raw removal effects sum to 180%;")
    assert "之和为 180%" in wording.raw_effects_sentence(raw)["zh"]
    with pytest.raises(ModelError, match="model 'first' has no removal effects"):
        wording.raw_effects_sentence(credit([0.5, 0.3, 0.2], model="first"))


def sound_chain() -> pd.DataFrame:
    return pd.DataFrame({"channel": CHANNELS, "touches": 9, "left": 9, "reached": True, "ends": True})


def test_checks_say_which_of_them_failed() -> None:
    share = untouched_share(reconciliation())
    above = excess([0.5, 0.3, 0.2], [0.45, 0.35, 0.2])
    agreeing = [credit([0.6, 0.3, 0.1], model="first"), above.credit]
    checks = wording.credit_checks(sound_chain(), share, above, agreeing, lookback_days=30, n_customers=120)
    assert [check.passed for check in checks] == [True, True, True, True, False]
    assert all(set(check.name) == {"en", "zh"} for check in checks)
    assert "n = 120)" in checks[3].note["en"]
    assert "n = 140 conversions" in checks[1].note["en"]
    # customers of like activity are never compared here, and the check says so
    assert "activity" in checks[-1].name["en"]


def test_each_check_fails_when_what_it_asks_for_does_not_hold() -> None:
    share, within = untouched_share(reconciliation()), excess([0.5, 0.3, 0.2], [0.501, 0.299, 0.2])
    broken = sound_chain().assign(left=[9, 8, 9])
    disagreeing = [credit([0.3, 0.6, 0.1], model="first"), within.credit]
    half = untouched_share(reconciliation().replace({"status": {"with_touch": "x"}, "subject": {}}))
    checks = wording.credit_checks(broken, half, within, disagreeing, lookback_days=30, n_customers=120)
    assert [check.passed for check in checks] == [False] * 5
    unreached = sound_chain().assign(reached=[True, False, True])
    assert not wording.credit_checks(unreached, share, within, disagreeing, lookback_days=30, n_customers=120)[0].passed
