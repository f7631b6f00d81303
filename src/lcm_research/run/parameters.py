"""What a notebook's parameters cell declares, and whether a value given from outside fits it."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Optional, Union

from pydantic import TypeAdapter, ValidationError

from lcm_research.errors import StudyError, nearest

__all__ = ["Parameter", "declared_parameters", "from_text", "parse_setting", "validated"]

ANNOTATIONS: Mapping[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "None": None,
    "Literal": Literal,
    "Optional": Optional,
    "Union": Union,
}
"""What an annotation may be made of: everything that YAML and JSON can say."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """
    One line of a parameters cell.

    Parameters
    ----------
    annotation : str
        As the cell writes it: ``"int"``, ``"list[str] | None"``.
    default : JSON value
        What holds where nobody sets the parameter.
    comment : str
        What stands behind ``#``: the unit, and what it means.
    """

    name: str
    annotation: str
    default: Any
    comment: str = ""

    @property
    def type(self) -> TypeAdapter[Any]:
        """The type that the annotation names."""
        # compiled without builtins, from a closed set of names; the cell would run in any case
        return TypeAdapter(eval(self.annotation, {"__builtins__": {}}, dict(ANNOTATIONS)))


def declared_parameters(source: str, *, notebook: str) -> dict[str, Parameter]:
    """
    Read the parameters that a cell declares, in its order.

    Every statement is ``name: type = literal``; anything else, an annotation that JSON has no value for, or
    a default of another type is a StudyError that names the line.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise StudyError(f"{notebook}: line {error.lineno} of the parameters cell is not Python: {error.msg}") from None
    comments = _comments(source)
    return {p.name: p for p in (_parameter(s, comments, notebook) for s in tree.body)}


def _parameter(statement: ast.stmt, comments: Mapping[int, str], notebook: str) -> Parameter:
    place = f"{notebook}: line {statement.lineno} of the parameters cell"
    if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value):
        raise StudyError(f"{place}: expected 'name: type = value  # unit'; came '{ast.unparse(statement)}'")
    name, annotation = statement.target.id, ast.unparse(statement.annotation)
    unknown = sorted({n.id for n in ast.walk(statement.annotation) if isinstance(n, ast.Name)} - set(ANNOTATIONS))
    if unknown:
        raise StudyError(f"{place}: '{name}' has a type that a YAML cannot say, '{unknown[0]}'; use str")
    try:
        default = ast.literal_eval(statement.value)
    except ValueError:
        raise StudyError(f"{place}: expected a literal; came '{ast.unparse(statement.value)}'") from None
    comment = comments.get(statement.end_lineno or statement.lineno, "")
    parameter = Parameter(name=name, annotation=annotation, default=default, comment=comment)
    validated(parameter, default, place=place)
    return parameter


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").rstrip() for t in tokens if t.type == tokenize.COMMENT}


def validated(parameter: Parameter, value: Any, *, place: str) -> Any:
    """
    Return ``value`` as the notebook will get it, or raise StudyError: no type is turned into another.

    An int serves as a float and a list as a tuple, as in JSON; ``"7"`` never serves as an int nor 7 as a str.
    """
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise StudyError(
            f"{place}: '{parameter.name}' is {_expected(parameter)}; came {value} ({type(value).__name__}), which "
            "has no JSON form; write it in quotes"
        ) from None
    try:
        return parameter.type.dump_python(parameter.type.validate_json(text, strict=True), mode="json")
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]["msg"].replace("valid array", "list, as in [a, b]")
        example = f"; its default is {parameter.default!r}" if value is not parameter.default else ""
        raise StudyError(
            f"{place}: '{parameter.name}' is {_expected(parameter)}; came {value!r}: "
            f"{problem[0].lower()}{problem[1:]}{example}"
        ) from None


def _expected(parameter: Parameter) -> str:
    return f"declared {parameter.annotation}" + (f" ({parameter.comment})" if parameter.comment else "")


def from_text(parameter: Parameter, text: str, *, place: str = "") -> Any:
    """
    Read a value from the command line by the declared type.

    A ``str`` takes the text as it is (``007`` stays ``007``); other types are written as in JSON, and a list also
    with commas. ``place`` begins the refusal.

    >>> from_text(Parameter(name="channels", annotation="list[str]", default=[]), "weibo,email")
    ['weibo', 'email']
    """
    place = place or f"--set {parameter.name}={text}"
    for reading in _readings(text):
        try:
            return validated(parameter, reading, place=place)
        except StudyError:
            continue
    return validated(parameter, _json(text, otherwise=text), place=place)


def _readings(text: str) -> Iterable[Any]:
    """Return what a text may mean, the most literal reading first."""
    if text.lower() in {"none", "null"}:
        yield None
    yield text
    yield _json(text, otherwise=text)
    items = [item.strip() for item in text.split(",")] if text else []
    yield items
    yield [_json(item, otherwise=item) for item in items]


def _json(text: str, *, otherwise: Any) -> Any:
    words = {"true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return otherwise


def parse_setting(setting: str) -> tuple[str, str, str]:
    """
    Split ``notebook.parameter=value``; StudyError where it has another form.

    >>> parse_setting("01_churn.horizon_days=360")
    ('01_churn', 'horizon_days', '360')
    """
    target, equals, value = setting.partition("=")
    notebook, dot, name = target.strip().rpartition(".")
    if not (equals and dot and notebook and name):
        raise StudyError(
            f"--set {setting}: expected notebook.parameter=value, as in 01_churn_survival.horizon_days=360"
        )
    return notebook, name, value


def known(name: str, parameters: Mapping[str, Parameter], *, place: str) -> Parameter:
    """Return the declared parameter of that name; StudyError with the nearest one where there is none."""
    if name == "study":
        raise StudyError(f"{place}: 'study' is set by the run and cannot be set here; remove it")
    if name not in parameters:
        settable = [p for p in parameters if p != "study"]
        raise StudyError(f"{place}: the notebook declares no parameter '{name}'; {nearest(name, settable)}")
    return parameters[name]
