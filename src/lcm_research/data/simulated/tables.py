"""From lives and events to tables as a user would export them: opaque ids, UTC timestamps, decimal amounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lcm_research.data.simulated.brand import ACTIONS, AGE_BANDS, CATEGORIES, PLATFORMS, REGIONS, Brand
from lcm_research.data.simulated.events import (
    BASELINE,
    DAY_SECONDS,
    Engagements,
    Purchases,
    Touches,
    Visits,
    act,
    pick,
    visit,
)
from lcm_research.data.simulated.following import FollowedPurchases
from lcm_research.data.simulated.lives import (
    EARLIER_MONTHS,
    Calendar,
    Lives,
    live,
    meet,
    stay_for_good,
    steady_sessions,
)

__all__ = ["CHUNK_CUSTOMERS", "TIMEZONE", "Chunk", "draw"]

TIMEZONE = "Asia/Shanghai"
UTC_OFFSET_SECONDS = 8 * 3600

CHUNK_CUSTOMERS = 10_000
"""Customers drawn together, by a generator of their own: the first 10,000 do not depend on how many follow."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Chunk:
    """
    The tables of some customers, what stands behind them, and counts of it.

    Parameters
    ----------
    tables : mapping of str to Table
        As they are written.
    latent : mapping of str to Table
        ``latent_customers`` (a row a customer), ``latent_months`` (a row a customer and month of the window,
        from first contact) and ``latent_purchases`` (a row a transaction, with its cause).
    counts, added : Counter
        Counts of what happened in the window; purchases added, by channel.
    """

    tables: Mapping[str, pa.Table]
    latent: Mapping[str, pa.Table]
    counts: Counter[str]
    added: Counter[str]


def draw(brand: Brand, *, n_customers: int, n_months: int, seed: int) -> Iterator[Chunk]:
    """Draw the brand's customers chunk by chunk."""
    calendar = Calendar.of(n_months)
    for number, first in enumerate(range(0, n_customers, CHUNK_CUSTOMERS)):
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(number,))))
        yield _chunk(rng, brand, calendar, number, min(CHUNK_CUSTOMERS, n_customers - first))


def _chunk(rng: np.random.Generator, brand: Brand, calendar: Calendar, number: int, n: int) -> Chunk:
    lives, acquired_by, visits, session_days = _lived(rng, brand, calendar, n)
    purchases, engagements = act(rng, brand, calendar, lives, visits, session_days)
    first_second, touches = visits.first_second, visits.touches
    customer_ids = _ids("C", 1 + number * CHUNK_CUSTOMERS + np.arange(n))
    touches, engagements = touches.in_window(calendar), engagements.in_window(calendar)
    purchases = purchases.in_window(calendar)
    tables = {
        "customers": _customers(rng, brand, lives, customer_ids, first_second, acquired_by),
        "transactions": _transactions(purchases, customer_ids, number),
        "touchpoints": _touchpoints(brand, touches, customer_ids, number),
        "engagements": _engagements(engagements, customer_ids, number),
    }
    latent = {
        "latent_customers": _latent_customers(lives, customer_ids),
        "latent_months": _latent_months(calendar, lives, customer_ids),
        "latent_purchases": _latent_purchases(brand, purchases, tables["transactions"]),
    }
    counts, added = _counts(brand, lives, purchases)
    counts.update({f"n_{name}": table.num_rows for name, table in tables.items()})
    return Chunk(tables=tables, latent=latent, counts=counts, added=added)


def _lived(
    rng: np.random.Generator, brand: Brand, calendar: Calendar, n: int
) -> tuple[Lives, np.ndarray, Visits, tuple[np.ndarray, np.ndarray] | None]:
    """Lives, first channels, visits and session days: lives first, but where engagement follows purchases."""
    shares = [channel.acquisition_share for channel in brand.channels]
    people = meet(rng, brand, calendar, n)
    if brand.engagement_follows != "purchases":
        lives = live(rng, brand, calendar, people, steady_sessions(rng, brand, calendar))
        acquired_by = pick(rng, shares, n)
        return lives, acquired_by, visit(rng, brand, calendar, lives, acquired_by), None
    acquired_by = pick(rng, shares, n)
    would_visit = visit(rng, brand, calendar, stay_for_good(calendar, people), acquired_by)
    followed = FollowedPurchases(rng, brand, calendar, n, would_visit.bought)
    lives = live(rng, brand, calendar, people, followed)
    return lives, acquired_by, would_visit.while_alive(calendar, lives), followed.session_days()


def _ids(prefix: str, number: np.ndarray) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(number).cast(pa.string()), 10, padding="0")
    return pc.binary_join_element_wise(prefix, digits, "")


def _event_ids(prefix: str, chunk: int, n: int) -> pa.Array:
    return _ids(prefix, chunk * 10_000_000 + np.arange(n))


def _utc(second: np.ndarray) -> pa.Array:
    return pa.array((second - UTC_OFFSET_SECONDS) * 1_000_000).cast(pa.timestamp("us", tz="UTC"))


def _named(names: Sequence[str], position: np.ndarray) -> pa.Array:
    return pa.array(list(names), pa.string()).take(pa.array(position))


def _customers(
    rng: np.random.Generator,
    brand: Brand,
    lives: Lives,
    ids: pa.Array,
    first_second: np.ndarray,
    acquired_by: np.ndarray,
) -> pa.Table:
    n = len(ids)
    return pa.table(
        {
            "customer_id": ids,
            "first_seen_at": _utc(first_second),
            "acquisition_channel": _named([channel.name for channel in brand.channels], acquired_by),
            "region": _named(list(REGIONS), pick(rng, REGIONS.values(), n)),
            "age_band": _named(list(AGE_BANDS), pick(rng, AGE_BANDS.values(), n)),
            "is_member": pa.array(lives.is_member),
            "consent_analytics": pa.array(rng.random(n) < brand.consent_share),
        }
    )


def _transactions(purchases: Purchases, customer_ids: pa.Array, chunk: int) -> pa.Table:
    n = len(purchases.second)
    return pa.table(
        {
            "transaction_id": _event_ids("T", chunk, n),
            "customer_id": customer_ids.take(pa.array(purchases.customer)),
            "ts": _utc(purchases.second),
            "amount": pa.array(purchases.cents / 100),
            "currency": pa.array(np.full(n, "CNY", object), pa.string()),
            "is_return": pa.array(purchases.is_return),
            "category": _named(list(CATEGORIES), purchases.category),
            "channel": _named(["online", "store"], purchases.in_store.astype(np.int64)),
        }
    )


def _touchpoints(brand: Brand, touches: Touches, customer_ids: pa.Array, chunk: int) -> pa.Table:
    types = [list(channel.touch_types) for channel in brand.channels]
    widest = max(len(names) for names in types)
    padded = [name for names in types for name in [*names, *[""] * (widest - len(names))]]
    return pa.table(
        {
            "touchpoint_id": _event_ids("P", chunk, len(touches.second)),
            "customer_id": customer_ids.take(pa.array(touches.customer)),
            "ts": _utc(touches.second),
            "channel": _named([channel.name for channel in brand.channels], touches.channel),
            "touch_type": _named(padded, touches.channel * widest + touches.touch_type),
            "paid": pa.array(touches.paid),
        }
    )


def _engagements(engagements: Engagements, customer_ids: pa.Array, chunk: int) -> pa.Table:
    return pa.table(
        {
            "event_id": _event_ids("E", chunk, len(engagements.second)),
            "customer_id": customer_ids.take(pa.array(engagements.customer)),
            "ts": _utc(engagements.second),
            "platform": _named(list(PLATFORMS), engagements.platform),
            "action": _named(list(ACTIONS), engagements.action),
        }
    )


def _latent_customers(lives: Lives, customer_ids: pa.Array) -> pa.Table:
    return pa.table(
        {
            "customer_id": customer_ids,
            "activity": pa.array(lives.activity),
            "is_member": pa.array(lives.is_member),
            "buys": pa.array(lives.buys),
            "entry_day": pa.array(lives.entry_day),
        }
    )


def _latent_months(calendar: Calendar, lives: Lives, customer_ids: pa.Array) -> pa.Table:
    known = lives.entry_day[:, None] < calendar.first_day[None, 1:]
    known[:, :EARLIER_MONTHS] = False
    customer, month = np.nonzero(known)
    columns = {
        "from_day": lives.from_day,
        "to_day": lives.to_day,
        "alive_at_start": lives.at_risk,
        "left": lives.left,
        "came_back": lives.came_back,
        "engaged": lives.n_sessions > 0,
        "engaged_before": lives.engaged_before,
    }
    return pa.table(
        {
            "customer_id": customer_ids.take(pa.array(customer)),
            "month": pa.array(month - EARLIER_MONTHS),
            **{name: pa.array(column[customer, month]) for name, column in columns.items()},
        }
    )


def _latent_purchases(brand: Brand, purchases: Purchases, transactions: pa.Table) -> pa.Table:
    causes = [*(channel.name for channel in brand.channels), "baseline"]
    position = np.where(purchases.cause == BASELINE, len(causes) - 1, purchases.cause)
    return pa.table({"transaction_id": transactions["transaction_id"], "cause": _named(causes, position)})


def _counts(brand: Brand, lives: Lives, purchases: Purchases) -> tuple[Counter[str], Counter[str]]:
    bought = purchases.where(~purchases.is_return)
    utc_day = (bought.second - UTC_OFFSET_SECONDS) // DAY_SECONDS
    counts = Counter(
        n_purchases=len(bought.second),
        n_purchases_on_another_utc_day=int((utc_day != bought.second // DAY_SECONDS).sum()),
        n_buyers=len(np.unique(bought.customer)),
        n_never_buy=int((~lives.buys).sum()),
        n_left=int(lives.left[:, EARLIER_MONTHS:].sum()),
        n_came_back=int(lives.came_back[:, EARLIER_MONTHS:].sum()),
    )
    by_channel = np.bincount(bought.cause[bought.cause != BASELINE], minlength=len(brand.channels))
    return counts, Counter({channel.name: int(n) for channel, n in zip(brand.channels, by_channel, strict=True)})
