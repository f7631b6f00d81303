"""
Whether the past matters beyond the stage now, and whether customers who differ could make it look so.

A chain of order 1 is tested against none and against two. Beside it stands what else would reject it: probabilities
that change over time, customers met at different times, segments that behave differently, and customers who never
move.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.stages.moves import Moves
from lcm_research.transitions.homogeneity import Homogeneity, homogeneity, homogeneity_over_time
from lcm_research.transitions.mover_stayer import MoverStayer, mover_stayer, sequence_table
from lcm_research.transitions.order import OrderTest, order_test
from lcm_research.transitions.replicate_wald import ReplicateWald

__all__ = ["COHORT", "OVER_TIME", "STAYERS", "MemoryChecks", "memory_checks"]

OVER_TIME, COHORT, STAYERS = "period_start", "cohort", "(stayers)"


@dataclass(frozen=True, kw_only=True, eq=False)
class MemoryChecks:
    """
    Tests of the order of a chain, and of what could explain a rejected one.

    Attributes
    ----------
    orders : mapping of order (1, 2) to OrderTest
    alike : mapping of what is compared to Homogeneity
        ``period_start``, ``cohort`` and the segments.
    stayers : MoverStayer or None
        None where no customer was followed for long enough.
    """

    orders: dict[int, OrderTest]
    alike: dict[str, Homogeneity]
    stayers: MoverStayer | None

    @property
    def segments(self) -> tuple[str, ...]:
        """The segments compared."""
        return tuple(name for name in self.alike if name not in (OVER_TIME, COHORT))

    @property
    def on_groups(self) -> dict[str, ReplicateWald]:
        """Every test on the spread between groups of customers, by order, by what is compared, or ``(stayers)``."""
        found = {str(order): test.replicate for order, test in self.orders.items()}
        found |= {name: test.replicate for name, test in self.alike.items() if test.replicate is not None}
        return found | ({STAYERS: self.stayers.replicate} if self.stayers is not None else {})


def memory_checks(
    pairs: pd.DataFrame,
    *,
    moved: pd.DataFrame,
    cohorts: pd.DataFrame,
    sequences: pd.DataFrame | None,
    n_periods: int,
    stages: Sequence[str],
    moves: Moves,
    segments: Sequence[str],
    known_from_purchase: Collection[str],
    prospects: Collection[str],
    rng: np.random.Generator,
    level: float,
) -> MemoryChecks:
    """
    Test the order of the chain and what could explain a rejected one, each by counts and between groups of customers.

    Parameters
    ----------
    pairs : DataFrame
        As ``second_order_counts`` returns them.
    moved : DataFrame
        As ``transition_counts`` returns them, with the segments as columns.
    cohorts : DataFrame
        As ``cohort_counts`` returns them.
    sequences : DataFrame or None
        As ``sequence_counts`` returns them for ``n_periods``; None where none could be counted.
    n_periods : int
    stages : list of str
    moves : Moves
    segments : list of str
        Columns of ``moved`` to compare.
    known_from_purchase : names
        Segments of the first purchase: before it, belonging to one says that a purchase will come.
    prospects : names
        Stages before the first purchase, which are left out where such a segment is compared.
    rng : Generator
        For bootstraps of the groups of customers where many differences are tested at once.
    level : float

    Raises
    ------
    ModelError
        No stage was known at the end of three periods in a row.
    """
    orders = {order: order_test(pairs, stages=stages, moves=moves, order=order, rng=rng) for order in (1, 2)}
    alike = {
        OVER_TIME: homogeneity_over_time(moved, stages=stages, moves=moves, rng=rng),
        COHORT: homogeneity(cohorts, stages=stages, moves=moves, by=COHORT, ordered=True, rng=rng),
    }
    for segment in segments:
        own = moved[~moved["from_stage"].isin(list(prospects))] if segment in known_from_purchase else moved
        if len(own):
            alike[segment] = homogeneity(own, stages=stages, moves=moves, by=segment, ordered=False, rng=rng)
    stayers = None
    if sequences is not None and len(sequences):
        table = sequence_table(sequences, stages=stages, n_periods=n_periods)
        stayers = mover_stayer(table, moves=moves, level=level)
    return MemoryChecks(orders=orders, alike=alike, stayers=stayers)
