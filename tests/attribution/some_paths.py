"""Paths to try models of credit on: drawn by hypothesis, and of customers in a hundred groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import strategies as st

CHANNELS = list("abcde")
COLUMNS = ["path", "conversions", "value", "nulls", "replicate"]


def table(*rows: tuple) -> pd.DataFrame:
    made = pd.DataFrame(list(rows), columns=COLUMNS[: len(rows[0])])
    return made.assign(value=made["value"].where(made["conversions"] > 0, 0))


path_tables = (
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=7).map(">".join),
            st.integers(0, 4),
            st.integers(1, 1000),
            st.integers(0, 4),
        ).filter(lambda row: row[1] + row[3] > 0),
        min_size=1,
        max_size=12,
    )
    .filter(lambda rows: any(conversions for _, conversions, _, _ in rows))
    .map(lambda rows: table(*rows))
)


def of_groups(seed: int = 3, *, per_group: int = 4, channels: str = "abcde") -> pd.DataFrame:
    """Paths of customers in all of the hundred groups."""
    rng = np.random.default_rng(seed)
    rows = []
    for group in range(100):
        for _ in range(per_group):
            path = ">".join(rng.choice(list(channels), size=rng.integers(1, 6)))
            rows.append((path, int(rng.integers(0, 3)), int(rng.integers(1, 900)), 1, group))
    return table(*rows)


def renamed(paths: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """The same journeys, rows backwards, with other names of channels."""
    other = paths["path"].map(lambda path: ">".join(names[c] for c in path.split(">")))
    return paths.assign(path=other).iloc[::-1].reset_index(drop=True)


def split(paths: pd.DataFrame) -> pd.DataFrame:
    """The same journeys, each row's conversions apart from its others."""
    return pd.concat([paths.assign(nulls=0), paths.assign(conversions=0, value=0)], ignore_index=True)
