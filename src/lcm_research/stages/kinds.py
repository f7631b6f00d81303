"""
Every kind of customer that rules can tell apart: purchases, with every value of what else the rules name.

Rules compare with numbers, so values on and beside each of them stand for all others; purchases that lie between
the same numbers are tried once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from lcm_research.stages.compared import Compared, compared_with
from lcm_research.stages.histories import MONTH_DAYS, consistent, further_values, histories
from lcm_research.stages.primitives import CORE, PRIMITIVES

if TYPE_CHECKING:
    from lcm_research.stages.rules import StageRules

__all__ = ["kinds_of_purchases", "quiet_moves", "reached"]


def kinds_of_purchases(rules: StageRules) -> pd.DataFrame:
    """Return every kind of purchase history (or age of a community) that rules can tell apart."""
    values, thresholds = _compared(rules), rules.scheme.thresholds.items()
    days = [rules.thresholds[name] for name, threshold in thresholds if threshold.unit == "days"]
    purchases = [rules.thresholds[name] for name, threshold in thresholds if threshold.unit == "purchases"]
    for name, numbers in values.by_primitive.items():
        if name in PRIMITIVES and PRIMITIVES[name].of == "days":
            days += numbers
    if rules.scheme.unit == "community":
        return pd.DataFrame({"age": further_values("age", days)}).dropna().astype("Int64")
    written = {float(x) for rule in rules.scheme.rules for x in values.written(rule)}
    return histories([*days, *written], [*purchases, *(x for x in written if x <= 20)])


def reached(rules: StageRules, purchases: pd.DataFrame) -> tuple[np.ndarray, str]:
    """
    Find the stages that customers can be in who have the same purchases and differ in all else that rules name.

    Parameters
    ----------
    rules : StageRules
    purchases : DataFrame
        The primitives of purchases, one row a history.

    Returns
    -------
    array of bool, shape (n_histories, n_stages)
        Whether somebody with the history can be in the stage.
    str
        The primitives of somebody whom no rule takes; empty where there is nobody.
    """
    alike, first = _told_apart(rules, purchases, ahead=False)
    kinds = _with_all_else(rules, purchases.iloc[first])
    pairs = kinds.select("row", "code").distinct().to_pandas()
    mask = np.zeros((len(first), len(rules.stages) + 1), dtype=bool)
    mask[pairs["row"], pairs["code"]] = True
    if not mask[:, -1].any():
        return mask[alike, :-1], ""
    wanted = [*sorted(rules.needs), *rules.scheme.streaks]
    shown = [*(name for name in CORE if name in purchases), *(name for name in wanted if name not in CORE)]
    left_out = kinds.filter(kinds.code < 0).order_by("row", *wanted).limit(1).to_pandas().iloc[0]
    return mask[alike, :-1], ", ".join(f"{name} = {_shown(left_out[name])}" for name in shown)


def quiet_moves(rules: StageRules, purchases: pd.DataFrame) -> np.ndarray:
    """
    Find the moves that time alone can bring about: a period passes and nothing happens in it.

    Ages grow, and what is in a window stays in it or falls out.

    Returns
    -------
    array of bool, shape (n_stages, n_stages)
    """
    moves = np.zeros((len(rules.stages) + 1, len(rules.stages) + 1), dtype=bool)
    if rules.scheme.unit == "community":
        return moves[:-1, :-1]
    _, first = _told_apart(rules, purchases, ahead=True)
    kinds = _with_all_else(rules, purchases.iloc[first])
    wanted = [*sorted(rules.needs), *rules.scheme.streaks]
    for length in MONTH_DAYS:
        for stays, follows in ((True, True), (True, False), (False, True), (False, False)):
            aged = {name: _aged(kinds, name, length, stays, follows) for name in {*CORE, *wanted}}
            later = kinds.select(was=kinds.code, **aged)
            for name in wanted:
                together = consistent(later, name, rules.windows)
                later = later.filter(*together) if together else later
            code = rules.with_stand_ins().code({name: later[name] for name in wanted}).fill_null(-1)
            pairs = later.select("was", code=code).distinct().to_pandas()
            moves[pairs["was"], pairs["code"]] = True
    return moves[:-1, :-1]


def _aged(kinds: ir.Table, name: str, length: int, stays: bool, follows: bool) -> Any:
    """Return a primitive a quiet period later; ``stays`` and ``follows`` say what is left in the two windows."""
    if name == "n_period":
        return ibis.literal(0, "int64")
    if name == "r_before":
        return kinds.r
    if name == "r_w" and stays:
        return kinds.r + length
    if name in ("r", "u", "re", "u0", "r_w"):
        return kinds[name] + length
    if name in ("n_w_before", "m_w_before"):
        now = name.removesuffix("_before")
        fallen = kinds[now] if not stays and now in kinds.columns else kinds[name]
        return fallen if follows else ibis.literal(0, "int64")
    return kinds[name] if stays or name not in PRIMITIVES or not PRIMITIVES[name].windowed else ibis.literal(0, "int64")


def _compared(rules: StageRules) -> Compared:
    return compared_with(rules.scheme, rules.with_stand_ins().numbers())


def _told_apart(rules: StageRules, purchases: pd.DataFrame, *, ahead: bool) -> tuple[np.ndarray, np.ndarray]:
    """
    Return which purchases rules can tell apart: the group of each row, and the first row of each group.

    ``ahead`` keeps those apart as well that rules can tell apart a period later.
    """
    values, needs = _compared(rules), rules.needs
    near = {"r", "u"} if "r_w" in needs else set()
    signature = pd.DataFrame(index=purchases.index)
    for name in purchases:
        if name in values.mixed | near | {"n", "age"}:
            signature[name] = purchases[name]
        elif name in needs or name in ("r", "u"):
            cuts = {*values.by_primitive.get(name, ()), *(rules.windows.values() if name in ("r", "u") else ())}
            signature[name] = _between(
                purchases[name], {c - k for c in cuts for k in ((0, *MONTH_DAYS) if ahead else (0,))}
            )
    group = signature.groupby(list(signature.columns), dropna=False, sort=False).ngroup().to_numpy()
    return group, np.unique(group, return_index=True)[1]


def _between(column: pd.Series, cuts: Iterable[float]) -> pd.Series:
    """Return between which of the cuts, or on which, each value lies."""
    edges, values = np.array(sorted(cuts), dtype=float), column.astype("float64").to_numpy()
    place = np.searchsorted(edges, values, "left") + np.searchsorted(edges, values, "right")
    return pd.Series(np.where(np.isnan(values), -1, place), index=column.index)


def _with_all_else(rules: StageRules, purchases: pd.DataFrame) -> ir.Table:
    """Return purchases with every value of what else the rules name, as far as they go together, and the stage."""
    values = _compared(rules)
    kinds = ibis.memtable(purchases.assign(row=np.arange(len(purchases))))
    for name in [*sorted(rules.needs - set(CORE)), *rules.scheme.streaks]:
        if name in purchases:
            continue
        numbers = values.by_primitive.get(name, frozenset())
        # all purchases of a short history lie in the window
        numbers = numbers.union(purchases["n"].unique()) if name == "n_w" else numbers
        further = pd.DataFrame({name: further_values(name, numbers)}, dtype="Int64")
        kinds = kinds.cross_join(ibis.memtable(further))
        together = consistent(kinds, name, rules.windows)
        kinds = kinds.filter(*together) if together else kinds
    wanted = [*sorted(rules.needs), *rules.scheme.streaks]
    code = rules.with_stand_ins().code({name: kinds[name] for name in wanted})
    return kinds.mutate(code=code.fill_null(-1))


def _shown(value: Any) -> str:
    return "none" if pd.isna(value) else f"{value:g}"
