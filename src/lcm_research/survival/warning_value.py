"""
What a warning is worth: whom the highest risks hold, how long before the declared lapse, and at which threshold.

All measures are of customers that the model has not seen, on a later decision day, with outcomes that are known for
everybody. Of customers with equal risk at the end of a list each share is taken in equal parts, so that no measure
depends on how ties are ordered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, Scale
from lcm_research.survival.accuracy import compressed, estimate_of, known_by, without_each_group

__all__ = ["DecisionCurve", "TopShare", "average_precision", "decision_curve", "top_shares"]


@dataclass(frozen=True, kw_only=True)
class TopShare:
    """
    The customers with the highest predicted risks, as a share of all.

    Attributes
    ----------
    share : float
        Of customers, from the highest risk down.
    n_warned : int
    precision : Estimate
        Share of them that lapsed.
    lift : Estimate
        That share over the share among all; 1 for a list drawn by lot.
    capture : Estimate
        Share of all lapses that the list holds.
    lead_days : Estimate or None
        Mean days from the warning to the declared lapse, of those on the list who lapsed; None where nobody did.
    already_silent : Estimate or None
        Share of those who lapsed that had made their last purchase before the warning.
    """

    share: float
    n_warned: int
    precision: Estimate
    lift: Estimate
    capture: Estimate
    lead_days: Estimate | None
    already_silent: Estimate | None


@dataclass(frozen=True, kw_only=True, eq=False)
class DecisionCurve:
    r"""
    Net benefit of warning everybody whose risk reaches a threshold [1]_.

    :math:`TP/n - FP/n \\cdot p_t / (1 - p_t)`: who warns at a threshold of .2 takes four needless messages for one
    that is due. Warning nobody has net benefit 0.

    Attributes
    ----------
    thresholds : array of shape (n_thresholds,)
    net_benefit, warn_all, over_all : tuples of Estimate
        Of warning by risk; of warning everybody; the first less the second.
    share_warned : array of shape (n_thresholds,)

    References
    ----------
    .. [1] Vickers and Elkin (2006), Medical Decision Making 26:565.
    """

    thresholds: np.ndarray
    net_benefit: tuple[Estimate, ...]
    warn_all: tuple[Estimate, ...]
    over_all: tuple[Estimate, ...]
    share_warned: np.ndarray

    def useful(self) -> np.ndarray:
        """Thresholds at which warning by risk beats both warning everybody and warning nobody, by their intervals."""
        pairs = zip(self.net_benefit, self.over_all, strict=True)
        return self.thresholds[[own.lower > 0 and more.lower > 0 for own, more in pairs]]

    def table(self) -> pd.DataFrame:
        """Return one row a threshold."""
        return pd.DataFrame(
            {
                "threshold": self.thresholds,
                "share_warned": self.share_warned,
                "net_benefit": list(self.net_benefit),
                "net_benefit_warn_all": list(self.warn_all),
                "net_benefit_over_all": list(self.over_all),
            }
        )


def top_shares(
    counts: pd.DataFrame, *, prediction: str, horizon_days: int, shares: Sequence[float], level: float = 0.95
) -> tuple[TopShare, ...]:
    """
    Judge lists of the customers with the highest predicted risks.

    Parameters
    ----------
    counts : DataFrame
        Of ``warning_counts`` with the prediction.
    shares : list of float
        Lengths of the lists as shares of all customers, above 0 and at most 1.
    """
    if not len(shares) or min(shares) <= 0 or max(shares) > 1:
        raise ModelError(f"shares of customers lie above 0 and at most at 1; came {list(shares)}")
    counts = compressed(counts, [prediction], sums=("n", "lead_days", "n_silent"))
    _check_known(counts, horizon_days)

    def measures(rows: pd.DataFrame) -> np.ndarray:
        totals = _by_risk(rows, prediction, horizon_days)
        return np.stack([_of_top(totals, share) for share in shares])

    value, without = without_each_group(counts, measures)
    n = int(counts["n"].sum())
    return tuple(_top(share, value[i], without[:, i], n, level) for i, share in enumerate(shares))


def decision_curve(
    counts: pd.DataFrame, *, prediction: str, horizon_days: int, thresholds: Sequence[float], level: float = 0.95
) -> DecisionCurve:
    """
    Compare warning by risk with warning everybody and nobody, threshold by threshold.

    Parameters
    ----------
    counts : DataFrame
        Counts of spells with the predicted probability of lapsing by ``horizon_days``.
    thresholds : list of float
        Risks, between 0 and 1, from which on a customer is warned.
    """
    at = np.asarray(thresholds, float)
    if not len(at) or at.min() <= 0 or at.max() >= 1:
        raise ModelError(f"thresholds are risks between 0 and 1; came {list(thresholds)}")
    counts = compressed(counts, [prediction])
    odds = at / (1 - at)

    def benefits(rows: pd.DataFrame) -> np.ndarray:
        known = known_by(rows, prediction=prediction, day=horizon_days)
        warned, n = known.risk >= at[:, None], known.n.sum()
        own = (warned @ known.lapsed - odds * (warned @ known.stayed)) / n
        everybody = (known.lapsed.sum() - odds * known.stayed.sum()) / n
        return np.column_stack([own, everybody, own - everybody, (warned @ known.n) / n])

    value, without = without_each_group(counts, benefits)
    n = int(counts["n"].sum())
    own, everybody, over = (
        tuple(
            estimate_of(v, w, unit="net_benefit", scale="identity", n=n, level=level)
            for v, w in zip(value[:, i], without[:, :, i].T, strict=True)
        )
        for i in range(3)
    )
    return DecisionCurve(thresholds=at, net_benefit=own, warn_all=everybody, over_all=over, share_warned=value[:, 3])


def average_precision(counts: pd.DataFrame, *, prediction: str, horizon_days: int, level: float = 0.95) -> Estimate:
    """
    Precision averaged over recall: the area under the precision-recall curve, by steps.

    A list drawn by lot has the base rate, so it is read beside that; it says more than an AUC where lapses are rare.
    """
    counts = compressed(counts, [prediction])

    def area(rows: pd.DataFrame) -> float:
        known = known_by(rows, prediction=prediction, day=horizon_days)
        lapsed, stayed = known.lapsed[::-1], known.stayed[::-1]
        precision = lapsed.cumsum() / (lapsed + stayed).cumsum().clip(min=1e-300)
        return float((precision * lapsed).sum() / lapsed.sum())

    value, without = without_each_group(counts, area)
    n = int(counts["n"].sum())
    return estimate_of(float(value), without, unit="share", scale="logit", n=n, level=level)


def _by_risk(rows: pd.DataFrame, prediction: str, horizon_days: int) -> np.ndarray:
    """Customers, lapses, their lead days and those already silent, by falling risk: shape (n_risks, 4)."""
    lapsed = (rows["event_observed"].to_numpy(bool) & (rows["duration_days"].to_numpy() <= horizon_days)).astype(float)
    risk, place = np.unique(-rows[prediction].to_numpy(float), return_inverse=True)
    masses = (rows["n"], rows["n"] * lapsed, rows["lead_days"] * lapsed, rows["n_silent"] * lapsed)
    return np.column_stack([np.bincount(place, mass.to_numpy(float), len(risk)) for mass in masses])


def _of_top(totals: np.ndarray, share: float) -> np.ndarray:
    """Precision, lift, capture, mean lead and share already silent of the top ``share``."""
    n = totals[:, 0]
    taken = np.clip(share * n.sum() - (n.cumsum() - n), 0, n) / n
    chosen, lapsed = taken @ totals, totals[:, 1].sum()
    precision = chosen[1] / chosen[0]
    lead, silent = (chosen[2:] / chosen[1]) if chosen[1] > 0 else (np.nan, np.nan)
    return np.array([precision, precision / (lapsed / n.sum()), chosen[1] / lapsed, lead, silent])


def _top(share: float, value: np.ndarray, without: np.ndarray, n: int, level: float) -> TopShare:
    def told(column: int, unit: str, scale: Scale) -> Estimate | None:
        if not np.isfinite(np.append(without[:, column], value[column])).all():
            return None
        return estimate_of(value[column], without[:, column], unit=unit, scale=scale, n=n, level=level)

    precision, lift, capture = told(0, "share", "logit"), told(1, "ratio", "log"), told(2, "share", "logit")
    if precision is None or lift is None or capture is None:
        raise ModelError("nobody lapsed among the customers that the list is drawn from")
    return TopShare(
        share=share,
        n_warned=round(share * n),
        precision=precision,
        lift=lift,
        capture=capture,
        lead_days=told(3, "days", "log"),
        already_silent=told(4, "share", "logit"),
    )


def _check_known(counts: pd.DataFrame, horizon_days: int) -> None:
    lost = (counts["duration_days"] < horizon_days) & ~counts["event_observed"].astype(bool)
    if lost.any():
        raise ModelError(
            f"{int(counts.loc[lost, 'n'].sum())} customers are lost sight of before day {horizon_days}; a list is "
            "judged where every outcome is known"
        )
