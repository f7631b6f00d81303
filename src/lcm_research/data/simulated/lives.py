"""
When each simulated customer is there: arriving, engaging, leaving and coming back, month by month.

Days are local dates as days since 1970-01-01. The year before the window is lived too and left out of the
files, so that the window opens on customers of every tenure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lcm_research.data.simulated.brand import Brand

__all__ = ["EARLIER_MONTHS", "Calendar", "Lives", "live"]

EARLIER_MONTHS = 12
FIRST_MONTH = np.datetime64("2023-01", "M")


@dataclass(frozen=True, kw_only=True, eq=False)
class Calendar:
    """
    The months lived, of which the first ``EARLIER_MONTHS`` are not in the files.

    Parameters
    ----------
    first_day : array of int, shape (n_months + 13,)
        First day of each month, and of the month after the last.
    """

    first_day: np.ndarray

    @classmethod
    def of(cls, n_months: int) -> Calendar:
        """Return the calendar of a window of ``n_months`` from 2023-01-01."""
        months = FIRST_MONTH + np.arange(-EARLIER_MONTHS, n_months + 1)
        return cls(first_day=months.astype("datetime64[D]").astype(np.int64))

    @property
    def n_lived(self) -> int:
        """Number of months lived, the earlier ones included."""
        return len(self.first_day) - 1

    @property
    def start_day(self) -> int:
        """First day of the window."""
        return int(self.first_day[EARLIER_MONTHS])

    @property
    def end_day(self) -> int:
        """Day after the last of the window."""
        return int(self.first_day[-1])

    @property
    def month_of_year(self) -> np.ndarray:
        """1 to 12 for each month lived."""
        months = self.first_day[:-1].astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        return months % 12 + 1

    def month_of(self, day: np.ndarray) -> np.ndarray:
        """Return the index of the month lived that holds each day."""
        return np.searchsorted(self.first_day, day, side="right") - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Lives:
    """
    What is true of a group of customers, and when they are alive.

    Parameters
    ----------
    activity : array of float, shape (n,)
    is_member, buys : arrays of bool, shape (n,)
        ``buys`` is false for those who never buy.
    entry_day : array of int, shape (n,)
        Day of the first contact.
    from_day, to_day : arrays of int, shape (n, n_lived)
        Alive from the first to the day before the second, in each month; equal where not alive.
    at_risk, left, came_back : arrays of bool, shape (n, n_lived)
        Alive when the month began; left in it; came back in it.
    n_sessions : array of int, shape (n, n_lived)
    """

    activity: np.ndarray
    is_member: np.ndarray
    buys: np.ndarray
    entry_day: np.ndarray
    from_day: np.ndarray
    to_day: np.ndarray
    at_risk: np.ndarray
    left: np.ndarray
    came_back: np.ndarray
    n_sessions: np.ndarray

    @property
    def engaged_before(self) -> np.ndarray:
        """Whether the customer engaged in the month before, shape (n, n_lived)."""
        before = np.zeros_like(self.at_risk)
        before[:, 1:] = self.n_sessions[:, :-1] > 0
        return before

    def alive_on(self, calendar: Calendar, customer: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Return whether each customer (row number) is alive on each day; false after the window."""
        month = np.minimum(calendar.month_of(day), calendar.n_lived - 1)
        return (self.from_day[customer, month] <= day) & (day < self.to_day[customer, month])


def live(rng: np.random.Generator, brand: Brand, calendar: Calendar, n: int) -> Lives:
    """Draw the lives of ``n`` customers."""
    activity = rng.gamma(brand.activity_shape, 1 / brand.activity_shape, n)
    is_member = rng.random(n) < -np.expm1(-brand.member_slope * activity)
    buys = rng.random(n) >= brand.never_buys_share
    entry_day = _entry_days(rng, brand, calendar, n)

    shape = (n, calendar.n_lived)
    from_day, to_day, n_sessions = (np.zeros(shape, np.int64) for _ in range(3))
    at_risk, left, came_back = (np.zeros(shape, bool) for _ in range(3))
    calm = brand.leaving_hazard_monthly * np.where(is_member, brand.member_hazard_ratio, 1.0)
    alive, engaged = np.zeros(n, bool), np.zeros(n, bool)
    for month, (start, end) in enumerate(zip(calendar.first_day[:-1], calendar.first_day[1:], strict=True)):
        arrives, known = (start <= entry_day) & (entry_day < end), entry_day < start
        hazard = np.where(alive, calm * np.where(engaged, brand.engaged_hazard_ratio, 1.0), brand.return_hazard_monthly)
        wait_months = rng.standard_exponential(n) / np.maximum(hazard, 1e-300)
        moves = known & (wait_months < 1)
        moving_day = start + (np.minimum(wait_months, 1) * (end - start)).astype(np.int64)

        at_risk[:, month], left[:, month], came_back[:, month] = alive, alive & moves, ~alive & moves
        from_day[:, month] = np.select([alive, arrives, moves], [start, entry_day, moving_day], end)
        to_day[:, month] = np.where(alive & moves, moving_day, end)
        share_of_month = (to_day[:, month] - from_day[:, month]) / (end - start)
        n_sessions[:, month] = rng.poisson(brand.sessions_monthly * activity * share_of_month)
        alive = (alive ^ moves) | arrives
        engaged = n_sessions[:, month] > 0
    return Lives(
        activity=activity,
        is_member=is_member,
        buys=buys,
        entry_day=entry_day,
        from_day=from_day,
        to_day=to_day,
        at_risk=at_risk,
        left=left,
        came_back=came_back,
        n_sessions=n_sessions,
    )


def _entry_days(rng: np.random.Generator, brand: Brand, calendar: Calendar, n: int) -> np.ndarray:
    """Draw days of first contact: a share in the year before the window, the others evenly in it."""
    earlier = rng.random(n) < brand.earlier_share
    first = np.where(earlier, calendar.first_day[0], calendar.start_day)
    last = np.where(earlier, calendar.start_day, calendar.end_day)
    return first + (rng.random(n) * (last - first)).astype(np.int64)
