"""Figures of credit: what is drawn is what was computed, hollow and solid, in both languages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from lcm_research.attribution.heuristics import HEURISTICS, heuristic_credit
from lcm_research.attribution.null import credit_beyond_null
from lcm_research.attribution.paths import edges_from_paths, touches_from_paths
from lcm_research.attribution.removal import markov_credit
from lcm_research.errors import ModelError
from lcm_research.plots.attribution import COLOUR, credit_against_null, model_disagreement
from lcm_research.plots.style import figure

CHANNELS = ["search", "email", "store"]
N = {"search": 1234, "email": 300, "store": 45}


def paths() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    rows = [
        (" > ".join(rng.choice(CHANNELS, size=rng.integers(1, 4), p=[0.6, 0.3, 0.1])), 1 + g % 2, 10, 2, g)
        for g in range(100)
        for _ in range(3)
    ]
    return pd.DataFrame(rows, columns=["path", "conversions", "value", "nulls", "replicate"])


@pytest.fixture(scope="module")
def edges() -> pd.DataFrame:
    return edges_from_paths(paths(), separator=">")


@pytest.fixture(scope="module")
def credits_of(edges: pd.DataFrame) -> list:
    touches = touches_from_paths(paths(), separator=">")
    made = [heuristic_credit(touches, model=m, of="conversions", channels=CHANNELS) for m in HEURISTICS]
    return [*made, markov_credit(edges, of="conversions", channels=CHANNELS)]


@pytest.mark.parametrize(
    ("language", "label"), [("en", "share of associated credit for conversions"), ("zh", "转化的关联归因份额")]
)
def test_each_model_has_its_mark_and_interval_in_each_channel(credits_of: list, language: str, label: str) -> None:
    _, ax = figure()
    model_disagreement(ax, credits_of, channels=["store", "search"], n_customers=N, language=language)
    assert ax.get_xlabel() == label
    assert [text.get_text() for text in ax.get_yticklabels()] == ["store\nn = 45", "search\nn = 1,234"]
    assert len(ax.lines) == len(credits_of)
    for credit, line, bars in zip(credits_of, ax.lines, ax.collections, strict=True):
        assert line.get_xdata() == pytest.approx([credit.share[2], credit.share[0]])
        lower, upper = credit.interval()
        ends = [segment[:, 0].tolist() for segment in bars.get_segments()]
        assert ends == [pytest.approx([lower[2], upper[2]]), pytest.approx([lower[0], upper[0]])]


def test_rules_are_drawn_hollow_and_the_chain_solid(credits_of: list) -> None:
    _, ax = figure()
    model_disagreement(ax, credits_of, channels=CHANNELS, n_customers=N, language="en")
    faces = [to_hex(line.get_markerfacecolor()) for line in ax.lines]
    assert faces == ["#ffffff"] * 3 + [COLOUR.lower()]
    # in grey the models are told apart by their marks
    assert len({line.get_marker() for line in ax.lines}) == 4


@pytest.mark.parametrize("language", ["en", "zh"])
def test_credit_stands_on_its_null_with_the_difference_beside_it(edges: pd.DataFrame, language: str) -> None:
    excess = credit_beyond_null(edges, of="conversions", channels=CHANNELS)
    _, ax = figure()
    credit_against_null(ax, excess, channels=["email", "search"], n_customers=N, language=language)
    assert ax.lines[0].get_xdata() == pytest.approx(excess.credit.share[[1, 0]])
    band = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    null_lower, null_upper = excess.null.interval()
    assert band[0] == pytest.approx((null_lower[1], null_upper[1]))
    beside = [text.get_text() for text in ax.texts]
    lower, upper = 100 * np.array(excess.interval())[:, 1]
    to = {"en": "to", "zh": "至"}[language]
    said = f"{100 * excess.difference[1]:.2f} ({lower:.2f} {to} {upper:.2f})".replace("-", "−")
    assert said in beside


def test_a_channel_without_an_interval_is_drawn_without_one() -> None:
    edges = edges_from_paths(paths().drop(columns="replicate"), separator=">")
    _, ax = figure()
    credit_against_null(ax, credit_beyond_null(edges, of="value"), channels=CHANNELS, n_customers=N, language="en")
    assert not any("to" in text.get_text().split() for text in ax.texts[1:])


def test_a_channel_that_is_not_there_is_refused(credits_of: list) -> None:
    _, ax = figure()
    with pytest.raises(ModelError, match="no journey has the channel 'radio'; the credit is of search, email, store"):
        model_disagreement(ax, credits_of, channels=["radio"], n_customers=N, language="en")
