"""
Moves between stages, counted in the engine, against the dense panel, pandas and a scan of the columns, in one run.

    make bench        (or: python benchmarks/transitions.py [n_customers ...])

A scan reads every row of the columns that a task needs and does the least with them: the smallest and the largest
customer and the sum of each number. Counting each customer once is the least that any work by customer does.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from measure import Side, Task, draw, measure, write

from lcm_research.data.reduction import Tables
from lcm_research.data.simulated.brand import Brand
from lcm_research.data.simulated.tables import draw as draw_brand

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"
N_MONTHS, FIRST_DAY, AS_OF_DAY, WINDOW_DAYS = 24, 19_358, 20_088, 180
MEMORY, DAY_US, EAST_US = "2.5GB", 86_400_000_000, 28_800_000_000
CUT_MINOR = 5_000
WINDOW: dict[str, Any] = {"observation_start_day": FIRST_DAY, "as_of_day": AS_OF_DAY, "history": "complete"}
NAMES = {
    "customers": ["customer_id"],
    "transactions": ["transaction_id", "customer_id", "is_return", "currency"],
    "engagements": ["event_id", "customer_id", "action"],
}
RULES = ("scheme", "thresholds", "window_days")
NO_ANSWER = float("nan")

Work = Callable[[], float]


# -- inputs


def canonical(name: str, table: pa.Table) -> pa.Table:
    """Return a table of the simulated brand as ingest would store it: days in Shanghai, minor units, replicates."""
    seen = "first_seen_at" if name == "customers" else "ts"
    us = pc.cast(table[seen], pa.int64())
    prefix = "first_seen_at_" if name == "customers" else ""
    made = table.select(NAMES[name]).append_column(f"{prefix or 'ts_'}us", us)
    made = made.append_column(f"{prefix}day", pc.divide(pc.add(us, EAST_US), DAY_US))
    if name == "transactions":
        amount = pc.cast(pc.round(pc.multiply(table["amount"], 100)), pa.int64())
        made = made.append_column("amount_minor", amount)
    if name == "customers":
        groups = [int(hashlib.md5(c.encode()).hexdigest(), 16) % 100 for c in table["customer_id"].to_pylist()]
        made = made.append_column("replicate", pa.array(groups, pa.int64()))
    return made


def inputs(folder: Path) -> Callable[[int], Path]:
    """Write the tables of a size, once, rows in the order of time; and a stored panel, in no order."""

    def made(n: int) -> Path:
        here = folder / str(n)
        here.mkdir()
        writers: dict[str, pq.ParquetWriter] = {}
        for chunk in draw_brand(Brand(), n_customers=n, n_months=N_MONTHS, seed=n):
            for name in NAMES:
                table = canonical(name, chunk.tables[name])
                if name not in writers:
                    writers[name] = pq.ParquetWriter(here / f"{name}.unsorted", table.schema)
                writers[name].write_table(table)
        with duckdb.connect(config={"memory_limit": MEMORY, "threads": 2, "temp_directory": str(here)}) as con:
            for name, writer in writers.items():
                writer.close()
                order = "first_seen_at_us, customer_id" if name == "customers" else f"ts_us, {NAMES[name][0]}"
                rows = f"SELECT * FROM read_parquet('{here / name}.unsorted') ORDER BY {order}"
                con.execute(f"COPY ({rows}) TO '{here / name}.parquet'")
                (here / f"{name}.unsorted").unlink()
        with_panel(here)
        return here

    return made


def with_panel(here: Path) -> None:
    """Write the panel of stages, as somebody would have it."""
    from lcm_research.stages.panel import stage_panel
    from lcm_research.stages.rules import stage_rules

    connection, tables = opened(here)
    panel = stage_panel(tables, rules=stage_rules("nadc", window_days=WINDOW_DAYS), **WINDOW)
    panel = panel.select("customer_id", "period", "replicate", stage=panel.code)
    connection.to_parquet(panel, here / "panel.parquet")
    connection.disconnect()


def opened(folder: Path) -> tuple[Any, Tables]:
    """Connect with the memory limit, and read the tables in place."""
    connection = ibis.duckdb.connect(threads=2, memory_limit=MEMORY, temp_directory=str(folder / "spill"))
    return connection, Tables({name: connection.read_parquet(folder / f"{name}.parquet") for name in NAMES})


# -- ours


def options(scheme: str) -> dict[str, Any]:
    """Return what the reductions are told."""
    from lcm_research.stages.rules import stage_rules

    cut = {"m_cut": CUT_MINOR} if scheme in ("intro4", "intro5", "keynode5") else {}
    return stage_rules(scheme, window_days=WINDOW_DAYS, thresholds=cut).parameters() | WINDOW | {"period": "month"}


def stayed(counts: pd.DataFrame) -> float:
    """Return what sides are compared by: the moves, those that stay in their stage counted twice."""
    return float(counts["n"].sum() + counts.loc[counts["from_stage"] == counts["to_stage"], "n"].sum())


def from_gaps(scheme: str, folder: Path) -> Work:
    """Moves as the package counts them."""
    from lcm_research.stages.panel import transition_counts

    told = options(scheme)

    def work() -> float:
        connection, tables = opened(folder)
        counts = transition_counts.execute(tables, **told)
        connection.disconnect()
        return stayed(counts)

    return work


def from_dense_panel(scheme: str, folder: Path) -> Work:
    """The same from the panel of every customer and month."""
    from lcm_research.stages.panel import panel_of

    told = options(scheme)

    def work() -> float:
        connection, tables = opened(folder)
        panel, _ = panel_of(tables, **told)
        moved = panel.filter((panel.code >= 0) & (panel.was >= 0))
        cells = moved.group_by("was", "code", "period_start", "replicate").agg(n=moved.count()).to_pandas()
        connection.disconnect()
        return stayed(cells.rename(columns={"was": "from_stage", "code": "to_stage"}))

    return work


def of_schemes(schemes: list[str], folder: Path, *, apart: bool = False) -> Work:
    """Moves between coarse stages under several schemes, in one pass or one scheme after another."""
    from lcm_research.stages.multiverse import coarse_transition_counts

    told = {scheme: {name: options(scheme)[name] for name in RULES} for scheme in schemes}
    passes = [{scheme: rules} for scheme, rules in told.items()] if apart else [told]

    def work() -> float:
        connection, tables = opened(folder)
        found = [coarse_transition_counts.execute(tables, universes=universes, **WINDOW) for universes in passes]
        connection.disconnect()
        return sum(map(stayed, found))

    return work


def one_scheme(scheme: str, folder: Path) -> Work:
    """The time of one scheme alone, whose moves are not those of all."""
    alone = of_schemes([scheme], folder)

    def work() -> float:
        alone()
        return NO_ANSWER

    return work


def from_stored_panel(folder: Path) -> Work:
    """Moves from a panel in a file."""
    from lcm_research.stages.stored import stored_panel_counts

    def work() -> float:
        connection, _ = opened(folder)
        panel = connection.read_parquet(folder / "panel.parquet")
        counts = stored_panel_counts(panel, stages=range(5), first_period=0, last_period=N_MONTHS - 1)
        connection.disconnect()
        return stayed(counts)

    return work


# -- scans and peers


def scan(columns: dict[str, list[str]], folder: Path, *, once: bool = False) -> Work:
    """Read columns of tables; ``once`` counts each customer once as well."""
    customer = "count(DISTINCT customer_id)" if once else "min(customer_id), max(customer_id)"

    def work() -> float:
        with duckdb.connect(config={"memory_limit": MEMORY, "threads": 2}) as con:
            for table, names in columns.items():
                sums = "".join(f", sum({name}::BIGINT)" for name in names)
                con.execute(f"SELECT {customer}{sums} FROM read_parquet('{folder / table}.parquet')").fetchall()
        return NO_ANSWER

    return work


def pandas_shift(folder: Path) -> Work:
    """Moves from a panel in memory: sorted, shifted by customer, cross-tabulated by period and replicate."""
    panel = pd.read_parquet(folder / "panel.parquet")

    def work() -> float:
        rows = panel.sort_values(["customer_id", "period"])
        before = rows.groupby("customer_id")["stage"].shift()
        moved = rows[before.notna()].assign(was=before)
        counts = pd.crosstab([moved["period"], moved["replicate"], moved["was"]], moved["stage"])
        was = counts.index.get_level_values("was").to_numpy()
        same = sum(counts[stage].to_numpy()[was == stage].sum() for stage in counts)
        return float(counts.to_numpy().sum() + same)

    return work


def moves(scheme: str, columns: dict[str, list[str]], *, dense: bool = True) -> Iterator[Side]:
    """Yield the sides of counting moves from events."""
    yield Side("ours", functools.partial(from_gaps, scheme))
    if dense:
        yield Side("dense panel", functools.partial(from_dense_panel, scheme))
    yield Side("scan", functools.partial(scan, columns))
    yield Side("scan, customers", functools.partial(scan, columns, once=True))


PURCHASES = {"transactions": ["day", "is_return"]}
SPENDING = {"transactions": ["day", "is_return", "amount_minor"]}
ENGAGED = {"engagements": ["day", "length(action)"]}
STORED = {"panel": ["period", "stage"]}
SCHEMES = ["nadc", "nadcr", "pnmc", "acamc", "agadcr", "aipl", "ga4state", "pal", "rete6", "intro5"]

TASKS = [
    Task("Moves, nadc", list(moves("nadc", PURCHASES))),
    Task("Moves, pnmc", list(moves("pnmc", PURCHASES))),
    Task("Moves, acamc", list(moves("acamc", PURCHASES))),
    Task("Moves, aipl", list(moves("aipl", PURCHASES | ENGAGED))),
    Task("Moves, intro5", list(moves("intro5", SPENDING | ENGAGED))),
    Task(
        "Coarse moves, 10 schemes",
        [
            Side("ours", functools.partial(of_schemes, SCHEMES)),
            Side("one by one", functools.partial(of_schemes, SCHEMES, apart=True)),
            Side("intro5 alone", functools.partial(one_scheme, "intro5")),
        ],
    ),
    Task(
        "Moves, stored panel",
        [
            Side("ours", from_stored_panel),
            Side("pandas", pandas_shift),
            Side("scan", functools.partial(scan, STORED)),
            Side("scan, customers", functools.partial(scan, STORED, once=True)),
        ],
    ),
]


def main(sizes: list[int]) -> None:
    """Measure, and write the table and the figure."""
    with tempfile.TemporaryDirectory(prefix="lcm-bench-") as folder:
        table = measure(TASKS, sizes, inputs(Path(folder)))
    write(table, TASKS, RESULTS / "transitions.md", command="make bench")
    draw(table, TASKS, RESULTS / "transitions.png")


if __name__ == "__main__":
    main([int(a) for a in sys.argv[1:]] or [10_000, 100_000, 1_000_000])
