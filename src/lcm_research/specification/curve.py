"""
One question under many definitions: how many agree with the study's own, and what all of them say together.

A conclusion that needs one particular threshold is a conclusion about the threshold. Every definition that could
have been chosen answers the same question on the same customers, so their answers go up and down together; the
100 leave-one-out values that each keeps say how much, and a test of all of them at once takes it into account.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, Estimate

__all__ = [
    "Flip",
    "Specification",
    "SpecificationCurve",
    "Spread",
    "Tally",
    "curve_of",
    "flips",
    "spread",
    "tally",
]

SAME_DIGITS = 9
"""Two definitions are one where their numbers agree to so many digits, without any group of customers too."""

Change = Literal["reversed", "other side", "lost", "gained"]
Scale = Literal["identity", "log"]
Case = TypeVar("Case")
Given = TypeVar("Given")


@dataclass(frozen=True, kw_only=True)
class Specification:
    """
    The answer to a question under one definition.

    Parameters
    ----------
    choices : mapping of str to str
        What the definition chose, by the name of the choice; it also names the definition.
    estimate : Estimate
    own : bool
        Whether it is the study's own.
    """

    choices: Mapping[str, str]
    estimate: Estimate
    own: bool = False

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """The choices in an order that does not depend on how they were told."""
        return tuple(sorted(self.choices.items()))


@dataclass(frozen=True, kw_only=True, eq=False)
class SpecificationCurve:
    """
    One question and its answers; definitions that come to the same number in every group of customers are one.

    Parameters
    ----------
    tried : tuple of Specification
        At least one; choices differ, and at most one is the study's own.
    null : float or None
        The value that means "no difference"; None for a plain level.
    scale : {"identity", "log"}
        Where answers are compared: ``log`` for ratios.
    unanswered : mapping of str to str
        Definitions, by name, that have no answer, and why.
    """

    tried: tuple[Specification, ...]
    null: float | None
    scale: Scale = "identity"
    unanswered: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no curve."""
        keys = [each.key for each in self.tried]
        n_own = sum(each.own for each in self.tried)
        if not keys or len(set(keys)) < len(keys) or n_own > 1:
            raise ModelError(
                "a question needs answers under different definitions, at most one of them the study's own; came "
                f"{len(keys)} answers under {len(set(keys))} definitions, {n_own} of them the study's own"
            )

    @functools.cached_property
    def distinct(self) -> tuple[Specification, ...]:
        """One definition for each different answer, smallest answer first; the study's own stands for its equals."""
        kept: dict[tuple[str, ...], Specification] = {}
        for each in sorted(self.tried, key=lambda s: (not s.own, len(s.choices), s.key)):
            kept.setdefault(_fingerprint(each.estimate), each)
        return tuple(sorted(kept.values(), key=lambda s: (s.estimate.value, s.key)))

    @property
    def reference(self) -> Specification:
        """The study's own definition; where it has no answer, the definition in the middle."""
        own = next((each for each in self.distinct if each.own), None)
        return own or self.distinct[(len(self.distinct) - 1) // 2]

    def side(self, each: Specification) -> int:
        """Return on which side of the null an answer lies: +1, -1, or 0 on it."""
        return int(np.sign(each.estimate.value - self.known_null()))

    def beyond(self, each: Specification) -> int:
        """Return +1 or -1 where the interval of an answer leaves out the null, otherwise 0."""
        return each.estimate.sign(self.known_null())

    def distances(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Return how far the distinct answers are from the null (from 0 for a level), all and without each group.

        Returns
        -------
        value : array of shape (k,)
        without : array of shape (100, k)
        reach : array of shape (k,)
            Half the width of each interval.

        Answers without leave-one-out values are in none of them.
        """
        known = [each.estimate for each in self.distinct if _is_known(each.estimate)]
        ends = np.array([(e.value, e.lower, e.upper) for e in known]).reshape(len(known), 3).T
        without = np.array([e.leave_one_out for e in known]).reshape(len(known), N_GROUPS).T
        null = 0.0 if self.null is None else self.null
        if self.scale == "log":
            ends, without, null = np.log(ends), np.log(without), 0.0 if self.null is None else float(np.log(null))
        return ends[0] - null, without - null, (ends[2] - ends[1]) / 2

    def known_null(self) -> float:
        """Return the null; ModelError for a plain level, which has none."""
        if self.null is None:
            raise ModelError("a level has no null that it could lie beyond; ask for its spread instead")
        return self.null


def curve_of(
    cases: Mapping[Case, Given],
    answer: Callable[[Given], Estimate],
    *,
    choices: Callable[[Case], Mapping[str, str]],
    own: Case,
    null: float | None,
    scale: Scale = "identity",
) -> SpecificationCurve:
    """
    Ask one question of every case.

    Parameters
    ----------
    cases : mapping of case to what is asked
        Such as counts by churn window.
    answer : function
        From what is asked to an Estimate; a ModelError makes the case unanswered, with its message as the reason.
    choices : function
        From a case to the choices that it stands for.
    own : case
        The study's own.
    null, scale
        As for ``SpecificationCurve``.

    Raises
    ------
    ModelError
        Where no case has an answer.
    """
    tried, unanswered = [], {}
    for case, given in cases.items():
        try:
            tried.append(Specification(choices=choices(case), estimate=answer(given), own=case == own))
        except ModelError as reason:
            unanswered[", ".join(f"{name} = {value}" for name, value in choices(case).items())] = str(reason)
    if not tried:
        said = f"for example {next(iter(unanswered.values()))}" if unanswered else "none was tried"
        raise ModelError(f"the question has no answer under any of {len(cases)} definitions: {said}")
    return SpecificationCurve(tried=tuple(tried), null=null, scale=scale, unanswered=unanswered)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """
    How many definitions answer as the reference does.

    Attributes
    ----------
    n_tried, n_distinct : int
        Definitions, and those of them whose answers differ from each other; all other numbers count the latter.
    side : int
        The side of the null on which the reference lies.
    n_same_side : int
        Answers on that side.
    n_beyond, n_opposite : int
        Intervals that lie beyond the null on that side, and beyond it on the other.
    reference_beyond : bool
        Whether the interval of the reference leaves out the null.
    """

    n_tried: int
    n_distinct: int
    side: int
    n_same_side: int
    n_beyond: int
    n_opposite: int
    reference_beyond: bool

    @property
    def keeps_sign(self) -> bool:
        """Whether every answer lies on the side of the reference."""
        return self.n_same_side == self.n_distinct

    @property
    def survives(self) -> bool:
        """Whether every interval lies beyond the null on the side of the reference."""
        return self.side != 0 and self.n_beyond == self.n_distinct


def tally(curve: SpecificationCurve) -> Tally:
    """Count how many definitions keep the sign, and the interval beyond the null, of the reference."""
    side = curve.side(curve.reference)
    beyond = [curve.beyond(each) for each in curve.distinct]
    return Tally(
        n_tried=len(curve.tried),
        n_distinct=len(curve.distinct),
        side=side,
        n_same_side=sum(curve.side(each) == side for each in curve.distinct),
        n_beyond=sum(found == side != 0 for found in beyond),
        n_opposite=sum(found == -side != 0 for found in beyond),
        reference_beyond=curve.beyond(curve.reference) != 0,
    )


@dataclass(frozen=True, kw_only=True)
class Flip:
    """
    A definition that answers otherwise than the reference.

    Attributes
    ----------
    specification : Specification
    change : {"reversed", "other side", "lost", "gained"}
        Where the interval of the reference leaves out the null: ``reversed`` is an interval beyond it on the other
        side, ``other side`` a number there, ``lost`` an interval on the same side that holds it. Where the reference
        does not tell a side, ``gained``: this interval does.
    """

    specification: Specification
    change: Change


def flips(curve: SpecificationCurve) -> list[Flip]:
    """Return the definitions that answer otherwise than the reference, those that reverse it first."""
    order: tuple[Change, ...] = ("reversed", "other side", "lost", "gained")
    changes = [(each, _change(curve, each)) for each in curve.distinct]
    found = [Flip(specification=each, change=change) for each, change in changes if change is not None]
    return sorted(found, key=lambda flip: (order.index(flip.change), flip.specification.key))


def _change(curve: SpecificationCurve, each: Specification) -> Change | None:
    told, beyond = curve.beyond(curve.reference), curve.beyond(each)
    if told == 0:
        return "gained" if beyond else None
    if beyond == -told:
        return "reversed"
    if curve.side(each) != told:
        return "other side"
    return None if beyond else "lost"


@dataclass(frozen=True, kw_only=True)
class Spread:
    """
    How far the choice of a definition moves a number, beside how far sampling does.

    Attributes
    ----------
    reference, lowest, highest : Specification
    times_sampling : float
        Distance from lowest to highest as a multiple of the width of the interval of the reference.
    """

    reference: Specification
    lowest: Specification
    highest: Specification
    times_sampling: float


def spread(curve: SpecificationCurve) -> Spread:
    """Return the lowest and the highest answer beside the interval of the reference."""
    ends, own = (curve.distinct[0], curve.distinct[-1]), curve.reference.estimate
    width = own.upper - own.lower
    moved = ends[1].estimate.value - ends[0].estimate.value
    times = moved / width if width > 0 else float(np.inf) if moved > 0 else 0.0
    return Spread(reference=curve.reference, lowest=ends[0], highest=ends[1], times_sampling=float(times))


def _is_known(estimate: Estimate) -> bool:
    return estimate.leave_one_out is not None and bool(np.isfinite(estimate.leave_one_out).all())


def _fingerprint(estimate: Estimate) -> tuple[str, ...]:
    """Return the numbers of an answer, rounded, by which equal ones are known."""
    numbers: Sequence[float] = [estimate.value, estimate.lower, estimate.upper]
    if estimate.leave_one_out is not None:
        numbers = [*numbers, *estimate.leave_one_out.tolist()]
    return tuple(f"{number:.{SAME_DIGITS}g}" for number in numbers)
