"""
Associated credit beside what experiments measured.

Credit says with whom conversions are associated, an experiment says how many would not have come without the channel.
Where a study has both, their ratio says how far credit may be read as effect.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.attribution.credit import Credit
from lcm_research.errors import ModelError, nearest
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, jackknife_se

__all__ = ["calibrate"]

_COLUMNS = ("channel", "lift", "lift_se")


def calibrate(credit: Credit, experiments: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """
    Show credit beside lift: incremental outcomes by channel, from assignments.

    Parameters
    ----------
    credit : Credit
        Of conversions or their value, of the customers and the time of the experiments.
    experiments : DataFrame
        One row a channel: ``channel``, ``lift`` (conversions, or value in minor units, that would not have come
        without it) and ``lift_se``, its standard error.

    Returns
    -------
    DataFrame
        One row an experiment: ``channel``, ``credit``, ``lift`` with its interval, and ``ratio`` of lift to credit
        with Fieller's interval [1]_, Student's t with 99 degrees of freedom. NaN where credit is not separated from
        zero, or too few groups of customers met the channel.

    Raises
    ------
    ModelError
        Where there is no experiment: credit alone cannot be calibrated.

    References
    ----------
    .. [1] Fieller (1954), Journal of the Royal Statistical Society B 16:175.
    """
    _check(credit, experiments)
    places = [credit.channels.index(name) for name in experiments["channel"]]
    amount = credit.credit[places]
    error = (jackknife_se(credit.share, credit.share_without) * credit.total)[places]
    error = np.where(credit.n_groups[places] >= FEW_GROUPS, error, np.nan)
    lift, lift_se = (experiments[name].to_numpy(float) for name in ("lift", "lift_se"))
    reach = stats.t.ppf(0.5 + level / 2, N_GROUPS - 1)
    lower, upper = _fieller(lift, lift_se, amount, error, reach)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(amount > 0, lift / amount, np.nan)
    return pd.DataFrame(
        {
            "channel": experiments["channel"].to_numpy(),
            "credit": amount,
            "lift": lift,
            "lift_lower": lift - reach * lift_se,
            "lift_upper": lift + reach * lift_se,
            "ratio": ratio,
            "ratio_lower": lower,
            "ratio_upper": upper,
        }
    )


def _fieller(
    over: np.ndarray, over_se: np.ndarray, under: np.ndarray, under_se: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """All ratios r with (over - r under)^2 <= reach^2 (over_se^2 + r^2 under_se^2), of independent estimates."""
    a = under**2 - (reach * under_se) ** 2
    c = over**2 - (reach * over_se) ** 2
    a = np.where(a > 0, a, np.nan)  # else the ratios reach to infinity
    middle, half = over * under / a, np.sqrt((over * under) ** 2 - a * c) / a
    return middle - half, middle + half


def _check(credit: Credit, experiments: pd.DataFrame) -> None:
    if missing := [c for c in _COLUMNS if c not in experiments]:
        raise ModelError(f"experiments needs the columns {', '.join(_COLUMNS)}; '{missing[0]}' is missing")
    if experiments.empty:
        raise ModelError(
            "calibration needs at least one experiment; came none: without assignments credit stays association; "
            "give the lift of a channel, measured on customers to whom it was shown at random"
        )
    names = experiments["channel"]
    for name in names:
        if name not in credit.channels:
            raise ModelError(f"no journey has the channel '{name}' of an experiment; {nearest(name, credit.channels)}")
    if names.duplicated().any():
        raise ModelError(
            f"experiments: channel '{names[names.duplicated()].iloc[0]}' comes twice; pool its lifts first"
        )
    lift = experiments[["lift", "lift_se"]].to_numpy(float)
    if not np.isfinite(lift).all() or (lift[:, 1] <= 0).any():
        raise ModelError("experiments: lift must be a number and lift_se above zero in every row")
