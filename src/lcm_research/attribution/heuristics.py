"""
The rules that most reports use: all credit to one touch, or fixed parts of it to each.

They look at converted journeys only. Whether a channel's journeys convert more often than others does not enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.attribution.credit import Credit, Model
from lcm_research.attribution.edges import Outcome, refuse_state_names
from lcm_research.errors import ModelError
from lcm_research.estimate import by_replicate

__all__ = [
    "HEURISTICS",
    "Heuristic",
    "heuristic_credit",
    "last_non_direct_credit",
    "position_credit",
    "time_decay_credit",
]

Heuristic = Literal["first", "last", "linear"]
HEURISTICS: tuple[Heuristic, ...] = ("first", "last", "linear")
"""The rules that leave nothing to choose."""


def heuristic_credit(
    touches: pd.DataFrame, *, model: Heuristic, of: Outcome, channels: Sequence[str] | None = None
) -> Credit:
    """
    Credit by a rule that leaves nothing to choose.

    ``first`` and ``last`` give a conversion to the journey's first or last touch, ``linear`` an equal part to each
    of its touches.

    Parameters
    ----------
    touches : DataFrame
        Of ``touch_sums`` or ``touches_from_paths``.
    model : {"first", "last", "linear"}
    of : {"conversions", "value"}
    channels : list of str, optional
        Order of the channels, and channels that no converted journey has; sorted names where absent.

    Returns
    -------
    Credit
        Sums to the conversions, or to their value.

    Raises
    ------
    ModelError
        Where no journey converted, or their value is not positive.

    Examples
    --------
    One conversion after search, email, search:

    >>> touches = pd.DataFrame(
    ...     {
    ...         "channel": ["search", "email", "search"],
    ...         "journey_length": 3,
    ...         "is_first": [True, False, False],
    ...         "is_last": [False, False, True],
    ...         "replicate": 0,
    ...         "n": 1,
    ...         "value_minor": 900,
    ...     }
    ... )
    >>> credit = heuristic_credit(touches, model="linear", of="value")
    >>> dict(zip(credit.channels, credit.credit.round().tolist()))
    {'email': 300.0, 'search': 600.0}
    """
    if model not in HEURISTICS:
        raise ModelError(f"model must be one of {', '.join(HEURISTICS)}; came '{model}'")
    part = {
        "first": touches["is_first"].to_numpy(float),
        "last": touches["is_last"].to_numpy(float),
        "linear": 1 / touches["journey_length"].to_numpy(float),
    }[model]
    return _from_touches(touches, part, model=model, of=of, channels=channels)


def position_credit(
    touches: pd.DataFrame, *, first: float, last: float, of: Outcome, channels: Sequence[str] | None = None
) -> Credit:
    """
    Credit by position: fixed parts to the first and the last touch, the rest in equal parts to those between.

    Reports call ``first=0.4, last=0.4`` U-shaped. With two touches the parts of first and last are scaled to sum to
    1 (halves where both are 0); the only touch of a journey gets everything.

    Parameters
    ----------
    touches : DataFrame
        Of ``touch_sums`` or ``touches_from_paths``.
    first, last : float
        Share of a conversion, from 0 to 1, together at most 1.
    of : {"conversions", "value"}
    channels : list of str, optional
        Order of the channels, and channels that no converted journey has; sorted names where absent.

    Returns
    -------
    Credit
        Sums to the conversions, or to their value.

    Examples
    --------
    Of one conversion after search, email, store, the middle touch gets 1 - 0.5 - 0.3:

    >>> touches = pd.DataFrame(
    ...     {
    ...         "channel": ["search", "email", "store"],
    ...         "journey_length": 3,
    ...         "is_first": [True, False, False],
    ...         "is_last": [False, False, True],
    ...         "replicate": 0,
    ...         "n": 1,
    ...         "value_minor": 900,
    ...     }
    ... )
    >>> credit = position_credit(touches, first=0.5, last=0.3, of="conversions")
    >>> dict(zip(credit.channels, credit.credit.round(10).tolist()))
    {'email': 0.2, 'search': 0.5, 'store': 0.3}
    """
    if not (first >= 0 and last >= 0 and first + last <= 1):
        raise ModelError(
            f"first and last are shares of a conversion, from 0 and together at most 1; came first={first:g}, "
            f"last={last:g}"
        )
    length = touches["journey_length"].to_numpy(float)
    is_first, is_last = touches["is_first"].to_numpy(bool), touches["is_last"].to_numpy(bool)
    ends = first + last
    of_two = np.where(is_first, first, last) / ends if ends > 0 else np.full(len(touches), 0.5)
    between = (1 - ends) / np.maximum(length - 2, 1)
    longer = np.where(is_first, first, np.where(is_last, last, between))
    part = np.where(length == 1, 1.0, np.where(length == 2, of_two, longer))
    return _from_touches(touches, part, model="position", of=of, channels=channels)


def last_non_direct_credit(sums: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None) -> Credit:
    """
    All credit to the last touch that is not direct traffic, or to the last one where all are.

    Parameters
    ----------
    sums : DataFrame
        Of ``last_non_direct_sums`` or ``last_non_direct_from_paths``, which know what is direct.
    of : {"conversions", "value"}
    channels : list of str, optional
        Order of the channels, and channels that are given nothing; sorted names where absent.
    """
    amount = sums["n" if of == "conversions" else "value_minor"].to_numpy(float)
    return _share_out(sums, amount, sums["n"], model="last_non_direct", of=of, channels=channels)


def time_decay_credit(sums: pd.DataFrame, *, of: Outcome, channels: Sequence[str] | None = None) -> Credit:
    """
    Credit that halves with every half-life between the touch and the conversion.

    Parameters
    ----------
    sums : DataFrame
        Of ``decay_sums``, which knows days and half-life. Paths have no days: there is no decay from them.
    of : {"conversions", "value"}
    channels : list of str, optional
        Order of the channels, and channels that no converted journey has; sorted names where absent.
    """
    column, unit = ("n_billionths", 1e9) if of == "conversions" else ("value_minor", 1.0)
    amount, total = sums[column].to_numpy(float) / unit, float(sums[column].sum() / unit)
    return _share_out(sums, amount, sums["n_billionths"], model="time_decay", of=of, channels=channels, total=total)


def _from_touches(
    touches: pd.DataFrame, part: np.ndarray, *, model: Model, of: Outcome, channels: Sequence[str] | None
) -> Credit:
    """Credit where each touch gets ``part`` of its journey's conversion."""
    amount = touches["n" if of == "conversions" else "value_minor"].to_numpy(float)
    total = float(amount[touches["is_first"].to_numpy(bool)].sum())
    return _share_out(touches, amount * part, touches["n"], model=model, of=of, channels=channels, total=total)


def _share_out(
    rows: pd.DataFrame,
    given: np.ndarray,
    met: pd.Series,
    *,
    model: Model,
    of: Outcome,
    channels: Sequence[str] | None,
    total: float | None = None,
) -> Credit:
    """Sum what each row's channel is given; ``met`` counts what it rests on."""
    seen = sorted(set(rows["channel"]))
    names = seen if channels is None else list(channels)
    refuse_state_names([*seen, *names])
    # the total of what the rules share out is counted once, so that it is exact where parts are fractions
    total = float(given.sum()) if total is None else total
    if not total > 0:
        raise ModelError(f"credit of {of} needs journeys that convert, with a positive total; it is {total:g}")
    marked = rows[["channel", "replicate"]].assign(given=given, met=met)
    grouped = by_replicate(marked, ["given", "met"], ["channel"], [pd.Index(names)])
    by_group, together = grouped[..., 0], grouped[..., 0].sum(axis=0)
    remaining = together - by_group
    with np.errstate(invalid="ignore", divide="ignore"):
        without = remaining / remaining.sum(axis=1, keepdims=True)
    return Credit(
        model=model,
        of=of,
        channels=tuple(names),
        share=together / total,
        share_without=without,
        total=total,
        n_groups=(grouped[..., 1] > 0).sum(axis=0),
    )
