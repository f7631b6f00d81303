"""Models of credit on journeys at the edges: all convert, one channel, a thousand, long paths, strange names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from some_paths import of_groups, table

from lcm_research.attribution.channel_sets import sets_from_paths
from lcm_research.attribution.credit import Credit
from lcm_research.attribution.heuristics import (
    heuristic_credit,
    last_non_direct_credit,
    position_credit,
)
from lcm_research.attribution.history_removal import kgram_credit
from lcm_research.attribution.kgrams import kgrams_from_paths
from lcm_research.attribution.paths import touches_from_paths
from lcm_research.attribution.shapley import shapley_credit, shapley_rate
from lcm_research.attribution.shapley_sampled import sampled_shapley_rate
from lcm_research.attribution.weighted import last_non_direct_from_paths
from lcm_research.errors import ModelError

Model = Callable[[pd.DataFrame, str, str], Credit]


def last_non_direct(paths: pd.DataFrame, separator: str, of: str) -> Credit:
    sums = last_non_direct_from_paths(paths, separator=separator, direct_channels=[])
    return last_non_direct_credit(sums, of=of)


MODELS: dict[str, Model] = {
    "linear": lambda p, s, of: heuristic_credit(touches_from_paths(p, separator=s), model="linear", of=of),
    "position": lambda p, s, of: position_credit(touches_from_paths(p, separator=s), first=0.4, last=0.4, of=of),
    "last_non_direct": last_non_direct,
    "order 1": lambda p, s, of: kgram_credit(kgrams_from_paths(p, separator=s, order=1), of=of),
    "order 2": lambda p, s, of: kgram_credit(kgrams_from_paths(p, separator=s, order=2), of=of),
    "shapley": lambda p, s, of: shapley_credit(sets_from_paths(p, separator=s), of=of),
}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@every_model
def test_journeys_that_all_convert_are_shared_out(model: Model) -> None:
    paths = of_groups().assign(nulls=0)
    paths = paths[paths["conversions"] > 0]
    for of, column in (("conversions", "conversions"), ("value", "value")):
        credit = model(paths, ">", of)
        assert credit.credit.sum() == pytest.approx(paths[column].sum())
        lower, upper = credit.interval()
        assert (lower < credit.share).all()
        assert (credit.share < upper).all()


@every_model
def test_journeys_of_which_none_converts_are_refused(model: Model) -> None:
    with pytest.raises(ModelError, match="needs journeys that convert, with a positive total; it is 0"):
        model(table(("a>b", 0, 0, 3)), ">", "conversions")


@every_model
def test_the_only_channel_has_it_all(model: Model) -> None:
    credit = model(of_groups(channels="a"), ">", "value")
    assert credit.share.tolist() == pytest.approx([1])
    assert np.isnan(credit.interval()[0]).all()  # a share of 1 with and without every group


@every_model
def test_names_of_channels_are_left_as_they_are(model: Model) -> None:
    names = ["it's", 'a "b"', "<script>alert(1)</script>", "微信 / 朋友圈", "a;b,c", "a\\x1fb", "'); drop table x --"]
    credit = model(table(("|".join(names), 1, 70, 0), *[(name, 1, 10, 1) for name in names]), "|", "value")
    assert sorted(credit.channels) == sorted(names)
    assert credit.credit.sum() == pytest.approx(140)


@every_model
def test_a_path_of_a_thousand_touches_is_a_path(model: Model) -> None:
    names = list("abc")
    long = ">".join(np.random.default_rng(0).choice(names, 1000))
    credit = model(table((long, 1, 500, 0), ("a", 1, 5, 8)), ">", "value")
    assert credit.credit.sum() == pytest.approx(505)
    assert (credit.credit >= 0).all()


@pytest.mark.parametrize("model", [m for name, m in MODELS.items() if name != "order 2"])
def test_a_thousand_channels_are_shared_among(model: Model) -> None:
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(1000)]
    rows = [(">".join(rng.choice(names, 3)), int(rng.integers(0, 2)), 5, 1) for _ in range(2000)]
    credit = model(table(*rows), ">", "conversions")
    assert len(credit.channels) > 500
    assert credit.credit.sum() == pytest.approx(sum(row[1] for row in rows))


@every_model
def test_a_negative_value_among_positive_ones_is_counted_as_it_is(model: Model) -> None:
    paths = of_groups()
    paths.loc[(paths["path"] == "a") & (paths["conversions"] > 0), "value"] = -50
    assert (paths["value"] < 0).any()
    credit = model(paths, ">", "value")
    assert credit.credit.sum() == pytest.approx(paths["value"].sum())
    with pytest.raises(ModelError, match=r"credit of value needs journeys that convert, .* it is -10"):
        model(table(("a>b", 1, -10, 1)), ">", "value")


def test_a_path_of_a_thousand_touches_has_rates_of_its_set() -> None:
    long = ">".join(np.random.default_rng(0).choice(list("abc"), 1000))
    counts = sets_from_paths(table((long, 1, 500, 0), ("a", 1, 5, 8)), separator=">")
    exact = shapley_rate(counts, of="conversions")
    sampled = sampled_shapley_rate(counts, of="conversions", n_orders=60, rng=np.random.default_rng(1))
    assert exact.value.sum() == pytest.approx(2 / 10)
    assert sampled.value.sum() == pytest.approx(2 / 10)
    assert np.isnan(exact.interval()[0]).all()
    assert np.isnan(sampled.interval()[0]).all()
