"""
Whether some customers never move at all: a check on a chain that takes all customers in a stage for the same.

A chain expects few customers to stay in a stage for many periods on end. Where many more do, some of them are stayers,
and what looks like memory are differences between customers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import optimize, stats

from lcm_research.errors import ModelError
from lcm_research.estimate import (
    FEW_GROUPS,
    N_GROUPS,
    Estimate,
    by_replicate,
    clopper_pearson,
    jackknife,
    leave_one_out,
)
from lcm_research.stages.moves import Moves
from lcm_research.transitions.replicate_wald import ReplicateWald, replicate_wald

__all__ = ["MoverStayer", "SequenceTable", "mover_stayer", "sequence_table"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceTable:
    """
    What sequences of stages say about staying, by group of customers.

    Attributes
    ----------
    stages : tuple of str
    n_periods : int
        Moves in each sequence.
    started, always : arrays of float, shape (100, n_stages)
        Customers who began in a stage, and those who were in it to the end.
    moves : array of float, shape (100, n_stages, n_stages)
    """

    stages: tuple[str, ...]
    n_periods: int
    started: np.ndarray
    always: np.ndarray
    moves: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class MoverStayer:
    """
    A mover-stayer model beside the chain, stage by stage.

    Attributes
    ----------
    n_periods : int
    stayers : mapping of stage to Estimate
        Share of the customers who begin in a stage that never leave it, whatever the time.
    excess : mapping of stage to Estimate
        Observed less expected share of customers who were in the stage at every one of the period ends.
    replicate : ReplicateWald
        That the chain expects as many as there are, in all stages.
    rows : DataFrame
        stage, n_customers, always_observed, always_expected, stayers, stay_of_movers (probability that one who may
        leave stays a period), likelihood_ratio, p_value (half of chi-square's with 1 degree of freedom, since a share
        is not below 0; as if customers of one stage were alike).
    reasons : mapping of stage to str
        Why a stage is not tested.
    """

    n_periods: int
    stayers: dict[str, Estimate]
    excess: dict[str, Estimate]
    replicate: ReplicateWald
    rows: pd.DataFrame
    reasons: dict[str, str]

    def table(self) -> pd.DataFrame:
        """Return the rows."""
        return self.rows


def sequence_table(counts: pd.DataFrame, *, stages: Sequence[str], n_periods: int) -> SequenceTable:
    """
    Read counted sequences of stages.

    Parameters
    ----------
    counts : DataFrame
        sequence, replicate, n, as ``sequence_counts`` returns them for the same ``n_periods``.
    stages : list of str
        All of the scheme, in its order: sequences are numbers to that base.
    n_periods : int
    """
    size = len(stages)
    numbers = counts["sequence"].to_numpy(np.int64)
    if counts.empty or not counts["n"].sum():
        raise ModelError(f"no customer was followed for {n_periods} periods; ask for shorter sequences")
    if numbers.max() >= size ** (n_periods + 1):
        raise ModelError(
            f"sequence {numbers.max()} is longer than n_periods={n_periods} moves between {size} stages; give the "
            "number that the sequences were counted with"
        )
    digits = np.stack([numbers // size**k % size for k in range(n_periods, -1, -1)], axis=1)
    everything = counts.assign(first=digits[:, 0], always=(digits == digits[:, :1]).all(axis=1))
    places = pd.Index(range(size))
    started = by_replicate(everything, ["n"], ["first"], [places])[..., 0]
    always = by_replicate(everything[everything["always"]], ["n"], ["first"], [places])[..., 0]
    moves = np.zeros((N_GROUPS, size, size))
    for k in range(n_periods):
        pairs = counts.assign(a=digits[:, k], b=digits[:, k + 1])
        moves += by_replicate(pairs, ["n"], ["a", "b"], [places, places])[..., 0]
    return SequenceTable(stages=tuple(stages), n_periods=n_periods, started=started, always=always, moves=moves)


def mover_stayer(table: SequenceTable, *, moves: Moves | None, level: float = 0.95) -> MoverStayer:
    r"""
    Fit a mover-stayer model to each stage that customers may stay in, and test the chain against it.

    Of those who begin in a stage a share ``s`` never leaves it; the others stay a period with probability ``m``. The
    maximum-likelihood estimates [1]_ solve one equation a stage; the share observed at every period end is held
    against :math:`p^T`, which a chain expects [2]_.

    Parameters
    ----------
    table : SequenceTable
    moves : Moves or None
        Stages that the clock leads out of are left out: nobody can stay in them.

    References
    ----------
    .. [1] Frydman (1984), Journal of the American Statistical Association 79:632.
    .. [2] Blumen, Kogan and McCarthy (1955), The Industrial Mobility of Labor as a Probability Process.
    """
    stayers, excess, reasons, rows = {}, {}, {}, []
    values, withouts = [], []
    for i, stage in enumerate(table.stages):
        reason = _not_tested(table, moves, i)
        if reason:
            reasons[stage] = reason
            continue
        counts = np.stack(
            [table.started[:, i], table.always[:, i], table.moves[:, i, i], table.moves[:, i].sum(axis=1)], axis=1
        )
        fitted, left = leave_one_out(counts, lambda c: _fit(c, table.n_periods))
        n = int(counts[:, 0].sum())
        stayers[stage] = _share(float(fitted[0]), left[:, 0], round(counts[:, 1].sum()), n, level)
        excess[stage] = jackknife(fitted[2] - fitted[3], left[:, 2] - left[:, 3], unit="share", n=n, level=level)
        p_value = float(stats.chi2.sf(fitted[4], 1) / 2)
        rows.append((stage, n, fitted[2], fitted[3], fitted[0], fitted[1], fitted[4], p_value))
        values.append(fitted[2] - fitted[3])
        withouts.append(left[:, 2] - left[:, 3])
    columns = ["stage", "n_customers", "always_observed", "always_expected", "stayers", "stay_of_movers"]
    return MoverStayer(
        n_periods=table.n_periods,
        stayers=stayers,
        excess=excess,
        replicate=replicate_wald(np.array(values), np.array(withouts).reshape(len(values), N_GROUPS).T),
        rows=pd.DataFrame(rows, columns=[*columns, "likelihood_ratio", "p_value"]),
        reasons=reasons,
    )


def _share(value: float, without: np.ndarray, always: int, n: int, level: float) -> Estimate:
    """
    Return the share of stayers, whose interval stays between 0 and 1.

    Where it is 0 nothing varies between groups of customers; stayers are then at most those who were always there.
    """
    if value == 0:
        upper = clopper_pearson(always, n, level)[1]
        return Estimate(value=0.0, lower=0.0, upper=upper, unit="share", n=n, level=level, leave_one_out=without)
    inside = without.min() > 0 and without.max() < 1
    found = jackknife(value, without, unit="share", n=n, level=level, scale="logit" if inside else "identity")
    return replace(found, lower=max(found.lower, 0.0), upper=min(found.upper, 1.0))


def _not_tested(table: SequenceTable, moves: Moves | None, i: int) -> str:
    began, ever = table.started[:, i], table.always[:, i]
    left = table.moves[:, i].sum(axis=1) - table.moves[:, i, i]
    if moves is not None and moves.clock[i].any():
        return "customers leave it by the clock"
    if not began.any():
        return "nobody began in it"
    if not left.any():
        return "nobody was seen leaving it"
    if min((ever > 0).sum(), (left > 0).sum()) < FEW_GROUPS:
        return f"stayed in throughout, or left, by customers of fewer than {FEW_GROUPS} groups"
    return ""


def _fit(counts: np.ndarray, n_periods: int) -> np.ndarray:
    """Return the share of stayers, the movers' stay, always observed and expected by a chain, and twice the gain."""
    started, always, stayed, total = counts
    observed, pooled = always / started, stayed / total
    movers, within, left = started - always, stayed - n_periods * always, total - stayed

    def minus(m: float) -> float:
        return -(within * np.log(m) + left * np.log1p(-m) - movers * np.log(-np.expm1(n_periods * np.log(m))))

    m = float(optimize.minimize_scalar(minus, bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-12}).x)
    expected = pooled**n_periods
    if observed <= m**n_periods:  # no more stay than chance lets: no stayers
        return np.array([0.0, pooled, observed, expected, 0.0])
    stayers = (observed - m**n_periods) / (1 - m**n_periods)
    chain = stayed * np.log(pooled) + left * np.log1p(-pooled)
    gain = always * np.log(observed) + movers * np.log1p(-observed) - minus(m) - chain
    return np.array([stayers, m, observed, expected, max(2 * gain, 0.0)])
