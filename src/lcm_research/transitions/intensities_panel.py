"""
Intensities of a chain whose stages are seen at some times only, with covariates and pieces of time.

Fitted by maximum likelihood on counts of (stage, stage at the next look, time between). Intervals leave out groups of
customers one Newton step from the fit, or come from the information, as other software gives them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import FewEventsWarning, ModelError
from lcm_research.estimate import N_GROUPS, Estimate, Scale, jackknife, jackknife_se
from lcm_research.transitions.continuous import Quantity, StageNames, declared
from lcm_research.transitions.panel_cells import Intervals, panel_cells
from lcm_research.transitions.panel_likelihood import impossible_cell, log_likelihood
from lcm_research.transitions.panel_maximum import MOST_RATIO, limits, maximum
from lcm_research.transitions.replicate_wald import ReplicateWald, replicate_wald

__all__ = [
    "FitComparison",
    "PanelIntensities",
    "compare_fits",
    "crude_intensities",
    "panel_intensities",
    "stage_table",
]

HALF_WIDTH = {"identity": lambda x: 1.0, "log": lambda x: 1 / x, "logit": lambda x: 1 / (x * (1 - x))}
SMALL_STEP = 1e-5


@dataclass(frozen=True, kw_only=True, eq=False)
class PanelIntensities:
    """
    A fitted chain in continuous time.

    Attributes
    ----------
    names : StageNames
    columns : tuple of str
        ``"(intensity)"``, the covariates, and the pieces of time after the first.
    coefficients : array of shape (n_moves, n_columns)
        Of the logarithm of each intensity.
    covariance : array of shape (n_parameters, n_parameters)
        From the information, as if every interval were another customer's.
    without : array of shape (100, n_moves, n_columns), or None
        The coefficients without each group of customers; None where ``intervals`` is ``"information"``.
    log_likelihood : float
    n : int
        Intervals between two looks.
    unit : str
    level : float
    untold : tuple of (move, column)
        Ratios that the data do not tell: the likelihood rises for ever, so they are held at 200 to 1 (over the range
        of the covariate) and have no interval.
    """

    names: StageNames
    columns: tuple[str, ...]
    coefficients: np.ndarray
    covariance: np.ndarray
    without: np.ndarray | None
    log_likelihood: float
    n: int
    unit: str
    level: float
    untold: tuple[tuple[tuple[str, str], str], ...] = ()

    def intensity(self, covariates: Mapping[str, float] | None = None, *, piece: int = 0) -> np.ndarray:
        """Return the intensity matrix of customers with some covariates (all 0 where not given), in a piece of time."""
        return self._matrix(self.coefficients, self._pattern(covariates, piece))

    def quantity(
        self,
        what: Quantity,
        *,
        scale: Scale,
        unit: str,
        covariates: Mapping[str, float] | None = None,
        piece: int = 0,
    ) -> Estimate:
        """
        Put an interval around any number that an intensity matrix gives.

        Parameters
        ----------
        what : function
            From an intensity matrix to one number, such as a sojourn time or a probability.
        scale : {"identity", "log", "logit"}
            Where the interval is symmetric.
        unit : str
        covariates : mapping, optional
        piece : int
        """
        z = self._pattern(covariates, piece)
        value = float(what(self._matrix(self.coefficients, z)))
        if self.without is not None:
            left = np.array([float(what(self._matrix(b, z))) for b in self.without])
            return jackknife(value, left, unit=unit, n=self.n, scale=scale, level=self.level)
        if scale not in HALF_WIDTH:
            raise ModelError(f"intervals from the information are on the scale identity, log or logit; came '{scale}'")
        half = stats.norm.ppf(0.5 + self.level / 2) * self.standard_error(what, covariates=covariates, piece=piece)
        half *= HALF_WIDTH[scale](value)
        if scale == "identity":
            ends = (value - half, value + half)
        elif scale == "log":
            ends = (value * np.exp(-half), value * np.exp(half))
        else:
            odds = value / (1 - value) * np.exp(np.array([-half, half]))
            ends = tuple(odds / (1 + odds))
        return Estimate(value=value, lower=float(ends[0]), upper=float(ends[1]), unit=unit, n=self.n, level=self.level)

    def standard_error(self, what: Quantity, *, covariates: Mapping[str, float] | None = None, piece: int = 0) -> float:
        """Return the standard error of a number: by the jackknife, or by the delta method on the information."""
        z = self._pattern(covariates, piece)
        if self.without is not None:
            left = np.array([float(what(self._matrix(b, z))) for b in self.without])
            return float(jackknife_se(float(what(self._matrix(self.coefficients, z))), left))
        slope = np.empty(self.coefficients.size)
        for k in range(self.coefficients.size):
            ends = []
            for sign in (1, -1):
                moved = self.coefficients.ravel().copy()
                moved[k] += sign * SMALL_STEP
                ends.append(float(what(self._matrix(moved.reshape(self.coefficients.shape), z))))
            slope[k] = (ends[0] - ends[1]) / (2 * SMALL_STEP)
        return float(np.sqrt(slope @ self.covariance @ slope))

    def table(self, covariates: Mapping[str, float] | None = None, *, piece: int = 0) -> pd.DataFrame:
        """Return one row a move: from, to, intensity, lower, upper (per unit of time)."""
        rows = []
        for (a, b), (i, j) in zip(self.names.moves, self.names.places(), strict=True):
            e = self.quantity(_cell(i, j), scale="log", unit=self.unit, covariates=covariates, piece=piece)
            rows.append((a, b, e.value, e.lower, e.upper))
        return pd.DataFrame(rows, columns=["from", "to", "intensity", "lower", "upper"])

    def hazard_ratios(self, covariate: str) -> dict[tuple[str, str], Estimate]:
        """
        Return, for each move, by what its intensity is multiplied where a covariate (or piece of time) is one more.

        Ratios that are ``untold`` are left out.
        """
        if covariate not in self.columns[1:]:
            raise ModelError(f"the model has no column '{covariate}'; it has {', '.join(self.columns[1:]) or 'none'}")
        c = self.columns.index(covariate)
        made = {}
        for k, move in enumerate(self.names.moves):
            if (move, covariate) in self.untold:
                continue
            value = float(np.exp(self.coefficients[k, c]))
            if self.without is not None:
                left = np.exp(self.without[:, k, c])
                made[move] = jackknife(value, left, unit="ratio", n=self.n, scale="log", level=self.level)
                continue
            place = k * len(self.columns) + c
            half = stats.norm.ppf(0.5 + self.level / 2) * np.sqrt(self.covariance[place, place])
            ends = (float(value * np.exp(-half)), float(value * np.exp(half)))
            made[move] = Estimate(value=value, lower=ends[0], upper=ends[1], unit="ratio", n=self.n, level=self.level)
        return made

    def _pattern(self, covariates: Mapping[str, float] | None, piece: int) -> np.ndarray:
        given = dict(covariates or {})
        pieces = [column for column in self.columns if column.startswith("from ")]
        known = [column for column in self.columns[1:] if column not in pieces]
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ModelError(f"the model has no covariate '{unknown[0]}'; it has {', '.join(known) or 'none'}")
        if not 0 <= piece <= len(pieces):
            raise ModelError(f"piece={piece} is outside 0 to {len(pieces)}, the pieces of time of the model")
        on = [float(k + 1 == piece) for k in range(len(pieces))]
        return np.array([1.0, *(given.get(name, 0.0) for name in known), *on])

    def _matrix(self, coefficients: np.ndarray, z: np.ndarray) -> np.ndarray:
        return self.names.matrix(np.exp(coefficients @ z))


def _cell(i: int, j: int) -> Quantity:
    return lambda Q: Q[i, j]


def stage_table(counts: pd.DataFrame, *, stages: Sequence[str]) -> pd.DataFrame:
    """Return how often each stage followed each at the next look; from rows, to columns."""
    made = counts.pivot_table(index="from_stage", columns="to_stage", values="n", aggfunc="sum", fill_value=0)
    return made.reindex(index=list(stages), columns=list(stages), fill_value=0).astype(np.int64)


def crude_intensities(counts: pd.DataFrame, *, stages: Sequence[str], moves: Sequence[tuple[str, str]]) -> np.ndarray:
    """
    Return the intensities that would hold if customers moved only at the looks: where a fit begins.

    Moves seen over time begun in the stage; other moves than the declared ones are ignored.
    """
    names = declared(stages, moves)
    table = stage_table(counts, stages=stages)
    time = (counts["interval"] * counts["n"]).groupby(counts["from_stage"]).sum()
    rates = []
    for a, b in names.moves:
        if not time.get(a, 0.0) > 0:
            raise ModelError(
                f"nobody was seen in '{a}' before a later look, so moving to '{b}' is not known; leave it out"
            )
        rates.append(table.loc[a, b] / time[a])
    return names.matrix(np.array(rates, float))


def panel_intensities(
    counts: pd.DataFrame,
    *,
    stages: Sequence[str],
    moves: Sequence[tuple[str, str]],
    unit: str,
    intervals: Intervals,
    covariates: Sequence[str] = (),
    change_times: Sequence[float] = (),
    level: float = 0.95,
) -> PanelIntensities:
    """
    Estimate intensities from stages seen at some times only.

    Parameters
    ----------
    counts : DataFrame
        from_stage, to_stage (at the next look), interval (time between), n; ``exact`` (True where the later stage was
        entered at that very time, such as a death); the covariates (numbers, constant between looks); ``start`` (time
        of the earlier look, where ``change_times`` are given); ``replicate`` (for intervals by it).
    stages : list of str
    moves : list of (from, to)
        The moves that may happen directly.
    unit : str
        Such as ``"per year"``.
    intervals : {"replicate", "information"}
        By leaving out groups of customers, or as if every interval were another customer's.
    covariates : list of str
        Columns that multiply every intensity (hazard ratios).
    change_times : list of float
        Times at which intensities change; constant in between.

    Raises
    ------
    ModelError
        A stage that a move leads out of was never seen, a pair of stages was seen that the moves cannot make, or the
        data do not tell the intensities apart.
    """
    names = declared(stages, moves)
    cells, columns = panel_cells(counts, names, covariates, sorted(change_times), intervals)
    crude = crude_intensities(counts, stages=stages, moves=moves)
    begin = np.zeros((len(names.moves), len(columns)))
    floor = 0.1 / float((counts["interval"] * counts["n"]).sum())
    begin[:, 0] = np.log(np.maximum([crude[i, j] for i, j in names.places()], floor))
    wrong = impossible_cell(cells, begin)
    if wrong:
        raise ModelError(
            f"'{wrong[1]}' was seen after '{wrong[0]}', which the declared moves cannot make; declare the move that is "
            "missing, or look at the data"
        )
    coefficients, covariance, held = maximum(cells, begin, limits(cells, len(names.moves)))
    reached, scores = log_likelihood(cells, coefficients)
    untold = [(names.moves[k], columns[c]) for k, c in zip(*np.nonzero(held), strict=True)]
    for (a, b), column in untold:
        warnings.warn(
            f"the data do not tell by what '{column}' multiplies the intensity of moving from '{a}' to '{b}': the "
            f"likelihood keeps rising beyond a ratio of {MOST_RATIO:g} to 1, where it is held",
            FewEventsWarning,
            stacklevel=2,
        )
    without = None
    if intervals == "replicate":
        pulled = scores.reshape(N_GROUPS, -1) @ covariance
        without = (coefficients.ravel() - pulled).reshape(N_GROUPS, *coefficients.shape)
    return PanelIntensities(
        names=names,
        columns=tuple(columns),
        coefficients=coefficients,
        covariance=covariance,
        without=without,
        log_likelihood=reached,
        n=int(cells.n.sum()),
        unit=unit,
        level=level,
        untold=tuple(untold),
    )


@dataclass(frozen=True, kw_only=True)
class FitComparison:
    """
    Whether more columns of a model are needed: covariates, or pieces of time (homogeneity over time).

    Attributes
    ----------
    likelihood_ratio : float
        Twice the gain in log-likelihood, chi-square if every interval is another customer's.
    degrees_of_freedom : int
    p_value : float
    replicate : ReplicateWald or None
        The same on the spread between groups of customers, where the fit has it.
    """

    likelihood_ratio: float
    degrees_of_freedom: int
    p_value: float
    replicate: ReplicateWald | None


def compare_fits(smaller: PanelIntensities, larger: PanelIntensities) -> FitComparison:
    """Test the columns that ``larger`` has and ``smaller`` has not; both must be of the same counts and moves."""
    if smaller.names != larger.names or smaller.n != larger.n or not set(smaller.columns) < set(larger.columns):
        raise ModelError("two fits are compared where they are of the same counts and moves, one with more columns")
    added = [c for c, column in enumerate(larger.columns) if column not in smaller.columns]
    statistic = 2 * (larger.log_likelihood - smaller.log_likelihood)
    freedom = larger.coefficients[:, added].size
    wald = None
    if larger.without is not None:
        wald = replicate_wald(larger.coefficients[:, added].ravel(), larger.without[:, :, added].reshape(N_GROUPS, -1))
    return FitComparison(
        likelihood_ratio=statistic,
        degrees_of_freedom=freedom,
        p_value=float(stats.chi2.sf(statistic, freedom)),
        replicate=wald,
    )
