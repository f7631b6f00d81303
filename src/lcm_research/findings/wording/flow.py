"""Sentences about customers who flow between stages from the end of one month to that of a later one."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lcm_research.estimate import Estimate
from lcm_research.findings.wording.common import LANGUAGES, Language, Sentence, both, evidence, percent
from lcm_research.findings.wording.transitions import period_text
from lcm_research.stages.flows import ENTERED
from lcm_research.transitions.flows import StageFlows

__all__ = [
    "changed_question",
    "changed_sentence",
    "flow_alt",
    "flow_table",
    "flow_title",
    "largest_flow_question",
    "largest_flow_sentence",
    "left_out_sentence",
]

Text = Mapping[Language, str]

ENTERS = both("enters", "新进入")
CLOCK = both(" Within a month time alone makes this move.", "在一个月之内，这一转移仅由时间推移造成。")


def _later(flows: StageFlows, language: Language) -> str:
    """Say how much later the end of a step is."""
    n = flows.step_months
    if language == "zh":
        return f"{n} 个月后"
    return "a month later" if n == 1 else f"{n} months later"


def flow_title(flows: StageFlows) -> Sentence:
    """Name the table of the last step."""
    since, last = flows.periods[-2:]
    return both(
        f"Flows from the end of {period_text(since, 'en')} to that of {period_text(last, 'en')}",
        f"{period_text(since, 'zh')}末至 {period_text(last, 'zh')}末的流动",
    )


def largest_flow_question(flows: StageFlows) -> Sentence:
    """Ask for the largest flow between two stages."""
    en, zh = (_later(flows, language) for language in LANGUAGES)
    return both(f"Who is in another stage {en}, and where?", f"{zh}，哪一阶段的客户转移最多，去了哪里？")


def largest_flow_sentence(
    share: Estimate, flows: StageFlows, pair: tuple[str, str], *, names: Mapping[str, Text], clock: bool
) -> Sentence:
    """
    Say which flow between two stages was the largest of the last step, and how much of its stage it was.

    Parameters
    ----------
    share : Estimate
        Of the customers in the first stage of ``pair``, from ``StageFlows.share``.
    clock : bool
        Whether the move, made within a month, is made by the passing of time alone.
    """
    start, end = (names[stage] for stage in pair)
    since, last = flows.periods[-2:]
    told = CLOCK if clock else both("", "")
    return both(
        f"The largest flow between two stages from the end of {period_text(since, 'en')} to the end of "
        f"{period_text(last, 'en')} led from “{start['en']}” to “{end['en']}”: {percent(share.value)} of those in "
        f"“{start['en']}” were in “{end['en']}” {_later(flows, 'en')} ({evidence(share, 'en', of_share=True)})."
        f"{told['en']}",
        f"{period_text(since, 'zh')}末至 {period_text(last, 'zh')}末，阶段之间最大的流动是"
        f"从“{start['zh']}”到“{end['zh']}”："
        f"“{start['zh']}”阶段的客户中有 {percent(share.value)} 在 {_later(flows, 'zh')}处于“{end['zh']}”阶段"
        f"（{evidence(share, 'zh', of_share=True)}）。{told['zh']}",
    )


def changed_question(flows: StageFlows) -> Sentence:
    """Ask how many customers changed stage."""
    en, zh = (_later(flows, language) for language in LANGUAGES)
    return both(f"How many customers are in another stage {en}?", f"有多少客户在 {zh}处于另一阶段？")


def changed_sentence(share: Estimate, flows: StageFlows) -> Sentence:
    """Say which share of customers was in another stage after the last step, by time alone or by what they did."""
    since = flows.periods[-2]
    return both(
        f"Of customers whose stage was known at the end of {period_text(since, 'en')}, {percent(share.value)} were in "
        f"another stage {_later(flows, 'en')} ({evidence(share, 'en', of_share=True)}); moves by the clock count too.",
        f"{period_text(since, 'zh')}末阶段已知的客户中，有 {percent(share.value)} 在 {_later(flows, 'zh')}处于另一阶段"
        f"（{evidence(share, 'zh', of_share=True)}），时钟转移也计算在内。",
    )


def left_out_sentence(flows: StageFlows, *, min_group: int) -> Sentence:
    """Say how much of all flows is not drawn to protect small groups."""
    share = flows.left_out(min_group=min_group)
    if not share:
        return both("Every flow is drawn.", "所有流动均已绘出。")
    told = percent(share) if share >= 0.001 else "< 0.1%"
    return both(
        f"Left out to protect groups of fewer than {min_group} customers: {told} of all.",
        f"为保护少于 {min_group} 人的小组，占全部 {told} 的流动未绘出。",
    )


def flow_alt(flows: StageFlows, *, names: Mapping[str, Text], min_group: int) -> Sentence:
    """Say what the picture of flows shows to who does not see it."""
    ends = flows.periods[0], flows.periods[-1]
    told = dict.fromkeys(LANGUAGES, "")
    largest = flows.largest_change(len(flows.n) - 1, min_group=min_group)
    if largest:
        start, end = (names[stage] for stage in largest)
        told["en"] = f" The widest band between two stages in the last step leads from {start['en']} to {end['en']}."
        told["zh"] = f"最后一步中最宽的跨阶段色带从“{start['zh']}”到“{end['zh']}”。"
    return both(
        f"Columns of stages from {period_text(ends[0], 'en')} to {period_text(ends[1], 'en')}, joined by bands as wide "
        f"as the customers who moved.{told['en']}",
        f"自 {period_text(ends[0], 'zh')}至 {period_text(ends[1], 'zh')}的阶段列，由宽度等于客户数的色带"
        f"相连。{told['zh']}",
    )


def flow_table(
    flows: StageFlows, *, names: Mapping[str, str], min_group: int, language: Language, level: float
) -> pd.DataFrame:
    """Return the flows of the last step as a page shows them: names for stages, and words for who enters."""
    table = flows.table(len(flows.n) - 1, min_group=min_group, level=level)
    return table.assign(
        **{
            "from": [ENTERS[language] if stage == ENTERED else names[stage] for stage in table["from"]],
            "to": [names[stage] for stage in table["to"]],
        }
    )
