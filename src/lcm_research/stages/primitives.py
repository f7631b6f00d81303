"""
What stage rules may ask about a customer at the end of a period, and which tables the answers come from.

Every primitive is an integer known from rows up to that day. One whose name ends in ``_w`` counts over a window of
w days, (t - w, t], and its ``_before`` the window before that one; a scheme says which threshold w is. A number of
days since something that never happened is missing, and fits no comparison.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from lcm_research.study import Language

__all__ = ["CORE", "DEFAULT_WINDOW", "PRIMITIVES", "Primitive", "Unit", "of_unit", "window_family"]

Unit = Literal["customer", "community"]

DEFAULT_WINDOW = "w"
"""The threshold that is the window of a primitive where a scheme does not say another."""


@dataclass(frozen=True, kw_only=True)
class Primitive:
    """
    A quantity that rules may name.

    Parameters
    ----------
    meaning : mapping
        In both languages.
    tables : tuple of str
        The tables it is computed from.
    columns : tuple of str
        Of these tables, the columns that a study may lack, as ``table.column``.
    windowed : bool
        Whether it looks back over a window.
    reach : int
        How many windows back it looks.
    of : {"days", "count", "money", "score"}
        What it is compared with.
    unit : {"customer", "community"}
    """

    meaning: Mapping[Language, str]
    tables: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    windowed: bool = False
    reach: int = 1
    of: Literal["days", "count", "money", "score"] = "count"
    unit: Unit = "customer"


def _on(table: str, en: str, zh: str, *columns: str, **further: object) -> Primitive:
    return Primitive(meaning={"en": en, "zh": zh}, tables=(table,), columns=columns, **further)  # type: ignore[arg-type]


_BOUGHT, _SOCIAL = "transactions", "engagements"

PRIMITIVES: Mapping[str, Primitive] = {
    "n": _on(_BOUGHT, "purchases ever, up to the end of the period", "截至期末的累计购买次数"),
    "r": _on(_BOUGHT, "days since the last purchase", "距最近一次购买的天数", of="days"),
    "u": _on(_BOUGHT, "days since the first purchase", "距首次购买的天数", of="days"),
    "n_period": _on(_BOUGHT, "purchases in the period", "本期购买次数"),
    "r_before": _on(
        _BOUGHT,
        "days since the last purchase, at the end of the period before",
        "上期末距最近一次购买的天数",
        of="days",
    ),
    "length_before": Primitive(meaning={"en": "days in the period before", "zh": "上一期的天数"}, of="days"),
    "n_w": _on(_BOUGHT, "purchases in the last w days", "最近 w 天的购买次数", windowed=True),
    "n_w_before": _on(_BOUGHT, "purchases in the w days before those", "再之前 w 天的购买次数", windowed=True, reach=2),
    "m_w": _on(
        _BOUGHT,
        "net spend of the last w days, in minor units of the currency",
        "最近 w 天的净消费额（货币最小单位）",
        "transactions.amount_minor",
        windowed=True,
        of="money",
    ),
    "m_w_before": _on(
        _BOUGHT,
        "net spend of the w days before those, in minor units of the currency",
        "再之前 w 天的净消费额（货币最小单位）",
        "transactions.amount_minor",
        windowed=True,
        reach=2,
        of="money",
    ),
    "r_w": _on(
        _BOUGHT,
        "days since the last purchase that is at least w days old",
        "距最近一次至少 w 天前的购买的天数",
        windowed=True,
        of="days",
    ),
    "cat_w": _on(
        _BOUGHT,
        "categories bought for the first time in the last w days, those of the first purchase day left out",
        "最近 w 天首次购买的品类数（不计首购当日的品类）",
        "transactions.category",
        windowed=True,
    ),
    "re": _on(_SOCIAL, "days since the last engagement", "距最近一次互动的天数", of="days"),
    "e_w": _on(_SOCIAL, "weighted engagements of the last w days", "最近 w 天的加权互动量", windowed=True),
    "n_acts": _on(
        _SOCIAL, "different kinds of active engagement in the last w days", "最近 w 天的主动互动种类数", windowed=True
    ),
    "intent_w": _on(_SOCIAL, "acts that show intent in the last w days", "最近 w 天的意向行为次数", windowed=True),
    "u0": Primitive(meaning={"en": "days since the first contact", "zh": "距首次接触的天数"}, of="days"),
    "tier_w": _on(
        "tier_history",
        "rises to a higher tier in the last w days",
        "最近 w 天的会员等级升级次数",
        windowed=True,
    ),
    "ref_w": _on(
        "referrals",
        "referrals by the customer that were accepted in the last w days",
        "最近 w 天被接受的推荐次数",
        "referrals.accepted_at_day",
        windowed=True,
    ),
    "loyalty": _on(
        "survey",
        "the last answer about loyalty, in percent of its scale",
        "最近一次忠诚度问卷得分（占量表的百分比）",
        of="score",
    ),
    "members": _on("community_member", "members of the community", "社群成员数", unit="community"),
    "members_before": _on(
        "community_member", "members of the community w days ago", "w 天前的社群成员数", unit="community", windowed=True
    ),
    "age": _on("community", "days since the community was created", "社群创建以来的天数", of="days", unit="community"),
}

CORE = ("n", "r", "u", "n_period", "r_before")
"""The primitives of purchases alone that need no window."""


def window_family(name: str) -> str:
    """
    Return the primitive that a window is declared for: both windows of a pair have the same length.

    >>> window_family("m_w_before"), window_family("n_acts")
    ('m_w', 'n_acts')
    """
    return name.removesuffix("_before") if name in ("n_w_before", "m_w_before") else name


def of_unit(unit: Unit) -> Collection[str]:
    """Return the names of the primitives that rules about customers, or about communities, may use."""
    return [name for name, primitive in PRIMITIVES.items() if primitive.unit == unit]
