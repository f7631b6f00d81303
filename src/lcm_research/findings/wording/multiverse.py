"""Sentences about conclusions under other definitions: how many keep them, which take them away, what all say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lcm_research.estimate import Estimate
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import (
    LANGUAGES,
    Language,
    Sentence,
    both,
    evidence,
    in_words,
    number,
    p_value,
    percent,
)
from lcm_research.specification.curve import (
    Flip,
    SpecificationCurve,
    Tally,
    flips,
    tally,
)
from lcm_research.specification.joint import MedianTest

__all__ = [
    "axis_text",
    "claim_text",
    "conclusion_question",
    "conclusion_sentence",
    "definition_text",
    "group_text",
    "merged_sentence",
    "same_answer_check",
    "summary_sentence",
    "value_text",
    "whole_curve_check",
    "whose_text",
]

ALPHA = 0.05
MOST_NAMED = 2
"""Definitions named in a sentence; the table has them all."""

CLAIMS: Mapping[str, Mapping[int, Sentence]] = {
    "engaged": {
        1: both("engaged customers lapse sooner than others", "有互动的客户流失更快"),
        -1: both("engaged customers lapse later than others", "有互动的客户流失更慢"),
    },
    "groups-days": {
        1: both("new customers of “{group}” stay longer than those of “{other}”", "“{group}”新客户比“{other}”留存更久"),
        -1: both(
            "new customers of “{group}” stay for a shorter time than those of “{other}”",
            "“{group}”新客户比“{other}”留存更短",
        ),
    },
    "groups-return": {
        1: both(
            "customers at risk of “{group}” come back more often than those of “{other}”",
            "“{group}”有流失风险的客户比“{other}”更常回来",
        ),
        -1: both(
            "customers at risk of “{group}” come back less often than those of “{other}”",
            "“{group}”有流失风险的客户不如“{other}”常回来",
        ),
    },
    "groups-stay": {
        1: both(
            "established customers of “{group}” stay active more often than those of “{other}”",
            "“{group}”的稳定客户比“{other}”更常保持活跃",
        ),
        -1: both(
            "established customers of “{group}” stay active less often than those of “{other}”",
            "“{group}”的稳定客户不如“{other}”常保持活跃",
        ),
    },
    "recency": {
        1: both("customers at risk come back more often than lapsed ones", "有流失风险的客户比已流失客户更常回来"),
        -1: both("customers at risk come back less often than lapsed ones", "有流失风险的客户不如已流失客户常回来"),
    },
    "stay-or-return": {
        1: both(
            "established customers stay active more often than customers at risk come back",
            "稳定客户保持活跃的比例高于有流失风险客户回来的比例",
        ),
        -1: both(
            "established customers stay active less often than customers at risk come back",
            "稳定客户保持活跃的比例低于有流失风险客户回来的比例",
        ),
    },
    "return-trend": {
        1: both(
            "customers at risk come back more often in the later half of the months than in the earlier",
            "有流失风险的客户在后一半月份比前一半更常回来",
        ),
        -1: both(
            "customers at risk come back less often in the later half of the months than in the earlier",
            "有流失风险的客户在后一半月份不如前一半常回来",
        ),
    },
    "lead": {
        1: both(
            "the leading channel ({channel}) is credited with more than its volume and place alone would earn",
            "首位渠道（{channel}）的归因份额高于其触达量与位置应得的水平",
        ),
        -1: both(
            "the leading channel ({channel}) is credited with less than its volume and place alone would earn",
            "首位渠道（{channel}）的归因份额低于其触达量与位置应得的水平",
        ),
    },
    "lead-raw": {
        1: both(
            "the raw removal effect of the leading channel ({channel}) is larger than its volume and place alone give",
            "首位渠道（{channel}）的原始移除效应高于其触达量与位置应得的水平",
        ),
        -1: both(
            "the raw removal effect of the leading channel ({channel}) is smaller than its volume and place alone give",
            "首位渠道（{channel}）的原始移除效应低于其触达量与位置应得的水平",
        ),
    },
}
"""What a conclusion says on either side of its null, by the name of the question."""

SHORT: Mapping[str, Sentence] = {
    "engaged": both("Engaging and staying", "互动与留存"),
    "groups-days": both("Who stays longer", "谁留存更久"),
    "groups-return": both("Whose customers at risk come back", "谁的风险客户更常回来"),
    "groups-stay": both("Whose customers stay active", "谁的稳定客户更常保持活跃"),
    "recency": both("At risk against lapsed: coming back", "风险客户与流失客户：谁更常回来"),
    "stay-or-return": both("Staying active against coming back", "保持活跃与回来"),
    "return-trend": both("Coming back, later against earlier", "回来：后期与前期"),
    "lead": both("The leading channel beyond its volume", "首位渠道超出触达量"),
    "lead-raw": both("The same by raw removal effect", "同上，按原始移除效应"),
}
"""A question in a few words, for a row of a table."""


CHOICES: Mapping[str, Sentence] = {
    "window_days": both("churn window", "流失窗口"),
    "lag_periods": both("lag", "滞后期数"),
    "lookback_days": both("lookback", "回溯期"),
}


AXES: Mapping[str, Sentence] = {
    "engaged": both("hazard ratio of lapsing, engaged against not", "流失风险比（有互动比无互动）"),
    "groups-days": both("days kept: {group} less {other}", "留存天数：{group}减{other}"),
    "groups-return": both("coming back: {group} less {other}, points", "回来的比例：{group}减{other}（百分点）"),
    "groups-stay": both("staying active: {group} less {other}, points", "保持活跃：{group}减{other}（百分点）"),
    "recency": both("coming back, at risk less lapsed, points", "回来的比例：风险客户减流失客户（百分点）"),
    "stay-or-return": both("staying active less coming back, points", "保持活跃减回来（百分点）"),
    "return-trend": both("coming back, later less earlier, points", "回来的比例：后期减前期（百分点）"),
    "lead": both("credit of {channel} beyond its volume, points", "{channel} 超出触达量的归因份额（百分点）"),
    "lead-raw": both(
        "removal effect of {channel} beyond its volume, points", "{channel} 超出触达量的移除效应（百分点）"
    ),
}
"""What an axis measures, by the name of the question."""


def axis_text(name: str, **words: str | Mapping[str, str]) -> Sentence:
    """Name the axis that the answers to a question are drawn on; ``words`` as for ``claim_text``."""
    return _filled(AXES[name], words)


def claim_text(name: str, side: int, **words: str | Mapping[str, str]) -> Sentence:
    """Return what a conclusion says on one side of its null, as a clause; ``words`` name groups or a channel."""
    if side == 0:
        return both("there is no difference at all", "两者毫无差异")
    return _filled(CLAIMS[name][side], words)


def _filled(text: Sentence, words: Mapping[str, str | Mapping[str, str]]) -> Sentence:
    told = {lang: {key: in_words(word, lang) for key, word in words.items()} for lang in LANGUAGES}
    return both(text["en"].format(**told["en"]), text["zh"].format(**told["zh"]))


def group_text(group: str, by: str | Mapping[str, str]) -> Sentence:
    """
    Name a group of customers with its segment, where both stand in a sentence.

    >>> group_text("east", {"en": "Region", "zh": "地区"})["en"]
    'Region: east'
    """
    return both(f"{in_words(by, 'en')}: {group}", f"{in_words(by, 'zh')}：{group}")


def conclusion_question(name: str) -> Sentence:
    """Ask whether a conclusion survives another definition."""
    short = SHORT[name]
    return both(
        f"{short['en']}: does the conclusion survive another definition?", f"{short['zh']}：换一种定义，结论还成立吗？"
    )


def definition_text(choices: Mapping[str, str], language: Language) -> str:
    """
    Name a definition by what it chose.

    >>> definition_text({"scheme": "nadc", "threshold": "w_active", "before": "60", "after": "30"}, "en")
    'nadc, w_active 60 → 30'
    >>> definition_text({"window_days": "90", "lag_periods": "1"}, "en")
    'churn window 90 days, lag 1'
    """
    comma = ", " if language == "en" else "，"
    if "scheme" in choices:
        if "threshold" not in choices:
            return choices["scheme"]
        named = choices["threshold"]
        word = CHOICES[named][language] if named in CHOICES else named
        moved = f"{choices['before']} → {choices['after']}"
        return f"{choices['scheme']}{comma}{word} {_with_days(named, moved, language)}"
    parts = []
    for name, value in choices.items():
        parts.append(f"{CHOICES[name][language]} {_with_days(name, value, language)}")
    return comma.join(parts)


def _with_days(name: str, value: str, language: Language) -> str:
    if not name.endswith("_days"):
        return value
    if value == "personal":
        return {"en": "of each customer", "zh": "按客户个人"}[language]
    return f"{value} days" if language == "en" else f"{value} 天"


def value_text(estimate: Estimate, language: Language) -> str:
    """Write the answer to a question with its unit."""
    if estimate.unit == "percentage points":
        unit = {"en": " percentage points", "zh": " 个百分点"}[language]
        return f"{number(estimate.value)}{unit}"
    if estimate.unit == "days":
        return f"{number(estimate.value)} {'days' if language == 'en' else '天'}"
    if estimate.unit == "share":
        return percent(estimate.value)
    word = {"en": "hazard ratio ", "zh": "风险比 "}[language] if estimate.unit == "hazard_ratio" else ""
    return f"{word}{number(estimate.value)}"


def conclusion_sentence(curve: SpecificationCurve, name: str, **words: str | Mapping[str, str]) -> Sentence:
    """
    Say how many definitions keep a conclusion, what the study's own gives, and which definitions take it away.

    Parameters
    ----------
    curve : SpecificationCurve
        With a null.
    name : str
        The question, as ``CLAIMS`` has it.
    **words
        Names of groups or of the channel, as text or by language.
    """
    counted, own, null = tally(curve), curve.reference, f"{curve.known_null():g}"
    said = claim_text(name, counted.side, **words)
    mine = whose_text(own.own, definition_text(own.choices, "en"), definition_text(own.choices, "zh"))
    en, zh = (f"{value_text(own.estimate, lang)}|{evidence(own.estimate, lang)}" for lang in LANGUAGES)
    told = both(en.replace("|", " (") + ")", zh.replace("|", "（") + "）")
    turned = _turned_text(flips(curve), null)
    if counted.reference_beyond:
        kept = _kept_text(counted, said, null)
        return both(
            f"{kept['en']}. {mine['en']}: {told['en']}.{turned['en']}",
            f"{kept['zh']}。{mine['zh']}：{told['zh']}。{turned['zh']}",
        )
    others = _others_text(counted, null)
    return both(
        f"{mine['en']} the data do not tell whether {said['en']}: {told['en']}. {others['en']}.{turned['en']}",
        f"{mine['zh']}，数据不能判断是否{said['zh']}：{told['zh']}。{others['zh']}。{turned['zh']}",
    )


def _kept_text(counted: Tally, said: Sentence, null: str) -> Sentence:
    """Say how many definitions keep a conclusion that the reference draws."""
    en, zh = (_of(counted.n_same_side, counted.n_distinct, lang) + said[lang] for lang in LANGUAGES)
    if counted.n_beyond == counted.n_distinct > 1:
        return both(f"{en}, and every interval excludes {null}", f"{zh}，且各区间均不含 {null}")
    if counted.n_distinct > 1:
        en += f"; in {counted.n_beyond} the interval excludes {null}"
        zh += f"；其中 {counted.n_beyond} 种的区间不含 {null}"
    if counted.n_opposite:
        en += f", and in {counted.n_opposite} it lies beyond {null} on the other side"
        zh += f"，另有 {counted.n_opposite} 种的区间完全落在另一侧"
    return both(en, zh)


def _others_text(counted: Tally, null: str) -> Sentence:
    """Say how many definitions draw a conclusion that the reference does not, and on which side."""
    n, certain = counted.n_distinct, counted.n_beyond + counted.n_opposite
    if not certain:
        return both(f"In none of {n} definitions does the interval exclude {null}", f"{n} 种定义的区间均含 {null}")
    en = f"In {certain} of {n} definitions the interval excludes {null}"
    zh = f"{n} 种定义中有 {certain} 种的区间不含 {null}"
    if counted.n_opposite and counted.n_beyond:
        en += f": {counted.n_beyond} on this side, {counted.n_opposite} on the other"
        zh += f"：{counted.n_beyond} 种在这一侧，{counted.n_opposite} 种在另一侧"
    elif counted.n_opposite:
        en, zh = f"{en}, on the other side", f"{zh}，且在另一侧"
    return both(en, zh)


def _of(part: int, whole: int, language: Language) -> str:
    if whole == 1:
        return {"en": "In the only definition that answers, ", "zh": "在唯一能够回答的定义下，"}[language]
    if part == whole:
        return {"en": f"In all {whole} definitions ", "zh": f"全部 {whole} 种定义下，"}[language]
    return {"en": f"In {part} of {whole} definitions ", "zh": f"{whole} 种定义中有 {part} 种，"}[language]


def whose_text(own: bool, en: str, zh: str) -> Sentence:
    """Say whose definition a number is by, as the start of a sentence."""
    if own:
        return both(f"By the study's own definition ({en})", f"按研究自身的定义（{zh}）")
    return both(
        f"The study's own definition has no answer; by the one in the middle ({en})",
        f"研究自身的定义无法回答；按居中的定义（{zh}）",
    )


TURNED: Mapping[str, Sentence] = {
    "reversed": both("It is reversed under {which}.", "在{which}下结论相反。"),
    "other side": both(
        "It is on the other side, with an interval that holds {null}, under {which}.",
        "在{which}下方向相反，但区间含 {null}。",
    ),
    "lost": both("The interval holds {null} under {which}.", "在{which}下区间含 {null}。"),
    "gained": both("Under {which} it does.", "这样的定义有{which}。"),
}


def _turned_text(found: Sequence[Flip], null: str) -> Sentence:
    """Name the definitions that answer otherwise, of the worst kind there is."""
    if not found:
        return both("", "")
    worst = [flip.specification.choices for flip in found if flip.change == found[0].change]
    en = "; ".join(definition_text(each, "en") for each in worst[:MOST_NAMED])
    zh = "、".join(f"“{definition_text(each, 'zh')}”" for each in worst[:MOST_NAMED])
    if len(worst) > MOST_NAMED:
        en, zh = f"{en} and {len(worst) - MOST_NAMED} more", f"{zh}等 {len(worst)} 种定义"
    said = TURNED[found[0].change]
    return both(" " + said["en"].format(which=en, null=null), said["zh"].format(which=zh, null=null))


def same_answer_check(curve: SpecificationCurve) -> Check:
    """Check that every definition answers as the study's own: same side, and beyond the null where it is."""
    counted, found = tally(curve), flips(curve)
    return Check(
        name=both("the same under every definition", "各定义下结论一致"),
        passed=not found,
        note=both(
            f"{len(found)} of {counted.n_distinct} definitions answer otherwise",
            f"{counted.n_distinct} 种定义中有 {len(found)} 种结论不同",
        ),
    )


def whole_curve_check(curve: SpecificationCurve, test: MedianTest | None) -> Check:
    """Check that the median over all definitions says what the study's own says: beyond the null, or not."""
    name = both("the whole curve says so too", "整条曲线的结论一致")
    if test is None:
        return Check(name=name, passed=False, note=both("no definition has an interval", "没有任何定义给出区间"))
    far = test.p_median < ALPHA
    told = p_value(test.p_median)
    note = both(
        f"median over {test.n_definitions} definitions {'beyond' if far else 'not beyond'} the null ({told})",
        f"{test.n_definitions} 种定义的中位数{'偏离' if far else '未偏离'}零假设值（{told}）",
    )
    return Check(name=name, passed=far == tally(curve).reference_beyond, note=note)


def summary_sentence(curves: Mapping[str, SpecificationCurve]) -> Sentence:
    """Say how many conclusions are the same under every definition that was tried."""
    kept, n = sum(not flips(curve) for curve in curves.values()), len(curves)
    return both(
        f"{kept} of {n} conclusions are the same under every definition that was tried.",
        f"{n} 个结论中有 {kept} 个在所试的全部定义下保持不变。",
    )


def merged_sentence() -> Sentence:
    """Say how definitions are counted."""
    return both(
        "Definitions that come to the same number in every group of customers count once; those that cannot answer, "
        "having no such stage or too few customers, do not count.",
        "在每个客户组中数值都相同的定义只计一次；没有该阶段或客户过少、因而无法回答的定义不计入。",
    )
