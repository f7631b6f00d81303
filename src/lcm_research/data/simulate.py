"""
The embedded social brand: simulated customers whose truth is known, in files as a user would bring them.

The files are raw (timestamps with time zone, decimal amounts), so that a study of them goes through the same
ingest as any other; ``truth.json`` beside them says what a right analysis finds. The model behind them
(``simulated.brand``) is deliberately none that an estimator assumes: leaving is never seen, only silence;
activity moves everything; the channel that is used most does nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lcm_research.data.cache import cache_folder
from lcm_research.data.simulated.brand import Brand, Channel
from lcm_research.data.simulated.lives import Calendar
from lcm_research.data.simulated.tables import TIMEZONE, draw
from lcm_research.errors import DataError

__all__ = ["DEMO_SEED", "Truth", "demo_folder", "read_truth", "simulate", "simulate_tables"]

DEMO_SEED = 20230101


@dataclass(frozen=True, kw_only=True)
class Truth:
    """
    What is true of a simulated brand, and what came of it.

    Parameters
    ----------
    n_customers, n_months, seed : int
        What was asked for.
    brand : Brand
        The model, with every true effect.
    timezone, observation_start, as_of : str
        Of the window; local dates, both of which hold events.
    n_transactions, n_touchpoints, n_engagements : int
        Rows of the files.
    n_purchases, n_buyers : int
        Purchases without goods returned, and customers who made one in the window.
    n_purchases_on_another_utc_day : int
        Purchases whose local date is not their date in UTC: those before eight in the morning.
    n_never_buy : int
        Customers who never buy whatever reaches them; other customers may not come to it.
    n_left, n_came_back : int
        How often customers left and came back in the window.
    n_added : mapping of str to int
        Purchases of the window that would be missing without the channel's touches: the true removal effect.
    """

    n_customers: int
    n_months: int
    seed: int
    brand: Brand
    timezone: str
    observation_start: str
    as_of: str
    n_transactions: int
    n_touchpoints: int
    n_engagements: int
    n_purchases: int
    n_buyers: int
    n_purchases_on_another_utc_day: int
    n_never_buy: int
    n_left: int
    n_came_back: int
    n_added: Mapping[str, int]


def simulate_tables(
    *, n_customers: int, n_months: int, seed: int, brand: Brand | None = None, keep_latent: bool = False
) -> dict[str, pd.DataFrame]:
    """
    Draw the brand's tables in memory.

    Parameters
    ----------
    n_customers, n_months, seed : int
        The window starts on 2023-01-01. The same three give the same tables.
    brand : Brand, optional
        Another truth than the demo's.
    keep_latent : bool
        Adds what no file holds: ``latent_customers`` (activity, entry_day, buys), ``latent_months`` (alive
        from from_day to the day before to_day; alive_at_start, left, came_back, engaged, engaged_before) and
        ``latent_purchases`` (cause).

    Returns
    -------
    dict of str to DataFrame
        ``customers``, ``transactions``, ``touchpoints`` and ``engagements``, as ``simulate`` writes them.
    """
    _check(n_customers, n_months, seed)
    parts: dict[str, list[pa.Table]] = {}
    for chunk in draw(brand or Brand(), n_customers=n_customers, n_months=n_months, seed=seed):
        kept = {**chunk.tables, **(chunk.latent if keep_latent else {})}
        for name, table in kept.items():
            parts.setdefault(name, []).append(table)
    return {name: pa.concat_tables(tables).to_pandas() for name, tables in parts.items()}


def simulate(folder: Path, *, n_customers: int, n_months: int, seed: int, brand: Brand | None = None) -> Truth:
    """
    Write the brand's files into ``folder``: four parquet files and ``truth.json``.

    The files are written under a temporary name beside ``folder`` and appear all at once. A folder that is
    complete is never written again: its truth is read.

    Parameters
    ----------
    folder : Path
        Made here; DataError where it holds something else than the files asked for.
    n_customers, n_months, seed, brand
        As for ``simulate_tables``.
    """
    _check(n_customers, n_months, seed)
    brand = brand or Brand()
    folder = Path(folder)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_occupied(folder):
        staged = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".part-{folder.name}-"))
        try:
            _write(staged, brand, n_customers, n_months, seed)
            _appear(staged, folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    truth = read_truth(folder)
    if (truth.n_customers, truth.n_months, truth.seed, truth.brand) != (n_customers, n_months, seed, brand):
        raise DataError(
            f"{folder} holds another simulation (n_customers={truth.n_customers}, n_months={truth.n_months}, "
            f"seed={truth.seed}) than the one asked for (n_customers={n_customers}, n_months={n_months}, "
            f"seed={seed}); a complete folder is never rewritten: choose another one"
        )
    return truth


def read_truth(folder: Path) -> Truth:
    """Read the truth beside simulated files; DataError where there is none."""
    path = Path(folder) / "truth.json"
    if not path.is_file():
        raise DataError(f"expected simulated files in {folder}; it has no truth.json: choose another or a new folder")
    raw = json.loads(path.read_text(encoding="utf-8"))
    brand = raw.pop("brand")
    brand["channels"] = tuple(Channel(**channel) for channel in brand["channels"])
    brand["season"] = tuple(brand["season"])
    for name in ("promotions", "sessions_by_purchase_days"):
        brand[name] = {int(key): value for key, value in brand[name].items()}
    return Truth(brand=Brand(**brand), **raw)


def demo_folder(*, n_customers: int = 5_000, n_months: int = 24, seed: int = DEMO_SEED) -> Path:
    """
    Return the folder of the demo's files, made in the cache on first use.

    Its name holds a hash of the choices and of the simulator's source, so that a changed simulator never
    meets old files. Processes that come at once all find the same complete folder.
    """
    asked = json.dumps([n_customers, n_months, seed, _source_hash()])
    folder = cache_folder() / f"demo-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
    simulate(folder, n_customers=n_customers, n_months=n_months, seed=seed)
    return folder


def _check(n_customers: int, n_months: int, seed: int) -> None:
    for name, value, least in (("n_customers", n_customers, 1), ("n_months", n_months, 1), ("seed", seed, 0)):
        if value < least:
            raise DataError(f"a simulation needs {name} of at least {least}; came {value}")


def _source_hash() -> str:
    here = Path(__file__)
    digest = hashlib.sha256()
    for path in [here, *sorted((here.parent / "simulated").glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_occupied(folder: Path) -> bool:
    if folder.exists() and not folder.is_dir():
        raise DataError(f"expected a folder for simulated files; {folder} is a file: choose another name")
    return folder.is_dir() and any(folder.iterdir())


def _write(folder: Path, brand: Brand, n_customers: int, n_months: int, seed: int) -> None:
    """Write the four files, a row group a chunk, then the truth; all flushed to the disk."""
    counts: Counter[str] = Counter()
    added: Counter[str] = Counter()
    with ExitStack() as open_files:
        writers: dict[str, pq.ParquetWriter] = {}
        for chunk in draw(brand, n_customers=n_customers, n_months=n_months, seed=seed):
            for name, table in chunk.tables.items():
                if name not in writers:
                    writer = pq.ParquetWriter(folder / f"{name}.parquet", table.schema, compression="zstd")
                    writers[name] = open_files.enter_context(writer)
                writers[name].write_table(table)
            counts.update(chunk.counts)
            added.update(chunk.added)
    truth = _truth(brand, n_months, seed, counts, added)
    text = json.dumps(asdict(truth), indent=2, ensure_ascii=False)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb") as written:
            os.fsync(written.fileno())


def _truth(brand: Brand, n_months: int, seed: int, counts: Counter[str], added: Counter[str]) -> Truth:
    calendar = Calendar.of(n_months)
    return Truth(
        n_months=n_months,
        seed=seed,
        brand=brand,
        timezone=TIMEZONE,
        observation_start=str(np.datetime64(calendar.start_day, "D")),
        as_of=str(np.datetime64(calendar.end_day - 1, "D")),
        n_added=dict(added),
        **counts,
    )


def _appear(staged: Path, folder: Path) -> None:
    """Rename a complete folder into place, unless another process was first."""
    try:
        staged.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
