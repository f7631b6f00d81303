"""Fitted curves are solid where customers were followed and dashed beyond."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from lcm_research.plots.lifetimes import fitted_curves, residual_line
from lcm_research.plots.style import figure
from lcm_research.survival.curves import kaplan_meier
from lcm_research.survival.distribution_choice import cox_snell_residuals
from lcm_research.survival.parametric import accelerated_failure_time, predicted_curve


def spells() -> pd.DataFrame:
    life = np.random.default_rng(1).geometric(0.02, 600) + 1
    return pd.DataFrame({"duration_days": np.minimum(life, 90), "event_observed": life <= 90, "n": 1, "entry_days": 1})


def test_a_fitted_curve_is_dashed_exactly_beyond_the_follow_up() -> None:
    table = spells()
    days = [1.0, 30.0, 60.0, 90.0, 120.0, 180.0]
    fits = {
        name: accelerated_failure_time(table, distribution=name, covariates=[], intervals="information")  # type: ignore[arg-type]
        for name in ("weibull", "lognormal")
    }
    drawn = {name: predicted_curve(fit, {}, days=days, given_day=1) for name, fit in fits.items()}
    _, ax = figure()
    curve = kaplan_meier(table, interval="log-log")
    fitted_curves(ax, curve, drawn, horizon_days=180, min_at_risk=10, language="en")
    lines = [line for line in ax.lines if line.get_transform() == ax.transData]
    solid = [line for line in lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 4]
    dashed = [line for line in lines if line.get_linestyle() == "--"]
    assert len(solid) == len(dashed) == 2
    assert list(solid[0].get_xdata()) == days[:4]
    # the dashed part starts where the solid one ends
    assert list(dashed[0].get_xdata()) == days[3:]
    assert list(dashed[0].get_ydata()) == pytest.approx(drawn["weibull"]["survival"][3:].tolist())
    # bands: of the curve seen, and of the closest fit where it goes on alone
    assert len([c for c in ax.collections if isinstance(c, PolyCollection)]) == 2
    texts = [t.get_text() for t in ax.texts]
    assert {"weibull", "lognormal", "follow-up ends", "at risk"} <= set(texts)
    assert ax.get_xlim() == (1, 180)


def test_without_days_beyond_nothing_is_dashed_or_marked() -> None:
    table = spells()
    fit = accelerated_failure_time(table, distribution="weibull", covariates=[], intervals="information")
    drawn = {"a": predicted_curve(fit, {}, days=[1.0, 40.0, 80.0], given_day=1)}
    _, ax = figure()
    fitted_curves(ax, kaplan_meier(table, interval="log-log"), drawn, horizon_days=80, min_at_risk=10, language="zh")
    assert not [line for line in ax.lines if line.get_linestyle() == "--" and len(line.get_xdata()) > 1]
    assert "观察结束" not in [t.get_text() for t in ax.texts]
    assert ax.get_ylabel() == "仍在购买的比例"


def test_residuals_stand_beside_their_line() -> None:
    table = spells()
    fit = accelerated_failure_time(table, distribution="weibull", covariates=[], intervals="information")
    residuals = cox_snell_residuals(fit, table)
    _, ax = figure()
    residual_line(ax, residuals, language="en")
    assert list(ax.lines[0].get_ydata()) == pytest.approx(residuals["cumulative_hazard"].tolist())
    top = residuals["residual"].iloc[-1]
    assert [list(ax.lines[1].get_xdata()), list(ax.lines[1].get_ydata())] == [[0, top], [0, top]]
    assert len(ax.collections) == 1
    assert ax.get_xlabel() == "cumulative hazard by the fit"
