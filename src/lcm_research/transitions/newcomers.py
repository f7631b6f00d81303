"""
From the first purchase to the lapse, along the chain: how long it takes, where the time goes, what is reached.

Everything starts at the end of the month of the first purchase and ends in the stage that declares the lapse. These are
the customers whose first spells a survival curve follows, so both can be held against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, Scale, by_replicate, jackknife
from lcm_research.stages.dwell import CONTACT
from lcm_research.stages.rules import StageRules
from lcm_research.transitions.absorbing import arrivals, interval_or_reason, not_certain
from lcm_research.transitions.fundamental import fundamental_matrix, reach_probability
from lcm_research.transitions.recency import ChainCounts, probabilities

__all__ = [
    "NewcomerOutcomes",
    "Newcomers",
    "WaitingCurve",
    "lapsed_stage",
    "months_in_stages",
    "months_to_lapse",
    "newcomer_outcomes",
    "newcomers",
    "prospect_stages",
    "reached_before_lapse",
    "waiting_curve",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Newcomers:
    """
    Customers at the end of the month of their first purchase, on a chain that ends in the lapse.

    Attributes
    ----------
    chain : ChainCounts
    target : str
        The stage that declares the lapse.
    shares : array of shape (101, n_states)
        Where they are: all, then without each group of customers. Rows sum to 1.
    n : int
        Customers who were seen to arrive.
    """

    chain: ChainCounts
    target: str
    shares: np.ndarray
    n: int

    def matrices(self, final: np.ndarray) -> np.ndarray:
        """Return transition matrices of shape (101, n_states, n_states) with ``final`` absorbing."""
        return probabilities(self.chain.without_each_group(), final, states=self.chain.states)

    def average(self, outcome: Callable[[np.ndarray], np.ndarray], final: np.ndarray) -> np.ndarray:
        """Return an outcome of each state averaged over the newcomers: all, then without each group."""
        return np.array([share @ outcome(P) for share, P in zip(self.shares, self.matrices(final), strict=True)])


@dataclass(frozen=True, kw_only=True, eq=False)
class WaitingCurve:
    """
    Share of customers who have not lapsed by the end of each month.

    Attributes
    ----------
    months : array of shape (n_months + 1,)
        Months after the one of the first purchase; 0 is its end.
    waiting, lower, upper : arrays of float
        With a pointwise interval of ``level``.
    without : array of shape (100, n_months + 1)
        The same without each group of customers.
    n : int
    """

    months: np.ndarray
    waiting: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    without: np.ndarray
    n: int
    level: float


@dataclass(frozen=True, kw_only=True, eq=False)
class NewcomerOutcomes:
    """
    What becomes of newcomers within a horizon.

    Attributes
    ----------
    horizon_months : int
    curve : WaitingCurve
        Share that has not lapsed by the end of each month.
    months : Estimate
        Months until the lapse, at most the horizon.
    in_stages, reached : dict of stage to Estimate
        Month ends in each stage before the lapse; share that is ever found in it before the lapse.
    """

    horizon_months: int
    curve: WaitingCurve
    months: Estimate
    in_stages: Mapping[str, Estimate]
    reached: Mapping[str, Estimate]


def lapsed_stage(rules: StageRules) -> str:
    """Return the stage that declares a lapse; ModelError where a scheme has none, or several."""
    found = [stage for stage in rules.stages if rules.scheme.stages[stage].coarse == "lapsed"]
    if len(found) == 1:
        return found[0]
    came = "none" if not found else ", ".join(found)
    raise ModelError(
        f"the time to a lapse needs a scheme with one stage of lapsed customers; scheme '{rules.scheme.scheme}' has "
        f"{came}; choose another, such as nadc"
    )


def newcomers(chain: ChainCounts, entries: pd.DataFrame, *, rules: StageRules) -> Newcomers:
    """
    Find where on a chain customers are at the end of the month of their first purchase.

    They come out of the stages of prospects, or are seen for the first time. Those who were there in the first month
    already are left out of the start (not of the moves): not all of them are new.

    Parameters
    ----------
    chain : ChainCounts
        From ``recency_chain``; or from ``stage_chain``, to show what comes out where silence is forgotten.
    entries : DataFrame
        As ``entry_counts`` returns it, of the same panel.
    rules : StageRules

    Raises
    ------
    ModelError
        The scheme has no stage of lapsed customers, puts customers before and after their first purchase into one
        stage, or nobody was seen to arrive.
    """
    target = lapsed_stage(rules)
    prospects = prospect_stages(rules)
    here = np.array([chain.stages[place] in prospects for place in chain.stage_of])
    arrived = chain.grouped[:, here][:, :, ~here].sum(axis=1)
    seen = entries[(entries["origin"] == CONTACT) & ~entries["stage"].isin(prospects)]
    if len(seen):
        named = seen.assign(state=[chain.label.get((stage, 0), stage) for stage in seen["stage"]])
        seen = named[named["state"].isin(chain.states)]
        first = by_replicate(seen, ["n"], ["state"], [pd.Index(chain.states)])[..., 0]
        arrived = arrived + first[:, ~here]
    everybody = np.zeros(chain.grouped.shape[:2])
    everybody[:, ~here] = arrived
    total = everybody.sum(axis=0)
    if not total.any():
        raise ModelError(
            "the time from the first purchase to a lapse needs customers whose first purchase was seen after the first "
            "month; came none; start the window earlier, or say in data.history that the history is complete"
        )
    counts = np.concatenate([total[None], total[None] - everybody])
    counts = np.where(counts.sum(axis=1, keepdims=True) > 0, counts, total)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return Newcomers(chain=chain, target=target, shares=shares, n=int(total.sum()))


def prospect_stages(rules: StageRules) -> list[str]:
    """Return the stages of customers without a purchase; ModelError where one of them holds others too."""
    found = []
    for name in rules.stages:
        stage = rules.scheme.stages[name]
        meant = {stage.coarse, *(case.coarse for case in stage.cases)}
        if "prospect" in meant and len(meant) > 1:
            raise ModelError(
                f"scheme '{rules.scheme.scheme}' puts customers before and after their first purchase into the stage "
                f"'{name}', so its chain does not tell when a customer's time begins; choose another, such as nadc"
            )
        if "prospect" in meant:
            found.append(name)
    return found


def newcomer_outcomes(new: Newcomers, *, horizon_months: int, level: float = 0.95) -> NewcomerOutcomes:
    """Return everything that this module tells about newcomers within a horizon."""
    return NewcomerOutcomes(
        horizon_months=horizon_months,
        curve=waiting_curve(new, horizon_months=horizon_months, level=level),
        months=months_to_lapse(new, horizon_months=horizon_months, level=level),
        in_stages=months_in_stages(new, horizon_months=horizon_months, level=level),
        reached=reached_before_lapse(new, horizon_months=horizon_months, level=level),
    )


def months_to_lapse(new: Newcomers, *, horizon_months: int | None, level: float = 0.95) -> Estimate:
    """
    Months that customers go on after the one of their first purchase, until a lapse is declared at a month's end.

    Parameters
    ----------
    new : Newcomers
    horizon_months : int or None
        Months beyond it do not count; None counts all, which holds only if rates stay as they are and customers do
        not differ.
    level : float

    Returns
    -------
    Estimate
        In months, by the jackknife on the log scale.

    Raises
    ------
    ModelError
        Too few customers were seen to lapse; or, without a horizon, not everybody does.
    """
    into = arrivals(new.chain, new.target, horizon_months)
    lost, _ = not_certain(new.chain, into, new.target, horizon_months)
    if (new.shares[0][lost] > 0).any():
        raise ModelError(f"not everybody arrives in '{new.target}' on this chain: ask for a horizon")
    final = into | lost
    values = new.average(lambda P: fundamental_matrix(P, final, horizon_periods=horizon_months).sum(axis=1), into)
    return jackknife(float(values[0]), values[1:], unit="months", n=new.n, scale="log", level=level)


def months_in_stages(new: Newcomers, *, horizon_months: int, level: float = 0.95) -> dict[str, Estimate]:
    """
    Month ends that newcomers are found in each stage before they lapse, within a horizon; they add up to the time.

    Returns
    -------
    dict of stage to Estimate
        In months; stages that newcomers never come to are not there.
    """
    into = arrivals(new.chain, new.target, horizon_months)
    N = np.array([
        share @ fundamental_matrix(P, into, horizon_periods=horizon_months)
        for share, P in zip(new.shares, new.matrices(into), strict=True)
    ])  # fmt: skip
    return _by_stage(new, lambda inside: N[:, inside].sum(axis=1), unit="months", scale="log", level=level)


def reached_before_lapse(new: Newcomers, *, horizon_months: int, level: float = 0.95) -> dict[str, Estimate]:
    """
    Share of newcomers who are found in each stage at some month's end before they lapse, within a horizon.

    Returns
    -------
    dict of stage to Estimate
        A stage that all, or none, come to has no interval to speak of: none are left out, all have one of no width.
    """
    into = arrivals(new.chain, new.target, horizon_months)

    def reached(inside: np.ndarray) -> np.ndarray:
        return new.average(lambda P: reach_probability(P, inside, horizon_periods=horizon_months), inside | into)

    return _by_stage(new, reached, unit="share", scale="logit", level=level)


def _by_stage(
    new: Newcomers, values_of: Callable[[np.ndarray], np.ndarray], *, unit: str, scale: Scale, level: float
) -> dict[str, Estimate]:
    found = {}
    for stage in new.chain.stages:
        if stage == new.target:
            continue
        values = values_of(new.chain.members(stage))
        made = interval_or_reason(float(values[0]), values[1:], unit, new.n, scale, level)
        if isinstance(made, Estimate):
            found[stage] = made
        elif values[0] > 0.5:  # everybody
            found[stage] = Estimate(
                value=1.0, lower=1.0, upper=1.0, unit=unit, n=new.n, level=level, leave_one_out=values[1:]
            )
    return found


def waiting_curve(new: Newcomers, *, horizon_months: int, level: float = 0.95) -> WaitingCurve:
    """
    Share of newcomers whom the chain has not brought to the lapse by the end of each month (first passage).

    Intervals are pointwise, by the jackknife on the logit scale; there is none while nobody can have lapsed.
    """
    into = arrivals(new.chain, new.target, horizon_months)
    matrices, there = new.matrices(into), new.shares
    waiting = np.ones((len(there), horizon_months + 1))
    for month in range(1, horizon_months + 1):
        there = np.einsum("gi,gij->gj", there, matrices)
        waiting[:, month] = 1 - there[:, into].sum(axis=1)
    waiting[waiting > 1 - 1e-12] = 1.0
    lower, upper = waiting[0].copy(), waiting[0].copy()
    for month in range(horizon_months + 1):
        if waiting[0, month] == 1:
            continue
        made = interval_or_reason(float(waiting[0, month]), waiting[1:, month], "share", new.n, "logit", level)
        lower[month], upper[month] = (made.lower, made.upper) if isinstance(made, Estimate) else (0.0, 1.0)
    return WaitingCurve(
        months=np.arange(horizon_months + 1), waiting=waiting[0], lower=lower, upper=upper, without=waiting[1:],
        n=new.n, level=level,
    )  # fmt: skip
