"""Does a hazard ratio stay the same over a customer's life? The exact score test of proportional hazards."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.errors import ModelError
from lcm_research.survival.hazards import CoxFit
from lcm_research.survival.partial_likelihood import information, score_by_day

__all__ = ["TimeScale", "proportional_hazards_test"]

TimeScale = Literal["km", "log", "identity"]


def proportional_hazards_test(fit: CoxFit, *, transform: TimeScale) -> pd.DataFrame:
    """
    Test whether each log hazard ratio drifts with time [1]_.

    The score test of adding ``covariate x g(day)`` to the model, with the exact information: the one that R's
    ``cox.zph`` has used since survival 3.

    Parameters
    ----------
    fit : CoxFit
        Without strata.
    transform : {"km", "log", "identity"}
        ``g``: one minus the pooled survival just before the day, its logarithm, or the day itself.

    Returns
    -------
    DataFrame
        One row a covariate and the row ``GLOBAL``: ``chi_square``, ``degrees_of_freedom``, ``p_value``. A small
        p-value speaks against a constant ratio; with many events it also finds drifts that do not matter.

    References
    ----------
    .. [1] Grambsch and Therneau (1994), Biometrika 81:515.
    """
    if fit.risk.n_strata > 1:
        raise ModelError(f"the test is for a fit without strata; came {fit.risk.n_strata}")
    drift = _drift(fit, transform)
    x = fit.design.matrix
    scale = x.std(axis=0)
    x = (x - x.mean(axis=0)) / scale
    gradient = drift @ score_by_day(fit.sums, x, fit.risk)
    constant, mixed, drifting = (information(fit.sums, x, fit.risk, weight) for weight in (1.0, drift, drift**2))
    # what is left of the drifts' information once the coefficients themselves are free
    left = drifting - mixed @ np.linalg.solve(constant, mixed)

    rows = {}
    terms = np.array(fit.design.terms)
    for term in [*dict.fromkeys(fit.design.terms), "GLOBAL"]:
        chosen = np.flatnonzero((terms == term) | (term == "GLOBAL"))
        part = gradient[chosen]
        chi_square = float(part @ np.linalg.solve(left[np.ix_(chosen, chosen)], part))
        rows[term] = (chi_square, len(chosen), float(stats.chi2.sf(chi_square, len(chosen))))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["chi_square", "degrees_of_freedom", "p_value"])
    return table.rename_axis("covariate").reset_index()


def _drift(fit: CoxFit, transform: TimeScale) -> np.ndarray:
    days = fit.risk.days.astype(float)
    if transform == "identity":
        drift = days
    elif transform == "log":
        drift = np.log(days)
    else:
        share = 1 - fit.risk.events.sum(axis=0) / fit.risk.at_risk.sum(axis=0)
        drift = 1 - np.concatenate([[1.0], np.cumprod(share)[:-1]])
    return drift - np.average(drift, weights=fit.risk.events.sum(axis=0))
