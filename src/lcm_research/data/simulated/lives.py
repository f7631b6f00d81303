"""
When each simulated customer is there: arriving, engaging, leaving and coming back, month by month.

Days are local dates as days since 1970-01-01. The year before the window is lived too and left out of the
files, so that the window opens on customers of every tenure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from lcm_research.data.simulated.brand import Brand

__all__ = [
    "DAYS_PER_MONTH",
    "EARLIER_MONTHS",
    "Calendar",
    "Lives",
    "People",
    "Sessions",
    "live",
    "meet",
    "stay_for_good",
    "steady_sessions",
]

EARLIER_MONTHS = 12
DAYS_PER_MONTH = 365.25 / 12
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
class People:
    """
    What is true of a group of customers, whatever becomes of them.

    Parameters
    ----------
    activity : array of float, shape (n,)
    is_member, buys : arrays of bool, shape (n,)
        ``buys`` is false for those who never buy.
    entry_day : array of int, shape (n,)
        Day of the first contact.
    """

    activity: np.ndarray
    is_member: np.ndarray
    buys: np.ndarray
    entry_day: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Lives(People):
    """
    When the customers are alive, and in which months they engage.

    Parameters
    ----------
    from_day, to_day : arrays of int, shape (n, n_lived)
        Alive from the first to the day before the second, in each month; equal where not alive.
    at_risk, left, came_back : arrays of bool, shape (n, n_lived)
        Alive when the month began; left in it; came back in it.
    n_sessions : array of int, shape (n, n_lived)
    """

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


Sessions: TypeAlias = Callable[[Lives, int], np.ndarray]


def meet(rng: np.random.Generator, brand: Brand, calendar: Calendar, n: int) -> People:
    """Draw who ``n`` customers are."""
    activity = rng.gamma(brand.activity_shape, 1 / brand.activity_shape, n)
    return People(
        activity=activity,
        is_member=rng.random(n) < -np.expm1(-brand.member_slope * activity),
        buys=rng.random(n) >= brand.never_buys_share,
        entry_day=_entry_days(rng, brand, calendar, n),
    )


def stay_for_good(calendar: Calendar, people: People) -> Lives:
    """Return the lives that nobody leaves: alive from first contact on, without a session."""
    lives = _unlived(calendar, people)
    start, end = calendar.first_day[:-1], calendar.first_day[1:]
    lives.from_day[:] = np.clip(people.entry_day[:, None], start, end)
    lives.to_day[:] = end
    return lives


def live(rng: np.random.Generator, brand: Brand, calendar: Calendar, people: People, sessions: Sessions) -> Lives:
    """
    Draw lives, month by month.

    Parameters
    ----------
    sessions : function
        From the lives so far and a month, whose days alive are known, to the number of sessions of each customer.
    """
    n, lives = len(people.activity), _unlived(calendar, people)
    calm = brand.leaving_hazard_monthly * np.where(people.is_member, brand.member_hazard_ratio, 1.0)
    alive, engaged = np.zeros(n, bool), np.zeros(n, bool)
    for month, (start, end) in enumerate(zip(calendar.first_day[:-1], calendar.first_day[1:], strict=True)):
        arrives, known = (start <= people.entry_day) & (people.entry_day < end), people.entry_day < start
        hazard = np.where(alive, calm * np.where(engaged, brand.engaged_hazard_ratio, 1.0), brand.return_hazard_monthly)
        wait_months = rng.standard_exponential(n) / np.maximum(hazard, 1e-300)
        moves = known & (wait_months < 1)
        moving_day = start + (np.minimum(wait_months, 1) * (end - start)).astype(np.int64)

        lives.at_risk[:, month], lives.left[:, month], lives.came_back[:, month] = alive, alive & moves, ~alive & moves
        lives.from_day[:, month] = np.select([alive, arrives, moves], [start, people.entry_day, moving_day], end)
        lives.to_day[:, month] = np.where(alive & moves, moving_day, end)
        lives.n_sessions[:, month] = sessions(lives, month)
        alive = (alive ^ moves) | arrives
        engaged = lives.n_sessions[:, month] > 0
    return lives


def steady_sessions(rng: np.random.Generator, brand: Brand, calendar: Calendar) -> Sessions:
    """Return how sessions are drawn where engagement follows activity, or nothing at all, the season included."""

    def drawn(lives: Lives, month: int) -> np.ndarray:
        n_days = lives.to_day[:, month] - lives.from_day[:, month]
        if brand.engagement_follows == "chance":
            # the same rate every day: short months, with their many sessions a day, have fewer purchases as well
            return rng.poisson(brand.sessions_monthly * n_days / DAYS_PER_MONTH)
        share_of_month = n_days / np.diff(calendar.first_day)[month]
        return rng.poisson(brand.sessions_monthly * lives.activity * share_of_month)

    return drawn


def _unlived(calendar: Calendar, people: People) -> Lives:
    shape = (len(people.activity), calendar.n_lived)
    days, flags = ("from_day", "to_day", "n_sessions"), ("at_risk", "left", "came_back")
    empty = {name: np.zeros(shape, np.int64) for name in days} | {name: np.zeros(shape, bool) for name in flags}
    return Lives(**vars(people), **empty)


def _entry_days(rng: np.random.Generator, brand: Brand, calendar: Calendar, n: int) -> np.ndarray:
    """Draw days of first contact: a share in the year before the window, the others evenly in it."""
    earlier = rng.random(n) < brand.earlier_share
    first = np.where(earlier, calendar.first_day[0], calendar.start_day)
    last = np.where(earlier, calendar.start_day, calendar.end_day)
    return first + (rng.random(n) * (last - first)).astype(np.int64)
