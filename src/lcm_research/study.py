"""
A study as its YAML describes it: typed, frozen, and refused with the place and the remedy before anything starts.

YAML is read the 1.2 way (only ``true`` and ``false`` are booleans, no octal, no base 60); a repeated key is
an error. Every refusal names the file, the line, the key's path and, for a misspelt key, the nearest known one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lcm_research.errors import StudyError, nearest

__all__ = [
    "Churn",
    "Data",
    "Engine",
    "Hypothesis",
    "Language",
    "LeaveOut",
    "Privacy",
    "Read",
    "Segment",
    "Simulation",
    "Stages",
    "Study",
    "TableSource",
    "find_study",
    "load_study",
]

Language = Literal["en", "zh"]
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
IDENTIFIER = r"^[a-z][a-z0-9_]*$"

EPOCH = date(1970, 1, 1)


def _as_expression(value: object) -> object:
    """Let YAML scalars stand for the expressions they spell: ``is_return: false``, ``quantity: 1``."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


ExpressionText = Annotated[str, BeforeValidator(_as_expression), Field(min_length=1, max_length=2000)]


class Part(BaseModel):
    """A part of a study: frozen, and without keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)


class Read(Part):
    """How the text of a file is read; parquet needs none of it, xlsx only the sheet."""

    separator: str | None = Field(default=None, description="one character between fields; found out where absent")
    encoding: str = Field(default="utf-8", description="utf-8, gb18030, latin-1 or another codec's name")
    sheet: str | None = Field(default=None, description="sheet of a workbook; the first where absent")


class LeaveOut(Part):
    """Rows that a study leaves out, and why; each rule is counted."""

    when: ExpressionText
    because: str = ""


class TableSource(Part):
    """Where a canonical table comes from: a file, its columns mapped, its rows left out by named rules."""

    file: str = Field(min_length=1)
    read: Read = Read()
    columns: Mapping[str, ExpressionText]
    leave_out: Mapping[str, LeaveOut] = {}

    @field_validator("leave_out", mode="before")
    @classmethod
    def _short_form(cls, rules: object) -> object:
        if not isinstance(rules, Mapping):
            return rules
        return {name: {"when": rule} if isinstance(rule, str) else rule for name, rule in rules.items()}


class Simulation(Part):
    """The embedded simulated brand instead of files."""

    n_customers: int = Field(default=5_000, ge=1, le=10_000_000)
    n_months: int = Field(default=24, ge=6, le=120)
    seed: int = Field(default=20230101, ge=0)


class Data(Part):
    """
    Where the tables of a study lie.

    ``folder`` is relative to the study's file; ``${NAME}`` in it is taken from the environment, and
    ``embedded:cdnow`` is the dataset in the package. ``history`` says whether the tables hold each customer's
    whole purchase history (``complete``) or only what happened since ``observation_start``.
    """

    folder: str | None = None
    simulate: Simulation | None = None
    history: Literal["complete", "from_observation_start"] = "from_observation_start"
    tables: Mapping[str, TableSource] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_place(self) -> Data:
        if (self.folder is None) == (self.simulate is None):
            raise ValueError("expected exactly one of 'folder' and 'simulate'")
        return self


class Churn(Part):
    """What churn means: a silence longer than ``window_days`` after an activity (purchases without returns)."""

    kind: Literal["inactivity"] = "inactivity"
    window_days: int = Field(ge=1, le=3650)
    activity: tuple[Literal["purchases"], ...] = ("purchases",)


class Stages(Part):
    """Which lifecycle scheme, evaluated at the end of which period, with which thresholds changed."""

    scheme: str = "nadc"
    period: Literal["month"] = "month"
    thresholds: Mapping[str, float] = {}


class Segment(Part):
    """
    A grouping of customers: an expression over their row, or over their first purchase, cut by breaks if given.

    With ``breaks: [2, 4]`` a number becomes one of ``<2``, ``2-<4`` and ``>=4``.
    """

    of: Literal["customers", "first_purchase"] = "customers"
    value: ExpressionText
    breaks: tuple[float, ...] = ()
    label: Mapping[Language, str] = {}

    @field_validator("breaks")
    @classmethod
    def _rising(cls, breaks: tuple[float, ...]) -> tuple[float, ...]:
        if list(breaks) != sorted(set(breaks)):
            raise ValueError("expected breaks that rise")
        return breaks


class Hypothesis(Part):
    """What was expected of a finding before the data were looked at."""

    finding: str
    claim: str
    value: float | None = None
    direction: Literal["positive", "negative", "none"] = "none"
    smallest_effect: float = Field(default=0.0, ge=0, description="smallest effect of interest, in the finding's unit")
    null: float = 0.0
    registered_at: date


class Privacy(Part):
    """Groups of fewer than ``min_group`` customers are never published."""

    min_group: int = Field(default=10, ge=2, le=1000)


class Engine(Part):
    """Where reductions run, and the seed of everything random."""

    backend: Literal["duckdb", "spark"] = "duckdb"
    memory_limit_gb: float | None = Field(default=None, gt=0)
    seed: int = Field(default=1, ge=0)


class Study(Part):
    """A study, as its YAML describes it."""

    study: str = Field(pattern=NAME, max_length=60)
    title: str = Field(min_length=1, max_length=200)
    language: Language = "en"
    timezone: str
    observation_start: date
    as_of: date
    data: Data
    churn: Churn
    stages: Stages = Stages()
    segments: Mapping[Annotated[str, Field(pattern=IDENTIFIER)], Segment] = {}
    hypotheses: tuple[Hypothesis, ...] = ()
    privacy: Privacy = Privacy()
    notebooks: Mapping[str, Mapping[str, Any]] = Field(min_length=1)
    engine: Engine = Engine()

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"expected an IANA timezone such as Asia/Shanghai; came '{name}'") from error
        return name

    @field_validator("notebooks", mode="before")
    @classmethod
    def _empty_means_defaults(cls, notebooks: object) -> object:
        if not isinstance(notebooks, Mapping):
            return notebooks
        return {name: {} if given is None else given for name, given in notebooks.items()}

    @model_validator(mode="after")
    def _a_window(self) -> Study:
        follow_up = (self.as_of - self.observation_start).days
        if follow_up <= self.churn.window_days:
            raise ValueError(
                f"expected as_of more than the churn window of {self.churn.window_days} days after observation_start "
                f"({self.observation_start}); came {self.as_of}, {follow_up} days after it; no lapse could be seen: "
                "correct the two dates or choose a shorter churn.window_days"
            )
        return self

    @property
    def observation_start_day(self) -> int:
        """``observation_start`` as days since 1970-01-01."""
        return (self.observation_start - EPOCH).days

    @property
    def as_of_day(self) -> int:
        """``as_of`` (its last day is used) as days since 1970-01-01."""
        return (self.as_of - EPOCH).days

    def folder(self, path: Path) -> Path:
        """Return the folder of the files of the study whose YAML is at ``path``."""
        if self.data.folder is None:
            raise StudyError("data.folder: this study is simulated and has no folder of files")
        if self.data.folder.startswith("embedded:"):
            return _embedded(self.data.folder.removeprefix("embedded:"))
        return (path.parent / _expand(self.data.folder)).resolve()


def _embedded(name: str) -> Path:
    folder = Path(str(resources.files("lcm_research"))) / "data" / "embedded"
    known = [p.name for p in folder.iterdir() if p.is_dir()]
    if name not in known:
        raise StudyError(f"data.folder: no embedded dataset is named '{name}'; {nearest(name, known)}")
    return folder / name


def _expand(text: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise StudyError(
                f"data.folder: '{text}' needs the environment variable {name}, which is not set; "
                f"set it to the folder that holds this study's files"
            )
        return os.environ[name]

    return re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", value, text)


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
