from __future__ import annotations

import math
import types
from decimal import Decimal
from typing import Any

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis.backends.sql.compilers import pyspark

from lcm_research.data.expressions import parse
from lcm_research.errors import StudyError

ROWS = pd.DataFrame(
    {
        "text": ["12.5", "x", None],
        "Invoice No": ["C1", "D_", ""],
        "金额": ["1", "¥2", "3,4"],
        "whole": [1, 2, 3],
        "at": pd.to_datetime(["2020-01-31 00:00:00", "2020-02-29 10:20:00", None]),
        "date": ["31/02/2020", "9/3/2021", " 01/12/1999 "],
    }
)


@pytest.fixture(scope="module")
def engine() -> Any:
    return ibis.duckdb.connect()


def column(text: str) -> tuple[ibis.Table, Any]:
    table = ibis.memtable(ROWS)
    columns = {name: table[name] for name in table.columns}
    return table, parse(text, where="amount", columns=list(columns)).to_ibis(columns)


def values(engine: Any, text: str) -> list[Any]:
    table, value = column(text)
    made = engine.to_pyarrow(table.select(x=value))["x"].to_pylist()
    return [None if isinstance(x, float) and math.isnan(x) else x for x in made]


# worked by hand: the three rows above
MEANINGS = {
    "text * 2": [Decimal(25), None, None],
    "text + whole": [Decimal("13.5"), None, None],
    "text > 3": [True, None, None],
    "whole / 0": [None, None, None],
    "whole // 2": [0, 1, 1],
    "whole % 2": [1, 0, 1],
    "-whole": [-1, -2, -3],
    "abs(-whole)": [1, 2, 3],
    "0.1 * whole": [Decimal("0.1"), Decimal("0.2"), Decimal("0.3")],
    "round(text, 0)": [Decimal(13), None, None],
    "whole = 1 or whole = 3": [True, False, True],
    "not whole = 1 and whole < 3": [False, True, False],
    "whole >= 1 and whole > 2": [False, False, True],
    "whole <> 2": [True, False, True],
    "text in (12.5, 3)": [True, None, None],
    "text not in ('x')": [True, False, None],
    "whole between 2 and 3": [False, True, True],
    "whole not between 2 and 3": [True, False, False],
    "\"Invoice No\" like 'C%'": [True, False, False],
    "\"Invoice No\" not like 'C%'": [False, True, True],
    "text is null": [False, False, True],
    "text is not null": [True, True, False],
    "(text > 3) is true": [True, False, False],
    "case when whole = 1 then text else 0 end": [Decimal("12.5"), Decimal(0), Decimal(0)],
    "case whole when 1 then 'a' end": ["a", None, None],
    "coalesce(text, 0)": [Decimal("12.5"), Decimal(0), Decimal(0)],
    "nullif(\"Invoice No\", '')": ["C1", "D_", None],
    "cast(text as double)": [12.5, None, None],
    "cast(whole as text)": ["1", "2", "3"],
    "cast(text as decimal(10, 2))": [Decimal("12.50"), None, None],
    "lower(upper(text))": ["12.5", "x", None],
    "trim(date)": ["31/02/2020", "9/3/2021", "01/12/1999"],
    "length(date)": [10, 8, 12],
    "substr(date, 1, 2)": ["31", "9/", " 0"],
    "replace(金额, '¥', '') * 1": [Decimal(1), Decimal(2), None],
    "concat(text, '-', whole)": ["12.5-1", "x-2", None],
    "text || whole": ["12.51", "x2", None],
    "year(at)": [2020, 2020, None],
    "month(at)": [1, 2, None],
    "hour(at)": [0, 10, None],
    "weekday(at)": [4, 5, None],  # a Friday and a Saturday; Monday is 0
    "strftime(at, '%Y-%m')": ["2020-01", "2020-02", None],
    "at >= '2020-02-01'": [False, True, None],
    "date(at) = date '2020-01-31'": [True, False, None],
    "Invoice No": ["C1", "D_", ""],
    "金额": ["1", "¥2", "3,4"],
    "true": [True, True, True],
}


@pytest.mark.parametrize("text", MEANINGS)
def test_expressions_mean_what_sql_says(engine: Any, text: str) -> None:
    assert values(engine, text) == MEANINGS[text]


@pytest.mark.parametrize("text", [*MEANINGS, "strptime(date, '%d/%m/%Y %I:%M %p')"])
def test_every_allowed_expression_compiles_to_spark(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = types.SimpleNamespace(pyspark=types.SimpleNamespace(treat_nan_as_null=False))
    monkeypatch.setattr(pyspark, "options", known, raising=False)  # registered only where pyspark is installed
    _, value = column(text)
    table = ibis.table({name: value.type() for name in ["x"]}, name="t")
    assert pyspark.compiler.to_sqlglot(table).sql("spark")
    source = ibis.table(ibis.memtable(ROWS).schema(), name="rows")
    again = parse(text, where="amount", columns=source.columns).to_ibis({c: source[c] for c in source.columns})
    assert pyspark.compiler.to_sqlglot(source.select(x=again)).sql("spark")


REFUSED = {
    "select 1": "Select",
    "whole in (select 1)": "In with query",
    "sum(whole)": "Sum",
    "row_number() over ()": "Window",
    "current_date": "CurrentDate",
    "read_csv('x')": "ReadCSV",
    "getenv('HOME')": "getenv",
    "whole.text": "Column with table",
    "text like 'a' escape '#'": "Escape",
    "ltrim(text)": "Trim with position",
    "text ilike 'x'": "ILike",
    "whole as text": "Alias",
    "Unit Price * 2": "cannot be read",
    "whole[1]": "Bracket",
    "{'a': 1}": "Struct",
    "interval 1 day": "Interval",
    "*": "Star",
    "?": "Placeholder",
    "text collate nocase": "Collate",
    "whole; text": "came 2",
    "": "came 0",
    "whole +": "cannot be read at column 7",
    "'open": "cannot be read",
    "(" * 900: "cannot be read",
    " + ".join(["whole"] * 150): "nested more than 100 levels",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_what_is_not_in_the_list_is_refused_by_name(text: str) -> None:
    with pytest.raises(StudyError, match=r"^amount: ") as refusal:
        parse(text, where="amount")
    assert REFUSED[text] in str(refusal.value)


def test_a_refusal_names_the_column_of_the_text() -> None:
    with pytest.raises(StudyError, match=r"column 9 of 'whole \+ f"):
        parse("whole + f(1)", where="amount")


MISFITS = {
    "whole and true": "expected a condition, came int64",
    "at + 1": "expected a number, came timestamp",
    "year(whole)": "expected a date, came int64; use strptime",
    "strptime(date, '%Q')": "%Q of '%Q' is not known; use %Y",
    "strptime(date, '%d/%Y')": "expected a year, a month and a day",
    "strptime(date, date)": "expected text in single quotes",
    "strftime(at, '%A')": "%A of '%A' is not known",
    "cast(whole as json)": "expected int, bigint, double",
    "substr(date, 0)": "the first letter is 1",
    "substr(date, whole)": "expected a whole number",
    "wole": "no column is named 'wole'; did you mean 'whole'?",
}


@pytest.mark.parametrize("text", MISFITS)
def test_types_that_do_not_fit_are_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(StudyError) as refusal:
        column(text)
    assert MISFITS[text] in str(refusal.value)


def test_names_are_the_columns_that_are_read() -> None:
    assert parse("case when a > 1 then \"b c\" else 'd' end", where="x").names() == {"a", "b c"}


def test_text_of_the_yaml_never_reaches_the_engine() -> None:
    table, value = column("replace(text, '''); drop table t; --', '')")
    assert "drop table" not in ibis.to_sql(table.select(x=value)).replace("'''); drop table t; --'", "")


row = st.tuples(*[st.integers(-50, 50)] * 3)


@settings(max_examples=5, deadline=None)
@given(rows=st.lists(row, min_size=20, max_size=60))
def test_arithmetic_and_logic_agree_with_python(engine: Any, rows: list[tuple[int, int, int]]) -> None:
    table = ibis.memtable(pd.DataFrame(rows, columns=list("abc")))
    columns = {name: table[name] for name in "abc"}
    texts = ["a + b * c - -a", "a * (b - c)", "abs(a) - abs(b) + c", "a >= b and not (b < c or a - 1 < c)"]
    made = engine.to_pyarrow(table.select(**{t: parse(t, where="x").to_ibis(columns) for t in texts}))
    for text in texts:
        expected = [eval(text, {"a": a, "b": b, "c": c, "abs": abs}) for a, b, c in rows]
        assert made[text].to_pylist() == expected
