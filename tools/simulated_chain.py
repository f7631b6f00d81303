"""
Customers who move between four stages as a known chain says, and the counts that a stage panel makes of them.

Rates are by the month. Customers may differ (each follows one of several chains), be followed for unequal times, or
share months that are better or worse for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import expm

from lcm_research.estimate import N_GROUPS

__all__ = ["MOVES", "STAGES", "Population", "Simulated", "counted", "rates", "stays"]

STAGES = ("new", "active", "dormant", "lapsed")
RATES = {
    **{("new", "active"): 0.5, ("new", "dormant"): 0.3, ("active", "dormant"): 0.25},
    **{("dormant", "active"): 0.2, ("dormant", "lapsed"): 0.12, ("lapsed", "active"): 0.03},
}
"""Moves by the month from each stage."""

MOVES = tuple(RATES)
N_MONTHS = 24
SHORT, MIDDLE = 4, 12
"""Months for which most are followed where follow-up is unequal."""


def rates(**changed: float) -> np.ndarray:
    """Return intensities; ``dormant_active=2`` doubles one of them."""
    made = np.zeros((len(STAGES), len(STAGES)))
    for (a, b), rate in RATES.items():
        made[STAGES.index(a), STAGES.index(b)] = rate * changed.get(f"{a}_{b}", 1.0)
    return made - np.diag(made.sum(axis=1))


@dataclass(frozen=True, kw_only=True)
class Population:
    """
    Who is simulated.

    Attributes
    ----------
    title : str
    chains : tuple of arrays
        Intensities; each customer follows one of them, drawn alike.
    unequal : bool
        Whether half are followed for 4 months, four in ten for 12 and the others for 24.
    month_spread : float
        Standard deviation, in logs, of what multiplies all rates of a month.
    arriving : bool
        Whether customers come evenly over all months, else all before the first.
    """

    title: str
    chains: tuple[np.ndarray, ...] = (rates(),)
    unequal: bool = False
    month_spread: float = 0.0
    arriving: bool = False

    def shares(self) -> list[np.ndarray]:
        """Return, for each chain, the expected share of its customers in each stage at the end of months 0 to 23."""
        made = []
        for intensity in self.chains:
            P, now = expm(intensity), np.eye(len(STAGES))[0]
            expected = [now]
            for _ in range(N_MONTHS - 1):
                expected.append(expected[-1] @ P)
            made.append(np.array(expected))
        return made

    def probability(self) -> np.ndarray:
        """Return the transition probabilities of all customers together: expected moves by expected starts."""
        pairs = [(e.sum(axis=0), expm(Q)) for e, Q in zip(self.shares(), self.chains, strict=True)]
        moves = sum(start[:, None] * P for start, P in pairs)
        return np.asarray(moves / np.asarray(moves).sum(axis=1, keepdims=True))

    def intensity(self) -> np.ndarray:
        """Return moves by month in a stage, of all customers together, from paths without a break."""
        size, moves, time = len(STAGES), 0.0, 0.0
        for intensity in self.chains:
            # the integral of expm(Qt) stands in the corner of a larger exponential
            both = np.block([[intensity, np.eye(size)], [np.zeros((size, 2 * size))]])
            spent = expm(both * N_MONTHS)[0, size:]
            moves, time = moves + spent[:, None] * intensity, time + spent
        return np.asarray(moves / np.asarray(time)[:, None])


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """
    Simulated customers.

    Attributes
    ----------
    stage : array of int, shape (n_customers, n_months + 1)
        Place in ``STAGES`` at each month end; -1 before the customer came and after the follow-up.
    replicate, group : arrays of int, shape (n_customers,)
        The group of customers that the interval leaves out, and a segment drawn at random.
    """

    stage: np.ndarray
    replicate: np.ndarray
    group: np.ndarray

    @classmethod
    def draw(
        cls, population: Population, *, n_customers: int, rng: np.random.Generator, pull: float = 0.0
    ) -> Simulated:
        """Draw customers; ``pull`` adds to the chance of being active for who was active two months ago."""
        chain = rng.integers(0, len(population.chains), n_customers)
        shocks = np.exp(rng.normal(0, population.month_spread, N_MONTHS)) if population.month_spread else None
        steady = np.array([expm(Q) for Q in population.chains])
        came = rng.integers(0, N_MONTHS + 1, n_customers) if population.arriving else np.zeros(n_customers, int)
        last = rng.choice([SHORT, MIDDLE, N_MONTHS], n_customers, p=[0.5, 0.4, 0.1]) if population.unequal else None
        stage = np.full((n_customers, N_MONTHS + 1), -1)
        stage[came == 0, 0] = 0
        for t in range(N_MONTHS):
            P = steady if shocks is None else np.array([expm(Q * shocks[t]) for Q in population.chains])
            rows = P[chain, stage[:, t]]
            if pull and t:
                again = (stage[:, t - 1] == 1) & (stage[:, t] == 2)
                rows = np.where(again[:, None], (1 - pull) * rows + pull * np.eye(len(STAGES))[1], rows)
            following = (rng.random(n_customers)[:, None] > rows.cumsum(axis=1)).sum(axis=1).clip(max=len(STAGES) - 1)
            stage[:, t + 1] = np.where(stage[:, t] >= 0, following, np.where(came == t + 1, 0, -1))
            if last is not None:
                stage[last < t + 1, t + 1] = -1
        return cls(stage=stage, replicate=rng.integers(0, N_GROUPS, n_customers), group=rng.integers(0, 2, n_customers))

    def moves(self) -> pd.DataFrame:
        """Return counts as ``transition_counts`` makes them, with the segment ``group``."""
        return counted(self, ("from_stage", "to_stage"), (self.stage[:, :-1], self.stage[:, 1:]))

    def pairs(self) -> pd.DataFrame:
        """Return counts as ``second_order_counts`` makes them."""
        ends = (self.stage[:, :-2], self.stage[:, 1:-1], self.stage[:, 2:])
        return counted(self, ("before_stage", "from_stage", "to_stage"), ends)

    def entries(self) -> pd.DataFrame:
        """Return counts as ``entry_counts`` makes them."""
        first = (self.stage >= 0).argmax(axis=1)
        stage = self.stage[np.arange(len(first)), first]
        frame = pd.DataFrame({"period_start": _months()[first], "stage": np.array(STAGES)[stage]})
        frame["replicate"] = self.replicate
        return frame.groupby([*frame], as_index=False).agg(n=("stage", "size"))

    def mix(self, months: Sequence[int]) -> np.ndarray:
        """Return the share of each stage at the end of months, shape (n_months, n_stages)."""
        at = [np.bincount(own[own >= 0], minlength=len(STAGES)) for own in self.stage[:, list(months)].T]
        return np.array([each / each.sum() for each in at])

    def until(self, month: int) -> Simulated:
        """Return what was known at the end of a month."""
        kept = self.stage[:, : month + 1]
        here = (kept >= 0).any(axis=1)
        return Simulated(stage=kept[here], replicate=self.replicate[here], group=self.group[here])


def counted(simulated: Simulated, names: Sequence[str], ends: Sequence[np.ndarray]) -> pd.DataFrame:
    """Count customers by their stages at the given ends, the month of the last, the segment and the replicate."""
    there = np.logical_and.reduce([end >= 0 for end in ends])
    who, month = np.nonzero(there)
    keys = [*(end[there] for end in ends), month, simulated.group[who], simulated.replicate[who]]
    sizes = (*([len(STAGES)] * len(ends)), N_MONTHS, 2, N_GROUPS)
    cells, n = np.unique(np.ravel_multi_index(keys, sizes), return_counts=True)
    *stages, month, group, replicate = np.unravel_index(cells, sizes)
    frame = {name: np.array(STAGES)[stage] for name, stage in zip(names, stages, strict=True)}
    last = month + simulated.stage.shape[1] - ends[0].shape[1]
    return pd.DataFrame(frame | {"group": group, "replicate": replicate, "n": n, "period_start": _months()[last]})


def stays(population: Population, *, n_customers: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw paths without a break over 24 months and return their stays, as ``stay_counts`` makes them."""
    chain, replicate = rng.integers(0, len(population.chains), n_customers), rng.integers(0, N_GROUPS, n_customers)
    intensity = np.array(population.chains)
    stage, now, rows = np.zeros(n_customers, int), np.zeros(n_customers), []
    going = np.arange(n_customers)
    while len(going):
        own = intensity[chain[going], stage[going]]
        ends = now[going] + rng.exponential(1 / -own[np.arange(len(going)), stage[going]])
        chances = np.maximum(own, 0).cumsum(axis=1)
        following = (rng.random(len(going))[:, None] * chances[:, -1:] > chances).sum(axis=1)
        over = ends >= N_MONTHS
        named = np.where(over, "(open)", np.array(STAGES)[following])
        exits = np.minimum(ends, N_MONTHS)
        rows.append((np.array(STAGES)[stage[going]], named, now[going], exits, replicate[going]))
        now[going], stage[going] = exits, following
        going = going[~over]
    columns = ["from_stage", "to_stage", "entry", "exit", "replicate"]
    made = {name: np.concatenate(parts) for name, parts in zip(columns, zip(*rows, strict=True), strict=True)}
    return pd.DataFrame(made | {"n": 1})


def _months() -> np.ndarray:
    return np.array([str(month.date()) for month in pd.date_range("2020-01-01", periods=N_MONTHS + 1, freq="MS")])
