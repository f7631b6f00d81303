"""Contracts among the customers, and the table of reasons: what is stored and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from small_study import Brand

from lcm_research.errors import DataError, StudyError

Words = Callable[..., dict[str, Any]]
CONTRACT = {"kind": "contract", "grace_days": 30}
COLUMNS = {"customer_id": "id", "contract_start": "begin", "contract_end": "finish", "contract_status": "status"}
PEOPLE = "id,begin,finish,status\na,2019-12-31,2020-03-01,ended\nb,2020-01-01,,active\nc,2020-02-01,9999-12-31,\n"


def contracts(**columns: str) -> dict[str, Any]:
    return {"customers": {"file": "people.csv", "columns": COLUMNS | columns}}


def test_a_contract_is_two_days_and_a_status(brand: Brand) -> None:
    brand.write("people.csv", PEOPLE)
    made = brand.table("customers", contracts(), churn=CONTRACT).set_index("customer_id").sort_index()
    assert made["contract_start_day"].tolist() == [18261, 18262, 18293]
    assert made["contract_end_day"].tolist()[0] == 18322
    assert made["contract_end_day"].isna().tolist() == [False, True, False]
    assert made["contract_status"].tolist() == ["ended", "active", None]


def test_an_end_that_cannot_be_read_would_be_none_and_is_refused(brand: Brand) -> None:
    brand.write("people.csv", PEOPLE.replace("2020-03-01", "1 March"))
    with pytest.raises(DataError, match=r"customers\.columns\.contract_end: expected dates .* 1 of 3 rows hold"):
        brand.ingest(contracts(), churn=CONTRACT)


def test_a_contract_that_ends_before_it_starts_is_refused(brand: Brand) -> None:
    brand.write("people.csv", PEOPLE)
    with pytest.raises(DataError, match=r"no contract to end before contract_start; 2 of 3 rows do; see that the two"):
        brand.ingest(contracts(contract_start="finish", contract_end="begin"), churn=CONTRACT)


def test_contracts_need_no_table_of_events_and_other_churn_does(brand: Brand) -> None:
    brand.write("people.csv", PEOPLE)
    assert brand.ingest(contracts(), churn=CONTRACT).n_customers == 3
    with pytest.raises(StudyError, match="expected a table of events beside customers; map transactions"):
        brand.ingest(contracts())


def reasons(**columns: str) -> dict[str, Any]:
    told = {"customer_id": "id", "churn_ts": "at", "reason": "why", "source": "'survey'"} | columns
    return {"churn_reasons": {"file": "why.csv", "columns": told}}


def test_a_reason_is_an_event_with_a_day(brand: Brand, sales: Words) -> None:
    brand.write("sales.csv", "customer,date,amount\na,2020-01-10,9\nb,2020-01-10,9\n")
    brand.write("why.csv", "id,at,why\na,2020-03-01,price\nb,2020-04-01,death\nb,2021-04-01,price\n")
    made = brand.table("churn_reasons", sales() | reasons())
    assert made.columns.tolist() == ["reason_id", "customer_id", "ts_us", "day", "reason", "source"]
    assert made["day"].tolist() == [18322, 18353]  # what is later than the study is left out
    assert brand.ingest(sales() | reasons()).days["churn_reasons"] == (18322, 18353)


def test_a_reason_needs_its_day_and_its_words(brand: Brand, sales: Words) -> None:
    brand.write("sales.csv", "customer,date,amount\na,2020-01-10,9\nb,2020-01-10,9\n")
    brand.write("why.csv", "id,at,why\na,spring,price\nb,2020-04-01,\n")
    with pytest.raises(DataError) as refusal:
        brand.ingest(sales() | reasons())
    assert "churn_reasons.columns.churn_ts: expected dates" in str(refusal.value)
    assert "churn_reasons.columns.reason: expected a value in every row; 1 of 2 rows have none" in str(refusal.value)
    brand.write("why.csv", "id,at,why\na,1020-01-01,price\n")
    with pytest.raises(DataError, match=r"columns\.churn_ts: expected years 1900 to 2200"):
        brand.ingest(sales() | reasons(), data={"history": "complete"})
