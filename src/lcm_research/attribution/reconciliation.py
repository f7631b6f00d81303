"""
What became of every touch, conversion, journey and customer, so that a page can say who is in.

Nothing is dropped in silence: what is not in the counts is counted here under the reason why.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from lcm_research.attribution.journeys import (
    PURCHASE,
    TOUCH,
    Window,
    journey_status,
    journey_touches,
    linked_events,
    with_journey_days,
    with_replicate,
)
from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, Estimate, proportion

__all__ = ["STATUSES", "SUBJECTS", "journey_reconciliation", "untouched_share"]

SUBJECTS = ("customer", "touch", "conversion", "converted_journey", "unconverted_journey")
"""What ``journey_reconciliation`` accounts for, in the order a page shows it."""

STATUSES = (
    "used",
    "with_touch",
    "without_touch",
    "repeated",
    "outside_observation",
    "other_touch_type",
    "starts_too_early",
    "ends_too_late",
    "no_journey",
)
"""What can become of them, in the order a page shows it."""


@reduction(
    keys={"subject": "object", "status": "object", "replicate": "int64"},
    counts={"n_customers": "int64", "n": "int64"},
)
def journey_reconciliation(
    tables: Tables,
    *,
    lookback_days: int,
    touch_types: Sequence[str],
    observation_start_day: int,
    as_of_day: int,
    collapse_repeats: bool,
) -> ir.Table:
    """
    Count what becomes of every touch, journey, conversion and customer, so that a page can say who is in.

    Parameters are those of ``edge_counts``. Each of them is a ``subject`` with one ``status``:

    - ``used``: in the counts;
    - ``with_touch``, ``without_touch``: conversions, by whether a touch precedes them within the lookback; nobody is
      credited for one without;
    - ``outside_observation``, ``other_touch_type``: touches that are not looked at;
    - ``starts_too_early``: within ``lookback_days`` of the first day of observation; what came before is not known;
    - ``ends_too_late``: the journey's last touch is younger than ``lookback_days``, its outcome not known;
    - ``repeated``: a touch that ``collapse_repeats`` makes one with the touch before;
    - ``no_journey``: customers without a journey that is used.

    Returns
    -------
    ir.Table
        ``subject``, ``status``, ``replicate``, the count ``n``, and ``n_customers`` with at least one of them: a
        customer may stand in several rows.
    """
    window = Window(lookback_days, tuple(touch_types), observation_start_day, as_of_day)
    events = linked_events(tables, window)
    touches = with_journey_days(journey_touches(events, window))
    status = journey_status(touches.first_day, touches.last_day, window)
    repeated = touches.repeated & collapse_repeats & (status == "used")
    touches = touches.mutate(status=status, touch_status=ibis.cases((repeated, "repeated"), else_=status))
    customers = tables["customers"].select("customer_id")
    active = touches.filter(touches.status == "used").select("customer_id").distinct()
    silent = customers.anti_join(active, "customer_id")
    journeys = touches.filter(touches.ends)
    subject = journeys.converted.ifelse("converted_journey", "unconverted_journey")
    parts = [
        active.select("customer_id", subject=ibis.literal("customer"), status=ibis.literal("used")),
        silent.select("customer_id", subject=ibis.literal("customer"), status=ibis.literal("no_journey")),
        _touches_not_looked_at(tables, window),
        touches.select("customer_id", subject=ibis.literal("touch"), status=touches.touch_status),
        journeys.select("customer_id", subject=subject, status=journeys.status),
        _conversions(events, window),
    ]
    told = with_replicate(ibis.union(*parts), tables).group_by(["subject", "status", "replicate"])
    return told.agg(n_customers=lambda t: t.customer_id.nunique(), n=lambda t: t.count())


def untouched_share(reconciliation: pd.DataFrame, *, level: float = 0.95) -> Estimate:
    """
    Share of conversions that no touch precedes within the lookback: what attribution cannot say anything about.

    Parameters
    ----------
    reconciliation : DataFrame
        Of ``journey_reconciliation``. Conversions whose lookback was not observed whole do not count.

    Returns
    -------
    Estimate
        A share of conversions; ``n`` counts them.
    """
    conversions = reconciliation[reconciliation["subject"] == "conversion"]

    def by_group(status: str) -> np.ndarray:
        rows = conversions[conversions["status"] == status]
        return np.bincount(rows["replicate"].to_numpy(np.int64), weights=rows["n"].to_numpy(float), minlength=N_GROUPS)

    without = by_group("without_touch")
    n = without + by_group("with_touch")
    if not n.sum():
        raise ModelError("the share of conversions without a touch needs conversions; came none with a whole lookback")
    return proportion(without, n, level=level)


def _touches_not_looked_at(tables: Tables, window: Window) -> ir.Table:
    touches = tables["touchpoints"]
    inside = touches.day.between(window.observation_start_day, window.as_of_day)
    status = inside.ifelse("other_touch_type", "outside_observation")
    ignored = touches.filter(~(inside & touches.touch_type.isin(window.touch_types)))
    return ignored.select("customer_id", subject=ibis.literal("touch"), status=status)


def _conversions(events: ir.Table, window: Window) -> ir.Table:
    """Conversions, by whether a touch precedes them within the lookback, where the whole of it was observed."""
    conversions = events.filter(events.kind == PURCHASE)
    within = conversions.day - conversions.previous_day <= window.lookback_days
    touched = ((conversions.previous_kind == TOUCH) & within).fill_null(False)
    status = ibis.cases(
        (conversions.day < window.first_start_day, "starts_too_early"),
        (touched, "with_touch"),
        else_="without_touch",
    )
    return conversions.select("customer_id", subject=ibis.literal("conversion"), status=status)
