"""Whether the probability of what customers do in a stage is the same in every period, cohort or segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.estimate import by_replicate
from lcm_research.stages.moves import Moves
from lcm_research.transitions.contingency import Behaviour, behaviour, classical_test, group_test
from lcm_research.transitions.replicate_wald import ReplicateWald

__all__ = ["Homogeneity", "homogeneity", "homogeneity_over_time", "join_few"]

MIN_EXPECTED = 5.0
"""Periods are joined with the next until each outcome is expected this often."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Homogeneity:
    """
    Test that a stage's probabilities do not differ between periods, cohorts or segments.

    Parameters
    ----------
    statistic : float
        Likelihood ratio summed over stages, chi-square with ``degrees_of_freedom`` if nothing differs and every
        move is another customer's.
    degrees_of_freedom : int
        0 where the data are too few to compare; then ``p_value`` is missing.
    p_value : float
    by_stage : DataFrame
        stage, statistic, degrees_of_freedom, p_value, n_from (customer-periods), blocks (groups compared, joined
        where few), lowest and highest share of customers who left the stage by their own doing, by block, and
        fewest (customer-periods of those who did, or did not, in the block with the fewest).
    pearson : float
        Pearson's statistic, with the same degrees of freedom.
    replicate : ReplicateWald, optional
        The same question on the spread between groups of customers, which holds where customers differ.
    by : str
        What was compared: the column of the counts.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float
    by_stage: pd.DataFrame
    pearson: float = float("nan")
    replicate: ReplicateWald | None = None
    by: str = "period_start"

    @property
    def applies(self) -> bool:
        """Whether there was anything to compare."""
        return self.degrees_of_freedom > 0


def homogeneity_over_time(
    counts: pd.DataFrame, *, stages: Sequence[str], moves: Moves, rng: np.random.Generator | None = None
) -> Homogeneity:
    """
    Test whether customers in a stage moved with the same probabilities in every period.

    ``homogeneity`` over ``period_start``, with consecutive periods joined until each outcome is expected five times.
    """
    return homogeneity(counts, stages=stages, moves=moves, by="period_start", ordered=True, rng=rng)


def homogeneity(
    counts: pd.DataFrame,
    *,
    stages: Sequence[str],
    moves: Moves | None,
    by: str,
    ordered: bool,
    rng: np.random.Generator | None = None,
) -> Homogeneity:
    r"""
    Test whether customers in a stage move with the same probabilities in every period, cohort or segment.

    The likelihood-ratio test of Anderson and Goodman [1]_, :math:`G^2 = 2\sum n_{tk}\log(\hat p_{tk}/\hat p_k)`,
    over moves that a purchase makes. Staying and moves by the clock are one outcome: their probabilities change
    with the length of a month and with the mix of recencies. Beside it the same on the covariance between 100
    groups of customers, since a customer makes many moves.

    Parameters
    ----------
    counts : DataFrame
        from_stage, to_stage, replicate, n and the column ``by``.
    stages : list of str
    moves : Moves or None
        From ``possible_moves``; a stage without moves that only a purchase makes is left out. None where every move
        is possible and no clock runs.
    by : str
        A period, a cohort or a segment.
    ordered : bool
        Whether the values of ``by`` have an order (periods, cohorts): those with few are joined with the next. Else
        (segments) those with few are joined with each other.
    rng : Generator, optional
        For a bootstrap of the groups where more than 30 differences are tested at once.

    References
    ----------
    .. [1] Anderson and Goodman (1957), Annals of Mathematical Statistics 28:89.
    """
    where = "homogeneity over time" if by == "period_start" else f"homogeneity over '{by}'"
    if counts.empty:
        raise ModelError(f"{where} needs counted moves; came none")
    if by not in counts:
        raise ModelError(f"{where} needs the column '{by}'; the counts hold {', '.join(map(str, counts.columns))}")
    kind = behaviour(stages, moves)
    outcomes = kind.gather(_by_value(counts, by, stages))
    rows, tables, pearson = [], [], 0.0
    for place, stage in enumerate(stages):
        if kind.possible[place].sum() < 2:
            continue
        table = outcomes[:, :, place, kind.possible[place]]
        blocks = join_few(table, ordered)
        row, statistic = _compare(blocks.sum(axis=0), rest=_rest(kind, place))
        rows.append({"stage": stage, **row})
        tables.append(blocks)
        pearson += statistic
    names = ["stage", "statistic", "degrees_of_freedom", "p_value", "n_from", "blocks", "lowest", "highest", "fewest"]
    by_stage = pd.DataFrame(rows, columns=names)
    statistic, freedom = float(by_stage["statistic"].sum()), int(by_stage["degrees_of_freedom"].sum())
    return Homogeneity(
        statistic=statistic,
        degrees_of_freedom=freedom,
        p_value=_p_value(statistic, freedom),
        by_stage=by_stage,
        pearson=pearson,
        replicate=group_test(tables, [np.ones(t.shape[1:], dtype=bool) for t in tables], rng=rng)[0],
        by=by,
    )


def _by_value(counts: pd.DataFrame, by: str, stages: Sequence[str]) -> np.ndarray:
    """Return moves of shape (100, n_values, n_stages, n_stages)."""
    levels, values = pd.Index(list(stages)), pd.Index(sorted(counts[by].unique()))
    return by_replicate(counts, ["n"], [by, "from_stage", "to_stage"], [values, levels, levels])[..., 0]


def _rest(kind: Behaviour, place: int) -> int:
    """Return which of a stage's outcomes holds staying in it: the one that stands for not acting."""
    idle = kind.place[place, place]
    return int(kind.possible[place, :idle].sum()) if idle >= 0 else int(kind.possible[place].sum()) - 1


def _compare(table: np.ndarray, rest: int) -> tuple[dict[str, float], float]:
    """Compare the rows of a table of blocks by outcomes, one of which is that nobody acted."""
    found = classical_test(table, np.ones(table.shape, dtype=bool))
    sizes = table.sum(axis=1)
    acted = sizes - table[:, rest]
    with np.errstate(invalid="ignore"):
        shares = acted / sizes if len(table) else np.array([np.nan])
    freedom = found.degrees_of_freedom
    return {
        "statistic": found.likelihood_ratio,
        "degrees_of_freedom": freedom,
        "p_value": found.p_value,
        "n_from": int(table.sum()),
        "blocks": len(table),
        "lowest": float(shares.min()),
        "highest": float(shares.max()),
        "fewest": int(min(acted.min(), table[:, rest].min())) if len(table) else 0,
    }, found.pearson


def join_few(grouped: np.ndarray, ordered: bool) -> np.ndarray:
    """Join periods, or segments, of shape (100, n_values, n_outcomes) until each outcome is expected often enough."""
    table = grouped.sum(axis=0)
    overall = table.sum(axis=0) / max(table.sum(), 1.0)
    needed = MIN_EXPECTED / overall[overall > 0].min() if overall.any() else np.inf
    sizes = table.sum(axis=1)
    members: list[list[int]] = []
    waiting: list[int] = []
    for value in range(len(table)) if ordered else np.argsort(-sizes, kind="stable"):
        waiting.append(int(value))
        if sizes[waiting].sum() >= needed:
            members.append(waiting)
            waiting = []
    if sizes[waiting].sum() > 0:
        members = [*members[:-1], members[-1] + waiting] if members else [waiting]
    joined = [grouped[:, block].sum(axis=1) for block in members]
    return np.stack(joined, axis=1) if joined else np.zeros((len(grouped), 0, grouped.shape[2]))


def _p_value(statistic: float, freedom: int) -> float:
    return float(stats.chi2.sf(statistic, freedom)) if freedom else float("nan")
