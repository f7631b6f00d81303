"""Whether customers were followed for long enough to see the curve level off."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.survival.risk_sets import SPELL, check_spells

__all__ = ["TOO_SHORT", "FollowUpCheck", "follow_up_check"]

TOO_SHORT = 0.05
"""Largest chance that a plateau is one by accident, and largest share of those on it who may still lapse."""


@dataclass(frozen=True, kw_only=True)
class FollowUpCheck:
    """
    Whether the curve levels off before the follow-up ends.

    Attributes
    ----------
    last_event_days, last_spell_days : float
        Longest duration of a spell that lapsed, and of any spell; the plateau lies between them.
    n, n_events : int
        Spells and events.
    n_events_before : int
        Events within the plateau's own length before it began.
    alpha : float
        Maller and Zhou's: chance of a plateau as long as this if customers went on lapsing as before it.
    """

    last_event_days: float
    last_spell_days: float
    n: int
    n_events: int
    n_events_before: int
    alpha: float

    @property
    def sufficient(self) -> bool:
        """Whether there is a plateau that is hardly one by accident."""
        return self.last_event_days < self.last_spell_days and self.alpha < TOO_SHORT


def follow_up_check(counts: pd.DataFrame) -> FollowUpCheck:
    """
    Compare the last event with the last censoring: does the curve level off within the follow-up [1]_?

    With a plateau of length ``d`` after the last event, ``alpha = (1 - k / n)**n``, where ``k`` of ``n`` spells
    lapsed within ``d`` before it. A small one says that customers would have gone on lapsing in the plateau if
    they still could. Where many are lost sight of near the end the check is lenient: see
    ``MixtureCureFit.still_to_lapse``.

    References
    ----------
    .. [1] Maller and Zhou (1992), Biometrika 79:731; (1996), Survival Analysis with Long-Term Survivors.

    Examples
    --------
    Of 10 spells 5 lapse on days 1 to 5, the others are followed to day 20: the last 15 days saw none, the 15
    before day 5 saw all five, and (1 - 5 / 10)**10 is about 0.001:

    >>> days = [1, 2, 3, 4, 5, 20]
    >>> counts = pd.DataFrame({"duration_days": days, "event_observed": [True] * 5 + [False], "n": [1] * 5 + [5]})
    >>> check = follow_up_check(counts)
    >>> check.n_events_before, round(check.alpha, 3), check.sufficient
    (5, 0.001, True)
    """
    counts = check_spells(counts, SPELL, "a check of the follow-up", continuous=True)
    n, days = counts["n"].to_numpy(float), counts["duration_days"].to_numpy(float)
    lapsed = counts["event_observed"].to_numpy(bool) & (n > 0)
    if not lapsed.any():
        raise ModelError(f"none of {n.sum():.0f} spells lapsed: there is no curve to level off; wait for more data")
    last_event, last = float(days[lapsed].max()), float(days[n > 0].max())
    before = float(n[lapsed & (days > 2 * last_event - last)].sum())
    total = float(n.sum())
    return FollowUpCheck(
        last_event_days=last_event,
        last_spell_days=last,
        n=round(total),
        n_events=round(float(n[lapsed].sum())),
        n_events_before=round(before),
        alpha=float((1 - before / total) ** total),
    )
