"""A finding as a card: the words follow from the numbers."""

from __future__ import annotations

import base64

import pages_sample
import pytest

from lcm_research.pages.cards import card, main_findings, null_of, split_sentence
from lcm_research.pages.words import Words

EN, ZH = Words("en"), Words("zh")
RECORDS = {record["id"]: record for record in pages_sample.sample_findings()}


def made(id: str, words: Words = EN, **more):
    return card(RECORDS[id] | more, words, chapters="runs/r/")


def test_a_card_says_the_number_its_interval_and_n() -> None:
    shown = made("engaged-stay")
    assert (shown.estimate, shown.interval, shown.n) == ("12.4 days", "95% interval 8.10 to 16.9", "n = 4,120")
    assert made("engaged-stay", ZH).interval == "95% 置信区间 8.10 至 16.9"


def test_shares_are_percentages() -> None:
    assert made("retained-half-year").estimate == "43.2%"


def test_a_failed_check_is_the_reason_to_doubt() -> None:
    assert [check.name for check in made("engaged-stay").doubts] == ["A placebo exposure has no effect"]
    assert made("retained-half-year").doubts == ()


def test_a_check_that_does_not_say_it_passed_is_a_doubt() -> None:
    assert len(made("retained-half-year", checks=[{"name": "x"}, {"name": "y", "passed": "yes"}, "z"]).doubts) == 3


def test_flipping_the_interval_flips_the_reading() -> None:
    assert made("engaged-stay").reading == "the interval leaves out “no difference”"
    assert made("engaged-stay", lower=-1.0).reading.startswith("the interval includes “no difference”")
    assert made("engaged-stay", upper=-1.0, lower=-5.0, value=-3.0).reading.startswith("the interval leaves out")
    assert made("engaged-stay", lower=0.0).reading.startswith("the interval includes")
    assert made("retained-half-year").reading == ""


def test_tier_and_verdict_are_words_with_a_mark() -> None:
    shown = made("engaged-stay")
    assert (shown.tier, shown.tier_marks) == ("observed and adjusted", "●●○○")
    assert (shown.verdict, shown.verdict_mark) == ("smaller than claimed", "↓")
    assert [made("trial-lift").tier_marks, made("state-months").tier_marks] == ["●●●●", "●○○○"]


def test_an_unknown_tier_verdict_or_unit_is_shown_as_it_came() -> None:
    shown = made("engaged-stay", tier="E", verdict="new word", unit="parsecs")
    assert (shown.tier, shown.tier_marks, shown.verdict) == ("E", "", "new word")
    assert shown.estimate == "12.4 parsecs"


def test_the_drawing_has_words_for_those_who_do_not_see_it() -> None:
    alt = made("engaged-stay").drawing.alt
    assert alt == ("Estimate 12.4 days, 95% interval 8.10 to 16.9; claimed 20; the interval leaves out “no difference”")


def test_what_was_not_estimated_has_no_drawing() -> None:
    shown = made("rare-event")
    assert (shown.estimate, shown.interval, shown.drawing) == ("not estimated", "", None)


def test_an_open_interval_is_called_unbounded() -> None:
    assert made("state-months").interval == "95% interval 6.10 to unbounded"


@pytest.mark.parametrize("value", ["<script>", float("nan"), True, None, [1]])
def test_what_is_no_number_is_not_drawn(value: object) -> None:
    assert made("engaged-stay", value=value).drawing is None


def test_the_null_is_the_records_own_or_follows_from_the_unit() -> None:
    assert null_of({"unit": "hazard_ratio"}) == 1.0
    assert null_of({"unit": "ratio", "null_value": None}) is None
    assert null_of({"unit": "days", "null_value": 3.0}) == 3.0


def test_the_card_leads_to_the_cell_that_made_it() -> None:
    assert made("engaged-stay").link == "runs/r/01_survival.html#cell-e1"
    assert made("engaged-stay", cell=7).link == "runs/r/01_survival.html#cell-7"
    assert made("engaged-stay", cell=None).link == "runs/r/01_survival.html#finding-engaged-stay"


def test_a_hostile_notebook_cannot_leave_the_folder_of_the_run() -> None:
    link = made("engaged-stay", notebook='../../x" onclick="y', cell="javascript:1").link
    assert link.startswith("runs/r/..%2F..%2Fx%22%20onclick%3D%22y.html#cell-javascript-1-")


def test_main_findings_are_seven_and_registered_ones_lead() -> None:
    order = ["01_survival", "02_states", "03_attribution", "04_claims"]
    chosen = [record["id"] for record in main_findings(pages_sample.sample_findings(), order)]
    assert len(chosen) == 7
    assert chosen[:3] == ["engaged-stay", "credit-wechat", "trial-lift"]
    assert chosen[3] == "win-back-share"  # the first of the one notebook without a registered finding


def test_headlines_follow_registered_findings_in_the_order_of_the_chapters() -> None:
    records = [
        {"id": "a", "notebook": "02"},
        {"id": "b", "notebook": "01", "headline": True},
        {"id": "c", "notebook": "02", "registered": True},
        {"id": "d", "notebook": "00", "headline": True},
        {"id": "e", "notebook": "01"},
    ]
    assert [r["id"] for r in main_findings(records, ["00", "01", "02"])] == ["c", "d", "b", "a", "e"]


def test_what_was_found_does_not_choose_the_main_findings() -> None:
    findings = pages_sample.sample_findings()
    order = ["01_survival", "02_states", "04_claims"]
    flipped = [record | {"lower": -1e9, "upper": 1e9, "verdict": "inconclusive"} for record in findings]
    assert [r["id"] for r in main_findings(flipped, order)] == [r["id"] for r in main_findings(findings, order)]


def test_the_drawing_is_an_embedded_image() -> None:
    head, _, body = made("engaged-stay").drawing.src.partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(body).startswith(b"<svg ")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("停留更久（95% 置信区间 8 至 17，n = 9）。", ("停留更久", "（95% 置信区间 8 至 17，n = 9）", "。")),
        ("They stay (in Weibo) as long.", ("They stay (in Weibo) as long.", "", "")),
    ],
)
def test_the_numbers_of_a_sentence_are_set_apart_and_nothing_is_lost(text: str, parts: tuple[str, str, str]) -> None:
    split = split_sentence(text)
    assert (split.said, split.numbers, split.rest) == parts
