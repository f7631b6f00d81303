"""
A lifecycle scheme, written as data: its stages, its thresholds, and the rules that put a customer into a stage.

A scheme is a YAML file, one of those beside this module or a user's own. Its rules speak of a few primitives,
integers known at the end of a period from what happened up to then, and of the scheme's thresholds.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lcm_research.data.expressions import Expression, parse
from lcm_research.errors import StudyError, nearest
from lcm_research.stages.primitives import DEFAULT_WINDOW, PRIMITIVES, Unit, of_unit, window_family
from lcm_research.stages.thresholds import WINDOW, Cut, Part, Text, Threshold
from lcm_research.study import IDENTIFIER, Language

__all__ = [
    "COARSE",
    "PRIMITIVES",
    "WINDOW",
    "Acts",
    "CoarseCase",
    "Rule",
    "Scheme",
    "Stage",
    "Threshold",
    "known_schemes",
    "load_scheme",
]

Coarse = Literal["prospect", "new", "established", "at_risk", "lapsed", "returned"]
COARSE: tuple[Coarse, ...] = ("prospect", "new", "established", "at_risk", "lapsed", "returned")
"""The coarse stages that the stages of every scheme map to, so that schemes can be compared."""


class CoarseCase(Part):
    """A condition under which a stage belongs to another coarse stage than its own."""

    when: str = Field(min_length=1, max_length=2000)
    coarse: Coarse


class Stage(Part):
    """
    A stage: its name in both languages and the coarse stage it belongs to.

    Parameters
    ----------
    name : mapping
    coarse : str
        For most of its customers.
    cases : list of CoarseCase
        For the others; the first that holds decides.
    ours : bool
        The source of the scheme does not have it; it is here so that everybody has a stage.
    closable : bool
        A value of a threshold may leave nobody in it; it is then not a stage.
    """

    name: Text
    coarse: Coarse
    cases: tuple[CoarseCase, ...] = ()
    ours: bool = False
    closable: bool = False


class Rule(Part):
    """Who is in a stage: the condition, and the same in words with ``{threshold}`` for its thresholds."""

    stage: str
    when: str = Field(min_length=1, max_length=2000)
    words: Text


class Acts(Part):
    """
    How acts in the table engagements count, by the word in its column ``action``.

    Parameters
    ----------
    weights : mapping of action to int
        What an act adds to ``e_w``; 1 where not said. An act of weight 0 is no engagement.
    passive : tuple of str
        Engagement that is not active, so no kind of act in ``n_acts``.
    intent : tuple of str
        Acts that ``intent_w`` counts.
    """

    weights: Mapping[str, int] = {"unfollow": 0}
    passive: tuple[str, ...] = ("follow",)
    intent: tuple[str, ...] = ("cart", "dm", "coupon", "trial")


class Scheme(Part):
    """
    A lifecycle scheme: the first rule that holds decides the stage.

    Which moves between stages cannot happen, and which happen by the passing of time alone, follows from the
    rules (``lcm_research.stages.moves``); the file may add moves that never happen.

    Parameters
    ----------
    unit : {"customer", "community"}
        Who has a stage.
    whole_history : bool
        Rules need all purchases ever: a customer whose history is cut off at the left edge stays unknown.
    thresholds : mapping
    rising : tuple of str
        Thresholds of which each is at most the next.
    windows : mapping of primitive to threshold
        The window of a primitive; ``w`` where not said.
    optional : tuple of str
        Primitives that are missing, not refused, where the study lacks their table.
    cuts : mapping of name to Cut
        Quantiles that rules may name.
    streaks : mapping of name to condition
        For how many period ends in a row a condition has held, by the name that rules use.
    acts : Acts
    survey_item : str
        The item of the table survey that ``loyalty`` reads.
    tiers : tuple of str
        The tiers of the table tier_history, the lowest first; without them its column threshold orders them.
    stages, rules
    never : tuple of pairs of stages
        Moves within a period that cannot happen for reasons that the rules do not say.
    """

    scheme: str = Field(pattern=IDENTIFIER)
    version: int = Field(ge=1)
    title: Text
    unit: Unit = "customer"
    whole_history: bool = False
    thresholds: Mapping[str, Threshold] = {}
    rising: tuple[str, ...] = ()
    windows: Mapping[str, str] = {}
    optional: tuple[str, ...] = ()
    cuts: Mapping[str, Cut] = {}
    streaks: Mapping[str, str] = {}
    acts: Acts = Acts()
    survey_item: str = "loyalty"
    tiers: tuple[str, ...] = ()
    stages: Mapping[str, Stage] = Field(min_length=1)
    rules: tuple[Rule, ...] = Field(min_length=1)
    never: tuple[tuple[str, str], ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Scheme:
        for name, threshold in self.thresholds.items():
            if (threshold.default is None) != (name == WINDOW):
                expected = "no default: it is the study's churn window" if name == WINDOW else "a default"
                raise ValueError(f"thresholds.{name}: expected {expected}")
        asked: list[tuple[str, str, Mapping[str, Any]]]
        asked = [(f"rising: no threshold is named '{name}'", name, self.thresholds) for name in self.rising]
        asked += [(f"windows.{p}: no threshold is named '{w}'", w, self.thresholds) for p, w in self.windows.items()]
        asked += [(f"windows: no primitive is named '{p}'", p, PRIMITIVES) for p in self.windows]
        asked += [(f"optional: no primitive is named '{p}'", p, PRIMITIVES) for p in self.optional]
        asked += [(f"never: no stage is named '{stage}'", stage, self.stages) for pair in self.never for stage in pair]
        for message, name, known in asked:
            if name not in known:
                raise ValueError(f"{message}; {nearest(name, known)}")
        for place, rule in enumerate(self.rules, start=1):
            if rule.stage not in self.stages:
                raise ValueError(f"rule {place}: no stage is named '{rule.stage}'; {nearest(rule.stage, self.stages)}")
            self._check_names(f"rule {place} ({rule.stage})", rule.when, [*self.streaks, *self.cuts])
        without = [stage for stage in self.stages if stage not in {rule.stage for rule in self.rules}]
        if without:
            raise ValueError(f"stages.{without[0]}: no rule leads to it; write one or drop the stage")
        self._check_parts()
        return self

    def _check_parts(self) -> None:
        """Refuse cuts, streaks, crosswalks and windows that name what there is not."""
        for name, cut in self.cuts.items():
            self._check_names(f"cuts.{name}.among", cut.among, [])
            self._check_names(f"cuts.{name}.of", cut.of, [])
            if cut.quantile not in self.thresholds:
                raise ValueError(
                    f"cuts.{name}.quantile: no threshold is named '{cut.quantile}'; "
                    f"{nearest(cut.quantile, self.thresholds)}"
                )
        for name, condition in self.streaks.items():
            self._check_names(f"streaks.{name}", condition, [])
        for stage, meant in self.stages.items():
            for case in meant.cases:
                self._check_names(f"stages.{stage}.cases", case.when, [*self.streaks, *self.cuts])
        for name in sorted(self.needs()):
            if PRIMITIVES[name].windowed and self.window_of(name) not in self.thresholds:
                raise ValueError(
                    f"'{name}' counts over a window, and no threshold is named '{self.window_of(name)}'; add it, or "
                    f"say under windows which threshold it is"
                )

    def _check_names(self, place: str, text: str, more: list[str]) -> None:
        known = [*of_unit(self.unit), *self.thresholds, *more]
        for name in sorted(self.expression(place, text).names()):
            if name not in known:
                raise ValueError(f"{place}: '{name}' is neither a primitive nor a threshold; {nearest(name, known)}")

    def expression(self, place: str, text: str) -> Expression:
        """Return a part of the scheme that is an expression, parsed; ``place`` says where it stands."""
        return _parsed(text, f"scheme '{self.scheme}', {place}")

    def condition(self, rule: Rule) -> Expression:
        """Return the parsed condition of a rule."""
        return self.expression(f"stage '{rule.stage}'", rule.when)

    def conditions(self) -> list[Expression]:
        """Return every expression of the scheme, parsed: rules, streaks, cuts and crosswalks."""
        texts = [rule.when for rule in self.rules] + list(self.streaks.values())
        texts += [text for cut in self.cuts.values() for text in (cut.of, cut.among)]
        texts += [case.when for stage in self.stages.values() for case in stage.cases]
        return [self.expression("rules", text) for text in texts]

    def needs(self) -> frozenset[str]:
        """Return the primitives that the scheme names: only those are computed."""
        named = {name for condition in self.conditions() for name in condition.names()}
        return frozenset(named & set(PRIMITIVES))

    def window_of(self, primitive: str) -> str:
        """Return the threshold that is the window of a primitive."""
        return self.windows.get(window_family(primitive), DEFAULT_WINDOW)

    def definition(self) -> dict[str, Any]:
        """Return the scheme as plain JSON-able values, as reductions take it."""
        return self.model_dump(mode="json", exclude_unset=True)

    def names(self, language: Language) -> dict[str, str]:
        """Return the name of each stage in a language, in the scheme's order."""
        return {key: stage.name[language] for key, stage in self.stages.items()}


@functools.lru_cache(maxsize=2000)
def _parsed(text: str, where: str) -> Expression:
    return parse(text, where=where)


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
        known = {
            field for part in (Scheme, Stage, Threshold, Rule, Cut, Acts, CoarseCase) for field in part.model_fields
        }
        return f"{path}: unknown key; {nearest(str(problem['loc'][-1]), known)}"
    if problem["type"] == "missing":
        return f"{path}: expected, but the file does not say it"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{path}: {message}" if path else message
