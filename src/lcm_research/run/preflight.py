"""
What would leave a planned notebook without an answer, found in the counts before anything starts.

A notebook whose table is missing is skipped and says so. Data in which nobody lapses, or everybody is in one
stage all along, are more likely a wrong word in the study than a finding, so the study is refused instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lcm_research.errors import DataError, StudyError
from lcm_research.run.plan import Plan

if TYPE_CHECKING:
    from lcm_research.data.ingested import Ingested
    from lcm_research.workbench import Workbench

__all__ = ["refuse_unanswerable"]


def refuse_unanswerable(plan: Plan, ingested: Ingested) -> None:
    """
    Refuse a study whose data cannot answer a notebook that it plans.

    Raises
    ------
    DataError, StudyError
        Naming the notebook, what its data lack, and what to change.
    """
    from lcm_research.workbench import Workbench

    lcm = Workbench(study=plan.study, ingested=ingested)
    if lcm.has("transactions"):
        for notebook in plan.notebooks:
            CHECKS.get(notebook.name, lambda lcm, chosen: None)(lcm, notebook.values)


def _someone_lapses(lcm: Workbench, chosen: Mapping[str, Any]) -> None:
    from lcm_research.survival.spells import spell_counts, spell_reconciliation

    window_days = lcm.study.churn.window_days
    horizon_days = chosen.get("horizon_days")
    if horizon_days is not None and not 1 <= horizon_days <= lcm.max_horizon_days:
        raise StudyError(
            f"01_churn_survival.horizon_days={horizon_days} is outside the follow-up of {lcm.max_horizon_days} days "
            f"(from observation_start to as_of, less the churn window of {window_days} days); choose a horizon in "
            f"[1, {lcm.max_horizon_days}] or wait for more data"
        )
    asked = {
        "window_days": window_days,
        "observation_start_day": lcm.observation_start_day,
        "as_of_day": lcm.as_of_day,
        "history": lcm.study.data.history,
        "entry": "incident",
    }
    counts = lcm.count(spell_counts, **asked, by=[])
    if not len(counts):
        seen = lcm.count(spell_reconciliation, **asked).groupby("status")["n_customers"].sum()
        why = _why_nobody({str(status): int(n) for status, n in seen.items()}, window_days)
        raise DataError(
            f"01_churn_survival: expected new customers who can be followed for more than {window_days} days "
            f"(churn.window_days); there is none: {why}; or leave the notebook out"
        )
    if not counts.loc[counts["event_observed"], "n"].sum():
        raise DataError(
            f"01_churn_survival: expected customers who fall silent for more than {window_days} days; of "
            f"{counts['n'].sum():,} new customers that can be followed none does: nothing can be said about who stays; "
            "choose a shorter churn.window_days, check observation_start and as_of, or leave the notebook out"
        )


def _why_nobody(statuses: Mapping[str, int], window_days: int) -> str:
    """Return what keeps customers out of the curve, and what brings them in, by the number of customers."""
    reasons = {
        "start_not_seen": f"bought already in the first {window_days} days, when nobody can tell whether they were new "
        "(if the files hold all purchases ever made, say so with data.history: complete; otherwise observation_start "
        "must lie earlier, or churn.window_days be shorter)",
        "starts_after_cut": f"bought for the first time in the last {window_days} days, too late to see them fall "
        "silent (as_of must lie later, or churn.window_days be shorter)",
        "known_before": "were customers before observation_start (it must lie earlier)",
        "no_purchase": "never bought (a return is no purchase: see is_return)",
    }
    return ", ".join(f"{statuses[status]:,} {reason}" for status, reason in reasons.items() if statuses.get(status))


def _stages_differ(lcm: Workbench, chosen: Mapping[str, Any]) -> None:
    from lcm_research.stages.panel import UNKNOWN, stage_stock
    from lcm_research.stages.rules import stage_rules

    stages = lcm.study.stages
    rules = stage_rules(stages.scheme, window_days=lcm.study.churn.window_days, thresholds=stages.thresholds)
    stock = lcm.count(
        stage_stock,
        **rules.parameters(),
        period=stages.period,
        observation_start_day=lcm.observation_start_day,
        as_of_day=lcm.as_of_day,
        history=lcm.study.data.history,
    )
    visited = sorted(set(stock["stage"]) - {UNKNOWN})
    if len(visited) < 2:
        where = f"'{visited[0]}'" if visited else "no known stage"
        raise DataError(
            f"02_stage_markov: expected customers in at least two stages of '{stages.scheme}'; all are in {where} in "
            "every month: there is no move to count; change stages.thresholds or stages.scheme, widen the observation "
            "window, or leave the notebook out"
        )


CHECKS: Mapping[str, Callable[[Workbench, Mapping[str, Any]], None]] = {
    "01_churn_survival": _someone_lapses,
    "02_stage_markov": _stages_differ,
}
