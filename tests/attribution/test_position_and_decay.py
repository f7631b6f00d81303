"""Rules with a choice in them: position, last non-direct, time decay; by hand, and touch by touch."""

from __future__ import annotations

from collections import defaultdict

import ibis.backends.sql.compilers as compilers
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journey_oracle import DAY_US, journeys, tables
from some_paths import CHANNELS, path_tables, renamed, split, table

from lcm_research.attribution.credit import Credit
from lcm_research.attribution.heuristics import (
    heuristic_credit,
    last_non_direct_credit,
    position_credit,
    time_decay_credit,
)
from lcm_research.attribution.paths import touches_from_paths
from lcm_research.attribution.weighted import decay_sums, last_non_direct_from_paths, last_non_direct_sums
from lcm_research.errors import ModelError

CHOICES = {
    "lookback_days": 10,
    "touch_types": ["click"],
    "observation_start_day": 10,
    "as_of_day": 90,
    "collapse_repeats": False,
}


def named(credit: Credit) -> dict[str, float]:
    return dict(zip(credit.channels, credit.credit.tolist(), strict=True))


def by_position(paths: pd.DataFrame, first: float, last: float, of: str = "conversions") -> dict[str, float]:
    return named(position_credit(touches_from_paths(paths, separator=">"), first=first, last=last, of=of))


def test_position_worked_by_hand() -> None:
    # a > b > c > d: 0.4, then 0.2 halved, then 0.4
    assert by_position(table(("a>b>c>d", 1, 100, 3)), 0.4, 0.4) == pytest.approx(
        {"a": 0.4, "b": 0.1, "c": 0.1, "d": 0.4}
    )
    # two touches: 0.3 and 0.1 scaled to 3/4 and 1/4; one touch: everything
    paths = table(("a>b", 1, 80, 0), ("c", 2, 10, 0))
    assert by_position(paths, 0.3, 0.1) == pytest.approx({"a": 0.75, "b": 0.25, "c": 2})
    assert by_position(paths, 0.3, 0.1, "value") == pytest.approx({"a": 60, "b": 20, "c": 10})
    # nothing to the ends: of two touches each has half
    assert by_position(table(("a>b", 1, 1, 0), ("a>c>b", 1, 1, 0)), 0, 0) == pytest.approx({"a": 0.5, "b": 0.5, "c": 1})


@settings(max_examples=25, deadline=None)
@given(paths=path_tables, first=st.floats(0, 1), part=st.floats(0, 1))
def test_position_credit_sums_to_the_total_whatever_the_weights(paths: pd.DataFrame, first: float, part: float) -> None:
    touches = touches_from_paths(paths, separator=">")
    for of, column in (("conversions", "conversions"), ("value", "value")):
        credit = position_credit(touches, first=first, last=(1 - first) * part, of=of)
        assert credit.total == paths[column].sum()
        assert credit.credit.sum() == pytest.approx(credit.total, rel=1e-12)
        assert (credit.credit >= 0).all()


@settings(max_examples=20, deadline=None)
@given(paths=path_tables)
def test_all_weight_on_one_end_is_first_or_last_touch(paths: pd.DataFrame) -> None:
    touches = touches_from_paths(paths, separator=">")
    for model, first in (("first", 1.0), ("last", 0.0)):
        found = position_credit(touches, first=first, last=1 - first, of="value")
        assert found.share == pytest.approx(heuristic_credit(touches, model=model, of="value").share, abs=1e-14)


@settings(max_examples=20, deadline=None)
@given(paths=path_tables, order=st.permutations(CHANNELS))
def test_names_and_rows_do_not_matter_to_the_rules(paths: pd.DataFrame, order: list[str]) -> None:
    names = dict(zip(CHANNELS, order, strict=True))

    def rules(table: pd.DataFrame, direct: str) -> list[dict[str, float]]:
        touches = touches_from_paths(table, separator=">")
        last = last_non_direct_from_paths(table, separator=">", direct_channels=[direct])
        return [
            named(position_credit(touches, first=0.5, last=0.2, of="value")),
            named(last_non_direct_credit(last, of="value")),
        ]

    direct = paths["path"].iloc[0].split(">")[0]
    plain, other = rules(paths, direct), rules(renamed(paths, names), names[direct])
    for found, again in zip(plain, other, strict=True):
        assert {names[c]: v for c, v in found.items()} == pytest.approx(again)
    for found, again in zip(plain, rules(split(paths), direct), strict=True):
        assert found == pytest.approx(again)


@pytest.mark.parametrize(("first", "last"), [(-0.1, 0.5), (0.6, 0.5), (float("nan"), 0.1)])
def test_weights_that_are_no_shares_are_refused(first: float, last: float) -> None:
    touches = touches_from_paths(table(("a", 1, 1, 0)), separator=">")
    with pytest.raises(ModelError, match=f"together at most 1; came first={first:g}, last={last:g}"):
        position_credit(touches, first=first, last=last, of="value")


def test_last_non_direct_from_paths_worked_by_hand() -> None:
    # email > d > d goes to email; d alone stays with d; search > d > email goes to email
    paths = table(("email>d>d", 2, 50, 1), ("d", 1, 7, 0), ("search>d>email", 1, 5, 0), ("search", 0, 0, 3))
    sums = last_non_direct_from_paths(paths, separator=">", direct_channels=["d"])
    assert named(last_non_direct_credit(sums, of="conversions")) == {"d": 1, "email": 3}
    assert named(last_non_direct_credit(sums, of="value")) == {"d": 7, "email": 55}
    # where all are direct, the last of them
    only = last_non_direct_from_paths(table(("d>t", 1, 5, 0)), separator=">", direct_channels=["d", "t"])
    assert only["channel"].tolist() == ["t"]
    with pytest.raises(ModelError, match="no path holds the direct channel 'mail'; did you mean 'email'"):
        last_non_direct_from_paths(paths, separator=">", direct_channels=["mail"])


def test_decay_worked_by_hand() -> None:
    # bought on day 40; touches 8, 4 and 0 days before: weights 1/4, 1/2, 1 with a half-life of 4 days, 7/4 in all
    study = tables([("a", 32, "x"), ("a", 36, "y"), ("a", 40, "z")], [("a", 40.5, 7000)])
    sums = decay_sums.execute(study, **CHOICES, half_life_days=4)
    assert named(time_decay_credit(sums, of="value")) == pytest.approx({"x": 1000, "y": 2000, "z": 4000}, abs=1)
    assert named(time_decay_credit(sums, of="conversions")) == pytest.approx(
        {"x": 1 / 7, "y": 2 / 7, "z": 4 / 7}, abs=2e-9
    )
    assert sums["value_minor"].sum() == 7000
    assert sums["n_billionths"].sum() == 10**9
    assert time_decay_credit(sums, of="conversions").total == 1


def test_of_touches_made_one_the_first_counts() -> None:
    # x twice, then y: x of day 32 weighs 1/4, y 1; together 5/4
    study = tables([("a", 32, "x"), ("a", 36, "x"), ("a", 40, "y")], [("a", 40.5, 5000)])
    sums = decay_sums.execute(study, **CHOICES | {"collapse_repeats": True}, half_life_days=4)
    assert named(time_decay_credit(sums, of="value")) == pytest.approx({"x": 1000, "y": 4000}, abs=1)
    assert sums["n_billionths"].sum() == 10**9


def test_a_very_long_half_life_is_linear() -> None:
    study = tables([("a", 32, "x"), ("a", 36, "y"), ("a", 40, "y")], [("a", 40.5, 9000)])
    sums = decay_sums.execute(study, **CHOICES, half_life_days=1e9)
    assert named(time_decay_credit(sums, of="value")) == pytest.approx({"x": 3000, "y": 6000}, abs=1)


def test_a_half_life_of_less_than_a_thirty_second_of_the_lookback_is_refused() -> None:
    study = tables([("a", 32, "x")], [("a", 40, 7000)])
    for half_life in (0.3, 0.0, float("nan")):
        with pytest.raises(ModelError, match=f"half_life_days={half_life:g} is not a number of at least 0.312"):
            decay_sums.execute(study, **CHOICES, half_life_days=half_life)


touch = st.tuples(
    st.sampled_from("abc"),
    st.integers(0, 200).map(lambda half_days: half_days / 2),
    st.sampled_from(["search", "search", "email", "direct"]),
    st.sampled_from(["click", "click", "click", "impression"]),
)
purchase = st.tuples(
    st.sampled_from("abc"), st.integers(0, 200).map(lambda half_days: half_days / 2), st.integers(0, 5000)
)


@settings(max_examples=12, deadline=None)
@given(
    touches=st.lists(touch, max_size=50),
    purchases=st.lists(purchase, max_size=12),
    collapse=st.booleans(),
    lookback=st.integers(1, 40),
    half_life=st.floats(2, 50),
)
def test_sums_are_those_of_journeys_made_one_touch_at_a_time(
    touches: list, purchases: list, collapse: bool, lookback: int, half_life: float
) -> None:
    study = tables(touches, purchases, replicates={"a": 3, "b": 97, "c": 3})
    frames = {name: study[name].to_pandas() for name in study}
    choices = CHOICES | {"collapse_repeats": collapse, "lookback_days": lookback}
    replicate = dict(frames["customers"][["customer_id", "replicate"]].to_numpy().tolist())
    decay: dict = defaultdict(lambda: [0.0, 0.0])
    last: dict = defaultdict(lambda: [0, 0])
    bought = 0
    for journey in journeys(frames["touchpoints"], frames["transactions"], choices):
        if journey.status(choices) != "used" or journey.value is None:
            continue
        bought += 1
        pairs = [
            (c, day)
            for i, (c, day) in enumerate(zip(journey.channels, journey.days, strict=True))
            if not (collapse and i and c == journey.channels[i - 1])
        ]
        weights = [2 ** (-(journey.key[1] // DAY_US - day) / half_life) for _, day in pairs]
        group = replicate[journey.customer]
        for (channel, _), weight in zip(pairs, weights, strict=True):
            decay[channel, group][0] += weight / sum(weights)
            decay[channel, group][1] += weight / sum(weights) * journey.value
        chosen = [c for c, _ in pairs if c != "direct"] or ["direct"]
        last[chosen[-1], group][0] += 1
        last[chosen[-1], group][1] += journey.value

    sums = decay_sums.execute(study, **choices, half_life_days=half_life)
    assert sums["n_billionths"].sum() == bought * 10**9
    assert sums["value_minor"].sum() == sum(value for _, value in last.values())
    found = {(r.channel, r.replicate): (r.n_billionths / 1e9, r.value_minor) for r in sums.itertuples()}
    assert found.keys() == decay.keys()
    for key, (n, value) in decay.items():
        assert found[key][0] == pytest.approx(n, rel=1e-3, abs=1e-6)
        assert found[key][1] == pytest.approx(value, rel=1e-3, abs=len(touches))
    counted = last_non_direct_sums.execute(study, **choices, direct_channels=["direct"])
    assert {(r.channel, r.replicate): [r.n, r.value_minor] for r in counted.itertuples()} == dict(last)


def test_journeys_that_were_not_seen_whole_are_left_out() -> None:
    # observed from day 10 with a lookback of 10 days: what came before a touch on day 15 is not known
    study = tables([("a", 15, "x"), ("b", 32, "y")], [("a", 18, 900), ("b", 40, 7000)])
    assert decay_sums.execute(study, **CHOICES, half_life_days=4)["value_minor"].tolist() == [7000]
    assert last_non_direct_sums.execute(study, **CHOICES, direct_channels=["z"])["value_minor"].tolist() == [7000]


def test_without_direct_channels_the_last_touch_has_it_all() -> None:
    study = tables([("a", 32, "x"), ("a", 36, "y")], [("a", 40, 7000)])
    counted = last_non_direct_sums.execute(study, **CHOICES, direct_channels=[])
    assert counted[["channel", "n", "value_minor"]].to_numpy().tolist() == [["y", 1, 7000]]


def test_the_reductions_compile_for_spark() -> None:
    study = tables([("a", 32, "x")], [("a", 40, 7000)])
    for expression in (
        decay_sums(study, **CHOICES, half_life_days=4),
        last_non_direct_sums(study, **CHOICES, direct_channels=["x"]),
    ):
        assert compilers.PySparkCompiler().to_sqlglot(expression.unbind()).sql("spark")
