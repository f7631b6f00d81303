"""What the data cover, counted by hand on ten rows; and what the audit says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_study import Brand, study_of

from lcm_research.data import audit
from lcm_research.data.backend import connect, open_tables
from lcm_research.data.ingested import DataCheck, Ingested, Ledger
from lcm_research.data.reduction import Tables
from lcm_research.findings.wording import audit as wording
from lcm_research.plots.audit import monthly_rows
from lcm_research.plots.style import figure
from lcm_research.study import Engine

START, AS_OF = 18262, 18627  # 2020-01-01 and 2020-12-31

SALES = """\
customer,date,amount
a,2019-12-15,1
a,2020-01-03,1
a,2020-01-03,1
a,2020-12-30,2
b,2020-03-01,1
b,2020-10-02,1
b,2020-03-01,2
c,2020-02-01,-1
d,2020-10-01,1
e,2019-11-01,1
"""


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    brand = Brand(tmp_path_factory.mktemp("brand"))
    brand.write("sales.csv", SALES)
    columns = {"customer_id": "customer", "ts": "date", "amount": "amount", "currency": "'CNY'"}
    tables = {"transactions": {"file": "sales.csv", "columns": columns | {"is_return": "amount < 0"}}}
    return brand.ingest(tables, data={"history": "complete"})


@pytest.fixture(scope="module")
def tables(ingested: Ingested) -> Tables:
    return open_tables(ingested, connect(Engine()))


def test_rows_and_customers_are_counted_by_month(tables: Tables) -> None:
    counts = audit.rows_by_month.execute(tables, first_day=START - 31, last_day=AS_OF)
    by_month = counts.groupby("month")[["n_rows", "n"]].sum()
    assert by_month.loc["2020-01"].tolist() == [2, 1]
    assert by_month.loc["2020-03"].tolist() == [2, 1]
    assert by_month.loc["2020-10"].tolist() == [2, 2]
    assert by_month.loc["2019-12"].tolist() == [1, 1]  # the window of months begins in December
    assert "2019-11" not in by_month.index
    assert counts["replicate"].between(0, 99).all()


def test_months_of_few_customers_are_open_and_months_without_rows_are_zero(tables: Tables) -> None:
    counts = audit.rows_by_month.execute(tables, first_day=START, last_day=AS_OF)
    made = audit.monthly(counts, first_day=START, last_day=AS_OF, min_group=2)["transactions"]
    assert len(made) == 12
    assert np.isnan(made["2020-01"])  # one customer
    assert made["2020-10"] == 2  # two
    assert made["2020-05"] == 0


def test_both_ends_are_compared_with_the_rest(tables: Tables, ingested: Ingested) -> None:
    counts = audit.rows_at_edges.execute(tables, observation_start_day=START, as_of_day=AS_OF, edge_days=7)
    assert counts.groupby("part")["n_rows"].sum().to_dict() == {"before": 2, "first": 2, "last": 1, "middle": 5}
    (line,) = audit.edges(counts, study_of({"transactions": _unused()}), ingested, edge_days=7).to_dict("records")
    # one row in 7 days against 7 rows in 366 - 7
    assert line.pop("last_ratio") == pytest.approx((1 / 7) / (7 / 359))
    assert line == {
        "table": "transactions",
        "first_date": "2019-11-01",
        "last_date": "2020-12-30",
        "days_short": 1,
        "n_before": 2,
    }


def _unused() -> dict[str, Any]:
    return {"file": "x.csv", "columns": {"customer_id": "a", "ts": "b", "amount": "c", "currency": "d"}}


def test_rows_that_repeat_another_are_counted_once_less(tables: Tables) -> None:
    counts = audit.repeated_rows.execute(tables)
    assert counts[["n_rows", "n_repeats"]].sum().tolist() == [10, 1]  # the two of 3 January


def test_customers_are_counted_by_what_is_known_of_them(tables: Tables) -> None:
    counts = audit.customers_by_history.execute(tables, observation_start_day=START, as_of_day=AS_OF, window_days=90)
    keys = ["buys", "seen_before", "undecided"]
    # as_of - 90 days is 2020-10-02: b's last purchase lies on it and may still be followed; d's lapsed the day before
    assert counts.groupby(keys)["n"].sum().to_dict() == {
        (0, 0, 0): 1,  # c, who only returned
        (0, 1, 0): 1,  # e, before the window only
        (1, 0, 0): 1,  # d
        (1, 0, 1): 1,  # b
        (1, 1, 1): 1,  # a
    }


def test_what_can_be_answered_depends_on_the_tables(ingested: Ingested) -> None:
    rows = audit.what_can_be_answered(study_of({"transactions": _unused()}), ingested)
    assert rows.set_index("notebook")["missing"].to_dict() == {
        "01_churn_survival": "",
        "07_churn_warning": "",
        "02_stage_markov": "",
        "03_social_attribution": "touchpoints",
        "05_stage_multiverse": "",
    }
    assert rows["horizon_days"].tolist() == [365 - 90, 0, 0, 0, 0]
    assert wording.answer("", "engagements", 275, "zh") == "是，最长 275 天；没有互动表，相关章节略去"
    assert wording.answer("touchpoints, transactions", "", 0, "en") == "no: needs touchpoints and transactions"
    assert wording.question("02_stage_markov", "en").endswith("?")


def test_the_reconciliation_speaks_both_languages() -> None:
    line = Ledger(table="transactions", rule="after_as_of", reason="", rows=3)
    assert wording.rule_name(line, "zh") == "晚于研究截止日"
    assert wording.reason(line, "en") == "only what was known on the last day is used"
    own = Ledger(table="transactions", rule="trial", reason="not sold", rows=3)
    assert (wording.rule_name(own, "en"), wording.reason(own, "zh")) == ("trial", "not sold")
    assert wording.rule_name(Ledger(table="customers", rule="rows_in", reason="", rows=3), "en") == "customers known"


@pytest.mark.parametrize("name", ["values_read", "purchases_not_negative", "purchases_not_zero", "currencies"])
def test_every_check_says_what_it_saw_in_both_languages(name: str) -> None:
    failed = DataCheck(name=name, table="transactions", passed=False, n=12, of=3456, column="quantity")
    for language in ("en", "zh"):
        assert wording.check_name(failed)[language]
        assert "12" in wording.check_note(failed)[language]
    if name != "currencies":
        passed = DataCheck(name=name, table="transactions", passed=True, n=0, of=3456, column="quantity")
        assert wording.check_note(passed) == {"en": "", "zh": ""}


def test_a_table_that_ends_early_and_one_that_repeats_fail_their_checks() -> None:
    repeats = pd.DataFrame({"n_rows": [10, 5], "n_repeats": [1, 0]}, index=["transactions", "engagements"])
    edges = pd.DataFrame(
        {"table": ["transactions", "engagements"], "last_date": ["2020-12-24", "2020-12-25"], "days_short": [7, 6]}
    )
    checks = wording.all_checks([], repeats, edges, edge_days=7)
    assert [(table, passed) for table, _, passed, _ in checks] == [
        ("transactions", False),
        ("engagements", True),
        ("transactions", False),
        ("engagements", True),
    ]
    assert checks[0][3]["en"] == "1 of 10 rows repeat another"
    assert wording.with_table("transactions", checks[2][1])["zh"] == "交易：研究截止前 7 天内有数据"


def test_the_figure_draws_a_bar_a_month_and_marks_the_window() -> None:
    rows = pd.Series([5.0, np.nan, 7.0], index=["2019-12", "2020-01", "2020-02"], name="transactions")
    _, ax = figure()
    monthly_rows(ax, rows, language="en", window_from="2020-01")
    assert [bar.get_height() for bar in ax.patches] == [5, 0, 7]
    assert ax.lines[0].get_xdata()[0] == 0.5
    assert ax.get_title(loc="left") == "transactions"
    alt = wording.coverage_alt(rows.to_frame(), "en")
    assert alt == "Rows by month, 2019-12 – 2020-02: transactions between 5 and 7 rows a month."


def test_the_sentence_follows_the_numbers() -> None:
    from datetime import date

    from lcm_research.estimate import Estimate

    estimate = Estimate(value=0.203, lower=0.19, upper=0.21, unit="share", n=23570)
    said = wording.undecided_sentence(estimate, 180, date(1998, 6, 30))
    assert said["en"].startswith("Of 23,570 buyers, 20.3% bought within 180 days up to 1998-06-30")
    assert "95% 置信区间 19.0% 至 21.0%" in said["zh"]
