"""The null of chains that remember: order 1 is the first-order null, order 2 by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.attribution.history_null import kgram_credit_beyond_null
from lcm_research.attribution.kgrams import kgrams_from_paths
from lcm_research.attribution.null import credit_beyond_null
from lcm_research.attribution.paths import edges_from_paths
from lcm_research.errors import ModelError


def journeys() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Paths of 1 to 4 touches in 100 groups, with their ends by two strata."""
    rng = np.random.default_rng(1)
    paths, ends = [], []
    for group in range(100):
        for _ in range(6):
            lively = rng.random() < 0.5
            path = rng.choice(list("abc"), size=rng.integers(1, 5), p=[0.6, 0.2, 0.2] if lively else [0.2, 0.4, 0.4])
            converted = int(rng.random() < (0.6 if lively else 0.2))
            paths.append((">".join(path), converted, 10 * converted, 1 - converted, group))
            ends.append((str(lively), "\x1f".join(path[-3:]), group, 1, converted, 10 * converted))
    columns = ["stratum", "history", "replicate", "n", "n_conversions", "value_minor"]
    counted = pd.DataFrame(ends, columns=columns).groupby(columns[:3], as_index=False).sum()
    return pd.DataFrame(paths, columns=["path", "conversions", "value", "nulls", "replicate"]), counted


def test_order_one_is_the_first_order_null() -> None:
    paths, ends = journeys()
    edges, kgrams = edges_from_paths(paths, separator=">"), kgrams_from_paths(paths, separator=">", order=1)
    for of in ("conversions", "value"):
        for strata in (None, ends):
            one = credit_beyond_null(edges, of=of, ends=strata)
            same = kgram_credit_beyond_null(kgrams, of=of, ends=strata)
            assert same.difference == pytest.approx(one.difference, abs=1e-12)
            assert same.difference_without == pytest.approx(one.difference_without, abs=1e-12)


def test_order_two_worked_by_hand() -> None:
    # 4 journeys a > b all convert, 4 journeys c > b never do: with one rate for all, 2 and 2 would.
    # After b a second-order chain knows what came before: a and b take all, c nothing; under the null a loses half,
    # c half and b all of what there is
    paths = pd.DataFrame([("a > b", 4, 0, 0), ("c > b", 0, 0, 4)], columns=["path", "conversions", "value", "nulls"])
    excess = kgram_credit_beyond_null(kgrams_from_paths(paths, separator=">", order=2), of="conversions")
    assert excess.credit.share == pytest.approx([0.5, 0.5, 0])
    assert excess.null.share == pytest.approx([0.25, 0.5, 0.25])


def test_order_two_within_strata_sums_to_the_total() -> None:
    paths, ends = journeys()
    kgrams = kgrams_from_paths(paths, separator=">", order=2)
    excess = kgram_credit_beyond_null(kgrams, of="conversions", ends=ends)
    assert excess.null.credit.sum() == pytest.approx(paths["conversions"].sum())
    assert excess.difference.sum() == pytest.approx(0, abs=1e-12)
    # lively people are where a is and convert more: without strata a stands out, within them it does not
    assert kgram_credit_beyond_null(kgrams, of="conversions").credited_beyond(control=None) == ("a",)
    assert excess.credited_beyond(control=None) == ()


def test_ends_of_other_journeys_are_refused_by_history() -> None:
    paths, ends = journeys()
    kgrams = kgrams_from_paths(paths, separator=">", order=2)
    less = ends[ends["history"] != "a\x1fa"]
    with pytest.raises(ModelError, match=r"that end with 'a > a' are .* by stratum and .* by step"):
        kgram_credit_beyond_null(kgrams, of="conversions", ends=less)
