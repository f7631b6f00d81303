"""
The definitions of stages that a study could have chosen: every scheme its tables allow, and other thresholds.

Which scheme is the study's own is said in its YAML before anything is counted; the others show what would have come
out otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lcm_research.data.reduction import Tables
from lcm_research.errors import LcmError, StudyError
from lcm_research.stages.availability import primitives_off
from lcm_research.stages.rules import StageRules, stage_rules
from lcm_research.stages.scheme import known_schemes, load_scheme
from lcm_research.stages.thresholds import WINDOW

__all__ = ["Universe", "customer_schemes", "stage_universes"]


@dataclass(frozen=True, kw_only=True)
class Universe:
    """
    One definition of the stages: a scheme, and the threshold that is changed from its value there, if any.

    Parameters
    ----------
    rules : StageRules
        With every cut set.
    own : bool
        Whether it is the study's own definition.
    threshold : str
        Empty where nothing is changed.
    before, after : float or None
        Value of the threshold in the scheme as it stands, and here.
    """

    rules: StageRules
    own: bool = False
    threshold: str = ""
    before: float | None = None
    after: float | None = None

    @property
    def choices(self) -> dict[str, str]:
        """What was chosen, by name: ``scheme`` and, where one is changed, ``threshold``, ``before`` and ``after``."""
        chosen = {"scheme": self.rules.scheme.scheme}
        if not self.threshold:
            return chosen
        return chosen | {"threshold": self.threshold, "before": f"{self.before:g}", "after": f"{self.after:g}"}

    @property
    def label(self) -> str:
        """The name under which counts know it, such as ``nadc`` or ``nadc, w_active = 30``."""
        changed = f", {self.threshold} = {self.after:g}" if self.threshold else ""
        return f"{self.rules.scheme.scheme}{changed}"


def customer_schemes(
    tables: Tables, rules_of: Callable[[str], StageRules]
) -> tuple[dict[str, StageRules], dict[str, str]]:
    """
    Return the rules of every scheme of customers that a study's tables allow, the study's own first.

    Parameters
    ----------
    tables : Tables
    rules_of : function
        From the name of a scheme to its rules with every cut read off the data; from ``""`` to the study's own.

    Returns
    -------
    schemes : dict of name to StageRules
    refused : dict of name to str
        Why a scheme cannot be used.
    """
    own = rules_of("")
    schemes, refused = {own.scheme.scheme: own}, {}
    for name in known_schemes():
        scheme = load_scheme(name)
        if name in schemes or scheme.unit != "customer":
            continue
        try:
            primitives_off(tables, stage_rules(scheme, window_days=int(own.thresholds[WINDOW])))
            schemes[name] = rules_of(name)
        except LcmError as reason:
            refused[name] = str(reason)
    return schemes, refused


def stage_universes(
    schemes: Mapping[str, StageRules],
    *,
    own: str,
    every_threshold: bool,
    with_cuts: Callable[[StageRules], StageRules],
) -> dict[str, Universe]:
    """
    Return the definitions to try, by label: every scheme as it stands, then with one threshold changed at a time.

    Parameters
    ----------
    schemes : mapping of name to StageRules
    own : str
        The study's own scheme.
    every_threshold : bool
        Whether every threshold of every scheme is changed, to each other value of its grid; otherwise every one of
        the study's own scheme, and of the others the churn window, which all of them share.
    with_cuts : function
        From rules to the same with every cut read off the data.
    """
    made = [Universe(rules=rules, own=name == own) for name, rules in schemes.items()]
    for name, rules in schemes.items():
        changed = rules.alternatives() if every_threshold or name == own else _other_windows(rules)
        for threshold, value, other in changed:
            before = float(rules.thresholds[threshold])
            made.append(Universe(rules=with_cuts(other), threshold=threshold, before=before, after=float(value)))
    return {each.label: each for each in made}


def _other_windows(rules: StageRules) -> list[tuple[str, float, StageRules]]:
    """Return the rules under the other churn windows of their grid, without cuts."""
    grid = rules.scheme.thresholds[WINDOW].grid if WINDOW in rules.scheme.thresholds else ()
    others: dict[str, Any] = {name: value for name, value in rules.thresholds.items() if name != WINDOW}
    found = []
    for value in grid:
        if value != rules.thresholds[WINDOW]:
            try:
                found.append((WINDOW, value, stage_rules(rules.scheme, window_days=int(value), thresholds=others)))
            except StudyError:
                continue  # the window does not go with the other thresholds
    return found
