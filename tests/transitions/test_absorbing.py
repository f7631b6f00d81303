"""Times and probabilities of a chain that ends: Pfeifer and Carraway's case, clocks, horizons, and intervals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.errors import ModelError
from lcm_research.stages.moves import Moves
from lcm_research.transitions.absorbing import first_passage, reaching, time_in_stages, time_to
from lcm_research.transitions.fundamental import absorption_variance, fundamental_matrix, reach_probability
from lcm_research.transitions.recency import recency_chain, stage_chain
from lcm_research.transitions.sensitivity import elasticities, outcome_after_change, reweighted, time_outcome
from lcm_research.transitions.value import (
    lifetime_value,
    present_value,
    rate_per_period,
    rewards_by_state,
    value_of_transition,
)

STAGES = ["active", "dormant", "churned"]

# A customer who has been silent for 0, 1, 2, ... whole periods buys in the next with these chances; after the sixth
# silent period the customer is churned. Active: silent for at most 1, dormant: 2 to 5.
BUYS = np.array([0.45, 0.30, 0.20, 0.15, 0.10, 0.05])


def truth() -> np.ndarray:
    """Transition matrix of the silent periods themselves, churned last: a Markov chain by construction."""
    P = np.zeros((7, 7))
    P[:6, 0] = BUYS
    P[np.arange(6), np.arange(1, 7)] = 1 - BUYS
    P[6, 6] = 1.0
    return P


def stage_of(silent: int) -> str:
    return "active" if silent <= 1 else "dormant" if silent <= 5 else "churned"


def followed(n_periods: int) -> pd.DataFrame:
    """Expected moves of a million newcomers followed for some periods, spread evenly over the groups of customers."""
    P, there = truth(), np.zeros(7)
    there[0] = 10_000.0
    total = np.zeros((7, 7))
    for _ in range(n_periods):
        total += there[:, None] * P
        there = there @ P
    rows = [
        (stage_of(i), i if i < 6 else 0, stage_of(j), j if j < 6 else 0, group, total[i, j])
        for i, j in np.argwhere(total > 0)
        for group in range(100)
    ]
    return pd.DataFrame(rows, columns=["from_stage", "from_silent", "to_stage", "to_silent", "replicate", "n"])


def by_group(rows: dict[tuple[str, str], float], rng: np.random.Generator | None = None) -> pd.DataFrame:
    """Moves between stages, the same (or Poisson about the same) in each of the 100 groups."""
    made = []
    for (a, b), n in rows.items():
        made += [(a, b, g, n if rng is None else int(rng.poisson(n))) for g in range(100)]
    return pd.DataFrame(made, columns=["from_stage", "to_stage", "replicate", "n"])


# -- Pfeifer and Carraway (2000) --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def case(reference: Path) -> tuple[dict, pd.Series]:
    told = json.loads((reference / "survival" / "pfeifer_carraway.json").read_text())
    numbers = pd.read_csv(reference / "survival" / "numbers.csv")
    numbers = numbers[numbers["case"] == "pfeifer_carraway"]
    return told, numbers.set_index("quantity")["expected"].astype(float)


def test_pfeifer_and_carraways_times_and_values(case, record_property) -> None:
    told, expected = case
    P, reward = np.array(told["P"]), np.array(told["reward"])
    final = np.arange(5) == 4
    times = fundamental_matrix(P, final, horizon_periods=None).sum(axis=1)
    spread = absorption_variance(P, final)
    endless, four = (
        present_value(P, reward, rate=told["discount"], horizon_periods=h, include_now=True) for h in (None, told["M"])
    )
    found = {f"V_inf[{k + 1}]": endless[k] for k in range(5)} | {f"V_T4[{k + 1}]": four[k] for k in range(5)}
    for k in range(4):
        found[f"mean absorption time from {k + 1}"] = found[f"expected periods before absorption from {k + 1}"] = times[
            k
        ]
        found[f"variance of absorption time from {k + 1}"] = spread[k]
    assert set(found) == set(expected.index)
    worst = 0.0
    for name, value in found.items():
        assert value == pytest.approx(expected[name], rel=1e-9, abs=1e-12), name
        if expected[name]:
            worst = max(worst, abs(value / expected[name] - 1))
    record_property("deviation", f"pfeifer_carraway: {len(found)} numbers, {worst:.1e}")


def test_their_values_come_out_of_counts_with_intervals(case) -> None:
    told, expected = case
    names = ["r1", "r2", "r3", "r4", "former"]
    P = np.array(told["P"])
    counts = by_group({(names[i], names[j]): 100 * P[i, j] for i, j in np.argwhere(P > 0)}, np.random.default_rng(1))
    chain = stage_chain(counts, stages=names, moves=None)
    found = lifetime_value(
        chain,
        rewards=dict(zip(names, told["reward"], strict=True)),
        discount_rate_yearly=told["discount"],
        periods_per_year=1,
        horizon_periods=None,
        include_now=True,
        start="stock",
        unit="USD",
    )
    for k, name in enumerate(names):
        value = expected[f"V_inf[{k + 1}]"]
        assert found[name].lower <= value <= found[name].upper
        assert name == "former" or found[name].upper - found[name].lower < 1.5


# -- the clock --------------------------------------------------------------------------------------------------------


def test_without_recency_states_months_to_churn_come_out_wrong() -> None:
    true = fundamental_matrix(truth(), np.arange(7) == 6, horizon_periods=None).sum(axis=1)[0]
    counts = followed(9)  # newcomers who could be watched for nine periods
    split = time_to(
        recency_chain(counts, stages=STAGES, min_moves=1), target="churned", horizon_periods=None, start="entry"
    )
    stages_alone = time_to(
        stage_chain(counts, stages=STAGES, moves=None), target="churned", horizon_periods=None, start="entry"
    )
    assert true == pytest.approx(12.24, abs=0.01)
    assert split.estimates["active"].value == pytest.approx(true)
    assert stages_alone.estimates["active"].value > 1.1 * true


def test_within_a_horizon_stages_alone_are_wrong_too_and_recency_states_exact() -> None:
    counts = followed(400)  # everybody watched to the end: the mean is right by flow alone, but not its distribution
    split, alone = recency_chain(counts, stages=STAGES, min_moves=1), stage_chain(counts, stages=STAGES, moves=None)
    P = np.linalg.matrix_power(truth(), 6)
    by_six = [
        first_passage(c, origin="active", target="churned", horizon_periods=6, start="entry") for c in (split, alone)
    ]
    # six silent periods at the earliest: whoever enters cannot have churned before, but for stages alone can
    assert by_six[0]["cumulative"].tolist()[:5] == [0.0] * 5
    assert by_six[0]["cumulative"].iloc[-1] == pytest.approx(P[0, 6])
    assert by_six[1]["cumulative"].iloc[2] > 0.01


def test_a_scheme_with_a_clock_is_refused_without_recency_states() -> None:
    clock = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    moves = Moves(stages=tuple(STAGES), possible=np.ones((3, 3), dtype=bool), clock=clock, purchase=clock.T)
    counts = by_group({("active", "dormant"): 1, ("dormant", "churned"): 1})
    with pytest.raises(ModelError, match=r"leave active, dormant by the clock.*use recency_chain"):
        stage_chain(counts, stages=STAGES, moves=moves)


def test_states_that_are_rarely_left_are_pooled_within_their_stage() -> None:
    counts = followed(9)
    left = counts.groupby(["from_stage", "from_silent"])["n"].sum()
    chain = recency_chain(counts, stages=["prospect", *STAGES], min_moves=int(left[("dormant", 5)]))
    assert chain.states == ("active 0", "active 1", "dormant 2", "dormant 3", "dormant 4", "dormant 5", "churned")
    assert recency_chain(counts, stages=STAGES, min_moves=int(left[("dormant", 5)]) + 1).states[-2] == "dormant 4-5"
    assert chain.unvisited == ("prospect",)
    assert chain.grouped.sum() == pytest.approx(counts["n"].sum())


# -- worked by hand ---------------------------------------------------------------------------------------------------


def simple() -> pd.DataFrame:
    # active: 6 stay, 3 pause, 1 leaves; paused: 2 return, 6 stay, 2 leave
    return by_group(
        {("a", "a"): 6, ("a", "p"): 3, ("a", "x"): 1, ("p", "a"): 2, ("p", "p"): 6, ("p", "x"): 2, ("x", "x"): 5}
    )


def test_times_and_probabilities_by_hand() -> None:
    chain = stage_chain(simple(), stages=["a", "p", "x"], moves=None)
    # t_a = 1 + .6 t_a + .3 t_p, t_p = 1 + .2 t_a + .6 t_p: determinant .4 * .4 - .06 = .1, so 7 and 6 periods
    whole = time_to(chain, target="x", horizon_periods=None, start="stock")
    assert [whole.estimates[s].value for s in "ap"] == pytest.approx([7.0, 6.0])
    # within two periods: 1 + .9 and 1 + .8
    two = time_to(chain, target="x", horizon_periods=2, start="stock")
    assert [two.estimates[s].value for s in "ap"] == pytest.approx([1.9, 1.8])
    parts = time_in_stages(chain, target="x", horizon_periods=None, start="stock")
    # N = [[.4, .3], [.2, .4]] / .1
    assert [parts[s].estimates["a"].value for s in "ap"] == pytest.approx([4.0, 3.0])
    # back to a from p before leaving: .2 / (1 - .6); within one period .2
    back = reaching(chain, target="a", horizon_periods=None, start="stock", before=["x"])
    assert back.estimates["p"].value == pytest.approx(0.5)
    # to x from a without a pause before: .1 / (1 - .6)
    straight = reaching(chain, target="x", horizon_periods=None, start="stock", before=["p"])
    assert straight.estimates["a"].value == pytest.approx(0.25)
    assert reaching(chain, target="a", horizon_periods=1, start="stock").estimates["p"].value == pytest.approx(0.2)
    passage = first_passage(chain, origin="a", target="x", horizon_periods=2, start="stock")
    # .1 in the first; .6 * .1 + .3 * .2 in the second
    assert passage["probability"].tolist() == pytest.approx([0.1, 0.12])


def test_the_longer_the_horizon_the_nearer_to_no_horizon() -> None:
    chain = stage_chain(simple(), stages=["a", "p", "x"], moves=None)
    times = [time_to(chain, target="x", horizon_periods=k, start="stock").estimates["a"].value for k in (5, 20, 200)]
    assert times[0] < times[1] < times[2] == pytest.approx(7.0)


def test_an_outcome_that_may_never_come_has_a_reason_without_a_horizon() -> None:
    rows = {("a", "a"): 5, ("a", "x"): 1, ("a", "y"): 1, ("x", "x"): 3, ("y", "y"): 3}
    chain = stage_chain(by_group(rows), stages=["a", "x", "y"], moves=None)
    found = time_to(chain, target="x", horizon_periods=None, start="stock")
    assert not found.estimates
    assert "not everybody from here ever arrives in 'x': ask for a horizon" in found.reasons["a"]
    ever = reaching(chain, target="x", horizon_periods=None, start="stock")
    assert ever.estimates["a"].value == pytest.approx(0.5)
    assert ever.reasons["y"] == "never happens from here"
    assert ever.table()["reason"].tolist() == ["", "never happens from here"]


def test_intervals_cover_the_truth_as_often_as_they_promise() -> None:
    rng, covered = np.random.default_rng(6), 0
    expected = reach_probability(truth(), np.arange(7) == 6, horizon_periods=12)[0]
    for _ in range(80):
        rows, silent = [], np.zeros(500, int)
        for _ in range(12):
            buys = rng.random(500) < np.append(BUYS, 0.0)[silent]
            after = np.where(silent == 6, 6, np.where(buys, 0, silent + 1))
            rows.append(pd.DataFrame({"i": silent, "j": after, "replicate": np.arange(500) % 100}))
            silent = after
        moved = pd.concat(rows).value_counts().rename("n").reset_index()
        for end, place in (("from", "i"), ("to", "j")):
            moved[f"{end}_stage"] = moved[place].map(stage_of)
            moved[f"{end}_silent"] = moved[place] % 6
        chain = recency_chain(moved, stages=STAGES, min_moves=20)
        found = reaching(chain, target="churned", horizon_periods=12, start="entry").estimates["active"]
        covered += found.lower <= expected <= found.upper
    assert covered >= 69  # 76 expected; binomial(80, .95) is below in 1 of 1,000 runs


# -- which transition matters -----------------------------------------------------------------------------------------


def test_an_elasticity_is_the_slope_of_the_outcome_with_the_others_giving_way() -> None:
    chain = stage_chain(simple(), stages=["a", "p", "x"], moves=None)
    outcome, final = time_outcome(chain, target="x", horizon_periods=None)
    found = elasticities(chain, outcome, final=final, origin="a", start="stock").set_index(["from", "to"])

    def time(pp: float) -> float:  # p stays with pp; its moves to a and x share the rest equally
        pa = (1 - pp) / 2
        return ((1 - pp) + 0.3) / (0.4 * (1 - pp) - 0.3 * pa)

    slope = (time(0.6 + 1e-6) - time(0.6 - 1e-6)) / 2e-6
    assert found.loc[("p", "p"), "elasticity"] == pytest.approx(slope * 0.6 / 7.0, rel=1e-6)
    assert found.loc[("p", "p"), "change_per_point"] == pytest.approx(slope / 100, rel=1e-6)
    changed = outcome_after_change(
        chain, outcome, final=final, origin="a", start="stock", move=("p", "p"), factor=0.5, unit="periods"
    )
    assert changed.value == pytest.approx(time(0.3) - 7.0)
    assert changed.lower == pytest.approx(changed.upper)  # every group of customers is the same here


def test_elasticities_have_intervals_and_mark_the_clock() -> None:
    chain = recency_chain(followed(12), stages=STAGES, min_moves=1)
    outcome, final = time_outcome(chain, target="churned", horizon_periods=24)
    clock = [("dormant", "churned")]
    found = elasticities(chain, outcome, final=final, origin="active", start="entry", clock=clock)
    assert found.set_index(["from", "to"])["clock"].to_dict()[("dormant", "churned")]
    assert (found["elasticity"].abs().diff().dropna() <= 0).all()
    assert found.set_index(["from", "to"]).loc[("dormant", "active"), "elasticity"] > 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), min_size=4, max_size=4), st.floats(0.1, 1.2))
def test_rows_still_sum_to_one_when_a_move_changes(rows, factor) -> None:
    P = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    leave, enter = np.arange(4) == 1, np.arange(4) == 2
    if P[1, 2] * factor > 1:
        return
    changed = reweighted(P, leave, enter, factor)
    np.testing.assert_allclose(changed.sum(axis=1), 1.0)
    assert changed[1, 2] == pytest.approx(P[1, 2] * factor)
    np.testing.assert_allclose(changed[[0, 2, 3]], P[[0, 2, 3]])


# -- value ------------------------------------------------------------------------------------------------------------


def test_a_yearly_rate_is_twelve_monthly_ones() -> None:
    assert (1 + rate_per_period(0.12, periods_per_year=12)) ** 12 == pytest.approx(1.12)


def test_value_by_hand_and_what_a_point_of_a_transition_is_worth() -> None:
    chain = stage_chain(simple(), stages=["a", "p", "x"], moves=None)
    terms = {"rewards": {"a": 10.0, "p": 0.0, "x": 0.0}, "discount_rate_yearly": 0.25, "periods_per_year": 1}
    found = lifetime_value(chain, **terms, horizon_periods=2, include_now=False, start="stock", unit="CNY")
    # from a: .6 * 10 / 1.25 next; then (.6 * .6 + .3 * .2) * 10 / 1.5625
    assert found["a"].value == pytest.approx(4.8 + 0.42 * 10 / 1.5625)
    assert found["x"].value == 0.0
    # p goes back to a 10 points more often: .3, and staying and leaving share the other .7 as 3 to 1
    more = value_of_transition(
        chain, move=("p", "a"), points=10, origin="p", **terms, horizon_periods=1, start="stock", unit="CNY"
    )
    assert more.value == pytest.approx((0.3 - 0.2) * 10 / 1.25)


def test_rewards_are_what_was_spent_over_the_periods_that_ended_there() -> None:
    counts = followed(9)
    chain = recency_chain(counts, stages=STAGES, min_moves=1)
    arrived = counts[(counts["to_stage"] == "active") & (counts["to_silent"] == 0)]["n"].sum()
    spend = pd.DataFrame(
        {"stage": "active", "silent": 0, "currency": "CNY", "replicate": range(100), "amount_minor": arrived * 25 / 100}
    )
    amount, periods = rewards_by_state(spend, chain, currency="CNY")
    reward = amount.sum(axis=0) / np.maximum(periods.sum(axis=0), 1)
    assert dict(zip(chain.states, reward, strict=True))["active 0"] == pytest.approx(0.25)  # 25 fen a period
    assert reward[1:].tolist() == [0.0] * 6
    with pytest.raises(ModelError, match="nothing was spent in currency 'USD'; the spending is in CNY"):
        rewards_by_state(spend, chain, currency="USD")


# -- laws and refusals ------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=6, max_size=6), st.permutations([0, 1, 2]))
def test_the_order_in_which_stages_are_named_changes_nothing(cells, order) -> None:
    names = ["a", "p", "x"]
    rows = dict(zip([(s, t) for s in "ap" for t in "apx"], cells, strict=True))
    first = time_to(stage_chain(by_group(rows), stages=names, moves=None), target="x", horizon_periods=9, start="stock")
    again = stage_chain(by_group(rows), stages=[names[k] for k in order], moves=None)
    second = time_to(again, target="x", horizon_periods=9, start="stock")
    for stage in "ap":
        assert first.estimates[stage].value == pytest.approx(second.estimates[stage].value)


def test_bad_input_is_refused_or_says_why() -> None:
    chain = stage_chain(simple(), stages=["a", "p", "x", "never"], moves=None)
    with pytest.raises(ModelError, match="nobody was in stage 'never'"):
        time_to(chain, target="never", horizon_periods=3, start="stock")
    with pytest.raises(ModelError, match="no stage is named 'loyal'; the stages are a, p, x"):
        time_to(chain, target="loyal", horizon_periods=3, start="stock")
    with pytest.raises(ModelError, match="horizon_periods=0 is no horizon"):
        time_to(chain, target="x", horizon_periods=0, start="stock")
    few = pd.concat([simple().query("to_stage != 'x'"), by_group({("a", "x"): 1}).query("replicate < 5")])
    with pytest.raises(ModelError, match="arrivals in 'x' were seen in 5 groups of customers, fewer than 20"):
        time_to(stage_chain(few, stages=["a", "p", "x"], moves=None), target="x", horizon_periods=3, start="stock")
    entered = pd.concat([simple().query("from_stage != 'p'")])
    with pytest.raises(ModelError, match="state 'p' was entered but never seen being left"):
        time_to(stage_chain(entered, stages=["a", "p", "x"], moves=None), target="x", horizon_periods=3, start="stock")
    with pytest.raises(ModelError, match="needs counted moves; came none"):
        stage_chain(simple().assign(n=0), stages=["a", "p", "x"], moves=None)
    with pytest.raises(ModelError, match="takes no time"):
        first_passage(chain, origin="x", target="x", horizon_periods=3, start="stock")
    with pytest.raises(ModelError, match="discount rate above 0; came 0"):
        present_value(np.eye(1), np.ones(1), rate=0.0, horizon_periods=None, include_now=True)
    with pytest.raises(ModelError, match="exactly the states a, p, x; see 'p'"):
        lifetime_value(
            chain,
            rewards={"a": 1.0, "x": 0.0},
            discount_rate_yearly=0.1,
            periods_per_year=12,
            horizon_periods=3,
            include_now=True,
            start="stock",
            unit="CNY",
        )
    with pytest.raises(ModelError, match=r"a probability of 0.6 times 2 is above 1; choose a factor up to 1.67"):
        reweighted(np.array([[0.6, 0.4], [0, 1]]), np.array([True, False]), np.array([True, False]), 2.0)


def test_an_absorbing_stage_without_exits_ends_the_story_by_itself() -> None:
    rows = {("a", "a"): 6, ("a", "x"): 4}
    chain = stage_chain(by_group(rows), stages=["a", "x"], moves=None)  # nobody was seen in x before a later period
    assert time_to(chain, target="x", horizon_periods=None, start="stock").estimates["a"].value == pytest.approx(2.5)
