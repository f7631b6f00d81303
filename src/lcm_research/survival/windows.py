"""
How long a silence is too long: one window for everybody, or one that follows each customer's own rhythm.

A personal window is that of an activity day ``a``, from what was known on ``a``: ``kappa`` times the mean of the
customer's gaps before ``a``, drawn towards the population's median gap, which counts for ``strength`` gaps more. The
median is of gaps that ended in a warm-up and is handed in as a number, so that it stays as it is when time goes on
and counts of disjoint customers add up. A window made from the whole history would know the silence that it is meant
to judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError, nearest
from lcm_research.survival.activity import History, activity_days

__all__ = [
    "PERSONAL",
    "Window",
    "check_window",
    "cut_window",
    "gap_counts",
    "longest_window",
    "personal_window",
    "usual_gap",
]

Window = int | Mapping[str, Any]
"""Days, or the parameters of a personal window by the names in ``PERSONAL``."""

PERSONAL: Mapping[str, str] = {
    "kappa": "how many usual gaps make a lapse",
    "strength": "how many gaps the population's median counts for",
    "usual_gap_days": "the population's median gap, of usual_gap",
    "shortest_days": "no window is shorter",
    "longest_days": "no window is longer",
    "censored_by": "'own' window of each customer, or the 'longest' (for a sensitivity run)",
}
"""What a personal window is made of."""


@reduction(keys={"gap_days": "int64", "replicate": "int64"}, counts={"n_gaps": "int64"})
def gap_counts(
    tables: Tables, *, observation_start_day: int, until_day: int, history: History, activity: Sequence[str]
) -> ir.Table:
    """
    Count the gaps between one activity day and the next, by their length, as far as they ended by ``until_day``.

    Parameters
    ----------
    until_day : int
        End of the warm-up. Short gaps end in it more often than long ones, so that their median lies below that of
        all gaps; it is a yardstick and stays as it is, no estimate.
    observation_start_day, history, activity
        As for ``spell_counts``.

    Returns
    -------
    ir.Table
        ``gap_days`` (1 where the next activity is on the next day), ``replicate`` and the number of gaps ``n_gaps``.
    """
    days = activity_days(tables, activity, observation_start_day, until_day, history)
    before = days.day.lag(1).over(ibis.window(group_by="customer_id", order_by="day"))
    gaps = days.mutate(gap_days=days.day - before)
    known = tables["customers"].select("customer_id", "replicate")
    gaps = gaps.filter(gaps.gap_days.notnull()).inner_join(known, "customer_id")
    return gaps.group_by(["gap_days", "replicate"]).agg(n_gaps=lambda t: t.count())


def usual_gap(counts: pd.DataFrame) -> int:
    """
    Median gap of the population: the shortest that at least half of all gaps do not exceed.

    Parameters
    ----------
    counts : DataFrame
        Of ``gap_counts``.

    Examples
    --------
    >>> usual_gap(pd.DataFrame({"gap_days": [10, 20, 90], "n_gaps": [1, 1, 2]}))
    20
    """
    n = counts.groupby("gap_days")["n_gaps"].sum()
    if not n.sum():
        raise ModelError(
            "a personal window needs customers who were active on two days in the warm-up, to know a usual gap; came "
            "none; choose churn.window_days, or a longer churn.personal_window.longest_days (it ends the warm-up)"
        )
    return int(n.index[2 * n.cumsum() >= n.sum()][0])


def personal_window(window: Mapping[str, Any], day: Any, first_day: Any, n_gaps: Any) -> Any:
    """Return a customer's window as of an activity day, in days; ``n_gaps`` gaps fill the time since the first one."""
    drawn = window["kappa"] * (window["strength"] * window["usual_gap_days"] + day - first_day)
    usual = drawn // (window["strength"] + n_gaps)
    return ibis.least(ibis.greatest(usual, window["shortest_days"]), window["longest_days"]).cast("int64")


def longest_window(window: Window) -> int:
    """Return the longest silence that may still be no lapse."""
    return window if isinstance(window, int) else int(window["longest_days"])


def cut_window(window: Window, own: Any) -> Any:
    """Return how long before ``as_of`` a spell is censored: by its customer's ``own`` window, or by the longest."""
    if isinstance(window, int) or window["censored_by"] == "own":
        return own
    return ibis.literal(longest_window(window), "int64")


def check_window(window: Window, observation_start_day: int, as_of_day: int) -> None:
    """Refuse a window that is no window, and one for which no lapse could be seen."""
    if isinstance(window, int):
        if window < 1:
            raise ModelError(f"window_days must be at least 1; came {window}")
    else:
        _check_personal(window)
    longest = longest_window(window)
    if as_of_day - longest <= observation_start_day:
        raise ModelError(
            f"as_of lies {as_of_day - observation_start_day} days after observation_start, not more than the churn "
            f"window of {longest}: no lapse could be seen; wait for more data or choose a shorter window"
        )


def _check_personal(window: Mapping[str, Any]) -> None:
    for name in window:
        if name not in PERSONAL:
            raise ModelError(f"a personal window has no '{name}'; {nearest(name, PERSONAL)}")
    for name, meaning in PERSONAL.items():
        if name not in window:
            raise ModelError(f"a personal window needs '{name}' ({meaning}); came {', '.join(sorted(window))}")
    if window["censored_by"] not in ("own", "longest"):
        raise ModelError(f"censored_by must be 'own' or 'longest'; came '{window['censored_by']}'")
    numbers = {name: value for name, value in window.items() if name != "censored_by"}
    for name, value in numbers.items():
        if not isinstance(value, int) or value < 1:
            raise ModelError(f"{name} of a personal window must be a whole number of at least 1; came {value}")
    if numbers["shortest_days"] > numbers["longest_days"]:
        raise ModelError(
            f"a personal window's shortest_days={numbers['shortest_days']} is above its longest_days="
            f"{numbers['longest_days']}; exchange the two"
        )
