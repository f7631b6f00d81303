"""
From a YAML file to a study, or to a refusal that names the file, the line, the key's path and the remedy.

YAML is read the 1.2 way (only ``true`` and ``false`` are booleans, no octal, no base 60); a repeated key is an error.
For a misspelt key the nearest known one is offered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lcm_research.errors import StudyError, nearest
from lcm_research.study.words import Study

__all__ = ["find_study", "load_study"]


def find_study(name: str | Path) -> Path:
    """
    Return the path of a study's YAML: a path as given, or a name looked up in ``params/``.

    ``params/`` is looked for in ``LCM_PARAMS``, in the working folder and in the folders above it.
    """
    text = str(name)
    if text.endswith((".yml", ".yaml")):
        path = Path(text).expanduser()
        if not path.is_file():
            raise StudyError(f"no study file at {path}; 'lcm list' shows the studies in params/")
        return path.resolve()
    here = Path.cwd().resolve()
    named = os.environ.get("LCM_PARAMS")
    folders = [Path(named)] if named else [folder / "params" for folder in (here, *here.parents)]
    for folder in folders:
        if (folder / f"{text}.yml").is_file():
            return (folder / f"{text}.yml").resolve()
    known = [p.stem for folder in folders if folder.is_dir() for p in folder.glob("*.yml")]
    raise StudyError(f"no study named '{text}' in params/; {nearest(text, known)}")


def load_study(path: Path, *, language: str | None = None) -> Study:
    """
    Read and validate a study's YAML; ``language`` overrides the file's.

    Raises
    ------
    StudyError
        Naming the line and the key of everything that is wrong.
    """
    raw = _read_yaml(path)
    override = {"language": language} if language else {}
    try:
        return Study.model_validate(_plain(raw) | override)
    except ValidationError as error:
        lines = [_complaint(raw, problem) for problem in error.errors(include_url=False)]
        raise StudyError(f"{path.name} is not a study that can run:\n  " + "\n  ".join(lines)) from None


def _read_yaml(path: Path) -> CommentedMap:
    yaml = YAML(typ="rt")
    yaml.version = (1, 2)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StudyError(f"{path.name}: expected utf-8 text; byte {error.start} is not; save it as utf-8") from None
    try:
        raw = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise StudyError(f"{path.name}:{place} {_yaml_problem(error)}") from None
    except (YAMLError, ValueError) as error:  # ruamel lets datetime's ValueError through for 2021-02-31
        place = _line_of_no_day(text)
        raise StudyError(f"{path.name}:{place} a value cannot be read: {error}; dates are written 2021-02-28") from None
    if not isinstance(raw, CommentedMap):
        raise StudyError(f"{path.name}: expected a mapping of keys such as 'study' and 'data'; the file holds none")
    return raw


def _yaml_problem(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error)
    if "\\t" in problem or "'\t'" in problem:
        return "a tab; YAML is indented with spaces: put spaces in its place"
    if "duplicate key" in problem:
        key = problem.removeprefix("found duplicate key ").partition(" with value")[0]
        return f"the key is repeated: {key}; keep one of the two"
    if "mapping values are not allowed" in problem:
        return "a colon where none is expected; put text that holds one in quotes, and indent keys of one level alike"
    return problem


def _line_of_no_day(text: str) -> str:
    """Return where a date stands that the calendar does not have; the reader of YAML does not say."""
    for number, line in enumerate(text.splitlines(), start=1):
        for year, month, day in re.findall(r"\b(\d{4})-(\d\d?)-(\d\d?)\b", line.partition(" #")[0]):
            try:
                date(int(year), int(month), int(day))
            except ValueError:
                return f" line {number}:"
    return ""


def _plain(value: Any) -> Any:
    """Strip ruamel's comment-carrying types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, CommentedSeq):
        return [_plain(item) for item in value]
    return value


def _complaint(raw: CommentedMap, problem: Mapping[str, Any]) -> str:
    path = [step for step in problem["loc"] if not _is_tag(step)]
    place = ".".join(str(step) for step in path)
    prefix = f"line {_line(raw, path)}: {place}: " if place else ""
    kind = problem["type"]
    if kind == "extra_forbidden":
        return f"{prefix}unknown key; {nearest(str(path[-1]), _known_keys(path[:-1]))}"
    if kind == "missing":
        return f"{prefix}expected, but the file does not say it; add it"
    message = problem["msg"].removeprefix("Value error, ")
    if kind in {"dict_type", "mapping_type", "model_type"}:
        message = f"expected lines of the form 'name: value' below '{path[-1]}:', indented"
    came = problem.get("input")
    shown = f"; came {came!r}" if isinstance(came, str | int | float | bool) and "came" not in message else ""
    return f"{prefix}{message[0].lower()}{message[1:]}{shown}{_remedy(kind)}"


def _remedy(kind: str) -> str:
    """Return how a value is written whose type or form is not the expected one."""
    if kind.startswith("date"):
        return "; dates are written 2024-12-31"
    if kind.startswith("int"):
        return "; write a whole number, such as 90"
    if kind == "string_pattern_mismatch":
        return "; write it with letters from a to z, digits and _"
    return ""


def _is_tag(step: object) -> bool:
    return isinstance(step, str) and step.startswith("function-")


def _line(raw: Any, path: Sequence[Any]) -> int:
    """Return the line of the deepest key of ``path`` that the file has."""
    line, node = 1, raw
    for step in path:
        if isinstance(node, CommentedMap) and step in node:
            line = node.lc.key(step)[0] + 1
        elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
            line = node.lc.item(step)[0] + 1
        else:
            break
        node = node[step]
    return line


def _known_keys(path: Sequence[Any]) -> list[str]:
    """Return the keys that are known at ``path`` by walking the models' annotations."""
    annotation: Any = Study
    for step in path:
        models = list(_models_in(annotation))
        if not models:
            return []
        if step in models[0].model_fields:
            annotation = models[0].model_fields[step].annotation
    return [field for model in list(_models_in(annotation))[:1] for field in model.model_fields]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not None:
        for argument in get_args(annotation):
            yield from _models_in(argument)
