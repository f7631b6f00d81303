"""The rules that most reports use: all credit to the first touch, to the last, or the same to each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from lcm_research.attribution.credit import Credit
from lcm_research.attribution.edges import Outcome, refuse_state_names
from lcm_research.errors import ModelError
from lcm_research.estimate import by_replicate

__all__ = ["HEURISTICS", "Heuristic", "heuristic_credit"]

Heuristic = Literal["first", "last", "linear"]
HEURISTICS: tuple[Heuristic, ...] = ("first", "last", "linear")


def heuristic_credit(
    touches: pd.DataFrame, *, model: Heuristic, of: Outcome, channels: Sequence[str] | None = None
) -> Credit:
    """
    Credit by a rule that looks at converted journeys only.

    ``first`` and ``last`` give a conversion to the journey's first or last touch, ``linear`` an equal part to each
    of its touches. Whether a channel's journeys convert more often than others does not enter.

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
    seen = sorted(set(touches["channel"]))
    names = seen if channels is None else list(channels)
    refuse_state_names([*seen, *names])
    amount = touches["n" if of == "conversions" else "value_minor"].to_numpy(float)
    given = {
        "first": amount * touches["is_first"].to_numpy(float),
        "last": amount * touches["is_last"].to_numpy(float),
        "linear": amount / touches["journey_length"].to_numpy(float),
    }[model]
    total = float((amount * touches["is_first"].to_numpy(float)).sum())
    if not total > 0:
        raise ModelError(f"credit of {of} needs journeys that convert, with a positive total; it is {total:g}")
    marked = touches[["channel", "replicate"]].assign(given=given, met=touches["n"])
    grouped = by_replicate(marked, ["given", "met"], ["channel"], [pd.Index(names)])
    by_group, together = grouped[..., 0], grouped[..., 0].sum(axis=0)
    remaining = together - by_group
    with np.errstate(invalid="ignore"):
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
