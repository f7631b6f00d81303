from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcm_research.data.datetimes import day_and_instant, strptime


@pytest.fixture(scope="module")
def engine() -> Any:
    return ibis.duckdb.connect()


def read(engine: Any, text: str, format: str) -> datetime | None:
    return engine.to_pyarrow(strptime(ibis.literal(text), format)).as_py()


def placed(engine: Any, value: Any, timezone: str) -> tuple[int | None, int | None]:
    day, ts_us = day_and_instant(value, timezone)
    row = engine.to_pyarrow(ibis.memtable({"one": [1]}).select(day=day, ts_us=ts_us)).to_pylist()[0]
    return row["day"], row["ts_us"]


FORMATS = (
    *("%d/%m/%Y", "%Y%m%d", "%m/%d/%Y %I:%M %p", "%d-%b-%y", "%B %d, %Y", "%Y.%m.%d %H:%M:%S.%f", "%Y年%m月%d日"),
)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=2, deadline=None)
@given(moments=st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)), min_size=30))
def test_formats_are_read_as_python_reads_them(engine: Any, format: str, moments: list[datetime]) -> None:
    texts = [moment.strftime(format) for moment in moments]
    table = ibis.memtable({"text": texts})
    made = engine.to_pyarrow(table.select(x=strptime(table.text, format)))["x"].to_pylist()
    assert made == [datetime.strptime(text, format) for text in texts]


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("31/02/2020", "%d/%m/%Y"),  # no such day
        ("12/31/2020", "%d/%m/%Y"),  # month first
        ("2020-01-31", "%d/%m/%Y"),
        ("1997111", "%Y%m%d"),  # a digit is missing
        ("1/31/2020 13:05 PM", "%m/%d/%Y %I:%M %p"),  # thirteen is no hour of twelve
        ("31/01/2020 and more", "%d/%m/%Y"),
        ("3-Foo-21", "%d-%b-%y"),
        ("", "%d/%m/%Y"),
    ],
)
def test_what_does_not_fit_its_format_is_null(engine: Any, text: str, format: str) -> None:
    assert read(engine, text, format) is None


@pytest.mark.parametrize(
    ("format", "problem"),
    [("%d/%m", "a year, a month and a day"), ("%d/%d/%m/%Y", "each once"), ("%Y-%m-%d %I", "%I"), ("%Y-%j", "%j")],
)
def test_a_format_that_names_no_day_is_refused(format: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        strptime(ibis.literal("x"), format)


def in_zone(moment: datetime, zone: str) -> int:
    """Microseconds of a local time by the timezone database: the later of two, forward over a gap."""
    local = moment.replace(tzinfo=ZoneInfo(zone))
    skipped = local.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != moment
    chosen = local if skipped else local.replace(fold=1)
    return (chosen - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York", "Europe/London", "Asia/Kathmandu"])
@settings(max_examples=2, deadline=None)
@given(moments=st.lists(st.datetimes(datetime(1970, 1, 2), datetime(2037, 12, 30)), min_size=50))
def test_local_times_are_placed_as_the_timezone_database_places_them(
    engine: Any, zone: str, moments: list[datetime]
) -> None:
    around = [datetime(2021, 3, 14, 1) + timedelta(minutes=30 * step) for step in range(6)]
    around += [datetime(2021, 11, 7, 0) + timedelta(minutes=30 * step) for step in range(6)]
    moments = moments + around
    expected_us = [in_zone(moment, zone) for moment in moments]
    expected_days = [(moment.date() - date(1970, 1, 1)).days for moment in moments]
    table = ibis.memtable({"text": [moment.isoformat(sep=" ") for moment in moments]})
    for value in (table.text, table.text.try_cast("timestamp")):
        day, ts_us = day_and_instant(value, zone)
        made = engine.to_pyarrow(table.select(day=day, ts_us=ts_us))
        assert made["day"].to_pylist() == expected_days
        assert made["ts_us"].to_pylist() == expected_us


# 23:30 in Shanghai is 15:30 UTC of the same day; 20:30 UTC is 04:30 of the next day there
@pytest.mark.parametrize(
    ("text", "day", "clock"),
    [
        ("2020-01-31", 18292, "2020-01-30T16:00:00"),
        ("2020-01-31 23:30", 18292, "2020-01-31T15:30:00"),
        ("2020/1/31 23:30:00.5", 18292, "2020-01-31T15:30:00.5"),
        ("2020-01-31T20:30:00Z", 18293, "2020-01-31T20:30:00"),
        ("2020-01-31 20:30:00 UTC", 18293, "2020-01-31T20:30:00"),
        ("2020-01-31 20:30:00 +0000", 18293, "2020-01-31T20:30:00"),
        ("2020-01-31T18:30:00+08:00", 18292, "2020-01-31T10:30:00"),
        ("31/01/2020", None, None),
        ("2020-02-30", None, None),
        ("epoch", None, None),
        ("infinity", None, None),
        ("", None, None),
    ],
)
def test_iso_text_is_local_unless_it_names_its_offset(
    engine: Any, text: str, day: int | None, clock: str | None
) -> None:
    micros = None if clock is None else int(pd.Timestamp(clock, tz="UTC").value // 1000)
    assert placed(engine, ibis.literal(text), "Asia/Shanghai") == (day, micros)


def test_the_hour_that_comes_twice_is_the_later_and_the_one_that_never_comes_moves_forward(engine: Any) -> None:
    # New York 2021: 01:30 on 7 November is 05:30 or 06:30 UTC; 02:30 on 14 March would be 03:30 = 07:30 UTC
    assert placed(engine, ibis.literal("2021-11-07 01:30"), "America/New_York")[1] == _us("2021-11-07T06:30")
    assert placed(engine, ibis.literal("2021-03-14 02:30"), "America/New_York")[1] == _us("2021-03-14T07:30")


def _us(clock: str) -> int:
    return int(pd.Timestamp(clock, tz="UTC").value // 1000)


def test_numbers_are_no_dates() -> None:
    with pytest.raises(TypeError, match="came int64"):
        day_and_instant(ibis.literal(20200131, type="int64"), "UTC")
