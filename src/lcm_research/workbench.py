"""What a notebook opens: a study with its tables, its counts, its language and the door to its page."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd

from lcm_research import __version__
from lcm_research.data.backend import connect, open_tables
from lcm_research.data.cache import cache_folder
from lcm_research.data.reduction import Reduction, Tables
from lcm_research.data.sources import Ingested, ingest
from lcm_research.errors import MissingTableError, ModelError
from lcm_research.findings.emit import Emit
from lcm_research.findings.wording.churn import exposure_refusal, window_text
from lcm_research.findings.wording.common import Sentence
from lcm_research.stages.cuts import cut_value_counts, with_cuts
from lcm_research.stages.rules import StageRules, stage_rules
from lcm_research.study import EPOCH, Language, Study, find_study, load_study
from lcm_research.survival.contracts import contract_counts, contract_end_counts, contract_reconciliation
from lcm_research.survival.endings import spell_end_counts
from lcm_research.survival.lifetimes import longest_second_horizon, second_lifetime_counts
from lcm_research.survival.spells import Entry, return_counts, spell_counts, spell_reconciliation
from lcm_research.survival.windows import Window, gap_counts, usual_gap

__all__ = ["Workbench", "open_study"]

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Workbench:
    """
    An opened study: its counts come from ``count``, its page is written through ``emit``.

    Examples
    --------
    In a notebook::

        lcm = open_study("cdnow")
        counts = lcm.spells(entry="incident", by=["region"])  # by what churn means in the study
        lags = lcm.count(exposure_counts, **lcm.churn, ...)
    """

    study: Study
    ingested: Ingested
    unanswered: dict[str, str] = field(default_factory=dict, repr=False)
    """What ``attempt`` could not answer, with the reasons."""

    @functools.cached_property
    def tables(self) -> Tables:
        """The canonical tables on the study's engine."""
        return open_tables(self.ingested, connect(self.study.engine))

    @property
    def language(self) -> Language:
        """Language of the page."""
        return self.study.language

    @property
    def observation_start_day(self) -> int:
        """First day of the observation window, as days since 1970-01-01."""
        return self.study.observation_start_day

    @property
    def as_of_day(self) -> int:
        """Last day that is used, as days since 1970-01-01."""
        return self.study.as_of_day

    @property
    def max_horizon_days(self) -> int:
        """Longest time to a lapse that these data can say anything about."""
        return self.as_of_day - self.study.churn.longest_days - self.observation_start_day

    @functools.cached_property
    def window(self) -> Window:
        """
        The silence that is a lapse, as reductions take it: days, or a personal window with the usual gap filled in.

        The usual gap is the median of the gaps that ended in the warm-up, the first ``longest_days`` of observation.
        """
        personal = self.study.churn.personal_window
        if personal is None:
            return self.study.churn.longest_days
        warm_up = self.observation_start_day + personal.longest_days
        gaps = self.count(
            gap_counts,
            observation_start_day=self.observation_start_day,
            until_day=warm_up,
            history=self.study.data.history,
            activity=list(self.study.churn.activity),
        )
        return personal.model_dump() | {"usual_gap_days": usual_gap(gaps), "censored_by": "own"}

    @property
    def churn(self) -> dict[str, Any]:
        """What churn means here, as parameters of the reductions in ``survival``."""
        days = {"observation_start_day": self.observation_start_day, "as_of_day": self.as_of_day}
        if self._by_contract:
            return {"grace_days": self.study.churn.longest_days} | days
        asked = {"window_days": self.window, "history": self.study.data.history} | days
        activity = list(self.study.churn.activity)
        return asked if activity == ["purchases"] else asked | {"activity": activity}

    @property
    def _by_contract(self) -> bool:
        return self.study.churn.kind == "contract"

    @functools.cached_property
    def rng(self) -> np.random.Generator:
        """The run's random numbers, from the study's seed."""
        return np.random.default_rng(self.study.engine.seed)

    @functools.cached_property
    def emit(self) -> Emit:
        """The door to the page."""
        return Emit(
            study=self.study.study,
            language=self.language,
            min_group=self.study.privacy.min_group,
            hypotheses=self.study.hypotheses,
        )

    def has(self, table: str) -> bool:
        """Return whether the study has a table."""
        return table in self.ingested.tables

    def require(self, table: str, *, purpose: str) -> None:
        """Skip the notebook, with ``purpose`` in the reason, where the study lacks a table."""
        if not self.has(table):
            raise MissingTableError(table, purpose=purpose)

    def count(self, reduction: Reduction, **parameters: Any) -> pd.DataFrame:
        """Return the counts of a reduction, from the cache where nothing changed."""
        return reduction.cached(self.tables, cache_folder() / "counts", **parameters)

    def spells(
        self, *, entry: Entry, by: Sequence[str], censored_by: Literal["own", "longest"] = "own"
    ) -> pd.DataFrame:
        """
        Count spells (or contracts) by duration and end, by what churn means in this study.

        Parameters are those of ``spell_counts``. ``censored_by="longest"`` is the sensitivity run of a personal
        window: every spell is censored at the cut of the longest one. It changes nothing for other kinds of churn.
        """
        asked = self.churn
        if not isinstance(asked.get("window_days", 0), int):
            asked["window_days"] = asked["window_days"] | {"censored_by": censored_by}
        return self.count(contract_counts if self._by_contract else spell_counts, **asked, entry=entry, by=list(by))

    def spell_statuses(self, *, entry: Entry) -> pd.DataFrame:
        """Count what becomes of every customer and spell (or contract), as ``spell_reconciliation`` does."""
        return self.count(
            contract_reconciliation if self._by_contract else spell_reconciliation, **self.churn, entry=entry
        )

    def spell_ends(self, *, entry: Entry, by: Sequence[str]) -> pd.DataFrame:
        """Count spells (or contracts) by duration and ``cause``; lapses by their reason where reasons are recorded."""
        asked = self.churn | {"entry": entry, "by": list(by), "other_ends": list(self.study.churn.other_ends)}
        if self._by_contract:
            return self.count(contract_end_counts, **asked)
        return self.count(spell_end_counts, **asked, with_reasons=self.has("churn_reasons"))

    def returns(self, *, by: Sequence[str]) -> pd.DataFrame:
        """Count lapses by how long after their declaration the customer came back; a contract has no return."""
        self._refuse_contract("a return")
        return self.count(return_counts, **self.churn, by=list(by))

    def second_lifetimes(self, *, horizon_days: int, by: Sequence[str]) -> pd.DataFrame:
        """Count second spells among customers who returned early enough to be followed for ``horizon_days``."""
        self._refuse_contract("a second lifetime")
        return self.count(second_lifetime_counts, **self.churn, horizon_days=horizon_days, by=list(by))

    @property
    def max_second_horizon_days(self) -> int:
        """Longest time that a second lifetime can be followed; 0 or less where none can, or churn is by contract."""
        if self._by_contract:
            return 0
        window = {"observation_start_day": self.observation_start_day, "as_of_day": self.as_of_day}
        return longest_second_horizon(self.window, **window)

    def last_return(self, *, horizon_days: int) -> date:
        """Last day on which a customer could return and still be followed for ``horizon_days``."""
        return self.study.as_of - timedelta(self.study.churn.longest_days + horizon_days)

    def _refuse_contract(self, what: str) -> None:
        if self._by_contract:
            raise ModelError(
                f"{what} is not recorded where churn is by contract: the table of customers holds one contract each; "
                "leave it out, or choose churn.kind: inactivity"
            )

    def window_text(self) -> Sentence:
        """What a lapse is in this study, as part of a sentence: ``a silence of more than 180 days``."""
        return window_text(self.study.churn)

    def exposure_refusal(self) -> Sentence | None:
        """Why engaging cannot be asked about as a cause of staying in this study; None where it can."""
        return exposure_refusal(self.study.churn, has_engagements=self.has("engagements"))

    def attempt(self, what: str, question: Callable[..., Answer], *given: Any, **chosen: Any) -> Answer | None:
        """
        Return what ``question`` answers, or None where these data are too few for it.

        The reason is kept under the name ``what`` and published by ``say_unanswered``; a chapter goes on without.
        """
        try:
            return question(*given, **chosen)
        except ModelError as reason:
            self.unanswered[what] = str(reason)
            return None

    def say_unanswered(self) -> None:
        """Publish what could not be answered and why, where there is any such thing."""
        if self.unanswered:
            self.emit.table(
                pd.DataFrame(self.unanswered.items(), columns=["question", "why"]),
                id="not-answered",
                title=self.say(en="What could not be answered", zh="未能回答的问题"),
                n=None,
            )

    def stage_rules(self, scheme: str = "") -> StageRules:
        """Return the rules of the study's stages, or of another ``scheme``, with every cut read off the data."""
        stages = self.study.stages
        chosen = scheme or stages.scheme
        thresholds = stages.thresholds if chosen == stages.scheme else {}
        return self.with_cuts(stage_rules(chosen, window_days=self.study.churn.longest_days, thresholds=thresholds))

    def with_cuts(self, rules: StageRules) -> StageRules:
        """Return rules with the cuts of their scheme read off the data as the study says (``stages.cut_mode``)."""
        if set(rules.cuts) == set(rules.scheme.cuts):
            return rules
        stages = self.study.stages
        counts = self.count(cut_value_counts, **rules.parameters(), **self.periods)
        if stages.cut_mode == "rolling":
            return with_cuts(rules, counts, cut_mode="rolling")
        warm = self.study.observation_start + timedelta(self.study.churn.longest_days)
        first = min((start for start in counts["period_start"] if start >= str(warm)), default=str(warm))
        return with_cuts(rules, counts, cut_mode="frozen", reference_period=str(stages.cut_period or first))

    @property
    def periods(self) -> dict[str, Any]:
        """When stages are read and how they are held on to, as parameters of the reductions over the stage panel."""
        stages = self.study.stages
        days = {"observation_start_day": self.observation_start_day, "as_of_day": self.as_of_day}
        asked = days | {"period": stages.period, "history": self.study.data.history}
        return asked if self.holding == {"confirm_periods": 1, "min_dwell": 0} else asked | self.holding

    @property
    def holding(self) -> dict[str, int]:
        """How a stage is held on to: ``confirm_periods`` and ``min_dwell`` of the study."""
        return {"confirm_periods": self.study.stages.confirm_periods, "min_dwell": self.study.stages.min_dwell}

    def say(self, *, en: str, zh: str) -> str:
        """Return the text in the study's language."""
        return {"en": en, "zh": zh}[self.language]

    def provenance(self, **chosen: Any) -> None:
        """Publish what a chapter was made from: the study, its data, and what the chapter had ``chosen``."""
        about = {
            self.say(en="study", zh="研究"): self.study.study,
            self.say(en="observed", zh="观察期"): f"{self.study.observation_start} – {self.study.as_of}",
            self.say(en="data fingerprint", zh="数据指纹"): self.ingested.fingerprint[:16],
            self.say(en="seed", zh="随机种子"): self.study.engine.seed,
            "lcm_research": __version__,
        }
        rows = [(name, _written(value)) for name, value in (about | chosen).items()]
        self.emit.table(
            pd.DataFrame(rows, columns=["what", "value"]),
            id="provenance",
            title=self.say(en="What this chapter was made from", zh="本章所用的参数与数据"),
            n=None,
            labels={"what": self.say(en="item", zh="项目"), "value": self.say(en="value", zh="取值")},
        )

    def segment_label(self, name: str) -> str:
        """Return what the study calls a segment, in its language."""
        segment = self.study.segments.get(name)
        labels: Mapping[Language, str] = segment.label if segment else {}
        return labels.get(self.language, name)

    def days(self, day: date) -> int:
        """Return a date as days since 1970-01-01."""
        return (day - EPOCH).days


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {item}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def open_study(study: str | Path) -> Workbench:
    """
    Open a study by its name in ``params/`` or by the path of its YAML.

    Its files are ingested on first use and kept in the cache (``LCM_CACHE``) until they, the study or the
    code change.

    Raises
    ------
    StudyError, DataError
        With what was expected, what came, where, and what to do.
    """
    path = find_study(study)
    loaded = load_study(path, language=os.environ.get("LCM_LANGUAGE"))
    return Workbench(study=loaded, ingested=ingest(loaded, path, cache=cache_folder()))
