"""Values that a customer gets later are refused with the numbers, or unknown; ends make no group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from small_study import Brand

from lcm_research.errors import DataError, StudyError

Words = Callable[..., dict[str, Any]]

# first purchases: a 10 January, b 1 February, c 1 March, d never; a buys again on 1 December (a silence of more than
# 90 days), b on 1 April and 1 May; the last day of the study is 31 December
SALES = "customer,date,amount,back\na,2020-01-10,9,0\na,2020-12-01,9,0\nb,2020-02-01,9,0\nb,2020-04-01,9,0\n"
SALES += "b,2020-05-01,9,0\nc,2020-02-20,-5,1\nc,2020-03-01,9,0\n"
# a joins between the two purchases, after the lapse; b on the first day; c after its only purchase; d never buys
PEOPLE = "id,card,joined\na,gold,2020-06-01\nb,gold,2020-02-01\nc,gold,2020-03-02\nd,gold,2020-07-01\ne,none,\n"
SEGMENT = {"value": "age_band", "recorded_at": "joined"}


@pytest.fixture
def group(brand: Brand, sales: Words) -> Callable[..., dict[str, str]]:
    brand.write("sales.csv", SALES)
    brand.write("people.csv", PEOPLE)

    def group(segment: dict[str, Any], **words: Any) -> dict[str, str]:
        columns = {"customer_id": "id", "age_band": "card"} | words.pop("columns", {})
        tables = {"customers": {"file": "people.csv", "columns": columns}, **sales(is_return="back")}
        made = brand.table("customers", tables, segments={"card": segment}, **words)
        assert not [c for c in made.columns if c.startswith("_")]
        return dict(zip(made["customer_id"], made["card"], strict=True))

    return group


def test_a_value_recorded_after_the_first_purchase_is_refused_with_the_numbers(
    group: Callable[..., dict[str, str]],
) -> None:
    # of a, b and c, who bought, a and c got the card later, both after their last day before a silence of 90 days
    with pytest.raises(DataError, match=r"segments\.card: .*for 2 of 3 customers it was recorded after.*for 2 of them"):
        group(SEGMENT)
    # with a silence of 365 days nobody lapsed
    with pytest.raises(DataError, match=r"for 2 of 3 customers .* for 0 of them after their lapse.*'later: unknown'"):
        group(SEGMENT, churn={"window_days": 364})


def test_a_value_recorded_later_is_unknown_where_the_study_says_so(group: Callable[..., dict[str, str]]) -> None:
    told = group(SEGMENT | {"later": "unknown"})
    # d never began, so that nothing came later; e has no date and had the value from the start
    assert told == {"a": "(unknown)", "b": "gold", "c": "(unknown)", "d": "gold", "e": "none"}


def test_values_recorded_by_the_first_day_are_taken(group: Callable[..., dict[str, str]]) -> None:
    told = group(SEGMENT | {"recorded_at": "case when joined = '2020-02-01' then joined end"})
    assert set(told.values()) == {"gold", "none"}


def test_with_contracts_the_first_day_is_the_contract_s(brand: Brand) -> None:
    people = "id,card,joined,from,to\na,gold,2020-03-01,2020-03-01,\nb,gold,2020-05-02,2020-03-01,2020-05-01\n"
    brand.write("people.csv", people)
    columns = {"customer_id": "id", "age_band": "card", "contract_start": '"from"', "contract_end": '"to"'}
    tables = {"customers": {"file": "people.csv", "columns": columns}}
    churn = {"kind": "contract", "grace_days": 30}
    with pytest.raises(DataError, match="for 1 of 2 customers it was recorded after their first day, for 1 of them"):
        brand.ingest(tables, churn=churn, segments={"card": SEGMENT})
    made = brand.table("customers", tables, churn=churn, segments={"card": SEGMENT | {"later": "unknown"}})
    assert made["card"].tolist() == ["gold", "(unknown)"]
    assert made["contract_start_day"].tolist() == [18322, 18322]  # 2020-03-01


@pytest.mark.parametrize("column", ["contract_end", "contract_status"])
def test_what_is_known_at_the_end_makes_no_group(brand: Brand, column: str) -> None:
    brand.write("people.csv", "id,from,to\na,2020-03-01,\nb,2020-03-01,2020-05-01\n")
    columns = {"customer_id": "id", "contract_start": '"from"', "contract_end": '"to"', "contract_status": "'x'"}
    segment = {"value": f"{column} is null"}
    with pytest.raises(StudyError, match=rf"'{column}' is known when the customer's time is over"):
        brand.ingest(
            {"customers": {"file": "people.csv", "columns": columns}},
            churn={"kind": "contract", "grace_days": 30},
            segments={"ended": segment},
        )


def test_dates_that_cannot_be_read_are_refused(group: Callable[..., dict[str, str]]) -> None:
    with pytest.raises(DataError, match=r"segments\.card\.recorded_at: expected dates .* 5 of 5 rows hold something"):
        group({"value": "age_band", "recorded_at": "card"})
    with pytest.raises(DataError, match=r"recorded_at: 'people.csv' has no column 'joind'; did you mean 'joined'"):
        group({"value": "age_band", "recorded_at": "joind"})


def test_a_dated_segment_needs_customers_and_their_first_day(brand: Brand, sales: Words) -> None:
    brand.write("sales.csv", SALES)
    with pytest.raises(StudyError, match=r"segments\.card\.recorded_at: needs the table customers"):
        brand.ingest(sales(), segments={"card": SEGMENT})
    brand.write("people.csv", PEOPLE)
    brand.write("touches.csv", "id,at\na,2020-01-01\nb,2020-01-01\n")
    touches = {"customer_id": "id", "ts": "at", "channel": "'web'", "touch_type": "'click'"}
    with pytest.raises(StudyError, match=r"dated against the customer's first activity; map the table transactions"):
        brand.ingest(
            {
                "customers": {"file": "people.csv", "columns": {"customer_id": "id", "age_band": "card"}},
                "touchpoints": {"file": "touches.csv", "columns": touches},
            },
            segments={"card": SEGMENT},
        )


def test_what_churn_means_is_no_matter_to_undated_segments(brand: Brand, sales: Words) -> None:
    brand.write("sales.csv", SALES)
    first = {"of": "first_purchase", "value": "currency"}
    churns: list[dict[str, Any]] = [{"window_days": 90}, {"personal_window": {"longest_days": 200}}]
    plain, again = (brand.ingest(sales(), churn=churn, segments={"money": first}).fingerprint for churn in churns)
    assert plain == again
