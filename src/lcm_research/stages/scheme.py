"""
A lifecycle scheme, written as data: its stages, its thresholds, and the rules that put a customer into a stage.

A scheme is a YAML file, one of those beside this module or a user's own. Its rules speak of a few primitives,
integers known at the end of a period from what happened up to then, and of the scheme's thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lcm_research.data.expressions import Expression, parse
from lcm_research.errors import StudyError, nearest
from lcm_research.study import IDENTIFIER, Language

__all__ = ["COARSE", "PRIMITIVES", "WINDOW", "Rule", "Scheme", "Stage", "Threshold", "known_schemes", "load_scheme"]

WINDOW = "window_days"
"""The threshold that is always the study's churn window."""

PRIMITIVES: Mapping[str, Mapping[Language, str]] = {
    "n": {"en": "purchases ever, up to the end of the period", "zh": "截至期末的累计购买次数"},
    "r": {"en": "days since the last purchase", "zh": "距最近一次购买的天数"},
    "u": {"en": "days since the first purchase", "zh": "距首次购买的天数"},
    "n_period": {"en": "purchases in the period", "zh": "本期购买次数"},
    "r_before": {
        "en": "days since the last purchase, at the end of the period before",
        "zh": "上期末距最近一次购买的天数",
    },
}
"""What rules may ask about a customer; a number of days without the purchase it counts from fits no comparison."""

Coarse = Literal["prospect", "new", "established", "at_risk", "lapsed", "returned"]
COARSE: tuple[Coarse, ...] = ("prospect", "new", "established", "at_risk", "lapsed", "returned")
"""The coarse stages that the stages of every scheme map to, so that schemes can be compared."""

Text = Mapping[Language, str]


class Part(BaseModel):
    """A part of a scheme: frozen, and without keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Threshold(Part):
    """A number that rules compare with; ``grid`` holds the values that a sensitivity analysis tries."""

    default: float | None = None
    grid: tuple[float, ...] = Field(min_length=1)
    unit: Literal["days", "purchases"]
    meaning: Text


class Stage(Part):
    """A stage: its name in both languages and the coarse stage it belongs to."""

    name: Text
    coarse: Coarse


class Rule(Part):
    """Who is in a stage: the condition, and the same in words with ``{threshold}`` for its thresholds."""

    stage: str
    when: str = Field(min_length=1, max_length=2000)
    words: Text


class Scheme(Part):
    """
    A lifecycle scheme: the first rule that holds decides the stage.

    Which moves between stages cannot happen, and which happen by the passing of time alone, follows from the
    rules (``lcm_research.stages.moves``) and is not said in the file.
    """

    scheme: str = Field(pattern=IDENTIFIER)
    version: int = Field(ge=1)
    title: Text
    thresholds: Mapping[str, Threshold] = {}
    rising: tuple[str, ...] = ()
    stages: Mapping[str, Stage] = Field(min_length=1)
    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Scheme:
        for name, threshold in self.thresholds.items():
            if (threshold.default is None) != (name == WINDOW):
                expected = "no default: it is the study's churn window" if name == WINDOW else "a default"
                raise ValueError(f"thresholds.{name}: expected {expected}")
        for name in self.rising:
            if name not in self.thresholds:
                raise ValueError(f"rising: no threshold is named '{name}'; {nearest(name, self.thresholds)}")
        for place, rule in enumerate(self.rules, start=1):
            self._check_rule(place, rule)
        without = [stage for stage in self.stages if stage not in {rule.stage for rule in self.rules}]
        if without:
            raise ValueError(f"stages.{without[0]}: no rule leads to it; write one or drop the stage")
        return self

    def _check_rule(self, place: int, rule: Rule) -> None:
        if rule.stage not in self.stages:
            raise ValueError(f"rule {place}: no stage is named '{rule.stage}'; {nearest(rule.stage, self.stages)}")
        known = [*PRIMITIVES, *self.thresholds]
        for name in sorted(self.condition(rule).names()):
            if name not in known:
                raise ValueError(
                    f"rule {place} ({rule.stage}): '{name}' is neither a primitive nor a threshold; "
                    f"{nearest(name, known)}"
                )

    def condition(self, rule: Rule) -> Expression:
        """Return the parsed condition of a rule."""
        return parse(rule.when, where=f"scheme '{self.scheme}', stage '{rule.stage}'")

    def definition(self) -> dict[str, Any]:
        """Return the scheme as plain JSON-able values, as reductions take it."""
        return self.model_dump(mode="json")

    def names(self, language: Language) -> dict[str, str]:
        """Return the name of each stage in a language, in the scheme's order."""
        return {key: stage.name[language] for key, stage in self.stages.items()}


def known_schemes() -> list[str]:
    """Return the names of the schemes that come with the package."""
    folder = resources.files("lcm_research") / "stages" / "schemes"
    return sorted(Path(str(entry)).stem for entry in folder.iterdir() if str(entry).endswith(".yml"))


def load_scheme(scheme: str | Path | Mapping[str, Any] | Scheme) -> Scheme:
    """
    Return a scheme, validated.

    Parameters
    ----------
    scheme : str, Path, mapping or Scheme
        The name of a scheme of the package, the path of a YAML file (ending in ``.yml`` or ``.yaml``), or what
        ``Scheme.definition`` returned.

    Raises
    ------
    StudyError
        With the key or the rule that is wrong and the nearest known name.
    """
    if isinstance(scheme, Scheme):
        return scheme
    raw, place = (scheme, "scheme") if isinstance(scheme, Mapping) else _read(str(scheme))
    try:
        return Scheme.model_validate(raw)
    except ValidationError as error:
        lines = [_complaint(problem) for problem in error.errors(include_url=False)]
        raise StudyError(f"{place} is not a scheme of stages:\n  " + "\n  ".join(lines)) from None


def _read(scheme: str) -> tuple[Any, str]:
    if scheme.endswith((".yml", ".yaml")):
        path = Path(scheme).expanduser()
        if not path.is_file():
            raise StudyError(f"stages.scheme: no file at {path}; known schemes are {', '.join(known_schemes())}")
        text = path.read_text(encoding="utf-8")
    else:
        if scheme not in known_schemes():
            raise StudyError(f"stages.scheme: no scheme is named '{scheme}'; {nearest(scheme, known_schemes())}")
        folder = resources.files("lcm_research") / "stages" / "schemes"
        text = (folder / f"{scheme}.yml").read_text(encoding="utf-8")
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 2)
    try:
        return yaml.load(text), scheme
    except YAMLError as error:
        raise StudyError(f"{scheme}: not YAML: {str(error).splitlines()[0]}") from None


def _complaint(problem: Mapping[str, Any]) -> str:
    path = ".".join(str(step) for step in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = {field for part in (Scheme, Stage, Threshold, Rule) for field in part.model_fields}
        return f"{path}: unknown key; {nearest(str(problem['loc'][-1]), known)}"
    if problem["type"] == "missing":
        return f"{path}: expected, but the file does not say it"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{path}: {message}" if path else message
