"""
Moves out of one stage by covariate pattern, ready for a model: what can be fitted, and what had to be joined or left.

A customer who stays and one who is moved by the clock alone did the same: nothing. Both are the base that the other
moves are compared with, so that no equation describes the days that a definition counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, by_replicate
from lcm_research.stages.covariates import MAX_PATTERNS
from lcm_research.stages.moves import Moves
from lcm_research.stages.panel import UNKNOWN

__all__ = ["FEWEST_MOVES", "INTERCEPT", "JOIN", "STAYS", "MoveCells", "in_order", "move_cells"]

STAYS = "(stays)"
"""The base: staying, and moves that time alone makes."""

INTERCEPT = "(Intercept)"
JOIN = " / "
"""Stands between the names of levels that were joined."""

ORDERED = re.compile(r"\d+(-\d+|\+)?|\d{4}-Q\d")
"""Levels that have neighbours: classes of a count, and quarters."""

FEWEST_MOVES = 5
"""Moves a column below which a destination gets no equation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MoveCells:
    """
    Moves out of a stage by covariate pattern.

    Attributes
    ----------
    from_stage : str
    destinations : tuple of str, length q + 1
        The base first.
    names : tuple of str, length p
        Columns: ``(Intercept)``, then ``engaged_before[1+]`` and the like.
    levels : mapping of covariate to tuple of str
        The reference first.
    patterns : DataFrame
        One row a pattern, one column a covariate.
    x : array of float, shape (n_patterns, p)
    n : array of float, shape (100, n_patterns, q + 1)
        Customer-months by group of customers.
    joined : tuple of (covariate, str)
        Levels that were too thin and share one name now.
    constant : tuple of str
        Covariates with one level in this stage, left out.
    left_out : mapping of destination to int
        Moves to destinations too rare for an equation; the model is of those who did not make them.
    n_unknown : int
        Customer-months left out for a covariate that is not known.
    """

    from_stage: str
    destinations: tuple[str, ...]
    names: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    patterns: pd.DataFrame = field(repr=False)
    x: np.ndarray = field(repr=False)
    n: np.ndarray = field(repr=False)
    joined: tuple[tuple[str, str], ...] = ()
    constant: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    n_unknown: int = 0

    @property
    def weights(self) -> np.ndarray:
        """Customer-months of each pattern, of all customers and then without each group, shape (101, n_patterns)."""
        by_group = self.n.sum(axis=2)
        return np.vstack([by_group.sum(axis=0), by_group.sum(axis=0) - by_group])

    @property
    def base(self) -> str:
        """What the other destinations are compared with."""
        return self.destinations[0]

    def column(self, covariate: str, level: str) -> int:
        """Return the place of a level's column; ModelError for a level without one."""
        return self.names.index(f"{covariate}[{self.level(covariate, level)}]")

    def level(self, covariate: str, level: str) -> str:
        """Return the level, or the joined one that holds it."""
        if covariate not in self.levels:
            gone = " (it has one level only)" if covariate in self.constant else ""
            raise ModelError(
                f"the model of moves from '{self.from_stage}' has no covariate '{covariate}'{gone}; "
                f"{nearest(covariate, self.levels)}"
            )
        for known in self.levels[covariate]:
            if level in (known, *known.split(JOIN)):
                return known
        raise ModelError(f"covariate '{covariate}' has no level '{level}'; {nearest(level, self.levels[covariate])}")

    def destination(self, to_stage: str) -> int:
        """Return the place of a destination; ModelError with the moves counted for one without an equation."""
        if to_stage in self.left_out:
            raise ModelError(
                f"{self.left_out[to_stage]} moves from '{self.from_stage}' to '{to_stage}' are too few for "
                f"{len(self.names)} columns; merge levels, leave covariates out or wait for more data"
            )
        if to_stage not in self.destinations:
            raise ModelError(
                f"no move from '{self.from_stage}' to '{to_stage}' is in the model; it has "
                f"{', '.join(self.destinations)}"
            )
        return self.destinations.index(to_stage)

    def as_if(self, covariate: str, level: str) -> np.ndarray:
        """Return ``x`` as it were had every pattern this level, all else as it is."""
        level = self.level(covariate, level)
        x = self.x.copy()
        for other in self.levels[covariate][1:]:
            x[:, self.column(covariate, other)] = float(other == level)
        return x


def move_cells(
    counts: pd.DataFrame,
    *,
    from_stage: str,
    covariates: Sequence[str],
    moves: Moves,
    reference: Mapping[str, str] | None = None,
) -> MoveCells:
    """
    Arrange the moves out of one stage for a model.

    Customer-months with an unknown covariate are left out. A destination with fewer than 5 moves a column is left out
    with them, which changes no other destination's odds. A level in which a move (or staying) was made in fewer than
    20 groups of customers joins its neighbour, because its odds would have no interval; the reference joins nobody.

    Parameters
    ----------
    counts : DataFrame
        Of ``covariate_counts``.
    from_stage : str
    covariates : list of str
        Text columns of ``counts``, not empty.
    moves : Moves
        From ``possible_moves``; a move that it rules out has no equation, and one by the clock is staying.
    reference : mapping, optional
        Level that the others of a covariate are compared with; by default the one with most customer-months.

    Raises
    ------
    ModelError
        No covariates; an unknown stage, covariate or level; nobody there; nothing but the clock leads out; every
        destination too rare; moves in fewer than 20 groups of customers; collinear columns; too many patterns.
    """
    rows, n_unknown = _rows(counts, from_stage, covariates, moves)
    constant = tuple(name for name in covariates if rows[name].nunique() == 1)
    used = [name for name in covariates if name not in constant]
    if not used:
        raise ModelError(f"no covariate varies among customers in '{from_stage}'; came {', '.join(covariates)}")
    rows, left_out = _without_rare(rows, used, from_stage)
    rows, joined = _joined(rows, used, reference or {})
    gone = tuple(name for name in used if rows[name].nunique() == 1)
    compared = [name for name in (*constant, *gone) if name in (reference or {})]
    if compared:
        raise ModelError(
            f"covariate '{compared[0]}' has only one level with moves enough among customers in '{from_stage}', so "
            "there is nothing to compare; cut it otherwise or wait for more data"
        )
    used = [name for name in used if name not in gone]
    patterns = rows[used].drop_duplicates(ignore_index=True)
    if len(patterns) > MAX_PATTERNS:
        widest = str(patterns.nunique().idxmax())
        raise ModelError(f"{len(patterns):,} covariate patterns, more than {MAX_PATTERNS:,}; cut '{widest}' coarser")
    levels = {name: _ordered(rows, name, (reference or {}).get(name)) for name in used}
    names = (INTERCEPT, *(f"{name}[{level}]" for name in used for level in levels[name][1:]))
    columns = [(patterns[name] == level).to_numpy(float) for name in used for level in levels[name][1:]]
    x = np.column_stack([np.ones(len(patterns)), *columns])
    _check_collinear(x, names)
    destinations = _destinations(rows)
    return MoveCells(
        from_stage=from_stage,
        destinations=destinations,
        names=names,
        levels=levels,
        patterns=patterns,
        x=x,
        n=_arranged(rows, patterns, destinations),
        joined=joined,
        constant=(*constant, *gone),
        left_out=left_out,
        n_unknown=n_unknown,
    )


def _rows(counts: pd.DataFrame, from_stage: str, covariates: Sequence[str], moves: Moves) -> tuple[pd.DataFrame, int]:
    """The customer-months to fit, with clock moves as staying, and how many were left out as unknown."""
    if not covariates:
        raise ModelError("a model of moves needs at least one covariate; came none")
    for name in covariates:
        if name not in counts:
            raise ModelError(f"the counts have no covariate '{name}'; {nearest(name, map(str, counts.columns))}")
    if from_stage not in moves.stages:
        raise ModelError(f"no stage is named '{from_stage}'; {nearest(from_stage, moves.stages)}")
    place = moves.stages.index(from_stage)
    quiet = {moves.stages[j] for j in np.flatnonzero(moves.clock[place])} | {from_stage}
    if not {moves.stages[j] for j in np.flatnonzero(moves.possible[place])} - quiet:
        raise ModelError(f"nothing but the passing of time leads out of '{from_stage}'; ask about another stage")
    rows = counts[(counts["from_stage"] == from_stage) & (counts["n"] > 0)]
    rows = rows.groupby([*covariates, "to_stage", "replicate"], as_index=False).agg({"n": "sum"})
    unknown = (rows[list(covariates)] == UNKNOWN).any(axis=1)
    n_unknown, rows = int(rows.loc[unknown, "n"].sum()), rows[~unknown]
    impossible = set(rows["to_stage"]) - {moves.stages[j] for j in np.flatnonzero(moves.possible[place])}
    if impossible:
        raise ModelError(f"moves from '{from_stage}' to '{min(impossible)}' were counted, which the scheme rules out")
    rows = rows.assign(to_stage=rows["to_stage"].where(~rows["to_stage"].isin(quiet), STAYS))
    if rows["to_stage"].nunique() < 2:
        raise ModelError(
            f"customers in '{from_stage}' ({int(rows['n'].sum()):,} customer-months with all covariates known) all did "
            "the same; a model needs some who moved and some who did not"
        )
    return rows, n_unknown


def _without_rare(rows: pd.DataFrame, used: Sequence[str], from_stage: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Leave out destinations with too few moves for the smallest model: two levels a covariate."""
    made, groups = rows.groupby("to_stage")["n"].sum(), rows.groupby("to_stage")["replicate"].nunique()
    fewest = FEWEST_MOVES * (1 + len(used))
    kept = made.index[(made >= fewest) & (groups >= FEW_GROUPS)]
    if len(kept) < 2:
        rarest = made.drop(kept).idxmax()
        raise ModelError(
            f"{int(made[rarest])} customer-months from '{from_stage}' to '{rarest}' in {groups[rarest]} groups of "
            f"customers; a model with {len(used)} covariates needs {fewest} in {FEW_GROUPS} groups; leave covariates "
            "out or wait for more data"
        )
    return rows[rows["to_stage"].isin(kept)], {str(to): int(made[to]) for to in made.index if to not in kept}


Block = tuple[list[str], np.ndarray]
"""Levels under one name, and their customer-months by group of customers and destination."""


def _joined(
    rows: pd.DataFrame, used: Sequence[str], reference: Mapping[str, str]
) -> tuple[pd.DataFrame, tuple[tuple[str, str], ...]]:
    joined, to = [], pd.Index(sorted(rows["to_stage"].unique()))
    for name in used:
        order = in_order(rows[name].unique())
        if name in reference and reference[name] not in order:
            raise ModelError(f"covariate '{name}' has no level '{reference[name]}'; {nearest(reference[name], order)}")
        counted = by_replicate(rows, ["n"], [name, "to_stage"], [pd.Index(order), to])[..., 0]
        blocks: list[Block] = [([level], counted[:, k]) for k, level in enumerate(order)]
        while len(blocks) > 1 and any(_groups(block) < FEW_GROUPS for block in blocks):
            at = next(k for k, block in enumerate(blocks) if _groups(block) < FEW_GROUPS)
            low, high = sorted((at, _neighbour(name, blocks, at, reference.get(name))))
            levels, made = blocks.pop(high)
            blocks[low] = (blocks[low][0] + levels, blocks[low][1] + made)
        naming = {level: JOIN.join(own) for own, _ in blocks for level in own}
        rows = rows.assign(**{name: rows[name].map(naming)})
        joined += [(name, JOIN.join(own)) for own, _ in blocks if len(own) > 1]
    keys = [*used, "to_stage", "replicate"]
    return rows.groupby(keys, as_index=False).agg({"n": "sum"}), tuple(joined)


def _groups(block: Block) -> int:
    """Groups of customers in which somebody made the move that fewest groups made, staying among them."""
    return int((block[1] > 0).sum(axis=0).min())


def _neighbour(name: str, blocks: list[Block], at: int, reference: str | None) -> int:
    """
    Return which level a thin one joins: the class or quarter beside it, the thinnest other one where there is no order.

    The reference joins nobody.
    """
    in_order = all(ORDERED.fullmatch(level) for levels, _ in blocks for level in levels)
    beside = (at - 1, at + 1) if in_order else sorted(set(range(len(blocks))) - {at}, key=lambda k: _groups(blocks[k]))
    others = [k for k in beside if 0 <= k < len(blocks) and reference not in blocks[k][0]]
    if not others or reference in blocks[at][0]:
        raise ModelError(
            f"the level '{JOIN.join(blocks[at][0])}' of '{name}' has some move (or staying) in {_groups(blocks[at])} "
            f"groups of customers, fewer than {FEW_GROUPS}, and no neighbour to join but those compared; cut '{name}' "
            "otherwise or wait for more data"
        )
    return others[0]


def in_order(levels: Iterable[str]) -> list[str]:
    """
    Return levels in the order in which they stand on a page: classes by where they begin, names by name.

    >>> in_order(["10+", "2-9", "0", "1"])
    ['0', '1', '2-9', '10+']
    """
    return sorted(map(str, levels), key=_natural)


def _natural(level: str) -> tuple[int, int, str]:
    """Order classes by where they begin, names by name."""
    found = re.fullmatch(r"(\d+)(-\d+|\+)?", level.split(JOIN)[0])
    return (0, int(found.group(1)), "") if found else (1, 0, level)


def _ordered(rows: pd.DataFrame, name: str, reference: str | None) -> tuple[str, ...]:
    sizes = rows.groupby(name)["n"].sum()
    first = str(sizes.idxmax()) if reference is None else reference
    return (first, *(level for level in in_order(sizes.index) if level != first))


def _destinations(rows: pd.DataFrame) -> tuple[str, ...]:
    made = rows.groupby("to_stage")["n"].sum()
    base = STAYS if STAYS in made.index else str(made.idxmax())
    return (base, *sorted(str(to) for to in made.index if to != base))


def _arranged(rows: pd.DataFrame, patterns: pd.DataFrame, destinations: Sequence[str]) -> np.ndarray:
    place = pd.MultiIndex.from_frame(patterns).get_indexer(pd.MultiIndex.from_frame(rows[list(patterns.columns)]))
    shape = (N_GROUPS, len(patterns), len(destinations))
    to = pd.Index(destinations).get_indexer(pd.Index(rows["to_stage"]))
    flat = np.ravel_multi_index((rows["replicate"].to_numpy(np.int64), place, to), shape)
    return np.bincount(flat, weights=rows["n"].to_numpy(float), minlength=int(np.prod(shape))).reshape(shape)


def _check_collinear(x: np.ndarray, names: Sequence[str]) -> None:
    """Refuse the first column that those before it determine."""
    for place in range(1, x.shape[1]):
        before, own = x[:, :place], x[:, place]
        if np.linalg.norm(own - before @ np.linalg.lstsq(before, own, rcond=None)[0]) < 1e-8:
            others = ", ".join(f"'{name}'" for name in names[:place])
            raise ModelError(f"column '{names[place]}' is collinear: {others} determine it; leave one of them out")
