"""
Every error and warning that the workbench raises on purpose.

    LcmError                    a user can act on it; the command line prints it without a traceback
    ├── StudyError              the YAML of a study, or a parameter given to it, is not usable
    ├── DataError               the files of a study, or what is in them, are not usable
    │   └── MissingTableError   a question needs a table that the study does not have
    ├── ModelError              the counts cannot answer the question asked of a model
    └── RunError                a run could not be carried out or published

    LcmWarning                  the result stands but deserves doubt; shown beside the number
    ├── FewEventsWarning        an estimate rests on few events or few groups of customers
    ├── SparseCellWarning       a cell of a table was hardly ever visited
    └── MissingFontWarning      a label has characters that no font of this machine draws

A message says what was expected, what came, where, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "DataError",
    "FewEventsWarning",
    "LcmError",
    "LcmWarning",
    "MissingFontWarning",
    "MissingTableError",
    "ModelError",
    "RunError",
    "SparseCellWarning",
    "StudyError",
    "nearest",
]


class LcmError(Exception):
    """Something that a user of the workbench can act on."""


class StudyError(LcmError):
    """A study's YAML, or a parameter given to it, is not usable."""


class DataError(LcmError):
    """A study's files, or what is in them, are not usable."""


class MissingTableError(DataError):
    """A question needs a table that the study does not have; the notebook is skipped."""

    def __init__(self, table: str, *, purpose: str) -> None:
        self.table = table
        super().__init__(f"the study has no table '{table}', which {purpose} needs; map one under data.tables.{table}")


class ModelError(LcmError):
    """The counts cannot answer the question that was asked of a model."""


class RunError(LcmError):
    """A run could not be carried out or published."""


class LcmWarning(UserWarning):
    """A result stands but deserves doubt."""


class FewEventsWarning(LcmWarning):
    """An estimate rests on few events or few groups of customers."""


class SparseCellWarning(LcmWarning):
    """A cell of a table was hardly ever visited."""


class ShortFollowUpWarning(LcmWarning):
    """A share that never lapses was fitted although many of those still going on would yet lapse."""


class MissingFontWarning(LcmWarning):
    """A label has characters that no font of this machine draws; readers' browsers may draw them."""


def nearest(name: str, known: Iterable[str]) -> str:
    """
    Return a half-sentence that offers the known name closest to ``name``, or lists the known ones.

    >>> nearest("horizon_day", ["horizon_days", "seed"])
    "did you mean 'horizon_days'?"
    """
    options = sorted(known)
    close = difflib.get_close_matches(name, options, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return "known names are " + ", ".join(options) if options else "no names are known here"
