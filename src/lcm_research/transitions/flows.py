"""
Flows between stages from one chosen period to the next, and what of them may be shown.

Who was not there before, or whose stage was not known, enters; nobody leaves, so a later stock is the flows into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, by_replicate, proportion
from lcm_research.privacy import small_rows
from lcm_research.stages.flows import ENTERED
from lcm_research.stages.panel import UNKNOWN

__all__ = ["StageFlows", "stage_flows"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StageFlows:
    """
    Customers by their stages at the ends of two chosen periods in a row.

    Attributes
    ----------
    stages : tuple of str
    periods : tuple of str
        First day of each chosen period, in order; one more than there are steps.
    n : array of float, shape (n_steps, 100, n_stages + 1, n_stages)
        From rows, to columns, by group of customers; the last row holds who enters.
    """

    stages: tuple[str, ...]
    periods: tuple[str, ...]
    n: np.ndarray

    @property
    def step_months(self) -> int:
        """Calendar months from one chosen period to the next."""
        last, before = (pd.Period(period[:7], freq="M") for period in (self.periods[-1], self.periods[-2]))
        return int((last - before).n)

    def stock(self, period: int) -> np.ndarray:
        """Return the customers in each stage at the end of a chosen period, shape (n_stages,)."""
        if period == 0:
            return self.n[0, :, :-1].sum(axis=(0, 2))
        return self.n[period - 1].sum(axis=(0, 1))

    def hidden_stock(self, period: int, *, min_group: int) -> np.ndarray:
        """Return which stages hold fewer than ``min_group`` customers then, or would give such a stage away."""
        return small_rows(pd.Series(self.stock(period)), None, min_group=min_group)

    def hidden(self, step: int, *, min_group: int) -> np.ndarray:
        """
        Return which flows of a step are not shown, shape (n_stages + 1, n_stages).

        Those of fewer than ``min_group`` customers, those from or to a stage whose stock is hidden, and those that
        would give another away: the sums of each row and of each column are known.
        """
        n = self.n[step].sum(axis=0)
        mask = (n > 0) & (n < min_group)
        mask[:-1][self.hidden_stock(step, min_group=min_group)] = True
        mask[:, self.hidden_stock(step + 1, min_group=min_group)] = True
        mask &= n > 0
        before = None
        while before is None or (before != mask).any():
            before = mask.copy()
            for flows, hidden in ((n, mask), (n.T, mask.T)):
                _protect(flows, hidden)
        return mask

    def left_out(self, *, min_group: int) -> float:
        """Return the share of customers, over all steps, whose flow is not shown."""
        hidden = sum(self.n[k].sum(axis=0)[self.hidden(k, min_group=min_group)].sum() for k in range(len(self.n)))
        return float(hidden / self.n.sum())

    def smallest_shown(self, *, min_group: int) -> int:
        """Return the customers of the smallest flow that is shown; 0 where none is."""
        shown = [self.n[k].sum(axis=0)[~self.hidden(k, min_group=min_group)] for k in range(len(self.n))]
        sizes = np.concatenate(shown)
        return int(sizes[sizes > 0].min()) if (sizes > 0).any() else 0

    def changed(self, step: int, *, level: float = 0.95) -> Estimate:
        """Return the share, of customers whose stage was known before, who are in another stage after a step."""
        known = self.n[step, :, :-1]
        stayed = np.trace(known, axis1=1, axis2=2)
        total = known.sum(axis=(1, 2))
        if not total.any():
            raise ModelError(f"nobody's stage was known at the end of {self.periods[step]}")
        return proportion(total - stayed, total, level=level)

    def largest_change(self, step: int, *, min_group: int) -> tuple[str, str] | None:
        """Return the two different stages between which most customers flowed; None where no such flow is shown."""
        n = np.where(self.hidden(step, min_group=min_group), 0.0, self.n[step].sum(axis=0))[:-1]
        np.fill_diagonal(n, 0.0)
        if not n.any():
            return None
        i, j = np.unravel_index(int(n.argmax()), n.shape)
        return self.stages[i], self.stages[j]

    def share(self, step: int, from_stage: str, to_stage: str, *, level: float = 0.95) -> Estimate:
        """Return the share of customers in one stage who are in another, or the same, after a step."""
        row = self.n[step, :, self.stages.index(from_stage)]
        if not row.any():
            raise ModelError(f"nobody was in '{from_stage}' at the end of {self.periods[step]}")
        return proportion(row[:, self.stages.index(to_stage)], row.sum(axis=1), level=level)

    def table(self, step: int, *, min_group: int, level: float = 0.95) -> pd.DataFrame:
        """
        Return the flows of a step, one row for each that somebody made.

        Columns: from, to (``from`` is ``(entered)`` for who enters), share (Estimate, of those in ``from``; None for
        who enters), n_customers. Both are None where the flow is not shown.
        """
        n, hidden = self.n[step].sum(axis=0), self.hidden(step, min_group=min_group)
        rows = []
        for i, j in zip(*np.nonzero(n), strict=True):
            start = self.stages[i] if i < len(self.stages) else ENTERED
            shown = not hidden[i, j]
            share = self.share(step, start, self.stages[j], level=level) if shown and start != ENTERED else None
            rows.append((start, self.stages[j], share, int(n[i, j]) if shown else None))
        return pd.DataFrame(rows, columns=["from", "to", "share", "n_customers"], dtype=object)


def _protect(flows: np.ndarray, hidden: np.ndarray) -> None:
    """Hide, in each row with a single hidden flow, the next smallest as well; ``hidden`` is changed."""
    for i in range(len(flows)):
        shown = np.flatnonzero(~hidden[i] & (flows[i] > 0))
        if hidden[i].sum() == 1 and len(shown):
            hidden[i, shown[np.argmin(flows[i, shown])]] = True


def stage_flows(counts: pd.DataFrame, *, periods: Sequence[str], stages: Sequence[str]) -> StageFlows:
    """
    Arrange the counts of ``flow_counts_between``; who comes from an unknown stage enters.

    Parameters
    ----------
    counts : DataFrame
        period_start, from_stage, to_stage, replicate, n; further keys are summed over.
    periods : list of str
        The chosen periods, the first among them.
    stages : list of str

    Raises
    ------
    ModelError
        Fewer than two chosen periods have customers of known stage.
    """
    known = counts[counts["to_stage"] != UNKNOWN]
    known = known.assign(from_stage=known["from_stage"].replace(UNKNOWN, ENTERED))
    ordered = sorted(periods)
    levels = [pd.Index(ordered[1:]), pd.Index([*stages, ENTERED]), pd.Index(list(stages))]
    n = by_replicate(known, ["n"], ["period_start", "from_stage", "to_stage"], levels)[..., 0].transpose(1, 0, 2, 3)
    # the first column is the first period in which somebody's stage was known
    there = n[:, :, :-1].sum(axis=(1, 2, 3)) > 0
    if not there.any():
        raise ModelError(
            "flows need customers whose stage is known at the ends of two of the chosen periods; none were counted: "
            "choose a shorter step"
        )
    first = int(there.argmax())
    return StageFlows(stages=tuple(stages), periods=tuple(ordered[first:]), n=n[first:])
