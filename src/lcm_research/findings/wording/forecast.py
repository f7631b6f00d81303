"""Sentences about the mix of stages some months ahead, and about how good such forecasts were before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lcm_research.estimate import Estimate
from lcm_research.findings.finding import Check
from lcm_research.findings.wording.common import Language, Sentence, both, count, evidence, number, percent
from lcm_research.findings.wording.transitions import period_text
from lcm_research.transitions.backtest import Backtest, StageForecast
from lcm_research.transitions.forecast import ROUNDS, FlowCounts

__all__ = [
    "balance_note",
    "balance_table",
    "between_check",
    "coverage_check",
    "forecast_estimate",
    "forecast_question",
    "forecast_sentence",
    "forecast_table",
    "persistence_check",
    "score_table",
    "season_sentence",
    "told_stages",
]

Text = Mapping[Language, str]

LEAST_COVERAGE = 0.15
"""Coverage may fall so far below the level of the intervals before it counts against them."""


def forecast_estimate(forecast: StageForecast, flows: FlowCounts, *, stage: str, ahead: int, level: float) -> Estimate:
    """Return the forecast share of a stage; ``n`` is the customers whose stage is known now."""
    rows = forecast.rows[(forecast.rows["stage"] == stage) & (forecast.rows["ahead"] == ahead)]
    value, lower, upper = (float(end) for end in rows[["share", "lower", "upper"]].to_numpy()[0])
    n = round(flows.stock(len(flows.periods) - 1).sum())
    return Estimate(value=value, lower=lower, upper=upper, unit="share", n=n, level=level)


def forecast_question(*, name: Text, ahead: int) -> Sentence:
    """Ask for the share of a stage some months ahead."""
    months = "a month" if ahead == 1 else f"{ahead} months"
    return both(
        f"How many customers will be in the stage “{name['en']}” in {months}?",
        f"{ahead} 个月后将有多少客户处于“{name['zh']}”阶段？",
    )


def forecast_sentence(
    estimate: Estimate, forecast: StageForecast, tried: Backtest | None, *, name: Text, now: float, ahead: int
) -> Sentence:
    """
    Say which share of customers is expected in a stage, and how good such forecasts were.

    Parameters
    ----------
    now : float
        Share of the stage at the end of the last month.
    """
    rows = forecast.rows
    month = str(rows.loc[rows["ahead"] == ahead, "period_start"].iloc[0])
    score = _score_phrase(tried, ahead)
    return both(
        f"At the end of {period_text(month, 'en')}, {percent(estimate.value)} of customers whose stage is known are "
        f"expected in the stage “{name['en']}” ({evidence(estimate, 'en', of_share=True)} now), after "
        f"{percent(now)} at the last month's end. {score['en']}",
        f"预计 {period_text(month, 'zh')}末，阶段已知的客户中有 {percent(estimate.value)} 处于“{name['zh']}”阶段"
        f"（{evidence(estimate, 'zh', of_share=True)}，为当前客户数），最近一个月末为 {percent(now)}。{score['zh']}",
    )


def _scored(tried: Backtest, ahead: int) -> int:
    """Return the longest horizon, up to ``ahead``, at which forecasts were held against what came."""
    return int(tried.scores.loc[tried.scores["ahead"] <= ahead, "ahead"].max())


def _scores(tried: Backtest, ahead: int) -> dict[str, float]:
    row = tried.scores[tried.scores["ahead"] == ahead].iloc[0]
    return {str(name): float(score) for name, score in row.items()}


def _score_phrase(tried: Backtest | None, ahead: int) -> Sentence:
    if tried is None:
        return both(
            "There were too few months to hold such forecasts against what came.",
            "月份太少，无法用后来的数据检验这样的预测。",
        )
    k = _scored(tried, ahead)
    row = _scores(tried, k)
    own, kept = tried.mean_error(ahead=k)
    brier, other, months = number(row["brier"]), number(row["brier_persistence"]), count(row["n_periods"])
    far = "one month" if k == 1 else f"{k} months"
    return both(
        f"Made {far} ahead for {months} past months, such forecasts have a Brier score of {brier}, against {other} for "
        f"a mix that stays as it is; a share was off by {number(100 * own, 2)} percentage points on average, against "
        f"{number(100 * kept, 2)}.",
        f"在 {months} 个过去的月份中提前 {k} 个月作同样的预测，Brier 得分为 {brier}，“构成保持不变”的预测为 {other}；"
        f"占比平均偏差 {number(100 * own, 2)} 个百分点，后者为 {number(100 * kept, 2)} 个百分点。",
    )


def season_sentence(flows: FlowCounts, forecast: StageForecast) -> Sentence:
    """Say that the forecast knows the season of the year, or name it as missing, and why."""
    if forecast.season.startswith("in the model"):
        return both("Each calendar month has its own matrix.", "每个自然月份各有一个转移矩阵。")
    rounds = int(np.bincount(flows.calendar_months[1:], minlength=13)[1:].min())
    if rounds >= ROUNDS:
        return both(
            "The season of the year is missing from the forecast: it was not asked for.",
            "预测未考虑季节因素：未要求纳入。",
        )
    years = {0: "not at all", 1: "once"}[rounds]
    return both(
        f"The season of the year is missing from the forecast: some calendar month was seen {years}, and with fewer "
        f"than {ROUNDS} rounds of the calendar a season cannot be told from a trend.",
        f"预测未考虑季节因素：有的自然月份仅出现过 {rounds} 次，不足 {ROUNDS} 轮时无法把季节与趋势区分开。",
    )


def persistence_check(tried: Backtest | None, *, ahead: int) -> Check:
    """Check that forecasts beat a mix that stays as it is; one that does not is worth no more than today's mix."""
    name = both("beats a mix that stays", "优于“构成不变”")
    if tried is None:
        return Check(name=name, passed=False, note=_score_phrase(None, ahead))
    k = _scored(tried, ahead)
    row = {score: number(value) for score, value in _scores(tried, k).items()}
    note = both(
        f"Brier score {row['brier']} against {row['brier_persistence']}, log score {row['log_score']} against "
        f"{row['log_score_persistence']} for a mix that stays, {k} ahead",
        f"提前 {k} 个月，Brier 得分 {row['brier']}，“构成不变”为 {row['brier_persistence']}；"
        f"对数得分 {row['log_score']}，“构成不变”为 {row['log_score_persistence']}",
    )
    return Check(name=name, passed=tried.beats_persistence(ahead=k), note=note)


def coverage_check(tried: Backtest | None, *, ahead: int, level: float) -> Check:
    """Check that intervals of earlier forecasts held about as often as they say."""
    name = both("intervals held", "区间覆盖")
    known = None if tried is None else tried.scores[(tried.scores["ahead"] <= ahead) & tried.scores["coverage"].notna()]
    if known is None or known.empty:
        note = both(
            "too few months were held out to count how often intervals held", "留出的月份太少，无法统计区间的覆盖率"
        )
        return Check(name=name, passed=False, note=note)
    row = known.iloc[-1]
    share, k, months = percent(row["coverage"], 0), int(row["ahead"]), count(row["n_periods"])
    return Check(
        name=name,
        passed=bool(row["coverage"] >= level - LEAST_COVERAGE),
        note=both(
            f"{share} of the intervals for {months} held-out months, {k} ahead, held what came (level "
            f"{percent(level, 0)})",
            f"提前 {k} 个月预测 {months} 个留出月份，{share} 的区间包含了实际值（置信水平 {percent(level, 0)}）",
        ),
    )


def between_check(forecast: StageForecast, *, ahead: int) -> Check:
    """Check that intervals know how months differ, at the horizon that is told."""
    name = both("differences between months known", "月间差异已知")
    if forecast.between_reason:
        note = both(
            "too few months were held out to tell how months differ; the intervals are too narrow",
            "留出的月份太少，无法得知各月之间的差异；区间偏窄",
        )
        return Check(name=name, passed=False, note=note)
    k = forecast.carried_from
    if k is None or k >= ahead:
        return Check(
            name=name,
            passed=True,
            note=both("measured on held-out months at every horizon", "在各个提前期上均由留出的月份测得"),
        )
    note = both(
        f"measured up to {k} months ahead; beyond, carried on as if they grew steadily",
        f"仅测得至提前 {k} 个月；更远的提前期按稳定增长外推",
    )
    return Check(name=name, passed=False, note=note)


def forecast_table(
    forecast: StageForecast, flows: FlowCounts, *, names: Mapping[str, str], ahead: int, level: float
) -> pd.DataFrame:
    """
    Return the mix now and the one that is expected.

    Columns: stage, n_customers (in it at the last month's end), share_now, share_ahead (Estimate).
    """
    stock = flows.stock(len(flows.periods) - 1).sum(axis=0)
    rows = [
        (
            names[stage],
            round(n),
            percent(n / stock.sum()),
            forecast_estimate(forecast, flows, stage=stage, ahead=ahead, level=level),
        )
        for stage, n in zip(flows.stages, stock, strict=True)
    ]
    return pd.DataFrame(rows, columns=["stage", "n_customers", "share_now", "share_ahead"])


def score_table(tried: Backtest) -> pd.DataFrame:
    """
    Return how good forecasts were, one row for each number of months ahead.

    Columns: ahead_months, n_months (held out), brier, brier_persistence, log_score, log_score_persistence,
    error_points, error_persistence_points (mean, in percentage points), coverage (text).
    """
    scores = tried.scores
    errors = np.array([tried.mean_error(ahead=int(k)) for k in scores["ahead"]])
    return pd.DataFrame(
        {
            "ahead_months": scores["ahead"].astype(int),
            "n_months": scores["n_periods"].astype(int),
            **{name: scores[name] for name in ("brier", "brier_persistence", "log_score", "log_score_persistence")},
            "error_points": 100 * errors[:, 0],
            "error_persistence_points": 100 * errors[:, 1],
            "coverage": [None if np.isnan(share) else percent(share, 0) for share in scores["coverage"]],
        }
    )


def balance_table(
    flows: FlowCounts,
    closed: Mapping[str, Estimate] | None,
    open_: Mapping[str, Estimate] | None,
    *,
    names: Mapping[str, str],
) -> pd.DataFrame:
    """
    Return the mix now, and the mixes that would stay as they are without and with new customers.

    Columns: stage, n_customers (at the last month's end), share_now, closed_mix, open_mix (Estimate; ``0%`` where the
    mix has nobody in the stage; None where there is no such mix).
    """
    stock = flows.stock(len(flows.periods) - 1).sum(axis=0)

    def cell(mix: Mapping[str, Estimate] | None, stage: str) -> Estimate | str | None:
        return None if mix is None else mix.get(stage, _only(mix, stage))

    rows = [
        (names[stage], round(n), percent(n / stock.sum()), cell(closed, stage), cell(open_, stage))
        for stage, n in zip(flows.stages, stock, strict=True)
    ]
    return pd.DataFrame(rows, columns=["stage", "n_customers", "share_now", "closed_mix", "open_mix"], dtype=object)


def _only(mix: Mapping[str, Estimate], stage: str) -> str | None:
    """Write the share of a stage without an interval: 0, as the other shares make up everybody."""
    return "0%" if np.isclose(sum(found.value for found in mix.values()), 1.0, atol=1e-6) else None


def balance_note(flows: FlowCounts) -> Sentence:
    """Say what each of the two mixes assumes, and what the share of newcomers was."""
    moved, new = flows.moves[1:].sum(), flows.entries[1:].sum()
    share = percent(new / max(moved + new, 1))
    closed = both(
        "Without newcomers: the stationary distribution, where those here now would end if the months stayed as they "
        "were and nobody came; no forecast for customers who keep arriving.",
        "无新客户：平稳分布，即各月保持不变且无人进入时现有客户最终的构成；对不断有人进入的客户群不是预测。",
    )
    if not new:
        return both(closed["en"] + " Nobody came in these months.", closed["zh"] + "这些月份没有新客户进入。")
    return both(
        f"{closed['en']} With newcomers: the mix that stays if they keep coming at the same rate ({share} of customers "
        "in a month) and in the same stages.",
        f"{closed['zh']}有新客户：新客户按相同速度（每月占客户的 {share}）和相同阶段进入时保持不变的构成。",
    )


def told_stages(coarse: Mapping[str, str | None], *, most: int = 2) -> Sequence[str]:
    """Return the stages a forecast is told for: the lapsed, then those established, or else the last."""
    wanted = [stage for kind in ("lapsed", "established") for stage, own in coarse.items() if own == kind]
    return (wanted or list(coarse)[-1:])[:most]
