"""
What the rules of several universes name, every quantity once, on the same rows of customers and periods.

A universe is a scheme with its thresholds. Two of them that count purchases over the same window share that count;
each knows of a customer only from the first contact on that its own rules know of.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import ibis
import ibis.expr.types as ir
import pandas as pd

from lcm_research.data.reduction import Tables
from lcm_research.errors import DataError, MissingTableError, StudyError
from lcm_research.stages.availability import primitives_off
from lcm_research.stages.calendar import period_of_each_day
from lcm_research.stages.dense import History, is_known, people
from lcm_research.stages.events import KINDS, Entry, Kind, entries_of, nothing, sources_of
from lcm_research.stages.panel import cuts_by_period
from lcm_research.stages.rules import StageRules, stage_rules
from lcm_research.stages.steps import activity, fill_silent_periods, primitives, steps_of

__all__ = ["SharedRules", "shared_ends", "universes_of"]

Source = tuple[str, Hashable]
"""A source of changes, and what it is told by a scheme."""


@dataclass(frozen=True, kw_only=True)
class SharedRules:
    """
    One universe and where its quantities stand.

    Parameters
    ----------
    label : str
    rules : StageRules
    off : tuple of str
        The primitives that it does without.
    stored : mapping of str to str
        The column of the shared rows for each quantity.
    own : mapping of str to str
        The column of each streak, and of each cut that differs by period.
    seen : str
        The column that is set from the first contact on that the rules know of.
    """

    label: str
    rules: StageRules
    off: tuple[str, ...] = ()
    stored: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    seen: str = ""

    def names(self, dense: ir.Table) -> dict[str, ir.Value]:
        """Return what the rules name, as expressions over the shared rows."""
        found = primitives(cast(ir.Table, _View(dense, self.stored)))
        names = {name: ibis.null("int64") if name in self.off else found[name] for name in {*self.rules.needs, "n"}}
        return names | {name: dense[column] for name, column in self.own.items()}

    def code(self, dense: ir.Table, *, observation_start_day: int) -> ir.IntegerValue:
        """Return the place of the stage in ``rules.stages``, -1 where it is unknown or nobody is there yet."""
        names = self.names(dense)
        known = is_known(dense, names, dense.end_day, rules=self.rules, observation_start_day=observation_start_day)
        return (dense[self.seen].notnull() & known).ifelse(self.rules.code(names), -1)


class _View:
    """A table, some of whose columns have other names as well."""

    def __init__(self, table: ir.Table, names: Mapping[str, str]) -> None:
        self.table, self.names = table, names
        self.columns = [*table.columns, *names]

    def __getitem__(self, name: str) -> ir.Value:
        return self.table[self.names.get(name, name)]

    __getattr__ = __getitem__


def universes_of(tables: Tables, told: Mapping[str, Mapping[str, Any]]) -> list[SharedRules]:
    """
    Return universes from what ``StageRules.parameters`` told of each.

    Raises
    ------
    StudyError, DataError, MissingTableError
        There is none, or one of them cannot be used here; the message names it.
    """
    if not told:
        raise StudyError("expected at least one universe: a label and StageRules.parameters() of its scheme; came none")
    made = []
    off: dict[str, tuple[str, ...]] = {}
    for label, parameters in told.items():
        with _about(label):
            rules = stage_rules(
                parameters["scheme"], window_days=parameters["window_days"], thresholds=parameters["thresholds"]
            )
            if rules.scheme.unit != "customer":
                raise StudyError(f"scheme '{rules.scheme.scheme}' is about communities; expected one about customers")
            scheme = json.dumps(rules.scheme.definition(), sort_keys=True)
            if scheme not in off:
                off[scheme] = primitives_off(tables, rules)
        made.append(SharedRules(label=label, rules=rules, off=off[scheme]))
    return made


@contextlib.contextmanager
def _about(label: str) -> Iterator[None]:
    """Say in an error which universe it is about."""
    try:
        yield
    except MissingTableError as error:
        raise MissingTableError(error.table, purpose=f"the universe '{label}'") from None
    except (DataError, StudyError) as error:
        raise type(error)(f"universe '{label}': {error}") from None


def shared_ends(
    tables: Tables,
    universes: Sequence[SharedRules],
    *,
    calendar: pd.DataFrame,
    observation_start_day: int,
    history: History,
    by: Sequence[str] = (),
) -> tuple[ir.Table, list[SharedRules]]:
    """
    Return one row for each customer and period since the first contact that any universe knows of.

    Parameters
    ----------
    tables, observation_start_day, history, by
        As ``stage_panel`` takes them.
    universes : list of SharedRules
        As ``universes_of`` makes them.
    calendar : DataFrame
        The months.

    Returns
    -------
    Ibis table
        The rows, with customer_id, replicate, the segments, the calendar and ``known`` (the whole history is).
    list of SharedRules
        The same universes, told where their quantities stand in these rows.
    """
    since = None if history == "complete" else observation_start_day
    changes = _Changes(tables=tables, since=since, until=int(calendar["end_day"].iloc[-1]))
    ends, placed = calendar, []
    for number, universe in enumerate(universes):
        found = changes.add(universe)
        with _about(universe.label):
            cuts = cuts_by_period(universe.rules, calendar)
        ends = ends.assign(**{f"{name}_{number}": values for name, values in cuts.items()})
        placed.append(replace(universe, own={name: f"{name}_{number}" for name in cuts}, **found))
    kinds = changes.kinds()
    active = activity(changes.table(), period_of_each_day(calendar), kinds)
    # an engine may keep sums of whole numbers in twice their size; the cast says that they fit
    active = active.mutate(**{column: active[column].cast("!int64") for column in kinds})
    who = people(tables, universes[0].rules, history=history, observation_start_day=observation_start_day, by=by)
    dense = fill_silent_periods(steps_of(active, kinds).join(who, "customer_id", how="inner"), ends)
    return _with_streaks(dense, placed)


CORE = ("n_period", "last_day", "first_day")
"""The columns of purchases that every universe has."""

WITHIN: Mapping[str, set[str]] = {
    "categories": {"transactions"},
    "engagements": {"contacts"},
    "intents": {"engagements", "contacts"},
    "acts": {"engagements", "contacts"},
    "acts_over": {"acts"},
}
"""Sources that know of nobody earlier than one of these others."""


def _told(source: str, rules: StageRules) -> Hashable:
    """Return what a source of changes is told by a scheme: two that are told the same have the same rows."""
    acts = rules.scheme.acts
    weights = tuple(sorted(acts.weights.items()))
    told: dict[str, Hashable] = {
        "engagements": weights,
        "acts": (weights, acts.passive),
        "acts_over": (weights, acts.passive, rules.windows.get("n_acts")),
        "intents": acts.intent,
        "upgrades": rules.scheme.tiers,
        "answers": rules.scheme.survey_item,
    }
    return told.get(source)


@dataclass(frozen=True, kw_only=True)
class _Changes:
    """
    What changes for each customer on which day, in one column for each different quantity; built up by ``add``.

    Parameters
    ----------
    tables : Tables
    since, until : int or None, int
        As ``events.changes`` takes them.
    """

    tables: Tables
    since: int | None
    until: int
    columns: dict[tuple[str, Hashable], str] = field(default_factory=dict)
    parts: dict[tuple[Source, int], dict[str, Entry]] = field(default_factory=dict)
    rows: dict[Source, Callable[[], ir.Table | None]] = field(default_factory=dict)
    contacts: dict[frozenset[Source], str] = field(default_factory=dict)

    def add(self, universe: SharedRules) -> dict[str, Any]:
        """Take in what a universe needs; return the columns of its quantities and of its first contact."""
        rules, stored = universe.rules, {}
        entries = entries_of(set(rules.needs) - set(universe.off), rules.windows, "customer")
        sources = sources_of(self.tables, rules.scheme, rules.windows, since=self.since, until=self.until)
        read = {entry.source: (entry.source, _told(entry.source, rules)) for entry in entries}
        for name in dict.fromkeys(entry.column for entry in entries):
            own = [entry for entry in entries if entry.column == name]
            quantity = (name, tuple((read[entry.source], entry.after) for entry in own))
            column = name if name in CORE else f"{name}_{len(self.columns)}"
            stored[name] = self.columns.setdefault(quantity, column)
            for entry in own:
                self.parts.setdefault((read[entry.source], entry.after), {})[stored[name]] = entry
        for source in read.values():
            self.rows.setdefault(source, sources[source[0]])
        first = frozenset(source for name, source in read.items() if not read.keys() & WITHIN.get(name, set()))
        return {"stored": stored, "seen": self.contacts.setdefault(first, f"seen_{len(self.contacts)}")}

    def kinds(self) -> dict[str, Kind]:
        """Return how each column adds up over time."""
        kinds: dict[str, Kind] = {column: KINDS[name] for (name, _), column in self.columns.items()}
        return kinds | dict.fromkeys(self.contacts.values(), "max")

    def table(self) -> ir.Table:
        """Return customer_id, day and the columns."""
        found, none = [], ibis.null("int64")
        for (source, after), part in self.parts.items():
            rows = self.rows[source]()
            if rows is None:
                continue
            made: dict[str, Any] = {column: nothing(name) for (name, _), column in self.columns.items()}
            made |= {column: entry.value(rows).cast("int64") for column, entry in part.items()}
            made |= {c: ibis.literal(1, "int64") if source in of else none for of, c in self.contacts.items()}
            found.append(rows.select("customer_id", day=rows.day + after, **made))
        together = ibis.union(*found) if len(found) > 1 else found[0]
        return together.filter(together.day <= self.until)


def _with_streaks(dense: ir.Table, universes: Sequence[SharedRules]) -> tuple[ir.Table, list[SharedRules]]:
    """Add for how many period ends in a row each condition of a scheme has held, since its first contact."""
    so_far = ibis.window(group_by="customer_id", order_by="period", preceding=None, following=0)
    found = []
    for number, universe in enumerate(universes):
        streaks = universe.rules.scheme.streaks
        for name, condition in streaks.items():
            holds = universe.rules.holds(f"streaks.{name}", condition, universe.names(dense))
            # before the first contact nothing holds
            fails = (dense[universe.seen].notnull() & holds).ifelse(ibis.null("int64"), dense.period)
            dense = dense.mutate(failed=fails)
            latest = dense.failed.max().over(so_far)
            first = dense.period.min().over(ibis.window(group_by="customer_id"))
            dense = dense.mutate(**{f"{name}_{number}": dense.period - latest.fill_null(first - 1)}).drop("failed")
        own = {**universe.own, **{name: f"{name}_{number}" for name in streaks}}
        found.append(replace(universe, own=own))
    return dense, found
