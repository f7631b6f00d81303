"""
How long stays in a stage last, period by period, against the geometric law that a chain without memory implies.

In such a chain the chance of leaving is the same however long a customer has stayed. Where it falls, some customers
are more settled than others, or settle with time; where it rises, a clock runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import by_replicate, proportion
from lcm_research.stages.dwell import OPEN
from lcm_research.transitions.contingency import Classical, classical_test, group_test
from lcm_research.transitions.homogeneity import join_few
from lcm_research.transitions.replicate_wald import ReplicateWald

__all__ = ["DwellTimes", "dwell_times"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DwellTimes:
    """
    Stays in one stage.

    Attributes
    ----------
    stage : str
    rows : DataFrame
        dwell_periods, n_at_risk (stays that could end then), n_left, leaving (probability) with lower and upper,
        staying (probability of a longer stay, Kaplan and Meier's) and geometric (the same at a constant chance).
    classical : Classical
        That the chance of leaving is constant, as if every stay were another customer's.
    replicate : ReplicateWald
        The same on the spread between groups of customers.
    n_left_out : int
        Stays whose beginning was not seen.
    """

    stage: str
    rows: pd.DataFrame
    classical: Classical
    replicate: ReplicateWald
    n_left_out: int

    def table(self) -> pd.DataFrame:
        """Return the rows."""
        return self.rows


def dwell_times(
    counts: pd.DataFrame,
    *,
    stage: str,
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
    longest = min(horizon_periods, int(seen["dwell_periods"].max()))
    left, risk = _ends(seen, longest)
    rows = []
    constant = left.sum() / risk.sum()
    staying = 1.0
    for k in range(longest):
        if not risk[:, k].any():
            break
        found = proportion(left[:, k], risk[:, k], unit="probability", level=level)
        staying *= 1 - found.value
        ends = (found.value, found.lower, found.upper, staying, (1 - constant) ** (k + 1))
        rows.append((k + 1, int(risk[:, k].sum()), int(left[:, k].sum()), *ends))
    table = join_few(np.stack([left, risk - left], axis=2), ordered=True)
    possible = np.ones(table.shape[1:], dtype=bool)
    columns = ["dwell_periods", "n_at_risk", "n_left", "leaving", "lower", "upper", "staying", "geometric"]
    return DwellTimes(
        stage=stage,
        rows=pd.DataFrame(rows, columns=columns),
        classical=classical_test(table.sum(axis=0), possible),
        replicate=group_test([table], [possible], rng=rng)[0],
        n_left_out=int(own["n"].sum() - seen["n"].sum()),
    )


def _ends(seen: pd.DataFrame, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return stays that ended after each number of periods, and those that could have; (100, longest)."""
    lengths = pd.Index(range(1, int(seen["dwell_periods"].max()) + 1))
    ended = seen[seen["next_stage"] != OPEN]
    left = by_replicate(ended, ["n"], ["dwell_periods"], [lengths])[..., 0]
    lasted = by_replicate(seen, ["n"], ["dwell_periods"], [lengths])[..., 0]
    # a stay that runs to the last period could not be seen ending then
    longer = lasted[:, ::-1].cumsum(axis=1)[:, ::-1] - lasted
    return left[:, :longest], (left + longer)[:, :longest]
