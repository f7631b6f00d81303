r"""
The removal effect of each channel in a first-order chain, exactly.

Journeys are read as a Markov chain from the start through channels to a conversion or to nothing. Removing a channel
here means *redirect to null*: every step into it ends the journey without a conversion, all other steps stay as they
are. The removal effect is the share of conversions that is lost by it.

Given the counts of steps, the outcome enters only through the touch that was last before it: a first-order chain
believes that what came earlier makes no difference. It measures association along journeys; it is not what a market
without the channel would do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from lcm_research.attribution.credit import Credit, Model
from lcm_research.attribution.edges import Edges, Outcome, reached
from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS

__all__ = ["credit_by_removal", "markov_credit", "removal_effects"]


def markov_credit(edges: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None) -> Credit:
    """
    Credit in proportion to removal effects in a first-order chain.

    Parameters
    ----------
    edges : DataFrame
        Of ``edge_counts`` or ``edges_from_paths``.
    of : {"conversions", "value"}
        Value is lost with the conversions that bring it: the value of a conversion depends on the channel before it.
    channels : list of str, optional
        Order of the channels, and channels that no journey has (their credit is zero); sorted names where absent.

    Returns
    -------
    Credit
        With raw removal effects (which need not sum to 1) and their shares; jackknife by groups of customers.

    Raises
    ------
    ModelError
        Where no journey converts, or some journeys never end.
    """
    return credit_by_removal(Edges.by_group(edges, channels), of=of, model="markov")


def credit_by_removal(
    grouped: Edges, *, of: Outcome, model: Model, as_if: Callable[[Edges], Edges] = lambda edges: edges
) -> Credit:
    """
    Return credit from counts of steps by group of customers, shape (100, ...).

    ``as_if`` changes the counts of all customers, and those without each group, before they are solved.
    """
    total = float(grouped.total().outcomes(of).sum())
    if not total > 0:
        raise ModelError(f"credit of {of} needs journeys that convert, with a positive total; it is {total:g}")
    effect = removal_effects(as_if(grouped.total()), of=of)
    if (grouped.outcomes(of).sum(axis=-1) > 0).sum() >= FEW_GROUPS:
        without = removal_effects(as_if(grouped.without_each_group()), of=of)
    else:
        without = np.full((len(grouped.starts), len(effect)), np.nan)
    return Credit(
        model=model,
        of=of,
        channels=grouped.channels,
        share=effect / effect.sum(),
        share_without=without / without.sum(axis=1, keepdims=True),
        total=total,
        n_groups=grouped.n_groups_with(),
        removal_effect=effect,
        removal_effect_without=without,
    )


def removal_effects(edges: Edges, *, of: Outcome) -> np.ndarray:
    r"""
    Share of conversions, or of value, lost where a channel is removed and its journeys end there.

    With :math:`N = (I - Q)^{-1}` the expected visits between channels and :math:`h` the conversions (or value) expected
    from each channel on, a journey ever comes to channel :math:`k` with probability :math:`N_{0k} / N_{kk}` [1]_ and
    loses what was expected from there on, so that the effect is

    .. math:: \frac{N_{0k}\, h_k}{N_{kk}\, h_0},

    all channels at once from one inverse. It holds for value as for conversions because both come only at the end of a
    journey: nothing is earned before the channel is reached.

    Parameters
    ----------
    edges : Edges
        Counts of steps; with leading axes the effects of each set of journeys are returned.

    Returns
    -------
    array of shape (..., K)
        Zero for a channel that no journey comes to.

    References
    ----------
    .. [1] Kemeny and Snell (1976), Finite Markov Chains, theorem 3.5.7 and section 3.2.
    """
    leaving = edges.steps.sum(axis=-1) + edges.conversions + edges.nulls
    visited = reached(edges.starts > 0, edges.steps > 0)
    _refuse_endless(edges, visited)
    # rows of channels that no journey comes to are zero: whatever they lead to, they change nothing
    scale = np.where(visited, 1 / np.where(leaving > 0, leaving, 1), 0.0)
    start = edges.starts / edges.starts.sum(axis=-1, keepdims=True)
    visits_between = np.linalg.inv(np.eye(len(edges.channels)) - edges.steps * scale[..., None])
    expected = np.einsum("...jk,...k->...j", visits_between, edges.outcomes(of) * scale)
    visits = np.einsum("...j,...jk->...k", start, visits_between)
    comes_to = visits / np.diagonal(visits_between, axis1=-2, axis2=-1)
    return comes_to * expected / (start * expected).sum(axis=-1, keepdims=True)


def _refuse_endless(edges: Edges, visited: np.ndarray) -> None:
    """ModelError where journeys come to a channel from which none ends."""
    ends = (edges.conversions + edges.nulls) > 0
    endless = visited & ~reached(ends, np.swapaxes(edges.steps > 0, -1, -2))
    if endless.any():
        channel = edges.channels[int(np.argwhere(endless)[0][-1])]
        raise ModelError(
            f"journeys come to '{channel}' and none that does ever ends in a conversion or without one; every journey "
            "needs one step to '(conversion)' or '(null)': check where the counts of steps come from"
        )
