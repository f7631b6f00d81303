"""
The curve finds the truth where the usual recipes do not.

Customers arrive over two years, buy once every 60 days on average until they die (a year on average), and a
lapse is a silence of more than 180 days. The truth, the share whose first spell lasts longer than 180 days, is
taken from the same process followed to its end.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from spell_oracle import make_tables

from lcm_research.survival.curves import kaplan_meier, survival_at
from lcm_research.survival.spells import spell_counts

WINDOW, AS_OF, HORIZON, N = 180, 730, 180, 20_000
CUT = AS_OF - WINDOW
NEVER = np.inf


def histories(n: int, rng: np.random.Generator, arrival: np.ndarray) -> np.ndarray:
    """Activity days of ``n`` customers, rising, padded with infinity."""
    death = arrival + rng.exponential(365, n)
    gaps = rng.exponential(60, (n, 120)).cumsum(axis=1)
    days = np.floor(arrival[:, None] + np.hstack([np.zeros((n, 1)), gaps]))
    return np.where(days <= death[:, None], days, NEVER)


def first_lapse(days: np.ndarray) -> np.ndarray:
    """First activity day followed by more than the window of silence."""
    following = np.hstack([days[:, 1:], np.full((len(days), 1), NEVER)])
    with np.errstate(invalid="ignore"):
        silent = np.isfinite(days) & ~(following - days <= WINDOW)
    return days[np.arange(len(days)), silent.argmax(axis=1)]


@pytest.fixture(scope="module")
def brand() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(20)
    arrival = rng.integers(0, AS_OF, N).astype(float)
    days = histories(N, rng, arrival)
    return {"start": arrival, "days": np.where(days <= AS_OF, days, NEVER), "whole": days}


@pytest.fixture(scope="module")
def truth() -> float:
    rng = np.random.default_rng(21)
    days = histories(60_000, rng, np.zeros(60_000))
    return float((first_lapse(days) + 1 > HORIZON).mean())


def stays(duration: np.ndarray, event: np.ndarray) -> float:
    cells = pd.DataFrame({"duration_days": duration.astype(np.int64), "event_observed": event, "n": 1})
    return survival_at(kaplan_meier(cells, interval="log-log"), HORIZON).value


def test_the_curve_recovers_the_truth(brand: dict[str, np.ndarray], truth: float) -> None:
    assert truth == pytest.approx(0.438, abs=0.006)
    purchases = {str(i): own[np.isfinite(own)].astype(int).tolist() for i, own in enumerate(brand["days"])}
    counts = spell_counts.execute(
        make_tables(purchases),
        window_days=WINDOW,
        observation_start_day=0,
        as_of_day=AS_OF,
        history="complete",
        entry="incident",
        by=[],
    )
    curve = kaplan_meier(counts, interval="replicate")
    found = survival_at(curve, HORIZON)
    assert found.lower < truth < found.upper
    assert found.upper - found.lower < 0.03


def test_the_usual_recipes_do_not(brand: dict[str, np.ndarray], truth: float) -> None:
    start, days = brand["start"], brand["days"]
    a = first_lapse(days)
    last = np.where(np.isfinite(days), days, -1).max(axis=1)
    lapsed, told = a < CUT, start < CUT
    wrong = {
        "censored at as_of": stays(np.where(lapsed, a - start + 1, AS_OF - start + 1), lapsed),
        "censored at own last activity": stays(np.where(lapsed, a - start + 1, last - start + 1), lapsed),
        "returns erase the lapse": stays(np.where(last < CUT, last - start + 1, CUT - start)[told], (last < CUT)[told]),
        "newcomers of the last window kept": stays(np.where(lapsed, a - start + 1, np.maximum(CUT - start, 1)), lapsed),
    }
    expected = {
        "censored at as_of": 0.574,
        "censored at own last activity": 0.540,
        "returns erase the lapse": 0.512,
        "newcomers of the last window kept": 0.468,
    }
    assert wrong == pytest.approx(expected, abs=0.02)
    assert min(wrong.values()) > truth + 0.01


def test_declaring_the_lapse_later_moves_the_curve_by_the_window(brand: dict[str, np.ndarray]) -> None:
    start, days = brand["start"][:2000], brand["days"][:2000]
    a = first_lapse(days)
    lapsed, told = a < CUT, start < CUT
    ours = pd.DataFrame({"duration_days": np.where(lapsed, a - start + 1, CUT - start), "event_observed": lapsed})
    declared = pd.DataFrame(
        {"duration_days": np.where(lapsed, a + WINDOW - start + 1, AS_OF - start), "event_observed": lapsed}
    )
    early, late = (kaplan_meier(each[told].assign(n=1), interval="log-log") for each in (ours, declared))
    moved = {day + WINDOW: value for day, value in zip(early.times, early.survival, strict=True)}
    assert dict(zip(late.times, late.survival, strict=True)) == pytest.approx(moved, abs=1e-12)
