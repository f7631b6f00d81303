"""
Rates of moving between stages, in continuous time, from stages that are read at the ends of months.

Which moves happen directly and which pass through another stage within a month is read off the moves seen; then
``panel_intensities`` fits their rates. Whether customers are where the rates expect them is asked in ``prevalence``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import logm

from lcm_research.data.segments import natural_order
from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, Scale, jackknife
from lcm_research.transitions.continuous import (
    absorbing_stages,
    passage_probability,
    sojourn_time,
    total_length_of_stay,
)
from lcm_research.transitions.intensities_panel import (
    FitComparison,
    PanelIntensities,
    compare_fits,
    panel_intensities,
    stage_table,
)

__all__ = [
    "MovingRates",
    "direct_moves",
    "largest_groups",
    "moving_rates",
    "rate_ratios",
    "rates_over_time",
    "time_in_stages",
]

MONTHLY = "per month"
OTHER_GROUP = "other group"

LEAST_DIRECT = 0.01
"""Share of the moves out of a stage below which a move is not told from none."""

MOST_DROPPED = 3
"""Moves that may be taken for indirect after all, where month ends do not tell their rates."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MovingRates:
    """
    Constant rates of the direct moves between stages.

    Attributes
    ----------
    fit : PanelIntensities
        Per month; its stages are those that somebody was in.
    through_others : tuple of (from, to)
        Moves seen from one month end to the next that are taken to pass through another stage in between.
    """

    fit: PanelIntensities
    through_others: tuple[tuple[str, str], ...]

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that somebody was in, in the scheme's order."""
        return self.fit.names.stages

    @property
    def moves(self) -> tuple[tuple[str, str], ...]:
        """The direct moves."""
        return self.fit.names.moves

    def rate(self, from_stage: str, to_stage: str, *, n: int) -> Estimate:
        """Return the rate of a direct move a month; ``n`` customers were ever in the stage it leads out of."""
        i, j = self.stages.index(from_stage), self.stages.index(to_stage)
        return _with_n(self.fit.quantity(lambda rates: rates[i, j], scale="log", unit=MONTHLY), n)

    def mean_stay(self, stage: str, *, n: int) -> Estimate:
        """Return the mean length of one stay in a stage, in months; ModelError where nobody leaves it."""
        i = self.stages.index(stage)
        if absorbing_stages(self.fit.intensity())[i]:
            raise ModelError(f"nobody was seen leaving '{stage}', so a stay in it has no mean length; ask for another")
        return _with_n(self.fit.quantity(lambda rates: sojourn_time(rates)[i], scale="log", unit="months"), n)


def direct_moves(counts: pd.DataFrame, *, stages: Sequence[str]) -> list[tuple[str, str]]:
    """
    Return which moves happen directly, without another stage in between, judged by the moves seen.

    From month end to month end any stage may follow that several moves lead to. The matrix logarithm of the monthly
    probabilities undoes that; a move is direct if its entry in it is positive and no less than one in a hundred of
    the moves out of its stage (Israel, Rosenthal and Wei 2001, Mathematical Finance 11:245).

    Parameters
    ----------
    counts : DataFrame
        from_stage, to_stage (a month later), n.
    stages : list of str
        Those that somebody was in.

    Returns
    -------
    list of (from, to)
        The largest entry first.
    """
    seen = stage_table(counts, stages=stages).to_numpy(float)
    total = seen.sum(axis=1, keepdims=True)
    monthly = np.where(total > 0, seen / np.where(total > 0, total, 1.0), np.eye(len(seen)))
    with warnings.catch_warnings():
        # a stage that everybody leaves within a month has no logarithm: next to nobody stays instead
        warnings.simplefilter("ignore")
        found = np.real(logm((1 - 1e-9) * monthly + 1e-9 * np.eye(len(seen))))
    leaving = -np.minimum(np.diag(found), 0.0)[:, None]
    direct = (found > LEAST_DIRECT * leaving) & (seen > 0) & ~np.eye(len(seen), dtype=bool)
    pairs = sorted(zip(*np.nonzero(direct), strict=True), key=lambda pair: -found[pair])
    return [(stages[i], stages[j]) for i, j in pairs]


def moving_rates(counts: pd.DataFrame, *, stages: Sequence[str], level: float) -> MovingRates:
    """
    Fit constant rates of moving to stages read at month ends.

    Parameters
    ----------
    counts : DataFrame
        As ``transition_counts`` returns them; periods and segments are summed over.
    stages : list of str
        Of the scheme, in its order; those that nobody was in are left out.
    level : float

    Raises
    ------
    ModelError
        Nobody moved, or stages at month ends do not tell the rates, as where everybody leaves a stage within a month.
    """
    pairs = _pooled(counts, [])
    visited = [stage for stage in stages if ((pairs["from_stage"] == stage) | (pairs["to_stage"] == stage)).any()]
    moves = direct_moves(pairs, stages=visited) if visited else []
    if not moves:
        raise ModelError(f"nobody moved between the stages {', '.join(visited) or 'of the scheme'}; wait for more data")
    fit = _fitted(pairs, visited, moves, level)
    happened = stage_table(pairs, stages=visited).to_numpy()
    seen = [(visited[i], visited[j]) for i, j in zip(*np.nonzero(happened), strict=True) if i != j]
    return MovingRates(fit=fit, through_others=tuple(move for move in seen if move not in fit.names.moves))


def rate_ratios(
    counts: pd.DataFrame, rates: MovingRates, *, segment: str, groups: tuple[str, str]
) -> dict[tuple[str, str], Estimate]:
    """
    Return by what the rate of each move differs between two groups of customers.

    Parameters
    ----------
    counts : DataFrame
        As ``transition_counts`` returns them ``by`` the segment.
    rates : MovingRates
        Of all customers: which moves are direct.
    segment : str
    groups : tuple of str
        The one that is the denominator, and the one held against it; others are left out.

    Returns
    -------
    mapping of (from, to) to Estimate
        Ratios of rates (hazard ratios); a move that is direct in one group only is left out.
    """
    known = set(counts[segment])
    for group in groups:
        if group not in known:
            raise ModelError(f"no moves of the group '{group}' of '{segment}'; there are {', '.join(sorted(known))}")
    own = counts[counts[segment].isin(groups)]
    own = own.assign(**{OTHER_GROUP: (own[segment] == groups[1]).astype(float)})
    pairs = _pooled(own, [OTHER_GROUP])
    moves = _direct_in_both(pairs, rates, OTHER_GROUP)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # moves that the data do not tell are left out below
        found = _panel(pairs, rates, moves, covariates=[OTHER_GROUP])
    return found.hazard_ratios(OTHER_GROUP)


def rates_over_time(counts: pd.DataFrame, rates: MovingRates) -> tuple[str, FitComparison]:
    """
    Test that the rates are the same before and after the middle of the months.

    Moves out of a stage that nobody was in in one of the halves, and moves that are direct in one of them only, are
    left out, for they cannot be compared.

    Parameters
    ----------
    counts : DataFrame
        As ``transition_counts`` returns them; months are summed within each half before anything is fitted.
    rates : MovingRates
        Of the same counts.

    Returns
    -------
    str
        ``period_start`` of the first month of the second half.
    FitComparison
    """
    months = sorted(set(counts["period_start"]))
    if len(months) < 2:
        raise ModelError(f"rates before and after a month need moves in 2 months or more; came {len(months)}")
    change = months[len(months) // 2]
    halves = counts.assign(start=(counts["period_start"] >= change).astype(float))
    in_both = halves.groupby("from_stage")["start"].nunique() == 2
    pairs = _pooled(halves[halves["from_stage"].map(in_both)], ["start"])
    moves = _direct_in_both(pairs, rates, "start")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a move of one half only is held at its limit
        return change, compare_fits(_panel(pairs, rates, moves), _panel(pairs, rates, moves, change_times=[1.0]))


def largest_groups(customers: pd.DataFrame, *, segment: str, fewest: int) -> tuple[str, str]:
    """
    Return the two groups of a segment with most customers, the larger one first.

    Parameters
    ----------
    customers : DataFrame
        As ``customers_by_move`` returns them ``by`` the segment; a customer counts in every stage they were in.
    segment : str
    fewest : int
        Customers asked for in some stage; ModelError where fewer than two groups have them.
    """
    sizes = customers.groupby([segment, "from_stage", "to_stage"])["n_customers"].sum().groupby(segment).max()
    order = sizes.reindex(natural_order(sizes.index)).sort_values(ascending=False, kind="stable")
    if len(order) < 2 or order.iloc[1] < fewest:
        second = int(order.iloc[1]) if len(order) > 1 else 0
        raise ModelError(
            f"comparing rates by '{segment}' needs two groups of {fewest} customers or more; the second largest has "
            f"{second}; choose another segment"
        )
    return str(order.index[0]), str(order.index[1])


def time_in_stages(
    rates: MovingRates, *, horizon_months: float, target: str | None, customers: Mapping[str, int]
) -> pd.DataFrame:
    """
    Return what the rates say about time: one stay, all stays within a horizon, and reaching a stage within it.

    Parameters
    ----------
    rates : MovingRates
    horizon_months : float
        Months ahead.
    target : str or None
        The stage whose first passage is asked for.
    customers : mapping of stage to int
        Different customers who were ever in it.

    Returns
    -------
    DataFrame
        stage, stay_months (mean length of one stay), months_ahead (expected months in the stage, over all visits,
        within the horizon, of customers who are in it), reaches (probability of having been in the target by then),
        n_customers. Estimates; None where a number has no uncertainty, such as the time in a stage nobody leaves.
    """
    if not horizon_months > 0:
        raise ModelError(f"horizon_months={horizon_months:g} is no horizon; choose more than 0")
    fit, size = rates.fit, len(rates.stages)
    if fit.without is None:
        raise ModelError("times need the spread between groups of customers; fit with intervals='replicate'")
    place = rates.stages.index(target) if target in rates.stages else None

    def numbers(coefficients: np.ndarray) -> np.ndarray:
        intensity = fit.names.matrix(np.exp(coefficients[:, 0]))
        ahead = np.diag(total_length_of_stay(intensity, horizon=horizon_months))
        reached = np.ones(size) if place is None else passage_probability(intensity, place, time=horizon_months)
        return np.stack([sojourn_time(intensity), ahead, reached])

    value, without = numbers(fit.coefficients), np.stack([numbers(left) for left in fit.without])
    stays = ~absorbing_stages(fit.intensity())
    moving = [stays, stays, (value[2] > 0) & (value[2] < 1 - 1e-12)]
    scales: tuple[tuple[Scale, str], ...] = (("log", "months"), ("log", "months"), ("logit", "probability"))
    rows: list[tuple[object, ...]] = []
    for s, stage in enumerate(rates.stages):
        n = int(customers.get(stage, 0))
        row = [
            jackknife(value[k, s], without[:, k, s], unit=unit, n=n, scale=scale, level=fit.level)
            if moving[k][s]
            else None
            for k, (scale, unit) in enumerate(scales)
        ]
        rows.append((stage, *row, n))
    columns = ["stage", "stay_months", "months_ahead", "reaches", "n_customers"]
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    return table.drop(columns="reaches") if place is None else table


def _fitted(
    pairs: pd.DataFrame, stages: Sequence[str], moves: Sequence[tuple[str, str]], level: float
) -> PanelIntensities:
    """Fit the rates of moves in the order of ``direct_moves``; where they are not told, without the last few."""
    refused = None
    for dropped in range(min(MOST_DROPPED, len(moves) - 1) + 1):
        kept = [move for move in _in_order(stages) if move in moves[: len(moves) - dropped]]
        try:
            return panel_intensities(pairs, stages=stages, moves=kept, unit=MONTHLY, intervals="replicate", level=level)
        except ModelError as reason:
            refused = refused or reason
    raise ModelError(str(refused)) from refused


def _in_order(stages: Sequence[str]) -> list[tuple[str, str]]:
    return [(a, b) for a in stages for b in stages if a != b]


def _direct_in_both(pairs: pd.DataFrame, rates: MovingRates, key: str) -> list[tuple[str, str]]:
    """Return the moves of ``rates`` that are direct for either value of a key."""
    found = [set(direct_moves(own, stages=rates.stages)) for _, own in pairs.groupby(key)]
    return [move for move in rates.moves if all(move in own for own in found)]


def _panel(pairs: pd.DataFrame, rates: MovingRates, moves: Sequence[tuple[str, str]], **more: Any) -> PanelIntensities:
    """Fit some moves of the same stages at the same level."""
    return panel_intensities(
        pairs, stages=rates.stages, moves=moves, unit=MONTHLY, intervals="replicate", level=rates.fit.level, **more
    )


def _pooled(counts: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Sum counts over everything but the moves, the groups of customers and some keys; looks are a month apart."""
    pooled = counts.groupby(["from_stage", "to_stage", *keys, "replicate"], as_index=False)["n"].sum()
    return pooled.assign(interval=1.0)


def _with_n(found: Estimate, n: int) -> Estimate:
    return replace(found, n=int(n))
