"""One question under many definitions: what is one definition, what keeps a conclusion, and what takes it away."""

from __future__ import annotations

import numpy as np
import pytest

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate
from lcm_research.specification.curve import Specification, SpecificationCurve, curve_of, flips, spread, tally


def estimate(value: float, half: float, *, unit: str = "percentage points", shift: float = 0.0) -> Estimate:
    """Return an estimate whose leave-one-out values go from value - shift to value + shift."""
    without = value + np.linspace(-shift, shift, 100) if shift else None
    return Estimate(value=value, lower=value - half, upper=value + half, unit=unit, n=500, leave_one_out=without)


def curve(*answers: tuple[str, float, float], own: str = "", null: float | None = 0.0) -> SpecificationCurve:
    tried = [
        Specification(choices={"scheme": name}, estimate=estimate(value, half), own=name == own)
        for name, value, half in answers
    ]
    return SpecificationCurve(tried=tuple(tried), null=null)


WORKED = curve(("own", 3, 1), ("b", 2, 1), ("c", 0.5, 1), ("d", -0.5, 1), ("e", -4, 1), own="own")
"""Intervals 2 to 4, 1 to 3, -0.5 to 1.5, -1.5 to 0.5, -5 to -3."""


def test_answers_are_counted_by_side_and_by_interval() -> None:
    counted = tally(WORKED)
    # own, b, c lie above 0; own and b exclude it above, e below
    assert (counted.side, counted.n_same_side, counted.n_beyond, counted.n_opposite) == (1, 3, 2, 1)
    assert (counted.n_tried, counted.n_distinct) == (5, 5)
    assert counted.reference_beyond
    assert not counted.keeps_sign
    assert not counted.survives


def test_a_conclusion_survives_where_every_interval_is_beyond_the_null_on_one_side() -> None:
    assert tally(curve(("a", 3, 1), ("b", 2, 1), own="a")).survives
    assert not tally(curve(("a", 3, 1), ("b", 2, 3), own="a")).survives
    assert tally(curve(("a", 3, 1), ("b", 2, 3), own="a")).keeps_sign


def test_flips_are_told_by_kind_the_worst_first() -> None:
    found = [(flip.specification.choices["scheme"], flip.change) for flip in flips(WORKED)]
    assert found == [("e", "reversed"), ("d", "other side"), ("c", "lost")]


def test_where_the_own_definition_tells_nothing_only_a_certain_answer_is_another_one() -> None:
    found = flips(curve(("own", 0.5, 1), ("b", -0.5, 1), ("c", 3, 1), ("d", -3, 1), own="own"))
    assert [(flip.specification.choices["scheme"], flip.change) for flip in found] == [("c", "gained"), ("d", "gained")]


def test_nothing_flips_where_all_agree() -> None:
    assert flips(curve(("a", 3, 1), ("b", 2, 1), own="a")) == []


def test_the_order_of_definitions_does_not_matter() -> None:
    turned = SpecificationCurve(tried=WORKED.tried[::-1], null=0.0)
    assert tally(turned) == tally(WORKED)
    assert [flip.specification.key for flip in flips(turned)] == [flip.specification.key for flip in flips(WORKED)]
    assert [each.key for each in turned.distinct] == [each.key for each in WORKED.distinct]


def test_definitions_with_the_same_answer_count_once_and_the_own_stands_for_them() -> None:
    same = curve(("a", 3, 1), ("own", 3, 1), ("b", 2, 1), own="own")
    assert tally(same).n_tried == 3
    assert tally(same).n_distinct == 2
    assert [each.choices["scheme"] for each in same.distinct] == ["b", "own"]
    assert same.reference.own


def test_equal_numbers_from_different_customers_are_two_definitions() -> None:
    made = [Specification(choices={"scheme": str(shift)}, estimate=estimate(3, 1, shift=shift)) for shift in (0.1, 0.2)]
    assert len(SpecificationCurve(tried=tuple(made), null=0.0).distinct) == 2


def test_without_an_own_answer_the_definition_in_the_middle_is_the_reference() -> None:
    middle = curve(("a", 3, 1), ("b", 2, 1), ("c", 1, 1)).reference
    assert middle.choices["scheme"] == "b"
    assert not middle.own


def test_spread_is_measured_in_widths_of_the_interval_of_the_reference() -> None:
    found = spread(WORKED)
    # from -4 to 3 are 7 units; the own interval is 2 wide
    assert found.times_sampling == pytest.approx(3.5)
    assert (found.lowest.choices["scheme"], found.highest.choices["scheme"]) == ("e", "own")


def test_ratios_are_compared_on_the_log_scale() -> None:
    half = Estimate(value=0.5, lower=0.25, upper=1.0, unit="hazard_ratio", n=9, leave_one_out=np.full(100, 0.5))
    made = SpecificationCurve(tried=(Specification(choices={"w": "1"}, estimate=half),), null=1.0, scale="log")
    value, without, reach = made.distances()
    assert value == pytest.approx([np.log(0.5)])
    assert without == pytest.approx(np.full((100, 1), np.log(0.5)))
    assert reach == pytest.approx([np.log(2)])  # (log 1 - log 0.25) / 2
    assert tally(made).side == -1


def test_a_question_that_a_definition_cannot_answer_is_kept_with_its_reason() -> None:
    def answer(value: float) -> Estimate:
        if value < 0:
            raise ModelError(f"{value:g} is below 0")
        return estimate(value, 1)

    made = curve_of({"a": 1.0, "b": -1.0}, answer, choices=lambda name: {"scheme": name, "w": "9"}, own="a", null=0.0)
    assert made.unanswered == {"scheme = b, w = 9": "-1 is below 0"}
    assert [each.own for each in made.tried] == [True]
    with pytest.raises(ModelError, match=r"no answer under any of 1 definitions: for example -2 is below 0"):
        curve_of({"a": -2.0}, answer, choices=lambda name: {"scheme": name}, own="a", null=0.0)


def test_what_is_no_curve_is_refused() -> None:
    with pytest.raises(ModelError, match="came 0 answers under 0 definitions"):
        SpecificationCurve(tried=(), null=0.0)
    with pytest.raises(ModelError, match="came 2 answers under 1 definitions, 0 of them"):
        curve(("a", 1, 1), ("a", 2, 1))
    twice = tuple(Specification(choices={"scheme": name}, estimate=estimate(1, 1), own=True) for name in ("a", "b"))
    with pytest.raises(ModelError, match="2 of them the study's own"):
        SpecificationCurve(tried=twice, null=0.0)


def test_a_level_has_no_side() -> None:
    with pytest.raises(ModelError, match="a level has no null"):
        tally(curve(("a", 1, 1), null=None))
