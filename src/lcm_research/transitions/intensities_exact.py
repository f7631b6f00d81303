"""
Intensities and transition probabilities where every move is seen with its time.

Counts of moves over time spent give the intensities; the Aalen-Johansen estimator gives the probabilities without
assuming that intensities stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, Estimate, by_replicate, jackknife
from lcm_research.transitions.continuous import StageNames, declared

__all__ = ["AalenJohansen", "ExactIntensities", "aalen_johansen", "exact_intensities"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ExactIntensities:
    """
    Moves per unit of time spent in a stage.

    Attributes
    ----------
    names : StageNames
    n_moves : array of int, shape (n_moves,)
    time_in_stage : array of float, shape (n_stages,)
    estimates : mapping of (from, to) to Estimate
        By the jackknife on the log scale; exact (Poisson) where fewer than 20 groups of customers made the move.
    log_likelihood : float
    """

    names: StageNames
    n_moves: np.ndarray
    time_in_stage: np.ndarray
    estimates: dict[tuple[str, str], Estimate]
    log_likelihood: float

    @property
    def intensity(self) -> np.ndarray:
        """Array of shape (n_stages, n_stages); rows sum to 0."""
        return self.names.matrix(np.array([self.estimates[move].value for move in self.names.moves]))

    def table(self) -> pd.DataFrame:
        """Return one row a move: from, to, intensity, lower, upper, n_moves, time_in_stage."""
        rows = [
            (a, b, e.value, e.lower, e.upper, int(n), float(self.time_in_stage[self.names.stages.index(a)]))
            for (a, b), e, n in zip(self.names.moves, self.estimates.values(), self.n_moves, strict=True)
        ]
        return pd.DataFrame(rows, columns=["from", "to", "intensity", "lower", "upper", "n_moves", "time_in_stage"])


def exact_intensities(
    stays: pd.DataFrame, *, stages: Sequence[str], moves: Sequence[tuple[str, str]], unit: str, level: float = 0.95
) -> ExactIntensities:
    """
    Estimate constant intensities from moves and time spent: the occurrence-exposure rates.

    Parameters
    ----------
    stays : DataFrame
        from_stage, to_stage (anything that is no stage where the stay had not ended), entry and exit (times),
        replicate, n stays.
    stages : list of str
    moves : list of (from, to)
        The moves that may happen directly; another one in ``stays`` is a ModelError.
    unit : str
        Such as ``"per month"``.

    Raises
    ------
    ModelError
        A stage that a move leads out of was never visited, a stay ends before it begins, or a move is not declared.
    """
    names = declared(stages, moves)
    table = _checked(stays, names)
    table = table.assign(time=(table["exit"] - table["entry"]) * table["n"])
    levels = pd.Index(list(stages))
    exposure = by_replicate(table, ["time"], ["from_stage"], [levels])[..., 0]
    ended = table[table["to_stage"].isin(levels)]
    moved = by_replicate(ended, ["n"], ["from_stage", "to_stage"], [levels, levels])[..., 0]
    estimates, counted = {}, []
    for (a, b), (i, j) in zip(names.moves, names.places(), strict=True):
        if not exposure[:, i].any():
            raise ModelError(
                f"nobody spent time in '{a}', so the intensity of moving to '{b}' is not known; leave it out"
            )
        estimates[(a, b)] = _rate(moved[:, i, j], exposure[:, i], unit, level)
        counted.append(moved[:, i, j].sum())
    rates = np.array([e.value for e in estimates.values()])
    n_moves = np.array(counted)
    leaving = names.matrix(rates).diagonal()
    made = n_moves > 0
    likelihood = float((n_moves[made] * np.log(rates[made])).sum() + (leaving * exposure.sum(axis=0)).sum())
    return ExactIntensities(
        names=names,
        n_moves=n_moves.astype(np.int64),
        time_in_stage=exposure.sum(axis=0),
        estimates=estimates,
        log_likelihood=likelihood,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class AalenJohansen:
    """
    Probability of each stage at each time, by the stage at the start.

    Attributes
    ----------
    stages : tuple of str
    times : array of shape (n_times,)
        Times at which somebody moved.
    probability : array of shape (n_times, n_stages, n_stages)
        From rows, to columns; rows sum to 1.
    without : array of shape (100, n_times, n_stages, n_stages)
    at_risk : array of shape (n_times, n_stages)
        Customers in each stage just before.
    """

    stages: tuple[str, ...]
    times: np.ndarray
    probability: np.ndarray
    without: np.ndarray
    at_risk: np.ndarray

    def at(self, time: float, from_stage: str, to_stage: str, *, level: float = 0.95) -> Estimate:
        """
        Return a transition probability with its interval, by the jackknife on the logit scale.

        A ModelError where it is 0 or 1, or where fewer than 20 groups of customers would tell.
        """
        for stage in (from_stage, to_stage):
            if stage not in self.stages:
                raise ModelError(f"no stage is named '{stage}'; the stages are {', '.join(self.stages)}")
        i, j = self.stages.index(from_stage), self.stages.index(to_stage)
        k = int(np.searchsorted(self.times, time, side="right")) - 1
        start = float(i == j)
        value = self.probability[k, i, j] if k >= 0 else start
        without = self.without[:, k, i, j] if k >= 0 else np.full(N_GROUPS, start)
        telling = int((without != value).sum())
        if telling < FEW_GROUPS:
            raise ModelError(
                f"{telling} groups of customers tell the probability of '{to_stage}' after '{from_stage}' at {time:g}, "
                f"fewer than {FEW_GROUPS}; choose another time"
            )
        n = int(self.at_risk[:, i].max())
        return jackknife(float(value), without, unit="probability", n=n, scale="logit", level=level)

    def table(self, from_stage: str) -> pd.DataFrame:
        """Return one row a time and stage: time, stage, probability, at_risk (in ``from_stage``)."""
        i = self.stages.index(from_stage)
        frames = [
            pd.DataFrame(
                {
                    "time": self.times,
                    "stage": stage,
                    "probability": self.probability[:, i, j],
                    "at_risk": self.at_risk[:, j],
                }
            )
            for j, stage in enumerate(self.stages)
        ]
        return pd.concat(frames, ignore_index=True)


def aalen_johansen(stays: pd.DataFrame, *, stages: Sequence[str], start: float, horizon: float) -> AalenJohansen:
    r"""
    Estimate transition probabilities from ``start`` on without assuming constant intensities.

    The product-integral :math:`\prod (I + d\hat A(u))` over the times of moves, with :math:`d\hat A_{ij}` the moves
    over those at risk [1]_. Stays may begin late; whoever leaves and enters at the same time is counted in the stage
    that is left.

    Parameters
    ----------
    stays : DataFrame
        As in ``exact_intensities``; times count from one origin, such as the first contact.
    stages : list of str
    start, horizon : float
        Where the probabilities begin, and the last time asked for.

    References
    ----------
    .. [1] Aalen and Johansen (1978), Scandinavian Journal of Statistics 5:141.
    """
    names = declared(stages, [(a, b) for a in stages for b in stages if a != b])
    table = _checked(stays, names)
    levels, size = pd.Index(list(stages)), len(stages)
    moved = table[table["to_stage"].isin(levels) & (table["exit"] > start) & (table["exit"] <= horizon)]
    times = np.unique(moved["exit"].to_numpy(float))
    if not len(times):
        raise ModelError(f"nobody moved after {start:g} and up to {horizon:g}; choose another start or a later horizon")
    dn = by_replicate(moved, ["n"], ["exit", "from_stage", "to_stage"], [pd.Index(times), levels, levels])[..., 0]
    risk = _at_risk(table, times, levels)
    all_dn, all_risk = dn.sum(axis=0), risk.sum(axis=0)
    dn = np.concatenate([all_dn[None], all_dn[None] - dn])
    risk = np.concatenate([all_risk[None], all_risk[None] - risk])
    step = np.divide(dn, risk[..., None], out=np.zeros_like(dn), where=risk[..., None] > 0)
    step[..., np.arange(size), np.arange(size)] += 1 - step.sum(axis=-1)
    made = np.empty_like(step)
    now = np.broadcast_to(np.eye(size), (len(step), size, size))
    for k in range(len(times)):
        now = now @ step[:, k]
        made[:, k] = now
    return AalenJohansen(stages=tuple(stages), times=times, probability=made[0], without=made[1:], at_risk=all_risk)


def _at_risk(table: pd.DataFrame, times: np.ndarray, levels: pd.Index) -> np.ndarray:
    """Customers in each stage just before each time: entered, not yet left; (100, n_times, n_stages)."""
    shape = (N_GROUPS, len(times) + 1, len(levels))
    group, stage = table["replicate"].to_numpy(np.int64), levels.get_indexer(pd.Index(table["from_stage"]))
    change = np.zeros(shape)
    n = table["n"].to_numpy(float)
    # at risk at times[k] if entry < times[k] <= exit
    np.add.at(change, (group, np.searchsorted(times, table["entry"].to_numpy(float), side="right"), stage), n)
    np.add.at(change, (group, np.searchsorted(times, table["exit"].to_numpy(float), side="right"), stage), -n)
    return change.cumsum(axis=1)[:, :-1]


def _checked(stays: pd.DataFrame, names: StageNames) -> pd.DataFrame:
    needed = ["from_stage", "to_stage", "entry", "exit", "replicate", "n"]
    missing = [column for column in needed if column not in stays]
    if missing:
        raise ModelError(f"stays need the columns {', '.join(needed)}; missing {', '.join(missing)}")
    if stays.empty or not stays["n"].sum():
        raise ModelError("intensities need counted stays; came none")
    backwards = stays[stays["exit"] < stays["entry"]]
    if len(backwards):
        entry, leave = backwards.iloc[0][["entry", "exit"]]
        raise ModelError(f"a stay from {entry:g} to {leave:g} ends before it begins; check the times")
    happened = set(zip(stays["from_stage"], stays["to_stage"], strict=True))
    undeclared = sorted((a, b) for a, b in happened if b in names.stages and (a, b) not in names.moves)
    if undeclared:
        a, b = undeclared[0]
        raise ModelError(f"a move from '{a}' to '{b}' was counted, but is not among the direct moves; declare it")
    return stays


def _rate(moved: np.ndarray, exposure: np.ndarray, unit: str, level: float) -> Estimate:
    n, time = float(moved.sum()), float(exposure.sum())
    if (moved > 0).sum() < FEW_GROUPS:  # exact for independent moves (Garwood 1936)
        tail = (1 - level) / 2
        lower = stats.chi2.ppf(tail, 2 * n) / 2 / time if n else 0.0
        upper = stats.chi2.ppf(1 - tail, 2 * n + 2) / 2 / time
        return Estimate(value=n / time, lower=float(lower), upper=float(upper), unit=unit, n=int(n), level=level)
    without = (n - moved) / (time - exposure)
    return jackknife(n / time, without, unit=unit, n=int(n), scale="log", level=level)
