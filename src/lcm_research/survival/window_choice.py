"""
Which silence should count as a lapse? The share of lapses that come back, window by window.

A short window calls customers lost who merely buy seldom, and many return; a long one learns of every lapse late.
The curve shows the trade, and a named rule picks a window from it. It is drawn on a reference period at the start
of observation, so that the data a study reports on do not choose its own definition; the window in force is the
study's, whatever is recommended here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, Estimate
from lcm_research.survival.curves import incidence_at, kaplan_meier
from lcm_research.survival.risk_sets import SPELL, check_spells, risk_arrays

__all__ = ["FEWEST_RESAMPLES", "WindowChoice", "recommend_window", "return_shares"]

FEWEST_RESAMPLES = 999
"""Resamples below which the ends of a bootstrap interval are mostly chance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowChoice:
    """
    The share of lapses that return, by window, and the shortest window at which few enough do.

    Attributes
    ----------
    return_days : int
        Days after the declared lapse within which a return counts.
    most_return : float
        The rule: the shortest window of the grid whose return share is at most this.
    shares : mapping of int to Estimate
        Cumulative incidence of return by window, rising; windows that are not followed for ``return_days`` after
        a lapse are missing.
    n_lapses : mapping of int to int
        Lapses behind each share, of the missing windows too.
    recommended : int or None
        In days; None where no window of ``shares`` satisfies the rule.
    lower, upper : int or None
        Interval of the recommended window by the bootstrap of groups of customers; None where the end lies beyond
        the longest window followed.
    share_agreeing : float
        Share of resamples that recommend the same.
    n_resamples : int
    level : float
    """

    return_days: int
    most_return: float
    shares: Mapping[int, Estimate]
    n_lapses: Mapping[int, int]
    recommended: int | None
    lower: int | None
    upper: int | None
    share_agreeing: float
    n_resamples: int
    level: float

    def table(self) -> pd.DataFrame:
        """Return one row a window; no share where the follow-up is too short."""
        return pd.DataFrame(
            {
                "window_days": list(self.n_lapses),
                "n_lapses": list(self.n_lapses.values()),
                "share_returned": [self.shares.get(window) for window in self.n_lapses],
            }
        )


def return_shares(
    returns: Mapping[int, pd.DataFrame], *, return_days: int, level: float = 0.95
) -> tuple[dict[int, Estimate], dict[int, int]]:
    """
    Share of lapses that return within ``return_days`` of their declaration, by window.

    Parameters
    ----------
    returns : mapping of int to DataFrame
        Counts of ``return_counts`` by their ``window_days``.

    Returns
    -------
    shares : dict of int to Estimate
        Only windows that some lapse is followed for so long.
    n_lapses : dict of int to int
        All windows, rising.
    """
    shares, n_lapses = {}, {}
    for window in sorted(returns):
        n_lapses[window] = int(returns[window]["n"].sum())
        if _is_followed(returns[window], return_days):
            curve = kaplan_meier(returns[window], interval="replicate", level=level)
            shares[window] = incidence_at(curve, return_days)
    return shares, n_lapses


def recommend_window(
    returns: Mapping[int, pd.DataFrame],
    *,
    return_days: int,
    most_return: float,
    rng: np.random.Generator,
    n_resamples: int,
    level: float = 0.95,
) -> WindowChoice:
    """
    Recommend the shortest window after which at most ``most_return`` of the lapses return.

    A recommended window jumps from one value of the grid to the next, so its interval is the percentile interval of
    the bootstrap over groups of customers: the same resample for every window, the rule applied to each.

    Parameters
    ----------
    returns : mapping of int to DataFrame
        Counts of ``return_counts`` by their ``window_days``, on the reference period.
    return_days : int
        180 asks who comes back within half a year of being called lost.
    most_return : float
        A share between 0 and 1.
    rng : Generator
    n_resamples : int
        At least 999.
    """
    _check(returns, return_days, most_return, n_resamples)
    shares, n_lapses = return_shares(returns, return_days=return_days, level=level)
    if not shares:
        longest = max(int(counts["duration_days"].max()) if len(counts) else 0 for counts in returns.values())
        raise ModelError(
            f"no window has a lapse that is followed for return_days={return_days} after its declaration (the longest "
            f"is {longest} days); choose shorter windows, fewer return_days or a longer reference period"
        )
    windows = list(shares)
    weights = rng.multinomial(N_GROUPS, np.full(N_GROUPS, 1 / N_GROUPS), n_resamples)
    resampled = np.stack([_resampled_share(returns[w], weights, return_days) for w in windows], axis=1)
    chosen = _first_within(resampled, most_return)
    own = int(_first_within(np.array([[share.value for share in shares.values()]]), most_return)[0])
    tail = (1 - level) / 2
    # ends are values of the grid, never between two
    lower = int(np.quantile(chosen, tail, method="inverted_cdf"))
    upper = int(np.quantile(chosen, 1 - tail, method="inverted_cdf"))
    named: list[int | None] = [*windows, None]
    return WindowChoice(
        return_days=return_days,
        most_return=most_return,
        shares=shares,
        n_lapses=n_lapses,
        recommended=named[own],
        lower=named[lower],
        upper=named[upper],
        share_agreeing=float((chosen == own).mean()),
        n_resamples=n_resamples,
        level=level,
    )


def _first_within(shares: np.ndarray, most_return: float) -> np.ndarray:
    """Place of the first share at most ``most_return`` in each row, the number of columns where none is."""
    within = shares <= most_return
    return np.where(within.any(axis=1), within.argmax(axis=1), shares.shape[1])


def _resampled_share(counts: pd.DataFrame, weights: np.ndarray, return_days: int) -> np.ndarray:
    """Cumulative incidence at ``return_days`` where group ``g`` is in the sample ``weights[b, g]`` times."""
    counts = check_spells(counts, [*SPELL, "replicate"], "a share that returns")
    groups = counts["replicate"].to_numpy(np.int64)
    returned = counts["event_observed"].to_numpy(bool)
    times, at_risk, (events,) = risk_arrays(counts, [returned], groups, N_GROUPS)
    inside = times <= return_days
    risk, back = weights @ at_risk[:, inside], weights @ events[:, inside]
    return 1 - np.prod(1 - np.divide(back, risk, out=np.zeros_like(risk), where=risk > 0), axis=1)


def _is_followed(counts: pd.DataFrame, return_days: int) -> bool:
    return bool(len(counts)) and int(counts["duration_days"].max()) >= return_days


def _check(returns: Mapping[int, pd.DataFrame], return_days: int, most_return: float, n_resamples: int) -> None:
    if len(returns) < 2:
        raise ModelError(f"a window is chosen from at least two; came {sorted(returns)}")
    if return_days < 1:
        raise ModelError(f"return_days must be at least 1; came {return_days}")
    if not 0 < most_return < 1:
        raise ModelError(f"most_return must be a share between 0 and 1, such as 0.1; came {most_return:g}")
    if n_resamples < FEWEST_RESAMPLES:
        raise ModelError(f"n_resamples must be at least {FEWEST_RESAMPLES}; came {n_resamples}")
