"""
The states of a chain whose times and values may be computed: stages, split by recency where a clock runs.

In a stage that time alone leads out of, how soon a customer leaves depends on how long the silence has lasted. A
chain of the stages themselves forgets that and gets every time wrong; split by recency (Pfeifer and Carraway's form)
it is a Markov chain again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, by_replicate
from lcm_research.stages.moves import Moves
from lcm_research.transitions.counts import moves_by_group

__all__ = ["ChainCounts", "Start", "probabilities", "recency_chain", "stage_chain"]

Start = Literal["entry", "stock"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ChainCounts:
    """
    Counted moves between the states of a chain, by group of customers.

    Attributes
    ----------
    stages : tuple of str
        Those that somebody was in, in the scheme's order.
    states : tuple of str
        Stages, or a stage with its silent periods: ``dormant 2``, and ``dormant 3-5`` where few are pooled.
    stage_of : array of int, shape (n_states,)
        Place of each state's stage in ``stages``.
    grouped : array of float, shape (100, n_states, n_states)
    unvisited : tuple of str
        Stages that nobody was in: they are no part of the chain.
    label : mapping of (stage, silent periods) to state
    """

    stages: tuple[str, ...]
    states: tuple[str, ...]
    stage_of: np.ndarray
    grouped: np.ndarray
    unvisited: tuple[str, ...] = ()
    label: Mapping[tuple[str, int], str] = field(default_factory=dict)

    def members(self, stage: str) -> np.ndarray:
        """Return which states belong to a stage; ModelError for a stage that nobody was in."""
        if stage in self.stages:
            return self.stage_of == self.stages.index(stage)
        if stage in self.unvisited:
            raise ModelError(f"nobody was in stage '{stage}', so no time to it or in it can be estimated")
        raise ModelError(f"no stage is named '{stage}'; the stages are {', '.join(self.stages)}")

    def without_each_group(self) -> np.ndarray:
        """Return counts of shape (101, n_states, n_states): all, then without each group of customers."""
        total = self.grouped.sum(axis=0)
        return np.concatenate([total[None], total[None] - self.grouped])

    def start_shares(self, counts: np.ndarray, start: Start) -> np.ndarray:
        """
        Return, for each stage, the shares of its states among customers who enter it, or who are in it.

        Parameters
        ----------
        counts : array of shape (n_states, n_states)
        start : {"entry", "stock"}
            As customers come from another stage (or, where none does, in its first state), or as they are found.

        Returns
        -------
        array of shape (n_stages, n_states)
            Rows sum to 1.
        """
        own = self.stage_of[None, :] == np.arange(len(self.stages))[:, None]
        elsewhere = self.stage_of[:, None] != self.stage_of[None, :]
        weights = (counts * elsewhere).sum(axis=0) if start == "entry" else counts.sum(axis=1)
        shares = own * weights
        first = np.zeros_like(shares)
        first[np.arange(len(own)), own.argmax(axis=1)] = 1.0
        total = shares.sum(axis=1, keepdims=True)
        return np.where(total > 0, shares / np.where(total > 0, total, 1.0), first)


def stage_chain(counts: pd.DataFrame, *, stages: Sequence[str], moves: Moves | None) -> ChainCounts:
    """
    Return the chain of the stages themselves, which is one only where no clock runs.

    Parameters
    ----------
    counts : DataFrame
        As ``transition_counts`` returns them.
    stages : list of str
    moves : Moves or None
        From ``possible_moves``; None where no stage is defined by recency.

    Raises
    ------
    ModelError
        A stage is left by the clock: its times would come out wrong. Or no move was counted.
    """
    if moves is not None and moves.clock.any():
        clocked = [stages[int(place)] for place in np.flatnonzero(moves.clock.sum(axis=1))]
        raise ModelError(
            f"customers leave {', '.join(clocked)} by the clock, so a chain of the stages alone gets every time wrong; "
            "count with recency_counts and use recency_chain"
        )
    grouped = moves_by_group(counts, stages=stages)
    seen = (grouped.sum(axis=(0, 2)) > 0) | (grouped.sum(axis=(0, 1)) > 0)
    _refuse_nothing(grouped)
    kept = tuple(stage for stage, there in zip(stages, seen, strict=True) if there)
    return ChainCounts(
        stages=kept,
        states=kept,
        stage_of=np.arange(len(kept)),
        grouped=grouped[:, seen][:, :, seen],
        unvisited=tuple(stage for stage in stages if stage not in kept),
    )


def recency_chain(counts: pd.DataFrame, *, stages: Sequence[str], min_moves: int) -> ChainCounts:
    """
    Return the chain of stages split by the whole periods without a purchase.

    Parameters
    ----------
    counts : DataFrame
        from_stage, from_silent, to_stage, to_silent, replicate, n, as ``recency_counts`` returns them.
    stages : list of str
        Order of the stages.
    min_moves : int
        Moves that must have been counted out of a state; states with fewer are pooled with the next shorter (the
        shortest with the next longer) silence of the same stage.

    Raises
    ------
    ModelError
        No move was counted, or one of an undeclared stage.
    """
    if counts.empty:
        raise ModelError("a chain needs counted moves; came none")
    unknown = sorted((set(counts["from_stage"]) | set(counts["to_stage"])) - set(stages))
    if unknown:
        raise ModelError(f"the counts name the stage '{unknown[0]}', which is not among {list(stages)}")
    left = counts.groupby(["from_stage", "from_silent"])["n"].sum()
    label: dict[tuple[str, int], str] = {}
    of_stage: dict[str, list[str]] = {}
    for stage in stages:
        ends = [(counts[f"{end}_silent"], counts[f"{end}_stage"] == stage) for end in ("from", "to")]
        silent = sorted({int(k) for values, there in ends for k in values[there]})
        pools = _pools(silent, [int(left.get((stage, k), 0)) for k in silent], min_moves)
        of_stage[stage] = [_name(stage, pool, alone=len(pools) == 1) for pool in pools]
        label |= {(stage, k): name for pool, name in zip(pools, of_stage[stage], strict=True) for k in pool}
    kept = tuple(stage for stage in stages if of_stage[stage])
    states = [name for stage in kept for name in of_stage[stage]]
    ends_named = {
        end: [label[pair] for pair in zip(counts[f"{end}_stage"], counts[f"{end}_silent"], strict=True)]
        for end in ("from", "to")
    }
    grouped = by_replicate(counts.assign(**ends_named), ["n"], ["from", "to"], [pd.Index(states)] * 2)[..., 0]
    _refuse_nothing(grouped)
    return ChainCounts(
        stages=kept,
        states=tuple(states),
        stage_of=np.array([place for place, stage in enumerate(kept) for _ in of_stage[stage]]),
        grouped=grouped,
        unvisited=tuple(stage for stage in stages if stage not in kept),
        label=label,
    )


def probabilities(counts: np.ndarray, final: np.ndarray, *, states: Sequence[str]) -> np.ndarray:
    """
    Return transition matrices with the states of ``final`` made absorbing.

    Parameters
    ----------
    counts : array of shape (101, n_states, n_states)
        From ``without_each_group``. A state that only one group of customers left keeps its row without that group.
    final : array of bool, shape (n_states,)

    Returns
    -------
    array of shape (101, n_states, n_states)
        Rows sum to 1.
    """
    rows = counts.sum(axis=2, keepdims=True)
    stuck = (rows[0, :, 0] == 0) & ~final
    if stuck.any():
        name = states[int(np.argmax(stuck))]
        raise ModelError(
            f"state '{name}' was entered but never seen being left, so nothing that passes through it can be computed; "
            "pool it with another (min_moves), make it final, or wait for more periods"
        )
    share = counts / np.where(rows > 0, rows, 1.0)
    share = np.where(rows > 0, share, share[:1])
    share[:, final] = np.eye(len(final))[final]
    return share


def _pools(silent: Sequence[int], left: Sequence[int], min_moves: int) -> list[list[int]]:
    """Join states that are rarely left, from the longest silence down."""
    pools: list[list[int]] = []
    waiting: list[int] = []
    total = 0
    for k, n in zip(reversed(silent), reversed(left), strict=True):
        waiting = [k, *waiting]
        total += n
        if total >= min_moves:
            pools.insert(0, waiting)
            waiting, total = [], 0
    if waiting and pools:
        pools[0] = waiting + pools[0]
    elif waiting:
        pools = [waiting]
    return pools


def _name(stage: str, pool: Sequence[int], *, alone: bool) -> str:
    if alone:
        return stage
    return f"{stage} {pool[0]}" if len(pool) == 1 else f"{stage} {pool[0]}-{pool[-1]}"


def _refuse_nothing(grouped: np.ndarray) -> None:
    if not grouped.any():
        raise ModelError("a chain needs counted moves; came none")
    if len(grouped) != N_GROUPS:
        raise ModelError(f"counts by group of customers have {N_GROUPS} groups; came {len(grouped)}")
