"""How many conversions it would take for a difference from the null to show."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from lcm_research.attribution.null import Excess
from lcm_research.attribution.permutation import PermutationLaw
from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, jackknife_se

__all__ = ["conversions_needed"]


def conversions_needed(
    excess: Excess, *, law: PermutationLaw | None, points: float, power: float, level: float = 0.95
) -> pd.DataFrame:
    """
    Conversions with which a channel whose credit lies so far from its null would stand out from it.

    The standard error of a share falls with the root of the number of conversions, customers and journeys being as
    these are. The difference must pass Bonferroni's bound over all channels, as the intervals do.

    Parameters
    ----------
    excess : Excess
    law : PermutationLaw or None
        Of the same journeys: its standard errors are used where customers are too few for their own; with several
        journeys a customer they are too small, and so is the number. None leaves such channels without a number.
    points : float
        Percentage points of credit, above zero.
    power : float
        Probability of standing out, between 0 and 1.

    Returns
    -------
    DataFrame
        One row a channel: ``channel``, ``se`` (of the difference, a share), ``se_from`` (``replicate``,
        ``permutation`` or ``none``), ``n_conversions`` that there are and ``n_conversions_needed`` (float, rounded
        up; NaN where there is no standard error).
    """
    if not points > 0:
        raise ModelError(f"points must be above zero, in percentage points of credit; came {points:g}")
    if not 0 < power < 1:
        raise ModelError(f"power must lie between 0 and 1; came {power:g}")
    if excess.credit.of != "conversions":
        raise ModelError("conversions needed are known for credit of conversions; came credit of value")
    if law is not None and law.channels != excess.channels:
        raise ModelError(f"the law is of channels {law.channels}, the credit of {excess.channels}; give the same edges")
    se = jackknife_se(excess.difference, excess.difference_without)
    own = np.isfinite(se) & (se > 0) & (excess.credit.n_groups >= FEW_GROUPS)
    other = law is not None and law.se > 0
    se = np.where(own, se, np.where(other, np.nan if law is None else law.se, np.nan))
    reach = stats.t.ppf(1 - (1 - level) / 2 / len(se), N_GROUPS - 1) + stats.norm.ppf(power)
    needed = np.ceil(excess.credit.total * (100 * reach * se / points) ** 2)
    return pd.DataFrame(
        {
            "channel": list(excess.channels),
            "se": se,
            "se_from": np.where(own, "replicate", np.where(other, "permutation", "none")),
            "n_conversions": int(excess.credit.total),
            "n_conversions_needed": needed,
        }
    )
