"""How far models of credit differ on the same journeys."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lcm_research.attribution.credit import Credit, intervals
from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate

__all__ = ["Disagreement", "compare_shares", "widest_disagreement"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Disagreement:
    """
    The channel on which two models differ most.

    Parameters
    ----------
    channel : str
    higher, lower : Credit
        The model that gives it the larger share, and the one that gives it the smaller.
    difference : Estimate
        Of the two shares; its interval holds for all channels and pairs of models together (Bonferroni), since the
        widest of them was picked.
    """

    channel: str
    higher: Credit
    lower: Credit
    difference: Estimate


def compare_shares(credits: Sequence[Credit]) -> pd.DataFrame:
    """
    Return the shares of several models side by side, one row a channel, the last model's largest first.

    Parameters
    ----------
    credits : list of Credit
        Of the same outcome, with the same channels in the same order.
    """
    _check(credits)
    shares = pd.DataFrame({"channel": list(credits[0].channels)} | {c.model: c.share for c in credits})
    return shares.sort_values([credits[-1].model, "channel"], ascending=[False, True], ignore_index=True)


def widest_disagreement(credits: Sequence[Credit], *, n: int, level: float = 0.95) -> Disagreement:
    """
    Find the channel, and the two models, whose shares lie furthest apart.

    Parameters
    ----------
    credits : list of Credit
        At least two, of the same outcome, with the same channels in the same order.
    n : int
        Customers whose journeys they rest on.
    """
    _check(credits)
    pairs = list(itertools.permutations(credits, 2))
    apart = np.array([high.share - low.share for high, low in pairs])
    pair, place = np.unravel_index(int(apart.argmax()), apart.shape)
    high, low = pairs[int(pair)]
    without = (high.share_without - low.share_without)[:, [place]]
    n_groups = np.minimum(high.n_groups, low.n_groups)[[place]]
    each = 1 - (1 - level) / (apart.size / 2)
    lower, upper = intervals(apart[pair, [place]], without, n_groups, scale="identity", level=each)
    return Disagreement(
        channel=high.channels[int(place)],
        higher=high,
        lower=low,
        difference=Estimate(
            value=float(apart[pair, place]),
            lower=float(lower[0]),
            upper=float(upper[0]),
            unit="share",
            n=n,
            level=level,
            leave_one_out=without[:, 0],
        ),
    )


def _check(credits: Sequence[Credit]) -> None:
    if len(credits) < 2:
        raise ModelError(f"a comparison of models needs at least two; came {len(credits)}")
    for other in credits[1:]:
        if (other.channels, other.of) != (credits[0].channels, credits[0].of):
            raise ModelError(
                f"models '{credits[0].model}' and '{other.model}' share out different things (channels or outcome); "
                "give each the same 'of' and the same list of channels"
            )
