"""Sentences about credit beyond the null: one test, the claim, its negative control, what it takes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lcm_research.attribution.against_null import JointTest, Reason
from lcm_research.attribution.negative_control import NegativeControl
from lcm_research.attribution.null import Excess
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.attribution import points
from lcm_research.findings.wording.common import Sentence, both, count, number, p_value, percent

__all__ = ["activity_check", "claim_sentence", "conversions_needed_sentence", "joint_null_sentence"]

NOT_SEPARATED = both("activity not separated", "活跃度未能分离")
"""What stands at a finding whose strata its negative control rejects."""

REASONS: Mapping[Reason, Sentence] = {
    "": both("", ""),
    "few_groups": both("too few customers converted for a test", "转化客户过少，无法检验"),
    "many_channels": both("there are too many channels for one test", "渠道过多，无法整体检验"),
    "nothing_varies": both(
        "within strata it is the same whatever the channel, by construction", "各层内按定义不随渠道变化，无从检验"
    ),
}


def joint_null_sentence(excess: Excess) -> Sentence:
    """Whether credit differs from the null at all, asked once for all channels."""
    test = excess.test()
    if test.reason:
        why = REASONS[test.reason]
        return both(
            f"Whether credit differs from what volume and place alone would earn was not tested: {why['en']}.",
            f"未检验归因是否不同于仅凭触达量与位置应得的水平：{why['zh']}。",
        )
    told = _told(test)
    if test.rejects(0.95):
        return both(
            f"Credit differs from what volume and place alone would earn ({told['en']}).",
            f"归因不同于仅凭触达量与位置应得的水平（{told['zh']}）。",
        )
    return both(
        f"The data do not show that credit differs from what volume and place alone would earn ({told['en']}).",
        f"数据未显示归因不同于仅凭触达量与位置应得的水平（{told['zh']}）。",
    )


def claim_sentence(excess: Excess, control: NegativeControl | None, *, level: float = 0.95) -> Sentence:
    """Which channels are credited beyond their volume, within strata; nothing where activity is not separated."""
    if control is not None and control.not_separated(level=level):
        return both(
            f"No channel is said to be credited beyond its volume: {NOT_SEPARATED['en']}.",
            f"不对任何渠道作出“归因超出触达量”的结论：{NOT_SEPARATED['zh']}。",
        )
    beyond = excess.credited_beyond(control=control, level=level)
    if not beyond:
        return both(
            "The data do not show any channel credited beyond its volume.", "数据未显示任何渠道的归因超出其触达量。"
        )
    sizes = {name: points(float(excess.difference[excess.channels.index(name)])) for name in beyond}
    en = ", ".join(f"{name} ({size} points)" for name, size in sizes.items())
    zh = "、".join(f"{name}（{size} 个百分点）" for name, size in sizes.items())
    return both(
        f"Credited beyond volume, among customers of the same stratum: {en}.",
        f"在同层客户之间，归因超出触达量的渠道：{zh}。",
    )


def activity_check(control: NegativeControl | None, *, level: float = 0.95) -> Check:
    """Whether strata hold activity apart, by purchases that the touches cannot have caused."""
    name = both("purchases before the journey do not depend on its channel", "路径开始前的购买与其渠道无关")
    if control is None:
        note = both("Not tested: purchases before journeys are not known.", "未检验：路径开始前的购买未知。")
        return Check(name=name, passed=False, note=note)
    test, n = control.test, count(control.n_control)
    if test.reason:
        why = REASONS[test.reason]
        note = both(f"Not tested: {why['en']} ({n} journeys).", f"未检验：{why['zh']}（{n} 条路径）。")
        return Check(name=name, passed=False, note=note)
    told = _told(test)
    if control.not_separated(level=level):
        top = int(np.argmax(control.difference))
        size = points(float(control.difference[top]))
        note = both(
            f"{NOT_SEPARATED['en'].capitalize()}: of {n} journeys of customers who had bought before, {size} points "
            f"more than expected end with {control.channels[top]} ({told['en']}).",
            f"{NOT_SEPARATED['zh']}：此前已有购买的 {n} 条路径中，以 {control.channels[top]} 结束的比预期多 {size} "
            f"个百分点（{told['zh']}）。",
        )
        return Check(name=name, passed=False, note=note)
    note = both(
        f"Not seen to depend on it in {n} journeys of customers who had bought before ({told['en']}).",
        f"在此前已有购买的 {n} 条路径中未见其随渠道而异（{told['zh']}）。",
    )
    return Check(name=name, passed=True, note=note)


def conversions_needed_sentence(needed: pd.DataFrame, channel: str, *, points: float, power: float) -> Sentence:
    """
    How many conversions it would take for one channel to stand out from its null.

    Parameters
    ----------
    needed : DataFrame
        Of ``conversions_needed`` with the same ``points`` and ``power``.
    """
    row = needed.set_index("channel").loc[channel].to_dict()
    if not np.isfinite(row["n_conversions_needed"]):
        return both(
            f"Too few journeys come to {channel} to say how many conversions a difference would take to show.",
            f"经过 {channel} 的路径过少，无法估计显现差异所需的转化数。",
        )
    size, chance, n = number(points, 2), percent(power, 0), count(row["n_conversions_needed"])
    least = row["se_from"] == "permutation"
    return both(
        f"For {channel} to stand out with a probability of {chance} where its credit lies {size} points beyond its "
        f"volume would take about {n} conversions{', at the least' if least else ''}; there are "
        f"{count(row['n_conversions'])}.",
        f"若 {channel} 的归因超出其触达量 {size} 个百分点，要以 {chance} 的概率显现，{'至少' if least else '大约'}需要 "
        f"{n} 次转化；现有 {count(row['n_conversions'])} 次。",
    )


def _told(test: JointTest) -> Sentence:
    first, second = test.degrees_of_freedom
    f = number(test.f_statistic)
    return both(
        f"F({first}, {second}) = {f}, {p_value(test.p_value)}", f"F({first}, {second}) = {f}，{p_value(test.p_value)}"
    )
