"""
Can the lapse be seen coming? A risk for each pattern of what was known on the decision day.

A logistic regression of lapsing by the horizon, fitted on the counts of an earlier decision day whose outcomes were
known by then, and judged on a later one (``accuracy``, ``warning_value``). A predicted risk ranks customers by how
likely they are to fall silent, not by how much a message would help [1]_.

References
----------
.. [1] Ascarza (2018), Journal of Marketing Research 55:80.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.api as sm

from lcm_research.data.segments import natural_order
from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, Estimate
from lcm_research.survival.accuracy import estimate_of, known_by, without_each_group
from lcm_research.survival.covariates import Design, design
from lcm_research.survival.likelihood_fit import FEWEST_EVENTS

__all__ = ["BaseRateDrift", "RiskModel", "base_rate_drift", "fit_risk", "too_few_to_warn"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskModel:
    """
    Predicted probability of lapsing within ``horizon_days``, by classes.

    Attributes
    ----------
    horizon_days : int
    intercept : float
        Log odds of a customer in all reference levels.
    log_odds : mapping of covariate to mapping of level to float
        What each level adds; 0 for the reference.
    references : mapping of covariate to level
        The most frequent.
    pooled : mapping of (covariate, level) to level
        Levels with fewer than 5 lapses or fewer than 5 others in training, and the one each is taken together with:
        that with the nearest share of lapses.
    n, n_events : int
        Customers the model was trained on, and lapses.
    """

    horizon_days: int
    intercept: float
    log_odds: Mapping[str, Mapping[str, float]]
    references: Mapping[str, str]
    pooled: Mapping[tuple[str, str], str]
    n: int
    n_events: int

    def predict(self, counts: pd.DataFrame) -> np.ndarray:
        """Return the risk of each row; a level that training never saw counts as the reference."""
        at = np.full(len(counts), self.intercept)
        for name, levels in self.log_odds.items():
            at += counts[name].map(dict(levels)).fillna(0.0).to_numpy(float)
        # equal patterns must get equal risks, whatever the order of their sums
        return np.round(1 / (1 + np.exp(-at)), 12)

    def table(self) -> pd.DataFrame:
        """Return one row a level: covariate, level, odds ratio against the reference, and what it was pooled with."""
        rows = [
            (name, level, float(np.exp(value)), self.pooled.get((name, level), ""))
            for name, levels in self.log_odds.items()
            for level, value in levels.items()
        ]
        return pd.DataFrame(rows, columns=["covariate", "level", "odds_ratio", "pooled_with"])


@dataclass(frozen=True, kw_only=True)
class BaseRateDrift:
    """Share that lapsed within the horizon on the training day, on the judging day, and the second less the first."""

    training: Estimate
    judging: Estimate
    difference: Estimate


def too_few_to_warn(
    training: pd.DataFrame, judging: pd.DataFrame, *, covariates: Sequence[str], horizon_days: int
) -> tuple[int, int] | None:
    """
    Customers who lapsed and who did not, in the scarcer of the two samples, where they do not carry a warning.

    Asked for are 5 of each for every column of the model in training, and both kinds in at least 20 groups of
    customers on both days. None where that is there.

    Parameters
    ----------
    horizon_days : int
        The shortest that a risk is predicted for.
    """
    n_columns = sum(training[name].nunique() - 1 for name in covariates)
    sides = [[_side(counts, lapsed, horizon_days) for lapsed in (True, False)] for counts in (training, judging)]
    enough = min(n for n, _ in sides[0]) >= FEWEST_EVENTS * n_columns
    if enough and all(n_groups >= FEW_GROUPS for side in sides for _, n_groups in side):
        return None
    (lapsed, _), (others, _) = min(sides, key=lambda side: min(n for n, _ in side))
    return lapsed, others


def fit_risk(counts: pd.DataFrame, *, covariates: Sequence[str], horizon_days: int) -> RiskModel:
    """
    Fit the risk of lapsing within ``horizon_days`` by a logistic regression on counts.

    Parameters
    ----------
    counts : DataFrame
        Of ``warning_counts`` on the training day, where nobody is lost sight of before the horizon.
    covariates : list of str
        Text columns that were known on the decision day. Rare levels are pooled; a covariate with one level left,
        or one that those before it determine, is left out.
    horizon_days : int
        At most that of the counts.

    Raises
    ------
    ModelError
        With fewer than 5 lapses (or others) a column. Where no covariate is left everybody gets the base rate.
    """
    lapsed = counts["event_observed"].to_numpy(bool) & (counts["duration_days"].to_numpy() <= horizon_days)
    if ((counts["duration_days"] < horizon_days) & ~counts["event_observed"].astype(bool)).any():
        raise ModelError(f"some customers are lost sight of before day {horizon_days}; choose a shorter horizon")
    levels, pooled = _poolings(counts, covariates, lapsed)
    kept = _fitting(levels, counts["n"])
    n = counts["n"].to_numpy(float)
    if not kept:
        return _base_rate_model(horizon_days, float(n @ lapsed), float(n.sum()))
    columns = design(levels[kept].assign(n=counts["n"]), kept)
    _check_numbers(float(n @ lapsed), float(n @ ~lapsed), len(columns.names))
    coefficients = _logistic(columns, n, lapsed)
    added = {(t, level): b for t, level, b in zip(columns.terms, columns.levels, coefficients[1:], strict=True)}
    log_odds = {
        name: {
            level: float(added.get((name, pooled.get((name, level), level)), 0.0)) for level in _levels(counts[name])
        }
        for name in kept
    }
    return RiskModel(
        horizon_days=horizon_days,
        intercept=float(coefficients[0]),
        log_odds=log_odds,
        references=columns.references,
        pooled={pair: other for pair, other in pooled.items() if pair[0] in kept},
        n=round(float(n.sum())),
        n_events=round(float(n @ lapsed)),
    )


def base_rate_drift(
    training: pd.DataFrame, judging: pd.DataFrame, *, horizon_days: int, level: float = 0.95
) -> BaseRateDrift:
    """
    Compare how many lapsed within the horizon on the two days; the interval knows that they share customers.

    Parameters
    ----------
    training, judging : DataFrame
        Of ``warning_counts``.
    """

    def rate(rows: pd.DataFrame) -> float:
        return known_by(rows.assign(any=0.0), prediction="any", day=horizon_days).base_rate

    (then, then_without), (now, now_without) = (without_each_group(counts, rate) for counts in (training, judging))
    n = [int(counts["n"].sum()) for counts in (training, judging)]
    return BaseRateDrift(
        training=estimate_of(float(then), then_without, unit="share", scale="logit", n=n[0], level=level),
        judging=estimate_of(float(now), now_without, unit="share", scale="logit", n=n[1], level=level),
        difference=estimate_of(
            float(now - then), now_without - then_without, unit="share", scale="identity", n=min(n), level=level
        ),
    )


def _logistic(columns: Design, n: np.ndarray, lapsed: np.ndarray) -> np.ndarray:
    """Intercept and coefficients: two weighted rows a pattern, those who lapsed and the others."""
    cells = np.concatenate([np.bincount(columns.pattern, n * side, len(columns.matrix)) for side in (lapsed, ~lapsed)])
    x, outcome = sm.add_constant(columns.matrix, has_constant="add"), np.repeat([1.0, 0.0], len(columns.matrix))
    there = cells > 0
    model = sm.GLM(outcome[there], np.vstack([x, x])[there], sm.families.Binomial(), freq_weights=cells[there])
    return np.asarray(model.fit(tol=1e-12).params)


def _base_rate_model(horizon_days: int, n_events: float, n: float) -> RiskModel:
    """The same risk for all, where nothing tells customers apart."""
    if not 0 < n_events < n:
        raise ModelError(f"{n_events:.0f} of {n:.0f} customers lapsed; a risk needs some who did and some who did not")
    return RiskModel(
        horizon_days=horizon_days,
        intercept=float(np.log(n_events / (n - n_events))),
        log_odds={},
        references={},
        pooled={},
        n=round(n),
        n_events=round(n_events),
    )


def _poolings(
    counts: pd.DataFrame, covariates: Sequence[str], lapsed: np.ndarray
) -> tuple[pd.DataFrame, dict[tuple[str, str], str]]:
    """
    Levels with each rare one replaced by the level it is pooled with, and which those were.

    That is the one with the nearest share of lapses, a rare level's own being drawn towards that of all: the longest
    silence, where hardly anybody comes back, belongs to the next longest and not to the most frequent.
    """
    levels = counts[list(covariates)].astype(str)
    pooled: dict[tuple[str, str], str] = {}
    base = float((counts["n"] * lapsed).sum() / counts["n"].sum())
    for name in covariates:
        sides = pd.DataFrame({"lapsed": counts["n"] * lapsed, "others": counts["n"] * ~lapsed})
        sizes = sides.groupby(levels[name]).sum()
        share = (sizes["lapsed"] + FEWEST_EVENTS * base) / (sizes.sum(axis=1) + FEWEST_EVENTS)
        rare = sizes.min(axis=1) < FEWEST_EVENTS
        usual = share[~rare] if (~rare).any() else share[[sizes.sum(axis=1).idxmax()]]
        to = {level: str((usual - share[level]).abs().idxmin()) for level in sizes.index if level not in usual.index}
        levels[name] = levels[name].replace(to)
        pooled |= {(name, str(level)): other for level, other in to.items()}
    return levels, pooled


def _fitting(levels: pd.DataFrame, n: pd.Series) -> list[str]:
    """Covariates with two levels or more, those left out that the ones before them determine."""
    kept: list[str] = []
    for name in levels:
        if levels[name].nunique() > 1:
            try:
                design(levels[[*kept, name]].assign(n=n), [*kept, str(name)])
            except ModelError:
                continue
            kept.append(str(name))
    return kept


def _check_numbers(lapsed: float, others: float, n_columns: int) -> None:
    if min(lapsed, others) < FEWEST_EVENTS * n_columns:
        raise ModelError(
            f"{lapsed:.0f} customers lapsed and {others:.0f} did not, for {n_columns} columns; at least "
            f"{FEWEST_EVENTS} of each a column are needed; choose fewer or coarser classes"
        )


def _levels(values: pd.Series) -> list[str]:
    return natural_order(values.astype(str))


def _side(counts: pd.DataFrame, lapsed: bool, horizon_days: int) -> tuple[int, int]:
    """Customers who lapsed within ``horizon_days``, or who never did, and groups of customers that hold any."""
    event = counts["event_observed"].astype(bool)
    there = counts[(event & (counts["duration_days"] <= horizon_days) if lapsed else ~event) & (counts["n"] > 0)]
    return int(there["n"].sum()), int(there["replicate"].nunique())
