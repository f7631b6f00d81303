"""
Thresholds: the numbers that stage rules compare with, their ranges, and cuts that are read off the data.

A scheme proposes a value and a grid for a sensitivity analysis; a study may change the value within its range.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lcm_research.errors import StudyError
from lcm_research.study import Language

__all__ = ["WINDOW", "Cut", "Part", "Text", "Threshold", "check_value"]

WINDOW = "window_days"
"""The threshold that is always the study's churn window."""

Text = Mapping[Language, str]

ThresholdUnit = Literal[
    "days",
    "purchases",
    "engagements",
    "acts",
    "share",
    "ratio",
    "members",
    "periods",
    "percent",
    "points",
    "choice",
]

RANGES: Mapping[str, tuple[float, float, bool]] = {
    "days": (0, 3650, True),
    "purchases": (1, 1000, True),
    "engagements": (1, 100_000, True),
    "acts": (1, 100, True),
    "share": (0, 1, False),
    "ratio": (0, 100, False),
    "members": (1, 100_000_000, True),
    "periods": (1, 36, True),
    "percent": (-100, 1000, False),
    "points": (0, 100, True),
    "choice": (0, 10, True),
}
"""Smallest and largest value of a threshold by its unit, and whether it must be a whole number."""


class Part(BaseModel):
    """A part of a scheme: frozen, and without keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Threshold(Part):
    """
    A number that rules compare with; ``grid`` holds the values that a sensitivity analysis tries.

    A ``choice`` is one of its grid. ``range`` narrows what its unit allows.
    """

    default: float | None = None
    grid: tuple[float, ...] = Field(min_length=1)
    unit: ThresholdUnit
    meaning: Text
    range: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _within(self) -> Threshold:
        for value in (*self.grid, *(() if self.default is None else (self.default,))):
            problem = self.problem(value)
            if problem:
                raise ValueError(problem)
        return self

    def problem(self, value: float) -> str:
        """Return what is wrong with a value, or an empty text."""
        low, high, whole = RANGES[self.unit]
        low, high = self.range or (low, high)
        if self.unit == "choice" and value not in self.grid:
            return f"expected one of {', '.join(f'{x:g}' for x in self.grid)}; came {value:g}"
        if not low <= value <= high or (whole and not float(value).is_integer()):
            kind = "a whole number" if whole else "a number"
            return f"expected {kind} from {low:g} to {high:g} ({self.unit}); came {value:g}"
        return ""


class Cut(Part):
    """
    A cut read off the data: the ``quantile`` (a threshold) of a primitive among customers of the same period.

    Parameters
    ----------
    of : str
        The primitive.
    quantile : str
        The threshold that holds the share, from 0 to 1.
    among : str
        The condition for a customer to count.
    """

    of: str
    quantile: str
    among: Annotated[str, Field(min_length=1, max_length=2000)]
    meaning: Text


def check_value(name: str, threshold: Threshold, value: Any) -> float:
    """Return a value for a threshold as a float; StudyError where it is no number in the range."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise StudyError(f"stages.thresholds.{name}: expected a number; came {value!r}")
    problem = threshold.problem(float(value))
    if problem:
        raise StudyError(f"stages.thresholds.{name}: {problem}; tried values are {_listed(threshold.grid)}")
    return float(value)


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
