"""
The law of credit where outcomes are exchanged among the journeys of a stratum.

Within a stratum the number of conversions among the journeys that end with each channel is then multivariate
hypergeometric, and credit by removal is a ratio of linear functions of these numbers: one solve gives the whole law.

It is exact where journeys of a stratum are exchangeable, so where each customer has one of them. Where customers have
several it is too narrow: outcomes and channels of one customer go together, and exchanging journeys tears them apart.
There the jackknife by groups of customers (``Excess``) is the test, and this is what it is held against.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lcm_research.attribution.edges import Edges
from lcm_research.attribution.null import without_difference
from lcm_research.attribution.removal import removal_effects
from lcm_research.attribution.strata_null import Ends, within_strata
from lcm_research.errors import ModelError
from lcm_research.estimate import wald

__all__ = ["PermutationLaw", "permutation_law"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PermutationLaw:
    """
    Shares of credit under exchanged outcomes, drawn and by formula.

    Parameters
    ----------
    channels : tuple of str, length K
    share : array of shape (K,)
        As observed.
    expected : array of shape (K,)
        Shares of the expected conversions: the mean by the delta method, and the null credit.
    covariance : array of shape (K, K)
        By the delta method.
    draws : array of shape (B, K)
    """

    channels: tuple[str, ...]
    share: np.ndarray
    expected: np.ndarray
    covariance: np.ndarray
    draws: np.ndarray

    @property
    def se(self) -> np.ndarray:
        """Standard errors of the shares by the delta method, shape (K,)."""
        return np.sqrt(np.diag(self.covariance))

    def p_values(self) -> np.ndarray:
        """Two-sided p-values by channel: how many draws lie as far from the null as the data, which count as one."""
        far = np.abs(self.draws - self.expected) >= np.abs(self.share - self.expected) * (1 - 1e-9)
        return (1 + far.sum(axis=0)) / (1 + len(self.draws))

    def p_value(self) -> float:
        """P-value of all channels together: squared length of the differences in units of their covariance."""
        observed, _ = wald(self.share - self.expected, self.covariance)
        drawn = np.array([wald(draw - self.expected, self.covariance)[0] for draw in self.draws])
        return float((1 + (drawn >= observed * (1 - 1e-9)).sum()) / (1 + len(drawn)))

    def table(self) -> pd.DataFrame:
        """Return one row a channel."""
        return pd.DataFrame(
            {
                "channel": list(self.channels),
                "share": self.share,
                "null_share": self.expected,
                "null_se": self.se,
                "p_value": self.p_values(),
            }
        )


def permutation_law(
    edges: pd.DataFrame, *, ends: pd.DataFrame | None, n_draws: int, rng: np.random.Generator
) -> PermutationLaw:
    """
    Draw the credit for conversions that exchanging outcomes within strata gives.

    Parameters
    ----------
    edges : DataFrame
        Of ``edge_counts``.
    ends : DataFrame or None
        Of ``end_counts``, with the same journeys; None where all journeys are alike.
    n_draws : int
        At least 99; the smallest p-value is 1 / (n_draws + 1).
    rng : Generator

    Returns
    -------
    PermutationLaw
        Of conversions. The value of single conversions is not in counts, so that its law cannot be drawn from them.
    """
    if n_draws < 99:
        raise ModelError(f"n_draws must be at least 99; came {n_draws}")
    grouped = Edges.by_group(edges)
    counts = grouped.total()
    if not counts.conversions.sum() > 0:
        raise ModelError("credit of conversions needs journeys that convert; came none")
    null = (without_difference if ends is None else within_strata(ends, grouped))(counts)
    strata = Ends.alike(counts) if ends is None else Ends.by_group(ends, counts.channels).total()
    lost = _lost_by_end(counts)
    expected, slope = _share_and_slope(lost, null.conversions)
    return PermutationLaw(
        channels=counts.channels,
        share=_shares(lost, counts.conversions),
        expected=expected,
        covariance=slope @ _covariance(strata) @ slope.T,
        draws=_shares(lost, _draws(strata, n_draws, rng)),
    )


def _lost_by_end(edges: Edges) -> np.ndarray:
    """
    Conversions lost by removing a channel (row), for one conversion after each channel (column), shape (K, K).

    Outcomes enter only at the ends, so what is lost of several conversions is the sum of what is lost of each.
    """
    ended = edges.conversions + edges.nulls
    one = np.eye(len(edges.channels))[ended > 0]
    made = np.zeros((len(ended), len(ended)))
    made[:, ended > 0] = removal_effects(replace(edges, conversions=one, nulls=ended - one), of="conversions").T
    return made


def _shares(lost: np.ndarray, conversions: np.ndarray) -> np.ndarray:
    """Shares of credit, shape (..., K), for conversions by last channel, shape (..., K)."""
    effect = conversions @ lost.T
    return effect / effect.sum(axis=-1, keepdims=True)


def _share_and_slope(lost: np.ndarray, conversions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of credit and their derivatives by the conversions after each channel, shape (K, K)."""
    share = _shares(lost, conversions)
    return share, (lost - np.outer(share, lost.sum(axis=0))) / (lost @ conversions).sum()


def _covariance(strata: Ends) -> np.ndarray:
    """Covariance of the conversions after each channel, multivariate hypergeometric in each stratum, shape (K, K)."""
    n, total = strata.n, strata.n.sum(axis=-1)
    converted = strata.conversions.sum(axis=-1)
    each = np.where(total > 0, total, 1)
    p = n / each[:, None]
    size = converted * (total - converted) / np.where(total > 1, total - 1, 1)
    return np.diag((size[:, None] * p).sum(axis=0)) - np.einsum("s,sj,sk->jk", size, p, p)


def _draws(strata: Ends, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Conversions after each channel in each draw, shape (B, K)."""
    drawn = np.zeros((n_draws, len(strata.last)))
    for journeys, converted in zip(strata.n.astype(np.int64), strata.conversions.sum(axis=-1), strict=True):
        drawn += rng.multivariate_hypergeometric(journeys, int(converted), size=n_draws, method="marginals")
    return drawn
