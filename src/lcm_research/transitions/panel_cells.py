"""From counts of a panel to the distinct cells of its likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, N_GROUPS
from lcm_research.transitions.continuous import StageNames
from lcm_research.transitions.panel_likelihood import PanelCells

__all__ = ["Intervals", "panel_cells"]

Intervals = Literal["replicate", "information"]


def panel_cells(
    counts: pd.DataFrame, names: StageNames, covariates: Sequence[str], changes: Sequence[float], intervals: Intervals
) -> tuple[PanelCells, list[str]]:
    """Gather counts, as ``panel_intensities`` takes them, into distinct cells; return them and the columns."""
    table = _checked(counts, names, covariates, changes, intervals)
    keys = [*covariates, *(["start"] if changes else []), "interval"]
    by_interval = table.groupby(keys, sort=True)
    table = table.assign(at=by_interval.ngroup())
    kinds = table.drop_duplicates("at").sort_values("at")
    patterns, pattern_of = np.unique(kinds[list(covariates)].to_numpy(float), axis=0, return_inverse=True)
    cell = table.groupby(["at", "from_stage", "to_stage", "exact"], sort=True)
    table = table.assign(cell=cell.ngroup())
    firsts = table.drop_duplicates("cell").sort_values("cell")
    group = table["replicate"].to_numpy(np.int64) if intervals == "replicate" else np.zeros(len(table), np.int64)
    n = np.zeros((N_GROUPS if intervals == "replicate" else 1, len(firsts)))
    np.add.at(n, (group, table["cell"].to_numpy()), table["n"].to_numpy(float))
    n_pieces = len(changes) + 1
    on = np.eye(n_pieces)[:, 1:]
    made = np.concatenate(
        [
            np.ones((len(patterns), n_pieces, 1)),
            np.broadcast_to(patterns[:, None], (len(patterns), n_pieces, patterns.shape[1])),
            np.broadcast_to(on[None], (len(patterns), n_pieces, len(changes))),
        ],
        axis=2,
    )
    place = names.stages.index
    cells = PanelCells(
        names=names,
        patterns=made,
        lengths=_lengths(kinds, changes),
        pattern_of=np.ravel(pattern_of),
        interval=firsts["at"].to_numpy(),
        begin=firsts["from_stage"].map(place).to_numpy(np.int64),
        end=firsts["to_stage"].map(place).to_numpy(np.int64),
        exact=firsts["exact"].to_numpy(bool),
        n=n,
    )
    return cells, ["(intensity)", *covariates, *(f"from {change:g}" for change in changes)]


def _lengths(kinds: pd.DataFrame, changes: Sequence[float]) -> np.ndarray:
    length = kinds["interval"].to_numpy(float)
    if not changes:
        return length[:, None]
    start = kinds["start"].to_numpy(float)
    edges = np.array([-np.inf, *changes, np.inf])
    inside = np.minimum((start + length)[:, None], edges[1:]) - np.maximum(start[:, None], edges[:-1])
    return np.maximum(inside, 0.0)


def _checked(
    counts: pd.DataFrame, names: StageNames, covariates: Sequence[str], changes: Sequence[float], intervals: Intervals
) -> pd.DataFrame:
    needed = ["from_stage", "to_stage", "interval", "n", *covariates, *(["start"] if changes else [])]
    needed += ["replicate"] if intervals == "replicate" else []
    missing = [column for column in needed if column not in counts]
    if missing:
        raise ModelError(f"a panel needs the columns {', '.join(needed)}; missing {', '.join(missing)}")
    table = counts[counts["n"] > 0]
    if table.empty:
        raise ModelError("intensities need customers seen at two times; none were counted")
    strange = sorted((set(table["from_stage"]) | set(table["to_stage"])) - set(names.stages))
    if strange:
        raise ModelError(f"the counts name the stage '{strange[0]}', which is not among {', '.join(names.stages)}")
    if (table["interval"] <= 0).any():
        raise ModelError(f"time between two looks is above 0; came {table['interval'].min():g}; drop double looks")
    groups = table["replicate"].nunique() if intervals == "replicate" else N_GROUPS
    if groups < FEW_GROUPS:
        raise ModelError(f"customers in {groups} groups, fewer than {FEW_GROUPS}; choose intervals='information'")
    return table if "exact" in table else table.assign(exact=False)
