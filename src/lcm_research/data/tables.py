"""
The canonical tables: what each column means, its type and unit, and whether a study must have it.

After ingest every table is immutable parquet with these columns and no others. Times are integers, so that
every engine counts alike: ``ts_us`` microseconds since 1970-01-01 UTC, and ``day`` the local date in the
study's timezone as days since 1970-01-01. Money is an integer of minor units with its currency beside it.
Columns that a study does not map are absent; segments are further string columns of ``customers``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["ENDS_ONLY", "EVENT_TIMES", "TABLES", "CanonicalTable", "Column", "Kind"]

Kind = Literal["id", "ts", "category", "money", "currency", "bool", "int", "float"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """
    One column of a canonical table as a study maps it.

    ``ts`` becomes the two stored columns ``ts_us`` and ``day`` (``<name>_us`` and ``<name>_day`` for any
    other name; ``churn_ts`` is the ``ts`` of its table); ``money`` becomes ``<name>_minor``.
    """

    kind: Kind
    required: bool = False
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class CanonicalTable:
    """
    A table of the contract: its key and its columns, in order.

    ``owner`` is the column that holds the customer whose row it is; None where rows belong to no one customer.
    ``time`` is the column that says when the row happened or began.
    """

    key: str
    columns: Mapping[str, Column]
    meaning: str
    owner: str | None = "customer_id"
    time: str = "ts"

    @property
    def day(self) -> str:
        """The stored column with the local day of ``time``."""
        return "day" if self.time in EVENT_TIMES else f"{self.time}_day"

    def required(self) -> list[str]:
        """Return the columns that a study must map (the key may be left to the row number)."""
        return [name for name, column in self.columns.items() if column.required]


def _id(meaning: str, *, required: bool = False) -> Column:
    return Column(kind="id", required=required, meaning=meaning)


def _cat(meaning: str, *, required: bool = False) -> Column:
    return Column(kind="category", required=required, meaning=meaning)


def _ts(meaning: str, *, required: bool = False) -> Column:
    return Column(kind="ts", required=required, meaning=meaning)


def _bool(meaning: str) -> Column:
    return Column(kind="bool", meaning=meaning)


def _number(meaning: str, *, required: bool = False) -> Column:
    return Column(kind="float", required=required, meaning=meaning)


EVENT_TIMES = ("ts", "churn_ts")
"""Columns that say when an event happened; they are stored as ``ts_us`` and ``day``. Other times begin a state."""

_CUSTOMER = _id("the customer; an opaque string", required=True)

TABLES: Mapping[str, CanonicalTable] = {
    "customers": CanonicalTable(
        key="customer_id",
        meaning="one row a customer; made from the other tables where a study has no such file",
        time="first_seen_at",
        columns={
            "customer_id": _CUSTOMER,
            "first_seen_at": _ts("first contact ever, also before the observation window"),
            "acquisition_channel": _cat("channel of the first contact"),
            "acquisition_source": _cat("source within the channel"),
            "region": _cat("region"),
            "age_band": _cat("age band"),
            "gender": _cat("gender"),
            "is_member": _bool("member of the brand's programme at the first contact"),
            "consent_analytics": _bool("the customer agreed to analysis"),
            "contract_start": _ts("first day of the customer's contract"),
            "contract_end": _ts("last day of the contract; empty where it has none yet"),
            "contract_status": _cat("active or renewed where the contract goes on past its end, or another word"),
        },
    ),
    "transactions": CanonicalTable(
        key="transaction_id",
        meaning="one row a purchase or a return",
        columns={
            "transaction_id": _id("the purchase; the row number where a study has none"),
            "customer_id": _CUSTOMER,
            "ts": _ts("when it was made", required=True),
            "amount": Column(kind="money", required=True, meaning="what was paid; negative for a return"),
            "currency": Column(kind="currency", required=True, meaning="ISO 4217 code of the amount"),
            "is_return": _bool("a return or cancellation: never counted as a purchase; false where not mapped"),
            "quantity": Column(kind="int", meaning="pieces"),
            "channel": _cat("where it was made: online, offline, store"),
            "category": _cat("product category"),
        },
    ),
    "touchpoints": CanonicalTable(
        key="touchpoint_id",
        meaning="one row a contact between brand and customer",
        columns={
            "touchpoint_id": _id("the contact; the row number where a study has none"),
            "customer_id": _CUSTOMER,
            "ts": _ts("when it happened", required=True),
            "channel": _cat("weibo, wechat, douyin, search, email, store and so on", required=True),
            "touch_type": _cat("impression, click, view, visit, message or call", required=True),
            "paid": _bool("paid contact"),
        },
    ),
    "engagements": CanonicalTable(
        key="event_id",
        meaning="one row a social act of a customer",
        columns={
            "event_id": _id("the act; the row number where a study has none"),
            "customer_id": _CUSTOMER,
            "ts": _ts("when it happened", required=True),
            "platform": _cat("where it happened", required=True),
            "action": _cat("follow, like, comment, share, dm, review and so on", required=True),
        },
    ),
    "churn_reasons": CanonicalTable(
        key="reason_id",
        meaning="one row a customer who left and why, as somebody recorded it",
        time="churn_ts",
        columns={
            "reason_id": _id("the record; the row number where a study has none"),
            "customer_id": _CUSTOMER,
            "churn_ts": _ts("when the customer left", required=True),
            "reason": _cat("price, service, account_closed, death, merged and so on", required=True),
            "source": _cat("survey, coded or operator", required=True),
        },
    ),
    "tier_history": CanonicalTable(
        key="tier_id",
        meaning="one row a tier that a customer got, of a loyalty programme",
        time="valid_from",
        columns={
            "tier_id": _id("the record; the row number where a study has none"),
            "customer_id": _CUSTOMER,
            "valid_from": _ts("when the tier began", required=True),
            "tier": _cat("name of the tier", required=True),
            "threshold": _number("what a customer must reach for the tier; orders the tiers"),
        },
    ),
    "referrals": CanonicalTable(
        key="referral_id",
        meaning="one row an invitation by a customer",
        owner="referrer_id",
        time="invited_at",
        columns={
            "referral_id": _id("the invitation; the row number where a study has none"),
            "referrer_id": _id("the customer who invited; an opaque string", required=True),
            "invitee_id": _id("who was invited; an opaque string", required=True),
            "invited_at": _ts("when the invitation was sent", required=True),
            "accepted_at": _ts("when it was accepted; empty where it was not"),
            "channel": _cat("where it was sent"),
        },
    ),
    "survey": CanonicalTable(
        key="answer_id",
        meaning="one row an answer to one item of a questionnaire",
        columns={
            "answer_id": _id("the answer; the row number where a study has none"),
            "customer_id": _CUSTOMER,
            "ts": _ts("when it was given", required=True),
            "item_id": _cat("the item that was asked", required=True),
            "value": _number("the answer", required=True),
            "scale_min": _number("lowest answer that could be given", required=True),
            "scale_max": _number("highest answer that could be given", required=True),
            "response_id": _id("the questionnaire that the answer belongs to"),
            "mode": _cat("web, phone or social"),
        },
    ),
    "community": CanonicalTable(
        key="community_id",
        meaning="one row a community",
        owner=None,
        time="created_at",
        columns={
            "community_id": _id("the community; an opaque string", required=True),
            "platform": _cat("where it is", required=True),
            "created_at": _ts("when it was created", required=True),
            "topic": _cat("what it is about"),
        },
    ),
    "community_member": CanonicalTable(
        key="membership_id",
        meaning="one row a membership of a community; members need not be customers",
        owner=None,
        time="joined_at",
        columns={
            "membership_id": _id("the membership; the row number where a study has none"),
            "community_id": _id("the community; an opaque string", required=True),
            "customer_id": _CUSTOMER,
            "joined_at": _ts("when it began", required=True),
            "left_at": _ts("when it ended; empty where it has not"),
            "role": _cat("member, core or owner"),
        },
    ),
}
"""The contract, by table name; further tables are declared when an analysis reads them."""

ENDS_ONLY = ("contract_end", "contract_status")
"""Columns of customers that are known when the customer's time is over, and so tell no groups apart."""
