"""Groups of customers: over their row, over their first day of purchase, cut by breaks; worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from small_study import Brand

from lcm_research.errors import StudyError

Words = Callable[..., dict[str, Any]]

# first days: a buys twice on 1 March (3 + 1 pieces, 30 + 10.5) after a return; b on 1 April in two currencies;
# c only returns; d never comes
SALES = """\
customer,date,amount,pieces,money,shop,back
a,2020-02-01,-9,1,CNY,web,1
a,2020-03-01 12:00:00,30,3,CNY,web,0
a,2020-03-01 18:00:00,10.5,1,CNY,store,0
a,2020-05-01,500,9,CNY,store,0
b,2020-04-01 09:00:00,200,1,JPY,store,0
b,2020-04-01 10:00:00,7,,CNY,web,0
c,2020-04-01,-7,1,CNY,web,1
"""
PEOPLE = "id,area,seen\na, north ,2019-12-31\nb,,2020-04-01\nc,south,\nd,south,2020-06-30\n"


@pytest.fixture
def group(brand: Brand, sales: Words) -> Callable[..., dict[str, str]]:
    brand.write("sales.csv", SALES)
    brand.write("people.csv", PEOPLE)
    columns = {"customer_id": "id", "region": "area", "first_seen_at": "seen"}
    tables = {
        "customers": {"file": "people.csv", "columns": columns},
        **sales(is_return="back", quantity="pieces", currency="money", channel="shop"),
    }

    def group(name: str = "group", **segment: Any) -> dict[str, str]:
        made = brand.table("customers", tables, segments={name: segment}, data={"history": "complete"})
        return dict(zip(made["customer_id"], made[name], strict=True))

    return group


def test_the_row_of_the_customer_is_asked(group: Callable[..., dict[str, str]]) -> None:
    assert group(value="region") == {"a": "north", "b": "(unknown)", "c": "south", "d": "south"}
    assert group(value="year(first_seen_at)") == {"a": "2019", "b": "2020", "c": "(unknown)", "d": "2020"}
    assert group(value="region = 'south'") == {"a": "false", "b": "(unknown)", "c": "true", "d": "true"}


def test_a_segment_replaces_the_category_of_its_name(group: Callable[..., dict[str, str]]) -> None:
    assert group("region", value="region")["b"] == "(unknown)"


def test_the_first_day_of_purchase_is_asked(group: Callable[..., dict[str, str]]) -> None:
    first = {"of": "first_purchase"}
    months = {"a": "2020-03", "b": "2020-04", "c": "(none)", "d": "(none)"}
    assert group(**first, value="strftime(date, '%Y-%m')") == months
    assert group(**first, value="quantity", breaks=[2, 4])["a"] == ">=4"  # 3 + 1 pieces of that day
    assert group(**first, value="quantity", breaks=[2, 5])["a"] == "2-<5"
    assert group(**first, value="amount", breaks=[40.5, 41])["a"] == "40.5-<41"  # 30 + 10.50
    assert group(**first, value="channel")["a"] == "web"  # of the first purchase of the day
    assert group(**first, value="currency")["b"] == "JPY"


def test_amounts_of_two_currencies_are_not_added(group: Callable[..., dict[str, str]]) -> None:
    made = group(of="first_purchase", value="amount", breaks=[200, 201])
    assert made["b"] == "200-<201"  # 200 yen, without the 7 yuan of the same day


def test_breaks_belong_to_the_upper_group(group: Callable[..., dict[str, str]]) -> None:
    made = {breaks: group(value="length(region)", breaks=list(breaks))["a"] for breaks in ((5,), (6,), (2, 5, 9))}
    assert made == {(5,): ">=5", (6,): "<6", (2, 5, 9): "5-<9"}


@pytest.mark.parametrize(
    ("name", "segment", "said"),
    [
        ("group", {"value": "regio"}, "segments.group.value: column 1 of 'regio': no column is named 'regio'; did you"),
        ("replicate", {"value": "region"}, "segments.replicate: 'replicate' is a column of its own"),
        ("group", {"value": "first_seen_at", "breaks": [1]}, "breaks cut numbers; 'first_seen_at' is date"),
        ("group", {"of": "first_purchase", "value": "region"}, "no column is named 'region'"),
        ("group", {"value": "customer_id"}, "no column is named 'customer_id'"),
    ],
)
def test_segments_that_cannot_be_made_are_refused(
    group: Callable[..., dict[str, str]], name: str, segment: dict[str, Any], said: str
) -> None:
    with pytest.raises(StudyError) as refusal:
        group(name, **segment)
    assert said in str(refusal.value)


def test_a_first_purchase_needs_transactions(brand: Brand) -> None:
    brand.write("touches.csv", "id,at\na,2020-01-01\nb,2020-01-01\n")
    columns = {"customer_id": "id", "ts": "at", "channel": "'web'", "touch_type": "'click'"}
    with pytest.raises(StudyError, match=r"'of: first_purchase' needs the table transactions"):
        brand.ingest(
            {"touchpoints": {"file": "touches.csv", "columns": columns}},
            segments={"group": {"of": "first_purchase", "value": "currency"}},
        )
