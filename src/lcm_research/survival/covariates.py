"""
Covariates as columns of numbers: one row a pattern, one column a level or a number, and what cannot be fitted.

A text column becomes one 0/1 column for each level but the reference; a numeric column stays as it is. What
no model can answer is refused here, by name, before anything is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types

from lcm_research.errors import ModelError, nearest

__all__ = ["MAX_PATTERNS", "Design", "design"]

MAX_PATTERNS = 2000
"""More distinct covariate patterns than this are no longer counts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """
    Covariate patterns and their columns.

    Attributes
    ----------
    names : tuple of str, length p
        ``region[south]`` for a level, ``age`` for a number.
    terms : tuple of str, length p
        The covariate that each column belongs to.
    levels : tuple of str, length p
        The level that each column stands for; empty for a number.
    references : mapping of str to str
        For each text covariate the level that the others are compared with.
    matrix : array of float, shape (n_patterns, p)
    pattern : array of int, shape (n_rows,)
        Which pattern each row of the counts has.
    """

    names: tuple[str, ...]
    terms: tuple[str, ...]
    levels: tuple[str, ...]
    references: Mapping[str, str]
    matrix: np.ndarray
    pattern: np.ndarray


def design(counts: pd.DataFrame, covariates: Sequence[str], reference: Mapping[str, str] | None = None) -> Design:
    """
    Build the columns of a model from the covariates of a table of counts.

    Parameters
    ----------
    counts : DataFrame
        With the columns ``covariates`` and the count ``n``.
    covariates : list of str
        At least one; text (each level a column) or numeric.
    reference : mapping, optional
        Level of a text covariate that the others are compared with; by default the most frequent.

    Raises
    ------
    ModelError
        For an unknown, missing, constant or collinear covariate, an unknown reference level, or more than 2,000
        patterns.
    """
    if not covariates:
        raise ModelError("a model needs at least one covariate; came none")
    for name in covariates:
        _check_column(counts, name)
    patterns = counts[list(covariates)].drop_duplicates(ignore_index=True)
    if len(patterns) > MAX_PATTERNS:
        widest = patterns.nunique().idxmax()
        raise ModelError(
            f"{len(patterns):,} covariate patterns, more than {MAX_PATTERNS:,}; cut '{widest}' "
            f"({patterns[widest].nunique():,} values) by coarser breaks"
        )
    columns: dict[str, np.ndarray] = {}
    terms: list[str] = []
    levels: list[str] = []
    references: dict[str, str] = {}
    for name in covariates:
        if types.is_numeric_dtype(patterns[name].dtype):
            columns[name] = patterns[name].to_numpy(float)
            terms.append(name)
            levels.append("")
            continue
        references[name] = _reference(counts, name, reference or {})
        for level in sorted(set(patterns[name]) - {references[name]}):
            columns[f"{name}[{level}]"] = (patterns[name] == level).to_numpy(float)
            terms.append(name)
            levels.append(str(level))
    matrix = np.column_stack(list(columns.values()))
    _check_collinear(matrix, list(columns))
    keys = pd.MultiIndex.from_frame(patterns)
    return Design(
        names=tuple(columns),
        terms=tuple(terms),
        levels=tuple(levels),
        references=references,
        matrix=matrix,
        pattern=keys.get_indexer(pd.MultiIndex.from_frame(counts[list(covariates)])),
    )


def _reference(counts: pd.DataFrame, name: str, chosen: Mapping[str, str]) -> str:
    sizes = counts.groupby(name)["n"].sum()
    if name not in chosen:
        return str(sizes.idxmax())
    if chosen[name] not in sizes.index:
        raise ModelError(f"covariate '{name}' has no level '{chosen[name]}'; {nearest(chosen[name], sizes.index)}")
    return chosen[name]


def _check_column(counts: pd.DataFrame, name: str) -> None:
    if name not in counts:
        raise ModelError(f"the counts have no covariate '{name}'; {nearest(name, [str(c) for c in counts.columns])}")
    missing = int(counts.loc[counts[name].isna(), "n"].sum())
    if missing:
        raise ModelError(f"covariate '{name}' is missing for {missing:,} spells; give them a level or leave them out")
    if counts[name].nunique() < 2:
        raise ModelError(f"covariate '{name}' is constant ({counts[name].iloc[0]!r} for all); leave it out")


def _check_collinear(matrix: np.ndarray, names: Sequence[str]) -> None:
    """Refuse the first column that the ones before it (and a constant) already determine."""
    basis = np.empty((len(matrix), 0))
    for place, name in enumerate(names):
        column = matrix[:, place] - matrix[:, place].mean()
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)  # twice is enough against rounding
        if np.linalg.norm(rest) < 1e-9 * np.linalg.norm(column):
            others = ", ".join(f"'{n}'" for n in names[:place])
            raise ModelError(f"column '{name}' is collinear: {others} determine it; leave one of them out")
        basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
