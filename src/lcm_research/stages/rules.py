"""
A scheme with its thresholds set: one expression that gives every customer-period its stage.

The first rule that holds decides, so no two stages overlap; a scheme whose rules leave somebody out, or hold a
stage that nobody can be in, is refused before anything is counted.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.errors import StudyError, nearest
from lcm_research.stages.kinds import kinds_of_purchases, reached
from lcm_research.stages.primitives import PRIMITIVES
from lcm_research.stages.scheme import COARSE, WINDOW, Rule, Scheme, load_scheme
from lcm_research.stages.thresholds import check_value
from lcm_research.study import Language

__all__ = ["CutValue", "StageRules", "stage_rules"]

CutValue = float | Mapping[str, float]
"""A cut read off the data: one number, or one for each period by its ``period_start``."""

LONGEST = 3650
"""The longest churn window, in days."""

STAND_IN = 1000.0
"""Any positive number serves as a cut where only the order of values matters."""

OURS = {
    "en": " (not in the source of the scheme; added so that everybody has a stage)",
    "zh": "（方案原文没有，为使人人有阶段而补充）",
}


@dataclass(frozen=True, kw_only=True)
class StageRules:
    """
    A scheme with a value for each of its thresholds; ``stage_rules`` makes it.

    Parameters
    ----------
    scheme : Scheme
    thresholds : mapping of str to number
        Every threshold of the scheme, the churn window among them.
    cuts : mapping of str to number, or to a number by period
        The cuts that have been read off the data (``lcm_research.stages.cuts``); a panel needs all of them.
    closed : tuple of str
        Stages that these thresholds leave nobody in.
    """

    scheme: Scheme
    thresholds: Mapping[str, float]
    cuts: Mapping[str, CutValue] = field(default_factory=dict)
    closed: tuple[str, ...] = ()

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages, in the scheme's order."""
        return tuple(stage for stage in self.scheme.stages if stage not in self.closed)

    @property
    def needs(self) -> frozenset[str]:
        """The primitives that the rules name."""
        return self.scheme.needs()

    @property
    def windows(self) -> dict[str, int]:
        """The window, in days, of each primitive that the rules name and that has one."""
        windowed = [name for name in sorted(self.needs) if PRIMITIVES[name].windowed]
        return {name: int(self.thresholds[self.scheme.window_of(name)]) for name in windowed}

    @property
    def reach_days(self) -> int:
        """How far back from the end of a period the rules look, at most."""
        looks = [PRIMITIVES[name].reach * days for name, days in self.windows.items()]
        return max([int(self.thresholds[WINDOW]), *looks])

    def code(self, primitives: Mapping[str, ir.Value]) -> ir.IntegerValue:
        """
        Return the place of each customer's stage in ``stages``, as one expression; missing where no rule holds.

        Parameters
        ----------
        primitives : mapping of name to Ibis value
            Every primitive that the rules need, every streak, and the cuts that differ by period.
        """
        names = self._names(primitives)
        place = {stage: ibis.literal(code, "int64") for code, stage in enumerate(self.stages)}
        rules = [rule for rule in self.scheme.rules if rule.stage in place]
        return ibis.cases(*((self._holds(rule, names), place[rule.stage]) for rule in rules))

    def coarse(self, code: ir.IntegerValue, primitives: Mapping[str, ir.Value]) -> ir.IntegerValue:
        """Return the place in ``COARSE`` of the coarse stage of each customer in the stage ``code``, or -1."""
        names, found = self._names(primitives), []
        place = {coarse: ibis.literal(at, "int64") for at, coarse in enumerate(COARSE)}
        for at, stage in enumerate(self.stages):
            meant = self.scheme.stages[stage]
            for case in meant.cases:
                holds: Any = self.scheme.expression(f"stages.{stage}.cases", case.when).to_ibis(names)
                found.append(((code == at) & holds, place[case.coarse]))
            found.append((code == at, place[meant.coarse]))
        return ibis.cases(*found, else_=ibis.literal(-1, "int64"))

    def holds(self, place: str, condition: str, primitives: Mapping[str, ir.Value]) -> ir.BooleanValue:
        """Return whether a condition of the scheme (of a streak or a cut; ``place`` says which) holds."""
        found: Any = self.scheme.expression(place, condition).to_ibis(self._names(primitives))
        return found.fill_null(False)

    def _names(self, primitives: Mapping[str, ir.Value]) -> dict[str, ir.Value]:
        return {name: ibis.literal(_whole(value)) for name, value in self.numbers().items()} | dict(primitives)

    def _holds(self, rule: Rule, names: Mapping[str, ir.Value]) -> ir.BooleanValue:
        condition = self.scheme.condition(rule).to_ibis(names)
        if not condition.type().is_boolean():
            raise StudyError(
                f"scheme '{self.scheme.scheme}', stage '{rule.stage}': expected a condition such as 'r <= 60'; came "
                f"'{rule.when}'"
            )
        return condition

    def name(self, code: ir.IntegerValue) -> ir.StringValue:
        """Return the stage that a place in ``stages`` stands for."""
        return ibis.cases(*((code == place, stage) for place, stage in enumerate(self.stages)))

    def classify(self, primitives: pd.DataFrame) -> pd.Series:
        """
        Return the stage of each row of a small table of primitives, missing where no rule holds.

        Primitives that the table lacks are missing; cuts that are not set, or differ by period, are refused.

        >>> stage_rules("nadc", window_days=180).classify(pd.DataFrame(
        ...     {"n": [1], "r": [70], "u": [70], "n_period": [0], "r_before": [40]})).tolist()
        ['dormant']
        """
        wanted = [*sorted(self.needs), *self.scheme.streaks]
        rows = ibis.memtable(primitives.reindex(columns=wanted).astype("Int64").assign(row=range(len(primitives))))
        code = self.code({name: rows[name] for name in wanted})
        found = rows.select("row", stage=self.name(code)).order_by("row").to_pandas()
        return found["stage"].set_axis(primitives.index)

    def with_stand_ins(self) -> StageRules:
        """Return the same with a number for each cut, where only the order of values matters."""
        cuts = {name: _number(self.cuts.get(name)) for name in self.scheme.cuts}
        return StageRules(scheme=self.scheme, thresholds=self.thresholds, cuts=cuts, closed=self.closed)

    def numbers(self) -> dict[str, float]:
        """Return every threshold and every cut that is one number, by name."""
        return dict(self.thresholds) | {name: cut for name, cut in self.cuts.items() if not isinstance(cut, Mapping)}

    def table(self, language: Language) -> pd.DataFrame:
        """Return one row a stage with its name, its rule in words and the rule as the scheme writes it."""
        names = self.scheme.names(language)
        shown = {name: f"{value:g}" for name, value in self.thresholds.items()}
        rows = []
        for rule in self.scheme.rules:
            if rule.stage not in self.closed:
                words = rule.words[language].format_map(shown) + (OURS[language] if self._is_ours(rule) else "")
                rows.append({"stage": names[rule.stage], "words": words, "rule": rule.when})
        return pd.DataFrame(rows)

    def _is_ours(self, rule: Rule) -> bool:
        return self.scheme.stages[rule.stage].ours

    def threshold_table(self, language: Language) -> pd.DataFrame:
        """Return one row a threshold with its meaning, its value and the other values that are tried."""
        rows = []
        for name, threshold in self.scheme.thresholds.items():
            others = ", ".join(f"{value:g}" for value in threshold.grid if value != self.thresholds[name])
            rows.append((name, threshold.meaning[language], f"{self.thresholds[name]:g}", others))
        return pd.DataFrame(rows, columns=["threshold", "meaning", "value", "others"])

    def alternatives(self) -> list[tuple[str, float, StageRules]]:
        """
        Return the same scheme with one threshold changed at a time, to each other value of its grid.

        Values that do not go with the other thresholds are left out. A cut that was read off the data under the
        threshold that changes is not set any more and must be read again.
        """
        found = []
        for name, threshold in self.scheme.thresholds.items():
            for value in threshold.grid:
                if value != self.thresholds[name]:
                    changed: dict[str, Any] = {**self.thresholds, **self._cuts_without(name), name: value}
                    window = int(changed.pop(WINDOW))
                    with contextlib.suppress(StudyError):
                        found.append((name, value, stage_rules(self.scheme, window_days=window, thresholds=changed)))
        return found

    def _cuts_without(self, threshold: str) -> dict[str, CutValue]:
        """Return the cuts that do not depend on a threshold."""
        kept = {}
        for name, cut in self.scheme.cuts.items():
            among = self.scheme.expression(f"cuts.{name}.among", cut.among).names()
            if name in self.cuts and threshold not in {cut.quantile, self.scheme.window_of(cut.of), *among}:
                kept[name] = self.cuts[name]
        return kept

    def parameters(self) -> dict[str, Any]:
        """Return the JSON-able parameters by which reductions are told this scheme."""
        thresholds = {name: value for name, value in self.thresholds.items() if name != WINDOW}
        return {
            "scheme": self.scheme.definition(),
            "thresholds": thresholds | dict(self.cuts),
            "window_days": int(self.thresholds[WINDOW]),
        }


def stage_rules(scheme: Any, *, window_days: int, thresholds: Mapping[str, Any] | None = None) -> StageRules:
    """
    Set the thresholds of a scheme and check that its rules put every possible history into a stage.

    Parameters
    ----------
    scheme : str, Path, mapping or Scheme
        As ``load_scheme`` takes it.
    window_days : int
        The study's churn window.
    thresholds : mapping, optional
        Values that replace the scheme's defaults. A cut that was read off the data is handed over here too, by its
        name: a number, or a mapping of ``period_start`` to number.

    Raises
    ------
    StudyError
        A threshold is unknown, outside its range or out of order, a history has no stage, or a stage has no history.
    """
    loaded = load_scheme(scheme)
    values, cuts = _thresholds(loaded, thresholds or {}, window_days)
    rules = StageRules(scheme=loaded, thresholds=values, cuts=cuts)
    closed, problem = _checked(json.dumps([loaded.definition(), values, rules.with_stand_ins().cuts]))
    if problem:
        raise StudyError(problem)
    return StageRules(scheme=loaded, thresholds=values, cuts=cuts, closed=closed)


@functools.lru_cache(maxsize=500)
def _checked(told: str) -> tuple[tuple[str, ...], str]:
    """Return the stages that are closed, and what is wrong with the rules; the same rules are tried only once."""
    definition, values, cuts = json.loads(told)
    rules = StageRules(scheme=load_scheme(definition), thresholds=values, cuts=cuts)
    scheme = rules.scheme.scheme
    found, example = reached(rules, kinds_of_purchases(rules))
    if example:
        return (), (
            f"scheme '{scheme}' puts a {rules.scheme.unit} with {example} into no stage; add a rule, or let the last "
            "rule take everybody who is left"
        )
    empty = [stage for place, stage in enumerate(rules.stages) if not found[:, place].any()]
    for stage in empty:
        if not rules.scheme.stages[stage].closable:
            return (), (
                f"scheme '{scheme}' has no room for the stage '{stage}' with {_assignments(values)}: earlier rules "
                "take everybody; change a threshold or the order of the rules"
            )
    return tuple(empty), ""


def _thresholds(
    scheme: Scheme, given: Mapping[str, Any], window_days: int
) -> tuple[dict[str, float], dict[str, CutValue]]:
    values = {name: t.default for name, t in scheme.thresholds.items() if t.default is not None}
    cuts: dict[str, CutValue] = {}
    for name, value in given.items():
        if name == WINDOW:
            raise StudyError("stages.thresholds.window_days: the churn window is said once, in churn.window_days")
        if name in scheme.cuts:
            by_period = isinstance(value, Mapping)
            cuts[name] = {str(k): float(v) for k, v in value.items()} if by_period else float(value)
        elif name in scheme.thresholds:
            values[name] = check_value(name, scheme.thresholds[name], value)
        else:
            known = [known for known in (*scheme.thresholds, *scheme.cuts) if known != WINDOW]
            raise StudyError(
                f"stages.thresholds.{name}: scheme '{scheme.scheme}' has no such threshold; {nearest(name, known)}"
            )
    if not 1 <= window_days <= LONGEST:
        raise StudyError(f"churn.window_days: expected 1 to {LONGEST} days; came {window_days}")
    values[WINDOW] = float(window_days)
    for name in {scheme.window_of(p) for p in scheme.needs() if PRIMITIVES[p].windowed}:
        if values[name] < 1:
            raise StudyError(f"stages.thresholds.{name}: expected a window of at least 1 day; came {values[name]:g}")
    for low, high in zip(scheme.rising, scheme.rising[1:], strict=False):
        if values[low] > values[high]:
            raise StudyError(
                f"scheme '{scheme.scheme}' expects {low} to be at most {high}; came {low}={values[low]:g} and "
                f"{high}={values[high]:g}; set stages.thresholds.{low if high == WINDOW else high}"
            )
    return values, cuts


def _number(cut: CutValue | None) -> float:
    """Return a cut as one number, for checks that only need the order of values."""
    return STAND_IN if cut is None or isinstance(cut, Mapping) else cut


def _whole(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


def _assignments(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in values.items())
