"""One question whatever churn means: a study with contracts and one with personal windows, from files to counts."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lcm_research.errors import ModelError
from lcm_research.stages.panel import stage_stock
from lcm_research.survival.competing import cumulative_incidence, cumulative_incidence_at
from lcm_research.survival.curves import kaplan_meier, survival_at
from lcm_research.workbench import Workbench, open_study

STUDY = """\
study: {name}
title: How long?
timezone: Asia/Shanghai
observation_start: 2020-01-01
as_of: 2021-12-31
data:
  folder: .
  history: complete
  tables:
{tables}
churn: {churn}
notebooks: {{01_churn_survival: }}
"""
PEOPLE = "    customers: {file: people.csv, columns: {customer_id: id, contract_start: begin, contract_end: finish}}\n"
REASONS = (
    "    churn_reasons: {file: why.csv, columns: {customer_id: id, churn_ts: at, reason: why, source: \"'survey'\"}}\n"
)
SALES = "    transactions: {file: sales.csv, columns: {customer_id: id, ts: at, amount: '1', currency: \"'CNY'\"}}\n"
BEGIN = pd.Timestamp("2020-01-01")


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LCM_CACHE", str(tmp_path / "cache"))

    def opened(name: str, tables: str, churn: str) -> Workbench:
        path = tmp_path / f"{name}.yml"
        path.write_text(STUDY.format(name=name, tables=tables.rstrip(), churn=churn), encoding="utf-8")
        return open_study(path)

    return opened


def written(folder: Path, name: str, **columns: object) -> None:
    pd.DataFrame(columns).to_csv(folder / name, index=False)


def day(number: np.ndarray) -> pd.Index:
    return (BEGIN + pd.to_timedelta(number, "D")).strftime("%Y-%m-%d")


def test_a_study_of_contracts_is_asked_as_any_other(tmp_path: Path, opened) -> None:
    # contracts end on each of their days with probability 1/200; deaths are 1 in 10 ends, of the others half say why
    rng = np.random.default_rng(7)
    n = 1200
    start, length = rng.integers(-200, 600, n), rng.geometric(1 / 200, n)
    ids, end = [f"k{i}" for i in range(n)], start + length - 1
    over = end <= 730
    written(tmp_path, "people.csv", id=ids, begin=day(start), finish=np.where(over, day(end), ""))
    dead, told = over & (np.arange(n) % 10 == 0), over & (np.arange(n) % 10 > 4)
    why = np.where(dead, "death", "price")
    written(tmp_path, "why.csv", id=np.array(ids)[dead | told], at=day(end)[dead | told], why=why[dead | told])
    lcm = opened("rent", PEOPLE + REASONS, "{kind: contract, grace_days: 30, other_ends: [death]}")

    counts = lcm.spells(entry="incident", by=[])
    statuses = lcm.spell_statuses(entry="incident").groupby("status")["n_customers"].sum()
    assert statuses["used"] == counts["n"].sum() == (start >= 0).sum()
    assert statuses["known_before"] == (start < 0).sum()
    assert lcm.max_horizon_days == 730 - 30
    stays = survival_at(kaplan_meier(counts, interval="replicate"), 180)
    assert stays.lower < (1 - 1 / 200) ** 180 < stays.upper
    late = survival_at(kaplan_meier(lcm.spells(entry="late", by=[]), interval="log-log"), 180)
    assert late.lower < (1 - 1 / 200) ** 180 < late.upper
    ends = lcm.spell_ends(entry="incident", by=[])
    assert set(ends["cause"]) == {"", "death", "not told", "price"}
    shares = [
        cumulative_incidence_at(cumulative_incidence(ends, cause=cause, interval="replicate"), 180).value
        for cause in ("death", "not told", "price")
    ]
    assert sum(shares) + stays.value == pytest.approx(1, abs=1e-9)
    with pytest.raises(ModelError, match="a return is not recorded where churn is by contract"):
        lcm.returns(by=[])
    assert lcm.max_second_horizon_days == 0


def test_a_personal_window_carries_the_usual_gap_of_the_warm_up(tmp_path: Path, opened) -> None:
    # everyone buys three times, 20 days apart; gaps after the warm-up of 200 days, of those who start late, are 50 days
    start = np.arange(0, 600, 5)
    gap = np.where(start < 150, 20, 50)
    days = start[:, None] + gap[:, None] * np.arange(3)
    ids = np.repeat([f"c{i}" for i in range(len(start))], 3)
    written(tmp_path, "sales.csv", id=ids, at=day(days.ravel()))
    lcm = opened("own", SALES, "{personal_window: {longest_days: 200}}")
    assert lcm.window == {
        "kappa": 3, "strength": 3, "shortest_days": 60, "longest_days": 200, "usual_gap_days": 20, "censored_by": "own",
    }  # fmt: skip
    counts, longest = (lcm.spells(entry="incident", by=[], censored_by=cut) for cut in ("own", "longest"))
    assert counts["n"].sum() == longest["n"].sum() == (start < 730 - 200).sum()
    # all lapsed on their third day; by the cut of the longest window fewer are seen to
    assert set(counts.loc[counts["event_observed"], "duration_days"]) == {41, 101}
    assert counts["event_observed"].mean() > longest["event_observed"].mean()
    assert set(lcm.spell_ends(entry="incident", by=[])["cause"]) == {"lapsed"}
    assert lcm.returns(by=[])["event_observed"].sum() == 0
    assert lcm.max_horizon_days == 530
    assert lcm.max_second_horizon_days == 530 - 61
    assert lcm.last_return(horizon_days=30) == date(2021, 12, 31) - pd.Timedelta(days=230)
    assert lcm.window_text()["en"].startswith("a silence longer than 3 times")


def test_a_fixed_window_is_the_number_of_its_days(tmp_path: Path, opened) -> None:
    written(tmp_path, "sales.csv", id=["a", "a", "b"], at=["2020-01-05", "2020-09-01", "2020-01-05"])
    lcm = opened("fixed", SALES, "{window_days: 90}")
    assert lcm.churn == {
        "window_days": 90,
        "history": "complete",
        "observation_start_day": lcm.observation_start_day,
        "as_of_day": lcm.as_of_day,
    }
    assert lcm.spells(entry="incident", by=[])["duration_days"].tolist() == [1, 1]
    assert lcm.second_lifetimes(horizon_days=100, by=[])["n"].tolist() == [1]
    assert lcm.exposure_refusal() is not None


def test_the_cuts_of_a_scheme_are_read_off_the_data_as_the_study_says(tmp_path: Path, opened) -> None:
    # 30 customers who buy on the 5th of every month for 1 CNY: 3.00 within 90 days, and all of them alike
    days = [f"2020-{month:02d}-05" for month in range(1, 13)] + [f"2021-{month:02d}-05" for month in range(1, 13)]
    ids = [f"c{i}" for i in range(30)]
    written(tmp_path, "sales.csv", id=np.repeat(ids, len(days)), at=days * len(ids))
    lcm = opened("cuts", SALES, "{window_days: 180}")
    assert lcm.stage_rules("intro5").cuts == {"m_cut": 300}
    assert lcm.stage_rules("nadc").cuts == {}
    stages = lcm.study.stages.model_copy(update={"cut_mode": "rolling"})
    rolling = Workbench(study=lcm.study.model_copy(update={"stages": stages}), ingested=lcm.ingested)
    by_month = rolling.stage_rules("intro5").cuts["m_cut"]
    assert by_month["2020-12-01"] == 300
    assert set(by_month) <= {f"{day[:7]}-01" for day in days}
    set_already = lcm.stage_rules("intro5")
    assert lcm.with_cuts(set_already) is set_already


def test_what_cannot_be_answered_is_kept_with_its_reason(tmp_path: Path, opened, capsys) -> None:
    written(tmp_path, "sales.csv", id=["a", "b"], at=["2020-01-05", "2020-03-05"])
    lcm = opened("few", SALES, "{window_days: 180}")

    def refuse(n: int) -> int:
        raise ModelError(f"{n} customers are too few")

    assert lcm.attempt("who stays", refuse, 2) is None
    assert lcm.attempt("how many", lambda n: n, 2) == 2
    assert lcm.unanswered == {"who stays": "2 customers are too few"}
    lcm.say_unanswered()
    assert "2 customers are too few" in capsys.readouterr().out


def test_a_study_can_hold_on_to_its_stages(tmp_path: Path, opened) -> None:
    # new in January, active in February, dormant in March: no change is seen at two month ends in a row
    written(tmp_path, "sales.csv", id=["a", "a", "b"], at=["2020-01-05", "2020-04-14", "2020-01-05"])
    lcm = opened("holding", SALES, "{window_days: 180}")
    stages = lcm.study.stages.model_copy(update={"confirm_periods": 2})
    slow = Workbench(study=lcm.study.model_copy(update={"stages": stages}), ingested=lcm.ingested)
    asked = {"period": "month", "history": "complete"}
    asked |= {"observation_start_day": lcm.observation_start_day, "as_of_day": lcm.as_of_day}
    assert lcm.periods == asked  # what is not asked for changes no key of the cache
    assert slow.periods == asked | {"confirm_periods": 2, "min_dwell": 0}
    rules = lcm.stage_rules("nadc")
    stocks = [bench.count(stage_stock, **rules.parameters(), **bench.periods) for bench in (lcm, slow)]
    assert [stock.query("period_start == '2020-03-01'")["stage"].tolist() for stock in stocks] == [
        ["dormant", "dormant"],
        ["new", "new"],
    ]
