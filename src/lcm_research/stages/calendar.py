"""Calendar months as periods of a panel, in days since 1970-01-01."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError

__all__ = ["months", "period_of_each_day"]


def months(*, observation_start_day: int, as_of_day: int) -> pd.DataFrame:
    """
    Return the calendar months of an observation window, the last one only if it is over.

    A month that is not over cannot be compared with one that is: the stock at its end is not known.

    Returns
    -------
    DataFrame
        One row a month: ``period`` (0, 1, ...), ``period_start`` ("YYYY-MM-DD"), ``start_day`` and ``end_day``
        (both inside the month).

    Examples
    --------
    1970-01-15 to 1970-03-30 holds the ends of January and February:

    >>> months(observation_start_day=14, as_of_day=88)
       period period_start  start_day  end_day
    0       0   1970-01-01          0       30
    1       1   1970-02-01         31       58
    """
    first, last = (_date(day) for day in (observation_start_day, as_of_day))
    starts = pd.period_range(first, last, freq="M")
    ends = [_day(start.end_time.normalize()) for start in starts]
    over = pd.DataFrame(
        {
            "period": range(len(starts)),
            "period_start": [str(start.start_time.date()) for start in starts],
            "start_day": [_day(start.start_time) for start in starts],
            "end_day": ends,
        }
    )
    over = over[over["end_day"] <= as_of_day].astype({"period": "int64", "start_day": "int64", "end_day": "int64"})
    if over.empty:
        raise ModelError(
            f"a panel by month needs a whole calendar month in the window; {first.date()} to {last.date()} holds none"
        )
    return over


def period_of_each_day(calendar: pd.DataFrame) -> pd.DataFrame:
    """Return every day of a calendar with its period, as the columns ``day`` and ``period``."""
    lengths = calendar["end_day"] - calendar["start_day"] + 1
    days = range(calendar["start_day"].iloc[0], calendar["end_day"].iloc[-1] + 1)
    return pd.DataFrame({"day": days, "period": np.repeat(calendar["period"].to_numpy(), lengths)})


def _date(day: int) -> pd.Timestamp:
    return pd.Timestamp(0) + pd.Timedelta(days=day)


def _day(date: pd.Timestamp) -> int:
    return (date - pd.Timestamp(0)).days
