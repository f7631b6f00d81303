"""What every part of a study is made of: frozen models without keys that nobody reads, and the field's small words."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["EPOCH", "IDENTIFIER", "NAME", "ExpressionText", "Language", "Part"]

Language = Literal["en", "zh"]
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
IDENTIFIER = r"^[a-z][a-z0-9_]*$"

EPOCH = date(1970, 1, 1)


def _as_expression(value: object) -> object:
    """Let YAML scalars stand for the expressions they spell: ``is_return: false``, ``quantity: 1``."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


ExpressionText = Annotated[str, BeforeValidator(_as_expression), Field(min_length=1, max_length=2000)]


class Part(BaseModel):
    """A part of a study: frozen, and without keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, hide_input_in_errors=True)
