"""A finding: an estimate with its question, its sentence in two languages, its checks and its verdict, as a record."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate

__all__ = ["FIGURE_MIME", "FINDING_MIME", "TABLE_MIME", "WITHHELD_MIME", "Check", "Finding", "Tier", "valid_id"]

FINDING_MIME = "application/vnd.lcm.finding+json"
TABLE_MIME = "application/vnd.lcm.table+json"
WITHHELD_MIME = "application/vnd.lcm.withheld+json"
FIGURE_MIME = "image/svg+xml"

Tier = Literal["A", "B", "C", "D"]
"""Design behind a finding: A randomised, B quasi-experimental, C adjusted observation, D descriptive."""

Text = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something the finding assumes, whether it held, and what was seen (in both languages)."""

    name: Text | str
    passed: bool
    note: Text | str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a notebook concludes; ``record`` is what a run keeps of it."""

    id: str
    study: str
    question: Text
    estimate: Estimate
    sentence: Text
    tier: Tier
    checks: tuple[Check, ...] = ()
    verdict: str | None = None
    registered: bool = False
    headline: bool = False
    null: float | None = None
    claimed: float | None = None

    def record(self) -> dict[str, Any]:
        """Return the record without notebook and cell, which the run adds; numbers to 10 significant digits."""
        estimate = self.estimate
        return {
            "id": valid_id(self.id),
            "study": self.study,
            "question": dict(self.question),
            "value": rounded(estimate.value),
            "lower": rounded(estimate.lower),
            "upper": rounded(estimate.upper),
            "level": estimate.level,
            "unit": estimate.unit,
            "n": int(estimate.n),
            "tier": self.tier,
            "checks": [{"name": _text(c.name), "passed": bool(c.passed), "note": _text(c.note)} for c in self.checks],
            "verdict": self.verdict,
            "sentence": dict(self.sentence),
            "registered": self.registered,
            "headline": self.headline,
            "null_value": None if self.null is None else rounded(self.null),
            "claimed": None if self.claimed is None else rounded(self.claimed),
        }


def _text(text: Text | str) -> dict[str, str]:
    return {"en": text, "zh": text} if isinstance(text, str) else dict(text)


def rounded(x: float) -> float | None:
    """
    Round to 10 significant digits, so that the last bits of a sum do not change a file; no number for NaN.

    >>> rounded(1 / 3), rounded(math.nan)
    (0.3333333333, None)
    """
    return float(f"{x:.10g}") if math.isfinite(x) else None


def valid_id(name: str) -> str:
    """Return ``name`` if it may name a finding, a table or a figure: lower case, digits, ``_`` and ``-``."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,79}", name):
        raise ModelError(f"an id has lower-case letters, digits, '_' and '-' and at most 80 of them; came {name!r}")
    return name
