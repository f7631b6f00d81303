"""
Times and probabilities of a chain with stages that end the story: time to churn, time in each stage, first passage.

Each comes restricted to a horizon of k periods, which the data can speak for, or unrestricted, which holds only if
rates stay as they are and customers do not differ. Chains are those of ``recency``: with a clock they are split by
recency before anything is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, Estimate, Scale, jackknife
from lcm_research.transitions.fundamental import can_reach, fundamental_matrix, reach_probability
from lcm_research.transitions.recency import ChainCounts, Start, probabilities

__all__ = [
    "StageOutcomes",
    "arrivals",
    "coming_back",
    "first_passage",
    "interval_or_reason",
    "not_certain",
    "outcomes_by_stage",
    "reaching",
    "time_in_stages",
    "time_to",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class StageOutcomes:
    """
    A time or a probability for customers who start in each stage.

    Attributes
    ----------
    outcome : str
        What is told, in the words of the function that made it.
    target : str
        The stage it is about.
    horizon_periods : int or None
        None holds only if rates stay as they are and customers do not differ.
    start : {"entry", "stock"}
        Customers who enter a stage, or who are found in it.
    estimates : mapping of stage to Estimate
    reasons : mapping of stage to str
        Why a stage has none.
    """

    outcome: str
    target: str
    horizon_periods: int | None
    start: Start
    estimates: Mapping[str, Estimate]
    reasons: Mapping[str, str]

    def table(self) -> pd.DataFrame:
        """Return one row a stage: from, value, lower, upper, n, reason (why there is no value)."""
        rows = [(stage, e.value, e.lower, e.upper, e.n, "") for stage, e in self.estimates.items()]
        rows += [(stage, np.nan, np.nan, np.nan, 0, reason) for stage, reason in self.reasons.items()]
        return pd.DataFrame(rows, columns=["from", "value", "lower", "upper", "n", "reason"])


def time_to(
    chain: ChainCounts,
    *,
    target: str,
    horizon_periods: int | None,
    start: Start,
    n_customers: Mapping[str, int] | None = None,
    level: float = 0.95,
) -> StageOutcomes:
    """
    Expected periods until customers first arrive in a stage, at most ``horizon_periods`` of them.

    Parameters
    ----------
    chain : ChainCounts
    target : str
        Where the time ends, whether or not customers come back from there.
    horizon_periods : int or None
        Restricted to the first k periods, or not at all: then a stage from which arrival is not certain has a reason
        in place of a time.
    start : {"entry", "stock"}
    n_customers : mapping of stage to int, optional
        Customers behind each stage; without it customer-periods are told.
    level : float

    Returns
    -------
    StageOutcomes
        Intervals by the jackknife on the log scale.

    Raises
    ------
    ModelError
        Nobody was ever seen to arrive, fewer than 20 groups of customers did, or the horizon is not positive.
    """
    into = arrivals(chain, target, horizon_periods)

    def periods(P: np.ndarray) -> np.ndarray:
        return fundamental_matrix(P, into | lost, horizon_periods=horizon_periods).sum(axis=1)

    lost, uncertain = not_certain(chain, into, target, horizon_periods)
    found, reasons = outcomes_by_stage(
        chain, periods, final=into, start=start, unit="periods", scale="log", n_customers=n_customers, level=level,
        skip=uncertain,
    )  # fmt: skip
    return StageOutcomes(
        outcome="time to", target=target, horizon_periods=horizon_periods, start=start, estimates=found, reasons=reasons
    )


def reaching(
    chain: ChainCounts,
    *,
    target: str,
    horizon_periods: int | None,
    start: Start,
    before: Sequence[str] = (),
    n_customers: Mapping[str, int] | None = None,
    level: float = 0.95,
) -> StageOutcomes:
    """
    Probability of ever arriving in a stage, or within ``horizon_periods``.

    Parameters
    ----------
    chain, target, horizon_periods, start, n_customers, level
        As in ``time_to``.
    before : list of str
        Stages that end the story: arriving in the target counts only before any of them.

    Returns
    -------
    StageOutcomes
        Intervals by the jackknife on the logit scale; a probability of 0 or 1 has a reason in place of one.
    """
    into = arrivals(chain, target, horizon_periods)
    ended = np.zeros(len(chain.states), dtype=bool)
    for stage in before:
        ended |= chain.members(stage)

    def arrives(P: np.ndarray) -> np.ndarray:
        return reach_probability(P, into, horizon_periods=horizon_periods)

    found, reasons = outcomes_by_stage(
        chain, arrives, final=into | ended, start=start, unit="probability", scale="logit", n_customers=n_customers,
        level=level,
    )  # fmt: skip
    return StageOutcomes(
        outcome="reaching", target=target, horizon_periods=horizon_periods, start=start, estimates=found,
        reasons=reasons,
    )  # fmt: skip


def time_in_stages(
    chain: ChainCounts,
    *,
    target: str,
    horizon_periods: int | None,
    start: Start,
    n_customers: Mapping[str, int] | None = None,
    level: float = 0.95,
) -> dict[str, StageOutcomes]:
    """
    Expected periods in each stage before ``target``, by the stage at the start; parameters as in ``time_to``.

    Returns
    -------
    dict of stage to StageOutcomes
        The stage in which the time is spent; over them the times add up to ``time_to``.
    """
    into = arrivals(chain, target, horizon_periods)
    lost, uncertain = not_certain(chain, into, target, horizon_periods)
    made = {}
    for stage in chain.stages:
        if stage == target:
            continue
        inside = chain.members(stage)

        def periods(P: np.ndarray, inside: np.ndarray = inside) -> np.ndarray:
            return fundamental_matrix(P, into | lost, horizon_periods=horizon_periods)[:, inside].sum(axis=1)

        found, reasons = outcomes_by_stage(
            chain, periods, final=into, start=start, unit="periods", scale="log", n_customers=n_customers,
            level=level, skip=uncertain,
        )  # fmt: skip
        made[stage] = StageOutcomes(
            outcome=f"time in {stage}", target=target, horizon_periods=horizon_periods, start=start, estimates=found,
            reasons=reasons,
        )  # fmt: skip
    return made


def coming_back(
    chain: ChainCounts,
    *,
    stages: Sequence[str],
    final: Sequence[str],
    horizon_periods: int,
    start: Start,
    n_customers: Mapping[str, int] | None = None,
    level: float = 0.95,
) -> StageOutcomes:
    """
    Probability of leaving some stages (at risk) for any but ``final`` ones (lapsed) within a horizon.

    Parameters
    ----------
    chain, horizon_periods, start, n_customers, level
        As in ``time_to``.
    stages : list of str
        Those that customers come back from; going from one of them to another is no way back.
    final : list of str
        Where there is no way back from.

    Returns
    -------
    StageOutcomes
        For each of ``stages`` that somebody was in; intervals by the jackknife on the logit scale.
    """
    away = np.zeros(len(chain.states), dtype=bool)
    ended = away.copy()
    for stage in stages:
        away |= chain.members(stage) if stage in chain.stages else False
    for stage in final:
        ended |= chain.members(stage)
    back = ~(away | ended)

    def returns(P: np.ndarray) -> np.ndarray:
        return reach_probability(P, back, horizon_periods=horizon_periods)

    found, reasons = outcomes_by_stage(
        chain, returns, final=back | ended, start=start, unit="probability", scale="logit", n_customers=n_customers,
        level=level,
    )  # fmt: skip
    return StageOutcomes(
        outcome="coming back", target=final[0], horizon_periods=horizon_periods, start=start, estimates=found,
        reasons=reasons,
    )  # fmt: skip


def first_passage(
    chain: ChainCounts, *, origin: str, target: str, horizon_periods: int, start: Start, level: float = 0.95
) -> pd.DataFrame:
    """
    When customers of one stage first arrive in another, period by period.

    Returns
    -------
    DataFrame
        period (1 to the horizon), probability (of arriving in that very period), cumulative (by its end) with lower
        and upper, pointwise by the jackknife on the logit scale; missing while nobody can have arrived.
    """
    into = arrivals(chain, target, horizon_periods)
    if origin == target:
        raise ModelError(f"first passage from '{origin}' to itself takes no time; choose another target")
    place = chain.stages.index(origin) if chain.members(origin).any() else 0
    counts = chain.without_each_group()
    matrices = probabilities(counts, into, states=chain.states)
    there = np.array([chain.start_shares(each, start)[place] for each in counts])
    cumulative = np.zeros((len(counts), horizon_periods + 1))
    for k in range(1, horizon_periods + 1):
        there = np.einsum("gi,gij->gj", there, matrices)
        cumulative[:, k] = there[:, into].sum(axis=1)
    rows = []
    for k in range(1, horizon_periods + 1):
        found = interval_or_reason(cumulative[0, k], cumulative[1:, k], "probability", 0, "logit", level)
        ends = (found.lower, found.upper) if isinstance(found, Estimate) else (np.nan, np.nan)
        rows.append((k, cumulative[0, k] - cumulative[0, k - 1], cumulative[0, k], *ends))
    return pd.DataFrame(rows, columns=["period", "probability", "cumulative", "lower", "upper"])


def outcomes_by_stage(
    chain: ChainCounts,
    outcome: Callable[[np.ndarray], np.ndarray],
    *,
    final: np.ndarray,
    start: Start,
    unit: str,
    scale: Scale,
    n_customers: Mapping[str, int] | None,
    level: float,
    skip: Mapping[str, str] | None = None,
) -> tuple[dict[str, Estimate], dict[str, str]]:
    """Average an outcome of each state over each stage's states at the start, with and without each group."""
    counts = chain.without_each_group()
    matrices = probabilities(counts, final, states=chain.states)
    skipped = dict(skip or {})
    kept = [place for place, stage in enumerate(chain.stages) if stage not in skipped and not _all(chain, place, final)]
    shares = np.array([chain.start_shares(each, start) for each in counts])
    values = np.array([share @ _solved(outcome, P) for share, P in zip(shares, matrices, strict=True)])
    found: dict[str, Estimate] = {}
    for place in kept:
        stage = chain.stages[place]
        inside = chain.stage_of == place
        n = int(counts[0, inside].sum()) if n_customers is None else int(n_customers.get(stage, 0))
        made = interval_or_reason(values[0, place], values[1:, place], unit, n, scale, level)
        if isinstance(made, Estimate):
            found[stage] = made
        else:
            skipped[stage] = made
    return found, skipped


def _solved(outcome: Callable[[np.ndarray], np.ndarray], P: np.ndarray) -> np.ndarray:
    """Return an outcome, missing where without a group of customers there is no way out of some state."""
    try:
        return outcome(P)
    except np.linalg.LinAlgError:
        return np.full(len(P), np.nan)


def _all(chain: ChainCounts, place: int, final: np.ndarray) -> bool:
    return bool(final[chain.stage_of == place].all())


def interval_or_reason(
    value: float, without: np.ndarray, unit: str, n: int, scale: Scale, level: float
) -> Estimate | str:
    """Return the estimate by the jackknife, or why there is none."""
    if value <= 0 and scale in ("log", "logit"):
        return "never happens from here"
    if scale == "logit" and value >= 1 - 1e-12:
        return "always happens from here"
    try:
        return jackknife(float(value), without, unit=unit, n=n, scale=scale, level=level)
    except ModelError:
        return "rests on one group of customers"


def arrivals(chain: ChainCounts, target: str, horizon_periods: int | None) -> np.ndarray:
    """Return the states of a stage to arrive in, after checking that enough customers did."""
    if horizon_periods is not None and horizon_periods < 1:
        raise ModelError(f"horizon_periods={horizon_periods} is no horizon; choose 1 or more, or None for no end")
    into = chain.members(target)
    arrived = chain.grouped[:, ~into][:, :, into].sum(axis=(1, 2))
    groups = int((arrived > 0).sum())
    if groups < FEW_GROUPS:
        raise ModelError(
            f"arrivals in '{target}' were seen in {groups} groups of customers, fewer than {FEW_GROUPS}; ask for "
            "another stage or wait for more periods"
        )
    return into


def not_certain(
    chain: ChainCounts, into: np.ndarray, target: str, horizon_periods: int | None
) -> tuple[np.ndarray, dict[str, str]]:
    """Return the states from which the target may never be reached, and the stages that hold one, with the reason."""
    P = probabilities(chain.without_each_group()[:1], into, states=chain.states)[0]
    if horizon_periods is not None:
        return np.zeros(len(P), dtype=bool), {}
    member = connected_components(P > 0, directed=True, connection="strong")[1]
    closed = [not P[np.ix_(member == member[i], member != member[i])].any() for i in range(len(P))]
    lost = can_reach(P, np.array(closed) & ~into) & ~into
    reason = f"not everybody from here ever arrives in '{target}': ask for a horizon"
    return lost, {stage: reason for place, stage in enumerate(chain.stages) if lost[chain.stage_of == place].any()}
