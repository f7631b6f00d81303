"""
How long stays in a stage last, period by period, against the geometric law that a chain without memory implies.

In such a chain the chance of leaving is the same however long a customer has stayed. Where it falls, some customers
are more settled than others, or settle with time; where it rises, a clock runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import (
    FEW_GROUPS,
    Estimate,
    by_replicate,
    clopper_pearson,
    jackknife,
    leave_one_out,
    proportion,
)
from lcm_research.stages.dwell import OPEN
from lcm_research.stages.moves import Moves
from lcm_research.transitions.contingency import Classical, classical_test, group_test
from lcm_research.transitions.homogeneity import join_few
from lcm_research.transitions.replicate_wald import ReplicateWald

__all__ = ["DwellTimes", "customers_at_risk", "dwell_times", "stage_dwells"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DwellTimes:
    """
    Stays in one stage.

    Attributes
    ----------
    stage : str
    rows : DataFrame
        dwell_periods, n_at_risk (stays that could end then), n_left, leaving (probability) with lower and upper,
        staying (probability of a longer stay, Kaplan and Meier's) with staying_lower and staying_upper, and
        geometric (the same at a constant chance).
    by_clock : tuple of str
        Stages that time alone leads to from here.
    own_doing : bool
        Whether the test and the three estimates below leave aside what the clock does: stays that it ended are ones
        on which the customer did not act. False where no clock runs, and where a clock is the only way out, which
        then shows what customers did not do.
    first, later : Estimate
        Probability of leaving in the first period of a stay, and in a later one.
    difference : Estimate or None
        ``first`` less ``later``, in percentage points; a chain expects 0. None where either rests on fewer than 20
        groups of customers.
    bounded : bool
        Whether a clock runs and every stay that got as far as the last row, in 20 groups of customers or more, ended
        there.
    classical : Classical
        That the chance of leaving is constant, as if every stay were another customer's.
    replicate : ReplicateWald
        The same on the spread between groups of customers.
    fewest_first, fewest_later : tuple of int
        Groups of customers, a lower bound of customers, and stays behind the rarer answer of ``first`` and ``later``.
    n_stays : int
        Stays whose beginning was seen.
    n_left_out : int
        Stays whose beginning was not seen.
    """

    stage: str
    rows: pd.DataFrame
    by_clock: tuple[str, ...]
    own_doing: bool
    first: Estimate
    later: Estimate | None
    difference: Estimate | None
    bounded: bool
    classical: Classical
    replicate: ReplicateWald
    fewest_first: tuple[int, int]
    fewest_later: tuple[int, int]
    n_stays: int
    n_left_out: int

    def table(self) -> pd.DataFrame:
        """Return the rows."""
        return self.rows

    @property
    def comparable(self) -> bool:
        """Whether the first period differs from later ones by what customers do: a clock on its own is a rule."""
        return self.difference is not None and (self.own_doing or not self.by_clock)

    @property
    def median_periods(self) -> int | None:
        """Periods after which at most half of the stays go on; None where the curve does not come down that far."""
        over = self.rows.loc[self.rows["staying"] <= 0.5, "dwell_periods"]
        return int(over.iloc[0]) if len(over) else None


def stage_dwells(
    counts: pd.DataFrame,
    *,
    stages: Sequence[str],
    moves: Moves | None,
    horizon_periods: int,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> dict[str, DwellTimes]:
    """
    Return ``dwell_times`` of every stage in which a stay was seen to begin and could be seen to end.

    The intervals of ``difference`` hold for all comparable stages at once (Bonferroni), so that the widest gap may be
    picked among them.

    Raises
    ------
    ModelError
        No stay was seen to begin in any stage.
    """
    seen = counts[counts["start_observed"].astype(bool)]
    followed = seen[(seen["next_stage"] != OPEN) | (seen["dwell_periods"] > 1)]
    asked = [stage for stage in stages if stage in set(followed["stage"])]
    if not asked:
        raise ModelError(
            "how long customers stay needs stays that were seen to begin and could be seen to end; none were counted: "
            "the window may be too short for the churn window"
        )
    chosen = {"moves": moves, "horizon_periods": horizon_periods, "rng": rng, "level": level}
    found = {stage: dwell_times(counts, stage=stage, **chosen) for stage in asked}  # type: ignore[arg-type]
    tested = max(sum(each.comparable for each in found.values()), 1)
    return {stage: _at_once(each, tested, level) for stage, each in found.items()}


def dwell_times(
    counts: pd.DataFrame,
    *,
    stage: str,
    moves: Moves | None,
    horizon_periods: int,
    rng: np.random.Generator | None = None,
    level: float = 0.95,
) -> DwellTimes:
    """
    Return how stays in a stage end, period by period, and test that the chance of leaving is constant.

    Parameters
    ----------
    counts : DataFrame
        As ``dwell_counts`` returns them. Stays whose beginning was not seen are left out: their length is not known.
    stage : str
    moves : Moves or None
        What the clock of the scheme does; None where no clock runs.
    horizon_periods : int
        Longest stay that is looked at.
    rng : Generator, optional
        For a bootstrap of the groups where more than 30 periods are compared.
    level : float

    Raises
    ------
    ModelError
        No stay in the stage was seen to begin.
    """
    own = counts[counts["stage"] == stage]
    seen = own[own["start_observed"].astype(bool)]
    if horizon_periods < 1:
        raise ModelError(f"horizon_periods={horizon_periods} is no horizon; choose 1 or more")
    if seen.empty:
        known: Sequence[str] = sorted(set(counts["stage"]))
        raise ModelError(
            f"no stay in '{stage}' was seen to begin; stays were counted in {', '.join(known) or 'no stage'}"
        )
    by_clock, own_doing = _clock(stage, moves)
    longest = min(horizon_periods, int(seen["dwell_periods"].max()))
    left, risk = _ends(seen, longest)
    acted = _left(seen[~seen["next_stage"].isin(by_clock)], longest) if own_doing else left
    if not risk[:, 0].any():
        raise ModelError(f"no stay in '{stage}' could be seen to end: all began in the last period; wait for more data")
    table = join_few(np.stack([acted, risk - acted], axis=2), ordered=True)
    possible = np.ones(table.shape[1:], dtype=bool)
    first, later, difference = _first_and_later(acted, risk, level)
    rows = _rows(left, risk, level)
    return DwellTimes(
        stage=stage,
        rows=rows,
        by_clock=by_clock,
        own_doing=own_doing,
        first=first,
        later=later,
        difference=difference,
        bounded=bool(by_clock) and rows["staying"].iloc[-1] == 0 and (risk[:, len(rows) - 1] > 0).sum() >= FEW_GROUPS,
        classical=classical_test(table.sum(axis=0), possible),
        replicate=group_test([table], [possible], rng=rng)[0],
        fewest_first=_fewest(acted[:, 0], risk[:, 0]),
        fewest_later=_fewest(acted[:, 1:].sum(axis=1), risk[:, 1:].sum(axis=1)),
        n_stays=int(seen["n"].sum()),
        n_left_out=int(own["n"].sum() - seen["n"].sum()),
    )


def customers_at_risk(customers: pd.DataFrame, *, stage: str) -> np.ndarray:
    """
    Return how many different customers have a stay in a stage that could be seen to end after 1, 2, ... periods.

    Parameters
    ----------
    customers : DataFrame
        As ``customers_by_stay`` returns it.
    stage : str
    """
    own = customers[(customers["stage"] == stage) & (customers["longest_periods"] > 0)]
    if own.empty:
        return np.zeros(0, dtype=np.int64)
    longest = np.bincount(own["longest_periods"], weights=own["n_customers"])[1:]
    return longest[::-1].cumsum()[::-1].astype(np.int64)


def _clock(stage: str, moves: Moves | None) -> tuple[tuple[str, ...], bool]:
    """Return where time alone leads, and whether a purchase leads elsewhere, so that the two can be told apart."""
    if moves is None:
        return (), False
    place = moves.stages.index(stage)
    there = tuple(moves.stages[j] for j in np.flatnonzero(moves.clock[place]))
    return there, bool(there) and bool(moves.purchase[place].any())


def _rows(left: np.ndarray, risk: np.ndarray, level: float) -> pd.DataFrame:
    constant = left.sum() / risk.sum()
    rows, staying = [], 1.0
    for k in range(left.shape[1]):
        if not risk[:, k].any():
            break
        found = proportion(left[:, k], risk[:, k], unit="probability", level=level)
        before, staying = staying, staying * (1 - found.value)
        lower, upper = _staying_interval(left[:, : k + 1], risk[:, : k + 1], before, level)
        ends = (found.value, found.lower, found.upper, staying, lower, upper, (1 - constant) ** (k + 1))
        rows.append((k + 1, int(risk[:, k].sum()), int(left[:, k].sum()), *ends))
    columns = ["dwell_periods", "n_at_risk", "n_left", "leaving", "lower", "upper"]
    return pd.DataFrame(rows, columns=[*columns, "staying", "staying_lower", "staying_upper", "geometric"])


def _staying_interval(left: np.ndarray, risk: np.ndarray, before: float, level: float) -> tuple[float, float]:
    """
    Interval of the probability of a stay longer than all the periods given.

    By the jackknife; where few groups of customers left, or went on, the exact one for as many stays as those at
    risk stand for [1]_, which are those at risk over the share that got so far.

    References
    ----------
    .. [1] Dorey and Korn (1987), Statistics in Medicine 6:679.
    """
    went_on = risk[:, -1] - left[:, -1]
    staying = before * went_on.sum() / risk[:, -1].sum()
    if min((left.sum(axis=1) > 0).sum(), (went_on > 0).sum()) < FEW_GROUPS:
        n = math.floor(risk[:, -1].sum() / before + 1e-9)
        return clopper_pearson(round(staying * n), n, level)
    value, without = leave_one_out(np.stack([left, risk], axis=1), lambda c: float(np.prod(1 - c[0] / c[1])))
    found = jackknife(float(value), without, unit="probability", n=1, scale="loglog", level=level)
    return found.lower, found.upper


def _first_and_later(
    acted: np.ndarray, risk: np.ndarray, level: float
) -> tuple[Estimate, Estimate | None, Estimate | None]:
    """Return the probability of leaving in the first period and in later ones, and how far they are apart."""
    four = np.stack([acted[:, 0], risk[:, 0], acted[:, 1:].sum(axis=1), risk[:, 1:].sum(axis=1)], axis=1)
    first = proportion(four[:, 0], four[:, 1], unit="probability", level=level)
    if not four[:, 3].any():
        return first, None, None
    later = proportion(four[:, 2], four[:, 3], unit="probability", level=level)
    stayed = four[:, [1, 3]] - four[:, [0, 2]]
    if min((four > 0).sum(axis=0).min(), (stayed > 0).sum(axis=0).min()) < FEW_GROUPS:
        return first, later, None
    value, without = leave_one_out(four, lambda c: 100 * (c[0] / c[1] - c[2] / c[3]))
    n = int(four[:, 1].sum())
    return first, later, jackknife(float(value), without, unit="percentage points", n=n, level=level)


def _fewest(events: np.ndarray, trials: np.ndarray) -> tuple[int, int]:
    """Return the groups and the stays of the rarer answer; an answer that nobody gave is none."""
    answers = [answer for answer in (events, trials - events) if answer.any()]
    if not answers:
        return 0, 0
    return min(int((answer > 0).sum()) for answer in answers), min(int(answer.sum()) for answer in answers)


def _at_once(found: DwellTimes, tested: int, level: float) -> DwellTimes:
    """Widen the interval of the difference so that it holds for so many stages at once."""
    wide = found.difference
    if wide is None or wide.leave_one_out is None or tested == 1:
        return found
    together = 1 - (1 - level) / tested
    wider = jackknife(wide.value, wide.leave_one_out, unit=wide.unit, n=wide.n, level=together)
    return replace(found, difference=replace(wider, level=level))


def _left(seen: pd.DataFrame, longest: int) -> np.ndarray:
    """Return stays that ended after each number of periods; (100, longest)."""
    lengths = pd.Index(range(1, max(longest, int(seen["dwell_periods"].max()) if len(seen) else 1) + 1))
    ended = seen[seen["next_stage"] != OPEN]
    return by_replicate(ended, ["n"], ["dwell_periods"], [lengths])[:, :longest, 0]


def _ends(seen: pd.DataFrame, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return stays that ended after each number of periods, and those that could have; (100, longest)."""
    lengths = pd.Index(range(1, int(seen["dwell_periods"].max()) + 1))
    left = _left(seen, len(lengths))
    lasted = by_replicate(seen, ["n"], ["dwell_periods"], [lengths])[..., 0]
    # a stay that runs to the last period could not be seen ending then
    longer = lasted[:, ::-1].cumsum(axis=1)[:, ::-1] - lasted
    return left[:, :longest], (left + longer)[:, :longest]
