"""
What a chain of stages is asked under every definition: shares of customer-months, and differences that have a sign.

Schemes have different stages, so moves are counted between the coarse stages that all of them map to. A level of a
scheme (how many of its customers at risk come back) depends on whom it calls at risk; a difference within one scheme
can keep its sign where levels move.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import FEW_GROUPS, N_GROUPS, Estimate, by_replicate, jackknife, leave_one_out, proportion
from lcm_research.specification.curve import SpecificationCurve, curve_of
from lcm_research.stages.scheme import COARSE
from lcm_research.stages.universes import Universe

__all__ = [
    "CONTRASTS",
    "LEVELS",
    "NO_CHOICE",
    "NO_SUCH_STAGE",
    "Contrast",
    "Level",
    "chain_curves",
    "level_curves",
    "two_largest",
]

Share = tuple[np.ndarray, np.ndarray]
"""Events and trials by group of customers, shape (100,) each."""

Given = TypeVar("Given")

NO_SUCH_STAGE = "no customer is ever in the stage that is asked about"
NO_CHOICE = "everybody in the stage that is asked about does the same: the definition leaves no choice"
"""Why a definition may have no answer."""

ACTIVE = ("new", "established", "returned")
"""Coarse stages of customers who are buying."""


@dataclass(frozen=True)
class Level:
    """Share of the customer-months that begin in some coarse stages and end in others."""

    start: tuple[str, ...]
    end: tuple[str, ...]


@dataclass(frozen=True)
class Contrast:
    """
    A difference of two shares: ``first`` less ``second``.

    ``split`` says what ``second`` is taken from: the same customer-months, the earlier months (and ``first`` from the
    later ones), or the other of two groups of customers.
    """

    first: Level
    second: Level
    split: str = "none"


RETURN = Level(("at_risk",), ACTIVE)
STAY = Level(("established",), ACTIVE)

LEVELS: Mapping[str, Level] = {
    "established": Level(COARSE, ("established",)),
    "lapsed": Level(COARSE, ("lapsed",)),
    "stays-active": STAY,
    "returns": RETURN,
    "lapsed-returns": Level(("lapsed",), ACTIVE),
}
"""Plain levels: where customer-months end, and what becomes of those that began established, at risk or lapsed."""

CONTRASTS: Mapping[str, Contrast] = {
    "groups-return": Contrast(RETURN, RETURN, "groups"),
    "groups-stay": Contrast(STAY, STAY, "groups"),
    "recency": Contrast(RETURN, Level(("lapsed",), ACTIVE)),
    "stay-or-return": Contrast(STAY, RETURN),
    "return-trend": Contrast(RETURN, RETURN, "halves"),
}
"""Differences that have a sign to keep or to lose."""


def level_curves(
    counts: pd.DataFrame, universes: Mapping[str, Universe], *, n_customers: int, fewest: int, level: float = 0.95
) -> dict[str, SpecificationCurve]:
    """
    Return the plain levels under every definition, as shares of customer-months.

    Parameters
    ----------
    counts : DataFrame
        universe, from_stage and to_stage (coarse), period_start, replicate, n: of ``coarse_transition_counts``.
    universes : mapping of label to Universe
        A label of ``counts`` outside it is a ModelError.
    n_customers : int
        Customers followed; every estimate says that it rests on so many.
    fewest : int
        A definition with fewer customers than this on either side of a share has no answer.
    level : float

    Returns
    -------
    dict of name to SpecificationCurve
        By the names of ``LEVELS``; a level that no definition can tell is not there.
    """
    moves = _moves(counts, universes)
    found = {}
    for name, wanted in LEVELS.items():
        shares = {label: _share(moves[label], wanted) for label in universes}
        found[name] = _answered(
            shares, lambda pair: _level(pair, n_customers, fewest, level), universes=universes, null=None
        )
    return {name: curve for name, curve in found.items() if curve is not None}


def chain_curves(
    counts: pd.DataFrame,
    universes: Mapping[str, Universe],
    *,
    groups: tuple[str, str, str] | None,
    n_customers: int,
    fewest: int,
    level: float = 0.95,
) -> dict[str, SpecificationCurve]:
    """
    Return the differences that have a sign, in percentage points, under every definition.

    Parameters
    ----------
    counts, universes, n_customers, fewest, level
        As for ``level_curves``; with ``groups``, ``counts`` also has the column of the segment.
    groups : (segment, group, other) or None
        The two groups of customers that are compared; without them those questions are left out.

    Returns
    -------
    dict of name to SpecificationCurve
        By the names of ``CONTRASTS``; a question that no definition can answer is not there. A scheme without the
        stage that is asked about, or with too few customers in it, is among the unanswered with its reason.
    """
    splits = ("none", "halves", "groups") if groups else ("none", "halves")
    moves = {split: [_moves(part, universes) for part in _parts(counts, split, groups)] for split in splits}
    found = {}
    for name, contrast in CONTRASTS.items():
        if contrast.split in moves:
            first, second = moves[contrast.split][0], moves[contrast.split][-1]
            pairs = {
                label: (_share(first[label], contrast.first), _share(second[label], contrast.second))
                for label in universes
            }
            found[name] = _answered(
                pairs, lambda pair: _difference(*pair, n_customers, fewest, level), universes=universes, null=0.0
            )
    return {name: curve for name, curve in found.items() if curve is not None}


def two_largest(counts: pd.DataFrame, segments: Sequence[str], *, own: str) -> tuple[str, str, str] | None:
    """
    Return the first segment that has two groups, and its two largest by customer-months under one definition.

    Chosen by size, not by outcome. A group called ``unknown`` is passed over.
    """
    rows = counts[counts["universe"] == own]
    for segment in segments:
        sizes = rows.groupby(segment)["n"].sum().drop("unknown", errors="ignore").reset_index()
        sizes = sizes[sizes["n"] > 0].sort_values(["n", segment], ascending=[False, True])
        if len(sizes) > 1:
            return segment, str(sizes[segment].iloc[0]), str(sizes[segment].iloc[1])
    return None


def _parts(counts: pd.DataFrame, split: str, groups: tuple[str, str, str] | None) -> list[pd.DataFrame]:
    """Return the counts that the first and the second share are taken from; one table where both are from it."""
    if split == "groups" and groups is not None:
        segment, one, other = groups
        return [counts[counts[segment] == name] for name in (one, other)]
    if split == "halves":
        periods = sorted(counts["period_start"].unique())
        # of an odd number of months the one in the middle is in neither half
        half = len(periods) // 2
        late, early = periods[len(periods) - half :], periods[:half]
        return [counts[counts["period_start"].isin(months)] for months in (late, early)]
    return [counts]


def _moves(counts: pd.DataFrame, universes: Mapping[str, Universe]) -> dict[str, np.ndarray]:
    """Return the moves between coarse stages by group of customers, shape (100, 6, 6), of each definition."""
    coarse, labels = pd.Index(list(COARSE)), pd.Index(list(universes))
    made = by_replicate(counts, ["n"], ["universe", "from_stage", "to_stage"], [labels, coarse, coarse])[..., 0]
    return {label: made[:, place] for place, label in enumerate(universes)}


def _share(moves: np.ndarray, wanted: Level) -> Share:
    """Return events and trials by group of customers."""
    start, end = ([COARSE.index(stage) for stage in stages] for stages in (wanted.start, wanted.end))
    begun = moves[:, start].sum(axis=1)
    return begun[:, end].sum(axis=1), begun.sum(axis=1)


def _level(share: Share, n_customers: int, fewest: int, level: float) -> Estimate:
    _refuse_few(share, fewest)
    return replace(proportion(*share, unit="share", level=level), n=n_customers)


def _difference(first: Share, second: Share, n_customers: int, fewest: int, level: float) -> Estimate:
    """Return a difference of shares in percentage points."""
    _refuse_few(first, fewest)
    _refuse_few(second, fewest)
    value, without = leave_one_out(np.stack([*first, *second], axis=1), lambda c: 100 * (c[0] / c[1] - c[2] / c[3]))
    return jackknife(float(value), without, unit="percentage points", n=n_customers, level=level)


def _refuse_few(share: Share, fewest: int) -> None:
    """ModelError where too few customers stand behind a share; each group of customers holds one at least."""
    events, trials = share
    if not trials.any():
        raise ModelError(NO_SUCH_STAGE)
    n_groups = int(min((events > 0).sum(), (trials > events).sum()))
    if n_groups == 0:
        raise ModelError(NO_CHOICE)
    needed = min(max(FEW_GROUPS, fewest), N_GROUPS)
    if n_groups < needed:
        raise ModelError(
            f"an interval, and the protection of small groups, need customers of {needed} groups who do what is asked "
            f"about and of {needed} who do not; came {n_groups}; wait for more customers"
        )


def _answered(
    cases: Mapping[str, Given],
    answer: Callable[[Given], Estimate],
    *,
    universes: Mapping[str, Universe],
    null: float | None,
) -> SpecificationCurve | None:
    """Return the curve, or None where no definition has an answer."""
    own = next((label for label, each in universes.items() if each.own), "")
    try:
        return curve_of(cases, answer, choices=lambda label: universes[label].choices, own=own, null=null)
    except ModelError:
        return None
