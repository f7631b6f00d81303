"""
Hazard ratios of events that come again: purchases, complaints, lapses of one customer after another.

Three ways to say who is at risk of the next event, all Cox's model on the same stretches
(``recurrent_event_counts``). Stretches of one customer hang together, so intervals go by groups of customers or by
customer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.survival.hazards import CoxFit, CoxIntervals, cox
from lcm_research.survival.partial_likelihood import TieRule
from lcm_research.survival.risk_sets import SPELL, check_spells, entry_days

__all__ = ["Clock", "andersen_gill", "prentice_williams_peterson"]

Clock = Literal["total", "gap"]


def andersen_gill(
    counts: pd.DataFrame,
    *,
    covariates: Sequence[str],
    ties: TieRule,
    intervals: CoxIntervals,
    reference: Mapping[str, str] | None = None,
    cluster: str | None = None,
    level: float = 0.95,
) -> CoxFit:
    """
    Ratios of the rate of events, whichever event of a customer it is [1]_.

    Everyone under observation is at risk of an event, with the same baseline rate on a day whether it would be
    the first or the tenth. The ratios are of the mean number of events as well, and hold as such even where a
    customer's events hang together; then only the intervals by replicate or by customer do [2]_.

    Parameters
    ----------
    counts : DataFrame
        Stretches as ``recurrent_event_counts`` gives them: ``entry_days``, ``duration_days``, ``event_observed``,
        ``n``, the covariates, and where it exists ``replicate``.
    covariates, ties, reference, level
        As for ``cox``.
    intervals : {"replicate", "robust", "information"}
        As for ``cox``; ``robust`` needs ``cluster``. ``information`` is right only if no event says anything about
        the next.
    cluster : str, optional
        Column of the customer.

    Returns
    -------
    CoxFit
        ``n`` counts stretches.

    References
    ----------
    .. [1] Andersen and Gill (1982), Annals of Statistics 10:1100.
    .. [2] Lin et al. (2000), JRSS B 62:711.
    """
    counts = _checked(counts, "Andersen and Gill's model", (), intervals, cluster)
    return cox(
        counts,
        covariates=covariates,
        ties=ties,
        intervals=intervals,
        reference=reference,
        cluster=cluster,
        level=level,
    )


def prentice_williams_peterson(
    counts: pd.DataFrame,
    *,
    clock: Clock,
    covariates: Sequence[str],
    ties: TieRule,
    intervals: CoxIntervals,
    reference: Mapping[str, str] | None = None,
    cluster: str | None = None,
    level: float = 0.95,
) -> CoxFit:
    """
    Ratios of the hazard of the next event, among customers who have had as many [1]_.

    Each event number has a baseline of its own, and only those who had the one before are at risk of it. So a
    later event compares customers whom the earlier ones have selected: read the ratios event by event, not as an
    effect on how many events there will be.

    Parameters
    ----------
    counts : DataFrame
        As for ``andersen_gill``, with ``event_number``.
    clock : {"total", "gap"}
        ``total``: days since the first purchase. ``gap``: days since the event before.
    covariates, ties, intervals, reference, cluster, level
        As for ``andersen_gill``.

    References
    ----------
    .. [1] Prentice, Williams and Peterson (1981), Biometrika 68:373.
    """
    if clock not in get_args(Clock):
        raise ModelError(f"clock must be 'total' or 'gap'; came '{clock}'")
    counts = _checked(counts, "Prentice, Williams and Peterson's model", ("event_number",), intervals, cluster)
    if clock == "gap":
        counts = counts.assign(duration_days=counts["duration_days"] - entry_days(counts), entry_days=0)
    return cox(
        counts,
        covariates=covariates,
        ties=ties,
        intervals=intervals,
        reference=reference,
        strata="event_number",
        cluster=cluster,
        level=level,
    )


def _checked(
    counts: pd.DataFrame, purpose: str, extra: Sequence[str], intervals: str, cluster: str | None
) -> pd.DataFrame:
    if intervals == "robust" and cluster is None:
        raise ModelError(
            "intervals='robust' needs cluster, the column of the customer: stretches of one customer hang together; "
            "or choose 'replicate'"
        )
    return check_spells(counts, (*SPELL, "entry_days", *extra), purpose)
