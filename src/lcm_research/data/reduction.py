"""
What a reduction is: an Ibis expression that turns canonical tables into a table of additive counts.

A reduction is a function of ``Tables`` and keyword-only choices. It groups by keys and sums integers, so
counts of disjoint customers add up, on any engine that Ibis compiles to. Its result is cast to a declared
type, sorted by its keys, and cached under the hash of its inputs, its code and its parameters.

Where a question cannot be answered by counts (whom to contact), ``rows`` lets a bounded number of customers through,
for a reason that is named, under pseudonyms, and never to a page.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.cache import atomic_path, read_or_make
from lcm_research.errors import MissingTableError, ModelError

__all__ = [
    "MAX_CELLS",
    "MAX_ROWS",
    "PrivateRows",
    "Reduction",
    "Tables",
    "pseudonym",
    "pseudonym_key",
    "reduction",
    "rows",
]

MAX_CELLS = 5_000_000
"""A table with more cells than this is no longer a table of counts."""

MAX_ROWS = 10_000
"""More customers than this never leave the engine, whatever the reason."""


@dataclass(frozen=True)
class Tables(Mapping[str, ir.Table]):
    """
    The canonical tables of a study, as Ibis expressions on one engine.

    Asking for a table that the study does not have raises MissingTableError, which a run turns into a
    skipped notebook with the reason.
    """

    expressions: Mapping[str, ir.Table]
    fingerprint: str = ""

    def __getitem__(self, name: str) -> ir.Table:
        if name not in self.expressions:
            raise MissingTableError(name, purpose="this analysis")
        return self.expressions[name]

    def __contains__(self, name: object) -> bool:
        return name in self.expressions

    def __iter__(self) -> Iterator[str]:
        return iter(self.expressions)

    def __len__(self) -> int:
        return len(self.expressions)


@functools.cache
def code_fingerprint() -> str:
    """Return a hash of every source file of the package: changed code never meets cached counts."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(p for p in package.rglob("*") if p.suffix in {".py", ".yml"}):
        digest.update(str(path.relative_to(package)).encode() + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Reduction:
    """
    A named reduction: how to build it, and the type of each of its columns.

    Every column that is not in ``counts`` is a key. Keys that are not in ``keys`` are a study's segments,
    which are strings.
    """

    build: Callable[..., ir.Table]
    keys: Mapping[str, str]
    counts: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of the function that builds it."""
        return self.build.__name__

    def __call__(self, tables: Tables, **parameters: Any) -> ir.Table:
        """Return the Ibis expression, not executed and in no order."""
        return self.build(tables, **parameters)

    def execute(self, tables: Tables, **parameters: Any) -> pd.DataFrame:
        """Return the counts as numpy-typed columns, sorted by key."""
        counts = self.build(tables, **parameters).to_pandas()
        if len(counts) > MAX_CELLS:
            raise ModelError(
                f"reduction '{self.name}' has {len(counts):,} cells, more than {MAX_CELLS:,}: these are no longer "
                "counts; drop a segment or cut it by coarser breaks"
            )
        keys = [c for c in counts.columns if c not in self.counts]
        types = {c: self.keys.get(c, "object") for c in keys} | dict(self.counts)
        return counts.astype(types)[[*keys, *self.counts]].sort_values(keys, ignore_index=True)

    def cached(self, tables: Tables, folder: Path, **parameters: Any) -> pd.DataFrame:
        """Return the counts from ``folder`` where the same inputs, code and parameters made them before."""
        asked = json.dumps([self.name, code_fingerprint(), tables.fingerprint, parameters], sort_keys=True, default=str)
        path = folder / f"{self.name}-{hashlib.sha256(asked.encode()).hexdigest()[:32]}.parquet"
        return read_or_make(path, lambda: self.execute(tables, **parameters))


def reduction(*, keys: Mapping[str, str], counts: Mapping[str, str]) -> Callable[[Callable[..., ir.Table]], Reduction]:
    """
    Declare a function that builds counts as a reduction.

    Parameters
    ----------
    keys, counts : mapping of column to numpy type
        Counts are integers: ``{"n": "int64"}``; a key that no entry names is a segment, a string.
    """

    def declare(build: Callable[..., ir.Table]) -> Reduction:
        made = Reduction(build=build, keys=dict(keys), counts=dict(counts))
        object.__setattr__(made, "__doc__", build.__doc__)
        return made

    return declare


@dataclass(frozen=True, kw_only=True, eq=False)
class PrivateRows:
    """
    Rows of single customers, a declared exception: for work, never for a page.

    It is no table and shows no row, so that neither ``emit`` nor a displayed cell publishes one by mistake.

    Attributes
    ----------
    reason : str
        Why counts do not answer the question.
    frame : DataFrame
        One row a customer; ``pseudonym`` in place of the customer's id.
    """

    reason: str
    frame: pd.DataFrame = field(repr=False)

    def __len__(self) -> int:
        return len(self.frame)

    def save(self, folder: Path, name: str) -> Path:
        """Write the rows to ``folder`` (a cache) as ``name.csv``, for its owner only, and return the path."""
        path = folder / f"{name}.csv"
        with atomic_path(path) as temporary:
            self.frame.to_csv(temporary, index=False)
        return path


def rows(expression: ir.Table, *, reason: str, most: int, key: bytes) -> PrivateRows:
    """
    Let the rows of at most ``most`` customers out of the engine, under pseudonyms.

    Parameters
    ----------
    expression : ir.Table
        With the column ``customer_id`` and at most ``most`` rows; what else it holds goes out as it is.
    reason : str
        Why counts do not answer the question; kept with the rows.
    most : int
        From 1 to 10,000.
    key : bytes
        Of ``pseudonym_key``: the same key gives the same pseudonyms, another key unrelated ones.

    Raises
    ------
    ModelError
        Without a reason, with a bound outside 1 to 10,000, or where there are more rows than the bound.
    """
    if not reason.strip():
        raise ModelError("rows of single customers leave the engine for a named reason only; came an empty one")
    if not 1 <= most <= MAX_ROWS:
        raise ModelError(f"most={most} is outside 1 to {MAX_ROWS:,}; rows of more customers never leave the engine")
    if "customer_id" not in expression.columns:
        raise ModelError(f"rows need the column 'customer_id' to replace it; came {', '.join(expression.columns)}")
    frame = expression.limit(most + 1).to_pandas()
    if len(frame) > most:
        raise ModelError(f"more than most={most:,} rows were asked for; order them and cut them in the engine")
    named = [pseudonym(customer, key=key) for customer in frame["customer_id"]]
    frame = frame.drop(columns="customer_id")
    frame.insert(0, "pseudonym", named)
    return PrivateRows(reason=reason, frame=frame)


def pseudonym(customer_id: str, *, key: bytes) -> str:
    """
    Return the name that stands for a customer; nobody without the key can tell whose it is.

    >>> pseudonym("c-17", key=b"another secret") == pseudonym("c-17", key=b"a secret")
    False
    """
    return hmac.new(key, str(customer_id).encode(), hashlib.sha256).hexdigest()[:20]


def pseudonym_key(folder: Path) -> bytes:
    """Return the secret that pseudonyms are made with, from ``folder`` (a cache); made there once, for its owner."""
    path = folder / "pseudonyms.key"
    if not path.exists():
        with atomic_path(path) as temporary:
            temporary.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()
