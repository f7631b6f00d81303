"""Credit beyond volume under several lookbacks: each answer is the one that the chapter on attribution gives."""

from __future__ import annotations

import pandas as pd
import pytest

from lcm_research.attribution.multiverse import credit_curve, leaders
from lcm_research.attribution.null import credit_beyond_null
from lcm_research.attribution.paths import edges_from_paths
from lcm_research.errors import ModelError


def edges(converting: int, *, groups: int = 100) -> pd.DataFrame:
    """Journeys of a and of b alone: a converts ``converting`` times in ten (one more in even groups), b once in ten."""
    rows = []
    for group in range(groups):
        more = converting + (group % 2)
        rows += [("a", more, 100, 10 - more, group), ("b", 1, 100, 9, group), ("a > b", 1, 100, 4, group)]
    return edges_from_paths(
        pd.DataFrame(rows, columns=["path", "conversions", "value", "nulls", "replicate"]), separator=">"
    )


def test_each_lookback_gives_the_credit_beyond_its_null_in_points() -> None:
    counts = {7: edges(2), 30: edges(5)}
    found = credit_curve(counts, own=30, channel="a", measure="share", n=50)
    for each in found.tried:
        excess = credit_beyond_null(counts[int(each.choices["lookback_days"])], of="conversions").estimate("a", n=50)
        told = (each.estimate.value, each.estimate.lower, each.estimate.upper)
        assert told == pytest.approx((100 * excess.value, 100 * excess.lower, 100 * excess.upper))
    assert found.reference.choices == {"lookback_days": "30"}
    assert found.reference.estimate.unit == "percentage points"


def test_the_raw_removal_effect_is_held_against_that_of_the_null() -> None:
    found = credit_curve({30: edges(5)}, own=30, channel="a", measure="removal_effect", n=50).reference.estimate
    excess = credit_beyond_null(edges(5), of="conversions")
    assert excess.credit.removal_effect is not None
    assert excess.null.removal_effect is not None
    place = excess.channels.index("a")
    moved = excess.credit.removal_effect[place] - excess.null.removal_effect[place]
    assert found.value == pytest.approx(100 * moved)
    assert found.lower < found.value < found.upper
    share = credit_curve({30: edges(5)}, own=30, channel="a", measure="share", n=50).reference.estimate
    assert found.value != pytest.approx(share.value)


def test_a_lookback_without_the_channel_or_with_few_conversions_has_no_answer() -> None:
    without = edges_from_paths(
        pd.DataFrame([("b", 1, 1, 1, group) for group in range(100)]).set_axis(
            ["path", "conversions", "value", "nulls", "replicate"], axis=1
        ),
        separator=">",
    )
    found = credit_curve({7: without, 14: edges(5, groups=10), 30: edges(5)}, own=30, channel="a", measure="share", n=9)
    assert "no journey has the channel 'a'" in found.unanswered["lookback_days = 7"]
    assert "too few groups of customers" in found.unanswered["lookback_days = 14"]
    with pytest.raises(ModelError, match="no answer under any of 1 definitions"):
        credit_curve({7: without}, own=7, channel="a", measure="share", n=9)


def test_the_leading_channel_of_each_lookback() -> None:
    assert leaders({7: edges(0), 30: edges(5)})[30] == "a"
