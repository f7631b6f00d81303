"""
How much of the past the next move depends on: nothing, the stage now, or the stage before as well.

A rejected order says that there is memory or that customers differ: a population of customers each without memory
looks as if it had one. So the classical tests stand beside one on the spread between groups of customers, and the
result names both readings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import by_replicate
from lcm_research.stages.moves import Moves
from lcm_research.transitions.contingency import Behaviour, Classical, behaviour, classical_test, group_test
from lcm_research.transitions.replicate_wald import ReplicateWald

__all__ = ["OrderTest", "order_comparison", "order_test", "second_order_moves"]


@dataclass(frozen=True, kw_only=True, eq=False)
class OrderTest:
    """
    A test of one order of a Markov chain against the next.

    Attributes
    ----------
    order : int
        Of the alternative: 1 (against no memory at all) or 2 (against the stage now being enough).
    classical : Classical
        Likelihood ratio and Pearson's statistic; they take differences between customers for memory.
    replicate : ReplicateWald
        On the spread between groups of customers: it keeps its size when customers differ in how much they say,
        but rejects, as it should, when differences between them look like memory.
    n : int
        Moves compared, in customer-periods.
    n_left_out : int
        Rows and outcomes seen in fewer than 20 groups of customers, and cells expected fewer than five times, which the
        replicate test leaves out.
    by_stage : DataFrame
        For order 2 one row a stage now: stage, n_from, likelihood_ratio, pearson, degrees_of_freedom, p_value.
    """

    order: int
    classical: Classical
    replicate: ReplicateWald
    n: int
    n_left_out: int
    by_stage: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Return one row a test: test, order, statistic, degrees_of_freedom, p_value."""
        k, wald = self.classical, self.replicate
        freedom = f"{wald.degrees_of_freedom[0]}, {wald.degrees_of_freedom[1]}"
        rows = [
            ("likelihood ratio", k.likelihood_ratio, str(k.degrees_of_freedom), k.p_value),
            ("Pearson", k.pearson, str(k.degrees_of_freedom), k.pearson_p_value),
            (f"groups of customers ({wald.method})", wald.statistic, freedom, wald.p_value),
        ]
        made = pd.DataFrame(rows, columns=["test", "statistic", "degrees_of_freedom", "p_value"])
        made.insert(1, "order", self.order)
        return made


def second_order_moves(counts: pd.DataFrame, *, stages: Sequence[str]) -> np.ndarray:
    """
    Arrange pairs of moves by group of customers.

    Parameters
    ----------
    counts : DataFrame
        before_stage, from_stage, to_stage, replicate and n, as ``second_order_counts`` returns them.
    stages : list of str

    Returns
    -------
    array of float, shape (100, n_stages, n_stages, n_stages)
        The stage before, the stage now, the next stage.
    """
    levels = pd.Index(list(stages))
    return by_replicate(counts, ["n"], ["before_stage", "from_stage", "to_stage"], [levels] * 3)[..., 0]


def order_test(
    counts: pd.DataFrame,
    *,
    stages: Sequence[str],
    order: int,
    moves: Moves | None,
    rng: np.random.Generator | None = None,
) -> OrderTest:
    r"""
    Test whether the next move depends on the stage now (order 1), or on the stage before as well (order 2).

    :math:`G^2 = 2\sum n\log(n/e)` and :math:`X^2 = \sum (n-e)^2/e`, with ``e`` what is expected if it does not [1]_,
    [2]_; beside them Hotelling's F on the covariance between 100 groups of customers. Moves by the clock are no
    behaviour: with ``moves`` they are one outcome with staying.

    Parameters
    ----------
    counts : DataFrame
        As ``second_order_counts`` returns them; the same customer-periods serve both orders.
    stages : list of str
    order : {1, 2}
    moves : Moves or None
        What the scheme rules out and what its clock does; None where every move is possible and none is a clock's.
    rng : Generator, optional
        For a bootstrap of the groups where more than 30 differences are tested at once.

    Raises
    ------
    ModelError
        No pair of moves was counted, or one that the scheme rules out.

    References
    ----------
    .. [1] Anderson and Goodman (1957), Annals of Mathematical Statistics 28:89.
    .. [2] Billingsley (1961), Annals of Mathematical Statistics 32:12.
    """
    if order not in (1, 2):
        raise ModelError(f"expected order=1 (against none) or order=2 (against one); came order={order}")
    grouped, kind = _outcomes(counts, stages, moves)
    if order == 1:
        tables, possible, names = [grouped.sum(axis=1)], [kind.possible], ["(all)"]
    else:
        tables = [grouped[:, :, i] for i in range(len(stages))]
        possible = [_pairs(kind, moves, i, len(stages)) for i in range(len(stages))]
        names = list(stages)
    found = [classical_test(table.sum(axis=0), allowed) for table, allowed in zip(tables, possible, strict=True)]
    replicate, left_out = group_test(tables, possible, rng=rng)
    return OrderTest(
        order=order,
        classical=sum(found[1:], start=found[0]),
        replicate=replicate,
        n=int(grouped.sum()),
        n_left_out=left_out,
        by_stage=_by_stage(names, tables, found),
    )


def order_comparison(counts: pd.DataFrame, *, stages: Sequence[str], moves: Moves | None) -> pd.DataFrame:
    """
    Compare chains of order 0, 1 and 2 on the same customer-periods by AIC and BIC.

    Both take every customer-period for another customer's, so they choose an order that is too high where
    customers differ.

    Returns
    -------
    DataFrame
        order, log_likelihood, n_parameters, aic, bic. Structural zeros are no parameters.
    """
    grouped, _ = _outcomes(counts, stages, moves)
    total = grouped.sum(axis=0)
    made = {order: order_test(counts, stages=stages, order=order, moves=moves).classical for order in (1, 2)}
    sizes = total.sum(axis=2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        second = np.where(total > 0, total * np.log(total / sizes), 0.0).sum()
    reached = total.sum(axis=0) > 0
    zero_parameters = int(reached.any(axis=0).sum()) - 1
    likelihood = {2: second, 1: second - made[2].likelihood_ratio / 2}
    likelihood[0] = likelihood[1] - made[1].likelihood_ratio / 2
    parameters = {0: zero_parameters, 1: zero_parameters + made[1].degrees_of_freedom}
    parameters[2] = parameters[1] + made[2].degrees_of_freedom
    rows = [
        (
            order,
            float(likelihood[order]),
            parameters[order],
            float(2 * parameters[order] - 2 * likelihood[order]),
            float(np.log(total.sum()) * parameters[order] - 2 * likelihood[order]),
        )
        for order in (0, 1, 2)
    ]
    return pd.DataFrame(rows, columns=["order", "log_likelihood", "n_parameters", "aic", "bic"])


def _outcomes(counts: pd.DataFrame, stages: Sequence[str], moves: Moves | None) -> tuple[np.ndarray, Behaviour]:
    """Return outcomes (100, before, now, outcome) and what they are."""
    if counts.empty or not counts["n"].sum():
        raise ModelError(
            "a test of the order needs customers whose stage is known at the end of three periods in a row; none were "
            "counted: the window may be too short for the churn window"
        )
    grouped = second_order_moves(counts, stages=stages)
    if moves is not None:
        wrong = np.argwhere((grouped.sum(axis=(0, 1)) > 0) & ~moves.possible)
        if len(wrong):
            i, j = wrong[0]
            raise ModelError(
                f"moves from '{stages[i]}' to '{stages[j]}' were counted, which are declared a structural zero; counts "
                "and moves must come from the same scheme and thresholds"
            )
    kind = behaviour(stages, moves)
    return kind.gather(grouped), kind


def _pairs(kind: Behaviour, moves: Moves | None, now: int, size: int) -> np.ndarray:
    """Which (stage before, outcome) can be seen together with the stage now."""
    before = np.ones(size, dtype=bool) if moves is None else moves.possible[:, now]
    return before[:, None] & kind.possible[now][None, :]


def _by_stage(names: Sequence[str], tables: Sequence[np.ndarray], found: Sequence[Classical]) -> pd.DataFrame:
    rows = [
        (name, int(table.sum()), k.likelihood_ratio, k.pearson, k.degrees_of_freedom, k.p_value)
        for name, table, k in zip(names, tables, found, strict=True)
    ]
    columns = ["stage", "n_from", "likelihood_ratio", "pearson", "degrees_of_freedom", "p_value"]
    return pd.DataFrame(rows, columns=columns)
