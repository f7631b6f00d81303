"""Small histories as canonical tables, and journeys made from them one touch at a time, in plain Python."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import ibis
import pandas as pd

from lcm_research.data.reduction import Tables

DAY_US = 86_400_000_000


def tables(touches: list[tuple], purchases: list[tuple], *, replicates: dict[str, int] | None = None) -> Tables:
    """
    Canonical tables from touches ``(customer, day, channel, *options)`` and purchases ``(customer, day, amount)``.

    ``day`` may have a fraction. A touch may name its type, a purchase its currency and whether it is a return.
    """
    touch_rows = [
        {
            "touchpoint_id": f"t{i:04d}",
            "customer_id": who,
            "ts_us": int(day * DAY_US),
            "day": int(day // 1),
            "channel": channel,
            "touch_type": rest[0] if rest else "click",
        }
        for i, (who, day, channel, *rest) in enumerate(touches)
    ]
    purchase_rows = [
        {
            "transaction_id": f"x{i:04d}",
            "customer_id": who,
            "ts_us": int(day * DAY_US),
            "day": int(day // 1),
            "amount_minor": amount,
            "currency": rest[0] if rest else "CNY",
            "is_return": rest[1] if len(rest) > 1 else False,
        }
        for i, (who, day, amount, *rest) in enumerate(purchases)
    ]
    who = sorted({row["customer_id"] for row in touch_rows + purchase_rows} | set(replicates or {}))
    numbers = {name: i % 100 for i, name in enumerate(who)} | (replicates or {})
    customers = pd.DataFrame({"customer_id": who, "replicate": [numbers[name] for name in who]})
    frames = {
        "customers": customers.astype({"customer_id": "str", "replicate": "int64"}),
        "touchpoints": pd.DataFrame(touch_rows, columns=_TOUCH_COLUMNS).astype({"ts_us": "int64", "day": "int64"}),
        "transactions": pd.DataFrame(purchase_rows, columns=_PURCHASE_COLUMNS).astype(
            {"ts_us": "int64", "day": "int64", "amount_minor": "int64", "is_return": "bool"}
        ),
    }
    return Tables({name: ibis.memtable(frame, schema=_SCHEMAS[name]) for name, frame in frames.items()})


_TOUCH_COLUMNS = ["touchpoint_id", "customer_id", "ts_us", "day", "channel", "touch_type"]
_PURCHASE_COLUMNS = ["transaction_id", "customer_id", "ts_us", "day", "amount_minor", "currency", "is_return"]
_SCHEMAS = {
    "customers": {"customer_id": "string", "replicate": "int64"},
    "touchpoints": dict(zip(_TOUCH_COLUMNS, ["string", "string", "int64", "int64", "string", "string"], strict=True)),
    "transactions": dict(
        zip(_PURCHASE_COLUMNS, ["string", "string", "int64", "int64", "int64", "string", "boolean"], strict=True)
    ),
}


@dataclass
class Journey:
    """A journey of the oracle."""

    customer: str
    key: Any
    value: int | None
    days: list[int] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)

    def status(self, choices: dict) -> str:
        if self.days[0] < choices["observation_start_day"] + choices["lookback_days"]:
            return "starts_too_early"
        if self.days[-1] > choices["as_of_day"] - choices["lookback_days"]:
            return "ends_too_late"
        return "used"

    def path(self, collapse: bool) -> list[str]:
        if not collapse:
            return self.channels
        return [c for i, c in enumerate(self.channels) if i == 0 or c != self.channels[i - 1]]


def journeys(touchpoints: pd.DataFrame, transactions: pd.DataFrame, choices: dict) -> list[Journey]:
    """Journeys by the definition, customer by customer: each touch looks for its conversion."""
    start, as_of, lookback = choices["observation_start_day"], choices["as_of_day"], choices["lookback_days"]
    made: list[Journey] = []
    conversions: dict[str, dict[int, list[int]]] = {}
    for row in transactions.itertuples():
        if not row.is_return and start <= row.day <= as_of:
            known = conversions.setdefault(row.customer_id, {}).setdefault(row.ts_us, [row.day, 0])
            known[1] += row.amount_minor
    ordered = touchpoints.sort_values(["customer_id", "ts_us", "touchpoint_id"])
    for row in ordered.itertuples():
        if row.touch_type not in choices["touch_types"] or not start <= row.day <= as_of:
            continue
        later = sorted(ts for ts in conversions.get(row.customer_id, {}) if ts >= row.ts_us)
        reached = later[0] if later else None
        day, value = conversions[row.customer_id][reached] if later else (None, None)
        converted = day is not None and day - row.day <= lookback
        key = ("converted", reached) if converted else ("not", reached)
        last = made[-1] if made and made[-1].customer == row.customer_id else None
        goes_on = last is not None and last.key == key and (converted or row.day - last.days[-1] <= lookback)
        if not goes_on:
            last = Journey(row.customer_id, key, value if converted else None)
            made.append(last)
        last.days.append(row.day)
        last.channels.append(row.channel)
    return made


def edge_oracle(made: list[Journey], choices: dict, replicate: dict[str, int]) -> dict:
    """``edge_counts`` as a dict from key to (n, value)."""
    n, value = Counter(), Counter()
    for journey in made:
        if journey.status(choices) != "used":
            continue
        end = "(null)" if journey.value is None else "(conversion)"
        path = ["(start)", *journey.path(choices["collapse_repeats"]), end]
        for step in itertools.pairwise(path):
            n[(*step, replicate[journey.customer])] += 1
        value[(path[-2], end, replicate[journey.customer])] += journey.value or 0
    return {key: (n[key], value[key]) for key in n}


def touch_oracle(made: list[Journey], choices: dict, replicate: dict[str, int]) -> dict:
    """``touch_sums`` as a dict from key to (n, value)."""
    n, value = Counter(), Counter()
    for journey in made:
        if journey.status(choices) != "used" or journey.value is None:
            continue
        path = journey.path(choices["collapse_repeats"])
        for i, channel in enumerate(path):
            key = (channel, len(path), i == 0, i == len(path) - 1, replicate[journey.customer])
            n[key] += 1
            value[key] += journey.value
    return {key: (n[key], value[key]) for key in n}
