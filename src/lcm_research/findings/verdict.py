"""
What an estimate says of a hypothesis that was registered before the data were looked at.

The rule compares the interval with the claimed value and with the smallest effect of interest, in a fixed
order, so that no verdict depends on who reads the number.
"""

from __future__ import annotations

from typing import Literal

from scipy import stats

from lcm_research.estimate import N_GROUPS, Estimate
from lcm_research.study import Hypothesis

__all__ = ["Verdict", "verdict"]

Verdict = Literal["absent", "opposite", "consistent", "smaller", "larger", "inconclusive"]

_NARROWER = float(stats.t.ppf(0.95, N_GROUPS - 1) / stats.t.ppf(0.975, N_GROUPS - 1))
"""Half-width of a 90% interval over that of a 95% one."""


def verdict(estimate: Estimate, hypothesis: Hypothesis) -> Verdict:
    """
    Return the verdict on ``hypothesis``, in this order of precedence.

    ``absent``: the 90% interval lies within the smallest effect of interest around the null.
    ``opposite``: the interval lies beyond the null on the side that was not claimed.
    ``consistent``: the interval holds the claimed value and not the null (without a claimed value: it lies
    beyond the null on the claimed side).
    ``smaller`` or ``larger``: the interval leaves out the claimed value.
    ``inconclusive``: it holds both.

    References
    ----------
    Lakens (2017), Social Psychological and Personality Science 8:355; Simonsohn (2015), Psychological
    Science 26:559.
    """
    null, edge = hypothesis.null, hypothesis.smallest_effect
    side = _claimed_side(hypothesis)
    ends = [estimate.value + _NARROWER * (end - estimate.value) for end in (estimate.lower, estimate.upper)]
    if edge and null - edge < ends[0] and ends[1] < null + edge:
        return "absent"
    if side and estimate.sign(null) == -side:
        return "opposite"
    claimed = hypothesis.value
    if claimed is None:
        return "consistent" if estimate.sign(null) == side != 0 else "inconclusive"
    if estimate.lower <= claimed <= estimate.upper:
        return "consistent" if estimate.sign(null) else "inconclusive"
    return "smaller" if (estimate.value - claimed) * (side or 1) < 0 else "larger"


def _claimed_side(hypothesis: Hypothesis) -> int:
    if hypothesis.value is not None and hypothesis.value != hypothesis.null:
        return 1 if hypothesis.value > hypothesis.null else -1
    return {"positive": 1, "negative": -1, "none": 0}[hypothesis.direction]
