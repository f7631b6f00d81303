"""
What would leave a planned notebook without an answer, found in the counts before anything starts.

A notebook whose table is missing is skipped and says so. Data in which nobody lapses, or everybody is in one
stage all along, are more likely a wrong word in the study than a finding, so the study is refused instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from lcm_research.errors import DataError, StudyError, nearest
from lcm_research.run.plan import Plan
from lcm_research.study import Churn

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
    _ends_are_told(lcm)
    if lcm.has("transactions") or plan.study.churn.kind == "contract":
        for notebook in plan.notebooks:
            CHECKS.get(notebook.name, lambda lcm, chosen: None)(lcm, notebook.values)


def _ends_are_told(lcm: Workbench) -> None:
    """Refuse an end other than a lapse that no row tells of: more likely a misspelt word than an end that never is."""
    ends = lcm.study.churn.other_ends
    if not ends:
        return
    told = sorted(lcm.tables["churn_reasons"].select("reason").distinct().to_pandas()["reason"].dropna())
    for end in ends:
        if end not in told:
            raise StudyError(
                f"churn.other_ends: no row of churn_reasons has the reason '{end}' ({len(told)} others are there); "
                f"{nearest(end, told[:20])}"
            )


@dataclass(frozen=True, kw_only=True)
class Words:
    """How refusals speak of one kind of churn."""

    window: str
    key: str
    followed: str
    lapse: str
    start: str


def _words(churn: Churn) -> Words:
    days = churn.longest_days
    if churn.kind == "contract":
        return Words(
            window=f"the {days} days of grace",
            key="churn.grace_days",
            followed=f"contracts that began under observation, at least {days} days before its end (churn.grace_days)",
            lapse=f"contracts that end without a renewal within {days} days",
            start="new contracts",
        )
    if churn.personal_window:
        return Words(
            window=f"the longest personal window of {days} days",
            key="churn.personal_window.longest_days",
            followed=f"new customers who can be followed for more than {days} days "
            "(churn.personal_window.longest_days)",
            lapse=f"customers who fall silent for longer than {churn.personal_window.kappa} times their usual gap",
            start="new customers",
        )
    return Words(
        window=f"the churn window of {days} days",
        key="churn.window_days",
        followed=f"new customers who can be followed for more than {days} days (churn.window_days)",
        lapse=f"customers who fall silent for more than {days} days",
        start="new customers",
    )


def _someone_lapses(lcm: Workbench, chosen: Mapping[str, Any]) -> None:
    words = _words(lcm.study.churn)
    horizon_days = chosen.get("horizon_days")
    if horizon_days is not None and not 1 <= horizon_days <= lcm.max_horizon_days:
        raise StudyError(
            f"01_churn_survival.horizon_days={horizon_days} is outside the follow-up of {lcm.max_horizon_days} days "
            f"(from observation_start to as_of, less {words.window}); choose a horizon in "
            f"[1, {lcm.max_horizon_days}] or wait for more data"
        )
    counts = lcm.spells(entry="incident", by=[])
    if not len(counts):
        seen = lcm.spell_statuses(entry="incident").groupby("status")["n_customers"].sum()
        why = _why_nobody({str(status): int(n) for status, n in seen.items()}, lcm.study.churn.longest_days, words.key)
        raise DataError(
            f"01_churn_survival: expected {words.followed}; there is none: {why}; or leave the notebook out"
        )
    if not counts.loc[counts["event_observed"], "n"].sum():
        raise DataError(
            f"01_churn_survival: expected {words.lapse}; of {counts['n'].sum():,} {words.start} that can be followed "
            f"none does: nothing can be said about who stays; choose a shorter {words.key}, check observation_start "
            "and as_of, or leave the notebook out"
        )


def _why_nobody(statuses: Mapping[str, int], days: int, key: str) -> str:
    """Return what keeps customers out of the curve, and what brings them in, by the number of customers."""
    late = f"(as_of must lie later, or {key} be shorter)"
    young = f"bought for the first time in the last {days} days, too late to see them fall silent {late}"
    if key == "churn.grace_days":
        young = f"have a contract that began in the last {days} days, too late to see it end {late}"
    reasons = {
        "start_not_seen": f"bought already in the first {days} days, when nobody can tell whether they were new "
        "(if the files hold all purchases ever made, say so with data.history: complete; otherwise observation_start "
        f"must lie earlier, or {key} be shorter)",
        "starts_after_cut": young,
        "known_before": "were customers before observation_start (it must lie earlier)",
        "no_purchase": "never bought (a return is no purchase: see is_return)",
        "no_contract": "have no contract_start (see data.tables.customers.columns)",
    }
    return ", ".join(f"{statuses[status]:,} {reason}" for status, reason in reasons.items() if statuses.get(status))


def _one_window(lcm: Workbench, notebook: str) -> None:
    churn = lcm.study.churn
    if churn.window_days is None:
        said = "churn.kind: contract" if churn.kind == "contract" else "churn.personal_window"
        raise StudyError(
            f"{notebook}: stages need one churn window for all customers (churn.window_days); the study says "
            f"{said}; leave {notebook} out of its notebooks, or choose a fixed window"
        )


def _stages_differ(lcm: Workbench, chosen: Mapping[str, Any], notebook: str = "02_stage_markov") -> None:
    from lcm_research.stages.panel import UNKNOWN, stage_stock

    _one_window(lcm, notebook)
    rules = lcm.stage_rules(chosen.get("scheme", ""))
    scheme = rules.scheme.scheme
    if rules.scheme.unit != "customer":
        raise StudyError(
            f"{notebook}: expected a scheme of customers; '{scheme}' puts communities into stages, and this chapter "
            f"follows customers; choose another stages.scheme, or leave {notebook} out"
        )
    stock = lcm.count(stage_stock, **rules.parameters(), **lcm.periods)
    visited = sorted(set(stock["stage"]) - {UNKNOWN})
    if len(visited) < 2:
        where = f"'{visited[0]}'" if visited else "no known stage"
        raise DataError(
            f"{notebook}: expected customers in at least two stages of '{scheme}'; all are in {where} in every month: "
            "there is no move to count; change stages.thresholds or stages.scheme, widen the observation window, or "
            "leave the notebook out"
        )


CHECKS: Mapping[str, Callable[[Workbench, Mapping[str, Any]], None]] = {
    "01_churn_survival": _someone_lapses,
    "02_stage_markov": _stages_differ,
    "05_stage_multiverse": partial(_stages_differ, notebook="05_stage_multiverse"),
}
