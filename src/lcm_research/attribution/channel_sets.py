"""Journeys by the set of distinct channels that they hold: all that a Shapley value without order looks at."""

from __future__ import annotations

import pandas as pd

from lcm_research.attribution.edges import refuse_state_names
from lcm_research.attribution.kgrams import HISTORY_SEPARATOR
from lcm_research.attribution.paths import path_touches
from lcm_research.errors import ModelError

__all__ = ["set_members", "sets_from_paths"]


def sets_from_paths(paths: pd.DataFrame, *, separator: str) -> pd.DataFrame:
    r"""
    Count journeys by their distinct channels, as ``set_counts`` does from events.

    Parameters
    ----------
    paths, separator
        Those of ``edges_from_paths``.

    Returns
    -------
    DataFrame
        ``channels`` (sorted, joined by ``"\x1f"``), ``replicate``, ``n`` (journeys), ``n_conversions`` and
        ``value_minor`` (in the unit of ``value``).

    Examples
    --------
    >>> paths = pd.DataFrame({"path": ["b > a > b", "a > b"], "conversions": [2, 1], "value": 9, "nulls": [0, 4]})
    >>> sets_from_paths(paths, separator=">")[["channels", "n", "n_conversions"]].to_numpy().tolist()
    [['a\x1fb', 7, 3]]
    """
    touches = path_touches(paths, separator=separator)
    row_and_channel = touches["channel"].reset_index().drop_duplicates().sort_values(["index", "channel"])
    if row_and_channel["channel"].str.contains(HISTORY_SEPARATOR, regex=False).any():
        raise ModelError(
            f"a channel holds the control character {HISTORY_SEPARATOR!r}, which stands between the channels of a set; "
            "map it to another name"
        )
    held = row_and_channel.groupby("index")["channel"].agg(HISTORY_SEPARATOR.join)
    first = touches[touches["is_first"]]
    counted = pd.DataFrame(
        {
            "channels": held.reindex(first.index).to_numpy(),
            "replicate": first["replicate"].to_numpy(),
            "n": (first["conversions"] + first["nulls"]).to_numpy(),
            "n_conversions": first["conversions"].to_numpy(),
            "value_minor": first["value"].where(first["conversions"] > 0, 0).to_numpy(),
        }
    )
    numbers = ["n", "n_conversions", "value_minor"]
    counts = counted.groupby(["channels", "replicate"], as_index=False)[numbers].sum()
    return counts[counts["n"] > 0].reset_index(drop=True)


def set_members(sets: pd.DataFrame) -> pd.DataFrame:
    """
    Return one row a channel of each set: its counts, with ``channel`` and ``n_channels``; the index is the set's row.

    Raises
    ------
    ModelError
        Where a set is empty, holds a channel twice, or a channel named like a state of journeys.
    """
    members = sets.reset_index(drop=True)
    members["channel"] = members["channels"].str.split(HISTORY_SEPARATOR, regex=False)
    members["n_channels"] = members["channel"].str.len()
    members = members.explode("channel")
    if (members["channel"] == "").any():
        raise ModelError("a journey holds no channel, or one without a name; such journeys have no credit")
    if members.set_index("channel", append=True).index.has_duplicates:
        raise ModelError("a set of channels holds one of them twice; give each journey's distinct channels")
    refuse_state_names(members["channel"].unique())
    return members
