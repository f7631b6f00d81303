"""Exposure written out one customer, one period and one day at a time, and simulated brands as canonical tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import numpy as np
import pandas as pd
from spell_oracle import classify, make_tables, spells_of

from lcm_research.data.reduction import Tables
from lcm_research.data.simulate import simulate_tables
from lcm_research.data.simulated.brand import Brand

Days = Mapping[str, Sequence[int]]
Counted = Counter[tuple[Any, ...]]

SPELL = ("window_days", "observation_start_day", "as_of_day", "history")


def with_acts(purchases: Days, acts: Mapping[str, Sequence[tuple[int, str]]], **made: Any) -> Tables:
    """Canonical tables of purchases on days, and of social acts (day, action)."""
    rows = [(c, day, action) for c, own in acts.items() for day, action in own]
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "action"])
    frame = frame.astype({"customer_id": str, "day": "int64", "action": str})
    return Tables({**make_tables(purchases, **made), "engagements": ibis.memtable(frame)})


def first_spell(days: Sequence[int], choices: Mapping[str, Any]) -> tuple[int, int, bool] | None:
    """First day, duration and event of a customer's incident spell, where it is used."""
    told = classify(days, **{name: choices[name] for name in SPELL}, entry="incident")
    if not told or told[0][0] != "used":
        return None
    early = choices["history"] == "complete"
    known = [d for d in days if d <= choices["as_of_day"] and (early or d >= choices["observation_start_day"])]
    return spells_of(known, choices["window_days"])[0][0], told[0][2], told[0][3]


def class_of(n_days: int, breaks: Sequence[int]) -> str:
    begins = [1, *breaks]
    for begin, after in zip(begins, [*breaks, None], strict=True):
        if after is None:
            return f"{begin}+"
        if n_days < after:
            return str(begin) if after - 1 == begin else f"{begin}-{after - 1}"
    raise AssertionError


def exposed(purchases: Days, acts: Days, choices: Mapping[str, Any]) -> tuple[Counted, Counted]:
    """Spells at risk and events by (period, engaged, activity, group)."""
    at_risk: Counted = Counter()
    events: Counted = Counter()
    length, lag = choices["period_days"], choices["lag_periods"]
    for place, (customer, days) in enumerate(purchases.items()):
        spell = first_spell(days, choices)
        if spell is None:
            continue
        start, duration, event = spell
        period = 1
        while start + period * length <= choices["as_of_day"] - choices["window_days"]:
            first_day = start + (period - 1) * length
            last_of_spell = start + duration - 1
            if last_of_spell < first_day:
                break
            exposed_from = first_day - lag * length
            window = range(exposed_from, exposed_from + length) if period > lag else ()
            engaged = any(day in window for day in acts.get(customer, ()))
            n_days = len({d for d in days if start <= d <= max(exposed_from, start)})
            key = (period, engaged, class_of(n_days, choices["activity_breaks"]), place % 100)
            at_risk[key] += 1
            events[key] += event and first_day <= last_of_spell < first_day + length
            period += 1
    return at_risk, events


def ever(purchases: Days, acts: Days, choices: Mapping[str, Any]) -> Counted:
    """Spells by (duration, event, engaged, group)."""
    counted: Counted = Counter()
    for place, (customer, days) in enumerate(purchases.items()):
        spell = first_spell(days, choices)
        if spell is not None:
            start, duration, event = spell
            engaged = any(start <= day < start + duration for day in acts.get(customer, ()))
            counted[duration, event, engaged, place % 100] += 1
    return counted


def landmarked(purchases: Days, acts: Days, choices: Mapping[str, Any]) -> Counted:
    """Spells that reach the landmark by (days from it, event, engaged, activity, group)."""
    counted: Counted = Counter()
    for place, (customer, days) in enumerate(purchases.items()):
        spell = first_spell(days, choices)
        if spell is None or spell[1] < choices["landmark_days"]:
            continue
        start, duration, event = spell
        before = range(start, start + choices["landmark_days"] - 1)
        exposing, held_equal = before, before
        if choices.get("exposure_days"):
            exposing = before[-choices["exposure_days"] :]
            held_equal = range(start, exposing[0] + 1)
        engaged = any(day in exposing for day in acts.get(customer, ()))
        activity = class_of(len({d for d in days if d in held_equal}), choices["activity_breaks"])
        counted[duration - choices["landmark_days"] + 1, event, engaged, activity, place % 100] += 1
    return counted


def local_day(ts: pd.Series) -> pd.Series:
    """Local date in Shanghai as days since 1970-01-01."""
    return (ts.dt.as_unit("us").astype("int64") // 1_000_000 + 8 * 3600) // 86_400


def brand_tables(brand: Brand, *, n_customers: int, seed: int) -> Tables:
    """A simulated brand's two years; ``latent_activity`` puts customers in tenths of what no file holds."""
    raw = simulate_tables(n_customers=n_customers, n_months=24, seed=seed, brand=brand, keep_latent=True)
    customers = raw["customers"]
    activity = customers.merge(raw["latent_customers"], on="customer_id")["activity"]
    known = pd.DataFrame(
        {
            "customer_id": customers["customer_id"],
            "replicate": np.arange(len(customers)) % 100,
            "first_seen_at_day": local_day(customers["first_seen_at"]),
            "is_member": customers["is_member"],
            "latent_activity": pd.qcut(activity, 10, labels=False).astype(str),
        }
    )
    bought, acts = raw["transactions"], raw["engagements"]
    bought = bought.assign(day=local_day(bought["ts"]))[["customer_id", "day", "is_return"]]
    acts = acts.assign(day=local_day(acts["ts"]))[["customer_id", "day", "action"]]
    made = {"customers": known, "transactions": bought, "engagements": acts}
    return Tables({name: ibis.memtable(table) for name, table in made.items()})
