"""Names that come from notebooks as parts of an address: ids within a page, and the files of a run."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import quote

from lcm_research.errors import RunError

__all__ = ["cell_anchor", "file_name", "finding_anchor", "fragment", "readable_slug", "slug"]


def slug(name: Any) -> str:
    """
    Return a name as part of an id: letters of any script, digits, ``-`` and ``_``; others become ``-``.

    A name that had to be changed carries a digest, so that two names never share an id.

    >>> slug("0a_b-留存"), slug('"><script>')
    ('0a_b-留存', '-script-554299e9')
    """
    text = str(name)
    plain = readable_slug(text)
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def readable_slug(name: str) -> str:
    """
    Return a name as part of an id as ``slug`` does, without the digest: two names may share it.

    >>> readable_slug("Who is in it?")
    'Who-is-in-it'
    """
    return re.sub(r"[^\w-]+", "-", name)[:60].removesuffix("-")


def cell_anchor(cell: Any) -> str:
    """Return the id of a cell's section."""
    return f"cell-{slug(cell)}"


def finding_anchor(finding: Any) -> str:
    """Return the id of a finding."""
    return f"finding-{slug(finding)}"


def fragment(anchor: str) -> str:
    """Return a link to an id of the same page."""
    return "#" + quote(anchor)


def file_name(name: Any) -> str:
    """Return ``name`` if it can name a file of a run; RunError where it would lead out of the folder."""
    text = str(name)
    if not re.fullmatch(r"\w[\w .+-]*", text):
        raise RunError(
            f"a study, run or notebook is named by letters, digits, '.', '_', '+' and '-'; came {text!r}; rename it"
        )
    return text
