"""
What a comparison of engaged and other customers is about, said before any number is shown.

Who is compared, from when on, by what, on which outcome, for how long: the items of a target trial [1]_. Each
follows from a study's parameters, so that a page cannot say one thing and compute another.

References
----------
.. [1] Hernan and Robins (2016), American Journal of Epidemiology 183:758.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from lcm_research.errors import ModelError

__all__ = ["Estimand"]


@dataclass(frozen=True, kw_only=True)
class Estimand:
    """
    The lagged comparison of a study, by its parameters.

    Attributes
    ----------
    observation_start, as_of : date
        First and last day of observation.
    window_days : int
        A silence longer than this is a lapse.
    period_days, lag_periods : int
        Length of a period of the spell, and how many of them the exposure lies before the outcome.
    actions : tuple of str
        Acts that count as engaging; empty for every act.
    activity_breaks : tuple of int
        Classes of past purchase days within which customers are compared.
    alike_in : tuple of str
        What else is held equal: names of segments.
    tier : {"A", "B", "C", "D"}
        Randomised, quasi-experimental, adjusted, descriptive.
    """

    observation_start: date
    as_of: date
    window_days: int
    period_days: int
    lag_periods: int
    actions: tuple[str, ...]
    activity_breaks: tuple[int, ...]
    alike_in: tuple[str, ...]
    tier: Literal["A", "B", "C", "D"]

    def __post_init__(self) -> None:
        if self.n_periods <= self.lag_periods:
            raise ModelError(
                f"{self.n_periods} periods of {self.period_days} days lie between observation_start and the cut "
                f"({self.cut}), not more than the lag of {self.lag_periods}: nothing would be compared; choose shorter "
                "periods or a shorter lag"
            )

    @property
    def cut(self) -> date:
        """First day on which a lapse cannot be seen: ``as_of`` less the window."""
        return self.as_of - timedelta(days=self.window_days)

    @property
    def n_periods(self) -> int:
        """Whole periods of the longest spell that can be followed to the cut."""
        return (self.cut - self.observation_start).days // max(self.period_days, 1)

    @property
    def horizon_days(self) -> int:
        """Days after the first purchase up to which lapses are compared."""
        return self.n_periods * self.period_days

    @property
    def first_day_compared(self) -> int:
        """Day of the spell from which lapses are compared, the first being 1: before it nobody has an exposure."""
        return self.lag_periods * self.period_days + 1
