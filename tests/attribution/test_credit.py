"""Credit as a result: its intervals, which channels may lead, its table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.attribution.credit import Credit
from lcm_research.attribution.heuristics import heuristic_credit
from lcm_research.attribution.paths import edges_from_paths, touches_from_paths
from lcm_research.attribution.removal import markov_credit
from lcm_research.errors import ModelError
from lcm_research.estimate import jackknife


def paths(n_groups: int = 100, seed: int = 1) -> pd.DataFrame:
    """Journeys of customers in ``n_groups`` groups; search is touched most, kol by three groups only."""
    rng = np.random.default_rng(seed)
    rows = []
    for group in range(n_groups):
        for _ in range(4):
            path = " > ".join(rng.choice(["search", "email", "store"], size=rng.integers(1, 4), p=[0.6, 0.25, 0.15]))
            rows.append((path, int(rng.integers(0, 3)), int(rng.integers(1, 900)), 2, group))
        if group < 3:
            rows.append(("kol", 1, 5, 1, group))
    made = pd.DataFrame(rows, columns=["path", "conversions", "value", "nulls", "replicate"])
    return made.assign(value=made["value"].where(made["conversions"] > 0, 0))


@pytest.fixture(scope="module")
def credit() -> Credit:
    return markov_credit(edges_from_paths(paths(), separator=">"), of="conversions")


@pytest.mark.parametrize("of", ["conversions", "value"])
def test_the_interval_is_the_jackknife_over_groups_of_customers_on_the_logit_scale(of: str) -> None:
    edges = edges_from_paths(paths(), separator=">")
    whole = markov_credit(edges, of=of)
    place = whole.channels.index("email")
    for quantity in ("share", "removal_effect"):
        without = np.array(
            [
                getattr(markov_credit(edges[edges["replicate"] != g], of=of, channels=whole.channels), quantity)[place]
                for g in range(100)
            ]
        )
        by_hand = jackknife(getattr(whole, quantity)[place], without, unit="share", n=400, scale="logit")
        found = whole.estimate("email", n=400, quantity=quantity)
        assert (found.value, found.lower, found.upper) == pytest.approx((by_hand.value, by_hand.lower, by_hand.upper))
        assert found.leave_one_out == pytest.approx(without)
        assert found.n == 400


def test_heuristic_shares_are_left_out_group_by_group() -> None:
    touches = touches_from_paths(paths(), separator=">")
    for model in ("first", "last", "linear"):
        whole = heuristic_credit(touches, model=model, of="value")
        rest = heuristic_credit(
            touches[touches["replicate"] != 7], model=model, of="value", channels=list(whole.channels)
        )
        assert whole.share_without[7] == pytest.approx(rest.share, rel=1e-12)


def test_a_channel_met_by_few_groups_of_customers_has_no_interval(credit: Credit) -> None:
    estimate = credit.estimate("kol", n=3)
    assert estimate.value > 0
    assert np.isnan([estimate.lower, estimate.upper]).all()
    assert credit.n_groups[credit.channels.index("kol")] == 3


def test_with_conversions_in_few_groups_nothing_has_an_interval() -> None:
    few = markov_credit(edges_from_paths(paths(n_groups=19), separator=">"), of="conversions")
    assert np.isnan(np.concatenate(few.interval())).all()
    enough = markov_credit(edges_from_paths(paths(n_groups=30), separator=">"), of="conversions")
    assert np.isfinite(enough.estimate("search", n=30).lower)


def test_with_conversions_in_few_groups_a_removal_effect_has_no_interval_however_many_were_touched() -> None:
    rare = paths()
    rare.loc[rare["replicate"] >= 19, ["conversions", "value"]] = 0
    credit = markov_credit(edges_from_paths(rare, separator=">"), of="conversions")
    assert credit.n_groups[credit.channels.index("search")] == 100
    assert np.isnan(np.concatenate(credit.interval())).all()


def test_a_single_channel_has_all_the_credit_and_no_interval() -> None:
    rows = pd.DataFrame({"path": "a", "conversions": 1, "value": 1, "nulls": 1, "replicate": range(100)})
    alone = markov_credit(edges_from_paths(rows, separator=">"), of="conversions")
    assert alone.share == pytest.approx([1])
    assert np.isnan(alone.interval()[0]).all()
    assert alone.leading() == ("a",)


def test_channels_that_the_data_do_not_separate_may_all_lead(credit: Credit) -> None:
    assert credit.leading() == ("search",)
    even = pd.DataFrame(
        [(channel, 1 + (g + i) % 2, 1, 1, g) for g in range(100) for i, channel in enumerate(["a", "b", "c > c"])],
        columns=["path", "conversions", "value", "nulls", "replicate"],
    )
    tied = markov_credit(edges_from_paths(even, separator=">"), of="conversions")
    assert set(tied.leading()) == {"a", "b", "c"}


def test_the_table_has_the_most_credited_first_and_credit_is_share_times_total(credit: Credit) -> None:
    table = credit.table()
    assert table["share"].is_monotonic_decreasing
    assert table["credit"].sum() == pytest.approx(credit.total)
    assert (table["credit_upper"] / table["upper"]).dropna().to_numpy() == pytest.approx(credit.total)
    ordered = table.dropna()
    assert ((ordered["lower"] < ordered["share"]) & (ordered["share"] < ordered["upper"])).all()
    effects = ordered[["removal_effect_lower", "removal_effect", "removal_effect_upper"]]
    assert (effects.diff(axis=1).iloc[:, 1:] > 0).all(axis=None)


def test_removal_effects_of_a_heuristic_are_refused() -> None:
    linear = heuristic_credit(touches_from_paths(paths(), separator=">"), model="linear", of="value")
    with pytest.raises(ModelError, match="model 'linear' has no removal effects; ask for 'share'"):
        linear.estimate("search", n=10, quantity="removal_effect")


def test_a_channel_that_is_not_there_is_refused(credit: Credit) -> None:
    with pytest.raises(ModelError, match=r"no journey has the channel 'serach'; did you mean 'search'\?"):
        credit.estimate("serach", n=10)
