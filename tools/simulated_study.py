"""What the scripts on engaging share: the choices of the analysis, and a simulated brand's counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from lcm_research.data.reduction import Tables
from lcm_research.data.simulated.brand import Brand
from lcm_research.data.simulated.in_memory import canonical_tables
from lcm_research.data.simulated.lives import DAYS_PER_MONTH, Calendar
from lcm_research.data.simulated.tables import Chunk, draw
from lcm_research.survival.exposure import activity_classes, ever_engaged_counts, exposure_counts, landmark_counts
from lcm_research.survival.positivity import past_days_of

N_MONTHS = 24
CALENDAR = Calendar.of(N_MONTHS)
CHOICES: dict[str, Any] = {
    "window_days": 180,
    "period_days": 30,
    "lag_periods": 1,
    "activity_breaks": [2, 4, 8],
    "landmark_days": 91,
    "exposure_days": 30,
    "landmark_breaks": [2, 4],
    "horizon_days": 180,
}
SPELLS: dict[str, Any] = {
    "window_days": CHOICES["window_days"],
    "observation_start_day": CALENDAR.start_day,
    "as_of_day": CALENDAR.end_day - 1,
    "history": "from_observation_start",
    "churn_activity": ["purchases"],
    "actions": [],
    "by": ["draw"],
}


Drawn: TypeAlias = tuple[Chunk, pa.Table | None]


def drawn(brand: Brand, *, n_customers: int, seed: int) -> Iterator[Drawn]:
    """Draw a brand by 10,000 customers; where engaging is by chance, also the acts that it gives to who is away."""
    for number, chunk in enumerate(draw(brand, n_customers=n_customers, n_months=N_MONTHS, seed=seed)):
        rng = np.random.default_rng([seed, number, 1])
        yield chunk, acts_while_away(rng, brand, chunk) if brand.engagement_follows == "chance" else None


@contextmanager
def in_engine(parts: Sequence[Drawn]) -> Iterator[Tables]:
    """Hold what was drawn in an engine of its own, each part apart as ``draw``."""
    connection = ibis.duckdb.connect()
    more_acts = [acts for _, acts in parts if acts is not None]
    yield canonical_tables(connection, [chunk for chunk, _ in parts], more_acts=more_acts)
    connection.disconnect()


def acts_while_away(rng: np.random.Generator, brand: Brand, chunk: Chunk) -> pa.Table:
    """Draw the acts that chance would give to customers who are away, at the rate of those who are there."""
    months = chunk.latent["latent_months"].to_pandas()
    entry = chunk.latent["latent_customers"].to_pandas().set_index("customer_id")["entry_day"]
    first_day = CALENDAR.first_day[-N_MONTHS - 1 :]
    begin, end = first_day[months["month"]], first_day[months["month"] + 1]
    known = np.maximum(begin, months["customer_id"].map(entry).to_numpy())
    away = [(known, months["from_day"].to_numpy()), (months["to_day"].to_numpy(), end)]
    customers, days = [], []
    for since, until in away:
        length = np.maximum(until - since, 0)
        n = rng.poisson(brand.sessions_monthly * length / DAYS_PER_MONTH)
        customers.append(np.repeat(months["customer_id"].to_numpy(), n))
        days.append(np.repeat(since, n) + (rng.random(n.sum()) * np.repeat(length, n)).astype(np.int64))
    day = np.concatenate(days)
    customer = pa.array(np.concatenate(customers), pa.string())
    return pa.table({"customer_id": customer, "action": pa.array(["like"] * len(day), pa.string()), "day": day})


def fine_exposure(tables: Tables) -> pd.DataFrame:
    """Exposure counts with every number of past purchase days apart."""
    periods = {"period_days": CHOICES["period_days"], "lag_periods": CHOICES["lag_periods"]}
    return exposure_counts.execute(tables, **SPELLS, **periods, activity_breaks=list(range(2, 41)))


def in_classes(fine: pd.DataFrame) -> pd.DataFrame:
    """Counts of ``fine_exposure`` in the classes of the analysis."""
    names = np.array(activity_classes(CHOICES["activity_breaks"]))
    classes = names[np.digitize(past_days_of(fine["activity"]), CHOICES["activity_breaks"])]
    keys = ["draw", "period", "engaged", "activity", "replicate"]
    return fine.assign(activity=classes).groupby(keys, as_index=False)[["n_at_risk", "n_events"]].sum()


def landmark_of(tables: Tables) -> pd.DataFrame:
    """Landmark counts with acts of the last days before the landmark."""
    days = {"landmark_days": CHOICES["landmark_days"], "exposure_days": CHOICES["exposure_days"]}
    return landmark_counts.execute(tables, **SPELLS, **days, activity_breaks=CHOICES["landmark_breaks"])


def ever_of(tables: Tables) -> pd.DataFrame:
    """Counts for the naive comparison."""
    return ever_engaged_counts.execute(tables, **SPELLS)


def added_up(parts: Sequence[pd.DataFrame], *, counts: list[str]) -> pd.DataFrame:
    """Add counts of disjoint customers, whatever they were drawn as."""
    rows = pd.concat(parts, ignore_index=True).drop(columns="draw")
    return rows.groupby([c for c in rows if c not in counts], as_index=False)[counts].sum()
