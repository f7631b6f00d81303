"""Which primitives a study's tables can give a scheme: what is missing is refused, or off and said so."""

from __future__ import annotations

from collections.abc import Collection

from lcm_research.data.reduction import Tables
from lcm_research.errors import DataError, MissingTableError
from lcm_research.stages.primitives import PRIMITIVES
from lcm_research.stages.rules import StageRules
from lcm_research.study import Language

__all__ = ["off_sentence", "primitives_off"]


def primitives_off(tables: Tables, rules: StageRules) -> tuple[str, ...]:
    """
    Return the primitives that a scheme can do without and this study does not have.

    Raises
    ------
    MissingTableError, DataError
        A rule needs a table or a column that the study lacks, and the scheme cannot do without it; or money is in
        several currencies.
    """
    off = []
    for name in sorted(rules.needs):
        problem = _problem(tables, rules, name)
        if problem is None:
            continue
        if name not in rules.scheme.optional:
            raise problem
        off.append(name)
    if any(PRIMITIVES[name].of == "money" for name in rules.needs - set(off)):
        _one_currency(tables, rules)
    return tuple(off)


def _problem(tables: Tables, rules: StageRules, name: str) -> DataError | None:
    """Return what a primitive lacks, or None."""
    primitive, scheme = PRIMITIVES[name], rules.scheme.scheme
    purpose = f"the rules of scheme '{scheme}' ask for {name} ({primitive.meaning['en']}); it"
    for table in primitive.tables:
        if table not in tables:
            return MissingTableError(table, purpose=f"scheme '{scheme}' (its rules ask for {name})")
    for column in primitive.columns:
        table, _, stored = column.partition(".")
        if stored not in tables[table].columns:
            mapped = stored.removesuffix("_minor").removesuffix("_day")
            return DataError(f"{purpose} needs the column {column}; map data.tables.{table}.columns.{mapped}")
    if name == "tier_w" and not rules.scheme.tiers and "threshold" not in tables["tier_history"].columns:
        return DataError(
            f"{purpose} needs the order of the tiers; list them under tiers in the scheme, the lowest first, or map "
            "data.tables.tier_history.columns.threshold"
        )
    return None


def _one_currency(tables: Tables, rules: StageRules) -> None:
    """Refuse money in several currencies: amounts of different currencies are never added or compared."""
    found = tables["transactions"]
    if "currency" not in found.columns:
        return
    currencies = sorted(found.select("currency").distinct().to_pandas()["currency"].dropna())
    if len(currencies) > 1:
        raise DataError(
            f"scheme '{rules.scheme.scheme}' compares spending and expects one currency; transactions come in "
            f"{', '.join(currencies)}; leave rows of the others out (data.tables.transactions.leave_out), or choose a "
            "scheme without spending"
        )


def off_sentence(off: Collection[str], language: Language) -> str:
    """
    Return a sentence that says which parts of the rules are off; empty where none is.

    >>> off_sentence(["tier_w"], "en")
    'Not in the study, so these parts of the rules are off: rises to a higher tier in the last w days.'
    """
    if not off:
        return ""
    parts = [PRIMITIVES[name].meaning[language] for name in off]
    if language == "zh":
        return f"研究数据缺少以下内容，规则中相应的条件未启用：{'；'.join(parts)}。"
    return f"Not in the study, so these parts of the rules are off: {'; '.join(parts)}."
