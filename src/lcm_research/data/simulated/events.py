"""
What simulated customers do while they are there: purchases, goods returned, touches and engagements.

Seconds are local (Asia/Shanghai, eight hours ahead of UTC all year) since 1970-01-01.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from lcm_research.data.simulated.brand import ACTIONS, CATEGORIES, PLATFORMS, Brand
from lcm_research.data.simulated.lives import Calendar, Lives

__all__ = [
    "BASELINE",
    "DAY_SECONDS",
    "Bought",
    "Engagements",
    "Events",
    "Purchases",
    "Touches",
    "Visits",
    "act",
    "pick",
    "visit",
]

DAY_SECONDS = 86_400
BASELINE = -1
"""``cause`` of a purchase that no touch added."""

_HOURLY = np.array([4, 2, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6, 7, 6, 5, 5, 5, 5, 6, 8, 10, 11, 9, 7], float)
_BY_HOUR = np.concatenate([[0.0], np.cumsum(_HOURLY) / _HOURLY.sum()])


@dataclass(frozen=True, kw_only=True, eq=False)
class Events:
    """Events of customers (row numbers) at seconds."""

    customer: np.ndarray
    second: np.ndarray

    def where(self, rows: np.ndarray) -> Self:
        """Return the events that ``rows`` (a mask or row numbers) picks."""
        return type(self)(**{name: column[rows] for name, column in vars(self).items()})

    def in_window(self, calendar: Calendar) -> Self:
        """Return the events inside the window, by time."""
        start, end = calendar.start_day * DAY_SECONDS, calendar.end_day * DAY_SECONDS
        inside = self.where((start <= self.second) & (self.second < end))
        return inside.where(np.argsort(inside.second, kind="stable"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Touches(Events):
    """Touches; ``channel`` and ``touch_type`` are positions in the brand's lists."""

    channel: np.ndarray
    touch_type: np.ndarray
    paid: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Bought(Events):
    """When something was bought: ``since`` is the second of the touch that added it, or its own."""

    cause: np.ndarray
    since: np.ndarray

    def happens(self, calendar: Calendar, lives: Lives) -> np.ndarray:
        """Return whether each customer is alive when the purchase and what brought it about take place."""
        moments = (self.since, self.second)
        there = [lives.alive_on(calendar, self.customer, moment // DAY_SECONDS) for moment in moments]
        return there[0] & there[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Visits:
    """First contacts (seconds, shape (n,)), touches and purchases of some customers."""

    first_second: np.ndarray
    touches: Touches
    bought: Bought

    def while_alive(self, calendar: Calendar, lives: Lives) -> Visits:
        """Return what is left of them in ``lives``."""
        touched_on = self.touches.second // DAY_SECONDS
        there = lives.alive_on(calendar, self.touches.customer, touched_on)
        kept = self.bought.where(self.bought.happens(calendar, lives))
        return replace(self, touches=self.touches.where(there), bought=kept)


@dataclass(frozen=True, kw_only=True, eq=False)
class Purchases(Events):
    """Purchases and goods returned; ``cause`` is the position of the channel that added it, or ``BASELINE``."""

    cents: np.ndarray
    is_return: np.ndarray
    category: np.ndarray
    in_store: np.ndarray
    cause: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Engagements(Events):
    """Social acts; ``platform`` and ``action`` are positions in the lists of shares."""

    platform: np.ndarray
    action: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class _AliveMonths:
    """The customer-months with a day alive, and the share of the month that was."""

    calendar: Calendar
    lives: Lives
    first_second: np.ndarray
    customer: np.ndarray
    month: np.ndarray
    share: np.ndarray

    def scatter(self, rng: np.random.Generator, rate: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw events at a monthly rate; return their customer, month and second."""
        n = rng.poisson(rate * self.share)
        return self.spread(rng, np.repeat(self.customer, n), np.repeat(self.month, n))

    def spread(
        self, rng: np.random.Generator, customer: np.ndarray, month: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Put events on days alive of their month; nothing comes before the first contact."""
        begin, end = self.lives.from_day[customer, month], self.lives.to_day[customer, month]
        day = begin + (rng.random(len(customer)) * (end - begin)).astype(np.int64)
        return customer, month, np.maximum(_at_some_hour(rng, day), self.first_second[customer])


def pick(rng: np.random.Generator, shares: Iterable[float], size: int) -> np.ndarray:
    """Draw positions with the given shares."""
    upper = np.cumsum(list(shares))
    return np.searchsorted(upper / upper[-1], rng.random(size), side="right")


def visit(rng: np.random.Generator, brand: Brand, calendar: Calendar, lives: Lives, acquired_by: np.ndarray) -> Visits:
    """
    Draw touches and purchases, the year before the window included, in no order.

    Parameters
    ----------
    rng, brand, calendar, lives
        As for ``live``, and what it returned.
    acquired_by : array of int, shape (n,)
        Position of the channel of each first contact, which is the customer's first touch.
    """
    first_second = _at_some_hour(rng, lives.entry_day)
    months = _alive_months(calendar, lives, first_second)
    touches = _touches(rng, brand, months, acquired_by)
    baseline, added = _baseline(rng, brand, months), _added(rng, brand, months, touches)
    both = {name: np.concatenate([column, vars(added)[name]]) for name, column in vars(baseline).items()}
    return Visits(first_second=first_second, touches=touches, bought=Bought(**both))


def act(
    rng: np.random.Generator,
    brand: Brand,
    calendar: Calendar,
    lives: Lives,
    visits: Visits,
    session_days: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[Purchases, Engagements]:
    """
    Draw what was bought and returned in the visits, and the acts of the sessions.

    Parameters
    ----------
    session_days : pair of arrays of int, optional
        Customer and day of each session; otherwise they are spread over the days alive of their months.
    """
    purchases = _purchases(rng, brand, len(lives.activity), visits.bought)
    if session_days is None:
        months = _alive_months(calendar, lives, visits.first_second)
        sessions = lives.n_sessions[months.customer, months.month]
        places = np.repeat(months.customer, sessions), np.repeat(months.month, sessions)
        customer, _, second = months.spread(rng, *places)
    else:
        customer, day = session_days
        second = np.maximum(_at_some_hour(rng, day), visits.first_second[customer])
    return purchases, _engagements(rng, brand, customer, second)


def _alive_months(calendar: Calendar, lives: Lives, first_second: np.ndarray) -> _AliveMonths:
    customer, month = np.nonzero(lives.to_day > lives.from_day)
    n_days = lives.to_day[customer, month] - lives.from_day[customer, month]
    return _AliveMonths(
        calendar=calendar,
        lives=lives,
        first_second=first_second,
        customer=customer,
        month=month,
        share=n_days / np.diff(calendar.first_day)[month],
    )


def _at_some_hour(rng: np.random.Generator, day: np.ndarray) -> np.ndarray:
    """Return a second of each day: most in the evening, some after midnight, when UTC is a day behind."""
    hour = np.interp(rng.random(len(day)), _BY_HOUR, np.arange(25.0))
    return day * DAY_SECONDS + np.minimum(hour * 3600, DAY_SECONDS - 1).astype(np.int64)


def _touches(rng: np.random.Generator, brand: Brand, months: _AliveMonths, acquired_by: np.ndarray) -> Touches:
    activity = months.lives.activity[months.customer]
    customers, seconds, channels = [np.arange(len(acquired_by))], [months.first_second], [acquired_by]
    for position, channel in enumerate(brand.channels):
        rate = channel.touches_monthly * activity**channel.activity_power
        customer, _, second = months.scatter(rng, rate)
        customers.append(customer)
        seconds.append(second)
        channels.append(np.full(len(customer), position))
    of_channel = np.concatenate(channels)
    touch_type = np.zeros(len(of_channel), np.int64)
    for position, channel in enumerate(brand.channels):
        rows = np.flatnonzero(of_channel == position)
        touch_type[rows] = pick(rng, channel.touch_types.values(), len(rows))
    paid_share = np.array([channel.paid_share for channel in brand.channels])
    return Touches(
        customer=np.concatenate(customers),
        second=np.concatenate(seconds),
        channel=of_channel,
        touch_type=touch_type,
        paid=rng.random(len(of_channel)) < paid_share[of_channel],
    )


def _purchases(rng: np.random.Generator, brand: Brand, n_customers: int, what: Bought) -> Purchases:
    n = len(what.customer)
    taste = brand.amount_sd_between * rng.standard_normal(n_customers)
    amount = np.exp(taste[what.customer] + brand.amount_sd_within * rng.standard_normal(n))
    bought = Purchases(
        customer=what.customer,
        second=what.second,
        cents=np.maximum(np.rint(100 * brand.amount_median_cny * amount), 1).astype(np.int64),
        is_return=np.zeros(n, bool),
        category=pick(rng, CATEGORIES.values(), n),
        in_store=rng.random(n) < brand.store_share,
        cause=what.cause,
    )
    back = bought.where(rng.random(n) < brand.goods_returned_share)
    after = 1 + rng.standard_exponential(len(back.second)) * (brand.goods_returned_after_days - 1)
    columns = {name: np.concatenate([column, vars(back)[name]]) for name, column in vars(bought).items()}
    columns["second"][n:] += (after * DAY_SECONDS).astype(np.int64)
    columns["cents"][n:] *= -1
    columns["is_return"][n:] = True
    return Purchases(**columns)


def _baseline(rng: np.random.Generator, brand: Brand, months: _AliveMonths) -> Bought:
    """Draw the purchases that no touch added."""
    lives, of_year = months.lives, months.calendar.month_of_year
    rate = brand.purchases_monthly * (lives.activity * lives.buys)[months.customer]
    customer, month, second = months.scatter(rng, rate * np.array(brand.season)[of_year - 1][months.month])

    last_day = np.array([brand.promotions.get(int(m), 0) for m in of_year])[month]
    day = months.calendar.first_day[month] + last_day - 1 - (rng.random(len(month)) * 3).astype(np.int64)
    moves = (rng.random(len(month)) < brand.promotion_share) & (last_day > 0)
    moves &= lives.alive_on(months.calendar, customer, day)
    second = np.where(moves, day * DAY_SECONDS + second % DAY_SECONDS, second)
    second = np.maximum(second, months.first_second[customer])
    return Bought(customer=customer, second=second, cause=np.full(len(customer), BASELINE), since=second)


def _added(rng: np.random.Generator, brand: Brand, months: _AliveMonths, touches: Touches) -> Bought:
    """Draw the purchases that touches add."""
    effect = np.array([channel.effect for channel in brand.channels])
    works = rng.random(len(touches.channel)) < effect[touches.channel]
    works &= months.lives.buys[touches.customer]
    added = touches.where(works)
    wait = rng.standard_exponential(len(added.second)) * brand.delay_days
    second = added.second + 60 + (wait * DAY_SECONDS).astype(np.int64)
    there = months.lives.alive_on(months.calendar, added.customer, second // DAY_SECONDS)
    bought = Bought(customer=added.customer, second=second, cause=added.channel, since=added.second)
    return bought.where(there)


def _engagements(rng: np.random.Generator, brand: Brand, customer: np.ndarray, second: np.ndarray) -> Engagements:
    platform = pick(rng, PLATFORMS.values(), len(customer))
    n_acts = 1 + rng.poisson(brand.more_acts_per_session, len(customer))
    begin = np.repeat(second, n_acts)
    # acts of a session follow one another within its minutes, and stay on its day
    latest = begin // DAY_SECONDS * DAY_SECONDS + DAY_SECONDS - 1
    return Engagements(
        customer=np.repeat(customer, n_acts),
        second=np.minimum(begin + (rng.random(len(begin)) * 900).astype(np.int64), latest),
        platform=np.repeat(platform, n_acts),
        action=pick(rng, ACTIONS.values(), len(begin)),
    )
