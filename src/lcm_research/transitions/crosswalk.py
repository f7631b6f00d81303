r"""
Do two schemes call the same customer-months alike? Cohen's kappa on the crosswalk to coarse stages.

Two schemes are compared over the customer-months whose stage both know: what only one of them knows says nothing
about how they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, Estimate, by_replicate, jackknife, leave_one_out, proportion
from lcm_research.stages.scheme import COARSE

__all__ = ["Agreement", "agreements", "cohens_kappa"]


def cohens_kappa(table: np.ndarray) -> np.ndarray:
    r"""
    Agreement beyond what two codings with these margins would reach by chance, unweighted [1]_.

    :math:`\kappa = (p_o - p_e) / (1 - p_e)`. 1 where they always agree, 0 where they agree as often as two that know
    nothing of each other, below 0 where less.

    Parameters
    ----------
    table : array of shape (..., k, k)
        Counts by the first coding (rows) and the second (columns).

    Returns
    -------
    array of shape (...)
        NaN where both codings put everything into one and the same category, or nothing was counted.

    References
    ----------
    .. [1] Cohen (1960), Educational and Psychological Measurement 20:37.

    Examples
    --------
    70 of 100 agree where 50 would by chance, so (0.7 - 0.5) / (1 - 0.5):

    >>> round(float(cohens_kappa(np.array([[35, 15], [15, 35]]))), 10)
    0.4
    """
    total = table.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.trace(table, axis1=-2, axis2=-1) / total
        expected = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1) / total.astype(float) ** 2
        return np.where(1 - expected > 1e-12, (observed - expected) / (1 - expected), np.nan)


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """
    Two schemes beside each other, over the customer-months that both know.

    Attributes
    ----------
    first, second : str
    kappa, agreed : Estimate
        Cohen's kappa, and the share of customer-months that both put into the same coarse stage.
    first_established, second_established : Estimate
        Share of those customer-months that each calls established.
    """

    first: str
    second: str
    kappa: Estimate
    agreed: Estimate
    first_established: Estimate
    second_established: Estimate


def agreements(
    counts: pd.DataFrame, *, names: Sequence[str], n_customers: int, level: float = 0.95
) -> tuple[list[Agreement], dict[tuple[str, str], str]]:
    """
    Compare every two schemes.

    Parameters
    ----------
    counts : DataFrame
        first, second (schemes), first_stage, second_stage (coarse), replicate, n: of ``agreement_counts``. A pair may
        be told in either order; it is told once.
    names : list of str
        The schemes; of two, the earlier comes first.
    n_customers : int
        Customers followed.
    level : float

    Returns
    -------
    agreements : list of Agreement
        From the highest kappa to the lowest.
    unanswered : dict of pair to str
        Pairs that cannot be compared, and why.
    """
    known, coarse = set(names), pd.Index(list(COARSE))
    if unknown := sorted((set(counts["first"]) | set(counts["second"])) - known):
        raise ModelError(f"the crosswalk names '{unknown[0]}', which is not among {', '.join(names)}")
    found, unanswered = [], {}
    for pair, rows in counts.groupby(["first", "second"], sort=True):
        one, other = map(str, pair)
        if one == other:
            continue
        cells = by_replicate(rows, ["n"], ["first_stage", "second_stage"], [coarse, coarse])[..., 0]
        if list(names).index(one) > list(names).index(other):
            one, other, cells = other, one, cells.swapaxes(1, 2)
        lacking = _lacking(cells)
        if lacking:
            unanswered[one, other] = lacking
        else:
            found.append(_agreement(one, other, cells, n_customers, level))
    return sorted(found, key=lambda each: (-each.kappa.value, each.first, each.second)), unanswered


def _agreement(first: str, second: str, cells: np.ndarray, n_customers: int, level: float) -> Agreement:
    value, without = leave_one_out(cells, cohens_kappa)
    trials, established = cells.sum(axis=(1, 2)), COARSE.index("established")
    shares = [
        replace(proportion(events, trials, level=level), n=n_customers)
        for events in (
            np.trace(cells, axis1=1, axis2=2),
            cells[:, established].sum(axis=1),
            cells[:, :, established].sum(axis=1),
        )
    ]
    return Agreement(
        first=first,
        second=second,
        kappa=jackknife(float(value), without, unit="kappa", n=n_customers, level=level),
        agreed=shares[0],
        first_established=shares[1],
        second_established=shares[2],
    )


def _lacking(cells: np.ndarray) -> str:
    if (cells.sum(axis=(1, 2)) > 0).sum() < FEW_GROUPS:
        return f"fewer than {FEW_GROUPS} groups of customers have a month whose stage both schemes know"
    if not np.isfinite(leave_one_out(cells, cohens_kappa)[1]).all():
        return "both schemes put every customer-month into one and the same stage"
    return ""
