"""
Simulated customers as canonical tables in memory: what ingest would make of their files, without the files.

For simulation studies that analyse hundreds of brands; the columns are those that spells and exposure need.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis.backends.duckdb import Backend

from lcm_research.data.reduction import Tables
from lcm_research.data.simulated.events import DAY_SECONDS
from lcm_research.data.simulated.tables import UTC_OFFSET_SECONDS, Chunk
from lcm_research.estimate import N_GROUPS

__all__ = ["canonical_tables"]


def canonical_tables(connection: Backend, chunks: Sequence[Chunk], *, more_acts: Sequence[pa.Table] = ()) -> Tables:
    """
    Return customers, transactions and engagements of some chunks as the reductions expect them.

    Parameters
    ----------
    connection : Backend
        Of DuckDB through Ibis; holds the tables until it is disconnected.
    chunks : list of Chunk
        Each is kept apart by the column ``draw`` of ``customers``, its place as text, which reductions may count
        by. Customers are drawn alike and independently, so that every hundredth of a chunk is as good a group as
        a hash makes.
    more_acts : list of Table
        None, or one a chunk: ``customer_id``, ``day`` and ``action`` of acts that no file holds.
    """
    parts = [_canonical(str(place), chunk) for place, chunk in enumerate(chunks)]
    for place, acts in enumerate(more_acts):
        parts.append({"engagements": _told_apart(str(place), acts)})
    made: dict[str, list[pa.Table]] = {}
    for part in parts:
        for name, table in part.items():
            made.setdefault(name, []).append(table)
    joined = {name: pa.concat_tables(tables) for name, tables in made.items()}
    return Tables({name: connection.create_table(name, table, temp=True) for name, table in joined.items()})


def _canonical(draw: str, chunk: Chunk) -> dict[str, pa.Table]:
    customers, transactions, engagements = (chunk.tables[t] for t in ("customers", "transactions", "engagements"))
    known = {
        "customer_id": customers["customer_id"],
        "replicate": pa.array(np.arange(len(customers)) % N_GROUPS),
        "first_seen_at_day": _local_day(customers["first_seen_at"]),
        "is_member": customers["is_member"],
        "draw": pa.array([draw] * len(customers), pa.string()),
    }
    bought = {name: transactions[name] for name in ("customer_id", "is_return")}
    acts = {name: engagements[name] for name in ("customer_id", "action")}
    made = {
        "customers": known,
        "transactions": bought | {"day": _local_day(transactions["ts"])},
        "engagements": acts | {"day": _local_day(engagements["ts"])},
    }
    return {name: _told_apart(draw, pa.table(table)) for name, table in made.items()}


def _told_apart(draw: str, table: pa.Table) -> pa.Table:
    """Put the draw before ids, which every draw counts from the same number."""
    ids = pc.binary_join_element_wise(draw, table["customer_id"], "-")
    return table.set_column(table.column_names.index("customer_id"), "customer_id", ids)


def _local_day(ts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Local date as days since 1970-01-01; timestamps lie after it, where whole division rounds down."""
    seconds = pc.add(pc.divide(ts.cast(pa.int64()), 1_000_000), UTC_OFFSET_SECONDS)
    return pc.divide(seconds, DAY_SECONDS)
