"""Whether the probability of what customers do in a stage was the same in every period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.stages.moves import Moves
from lcm_research.transitions.counts import moves_by_period

__all__ = ["Homogeneity", "homogeneity_over_time"]

MIN_EXPECTED = 5.0
"""Periods are joined with the next until each outcome is expected this often."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Homogeneity:
    """
    Likelihood-ratio test that a stage's probabilities did not change from period to period.

    Parameters
    ----------
    statistic : float
        Sum over stages, chi-square with ``degrees_of_freedom`` if nothing changed.
    degrees_of_freedom : int
        0 where the data are too few to compare periods; then ``p_value`` is missing.
    p_value : float
    by_stage : DataFrame
        stage, statistic, degrees_of_freedom, p_value, n_from (customer-periods), blocks (periods compared, joined
        where few), lowest and highest share of customers who bought their way out of the stage, by block, and
        fewest (customer-periods of those who did, or did not, in the block with the fewest).
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float
    by_stage: pd.DataFrame

    @property
    def applies(self) -> bool:
        """Whether there was anything to compare."""
        return self.degrees_of_freedom > 0


def homogeneity_over_time(counts: pd.DataFrame, *, stages: Sequence[str], moves: Moves) -> Homogeneity:
    r"""
    Test whether customers in a stage moved with the same probabilities in every period.

    The likelihood-ratio test of Anderson and Goodman [1]_, :math:`G^2 = 2\sum n_{tk}\log(\hat p_{tk}/\hat p_k)`,
    over moves that a purchase makes. Staying and moves by the clock are one outcome: their probabilities change
    with the length of a month and with the mix of recencies. Consecutive periods are joined until each outcome is
    expected five times.

    Parameters
    ----------
    counts : DataFrame
        As ``transition_counts`` returns them.
    stages : list of str
    moves : Moves
        From ``possible_moves``; a stage without moves that only a purchase makes is left out.

    References
    ----------
    .. [1] Anderson and Goodman (1957), Annals of Mathematical Statistics 28:89.
    """
    if counts.empty:
        raise ModelError("homogeneity over time needs counted moves; came none")
    _, by_period = moves_by_period(counts, stages=stages)
    rows = []
    for place, stage in enumerate(stages):
        if not moves.purchase[place].any():
            continue
        bought = by_period[:, place, moves.purchase[place]]
        rest = by_period[:, place].sum(axis=1) - bought.sum(axis=1)
        rows.append({"stage": stage, **_compare(np.column_stack([bought, rest]))})
    names = ["stage", "statistic", "degrees_of_freedom", "p_value", "n_from", "blocks", "lowest", "highest", "fewest"]
    by_stage = pd.DataFrame(rows, columns=names)
    statistic, freedom = float(by_stage["statistic"].sum()), int(by_stage["degrees_of_freedom"].sum())
    return Homogeneity(
        statistic=statistic, degrees_of_freedom=freedom, p_value=_p_value(statistic, freedom), by_stage=by_stage
    )


def _compare(table: np.ndarray) -> dict[str, float]:
    """Compare the rows of a table of periods by outcomes, of which the last is that nobody bought."""
    table = table[:, table.sum(axis=0) > 0] if table[:, -1].any() else table
    total = table.sum()
    overall = table.sum(axis=0) / max(total, 1.0)
    blocks = _join(table, overall)
    sizes = blocks.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(blocks > 0, blocks * np.log(blocks / (sizes * overall)), 0.0)
    freedom = max(len(blocks) - 1, 0) * max(int((overall > 0).sum()) - 1, 0)
    statistic = float(2 * terms.sum()) if freedom else 0.0
    shares = 1 - blocks[:, -1] / sizes[:, 0] if len(blocks) else np.array([np.nan])
    return {
        "statistic": statistic,
        "degrees_of_freedom": freedom,
        "p_value": _p_value(statistic, freedom),
        "n_from": int(total),
        "blocks": len(blocks),
        "lowest": float(shares.min()),
        "highest": float(shares.max()),
        "fewest": int(min((sizes[:, 0] - blocks[:, -1]).min(), blocks[:, -1].min())) if len(blocks) else 0,
    }


def _join(table: np.ndarray, overall: np.ndarray) -> np.ndarray:
    """Join consecutive periods until every outcome that ever happened is expected often enough in each."""
    needed = MIN_EXPECTED / overall[overall > 0].min() if overall.any() else np.inf
    blocks: list[np.ndarray] = []
    open_block = np.zeros(table.shape[1])
    for period in table:
        open_block = open_block + period
        if open_block.sum() >= needed:
            blocks.append(open_block)
            open_block = np.zeros(table.shape[1])
    if open_block.any() and blocks:
        blocks[-1] = blocks[-1] + open_block
    elif open_block.any():
        blocks.append(open_block)
    return np.array(blocks).reshape(len(blocks), table.shape[1])


def _p_value(statistic: float, freedom: int) -> float:
    return float(stats.chi2.sf(statistic, freedom)) if freedom else float("nan")
