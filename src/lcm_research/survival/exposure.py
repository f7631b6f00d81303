"""
From purchases and social acts to counts of who engaged, when, and whether the spell went on.

Whoever lapses early had no time to engage, and the last days of a spell are not yet known to be its last. So the
exposure of a period of a spell is what happened ``lag_periods`` earlier, and what is held equal beside it, the
customer's purchases, is older still. Spells, lapses and the cut are those of ``spells``: incident entry, a lapse
dated at its last activity day. A period counts only where the cut lies beyond its end, whether the spell lapsed
in it or not: of the last, half-seen period one would otherwise see the lapses and not who went on.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError
from lcm_research.survival.spells import History, classified_spells

__all__ = ["activity_classes", "ever_engaged_counts", "exposure_counts", "landmark_counts"]


@reduction(
    keys={"period": "int64", "engaged": "bool", "activity": "object", "replicate": "int64"},
    counts={"n_at_risk": "int64", "n_events": "int64"},
)
def exposure_counts(
    tables: Tables,
    *,
    window_days: int,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    churn_activity: Sequence[str],
    actions: Sequence[str],
    period_days: int,
    lag_periods: int,
    activity_breaks: Sequence[int],
    by: Sequence[str],
) -> ir.Table:
    """
    Count incident spells at risk and lapsing, period by period, by whether the customer had engaged before.

    Parameters
    ----------
    window_days, observation_start_day, as_of_day, history
        As for ``spell_counts``.
    churn_activity : list of str
        What counts as activity in this study; ``engagements`` in it is refused, for then engaging is staying.
    actions : list of str
        Social acts that count as engaging; an empty list is every act. An act that takes a purchase, such as a
        review, is better left out.
    period_days : int
        Spells are cut into periods of this length from their first day on; period 1 holds it.
    lag_periods : int
        At least 1. The exposure of period ``k`` is an act in period ``k - lag_periods`` of the same spell; in the
        first ``lag_periods`` periods nobody has one.
    activity_breaks : list of int
        Rising, from 2 on. Purchase days of the spell up to the first day of the exposure's period, in classes
        that begin at 1 and at each break.
    by : list of str
        Segment columns of ``customers``; a customer without a value is ``"unknown"``.

    Returns
    -------
    ir.Table
        ``by``, ``period``, ``engaged``, ``activity`` (``"1"``, ``"2-3"``, ... ``"8+"``), ``replicate``; spells at
        risk at the period's start ``n_at_risk`` and those whose last activity lies in it, ``n_events``.
    """
    _check_exposure(churn_activity)
    cut = as_of_day - window_days
    n_periods = (cut - observation_start_day) // max(period_days, 1)
    _check_periods(period_days, lag_periods, n_periods)
    spells = _incident(tables, window_days, observation_start_day, as_of_day, history, by)

    lives = spells.cross_join(ibis.memtable(pd.DataFrame({"period": np.arange(1, n_periods + 1)})))
    lives = lives.filter(
        lives.duration_days > (lives.period - 1) * period_days, lives.start_day + lives.period * period_days <= cut
    )
    acts = _since_start(_acts(tables, actions), spells)
    acts = acts.select("customer_id", period=acts.offset // period_days + 1, acted=True).distinct()
    # counted from the first period that begins on that day or later
    bought = _since_start(_purchase_days(tables), spells)
    bought = bought.select("customer_id", period=(bought.offset + period_days - 1) // period_days + 1)
    bought = bought.group_by("customer_id", "period").agg(n_bought=lambda t: t.count())

    lives = _beside(_beside(lives, acts), bought)
    so_far = ibis.window(group_by="customer_id", order_by="period", preceding=None, following=0)
    lives = lives.mutate(n_days=lives.n_bought.fill_null(0).sum().over(so_far))
    in_order = ibis.window(group_by="customer_id", order_by="period")
    lives = lives.mutate(
        engaged=lives.acted.lag(lag_periods).over(in_order).fill_null(False),
        n_days=lives.n_days.lag(lag_periods).over(in_order).fill_null(1),
        lapsed=(lives.event_observed & (lives.duration_days <= lives.period * period_days)).cast("int64"),
    )
    lives = lives.mutate(activity=_class_of(lives.n_days, activity_breaks))
    cells = lives.group_by([*by, "period", "engaged", "activity", "replicate"])
    return cells.agg(n_at_risk=lambda t: t.count(), n_events=lambda t: t.lapsed.sum())


@reduction(
    keys={"duration_days": "int64", "event_observed": "bool", "engaged": "bool", "replicate": "int64"},
    counts={"n": "int64"},
)
def ever_engaged_counts(
    tables: Tables,
    *,
    window_days: int,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    churn_activity: Sequence[str],
    actions: Sequence[str],
    by: Sequence[str],
) -> ir.Table:
    """
    Count incident spells by duration and by whether the customer ever engaged during the spell.

    What the naive comparison needs, and wrong for it: only a spell that lasts has time for an act, so that
    engaged spells are long whether or not engaging keeps anybody. Parameters are those of ``exposure_counts``.

    Returns
    -------
    ir.Table
        ``by``, ``duration_days``, ``event_observed``, ``engaged`` (an act between the first day and the last, or
        the day before the cut), ``replicate``; the count of spells ``n``.
    """
    _check_exposure(churn_activity)
    spells = _incident(tables, window_days, observation_start_day, as_of_day, history, by)
    acts = _since_start(_acts(tables, actions), spells)
    spells = _with_engaged(spells, acts.filter(acts.offset < acts.duration_days))
    keys = [*by, "duration_days", "event_observed", "engaged", "replicate"]
    return spells.group_by(keys).agg(n=lambda t: t.count())


@reduction(
    keys={
        "duration_days": "int64",
        "event_observed": "bool",
        "engaged": "bool",
        "activity": "object",
        "replicate": "int64",
    },
    counts={"n": "int64"},
)
def landmark_counts(
    tables: Tables,
    *,
    window_days: int,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    churn_activity: Sequence[str],
    actions: Sequence[str],
    landmark_days: int,
    activity_breaks: Sequence[int],
    by: Sequence[str],
    exposure_days: int | None = None,
) -> ir.Table:
    """
    Count incident spells that reach day ``landmark_days`` by what came before it and how long they last from it.

    Everybody compared was there until the landmark, so that all had the same time to engage. Whoever bought lately
    is no landmark: that would choose by the outcome.

    Parameters
    ----------
    landmark_days : int
        At least 2: the day of the spell from which time runs. Spells with a shorter duration are not counted.
    exposure_days : int, optional
        Only acts in this many days before the landmark expose, and the purchases held equal are those up to the
        first of them, so that nothing is held equal that came after an act. By default every act and purchase day
        before the landmark is used.
    window_days, observation_start_day, as_of_day, history, churn_activity, actions, activity_breaks, by
        As for ``exposure_counts``.

    Returns
    -------
    ir.Table
        ``by``, ``duration_days`` (1 where the spell lapses on the landmark itself), ``event_observed``,
        ``engaged`` (an act in the ``landmark_days - 1`` or ``exposure_days`` days before), ``activity`` (purchase
        days in them, or up to the first of them), ``replicate``; the count of spells ``n``.
    """
    _check_exposure(churn_activity)
    _check_landmark(landmark_days, as_of_day - window_days - observation_start_day, exposure_days)
    spells = _incident(tables, window_days, observation_start_day, as_of_day, history, by)
    spells = spells.filter(spells.duration_days >= landmark_days)
    acts, bought = (_since_start(days, spells) for days in (_acts(tables, actions), _purchase_days(tables)))
    since = 0 if exposure_days is None else landmark_days - 1 - exposure_days
    until = landmark_days - 2 if exposure_days is None else since
    n_days = bought.filter(bought.offset <= until).group_by("customer_id").agg(n_days=lambda t: t.count())
    acts = acts.filter(acts.offset >= since, acts.offset < landmark_days - 1)
    spells = _with_engaged(spells, acts).join(n_days, "customer_id")
    spells = spells.mutate(
        duration_days=spells.duration_days - landmark_days + 1, activity=_class_of(spells.n_days, activity_breaks)
    )
    keys = [*by, "duration_days", "event_observed", "engaged", "activity", "replicate"]
    return spells.group_by(keys).agg(n=lambda t: t.count())


def activity_classes(breaks: Sequence[int]) -> list[str]:
    """
    Names of the classes that begin at 1 and at each break.

    >>> activity_classes([2, 4, 8])
    ['1', '2-3', '4-7', '8+']
    """
    if not breaks or list(breaks) != sorted(set(breaks)) or breaks[0] < 2:
        raise ModelError(f"activity_breaks must rise and begin at 2 or later, such as [2, 4, 8]; came {list(breaks)}")
    begins = [1, *breaks]
    closed = [str(begin) if end == begin + 1 else f"{begin}-{end - 1}" for begin, end in itertools.pairwise(begins)]
    return [*closed, f"{begins[-1]}+"]


def _class_of(n_days: ir.Value, breaks: Sequence[int]) -> ir.Value:
    names = activity_classes(breaks)
    below = [(n_days < end, name) for end, name in zip(breaks, names[:-1], strict=True)]
    return ibis.cases(*below, else_=names[-1])


def _incident(
    tables: Tables,
    window_days: int,
    observation_start_day: int,
    as_of_day: int,
    history: History,
    by: Sequence[str],
) -> ir.Table:
    """Each customer's first spell, where it is used: at most one row a customer."""
    spells = classified_spells(tables, window_days, observation_start_day, as_of_day, history, "incident", by)
    used = spells.filter(spells.status == "used")
    return used.select("customer_id", "replicate", *by, "start_day", "duration_days", "event_observed")


def _acts(tables: Tables, actions: Sequence[str]) -> ir.Table:
    acts = tables["engagements"]
    if actions:
        acts = acts.filter(acts.action.isin(list(actions)))
    return acts.select("customer_id", "day").distinct()


def _purchase_days(tables: Tables) -> ir.Table:
    purchases = tables["transactions"]
    return purchases.filter(~purchases.is_return).select("customer_id", "day").distinct()


def _since_start(days: ir.Table, spells: ir.Table) -> ir.Table:
    """Days from the first day of the customer's spell on, with ``offset`` 0 on it."""
    days = days.join(spells.select("customer_id", "start_day", "duration_days"), "customer_id")
    days = days.mutate(offset=days.day - days.start_day)
    return days.filter(days.offset >= 0)


def _beside(lives: ir.Table, found: ir.Table) -> ir.Table:
    keys = ["customer_id", "period"]
    return lives.left_join(found, keys).drop("customer_id_right", "period_right")


def _with_engaged(spells: ir.Table, acts: ir.Table) -> ir.Table:
    acted = acts.select("customer_id", acted=True).distinct()
    spells = spells.left_join(acted, "customer_id").drop("customer_id_right")
    return spells.mutate(engaged=spells.acted.fill_null(False))


def _check_exposure(churn_activity: Sequence[str]) -> None:
    if "engagements" in churn_activity:
        raise ModelError(
            f"engaging cannot be the exposure where it is itself activity (churn.activity is {list(churn_activity)}): "
            "whoever engages has by that not lapsed; leave engagements out of churn.activity"
        )


def _check_periods(period_days: int, lag_periods: int, n_periods: int) -> None:
    if period_days < 1:
        raise ModelError(f"period_days must be at least 1; came {period_days}")
    if lag_periods < 1:
        raise ModelError(
            f"lag_periods must be at least 1; came {lag_periods}: in the period of the lapse there was less time to "
            "engage, so that engaging would look as if it kept customers"
        )
    if n_periods <= lag_periods:
        raise ModelError(
            f"{n_periods} periods of {period_days} days lie between observation_start and the cut, not more than the "
            f"lag of {lag_periods}; choose shorter periods or a shorter lag, or wait for more data"
        )


def _check_landmark(landmark_days: int, follow_up_days: int, exposure_days: int | None) -> None:
    if not 2 <= landmark_days <= follow_up_days:
        raise ModelError(
            f"landmark_days={landmark_days} lies outside 2 to {follow_up_days}, the days between observation_start and "
            "the cut; choose one inside"
        )
    if exposure_days is not None and not 1 <= exposure_days < landmark_days:
        raise ModelError(
            f"exposure_days={exposure_days} lies outside 1 to {landmark_days - 1}, the days of the spell before the "
            "landmark; choose one inside"
        )
