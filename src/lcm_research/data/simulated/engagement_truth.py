"""
What a right comparison of engaged and other customers finds in the simulated brand, counted on a million of them.

What engaging does to a customer is known, ``Brand.engaged_hazard_ratio`` on the hazard of leaving. But leaving is
never seen, only silence: a lapse is dated at the last purchase, before the customer leaves, and by whole periods,
so that another number is right for it. That number is had by trying: in a simulation where engaging is set at
random. Chance gives everybody the same rate of sessions, whatever their activity, which drives purchases as ever;
it is drawn also for who is away for a while and comes back, because a customer's own coming and going must not
decide who counts as engaged. Then engaged and others differ in nothing but engaging, and two numbers are read off:

- **Hazard ratio per person-period.** Among spells that reach a period of ``period_days`` and had bought on as many
  days (classes) when the exposure's period began: hazard of lapsing in the period, of those with an act
  ``lag_periods`` earlier against those without, every period and class with a hazard of its own.
- **Difference of the restricted mean.** Among spells that reach day ``landmark_days``: days until the lapse from
  that day on, up to ``horizon_days``, of those with an act in the ``exposure_days`` before against those without,
  with the classes of purchase days up to the first of those days in the same proportion on both sides.

After the landmark and beside the period everybody engages as ever: the effect is that of one period's engaging,
not of always against never.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lcm_research.data.simulated.brand import EngagementFollows
from lcm_research.errors import DataError

__all__ = ["TRUTH_FILE", "EngagementTruth", "engagement_truth", "truth_choices"]

TRUTH_FILE = Path(__file__).with_name("engagement_truth.yml")
"""Made by ``tools/demo_truth.py``."""


@dataclass(frozen=True, kw_only=True)
class EngagementTruth:
    """
    The two numbers of one simulated brand; the errors are those of the simulation (standard errors).

    Attributes
    ----------
    engagement_follows : str
        ``"chance"``: the truth. ``"purchases"``: chance within each class of past purchases alone, the brand's own
        chances; what its adjusted comparison tends to as customers grow many, to be held against the truth.
    engaged_hazard_ratio, return_hazard_monthly : float
        Of the brand.
    hazard_ratio, log_hazard_ratio_error : float
    difference_days, difference_days_error : float
    n_customers, seed : int
    """

    engagement_follows: EngagementFollows
    engaged_hazard_ratio: float
    return_hazard_monthly: float
    hazard_ratio: float
    log_hazard_ratio_error: float
    difference_days: float
    difference_days_error: float
    n_customers: int
    seed: int


def engagement_truth(
    *, engagement_follows: EngagementFollows, engaged_hazard_ratio: float, return_hazard_monthly: float
) -> EngagementTruth:
    """Return the stored truth of such a brand; DataError, with what there is, where none was counted."""
    truths = [EngagementTruth(**entry) for entry in _stored()["truths"]]
    asked = (engagement_follows, engaged_hazard_ratio, return_hazard_monthly)
    keys = [(t.engagement_follows, t.engaged_hazard_ratio, t.return_hazard_monthly) for t in truths]
    if asked not in keys:
        raise DataError(
            f"no truth is stored for engagement_follows, engaged_hazard_ratio, return_hazard_monthly = {asked}; there "
            f"are {keys}; add yours to tools/demo_truth.py and run it"
        )
    return truths[keys.index(asked)]


def truth_choices() -> Mapping[str, Any]:
    """Return the choices with which the truth was counted: window, period, lag, classes, landmark and horizon."""
    return _stored()["choices"]


def _stored() -> dict[str, Any]:
    return YAML(typ="safe", pure=True).load(TRUTH_FILE.read_text(encoding="utf-8"))
