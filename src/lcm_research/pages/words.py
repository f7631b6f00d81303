"""The fixed words of the pages in English and in Chinese, and texts that come in one language or in both."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ruamel.yaml import YAML

__all__ = ["Language", "Words", "language_of", "moment", "text_in"]

Language = Literal["en", "zh"]


@functools.cache
def _texts() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    source = resources.files("lcm_research.pages").joinpath("words.yml").read_text(encoding="utf-8")
    texts: Mapping[str, Mapping[str, Mapping[str, str]]] = YAML(typ="safe").load(source)
    return texts


@dataclass(frozen=True)
class Words:
    """
    The fixed words of a page in its language.

    Examples
    --------
    >>> Words("zh")("card.n", n="1,200"), Words("en")("study.before")
    ('n = 1,200', 'Before')
    """

    language: Language

    def __call__(self, key: str, **values: object) -> str:
        """Return the words under ``key`` with ``values`` filled in; KeyError for a key that nobody wrote."""
        part, name = key.split(".", 1)
        return _texts()[part][name][self.language].format(**values)

    def knows(self, key: str) -> bool:
        """Return whether there are words under ``key``."""
        part, name = key.split(".", 1)
        return name in _texts()[part]

    def text(self, value: Any) -> str:
        """Return a text that is plain or ``{"en": ..., "zh": ...}`` in the page's language."""
        return text_in(value, self.language)

    @property
    def html_lang(self) -> str:
        """The page's ``lang``; simplified characters are said so that the right glyphs are drawn."""
        return {"en": "en", "zh": "zh-Hans"}[self.language]


def text_in(value: Any, language: Language) -> str:
    """
    Return a text in ``language``; a plain text is the same in both, none is empty.

    >>> text_in({"en": "stay", "zh": "留存"}, "zh"), text_in("stay", "zh"), text_in(None, "en")
    ('留存', 'stay', '')
    """
    if isinstance(value, Mapping):
        value = value.get(language) or next((text for text in value.values() if text), "")
    return "" if value is None else str(value)


def language_of(run: Mapping[str, Any]) -> Language:
    """Return the language of a run's pages."""
    return "zh" if run.get("language") == "zh" else "en"


def moment(timestamp: Any, timezone: Any) -> str:
    """
    Write a time of the manifest to the minute, in the study's time zone; what is no time comes back as it is.

    >>> moment("2024-07-01T18:13:09+00:00", "Asia/Shanghai")
    '2024-07-02 02:13'
    """
    try:
        when = datetime.fromisoformat(str(timestamp))
    except ValueError:
        return text_in(timestamp, "en")
    if when.tzinfo is not None:
        try:
            when = when.astimezone(ZoneInfo(str(timezone)))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return when.strftime("%Y-%m-%d %H:%M %Z")
    return when.strftime("%Y-%m-%d %H:%M")
