"""A warning's population, predictors and outcome, written out one customer at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from spell_oracle import History, spells_of


def class_of(number: int | None, breaks: Sequence[int]) -> str:
    """Name of the class a number falls in."""
    if number is None:
        return "(none)"
    for low, high in zip([None, *breaks], [*breaks, None], strict=True):
        if high is None or number < high:
            return f"<{high}" if low is None else f">={low}" if high is None else f"{low}-<{high}"
    raise AssertionError


def count_open(
    purchases: History,
    acts: History,
    *,
    decision_day: int,
    horizon_days: int,
    window_days: int,
    lookback_days: int,
    breaks: Mapping[str, Sequence[int]],
    period_days: int,
) -> Counter[tuple[object, ...]]:
    """Customers, lead days and silent ones by classes, duration, event and group: what the reduction must return."""
    counted: Counter[tuple[object, ...]] = Counter()
    for place, (customer, days) in enumerate(purchases.items()):
        before = [d for d in set(days) if decision_day - lookback_days <= d <= decision_day]
        if not before or decision_day - max(before) > window_days:
            continue
        social = [d for d in acts.get(customer, ()) if decision_day - lookback_days <= d <= decision_day]
        numbers = {
            "recency": decision_day - max(before),
            "frequency": len(before),
            "tenure": decision_day - min(before),
            "engagement": decision_day - max(social) if social else None,
        }
        known = [d for d in days if d <= decision_day + horizon_days + window_days]
        last = next(end for _, end in spells_of(known, window_days) if end >= max(before))
        lapsed = last < decision_day + horizon_days
        after = max(last - decision_day, -1) + 1  # 0 or 1 where the last purchase is made
        rounded = min(horizon_days, -(-after // period_days) * period_days)
        duration = horizon_days if not lapsed else 1 if last <= decision_day else rounded
        classes = [class_of(numbers[name], cuts) for name, cuts in breaks.items()]
        lead = last + window_days - decision_day if lapsed else 0
        key = (*classes, duration, lapsed, place % 100)
        counted[(*key, "n")] += 1
        counted[(*key, "lead_days")] += lead
        counted[(*key, "n_silent")] += int(last <= decision_day)
    return counted
