"""
Likelihood of stages seen at some times only, with its gradient, at a cost of distinct cells rather than of customers.

What happens between two looks is not seen: :math:`P(t) = e^{tQ}` sums over all of it. Its derivatives come from the
same eigenvectors [1]_, for all intervals at once.

.. [1] Kalbfleisch and Lawless (1985), Journal of the American Statistical Association 80:863; Jackson (2011),
   Journal of Statistical Software 38(8).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm

from lcm_research.errors import ModelError
from lcm_research.transitions.continuous import StageNames

__all__ = ["PanelCells", "exponential_and_derivatives", "log_likelihood"]

WORST_CONDITION = 1e4
"""Eigenvectors closer to dependent than this are not used; a block exponential takes their place."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PanelCells:
    """
    Distinct cells of a panel.

    Attributes
    ----------
    names : StageNames
    patterns : array of shape (n_patterns, n_pieces, n_columns)
        What multiplies the coefficients of each move: 1, covariates, and which piece of time it is.
    lengths : array of shape (n_intervals, n_pieces)
        Time that each interval spends in each piece.
    pattern_of : array of int, shape (n_intervals,)
    interval, begin, end : arrays of int, shape (n_cells,)
        The interval of each cell, and its stages at both ends.
    exact : array of bool, shape (n_cells,)
        Whether the stage at the end was entered at that very time, from an unknown one.
    n : array of float, shape (100 or 1, n_cells)
        Customers by group.
    """

    names: StageNames
    patterns: np.ndarray
    lengths: np.ndarray
    pattern_of: np.ndarray
    interval: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    exact: np.ndarray
    n: np.ndarray


def exponential_and_derivatives(
    intensity: np.ndarray, directions: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return :math:`e^{tQ}` at several times and its derivatives along changes of ``Q``.

    Parameters
    ----------
    intensity : array of shape (n_stages, n_stages)
    directions : array of shape (n_directions, n_stages, n_stages)
    times : array of shape (n_times,)

    Returns
    -------
    probability : array of shape (n_times, n_stages, n_stages)
    derivative : array of shape (n_times, n_directions, n_stages, n_stages)
    """
    values, vectors = np.linalg.eig(intensity)
    if np.linalg.cond(vectors) > WORST_CONDITION:
        return _by_blocks(intensity, directions, times)
    inverse = np.linalg.inv(vectors)
    grown = np.exp(times[:, None] * values)
    gap = values[:, None] - values[None, :]
    near = np.abs(gap) < 1e-6 * max(np.abs(values).max(), 1e-300)
    middle = times[:, None, None] * np.exp(times[:, None, None] * (values[:, None] + values[None, :]) / 2)
    apart = (grown[:, :, None] - grown[:, None, :]) / np.where(near, 1.0, gap)
    weights = np.where(near, middle, apart)
    turned = inverse @ directions @ vectors
    probability = ((vectors * grown[:, None, :]) @ inverse).real
    derivative = (vectors @ (turned[None] * weights[:, None]) @ inverse).real
    return probability, derivative


def _by_blocks(intensity: np.ndarray, directions: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the same from exponentials of [[Q, D], [0, Q]], which need no eigenvectors."""
    size = len(intensity)
    block = np.zeros((len(directions), 2 * size, 2 * size))
    block[:, :size, :size] = block[:, size:, size:] = intensity
    block[:, :size, size:] = directions
    grown = np.stack([expm(block * time) for time in times])
    return grown[:, 0, :size, :size], grown[:, :, :size, size:]


def log_likelihood(cells: PanelCells, coefficients: np.ndarray) -> tuple[float, np.ndarray]:
    """
    Return the log-likelihood and the score of each group of customers.

    Parameters
    ----------
    cells : PanelCells
    coefficients : array of shape (n_moves, n_columns)
        Of the logarithm of each intensity.

    Returns
    -------
    log_likelihood : float
        Minus infinity where a cell that was counted cannot happen.
    score : array of shape (100 or 1, n_moves, n_columns)
    """
    probability, slope = _cells(cells, coefficients)
    if not (probability > 0).all():
        return -np.inf, np.zeros((len(cells.n), *coefficients.shape))
    total = float(cells.n.sum(axis=0) @ np.log(probability))
    z = cells.patterns[cells.pattern_of[cells.interval]]
    per_cell = np.einsum("cpm,cpk->cmk", slope / probability[:, None, None], z)
    return total, np.einsum("gc,cmk->gmk", cells.n, per_cell)


def impossible_cell(cells: PanelCells, coefficients: np.ndarray) -> tuple[str, str] | None:
    """Return the stages at both ends of a cell that was counted but cannot happen; None where all can."""
    probability, _ = _cells(cells, coefficients)
    wrong = np.flatnonzero(~(probability > 0))
    if not len(wrong):
        return None
    return cells.names.stages[cells.begin[wrong[0]]], cells.names.stages[cells.end[wrong[0]]]


def _cells(cells: PanelCells, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each cell's probability and its slopes by the log-intensities, (n_cells, n_pieces, n_moves)."""
    with np.errstate(over="raise"):
        try:
            rates = np.exp(cells.patterns @ coefficients.T)
        except FloatingPointError:
            raise ModelError(
                "intensities run away to infinity: some are not told by the data; leave moves out"
            ) from None
    whole, slopes = _intervals(cells, rates)
    at, begin, end = cells.interval, cells.begin, cells.end
    probability = whole[at, begin, end]
    slope = slopes[at, :, :, begin, end]
    if cells.exact.any():
        rows = np.flatnonzero(cells.exact)
        _exact_ends(cells, rates, whole, slopes, rows, probability, slope)
    return probability, slope


def _exact_ends(
    cells: PanelCells,
    rates: np.ndarray,
    whole: np.ndarray,
    slopes: np.ndarray,
    rows: np.ndarray,
    probability: np.ndarray,
    slope: np.ndarray,
) -> None:
    """Put densities in place of probabilities where the time of the last move is exact: any stage, then the move."""
    at, begin, end = cells.interval[rows], cells.begin[rows], cells.end[rows]
    piece = _last_piece(cells.lengths)[at]
    last = rates[cells.pattern_of[at], piece]
    probability[rows], slope[rows] = 0.0, 0.0
    for k, (i, j) in enumerate(cells.names.places()):
        into = end == j
        who = rows[into]
        rate = last[into, k]
        before = whole[at[into], begin[into], i]
        probability[who] += before * rate
        slope[who] += slopes[at[into], :, :, begin[into], i] * rate[:, None, None]
        slope[who, piece[into], k] += before * rate


def _intervals(cells: PanelCells, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each interval's matrix and its slopes by the log-intensities, (n_intervals, n_pieces, n_moves, S, S)."""
    names, n_pieces = cells.names, cells.lengths.shape[1]
    size, n_moves, n_intervals = len(names.stages), len(names.moves), len(cells.lengths)
    directions = names.matrix(np.eye(n_moves))
    parts = np.empty((n_pieces, n_intervals, size, size))
    part_slopes = np.empty((n_pieces, n_intervals, n_moves, size, size))
    for pattern in range(len(cells.patterns)):
        rows = np.flatnonzero(cells.pattern_of == pattern)
        for piece in range(n_pieces):
            rate = rates[pattern, piece]
            lengths, back = np.unique(cells.lengths[rows, piece], return_inverse=True)
            scaled = directions * rate[:, None, None]
            made = exponential_and_derivatives(names.matrix(rate), scaled, lengths)
            parts[piece, rows], part_slopes[piece, rows] = made[0][back], made[1][back]
    whole = parts[0]
    for piece in range(1, n_pieces):
        whole = whole @ parts[piece]
    slopes = np.empty((n_intervals, n_pieces, n_moves, size, size))
    for piece in range(n_pieces):
        moved = part_slopes[piece]
        for before in reversed(range(piece)):
            moved = parts[before][:, None] @ moved
        for after in range(piece + 1, n_pieces):
            moved = moved @ parts[after][:, None]
        slopes[:, piece] = moved
    return whole, slopes


def _last_piece(lengths: np.ndarray) -> np.ndarray:
    """Return the piece of time in which each interval ends."""
    n_pieces = lengths.shape[1]
    return n_pieces - 1 - (lengths[:, ::-1] > 0).argmax(axis=1)
