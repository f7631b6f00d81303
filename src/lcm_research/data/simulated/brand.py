"""
What is true of the simulated brand: every number that an analysis of its files should or should not find.

Rates are per calendar month of a customer with activity 1; hazard ratios multiply the monthly hazard of
leaving; a channel's effect is the number of purchases that one of its touches adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "ACTIONS",
    "AGE_BANDS",
    "CATEGORIES",
    "CHANNELS",
    "PLATFORMS",
    "REGIONS",
    "Brand",
    "Channel",
    "EngagementFollows",
]

EngagementFollows = Literal["activity", "purchases", "chance"]


@dataclass(frozen=True, kw_only=True)
class Channel:
    """
    A channel between brand and customer, with its true effect.

    Parameters
    ----------
    touches_monthly : float
        Touches per month alive of a customer with activity 1.
    activity_power : float
        Touches grow with activity to this power: 0 for what is sent to everybody alike, 1 for what people
        seek, more for what the most active use most.
    effect : float
        Probability that a touch adds a purchase within days, to a customer who buys at all. It does not
        depend on the type of touch or on whether it was paid.
    acquisition_share : float
        Share of customers whose first contact came through it.
    touch_types : mapping of str to float
        Share of each type of touch.
    paid_share : float
        Share of touches that were paid.
    """

    name: str
    touches_monthly: float
    activity_power: float
    effect: float
    acquisition_share: float
    touch_types: Mapping[str, float]
    paid_share: float


def _channel(
    name: str,
    touches_monthly: float,
    activity_power: float,
    effect: float,
    acquisition_share: float,
    paid_share: float,
    **touch_types: float,
) -> Channel:
    return Channel(
        name=name,
        touches_monthly=touches_monthly,
        activity_power=activity_power,
        effect=effect,
        acquisition_share=acquisition_share,
        touch_types=touch_types,
        paid_share=paid_share,
    )


CHANNELS = (
    #        name        monthly power effect  first  paid
    _channel("douyin", 0.60, 1.5, 0.00, 0.20, 0.3, impression=0.5, view=0.4, click=0.1),
    _channel("wechat", 0.30, 1.0, 0.12, 0.16, 0.0, view=0.6, message=0.3, click=0.1),
    _channel("weibo", 0.25, 1.0, 0.00, 0.10, 0.1, impression=0.7, view=0.2, click=0.1),
    _channel("search", 0.15, 1.0, 0.25, 0.12, 0.5, click=1.0),
    _channel("email", 0.20, 0.0, 0.10, 0.02, 0.0, message=0.8, click=0.2),
    _channel("display", 0.20, 0.0, 0.00, 0.07, 1.0, impression=0.95, click=0.05),
    _channel("direct", 0.15, 1.0, 0.00, 0.06, 0.0, visit=1.0),
    _channel("sms", 0.12, 0.0, 0.02, 0.01, 0.0, message=0.9, click=0.1),
    _channel("kuaishou", 0.12, 1.0, 0.00, 0.06, 0.3, impression=0.5, view=0.4, click=0.1),
    _channel("kol", 0.10, 1.0, 0.18, 0.09, 1.0, view=0.8, click=0.2),
    _channel("store", 0.10, 1.0, 0.00, 0.08, 0.0, visit=1.0),
    _channel("referral", 0.04, 1.0, 0.03, 0.03, 0.0, click=1.0),
)
"""Twelve channels, the most used first: douyin has no effect at all, but the most active live there."""

REGIONS = {"east": 0.38, "south": 0.24, "north": 0.22, "west": 0.16}
AGE_BANDS = {"18-24": 0.27, "25-34": 0.38, "35-44": 0.22, "45+": 0.13}
CATEGORIES = {"skincare": 0.45, "makeup": 0.30, "fragrance": 0.10, "gift": 0.15}
PLATFORMS = {"douyin": 0.40, "wechat": 0.27, "weibo": 0.22, "kuaishou": 0.11}
ACTIONS = {
    "like": 0.50,
    "comment": 0.14,
    "live_join": 0.09,
    "share": 0.08,
    "checkin": 0.06,
    "follow": 0.05,
    "dm": 0.04,
    "review": 0.02,
    "ugc": 0.02,
}
"""Shares of values that bear on nothing: region, age band, category, platform and action are drawn at random."""


@dataclass(frozen=True, kw_only=True)
class Brand:
    """
    The true model behind the simulated files.

    **Activity.** Each customer has a lasting activity, gamma with mean 1. It drives purchases, engagement,
    touches and membership, so whatever active people do goes along with buying. Itself it does not move the
    hazard of leaving.

    **Life.** A customer is alive from first contact. In a month that begins alive, the hazard of leaving is
    ``leaving_hazard_monthly * engaged_hazard_ratio ** engaged * member_hazard_ratio ** member``, where
    ``engaged`` says whether the customer engaged at all in the month before. Somebody who left comes back with
    ``return_hazard_monthly`` and lives on by the same rules. At most one of arriving, leaving and coming back
    happens in a month. Nothing is done while not alive, but a return of goods may follow.

    **Engagement.** Sessions are Poisson with rate ``sessions_monthly`` times what ``engagement_follows`` says; each
    holds one act and a Poisson number more. Engaging does not make anybody buy; it keeps them from leaving.

    - ``"activity"``: the customer's activity, which no file holds.
    - ``"purchases"``: what anybody can see, ``sessions_by_purchase_days`` of the days on which the customer had
      bought, looked up anew every 30 days from the first purchase on (its own day is counted). Given that, activity
      tells nothing more about engaging.
    - ``"chance"``: 1, the same for all.

    **Purchases.** Poisson with rate ``purchases_monthly`` times activity times the season; besides, each touch
    adds one purchase with its channel's ``effect``, an exponential delay later, unless the customer has left by
    then. A share of customers never buys whatever reaches them.

    **What bears on nothing.** Region, age band, acquisition channel and consent.
    """

    activity_shape: float = 1.2
    leaving_hazard_monthly: float = 0.14
    engaged_hazard_ratio: float = 0.6
    member_hazard_ratio: float = 0.75
    return_hazard_monthly: float = 0.025
    never_buys_share: float = 0.12
    earlier_share: float = 0.30
    """Share of customers first seen in the year before the files begin; the others arrive evenly in the window."""
    member_slope: float = 0.4
    """A customer with activity ``a`` is a member with probability ``1 - exp(-member_slope * a)``."""
    consent_share: float = 0.93
    engagement_follows: EngagementFollows = "activity"
    sessions_by_purchase_days: Mapping[int, float] = field(default_factory=lambda: {0: 0.3, 2: 1.0, 4: 3.0})
    """Factor on sessions from so many purchase days on, where engagement follows purchases."""
    sessions_monthly: float = 0.8
    more_acts_per_session: float = 1.5
    purchases_monthly: float = 0.65
    season: tuple[float, ...] = (1.0, 0.8, 0.95, 0.9, 1.0, 1.35, 0.85, 0.9, 0.95, 1.0, 1.7, 1.25)
    """Factor on the purchase rate, January to December."""
    promotions: Mapping[int, int] = field(default_factory=lambda: {6: 18, 11: 11})
    """Last of three promotion days in a month: 6.18 and 11.11."""
    promotion_share: float = 0.3
    """Share of a promotion month's purchases that are made on those days."""
    delay_days: float = 2.0
    """Mean delay between a touch and the purchase that it adds."""
    goods_returned_share: float = 0.05
    goods_returned_after_days: float = 9.0
    amount_median_cny: float = 168.0
    amount_sd_between: float = 0.35
    amount_sd_within: float = 0.55
    store_share: float = 0.22
    channels: tuple[Channel, ...] = CHANNELS

    @property
    def effects(self) -> dict[str, float]:
        """Purchases that one touch adds, by channel."""
        return {channel.name: channel.effect for channel in self.channels}
