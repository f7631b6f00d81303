"""
What was known of a customer on a decision day, and whether the spell open then came to its end.

Everything that predicts lies on or before the decision day, within a look-back that is the same for every decision
day, so that a class means the same in training and when it is judged. The outcome is that of ``spells`` with the cut
at the horizon: a spell has lapsed by it where its last activity lies before ``decision_day + horizon_days`` and more
than ``window_days`` silent days follow; that is known ``window_days`` after the horizon and not sooner. A model that
is judged on one decision day must therefore have been trained on one ``window_days + horizon_days`` earlier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.reduction import PrivateRows, Tables, reduction, rows
from lcm_research.data.segments import NONE
from lcm_research.errors import ModelError, nearest
from lcm_research.survival.spells import classified_spells

__all__ = [
    "DecisionDays",
    "class_breaks",
    "class_names",
    "decision_days",
    "open_counts",
    "open_customers",
    "warning_counts",
    "warning_list",
]


@dataclass(frozen=True, kw_only=True)
class DecisionDays:
    """
    The days on which a warning is trained, judged and given, days since 1970-01-01.

    Attributes
    ----------
    training_day : int
        Its outcomes are known on ``judging_day``.
    judging_day : int
        Its outcomes are known on the last day of observation.
    needed_days, observed_days : int
        Days of observation that look-back, training and judging take, and that there are.
    """

    training_day: int
    judging_day: int
    needed_days: int
    observed_days: int

    @property
    def missing_days(self) -> int:
        """Days of observation still to come before a warning can be judged; 0 where it can."""
        return max(0, self.needed_days - self.observed_days)


def decision_days(
    *, observation_start_day: int, as_of_day: int, window_days: int, horizon_days: int, lookback_days: int
) -> DecisionDays:
    """
    Place the decision days as late as their outcomes allow.

    Examples
    --------
    Two years of 365 days, a window of 180 days and a horizon of 90: outcomes take 270 days to be known, twice, and
    the look-back another 180 days and the decision day itself.

    >>> decision_days(observation_start_day=0, as_of_day=729, window_days=180, horizon_days=90, lookback_days=180)
    DecisionDays(training_day=189, judging_day=459, needed_days=721, observed_days=730)
    """
    _check_days(window_days, horizon_days, lookback_days)
    until_known = window_days + horizon_days
    return DecisionDays(
        training_day=as_of_day - 2 * until_known,
        judging_day=as_of_day - until_known,
        needed_days=2 * until_known + lookback_days + 1,
        observed_days=as_of_day - observation_start_day + 1,
    )


@reduction(
    keys={
        "recency": "object",
        "frequency": "object",
        "tenure": "object",
        "engagement": "object",
        "duration_days": "int64",
        "event_observed": "bool",
        "replicate": "int64",
    },
    counts={"n": "int64", "lead_days": "int64", "n_silent": "int64"},
)
def warning_counts(
    tables: Tables,
    *,
    decision_day: int,
    horizon_days: int,
    window_days: int,
    observation_start_day: int,
    as_of_day: int,
    lookback_days: int,
    recency_breaks: Sequence[int],
    frequency_breaks: Sequence[int],
    tenure_breaks: Sequence[int],
    engagement_breaks: Sequence[int],
    period_days: int,
    by: Sequence[str],
) -> ir.Table:
    """
    Count customers whose spell is open on a decision day by what was known then and by what came of the spell.

    Parameters
    ----------
    decision_day, horizon_days, window_days : int
        Nothing after ``decision_day`` is a predictor; nothing after ``decision_day + horizon_days + window_days``
        is used at all.
    observation_start_day, as_of_day : int
        The look-back may not begin before the one, nor the outcome be known after the other.
    lookback_days : int
        At least ``window_days``. How far back predictors reach.
    recency_breaks, frequency_breaks, tenure_breaks : list of int
        Rising. Days since the last purchase day, number of purchase days, and days since the first purchase day,
        all within the look-back, in classes that begin at each break.
    engagement_breaks : list of int
        Rising. Days since the last social act within the look-back, or none; an empty list leaves it out.
    period_days : int
        Durations are rounded up to whole periods, so that there are few cells.
    by : list of str
        Segment columns of ``customers`` that were known on the decision day.

    Returns
    -------
    ir.Table
        The classes, ``by``, ``duration_days`` from the decision day (1 where the last purchase had already been
        made), ``event_observed`` (the spell lapsed within the horizon), ``replicate``; customers ``n``, the sum of
        days from the decision day to the declared lapse ``lead_days``, and ``n_silent``, those who lapsed with their
        last purchase made by the decision day.
    """
    _check_outcome(decision_day, horizon_days, window_days, as_of_day)
    breaks = class_breaks(recency_breaks, frequency_breaks, tenure_breaks, engagement_breaks)
    known = open_customers(
        tables,
        decision_day=decision_day,
        window_days=window_days,
        observation_start_day=observation_start_day,
        lookback_days=lookback_days,
        breaks=breaks,
        by=by,
    )
    known_on = decision_day + horizon_days + window_days
    spells = classified_spells(
        tables, window_days, observation_start_day, known_on, "from_observation_start", "incident", ()
    )
    spells = spells.filter(spells.start_day <= decision_day, spells.last_day >= decision_day - window_days)
    lives = known.join(spells.select("customer_id", "last_day"), "customer_id")

    lapsed = lives.last_day < decision_day + horizon_days
    silent = lives.last_day <= decision_day
    later = ((lives.last_day - decision_day) // period_days + 1) * period_days
    lives = lives.mutate(
        event_observed=lapsed,
        duration_days=ibis.cases((~lapsed, horizon_days), (silent, 1), else_=ibis.least(later, horizon_days)).cast(
            "int64"
        ),
        lead=lapsed.ifelse(lives.last_day + window_days - decision_day, 0),
        silent=silent.cast("int64"),
    )
    keys = [*by, *breaks, "duration_days", "event_observed", "replicate"]
    return lives.group_by(keys).agg(
        n=lambda t: t.count(), lead_days=lambda t: t.lead.sum(), n_silent=lambda t: t.silent.sum()
    )


def open_customers(
    tables: Tables,
    *,
    decision_day: int,
    window_days: int,
    observation_start_day: int,
    lookback_days: int,
    breaks: Mapping[str, Sequence[int]],
    by: Sequence[str],
) -> ir.Table:
    """
    Customers whose spell is open on ``decision_day``, one row each, by the classes known on that day.

    Parameters
    ----------
    breaks : mapping
        ``recency``, ``frequency``, ``tenure`` and, where wanted, ``engagement``, each with its rising breaks.

    Returns
    -------
    ir.Table
        ``customer_id``, ``replicate``, ``by``, and a class for each of ``breaks``.
    """
    _check_lookback(decision_day, window_days, observation_start_day, lookback_days)
    bought = tables["transactions"]
    bought = bought.filter(~bought.is_return, bought.day.between(decision_day - lookback_days, decision_day))
    known = bought.group_by("customer_id").agg(
        last_day=bought.day.max(), first_day=bought.day.min(), frequency_days=bought.day.nunique()
    )
    known = known.filter(decision_day - known.last_day <= window_days)
    if "engagement" in breaks:
        acts = tables["engagements"]
        acts = acts.filter(acts.day.between(decision_day - lookback_days, decision_day))
        acts = acts.group_by("customer_id").agg(act_day=acts.day.max())
        known = known.left_join(acts, "customer_id").drop("customer_id_right")
    return _classed(known, tables["customers"], decision_day, breaks, by)


@reduction(
    keys={
        "recency": "object",
        "frequency": "object",
        "tenure": "object",
        "engagement": "object",
        "replicate": "int64",
    },
    counts={"n": "int64"},
)
def open_counts(
    tables: Tables,
    *,
    decision_day: int,
    window_days: int,
    observation_start_day: int,
    lookback_days: int,
    recency_breaks: Sequence[int],
    frequency_breaks: Sequence[int],
    tenure_breaks: Sequence[int],
    engagement_breaks: Sequence[int],
    by: Sequence[str],
) -> ir.Table:
    """
    Count customers whose spell is open on a decision day by what is known then; parameters as ``warning_counts``.

    What came of them need not be known yet: these are the customers that a warning of today is about.
    """
    breaks = class_breaks(recency_breaks, frequency_breaks, tenure_breaks, engagement_breaks)
    known = open_customers(
        tables,
        decision_day=decision_day,
        window_days=window_days,
        observation_start_day=observation_start_day,
        lookback_days=lookback_days,
        breaks=breaks,
        by=by,
    )
    return known.group_by([*by, *breaks, "replicate"]).agg(n=lambda t: t.count())


def warning_list(
    tables: Tables,
    *,
    risks: pd.DataFrame,
    most: int,
    key: bytes,
    decision_day: int,
    window_days: int,
    observation_start_day: int,
    lookback_days: int,
    recency_breaks: Sequence[int],
    frequency_breaks: Sequence[int],
    tenure_breaks: Sequence[int],
    engagement_breaks: Sequence[int],
    by: Sequence[str],
) -> PrivateRows:
    """
    Name, under pseudonyms, the customers with the highest predicted risk.

    A high risk says that a customer will probably fall silent. Whether a message would change that is another
    question, which no risk answers [1]_.

    Parameters
    ----------
    risks : DataFrame
        ``risk`` for each combination of the classes and ``by``: ``open_counts`` with a model's predictions.
    most : int
        Length of the list; equal risks at its end are cut in the order of the ids.
    key : bytes
        Of ``pseudonym_key``.
    decision_day and the others
        Those of the ``open_counts`` that ``risks`` were predicted for.

    Returns
    -------
    PrivateRows
        ``pseudonym``, ``risk``, the classes and ``by``; the highest risk first.

    References
    ----------
    .. [1] Ascarza (2018), Journal of Marketing Research 55:80.
    """
    breaks = class_breaks(recency_breaks, frequency_breaks, tenure_breaks, engagement_breaks)
    known = open_customers(
        tables,
        decision_day=decision_day,
        window_days=window_days,
        observation_start_day=observation_start_day,
        lookback_days=lookback_days,
        breaks=breaks,
        by=by,
    )
    columns = [*breaks, *by]
    patterns = risks[[*columns, "risk"]].drop_duplicates(ignore_index=True)
    if patterns.duplicated(columns).any():
        raise ModelError("a warning list needs one risk for each combination of classes; came two for one of them")
    scored = known.join(ibis.memtable(patterns), columns).select("customer_id", "risk", *columns)
    listed = scored.order_by([ibis.desc("risk"), "customer_id"]).limit(most)
    made = rows(listed, reason="a message is sent to a customer, not to a class of customers", most=most, key=key)
    in_order = made.frame.sort_values(["risk", "pseudonym"], ascending=[False, True], ignore_index=True)
    return PrivateRows(reason=made.reason, frame=in_order)


def class_breaks(
    recency_breaks: Sequence[int],
    frequency_breaks: Sequence[int],
    tenure_breaks: Sequence[int],
    engagement_breaks: Sequence[int],
) -> dict[str, Sequence[int]]:
    """Breaks by the name of the class, those without breaks left out."""
    named = {
        "recency": recency_breaks,
        "frequency": frequency_breaks,
        "tenure": tenure_breaks,
        "engagement": engagement_breaks,
    }
    return {name: cuts for name, cuts in named.items() if cuts}


def _classed(
    known: ir.Table, customers: ir.Table, decision_day: int, breaks: Mapping[str, Sequence[int]], by: Sequence[str]
) -> ir.Table:
    """Put each number into its class, beside the customer's group and segments."""
    for column in by:
        if column not in customers.columns:
            raise ModelError(
                f"the customers have no column '{column}' to group by; {nearest(column, customers.columns)}"
            )
    numbers = {
        "recency": decision_day - known.last_day,
        "frequency": known.frequency_days,
        "tenure": decision_day - known.first_day,
    }
    if "engagement" in breaks:
        numbers["engagement"] = decision_day - known.act_day
    known = known.select("customer_id", **{name: _class_of(numbers[name], cuts, name) for name, cuts in breaks.items()})
    segments = {column: customers[column].cast("string").fill_null("unknown") for column in by}
    whose = customers.select("customer_id", "replicate", **segments)
    return known.join(whose, "customer_id")


def class_names(breaks: Sequence[int]) -> list[str]:
    """
    Names of the classes that begin at each break.

    >>> class_names([30, 90])
    ['<30', '30-<90', '>=90']
    """
    return [f"<{breaks[0]}", *(f"{low}-<{high}" for low, high in pairwise(breaks)), f">={breaks[-1]}"]


def _class_of(number: ir.Value, breaks: Sequence[int], name: str) -> ir.Value:
    if list(breaks) != sorted(set(breaks)) or breaks[0] < 1:
        raise ModelError(f"{name}_breaks must rise and begin at 1 or later; came {list(breaks)}")
    names = class_names(breaks)
    below = [(number < end, label) for end, label in zip(breaks, names[:-1], strict=True)]
    return ibis.cases((number.isnull(), NONE), *below, else_=names[-1])


def _check_days(window_days: int, horizon_days: int, lookback_days: int) -> None:
    if min(window_days, horizon_days) < 1:
        raise ModelError(f"window and horizon take at least 1 day; came {window_days} and {horizon_days}")
    if lookback_days < window_days:
        raise ModelError(
            f"lookback_days={lookback_days} is shorter than the churn window of {window_days}: the last purchase of "
            f"an open spell could lie before it; choose {window_days} or more"
        )


def _check_lookback(decision_day: int, window_days: int, observation_start_day: int, lookback_days: int) -> None:
    _check_days(window_days, 1, lookback_days)
    short = observation_start_day - (decision_day - lookback_days)
    if short > 0:
        raise ModelError(
            f"the look-back of {lookback_days} days begins {short} days before observation does; choose a decision day "
            f"{short} days later or a shorter look-back"
        )


def _check_outcome(decision_day: int, horizon_days: int, window_days: int, as_of_day: int) -> None:
    short = decision_day + horizon_days + window_days - as_of_day
    if short > 0:
        raise ModelError(
            f"what came of a spell within {horizon_days} days is known {window_days} days after that, {short} days "
            f"after as_of; choose a decision day {short} days earlier or wait for more data"
        )
