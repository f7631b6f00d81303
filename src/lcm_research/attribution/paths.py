"""Journeys that come as paths (``search > email > search``, so many conversions, so many without), counted."""

from __future__ import annotations

import pandas as pd

from lcm_research.attribution.edges import CONVERSION, NULL, START, refuse_state_names
from lcm_research.errors import ModelError

__all__ = ["edges_from_paths", "path_touches", "touches_from_paths"]

_COLUMNS = ("path", "conversions", "value", "nulls")


def edges_from_paths(paths: pd.DataFrame, *, separator: str) -> pd.DataFrame:
    """
    Count the steps of journeys, as ``edge_counts`` does from events.

    Parameters
    ----------
    paths : DataFrame
        One row a path: ``path`` (channels in order), ``conversions`` and ``nulls`` (how many journeys with this path
        converted and did not) and ``value`` (of the conversions together). With ``replicate`` where customers are
        known by group; without it no interval can be formed.
    separator : str
        Between channels; blanks around names are dropped.

    Returns
    -------
    DataFrame
        ``from_channel``, ``to_channel``, ``replicate``, ``n`` and ``value_minor`` (in the unit of ``value``).

    Examples
    --------
    >>> paths = pd.DataFrame({"path": ["search > email"], "conversions": [2], "value": [900], "nulls": [3]})
    >>> edges_from_paths(paths, separator=">")[["from_channel", "to_channel", "n"]].to_numpy().tolist()
    [['(start)', 'search', 5], ['email', '(conversion)', 2], ['email', '(null)', 3], ['search', 'email', 5]]
    """
    touches = path_touches(paths, separator=separator)
    journeys = touches["conversions"] + touches["nulls"]
    first_from = touches["previous"].where(~touches["is_first"], START)
    into = _edges(touches, first_from, touches["channel"], journeys, 0)
    last = touches[touches["is_last"]]
    converted = _edges(last, last["channel"], CONVERSION, last["conversions"], last["value"])
    not_converted = _edges(last, last["channel"], NULL, last["nulls"], 0)
    edges = pd.concat([into, converted, not_converted])
    edges = edges.groupby(["from_channel", "to_channel", "replicate"], as_index=False)[["n", "value_minor"]].sum()
    return edges[edges["n"] > 0].reset_index(drop=True)


def touches_from_paths(paths: pd.DataFrame, *, separator: str) -> pd.DataFrame:
    """
    Count the touches of converted journeys by where they stand, as ``touch_sums`` does from events.

    Parameters are those of ``edges_from_paths``.

    Returns
    -------
    DataFrame
        ``channel``, ``journey_length``, ``is_first``, ``is_last``, ``replicate``, ``n`` and ``value_minor`` (in the
        unit of ``value``).
    """
    touches = path_touches(paths, separator=separator)
    touches = touches[touches["conversions"] > 0].rename(columns={"conversions": "n", "value": "value_minor"})
    keys = ["channel", "journey_length", "is_first", "is_last", "replicate"]
    return touches.groupby(keys, as_index=False)[["n", "value_minor"]].sum()


def path_touches(paths: pd.DataFrame, *, separator: str) -> pd.DataFrame:
    """
    Return one row a touch of a path, in order, with the counts of its path; the index is the row of the path.

    Parameters are those of ``edges_from_paths``.
    """
    _check(paths, separator)
    touches = paths[["conversions", "value", "nulls"]].reset_index(drop=True)
    touches["replicate"] = paths["replicate"].to_numpy() if "replicate" in paths else 0
    touches["channel"] = paths["path"].astype(str).str.split(separator, regex=False).to_numpy()
    touches["journey_length"] = touches["channel"].str.len()
    touches = touches.explode("channel")
    touches["channel"] = touches["channel"].str.strip()
    refuse_state_names(touches["channel"].unique())
    if (touches["channel"] == "").any():
        row = touches.index[touches["channel"] == ""][0]
        raise ModelError(f"paths: row {row} has a touch without a channel: {paths['path'].iloc[row]!r}; name it")
    row_number = touches.index.to_series()
    touches["is_first"] = ~row_number.duplicated()
    touches["is_last"] = ~row_number.duplicated(keep="last")
    touches["previous"] = touches["channel"].shift()
    return touches


def _edges(
    touches: pd.DataFrame, start: pd.Series, end: pd.Series | str, n: pd.Series, value: pd.Series | int
) -> pd.DataFrame:
    return pd.DataFrame(
        {"from_channel": start, "to_channel": end, "replicate": touches["replicate"], "n": n, "value_minor": value}
    )


def _check(paths: pd.DataFrame, separator: str) -> None:
    if missing := [c for c in _COLUMNS if c not in paths]:
        raise ModelError(f"paths needs the columns {', '.join(_COLUMNS)}; '{missing[0]}' is missing")
    if not separator.strip():
        raise ModelError(f"separator must be a visible text such as '>'; came {separator!r}")
    counts = paths[["conversions", "nulls"]]
    if counts.isna().to_numpy().any() or (counts < 0).to_numpy().any() or paths["value"].isna().any():
        raise ModelError("paths: conversions, nulls and value must be there in every row, and counts not negative")
