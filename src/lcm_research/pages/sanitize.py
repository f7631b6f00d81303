"""
The wall between a notebook and the page: an allow-list of tags and attributes, nothing else passes.

What reaches it has been made from Markdown or source code with raw HTML escaped; the wall holds where that
fails. Styles, scripts, forms, frames, SVG and addresses other than ``http(s)``, relative ones and embedded
images do not pass.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import nh3
from pygments.token import STANDARD_TYPES

__all__ = ["clean", "clean_code", "safe_image", "safe_link"]


def _names(*lines: str) -> set[str]:
    return {name for line in lines for name in line.split()}


_PROSE = _names(
    "p br hr em strong del sub sup code pre blockquote ul ol li div span a img h2 h3 h4 h5 h6",
    "table thead tbody tr th td",
)
_MATH = _names(
    "math mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover",
    "mmultiscripts mprescripts mtable mtr mtd mpadded mphantom menclose mstyle",
)
_MATH_ATTRIBUTES = _names(
    "accent accentunder columnalign columnlines columnspacing depth displaystyle fence form height largeop",
    "linethickness lspace mathvariant maxsize minsize movablelimits notation rowlines rowspacing rspace scriptlevel",
    "separator stretchy symmetric voffset width",
)
_ATTRIBUTES = dict.fromkeys(_MATH, _MATH_ATTRIBUTES) | {
    "math": {"display"},
    "a": {"href", "title"},
    "img": {"src", "alt"},
    "th": {"scope"},
    "ol": {"start"},
    "div": {"role", "tabindex", "aria-label"},
    **{f"h{level}": {"id"} for level in range(2, 7)},
}
_CLASSES = {"div": {"scroll", "formula"}, "td": {"right", "center"}, "th": {"right", "center"}}
_CODE_CLASSES = {"span": {name for name in STANDARD_TYPES.values() if name}}
_GONE = {"script", "style", "template", "iframe", "object", "noscript", "textarea", "title", "svg"}

_IMAGE = re.compile(r"data:image/(?:svg\+xml|png);base64,[A-Za-z0-9+/=]+")


def safe_image(address: str) -> bool:
    """Return whether an image is embedded in the page, as SVG or PNG."""
    return _IMAGE.fullmatch(address) is not None


def safe_link(address: str) -> bool:
    """
    Return whether a link leads to ``http(s)``, to a file beside the page or to an id in it.

    >>> [safe_link(a) for a in ("https://a.org", "02_states.html#x", "javascript:alert(1)", "//a.org", "data:,x")]
    [True, True, False, False, False]
    """
    if re.search(r"[\x00-\x20\\]", address) or address.startswith("//"):
        return False
    try:
        return urlsplit(address).scheme in ("", "http", "https")
    except ValueError:
        return False


def clean(html: str) -> str:
    """Return what of an HTML fragment may stand on a page."""
    return nh3.clean(
        html,
        tags=_PROSE | _MATH,
        clean_content_tags=_GONE,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        allowed_classes=_CLASSES,
        url_schemes={"http", "https", "data"},
        link_rel="noopener noreferrer",
    )


def clean_code(html: str) -> str:
    """Return highlighted source code: text in ``span`` with the classes of Pygments, nothing else."""
    return nh3.clean(html, tags={"span"}, attributes={}, allowed_classes=_CODE_CLASSES)


def _attribute(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "href":
        return value if safe_link(value) else None
    if attribute == "src":
        return value if safe_image(value) else None
    if attribute == "id":
        return value if value.startswith("section-") else None
    return value
