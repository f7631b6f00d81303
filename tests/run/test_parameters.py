"""What a parameters cell declares, and which values fit."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from lcm_research.errors import StudyError
from lcm_research.run.parameters import Parameter, declared_parameters, from_text, parse_setting, validated


def parameter(annotation: str) -> Parameter:
    return Parameter(name="x", annotation=annotation, default=None)


def test_a_cell_declares_names_types_defaults_and_units() -> None:
    source = 'study: str = "demo"  # name\nweeks: list[int] = [4, 8]  # weeks\nrate: float = 0.1\n'
    found = declared_parameters(source, notebook="a.ipynb")
    assert [(p.name, p.annotation, p.default, p.comment) for p in found.values()] == [
        ("study", "str", "demo", "name"),
        ("weeks", "list[int]", [4, 8], "weeks"),
        ("rate", "float", 0.1, ""),
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("weeks = 4", r"a\.ipynb: line 1 .* expected 'name: type = value  # unit'; came 'weeks = 4'"),
        ("\nweeks: int", r"line 2 .* came 'weeks: int'"),
        ("day: date = 1", r"'day' has a type that a YAML cannot say, 'date'; use str"),
        ("weeks: int = 2 * 4", r"expected a literal; came '2 \* 4'"),
        ("weeks: int = 1.5  # weeks", r"'weeks' is declared int \(weeks\); came 1\.5"),
        ("weeks: int =", r"line 1 of the parameters cell is not Python"),
    ],
)
def test_a_line_that_declares_nothing_is_refused(source: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        declared_parameters(source, notebook="a.ipynb")


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        ("str", "007", "007"),
        ("str", "null", "null"),
        ("str", "a,b", "a,b"),
        ("str | None", "null", None),
        ("int", "7", 7),
        ("int | None", "7", 7),
        ("float", "7", 7.0),
        ("bool", "True", True),
        ("list[str]", "1,2", ["1", "2"]),
        ("list[str]", "weibo", ["weibo"]),
        ("list[str]", "", []),
        ("list[int]", "1, 2", [1, 2]),
        ("list[int]", "[1, 2]", [1, 2]),
        ("tuple[int, int]", "1,2", [1, 2]),
        ("dict[str, float]", '{"a": 1}', {"a": 1.0}),
        ("Literal['week', 'month']", "week", "week"),
    ],
)
def test_text_is_read_by_the_declared_type(annotation: str, text: str, value: Any) -> None:
    read = from_text(parameter(annotation), text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("int", "007"),
        ("int", "7.0"),
        ("int", "1e3"),
        ("int", "true"),
        ("int", ""),
        ("float", "NaN"),
        ("float", "true"),
        ("bool", "1"),
        ("bool", "yes"),
        ("list[int]", "1,b"),
        ("Literal['week', 'month']", "day"),
    ],
)
def test_text_of_another_type_is_refused(annotation: str, text: str) -> None:
    with pytest.raises(StudyError, match=r"--set x=.*'x' is declared"):
        from_text(parameter(annotation), text)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [("int", "7"), ("int", 7.0), ("int", True), ("str", 7), ("bool", 1), ("str", date(2024, 1, 1)), ("list[int]", 7)],
)
def test_no_value_of_a_study_is_turned_into_another_type(annotation: str, value: Any) -> None:
    with pytest.raises(StudyError, match="'x' is declared"):
        validated(parameter(annotation), value, place="shop.yml")


def test_a_date_without_quotes_is_told_what_to_do() -> None:
    with pytest.raises(StudyError, match=r"came 2024-01-01 \(date\).*write it in quotes"):
        validated(parameter("str"), date(2024, 1, 1), place="shop.yml")


@pytest.mark.parametrize("setting", ["horizon_days=1", "a.b", "=", ".x=1", "a.=1"])
def test_a_setting_names_notebook_parameter_and_value(setting: str) -> None:
    with pytest.raises(StudyError, match=r"expected notebook\.parameter=value"):
        parse_setting(setting)


def test_a_value_may_hold_equals_and_dots() -> None:
    assert parse_setting("01_a.x=b=c.d") == ("01_a", "x", "b=c.d")
