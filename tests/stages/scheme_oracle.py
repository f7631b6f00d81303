"""
Stages worked out customer by customer in plain Python, from lists of what happened, by the table of schemes.

Nothing here knows of the package: a scheme is a chain of ifs with its default thresholds.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import date, timedelta

EPOCH = date(1970, 1, 1)
WEIGHTS = {"unfollow": 0}
PNLC_WEIGHTS = {"unfollow": 0, "comment": 2, "share": 2, "ugc": 3, "review": 3}
INTENT = ("cart", "dm", "coupon", "trial")


@dataclass
class Person:
    """All that ever happened to one customer, in days since 1970-01-01."""

    purchases: list[tuple[int, int, str | None]] = field(default_factory=list)  # day, minor units, category
    returns: list[tuple[int, int]] = field(default_factory=list)  # day, minor units (negative)
    acts: list[tuple[int, str]] = field(default_factory=list)  # day, action
    touches: list[int] = field(default_factory=list)
    tiers: list[tuple[int, int]] = field(default_factory=list)  # day, rank
    accepted: list[int] = field(default_factory=list)
    answers: list[tuple[int, int]] = field(default_factory=list)  # day, percent
    first_seen: int | None = None

    def upgrades(self) -> list[int]:
        tiers = sorted(self.tiers)
        return [b[0] for a, b in itertools.pairwise(tiers) if b[1] > a[1]]

    def until(self, end: int, since: int | None) -> Person:
        """What is known on ``end``, and after ``since`` where the tables begin there."""
        low = -(10**9) if since is None else since
        kept = lambda rows: [row for row in rows if low <= (row[0] if isinstance(row, tuple) else row) <= end]  # noqa: E731
        return Person(
            purchases=kept(self.purchases),
            returns=kept(self.returns),
            acts=kept(self.acts),
            touches=kept(self.touches),
            tiers=[row for row in self.tiers if row[0] <= end],
            accepted=kept(self.accepted),
            answers=kept(self.answers),
            first_seen=self.first_seen if self.first_seen is not None and self.first_seen <= end else None,
        )


def month_ends(start: int, as_of: int) -> list[int]:
    ends, year, month = [], (EPOCH + timedelta(days=start)).year, (EPOCH + timedelta(days=start)).month
    while True:
        year, month = year + month // 12, month % 12 + 1
        end = (date(year, month, 1) - EPOCH).days - 1
        if end > as_of:
            return ends
        ends.append(end)


def contact(scheme: str, p: Person) -> int | None:
    """Return the first day on which the scheme knows of the customer."""
    days = [row[0] for row in [*p.purchases, *p.returns]]
    days += [p.first_seen] if p.first_seen is not None else []
    days += [d for d, _ in p.acts] if scheme in ("intro5", "intro4", "pnlc", "aipl", "pal") else []
    days += p.touches if scheme == "aipl" else []
    days += [d for d, _ in p.answers] if scheme == "pnlc" else []
    days += p.upgrades() if scheme == "amec" else []
    days += p.accepted if scheme == "arg" else []
    return min(days, default=None)


def stage(scheme: str, p: Person, t: int, before: int, cut: float, w_churn: int) -> tuple[str, str]:
    """Return the stage and the coarse stage on day ``t``; ``before`` ends the period before."""
    days = sorted(row[0] for row in p.purchases)
    money = [row[:2] for row in p.purchases] + p.returns
    n = len(days)
    r, u = (t - days[-1], t - days[0]) if n else (10**6, -1)
    bought = lambda low, high: sum(low < d <= high for d in days)  # noqa: E731
    spent = lambda low, high: sum(m for d, m in money if low < d <= high)  # noqa: E731
    m90, m90_before = spent(t - 90, t), spent(t - 180, t - 90)
    falls = bought(t - 90, t) <= 0.5 * bought(t - 180, t - 90) and bought(t - 180, t - 90) >= 2
    declines = n >= 2 and (falls or (m90_before > 0 and m90 <= 0.5 * m90_before) or r > 0.5 * w_churn)
    mature = n >= 4 and u >= 180 and m90 >= cut
    gone = n >= 1 and r > w_churn
    engaged = [d for d, action in p.acts if WEIGHTS.get(action, 1)]
    young = "new" if u <= 90 else "established"
    if scheme in ("intro5", "intro4"):
        if gone:
            return ("churned" if scheme == "intro5" else "decline"), "lapsed"
        if declines:
            return "decline", "at_risk"
        if mature:
            return "mature", "established"
        if n:
            return "growth", young
        return ("lost_prospect" if engaged and t - max(engaged) > 180 else "intro"), "prospect"
    if scheme == "keynode5":
        if gone or declines:
            return "decline", "lapsed" if gone else "at_risk"
        if mature:
            return "mature", "established"
        return ("growth", young) if n >= 2 else ("cultivate", "new") if n else ("establish", "prospect")
    if scheme == "amec":
        if gone:
            return "churn", "lapsed"
        first_of = {}
        for d, _, category in sorted(p.purchases, key=lambda row: row[0]):
            if category is not None:
                first_of.setdefault(category, d)
        new_categories = sum(d > days[0] and d > t - 90 for d in first_of.values())
        risen = any(t - 90 < d for d in p.upgrades())
        if u > 30 and (new_categories or (m90_before > 0 and m90 >= 1.25 * m90_before) or risen):
            return "expand", "established"
        return ("maintain", "established") if u > 30 else ("acquire", "new" if n else "prospect")
    if scheme == "acamc":
        if gone:
            return "churn", "lapsed"
        if u >= 365 and r <= 60:
            return "maintain", "established"
        if bought(t - 90, t) >= 2:
            return "active", "established"
        return ("cultivate", "new") if n else ("acquire", "prospect")
    if scheme == "agadcr":
        earlier = [d for d in days if d <= before]
        if earlier and bought(before, t) and before - earlier[-1] > w_churn:
            return "repurchase", "returned"
        if gone:
            return "churn", "lapsed"
        if declines:
            return "decline", "at_risk"
        if bought(t - 90, t) >= 2 and u > 30:
            return "active", "established"
        return ("growth", "new" if u <= 30 else "established") if n else ("acquire", "prospect")
    if scheme == "pnlc":
        if gone:
            return "churned", "lapsed"
        e90 = sum(PNLC_WEIGHTS.get(action, 1) for d, action in p.acts if t - 90 < d)
        last = max(p.answers, default=(0, 0))
        if n >= 2 and (e90 >= 2 or last[1] >= 70):
            return "loyal", "established"
        if n:
            return "new", "new" if n == 1 else "established"
        intent = any(t - 180 < d and action in INTENT for d, action in p.acts)
        return ("potential" if intent else "audience"), "prospect"
    if scheme == "aipl":
        if n and not gone:
            loyal = bought(t - 365, t) >= 3
            return ("loyalty", "established") if loyal else ("purchase", "new" if n < 2 else "established")
        if gone:
            return "lapsed", "lapsed"
        kinds = {action for d, action in p.acts if t - 30 < d and action not in ("follow", "unfollow")}
        return ("interest" if len(kinds) >= 2 else "awareness"), "prospect"
    if scheme == "pal":
        e90 = sum(WEIGHTS.get(action, 1) for d, action in p.acts if t - 90 < d)
        if n >= 2 and not gone:
            return "loyal", "established"
        if (n and not gone) or e90:
            return "active", "established" if n else "prospect"
        return ("lapsed", "lapsed") if n else ("potential", "prospect")
    if scheme == "arg":
        if any(t - 90 < d for d in p.accepted):
            return "growth", "established" if n else "prospect"
        if n and not gone:
            return "retention", "established"
        return ("churned", "lapsed") if n else ("acquisition", "prospect")
    if scheme == "ga4state":
        if not n:
            return "prospect", "prospect"
        if not bought(before, t):
            return "dormant", "at_risk"
        if not bought(-(10**9), before):
            return "new", "new"
        first_before = (EPOCH + timedelta(days=before)).replace(day=1)
        if bought((first_before - EPOCH).days - 1, before):
            return "current", "established"
        return "resurrected", "returned"
    if scheme == "rete6":
        if not n:
            return "prospect", "prospect"
        if u == 0:
            return "new", "new"
        if r == 0:
            gap = t - max(d for d in days if d < t)
            return ("current", "established") if gap < 7 else ("reactivated" if gap < 30 else "resurrected", "returned")
        return ("at_risk_wau" if r < 7 else "at_risk_mau" if r < 30 else "dormant"), "at_risk"
    raise AssertionError(scheme)


WHOLE = ("intro5", "intro4", "keynode5", "amec", "acamc", "agadcr", "pnlc", "aipl", "pal", "ga4state", "rete6")


def panel(
    scheme: str, people: dict[str, Person], *, start: int, as_of: int, history: str, cut: float, w_churn: int = 180
) -> dict[tuple[str, int], tuple[str, str]]:
    """Return the stage and coarse stage by customer and period; "unknown" where it cannot be told."""
    found = {}
    since = None if history == "complete" else start
    for name, whole in people.items():
        before = start - (EPOCH + timedelta(days=start)).day  # the last day of the month before
        for period, end in enumerate(month_ends(start, as_of)):
            known = whole.until(end, since)
            first = contact(scheme, known)
            if first is not None:
                seen = history == "complete" or (whole.first_seen is not None and whole.first_seen >= start)
                warm = scheme not in WHOLE and end >= start + w_churn and known.purchases
                told = stage(scheme, known, end, before, cut, w_churn)
                found[name, period] = told if seen or warm else ("unknown", "unknown")
            before = end
    return found


def held(stages: list[str], confirm: int, dwell: int) -> list[str]:
    """Return a sequence of stages in which changes are confirmed and stages kept."""
    confirmed: list[str] = []
    for at, now in enumerate(stages):
        again = stages[max(at - confirm + 1, 0) : at + 1]
        sure = at == 0 or (len(again) == confirm and len(set(again)) == 1)
        confirmed.append(now if sure else confirmed[-1])
    shown, entered = confirmed[:1], 0
    for at, now in enumerate(confirmed[1:], start=1):
        if now != shown[-1] and at - entered >= dwell:
            shown.append(now)
            entered = at
        else:
            shown.append(shown[-1])
    return shown


def community_stages(
    created: int, joins: list[int], leaves: list[int], ends: list[int], *, w: int = 30
) -> list[str | None]:
    """Return the stage of a community at each end: 100 and 500 members, 30 days of age, 2% a month for 3 periods."""
    found: list[str | None] = []
    slow = falling = 0
    for end in ends:
        count = lambda day: sum(d <= day for d in joins) - sum(d <= day for d in leaves)  # noqa: E731
        if min([created, *joins]) > end:
            found.append(None)
            continue
        now, then = count(end), count(end - w)
        slow = slow + 1 if then > 0 and (now - then) / then * 30 / w * 100 < 2 - 1e-9 else 0
        falling = falling + 1 if now < then else 0
        early = now < 100 or end - created < 30
        found.append(
            "early" if early else "shrinking" if falling >= 3 else "settled" if now >= 500 and slow >= 3 else "growth"
        )
    return found
