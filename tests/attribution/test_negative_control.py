"""The negative control: by hand, laws, and what it cannot test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from simulated_credit import Truth, simulate

from lcm_research.attribution.negative_control import negative_control_test
from lcm_research.errors import ModelError


def from_ends(*rows: tuple) -> pd.DataFrame:
    columns = ["stratum", "history", "replicate", "n", "n_control"]
    return pd.DataFrame(list(rows), columns=columns).assign(n_conversions=0, value_minor=0)


def test_control_worked_by_hand() -> None:
    # lively: 5 of 10 had bought, so 4 of those that end with a and 1 of b's; quiet: 1 of 10: .1 and .9
    control = negative_control_test(
        from_ends(("lively", "a", 0, 8, 5), ("lively", "b", 0, 2, 0), ("quiet", "a", 0, 1, 1), ("quiet", "b", 0, 9, 0))
    )
    assert control.n_control == 6
    assert control.share == pytest.approx([1, 0])
    assert control.expected == pytest.approx([4.1 / 6, 1.9 / 6])
    assert control.difference.sum() == pytest.approx(0, abs=1e-15)
    # one group of customers only: no test
    assert control.test.reason == "few_groups"
    assert not control.not_separated(level=0.95)
    assert control.table()["channel"].tolist() == ["a", "b"]


def test_leaving_a_group_out_is_the_control_of_the_others() -> None:
    ends = simulate(Truth(n_customers=400), np.random.default_rng(1)).ends()
    control = negative_control_test(ends)
    alone = negative_control_test(ends[ends["replicate"] != 7])
    assert control.share_without[7] == pytest.approx(alone.difference, abs=1e-14)


def test_activity_that_strata_do_not_know_is_found() -> None:
    made = simulate(Truth(), np.random.default_rng(2))
    unseen, seen = (negative_control_test(made.ends(by_activity=known)) for known in (False, True))
    assert unseen.not_separated(level=0.95)
    assert unseen.test.p_value < 1e-6
    # lively people are where channel a is
    assert unseen.table()["channel"][0] == "a"
    assert not seen.not_separated(level=0.95)
    assert seen.test.degrees_of_freedom == (4, 96)


def test_a_control_that_strata_know_cannot_be_tested_and_is_not_rejected() -> None:
    ends = simulate(Truth(), np.random.default_rng(3)).ends()
    known = pd.concat(
        [
            ends.assign(stratum=ends["stratum"] + " bought", n=ends["n_control"], n_conversions=0),
            ends.assign(n=ends["n"] - ends["n_control"], n_control=0, n_conversions=0),
        ]
    )
    control = negative_control_test(known)
    assert control.test.reason == "nothing_varies"
    assert not control.not_separated(level=0.95)


def test_names_and_order_of_rows_do_not_matter() -> None:
    ends = simulate(Truth(n_customers=400), np.random.default_rng(4)).ends()
    other = ends.assign(stratum=ends["stratum"].map(lambda name: name[::-1])).sample(frac=1, random_state=1)
    one, again = negative_control_test(ends), negative_control_test(other)
    assert again.test.p_value == pytest.approx(one.test.p_value, rel=1e-6)


def test_ends_without_a_control_are_refused() -> None:
    ends = from_ends(("x", "a", 0, 4, 0))
    with pytest.raises(ModelError, match=r"needs ends with the column 'n_control' .* came stratum, history"):
        negative_control_test(ends.drop(columns="n_control"))
    with pytest.raises(ModelError, match="had bought before; came none"):
        negative_control_test(ends)
    with pytest.raises(ModelError, match="n_control must lie between 0 and n; in row 0 it is 5 of 4"):
        negative_control_test(ends.assign(n_control=5))
