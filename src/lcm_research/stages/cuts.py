"""
Cuts read off the data: the median spend of active customers, say, that separates mature from growing ones.

A cut that moves with the customers of each period (``rolling``) ranks them against one another, so that stages can
change while nobody does. One that is frozen at a reference period keeps its meaning; it should lie early, for up to
there a stage knows of its own future.
"""

from __future__ import annotations

from typing import Any, Literal, Unpack

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import ModelError, StudyError
from lcm_research.stages.calendar import months
from lcm_research.stages.dense import is_known, known_at_each_end
from lcm_research.stages.panel import PanelOptions
from lcm_research.stages.rules import StageRules, stage_rules

__all__ = ["DIGITS", "CutMode", "cut_value_counts", "with_cuts"]

CutMode = Literal["frozen", "rolling"]

DIGITS = 3
"""A cut is the quantile rounded down to so many significant digits, so that values can be counted."""


@reduction(keys={"cut": "object", "period_start": "object", "value": "int64"}, counts={"n": "int64"})
def cut_value_counts(tables: Tables, **options: Unpack[PanelOptions]) -> ir.Table:
    """
    Count the customers that each cut of a scheme is read off, by period and value.

    Parameters
    ----------
    tables : Tables
    **options
        See ``PanelOptions``; ``by``, ``confirm_periods`` and ``min_dwell`` change nothing.

    Returns
    -------
    Ibis table
        cut, period_start, value (rounded down to three significant digits; a negative one is 0); n customers whose
        history is known and whom the cut's condition holds for.
    """
    rules = stage_rules(options["scheme"], window_days=options["window_days"], thresholds=options["thresholds"])
    if not rules.scheme.cuts:
        raise StudyError(f"scheme '{rules.scheme.scheme}' has no cuts to read off the data")
    start = options["observation_start_day"]
    calendar = months(observation_start_day=start, as_of_day=options["as_of_day"])
    dense, names = known_at_each_end(
        tables, rules=rules, ends=calendar, observation_start_day=start, history=options["history"]
    )
    known = is_known(dense, names, dense.end_day, rules=rules, observation_start_day=start)
    parts = []
    for name, cut in rules.scheme.cuts.items():
        counted = dense.filter(known & rules.holds(f"cuts.{name}.among", cut.among, names))
        value = _rounded_down(rules.scheme.expression(f"cuts.{name}.of", cut.of).to_ibis(names))
        counted = counted.select("period_start", cut=ibis.literal(name), value=value)
        parts.append(counted.group_by("cut", "period_start", "value").agg(n=counted.count()))
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _rounded_down(value: Any) -> Any:
    """Return a number of at least 0 with its first three digits kept, by whole numbers alone."""
    value = value.cast("int64").clip(lower=0)
    steps = [(value < 10 ** (DIGITS + k), value - value % 10**k) for k in range(16)]
    return ibis.cases(*steps, else_=value - value % 10**16)


def with_cuts(
    rules: StageRules, counts: pd.DataFrame, *, cut_mode: CutMode, reference_period: str | None = None
) -> StageRules:
    """
    Return rules with every cut of the scheme set.

    A cut is the smallest value that at least the share (the threshold that the scheme names) of the counted customers
    do not exceed.

    Parameters
    ----------
    rules : StageRules
    counts : DataFrame
        What ``cut_value_counts`` gave for the same rules.
    cut_mode : {"frozen", "rolling"}
        One cut for all periods, or one for each.
    reference_period : str, optional
        The ``period_start`` that a frozen cut is read off; required for it, and for it only.

    Examples
    --------
    >>> rules = stage_rules("intro5", window_days=180)
    >>> counts = pd.DataFrame({"cut": "m_cut", "period_start": "2024-01-01", "value": [0, 500, 900], "n": [3, 1, 2]})
    >>> with_cuts(rules, counts, cut_mode="frozen", reference_period="2024-01-01").cuts
    {'m_cut': 0.0}
    """
    if (cut_mode == "frozen") != (reference_period is not None) or cut_mode not in ("frozen", "rolling"):
        raise StudyError(
            "expected cut_mode='frozen' with a reference_period, or cut_mode='rolling' without one; came "
            f"cut_mode={cut_mode!r} and reference_period={reference_period!r}"
        )
    cuts: dict[str, Any] = {}
    for name, cut in rules.scheme.cuts.items():
        share = rules.thresholds[cut.quantile]
        of_cut = counts[counts["cut"] == name]
        by_period = {str(start): _quantile(rows, share) for start, rows in of_cut.groupby("period_start")}
        if reference_period is not None:
            if reference_period not in by_period:
                known = f"{min(by_period)} to {max(by_period)}" if by_period else "none"
                raise ModelError(
                    f"nobody to read the cut {name} off in the reference period {reference_period}; periods with "
                    f"customers are {known}; choose one of them"
                )
            cuts[name] = by_period[reference_period]
        else:
            cuts[name] = by_period
    told = rules.parameters()
    return stage_rules(rules.scheme, window_days=told["window_days"], thresholds=told["thresholds"] | cuts)


def _quantile(rows: pd.DataFrame, share: float) -> float:
    rows = rows.sort_values("value")
    reached = rows["n"].cumsum().to_numpy() >= share * rows["n"].sum() - 1e-9
    return float(rows["value"].to_numpy()[np.argmax(reached)])
