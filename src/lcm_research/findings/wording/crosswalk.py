"""Sentences about how well stage schemes agree on the same customer-months."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lcm_research.findings.wording.common import Sentence, both, evidence, number, percent
from lcm_research.transitions.crosswalk import Agreement

__all__ = ["agreement_question", "agreement_sentence", "agreement_table", "width_sentence"]


def agreement_question() -> Sentence:
    """Ask whether schemes mean the same customers."""
    return both("Do stage schemes mean the same customers?", "不同的阶段方案说的是同一批客户吗？")


def agreement_sentence(found: Sequence[Agreement]) -> Sentence:
    """
    Say how well two schemes agree on the coarse stage of a customer-month: the pair in the middle and the two ends.

    Parameters
    ----------
    found : list of Agreement
        From the highest kappa to the lowest, at least one.
    """
    middle, best, worst = found[len(found) // 2], found[0], found[-1]
    en = (
        f"Of {len(found)} pairs of schemes the one in the middle ({middle.first}, {middle.second}) puts "
        f"{percent(middle.agreed.value)} of customer-months into the same coarse stage, "
        f"kappa {number(middle.kappa.value)} ({evidence(middle.kappa, 'en')})"
    )
    zh = (
        f"{len(found)} 对方案中，居中的一对（{middle.first}、{middle.second}）把 {percent(middle.agreed.value)} "
        f"的客户月归入同一粗阶段，kappa 为 {number(middle.kappa.value)}（{evidence(middle.kappa, 'zh')}）"
    )
    if len(found) == 1:
        return both(f"{en}.", f"{zh}。")
    en += (
        f"; agreement is lowest between {worst.first} and {worst.second} (kappa {_two_digits(worst.kappa.value)}) and "
        f"highest between {best.first} and {best.second} ({_two_digits(best.kappa.value)})."
    )
    zh += (
        f"；一致性最低的是 {worst.first} 与 {worst.second}（kappa {_two_digits(worst.kappa.value)}），"
        f"最高的是 {best.first} 与 {best.second}（{_two_digits(best.kappa.value)}）。"
    )
    return both(en, zh)


def agreement_table(found: Sequence[Agreement], *, own: str) -> pd.DataFrame:
    """
    Return every other scheme beside the study's own, over the customer-months that both know.

    Columns: scheme, kappa, agreed, own_established, established (Estimates); highest kappa first.
    """
    rows = []
    for each in found:
        if own in (each.first, each.second):
            first = each.first == own
            shares = (each.first_established, each.second_established)
            other = each.second if first else each.first
            rows.append((other, each.kappa, each.agreed, *(shares if first else shares[::-1])))
    return pd.DataFrame(rows, columns=["scheme", "kappa", "agreed", "own_established", "established"])


def _two_digits(kappa: float) -> str:
    return f"{kappa:.2f}".replace("-", "−")


def width_sentence(found: Sequence[Agreement]) -> Sentence:
    """Say how wide the intervals are that a grid of kappas has no room for."""
    widest = max((each.kappa.upper - each.kappa.lower) / 2 for each in found)
    return both(
        f"Darker: more alike; no interval reaches further than {number(widest, 2)} to either side. ",
        f"颜色越深越一致；各区间向两侧最多延伸 {number(widest, 2)}。",
    )
