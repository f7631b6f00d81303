"""
How much the stage before changes the chance of the move that matters, and how much of it is left among customers alike.

A test of the order says that the past matters; this says how much, for one move that is chosen by the scheme and by
how many customers there are to compare, never by how large the difference is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, Estimate, by_replicate, jackknife, leave_one_out, proportion
from lcm_research.stages.moves import Moves, headline_moves
from lcm_research.stages.panel import ANY
from lcm_research.stages.rules import StageRules
from lcm_research.transitions.order import second_order_moves

__all__ = ["PastContrast", "contrast_within", "moves_to_compare", "past_contrast"]

FROM = ("at_risk", "lapsed", "established", "returned", "new", "prospect")
TO = ("returned", "established", "new", "at_risk", "lapsed", "prospect")
"""Coarse stages in the order in which a move out of them, or into them, is asked about."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PastContrast:
    """
    One move, by the stage that customers were in a period before.

    Attributes
    ----------
    start, end : str
        The move.
    came, had : str
        The two stages before that most customer-periods have; ``had`` is ``start`` where that is one of them.
    probability_came, probability_had : Estimate
        Of the move, given the stage before.
    difference : Estimate
        The first less the second, in percentage points; 0 in a chain of order 1.
    """

    start: str
    end: str
    came: str
    had: str
    probability_came: Estimate
    probability_had: Estimate
    difference: Estimate


def moves_to_compare(rules: StageRules, moves: Moves) -> list[tuple[str, str]]:
    """
    Return the moves whose chance may be compared by the stage before, the one that matters most first.

    The scheme's headline moves that customers make themselves, those out of a stage at risk first; in a scheme without
    any, all moves that are not the clock's.
    """
    coarse = {name: stage.coarse for name, stage in rules.scheme.stages.items()}
    place = rules.stages.index

    def made(pair: tuple[str, str]) -> bool:
        return pair[0] != pair[1] and not moves.clock[place(pair[0]), place(pair[1])]

    asked = [pair for pair in headline_moves(rules, moves) if made(pair)]
    every = [(rules.stages[i], rules.stages[j]) for i, j in np.argwhere(moves.possible)]
    found = asked or [pair for pair in every if made(pair)]
    return sorted(found, key=lambda pair: (FROM.index(coarse[pair[0]]), TO.index(coarse[pair[1]])))


def past_contrast(
    counts: pd.DataFrame,
    *,
    stages: Sequence[str],
    candidates: Sequence[tuple[str, str]],
    customers: pd.DataFrame,
    min_group: int,
    level: float,
) -> PastContrast:
    """
    Compare the probability of a move between customers who were in two different stages a period before.

    Parameters
    ----------
    counts : DataFrame
        As ``second_order_counts`` returns them; further keys are summed over.
    stages : list of str
    candidates : list of (from, to)
        As ``moves_to_compare`` returns them; the first that two stages before can be compared for is taken.
    customers : DataFrame
        As ``customers_by_pair`` returns it.
    min_group : int
        With fewer customers who made the move, or who did not, a stage before is not compared.
    level : float

    Raises
    ------
    ModelError
        No move can be compared.
    """
    if counts.empty:
        raise ModelError(
            "comparing a move by the stage before needs customers whose stage is known at the end of three periods in "
            "a row; none were counted"
        )
    moved = second_order_moves(counts, stages=stages)
    behind = customers.groupby(["before_stage", "from_stage", "to_stage"])["n_customers"].sum()
    for start, end in candidates:
        pasts = _comparable(moved, behind, list(stages), (start, end), min_group)
        if len(pasts) > 1:
            came, had = (pasts[1], pasts[0]) if start not in pasts[:2] else _ordered(pasts[:2], start)
            return _contrast(moved, behind, list(stages), (start, end), (came, had), level)
    raise ModelError(
        "comparing a move by the stage before needs two stages before it, each with customers of 20 groups and "
        f"{min_group} customers who made the move and who did not; none of {len(candidates)} moves has them"
    )


def contrast_within(
    contrast: PastContrast, counts: pd.DataFrame, *, stages: Sequence[str], by: Sequence[str], level: float
) -> Estimate:
    r"""
    Return the difference of a contrast among customers of the same segments, in percentage points.

    Differences within each combination of segments, weighted by :math:`n_a n_b / (n_a + n_b)` (Mantel and
    Haenszel's weights [1]_): segments in which only one past occurs say nothing.

    Parameters
    ----------
    contrast : PastContrast
    counts : DataFrame
        As ``second_order_counts`` returns them with the segments ``by``.
    stages : list of str
    by : list of str
        At least one.

    References
    ----------
    .. [1] Mantel and Haenszel (1959), Journal of the National Cancer Institute 22:719.
    """
    own = counts[(counts["from_stage"] == contrast.start) & counts["before_stage"].isin([contrast.came, contrast.had])]
    strata = own[list(by)].astype(str).agg("|".join, axis=1)
    own = own.assign(stratum=strata, made=own["to_stage"] == contrast.end)
    levels = [pd.Index(sorted(set(strata))), pd.Index([contrast.came, contrast.had]), pd.Index([True, False])]
    table = by_replicate(own, ["n"], ["stratum", "before_stage", "made"], levels)[..., 0]
    both = table.sum(axis=(0, 3)).min(axis=1) > 0
    if not both.any():
        raise ModelError(
            f"among customers alike in {', '.join(by)} nobody is left to compare: no group has customers with both "
            "pasts"
        )
    value, without = leave_one_out(table[:, both], _weighted)
    n = contrast.difference.n
    return jackknife(float(value), without, unit="percentage points", n=n, level=level)


def _weighted(table: np.ndarray) -> float:
    """Weighted difference, in percentage points, of a table of strata by past by whether the move was made."""
    sizes = table.sum(axis=2)
    there = sizes.min(axis=1) > 0
    if not there.any():
        return float("nan")
    table, sizes = table[there], sizes[there]
    shares = table[:, :, 0] / sizes
    weights = sizes.prod(axis=1) / sizes.sum(axis=1)
    return float(100 * (weights * (shares[:, 0] - shares[:, 1])).sum() / weights.sum())


def _ordered(pasts: Sequence[str], start: str) -> tuple[str, str]:
    """Those who came from elsewhere first, those who had been there already second."""
    return (pasts[0], pasts[1]) if pasts[1] == start else (pasts[1], pasts[0])


def _comparable(
    moved: np.ndarray, behind: pd.Series, stages: list[str], pair: tuple[str, str], min_group: int
) -> list[str]:
    """Return the stages before a move with enough customers, the one with most customer-periods first."""
    start, end = pair
    there = moved[:, :, stages.index(start)]
    made = there[:, :, stages.index(end)]
    rest = there.sum(axis=2) - made
    enough = (np.minimum((made > 0).sum(axis=0), (rest > 0).sum(axis=0)) >= FEW_GROUPS).nonzero()[0]
    found = []
    for before in enough[np.argsort(-there.sum(axis=(0, 2))[enough], kind="stable")]:
        heads = behind.get(stages[before], pd.Series(dtype=float)).get(start, pd.Series(dtype=float))
        others = heads.drop(labels=[end, ANY], errors="ignore")
        if min(heads.get(end, 0), others.max() if len(others) else 0) >= min_group:
            found.append(stages[before])
    return found


def _contrast(
    moved: np.ndarray,
    behind: pd.Series,
    stages: list[str],
    pair: tuple[str, str],
    pasts: tuple[str, str],
    level: float,
) -> PastContrast:
    start, end = pair
    there = moved[:, [stages.index(past) for past in pasts], stages.index(start)]
    two = np.stack([there[:, :, stages.index(end)], there.sum(axis=2)], axis=2)
    shares = [proportion(two[:, k, 0], two[:, k, 1], unit="probability", level=level) for k in (0, 1)]
    value, without = leave_one_out(two, lambda c: 100 * (c[0, 0] / c[0, 1] - c[1, 0] / c[1, 1]))
    n = int(behind[ANY, start, ANY])
    return PastContrast(
        start=start,
        end=end,
        came=pasts[0],
        had=pasts[1],
        probability_came=shares[0],
        probability_had=shares[1],
        difference=jackknife(float(value), without, unit="percentage points", n=n, level=level),
    )
