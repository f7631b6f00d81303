"""
A scheme with its thresholds set: one expression that gives every customer-period its stage.

The first rule that holds decides, so no two stages overlap; a scheme whose rules leave somebody out, or hold a
stage that nobody can be in, is refused before anything is counted.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.errors import StudyError, nearest
from lcm_research.stages.histories import histories
from lcm_research.stages.scheme import PRIMITIVES, WINDOW, Rule, Scheme, load_scheme
from lcm_research.study import Language

__all__ = ["StageRules", "stage_rules"]


@dataclass(frozen=True, kw_only=True)
class StageRules:
    """
    A scheme with a value for each of its thresholds; ``stage_rules`` makes it.

    Parameters
    ----------
    scheme : Scheme
    thresholds : mapping of str to number
        Every threshold of the scheme, the churn window among them.
    """

    scheme: Scheme
    thresholds: Mapping[str, float]

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages, in the scheme's order."""
        return tuple(self.scheme.stages)

    def code(self, primitives: Mapping[str, ir.Value]) -> ir.IntegerValue:
        """
        Return the place of each customer's stage in ``stages``, as one expression; missing where no rule holds.

        Parameters
        ----------
        primitives : mapping of name to Ibis value
            The columns n, r, u, n_period and r_before of a panel.
        """
        values = {name: ibis.literal(_whole(value)) for name, value in self.thresholds.items()}
        names = {name: primitives[name] for name in PRIMITIVES} | values
        place = {stage: ibis.literal(code, "int64") for code, stage in enumerate(self.stages)}
        return ibis.cases(*((self._holds(rule, names), place[rule.stage]) for rule in self.scheme.rules))

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

        >>> stage_rules("nadc", window_days=180).classify(pd.DataFrame(
        ...     {"n": [1], "r": [70], "u": [70], "n_period": [0], "r_before": [40]})).tolist()
        ['dormant']
        """
        rows = ibis.memtable(primitives[list(PRIMITIVES)].assign(row=range(len(primitives))))
        code = self.code({name: rows[name] for name in PRIMITIVES})
        found = rows.select("row", stage=self.name(code)).order_by("row").to_pandas()
        return found["stage"].set_axis(primitives.index)

    def histories(self) -> pd.DataFrame:
        """Return every kind of history that these rules can tell apart, as primitives."""
        days = [self.thresholds[name] for name, t in self.scheme.thresholds.items() if t.unit == "days"]
        purchases = [self.thresholds[name] for name, t in self.scheme.thresholds.items() if t.unit == "purchases"]
        written = [float(x) for rule in self.scheme.rules for x in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", rule.when)]
        return histories([*days, *written], [*purchases, *(x for x in written if x <= 20)])

    def table(self, language: Language) -> pd.DataFrame:
        """Return one row a stage with its name, its rule in words and the rule as the scheme writes it."""
        names = self.scheme.names(language)
        shown = {name: f"{value:g}" for name, value in self.thresholds.items()}
        rows = [
            {"stage": names[rule.stage], "words": rule.words[language].format_map(shown), "rule": rule.when}
            for rule in self.scheme.rules
        ]
        return pd.DataFrame(rows)

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

        Values that do not go with the other thresholds are left out.
        """
        found = []
        for name, threshold in self.scheme.thresholds.items():
            for value in threshold.grid:
                if value != self.thresholds[name]:
                    changed = {**self.thresholds, name: value}
                    window = int(changed.pop(WINDOW))
                    with contextlib.suppress(StudyError):
                        found.append((name, value, stage_rules(self.scheme, window_days=window, thresholds=changed)))
        return found

    def parameters(self) -> dict[str, Any]:
        """Return the JSON-able parameters by which reductions are told this scheme."""
        thresholds = {name: value for name, value in self.thresholds.items() if name != WINDOW}
        return {
            "scheme": self.scheme.definition(),
            "thresholds": thresholds,
            "window_days": int(self.thresholds[WINDOW]),
        }


def stage_rules(scheme: Any, *, window_days: int, thresholds: Mapping[str, float] | None = None) -> StageRules:
    """
    Set the thresholds of a scheme and check that its rules put every possible history into a stage.

    Parameters
    ----------
    scheme : str, Path, mapping or Scheme
        As ``load_scheme`` takes it.
    window_days : int
        The study's churn window.
    thresholds : mapping, optional
        Values that replace the scheme's defaults.

    Raises
    ------
    StudyError
        A threshold is unknown or out of order, a history has no stage, or a stage has no history.
    """
    loaded = load_scheme(scheme)
    values = _thresholds(loaded, thresholds or {}, window_days)
    rules = StageRules(scheme=loaded, thresholds=values)
    kinds = rules.histories()
    stages = rules.classify(kinds)
    if stages.isna().any():
        example = ", ".join(f"{name} = {_shown(value)}" for name, value in kinds[stages.isna()].iloc[0].items())
        raise StudyError(
            f"scheme '{loaded.scheme}' puts a customer with {example} into no stage; add a rule, or let the last rule "
            "take everybody who is left"
        )
    empty = [stage for stage in rules.stages if stage not in set(stages)]
    if empty:
        raise StudyError(
            f"scheme '{loaded.scheme}' has no room for the stage '{empty[0]}' with {_assignments(values)}: earlier "
            "rules take everybody; change a threshold or the order of the rules"
        )
    return rules


def _thresholds(scheme: Scheme, given: Mapping[str, float], window_days: int) -> dict[str, float]:
    for name in given:
        if name == WINDOW:
            raise StudyError("stages.thresholds.window_days: the churn window is said once, in churn.window_days")
        if name not in scheme.thresholds:
            known = [known for known in scheme.thresholds if known != WINDOW]
            raise StudyError(
                f"stages.thresholds.{name}: scheme '{scheme.scheme}' has no such threshold; {nearest(name, known)}"
            )
    values: dict[str, float] = {
        name: threshold.default for name, threshold in scheme.thresholds.items() if threshold.default is not None
    }
    values |= {name: float(value) for name, value in given.items()} | {WINDOW: float(window_days)}
    for low, high in zip(scheme.rising, scheme.rising[1:], strict=False):
        if values[low] > values[high]:
            raise StudyError(
                f"scheme '{scheme.scheme}' expects {low} to be at most {high}; came {low}={values[low]:g} and "
                f"{high}={values[high]:g}; set stages.thresholds.{low if high == WINDOW else high}"
            )
    return values


def _whole(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


def _shown(value: Any) -> str:
    return "none" if pd.isna(value) else str(value)


def _assignments(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in values.items())
