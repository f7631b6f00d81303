"""What a notebook opens: a study with its tables, its counts, its language and the door to its page."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lcm_research import __version__
from lcm_research.data.backend import connect, open_tables
from lcm_research.data.cache import cache_folder
from lcm_research.data.reduction import Reduction, Tables
from lcm_research.data.sources import Ingested, ingest
from lcm_research.errors import MissingTableError
from lcm_research.findings.emit import Emit
from lcm_research.study import EPOCH, Language, Study, find_study, load_study

__all__ = ["Workbench", "open_study"]


@dataclass(frozen=True)
class Workbench:
    """
    An opened study: its counts come from ``count``, its page is written through ``emit``.

    Examples
    --------
    In a notebook::

        lcm = open_study("cdnow")
        counts = lcm.count(spell_counts, window_days=lcm.study.churn.window_days, ...)
    """

    study: Study
    ingested: Ingested

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
        return self.as_of_day - self.study.churn.window_days - self.observation_start_day

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
