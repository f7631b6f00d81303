"""
Forecast of the stage mix some periods ahead, for a population that new customers enter.

The stock of the last period is moved on by the transition matrix and joined by new customers. Three things make a
forecast uncertain: the matrix is estimated from some customers, each customer moves by chance, and periods differ
from each other in ways that no customer in the data can tell. The last is the largest and is measured on periods
that were held out; without it intervals cover two times in five.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, Estimate, by_replicate, jackknife, leave_one_out
from lcm_research.transitions.chain import stationary_distribution

__all__ = ["FlowCounts", "Projection", "Season", "balanced_mix", "closed_mix", "flow_counts", "project", "settled_from"]

Season = Literal["none", "calendar_month"]

TINY = 1e-12
"""A share within so much of 0 or 1 is there by definition, and has no interval."""

ROUNDS = 2
"""Times that each calendar month must have been seen before it gets a matrix of its own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowCounts:
    """
    Moves and entries by period and group of customers.

    Attributes
    ----------
    stages : tuple of str
    periods : tuple of str
        First day of each period, all of them, in order.
    moves : array of float, shape (n_periods, 100, n_stages, n_stages)
        Within each period, from the end of the one before.
    entries : array of float, shape (n_periods, 100, n_stages)
        Customers whose stage is known for the first time at the end of the period.
    """

    stages: tuple[str, ...]
    periods: tuple[str, ...]
    moves: np.ndarray
    entries: np.ndarray

    def stock(self, period: int) -> np.ndarray:
        """Return the customers in each stage at the end of a period, shape (100, n_stages)."""
        return self.moves[period].sum(axis=1) + self.entries[period]

    def until(self, period: int) -> FlowCounts:
        """Return what was known at the end of a period."""
        kept = slice(0, period + 1)
        return FlowCounts(
            stages=self.stages, periods=self.periods[kept], moves=self.moves[kept], entries=self.entries[kept]
        )

    def since(self, period_start: str) -> FlowCounts:
        """Return the flows after a period, with its stock at their beginning; ModelError where fewer than 3 remain."""
        first = next((t for t, period in enumerate(self.periods) if period >= period_start), len(self.periods))
        if len(self.periods) - first < 3:
            raise ModelError(
                f"a forecast needs moves within two periods at least; from {period_start} on there are "
                f"{max(len(self.periods) - first - 1, 0)}"
            )
        kept = slice(first, None)
        return FlowCounts(
            stages=self.stages, periods=self.periods[kept], moves=self.moves[kept], entries=self.entries[kept]
        )

    @property
    def calendar_months(self) -> np.ndarray:
        """Calendar month (1 to 12) of each period."""
        return np.array([int(period[5:7]) for period in self.periods])


def flow_counts(counts: pd.DataFrame, entries: pd.DataFrame, *, stages: Sequence[str]) -> FlowCounts:
    """
    Arrange moves and entries by period.

    Parameters
    ----------
    counts : DataFrame
        As ``transition_counts`` returns them.
    entries : DataFrame
        As ``entry_counts`` returns them, of the same panel; those of the first period are its stock.
    stages : list of str

    Raises
    ------
    ModelError
        There are fewer than three periods, or a period in between holds nobody.
    """
    named = sorted(set(counts["period_start"]) | set(entries["period_start"]))
    if len(named) < 3:
        raise ModelError(f"a forecast needs moves within two periods at least; came {max(len(named) - 1, 0)}")
    missing = sorted(set(map(str, pd.period_range(named[0], named[-1], freq="M"))) - {name[:7] for name in named})
    if missing:
        raise ModelError(f"nobody was counted in {missing[0]}, though before and after; look for a gap in the data")
    periods, levels = pd.Index(named), pd.Index(list(stages))
    moved = by_replicate(counts, ["n"], ["period_start", "from_stage", "to_stage"], [periods, levels, levels])[..., 0]
    entered = by_replicate(entries, ["n"], ["period_start", "stage"], [periods, levels])[..., 0]
    made = FlowCounts(
        stages=tuple(stages),
        periods=tuple(named),
        moves=moved.transpose(1, 0, 2, 3),
        entries=entered.transpose(1, 0, 2),
    )
    before = np.array([made.stock(t).sum() for t in range(len(named) - 1)])
    gone = before - made.moves[1:].sum(axis=(1, 2, 3))
    if (gone != 0).any():
        t = int(np.argmax(gone != 0))
        raise ModelError(
            f"{before[t]:.0f} customers were there at the end of {named[t]}, and {before[t] - gone[t]:.0f} moved or "
            "stayed in the next period; moves and entries must come from the same panel with the same choices"
        )
    return made


def settled_from(flows: FlowCounts, *, observation_start_day: int, window_days: int) -> str:
    """
    Return the first period that ends a whole churn window after observation began.

    Before it nobody could be seen lapsing, and who was there all along becomes known in one lot: neither happens again.

    Raises
    ------
    ModelError
        No period ends so late.
    """
    for period in flows.periods:
        end = pd.Period(period[:7], freq="M").end_time.normalize()
        if (end - pd.Timestamp("1970-01-01")).days >= observation_start_day + window_days - 1:
            return period
    raise ModelError(
        f"a forecast starts once a whole churn window of {window_days} days was observed; the last period, "
        f"{flows.periods[-1]}, ends earlier; wait for more data"
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """
    The expected mix of stages in each of the next periods, with the part of its variance that customers tell.

    Attributes
    ----------
    share : array of shape (horizon, n_stages)
        Of customers with a known stage; rows sum to 1.
    n : array of shape (horizon,)
        Expected customers.
    replicate_variance, binomial_variance : arrays of shape (horizon, n_stages)
        Of the shares: from the matrix being estimated, and from each customer moving by chance.
    season : str
        What was done about the calendar.
    """

    share: np.ndarray
    n: np.ndarray
    replicate_variance: np.ndarray
    binomial_variance: np.ndarray
    season: str


def project(flows: FlowCounts, *, horizon_periods: int, season: Season, train_periods: int | None = None) -> Projection:
    """
    Move the stock of the last period on by ``horizon_periods`` and let new customers in.

    Parameters
    ----------
    flows : FlowCounts
    horizon_periods : int
    season : {"none", "calendar_month"}
        One matrix and one number of entries for all periods, or one for each calendar month ahead, which needs each
        of them twice at least.
    train_periods : int, optional
        Use the last so many periods only; without it all.

    Raises
    ------
    ModelError
        A calendar month ahead was seen fewer than two times, or customers are in a stage that nobody was seen leaving.
    """
    if horizon_periods < 1:
        raise ModelError(f"horizon_periods={horizon_periods} is no horizon; choose 1 or more")
    first = 1 if train_periods is None else max(1, len(flows.periods) - train_periods)
    months = [_next_month(flows.periods[-1], k) for k in range(1, horizon_periods + 1)]
    matrices, entering = _ingredients(flows, first, months, season)
    stock = flows.stock(len(flows.periods) - 1).sum(axis=0)
    lived = np.broadcast_to(stock, (N_GROUPS + 1, len(stock)))
    shares, sizes, binomial = [], [], []
    # chance is where each customer of the start, or who enters later, is by then
    moved = np.eye(len(stock))
    arrived: list[tuple[float, np.ndarray]] = []
    for k in range(horizon_periods):
        P, new = matrices[:, k], entering[:, k]
        lived = np.einsum("gi,gij->gj", lived, P) + new
        moved = moved @ P[0]
        arrived = [(n, where @ P[0]) for n, where in arrived]
        if new[0].sum():
            arrived.append((float(new[0].sum()), new[0] / new[0].sum()))
        total = lived.sum(axis=1, keepdims=True)
        shares.append(lived / total)
        sizes.append(float(total[0, 0]))
        chance = (stock[:, None] * moved * (1 - moved)).sum(axis=0)
        chance = chance + sum((n * where * (1 - where) for n, where in arrived), np.zeros(len(stock)))
        binomial.append(chance / total[0, 0] ** 2)
    share = np.stack(shares)
    return Projection(
        share=share[:, 0],
        n=np.array(sizes),
        replicate_variance=(N_GROUPS - 1) / N_GROUPS * ((share[:, 1:] - share[:, :1]) ** 2).sum(axis=1),
        binomial_variance=np.stack(binomial),
        season="in the model: each calendar month has its own matrix"
        if season == "calendar_month"
        else _missing(flows),
    )


def balanced_mix(flows: FlowCounts, *, level: float = 0.95) -> dict[str, Estimate]:
    r"""
    The mix of stages that stays as it is while new customers keep coming at the same share and in the same stages.

    The stationary distribution of an open population: :math:`\pi = (1-e)\,\pi P + e\,a` with ``e`` the share of
    customers who are new in a period and ``a`` the stages they come in. Without entries it is that of the chain.

    Parameters
    ----------
    flows : FlowCounts
    level : float

    Returns
    -------
    dict of stage to Estimate
        By the jackknife on the logit scale; stages with a share of 0 are left out.

    Raises
    ------
    ModelError
        Nobody came in after the first period (use ``closed_mix``), or customers of fewer than 20 groups did.
    """
    moved, new = flows.moves[1:].sum(axis=0), flows.entries[1:].sum(axis=0)
    n_came = int((new.sum(axis=1) > 0).sum())
    if not n_came:
        raise ModelError("nobody came in after the first period; the mix of a closed population is its chain's own")
    if n_came < FEW_GROUPS:
        raise ModelError(
            f"expected newcomers in {FEW_GROUPS} of the 100 groups of customers; came {n_came}: too few to say where "
            "the mix would settle; ask over more periods"
        )
    grouped = np.concatenate([moved, new[:, None, :]], axis=1)
    value, without = leave_one_out(grouped, _balance)
    return _mix(flows, value, without, level)


def closed_mix(flows: FlowCounts, *, level: float = 0.95) -> dict[str, Estimate]:
    """
    The mix of stages that stays as it is when nobody new comes: the stationary distribution of the chain.

    Parameters
    ----------
    flows : FlowCounts
    level : float

    Returns
    -------
    dict of stage to Estimate
        By the jackknife on the logit scale; stages with a share of 0 are left out.

    Raises
    ------
    ModelError
        Customers end in one of several groups of stages, depending on where they start.
    """
    moved = flows.moves[1:].sum(axis=0)
    total = moved.sum(axis=0)
    visited = (total.sum(axis=0) + total.sum(axis=1)) > 0
    stages = [stage for stage, there in zip(flows.stages, visited, strict=True) if there]
    whole = _probability(total)

    def settle(counts: np.ndarray) -> np.ndarray:
        # a row that only the group left out had filled stays as it was
        P = np.where(counts.sum(axis=1, keepdims=True) > 0, _probability(counts), whole)
        mix = np.zeros(len(visited))
        mix[visited] = stationary_distribution(P[np.ix_(visited, visited)], stages=stages)
        return mix

    return _mix(flows, *leave_one_out(moved, settle), level)


def _mix(flows: FlowCounts, value: np.ndarray, without: np.ndarray, level: float) -> dict[str, Estimate]:
    """Return the shares that are neither 0 nor 1, with intervals."""
    n = int(flows.stock(len(flows.periods) - 1).sum())
    inner = (value > TINY) & (value < 1 - TINY) & ((without > TINY) & (without < 1 - TINY)).all(axis=0)
    return {
        flows.stages[j]: jackknife(value[j], without[:, j], unit="share", n=n, scale="logit", level=level)
        for j in np.flatnonzero(inner)
    }


def _probability(moves: np.ndarray) -> np.ndarray:
    """Return the matrix of probabilities; whoever comes into a stage that nobody was seen leaving stays."""
    rows = moves.sum(axis=1, keepdims=True)
    return np.where(rows > 0, moves / np.where(rows > 0, rows, 1.0), np.eye(len(moves)))


def _balance(counts: np.ndarray) -> np.ndarray:
    """Solve for the mix from moves and, in the last row, entries."""
    moves, new = counts[:-1], counts[-1]
    P = _probability(moves)
    share = new.sum() / counts.sum()
    return np.linalg.solve((np.eye(len(P)) - (1 - share) * P).T, share * new / new.sum())


def _ingredients(flows: FlowCounts, first: int, months: Sequence[int], season: Season) -> tuple[np.ndarray, np.ndarray]:
    """Return matrices and entries by period ahead, of all and without each group: (101, horizon, n_stages, ...)."""
    used = np.arange(first, len(flows.periods))
    seen = flows.calendar_months[used]
    matrices, entering = [], []
    for month in months:
        chosen = used[seen == month] if season == "calendar_month" else used
        if season == "calendar_month" and len(chosen) < ROUNDS:
            raise ModelError(
                f"calendar month {month} was seen {len(chosen)} times, fewer than {ROUNDS}; choose season='none', "
                "which names the season as missing, or wait for more periods"
            )
        moves, new = flows.moves[chosen].sum(axis=0), flows.entries[chosen].mean(axis=0)
        total = moves.sum(axis=0)
        counts = np.concatenate([total[None], total[None] - moves])
        rows = counts.sum(axis=2, keepdims=True)
        share = counts / np.where(rows > 0, rows, 1.0)
        share = np.where(rows > 0, share, share[:1])
        # nobody was in the stage then: whoever comes into it stays
        empty = rows[0, :, 0] == 0
        share[:, empty] = np.eye(len(empty))[empty]
        matrices.append(share)
        # leaving a group out makes the entries fewer by its size; what matters is their mix
        left = np.concatenate([new.sum(axis=0)[None], (new.sum(axis=0) - new)])
        size = left.sum(axis=1, keepdims=True)
        entering.append(np.where(size > 0, left / np.where(size > 0, size, 1.0) * size[:1], 0.0))
    return np.stack(matrices, axis=1), np.stack(entering, axis=1)


def _next_month(period_start: str, ahead: int) -> int:
    return (pd.Period(period_start[:7], freq="M") + ahead).month


def _missing(flows: FlowCounts) -> str:
    rounds = np.bincount(flows.calendar_months[1:], minlength=13)[1:].min()
    if rounds < ROUNDS:
        return f"missing: some calendar month was seen {rounds} times, fewer than {ROUNDS}"
    return "missing: not asked for"
