"""
Engagement that follows what anybody can see: the purchases that a customer has made so far.

Purchases are drawn first, as customers would make them who never leave; leaving then takes away what comes after
it. So purchases of a month are known when its sessions are drawn, and nothing but they moves the sessions.
"""

from __future__ import annotations

import numpy as np

from lcm_research.data.simulated.brand import Brand
from lcm_research.data.simulated.events import DAY_SECONDS, Bought
from lcm_research.data.simulated.lives import DAYS_PER_MONTH, Calendar, Lives

__all__ = ["LOOK_EVERY_DAYS", "FollowedPurchases"]

LOOK_EVERY_DAYS = 30
"""How often purchases are looked up anew, from a customer's first one on."""

NEVER = np.iinfo(np.int64).max


class FollowedPurchases:
    """
    Draws the sessions of each month from the purchases so far (one use, months in order).

    Parameters
    ----------
    rng, brand, calendar
        As for ``live``.
    n : int
        Number of customers.
    would_buy : Bought
        Purchases of customers who never leave, of which those that ``happens`` says are made.
    """

    def __init__(self, rng: np.random.Generator, brand: Brand, calendar: Calendar, n: int, would_buy: Bought) -> None:
        self.rng, self.calendar = rng, calendar
        self.breaks = np.array(list(brand.sessions_by_purchase_days))
        self.rates = np.array(list(brand.sessions_by_purchase_days.values())) * brand.sessions_monthly / DAYS_PER_MONTH
        self.would_buy = would_buy
        self.month_bought = calendar.month_of(would_buy.second // DAY_SECONDS)
        self.n_purchase_days = np.zeros(n, np.int64)
        self.next_look = np.full(n, NEVER)
        self.rate = np.full(n, self.rates[0])
        self.customers: list[np.ndarray] = []
        self.days: list[np.ndarray] = []

    def __call__(self, lives: Lives, month: int) -> np.ndarray:
        """Return the number of sessions of each customer in ``month``."""
        begin, end = self.calendar.first_day[month : month + 2]
        from_day, to_day = lives.from_day[:, month].copy(), lives.to_day[:, month].copy()
        n_sessions = np.zeros(len(self.rate), np.int64)
        for day, buyers in zip(range(begin, end), self._buyers(lives, month), strict=True):
            self._look(day, buyers)
            there = (from_day <= day) & (day < to_day)
            own = self._sessions(self.rate * there)
            n_sessions += np.bincount(own, minlength=len(n_sessions))
            self.customers.append(own)
            self.days.append(np.full(len(own), day))
        return n_sessions

    def session_days(self) -> tuple[np.ndarray, np.ndarray]:
        """Return customer and day of every session drawn."""
        return np.concatenate(self.customers), np.concatenate(self.days)

    def _look(self, day: int, buyers: np.ndarray) -> None:
        """Count a day's purchases, and look up the rate of those whose day to look it is."""
        self.n_purchase_days[buyers] += 1
        first = buyers[self.next_look[buyers] == NEVER]
        self.next_look[first] = day
        looked = np.flatnonzero(self.next_look == day)
        seen = np.searchsorted(self.breaks, self.n_purchase_days[looked], side="right") - 1
        self.rate[looked] = self.rates[seen]
        self.next_look[looked] = day + LOOK_EVERY_DAYS

    def _sessions(self, rate: np.ndarray) -> np.ndarray:
        """Return the customer of each session of a day: at the highest rate for all, of which their own share stays."""
        top = self.rates.max()
        tried = self.rng.integers(len(rate), size=self.rng.poisson(len(rate) * top))
        return tried[self.rng.random(len(tried)) * top < rate[tried]]

    def _buyers(self, lives: Lives, month: int) -> list[np.ndarray]:
        """Return the customers who buy on each day of the month, each once a day."""
        begin, end = self.calendar.first_day[month : month + 2]
        own = self.would_buy.where(self.month_bought == month)
        own = own.where(own.happens(self.calendar, lives))
        places = np.unique((own.second // DAY_SECONDS - begin) * len(self.rate) + own.customer)
        day, customer = np.divmod(places, len(self.rate))
        return np.split(customer, np.searchsorted(day, np.arange(1, end - begin)))
