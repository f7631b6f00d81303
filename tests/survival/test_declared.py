"""A curve of spells read as stages date lapses: against plain dates, by hand, and where it is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.study.churn import Churn
from lcm_research.survival.curves import kaplan_meier
from lcm_research.survival.declared import (
    declared_curve,
    declared_spells,
    declared_window,
    longest_months,
    months_to_declaration,
)

WINDOW = 60


def spells(durations: np.ndarray, followed: int = 400) -> pd.DataFrame:
    """Spells that all end, and one in each group that goes on: so the curve speaks up to the last day."""
    ended = pd.DataFrame(
        {"duration_days": durations, "event_observed": True, "replicate": np.arange(len(durations)) % 100}
    )
    on = pd.DataFrame({"duration_days": followed, "event_observed": False, "replicate": range(100)})
    return pd.concat([ended, on], ignore_index=True).assign(n=1)


def test_a_declared_curve_is_what_dates_say() -> None:
    rng = np.random.default_rng(3)
    durations = rng.integers(1, 200, 300)
    counts = spells(durations)
    found = declared_curve(kaplan_meier(counts, interval="replicate"), window_days=WINDOW, n_months=9)
    # plain dates: every spell starts once on each day of four years; it is declared at a month's end t
    # where the last purchase, start + duration - 1, lies more than 60 days back
    starts = pd.date_range("2001-01-01", "2004-12-31")
    for month in (0, 2, 3, 6, 9):
        ends = (starts.to_period("M") + month).to_timestamp(how="end").normalize()
        since = (ends - starts).days.to_numpy()
        silent = since[:, None] - (durations[None, :] - 1)
        share = ((silent <= WINDOW).sum() + 100 * len(starts)) / (len(starts) * 400)
        assert found.waiting[month] == pytest.approx(share), month
    assert found.n == 400
    assert (found.lower <= found.waiting).all()
    assert (found.waiting <= found.upper).all()


def test_nobody_is_declared_before_the_window_is_over() -> None:
    found = declared_curve(kaplan_meier(spells(np.ones(200, int)), interval="replicate"), window_days=120, n_months=8)
    # bought once: declared where 121 days have passed since, which 4 months never and 5 months always reach,
    # counted from the end of the month of the purchase itself at least (92 and 150 days)
    assert found.waiting[:3].tolist() == [1.0, 1.0, 1.0]
    assert found.waiting[5] == pytest.approx(100 / 300)


def test_the_time_is_the_sum_of_the_shares_at_months_ends() -> None:
    lasting = np.random.default_rng(8).integers(1, 90, 300)
    found = declared_curve(kaplan_meier(spells(lasting), interval="replicate"), window_days=120, n_months=8)
    time = months_to_declaration(found, horizon_months=8)
    assert time.value == pytest.approx(found.waiting[:8].sum())
    assert time.unit == "months"
    assert time.lower < time.value < time.upper
    with pytest.raises(ModelError, match="horizon_months=9 is outside the 8 months"):
        months_to_declaration(found, horizon_months=9)


def test_months_go_as_far_as_follow_up_and_window_reach_together() -> None:
    curve = kaplan_meier(spells(np.ones(200, int), followed=100), interval="replicate")
    # a spell of the 1st of a month with 31 days is 30 + 31 + 30 + 31 + 31 days away from the end of the fourth month
    # after it (July to November: 152), at most; 100 + 60 days hold that and not the fifth (183)
    assert longest_months(curve, window_days=WINDOW) == 4
    with pytest.raises(ModelError, match="n_months=5 is outside what the spells' follow-up of 100 days and the window"):
        declared_curve(curve, window_days=WINDOW, n_months=5)
    cut = declared_spells(spells(np.ones(200, int), 100), window_days=60, most_months=24, min_at_risk=10, level=0.9)
    assert cut.months[-1] == 4
    assert cut.level == 0.9
    analytic = kaplan_meier(spells(np.ones(200, int)), interval="log-log")
    with pytest.raises(ModelError, match="needs the curve without each group"):
        declared_curve(analytic, window_days=WINDOW, n_months=3)


def test_only_one_window_of_purchases_is_what_stages_declare_by() -> None:
    assert declared_window(Churn(window_days=90)) == 90
    for churn, said in (
        (Churn(personal_window={}), "a personal window"),
        (Churn(kind="contract", grace_days=30), "a contract"),
        (Churn(window_days=90, activity=("purchases", "engagements")), "social acts"),
    ):
        with pytest.raises(ModelError, match=f"churn of this study goes by {said}"):
            declared_window(churn)
