"""
Lapse in two parts: customers who bought once, and how long the others go on.

Where purchases date activity, a large share of spells ends on its first day, all at once: no hazard ratio that
holds on day 1 can hold later. So day 1 gets a logit of its own, and Cox's model takes the spells that go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.api as sm

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, Estimate
from lcm_research.survival.covariates import Design, design
from lcm_research.survival.hazards import FEWEST_EVENTS, CoxFit, cox
from lcm_research.survival.partial_likelihood import TieRule
from lcm_research.survival.ratios import ratio_estimates, ratio_table, spread_of_moves

__all__ = ["FirstDayFit", "TwoPartFit", "first_day_logit", "two_part"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstDayFit:
    """
    Odds of ending on the first day.

    Attributes
    ----------
    names : tuple of str, length p
        Columns, the constant left out.
    intercept : float
        Log odds at the reference levels.
    coefficients, standard_error : arrays of shape (p,)
        Log odds ratios; standard errors of the one-step jackknife by groups of customers.
    odds_ratios : mapping of name to Estimate
    log_likelihood : float
    n, n_events : int
        Spells, and those that ended on their first day.
    """

    names: tuple[str, ...]
    intercept: float
    coefficients: np.ndarray
    standard_error: np.ndarray
    odds_ratios: Mapping[str, Estimate]
    log_likelihood: float
    n: int
    n_events: int

    def table(self) -> pd.DataFrame:
        """Return one row a column of the model: coefficient, standard error, odds ratio with its interval."""
        return ratio_table(self.names, self.coefficients, self.standard_error, self.odds_ratios, unit="odds_ratio")


@dataclass(frozen=True, kw_only=True, eq=False)
class TwoPartFit:
    """The two parts: ``first_day`` on all spells, ``later`` on those that go on past their first day."""

    first_day: FirstDayFit
    later: CoxFit

    def table(self) -> pd.DataFrame:
        """Return odds ratios of ending on day 1 beside hazard ratios afterwards, one row a column."""
        first = self.first_day.table().drop(columns=["coefficient", "standard_error"])
        later = self.later.table().drop(columns=["coefficient", "standard_error"])
        return first.merge(later, on="covariate", how="outer", suffixes=("_first_day", "_later"))


def two_part(
    counts: pd.DataFrame,
    *,
    covariates: Sequence[str],
    ties: TieRule,
    reference: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> TwoPartFit:
    """
    Fit a logit for ending on the first day, and Cox's model to the spells that go on.

    Parameters
    ----------
    counts : DataFrame
        Of ``spell_counts`` with incident entry and the covariates in ``by``.
    covariates : list of str
    ties : {"efron", "breslow"}
    reference : mapping, optional
        Reference levels; by default the most frequent of all spells, in both parts.
    level : float
        Confidence level of all intervals, which are jackknife intervals by groups of customers.

    Raises
    ------
    ModelError
        As ``cox`` and ``first_day_logit`` refuse.
    """
    if "entry_days" in counts and (counts["entry_days"] > 0).any():
        raise ModelError("a two-part model needs spells seen from their first day; use counts with incident entry")
    references = design(counts, covariates, reference).references
    goes_on = counts[counts["duration_days"] > 1]
    return TwoPartFit(
        first_day=first_day_logit(counts, covariates=covariates, reference=references, level=level),
        later=cox(goes_on, covariates=covariates, ties=ties, intervals="replicate", reference=references, level=level),
    )


def first_day_logit(
    counts: pd.DataFrame, *, covariates: Sequence[str], reference: Mapping[str, str] | None = None, level: float = 0.95
) -> FirstDayFit:
    """
    Odds ratios of ending on the first day: one purchase day, then silence longer than the window.

    Parameters
    ----------
    counts : DataFrame
        Of ``spell_counts`` with incident entry; in it the first day is decided for every spell.
    covariates : list of str
        As for ``cox``.
    reference : mapping, optional
        Reference levels.
    level : float
        Confidence level; t with 99 degrees of freedom around the one-step jackknife on the log scale.

    Raises
    ------
    ModelError
        Naming the column: constant, collinear, or a level where all or none end on their first day; with fewer
        than 5 such spells (or others) a parameter, or such spells in fewer than 20 groups of customers.
    """
    columns = design(counts, covariates, reference)
    once = (counts["event_observed"].to_numpy(bool) & (counts["duration_days"].to_numpy() == 1)).astype(float)
    n = counts["n"].to_numpy(float)
    _check_first_day(counts, columns, once, n)
    x = sm.add_constant(columns.matrix)[columns.pattern]
    rows = pd.DataFrame({"pattern": columns.pattern, "once": once, "n": n})
    cells = rows.groupby(["pattern", "once"])["n"].sum().reset_index()
    model = sm.GLM(
        cells["once"].to_numpy(),
        sm.add_constant(columns.matrix)[cells["pattern"]],
        family=sm.families.Binomial(),
        freq_weights=cells["n"].to_numpy(),
    )
    fit = model.fit(tol=1e-12, tol_criterion="params")
    # removing a group takes its score away; one Newton step from there
    residual = (once - fit.model.family.link.inverse(x @ fit.params)) * n
    groups = counts["replicate"].to_numpy(np.int64)
    by_group = np.stack([np.bincount(groups, residual * column, N_GROUPS) for column in x.T], axis=1)
    moved = (by_group @ fit.cov_params())[:, 1:]
    coefficients, error = fit.params[1:], spread_of_moves(moved)
    total = round(n.sum())
    return FirstDayFit(
        names=columns.names,
        intercept=float(fit.params[0]),
        coefficients=coefficients,
        standard_error=error,
        odds_ratios=ratio_estimates(columns.names, coefficients, error, moved, unit="odds_ratio", n=total, level=level),
        log_likelihood=float(fit.llf),
        n=total,
        n_events=round((n * once).sum()),
    )


def _check_first_day(counts: pd.DataFrame, columns: Design, once: np.ndarray, n: np.ndarray) -> None:
    if "replicate" not in counts:
        raise ModelError("intervals by groups of customers need the column 'replicate' in the counts")
    ended, others = int((n * once).sum()), int((n * (1 - once)).sum())
    n_columns = len(columns.names)
    if min(ended, others) < FEWEST_EVENTS * n_columns:
        raise ModelError(
            f"{ended} spells end on their first day and {others} go on, for {n_columns} parameters; at least "
            f"{FEWEST_EVENTS} of each a parameter are needed; merge levels or leave covariates out"
        )
    n_groups = counts.loc[(once * n) > 0, "replicate"].nunique()
    if n_groups < FEW_GROUPS:
        raise ModelError(
            f"spells that end on their first day in {n_groups} groups of customers, fewer than {FEW_GROUPS}; "
            "merge levels"
        )
    for name, column in zip(columns.names, columns.matrix.T, strict=True):
        values = column[columns.pattern]
        sides = [values[(once == side) & (n > 0)] for side in (0, 1)]
        if sides[0].max() <= sides[1].min() or sides[1].max() <= sides[0].min():
            raise ModelError(
                f"column '{name}' separates perfectly: one of its ends holds nobody who ended on the first day, or "
                "nobody else; merge levels or leave it out"
            )
