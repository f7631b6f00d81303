"""The words of a study: where its tables lie, what its terms mean, what to run; typed, and frozen."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from lcm_research.errors import StudyError, nearest
from lcm_research.study.churn import EXPOSURE, Churn
from lcm_research.study.parts import EPOCH, IDENTIFIER, NAME, ExpressionText, Language, Part

__all__ = [
    "Data",
    "Engine",
    "Hypothesis",
    "KnownSince",
    "LeaveOut",
    "Privacy",
    "Read",
    "Segment",
    "Simulation",
    "Stages",
    "Study",
    "TableSource",
]

KnownSince = Literal["first_purchase", "recorded", "first_contact", "not_said"]


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


class Stages(Part):
    """
    Which lifecycle scheme, evaluated at the end of which period, with which thresholds changed.

    A cut that a scheme reads off the data (a median of spend, say) is frozen at ``cut_period``, the first day of a
    month (by default the first month after the warm-up of one churn window), or ``rolling``: read off each month.
    A new stage counts once it was seen at ``confirm_periods`` period ends in a row, and is kept for ``min_dwell`` of
    them at least (0: for none).
    """

    scheme: str = "nadc"
    period: Literal["month"] = "month"
    thresholds: Mapping[str, float] = {}
    cut_mode: Literal["frozen", "rolling"] = "frozen"
    cut_period: date | None = None
    confirm_periods: int = Field(default=1, ge=1, le=12)
    min_dwell: int = Field(default=0, ge=0, le=120)


class Segment(Part):
    """
    A grouping of customers: an expression over their row, or over their first purchase, cut by breaks if given.

    With ``breaks: [2, 4]`` a number becomes one of ``<2``, ``2-<4`` and ``>=4``. A value that a customer gets later
    tells who stayed, not who stays: ``recorded_at`` (an expression over the columns of the customers file) dates it,
    and one recorded after the customer's start is refused, or unknown with ``later: unknown``; a customer without
    that date had the value from the start. ``known: first_contact`` says of the whole segment that it was known then.
    """

    of: Literal["customers", "first_purchase"] = "customers"
    value: ExpressionText
    breaks: tuple[float, ...] = ()
    recorded_at: ExpressionText | None = None
    later: Literal["refuse", "unknown"] = "refuse"
    known: Literal["first_contact"] | None = None
    label: Mapping[Language, str] = {}

    @field_validator("breaks")
    @classmethod
    def _rising(cls, breaks: tuple[float, ...]) -> tuple[float, ...]:
        if list(breaks) != sorted(set(breaks)):
            raise ValueError("expected breaks that rise")
        return breaks

    @model_validator(mode="after")
    def _dated_once(self) -> Segment:
        said = [name for name in ("recorded_at", "known") if getattr(self, name) is not None]
        if self.of == "first_purchase" and said:
            raise ValueError(f"a segment of the first purchase is known with it; leave {' and '.join(said)} out")
        if len(said) == 2:
            raise ValueError("expected one of recorded_at and known; came both")
        if self.later == "unknown" and self.recorded_at is None:
            raise ValueError("'later: unknown' needs recorded_at, which says when the value was taken; came none")
        return self

    @property
    def known_since(self) -> KnownSince:
        """Since when the value is known: the first purchase, a date that is checked, the first contact, or not said."""
        if self.of == "first_purchase":
            return "first_purchase"
        return "recorded" if self.recorded_at is not None else self.known or "not_said"


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
        follow_up, churn = (self.as_of - self.observation_start).days, self.churn
        if follow_up <= churn.longest_days:
            what, key = {
                "fixed": ("the churn window", "churn.window_days"),
                "personal": ("the longest personal window", "churn.personal_window.longest_days"),
                "contract": ("the days of grace", "churn.grace_days"),
            }["contract" if churn.kind == "contract" else "personal" if churn.personal_window else "fixed"]
            raise ValueError(
                f"expected as_of more than {what} of {churn.longest_days} days after observation_start "
                f"({self.observation_start}); came {self.as_of}, {follow_up} days after it; no lapse could be seen: "
                f"correct the two dates or choose a shorter {key}"
            )
        return self

    @model_validator(mode="after")
    def _tables_for_churn(self) -> Study:
        churn, tables = self.churn, self.data.tables
        if "engagements" in churn.activity and "engagements" not in tables:
            raise ValueError(
                "churn.activity: 'engagements' needs the table engagements, which data.tables does not map; map it, or "
                "leave engagements out of churn.activity"
            )
        asked = [word for given in self.notebooks.values() for word in EXPOSURE if given.get(word)]
        if "engagements" in churn.activity and asked:
            raise ValueError(
                f"churn.activity: engaging cannot be activity and the exposure '{asked[0]}' as well: whoever engages "
                f"has by that not lapsed; leave engagements out of churn.activity, or {asked[0]} out of the notebook"
            )
        if churn.other_ends and "churn_reasons" not in tables:
            raise ValueError(
                f"churn.other_ends: {', '.join(churn.other_ends)} would be read from the table churn_reasons, which "
                "data.tables does not map; map it, or leave other_ends out"
            )
        if churn.kind == "contract":
            mapped = tables["customers"].columns if "customers" in tables else {}
            missing = [column for column in ("contract_start", "contract_end") if column not in mapped]
            if missing:
                raise ValueError(
                    f"churn.kind: 'contract' needs {' and '.join(missing)} under data.tables.customers.columns; map "
                    "them, or choose kind: inactivity with window_days"
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
