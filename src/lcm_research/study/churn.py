"""What churn means in a study: a silence longer than a window, one's own or everybody's, or the end of a contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from lcm_research.study.parts import Part

__all__ = ["EXPOSURE", "Activity", "Churn", "PersonalWindow"]

Activity = Literal["purchases", "engagements"]

EXPOSURE = ("actions", "harmless_actions")
"""Parameters of notebooks that name social acts whose customers are compared with others."""


class PersonalWindow(Part):
    """
    A silence that is long for this customer: ``kappa`` times the customer's own usual gap between activity days.

    The usual gap is the mean of the customer's gaps so far, drawn towards the median gap of all customers, which
    counts for ``strength`` gaps of its own: ``kappa * (strength * median + sum of gaps) / (strength + number of
    gaps)``, in whole days and never outside ``shortest_days`` to ``longest_days``.
    """

    kappa: int = Field(default=3, ge=1, le=20)
    shortest_days: int = Field(default=60, ge=1, le=3650)
    longest_days: int = Field(default=365, ge=1, le=3650)
    strength: int = Field(default=3, ge=1, le=100, description="gaps that the population's median counts for")

    @model_validator(mode="after")
    def _not_empty(self) -> PersonalWindow:
        if self.shortest_days > self.longest_days:
            raise ValueError(
                f"expected shortest_days of at most longest_days; came {self.shortest_days} and {self.longest_days}"
            )
        return self


class Churn(Part):
    """
    What churn means.

    ``inactivity``: a silence after an activity (purchases without returns; social acts too where ``activity`` names
    engagements), longer than ``window_days`` or than a personal window. ``contract``: the end of the customer's
    contract, ``grace_days`` after which it counts as not renewed. ``other_ends`` are the reasons in the table
    ``churn_reasons`` that end a customer's time on their day, such as a closed account, whatever the silence.
    """

    kind: Literal["inactivity", "contract"] = "inactivity"
    window_days: int | None = Field(default=None, ge=1, le=3650)
    personal_window: PersonalWindow | None = None
    grace_days: int | None = Field(default=None, ge=0, le=3650)
    activity: tuple[Activity, ...] = Field(default=("purchases",), min_length=1)
    other_ends: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @field_validator("personal_window", mode="before")
    @classmethod
    def _empty_means_defaults(cls, given: object) -> object:
        return {} if given is None else given

    @model_validator(mode="after")
    def _one_definition(self) -> Churn:
        windows = [name for name in ("window_days", "personal_window") if getattr(self, name) is not None]
        if self.kind == "contract":
            surplus = [*windows, *(["activity"] if self.activity != ("purchases",) else [])]
            if self.grace_days is None or surplus:
                raise ValueError(
                    "expected grace_days (days after contract_end within which a renewal may still come) and neither "
                    f"window nor activity for churn of kind 'contract'; came {_listed(self.grace_days, surplus)}"
                )
        elif len(windows) != 1 or self.grace_days is not None:
            raise ValueError(
                "expected exactly one of window_days and personal_window for churn of kind 'inactivity' (grace_days "
                f"belongs to kind 'contract'); came {_listed(self.grace_days, windows)}"
            )
        return self

    @property
    def longest_days(self) -> int:
        """How long a lapse can stay unseen: the window, the longest personal window, or the days of grace."""
        if self.kind == "contract":
            return self.grace_days or 0
        return self.personal_window.longest_days if self.personal_window else self.window_days or 0


def _listed(grace_days: int | None, others: Sequence[str]) -> str:
    return " and ".join([*(["grace_days"] if grace_days is not None else []), *others]) or "neither"
