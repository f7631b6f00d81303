"""A brand whose customers engage by what their past purchases say of them, or by what they do not say."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pandas as pd

from lcm_research.data.reduction import Tables
from lcm_research.survival.exposure import exposure_counts

BREAKS = [2, 4, 8]
EVERY_NUMBER = list(range(2, 41))
PERIOD, DAYS, WINDOW = 30, 730, 120
CHOICES: dict[str, Any] = {
    "window_days": WINDOW,
    "observation_start_day": 0,
    "as_of_day": DAYS,
    "history": "complete",
    "churn_activity": ["purchases"],
    "actions": [],
    "period_days": PERIOD,
    "by": [],
}


def engaging_brand(n: int, seed: int, *, by_latent: bool) -> Tables:
    """
    Customers buy at a rate of their own until they leave, which engaging does not change.

    They engage once in a period of their spell with a chance that rises with the class of their purchase days up to
    its first day, or, ``by_latent``, with the rate itself.
    """
    rng = np.random.default_rng(seed)
    rate, start = rng.gamma(1.2, 1 / 1.2, n), rng.integers(0, DAYS - 30, n)
    end = np.minimum(start + rng.exponential(300, n), DAYS)
    gaps = rng.exponential(30 / (0.65 * rate)[:, None], (n, 150))
    gaps[:, 0] = 0
    days = start[:, None] + np.floor(gaps.cumsum(axis=1))
    bought = days <= end[:, None]
    acts = []
    for period in range(DAYS // PERIOD):
        opens = start + period * PERIOD
        first = np.where(bought & (days <= opens[:, None]), days, -1.0)
        n_days = 1 + (np.diff(np.sort(first, axis=1), axis=1) > 0).sum(axis=1) - (first < 0).any(axis=1)
        chance = np.array([0.25, 0.45, 0.65, 0.8])[np.digitize(n_days, BREAKS)]
        chance = 1 - np.exp(-0.8 * rate) if by_latent else chance
        day = opens + rng.integers(0, PERIOD, n)
        acted = (rng.random(n) < chance) & (day <= end)
        acts.append(pd.DataFrame({"customer_id": np.flatnonzero(acted), "day": day[acted]}))
    customer, place = np.nonzero(bought)
    transactions = pd.DataFrame({"customer_id": customer, "day": days[customer, place].astype(int), "is_return": False})
    made = {
        "customers": pd.DataFrame({"customer_id": np.arange(n), "replicate": np.arange(n) % 100}),
        "transactions": transactions,
        "engagements": pd.concat(acts).assign(action="like"),
    }
    return Tables({name: ibis.memtable(t.assign(customer_id=t["customer_id"].astype(str))) for name, t in made.items()})


def fine_counts(n: int, seed: int, *, by_latent: bool) -> pd.DataFrame:
    """Spell-periods by every number of past purchase days."""
    tables = engaging_brand(n, seed, by_latent=by_latent)
    return exposure_counts.execute(tables, **CHOICES, lag_periods=1, activity_breaks=EVERY_NUMBER)
