"""The null of a chain that remembers the last k channels: journeys of a stratum convert alike, however they end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from lcm_research.attribution.edges import Outcome
from lcm_research.attribution.history_removal import block_removal_effects, kgram_credit
from lcm_research.attribution.kgrams import KGrams
from lcm_research.attribution.null import Excess
from lcm_research.attribution.strata_null import Ends, within_strata

__all__ = ["kgram_credit_beyond_null"]


def kgram_credit_beyond_null(
    kgrams: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None, ends: pd.DataFrame | None = None
) -> Excess:
    """
    Credit by removal effect in a chain of any order beside what volume and place alone would earn.

    Parameters are those of ``kgram_credit``, and

    ends : DataFrame, optional
        Of ``end_counts``, with the same journeys by stratum and histories of at least the chain's order. Where
        absent, all journeys are alike.

    Returns
    -------
    Excess
        With order 1 that of ``credit_beyond_null``.
    """
    credit = kgram_credit(kgrams, of=of, channels=channels)
    grouped = KGrams.by_group(kgrams, channels)
    as_if: Callable[[KGrams], KGrams]
    as_if = (lambda grams: Ends.alike(grams).if_alike(grams)) if ends is None else within_strata(ends, grouped)
    blocks = [np.flatnonzero(grouped.last == k) for k in range(len(grouped.channels))]
    effect = block_removal_effects(as_if(grouped.total()), blocks, of=of)
    without = np.full_like(credit.share_without, np.nan)
    if np.isfinite(credit.share_without).all():
        without = block_removal_effects(as_if(grouped.without_each_group()), blocks, of=of)
    null = replace(
        credit,
        model="null",
        share=effect / effect.sum(),
        share_without=without / without.sum(axis=1, keepdims=True),
        removal_effect=effect,
        removal_effect_without=without,
    )
    return Excess(credit=credit, null=null)
