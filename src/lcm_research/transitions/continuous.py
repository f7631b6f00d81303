"""
What the intensities of a Markov chain in continuous time say: probabilities, sojourns, lengths of stay, first passage.

Functions of one intensity matrix, whose rows sum to 0. How intensities are estimated, and the intervals, is in
``intensities_exact`` (every move seen) and ``intensities_panel`` (stages seen at some times only).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import expm
from scipy.sparse.csgraph import shortest_path

from lcm_research.errors import ModelError

__all__ = [
    "Quantity",
    "StageNames",
    "absorbing_stages",
    "declared",
    "expected_prevalence",
    "first_passage_time",
    "next_stage",
    "passage_probability",
    "sojourn_time",
    "total_length_of_stay",
    "transition_probability",
    "visits",
]

Quantity = Callable[[np.ndarray], np.ndarray]
"""From an intensity matrix to numbers."""


def absorbing_stages(intensity: np.ndarray) -> np.ndarray:
    """Return which stages nobody leaves."""
    return np.asarray(np.diag(intensity) == 0)


def transition_probability(intensity: np.ndarray, time: float) -> np.ndarray:
    r"""
    Probability of each stage after some time, by the stage at its start: :math:`P(t) = e^{tQ}`.

    Examples
    --------
    At an intensity of 0.5 a year, a customer is still there after 2 years with probability 1/e:

    >>> transition_probability(np.array([[-0.5, 0.5], [0.0, 0.0]]), 2.0).round(4).tolist()
    [[0.3679, 0.6321], [0.0, 1.0]]
    """
    if time < 0:
        raise ModelError(f"a time is 0 or more; came {time:g}")
    return expm(intensity * time)


def sojourn_time(intensity: np.ndarray) -> np.ndarray:
    """Mean length of one stay in each stage, in the unit of time of the intensities; infinite where nobody leaves."""
    with np.errstate(divide="ignore"):
        return np.where(np.diag(intensity) < 0, -1 / np.diag(intensity), np.inf)


def next_stage(intensity: np.ndarray) -> np.ndarray:
    """Probability that each stage is the next one; rows of absorbing stages are 0."""
    leaving = -np.diag(intensity)[:, None]
    off = intensity * ~np.eye(len(intensity), dtype=bool)
    return np.divide(off, leaving, out=np.zeros_like(off), where=leaving > 0)


def total_length_of_stay(intensity: np.ndarray, *, horizon: float | None) -> np.ndarray:
    r"""
    Expected time in each stage, over all visits, by the stage at the start.

    :math:`\int_0^h e^{tQ}\,dt`; without a horizon :math:`-Q_T^{-1}` over the transient stages, where absorbing
    stages have 0.

    Parameters
    ----------
    intensity : array of shape (n_stages, n_stages)
    horizon : float or None

    Returns
    -------
    array of shape (n_stages, n_stages)
    """
    if horizon is None:
        stays = np.flatnonzero(~absorbing_stages(intensity))
        _refuse_endless(intensity, stays)
        out = np.zeros_like(intensity)
        out[np.ix_(stays, stays)] = np.linalg.inv(-intensity[np.ix_(stays, stays)])
        return out
    size = len(intensity)
    # the integral is the upper right block of the exponential of [[Q, I], [0, 0]] (Van Loan 1978)
    block = np.zeros((2 * size, 2 * size))
    block[:size, :size], block[:size, size:] = intensity, np.eye(size)
    return expm(block * horizon)[:size, size:]


def first_passage_time(intensity: np.ndarray, target: int) -> np.ndarray:
    """
    Expected time until a stage is first entered, by the stage at the start; infinite where it may never be.

    Returns
    -------
    array of shape (n_stages,)
        0 at the target itself.
    """
    stopped = _stopped(intensity, target)
    reach = np.isfinite(shortest_path((stopped > 0).astype(float), unweighted=True))
    lost = ~reach[:, target]
    uncertain = reach[:, lost].any(axis=1) | lost
    inside = np.flatnonzero(~uncertain & (np.arange(len(stopped)) != target))
    times = np.where(uncertain, np.inf, 0.0)
    times[inside] = np.linalg.solve(-stopped[np.ix_(inside, inside)], np.ones(len(inside)))
    return times


def passage_probability(intensity: np.ndarray, target: int, *, time: float) -> np.ndarray:
    """Probability of having been in a stage at some moment up to a time, by the stage at the start."""
    return transition_probability(_stopped(intensity, target), time)[:, target]


def visits(intensity: np.ndarray, *, horizon: float | None) -> np.ndarray:
    """
    Expected number of entries into each stage, by the stage at the start; being there at the start is no entry.

    Returns
    -------
    array of shape (n_stages, n_stages)
    """
    entering = intensity * ~np.eye(len(intensity), dtype=bool)
    return total_length_of_stay(intensity, horizon=horizon) @ entering


def expected_prevalence(
    observed: pd.DataFrame, intensity: np.ndarray, *, stages: Sequence[str], start: Mapping[str, float]
) -> pd.DataFrame:
    """
    Hold the stages that customers were found in at some times against what the intensities expect.

    A check of the fit (Gentleman et al. 1994). Customers no longer followed are taken to be like those who are.

    Parameters
    ----------
    observed : DataFrame
        time (since the start), stage, n customers.
    intensity : array of shape (n_stages, n_stages)
    stages : list of str
    start : mapping of stage to share
        Of customers at time 0; shares sum to 1.

    Returns
    -------
    DataFrame
        time, stage, n_observed, n_expected, share_observed, share_expected.
    """
    begin = np.array([start.get(stage, 0.0) for stage in stages])
    if not np.isclose(begin.sum(), 1.0) or set(start) - set(stages):
        raise ModelError(
            f"shares at the start are of {', '.join(stages)} and sum to 1; came a sum of {begin.sum():.4g}"
        )
    found = observed.pivot_table(index="time", columns="stage", values="n", aggfunc="sum", fill_value=0)
    rows = []
    table = found.reindex(columns=list(stages), fill_value=0)
    for time, counts in zip(table.index.to_numpy(float), table.to_numpy(float), strict=True):
        share = begin @ transition_probability(intensity, time)
        total = counts.sum()
        for place, stage in enumerate(stages):
            n = counts[place]
            rows.append((float(time), stage, int(n), total * share[place], n / total, share[place]))
    columns = ["time", "stage", "n_observed", "n_expected", "share_observed", "share_expected"]
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True, kw_only=True)
class StageNames:
    """Stages of a chain in continuous time, and the moves that may happen directly."""

    stages: tuple[str, ...]
    moves: tuple[tuple[str, str], ...]

    def places(self) -> np.ndarray:
        """Return each move as places of its two stages, shape (n_moves, 2)."""
        return np.array([[self.stages.index(a), self.stages.index(b)] for a, b in self.moves]).reshape(-1, 2)

    def matrix(self, rates: np.ndarray) -> np.ndarray:
        """Return the intensity matrices of some rates, shape (..., n_moves) to (..., n_stages, n_stages)."""
        size = len(self.stages)
        out = np.zeros((*rates.shape[:-1], size, size))
        for k, (i, j) in enumerate(self.places()):
            out[..., i, j] += rates[..., k]
            out[..., i, i] -= rates[..., k]
        return out


def declared(stages: Sequence[str], moves: Sequence[tuple[str, str]]) -> StageNames:
    """Return stages and direct moves, after checking that they fit together."""
    if not moves:
        raise ModelError("at least one direct move between stages is needed; came none")
    for a, b in moves:
        for stage in (a, b):
            if stage not in stages:
                raise ModelError(f"no stage is named '{stage}'; the stages are {', '.join(stages)}")
        if a == b:
            raise ModelError(f"staying in '{a}' is no move; leave ('{a}', '{b}') out")
    if len(set(moves)) < len(moves):
        raise ModelError("a direct move is named twice; name each once")
    return StageNames(stages=tuple(stages), moves=tuple(moves))


def _stopped(intensity: np.ndarray, target: int) -> np.ndarray:
    stopped = intensity.copy()
    stopped[target] = 0.0
    return stopped


def _refuse_endless(intensity: np.ndarray, stays: np.ndarray) -> None:
    ends = np.setdiff1d(np.arange(len(intensity)), stays)
    reach = np.isfinite(shortest_path((intensity > 0).astype(float), unweighted=True))
    if not len(ends) or not reach[np.ix_(stays, ends)].any(axis=1).all():
        raise ModelError(
            "without a horizon, time in stages has an end only where every stage leads to an absorbing one"
        )
