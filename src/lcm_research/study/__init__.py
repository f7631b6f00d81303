"""A study as its YAML describes it: typed, frozen, and refused with the place and the remedy before anything starts."""

from lcm_research.study.churn import Activity, Churn, PersonalWindow
from lcm_research.study.parts import EPOCH, IDENTIFIER, Language
from lcm_research.study.reading import find_study, load_study
from lcm_research.study.words import (
    Data,
    Engine,
    Hypothesis,
    KnownSince,
    LeaveOut,
    Privacy,
    Read,
    Segment,
    Simulation,
    Stages,
    Study,
    TableSource,
)

__all__ = [
    "EPOCH",
    "IDENTIFIER",
    "Activity",
    "Churn",
    "Data",
    "Engine",
    "Hypothesis",
    "KnownSince",
    "Language",
    "LeaveOut",
    "PersonalWindow",
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
