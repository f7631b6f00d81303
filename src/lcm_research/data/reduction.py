"""
What a reduction is: an Ibis expression that turns canonical tables into a table of additive counts.

A reduction is a function of ``Tables`` and keyword-only choices. It groups by keys and sums integers, so
counts of disjoint customers add up, on any engine that Ibis compiles to. Its result is cast to a declared
type, sorted by its keys, and cached under the hash of its inputs, its code and its parameters.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.cache import read_or_make
from lcm_research.errors import MissingTableError, ModelError

__all__ = ["MAX_CELLS", "Reduction", "Tables", "reduction"]

MAX_CELLS = 5_000_000
"""A table with more cells than this is no longer a table of counts."""


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
