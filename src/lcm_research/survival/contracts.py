"""
Contracts: how long a customer stays until the contract ends and is not renewed.

A contract runs from ``contract_start`` to ``contract_end``, both inclusive; one whose status says that it goes on, or
whose end is not known, runs on. Whether an ended contract was renewed is known ``grace_days`` later, so that ends can
be seen up to ``as_of - grace_days`` and no further: a contract that was running then is censored on that day, whatever
was recorded later. Censored at ``as_of``, those that may just have ended would count as staying.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from lcm_research.data.reduction import Tables, reduction
from lcm_research.errors import DataError, ModelError
from lcm_research.survival.activity import beside_customers
from lcm_research.survival.reasons import NOT_TOLD, closing_days, told_between
from lcm_research.survival.spells import Entry, count_statuses

__all__ = ["GOES_ON", "contract_counts", "contract_end_counts", "contract_reconciliation"]

GOES_ON = ("active", "renewed")
"""Values of ``contract_status``, in any case, of a contract that goes on past its ``contract_end``."""


@reduction(
    keys={"entry_days": "int64", "duration_days": "int64", "event_observed": "bool", "replicate": "int64"},
    counts={"n": "int64"},
)
def contract_counts(
    tables: Tables,
    *,
    grace_days: int,
    observation_start_day: int,
    as_of_day: int,
    entry: Entry,
    by: Sequence[str],
) -> ir.Table:
    """
    Count contracts by how long they ran and whether they were seen to end.

    Parameters
    ----------
    grace_days : int
        Days after ``contract_end`` within which a renewal may still come; 0 or more.
    observation_start_day, as_of_day : int
        First and last day of observation, days since 1970-01-01, both inclusive.
    entry : {"incident", "late"}
        ``incident``: contracts that began under observation. ``late``: older ones too, at risk from the first day of
        observation on, with their age at that day as ``entry_days``; those that were over by then are not in it.
    by : list of str
        Segment columns of ``customers``; a customer without a value is ``"unknown"``.

    Returns
    -------
    ir.Table
        The columns of ``spell_counts``: ``by``, ``entry_days``, ``duration_days`` (inclusive), ``event_observed``,
        ``replicate`` and the count of contracts ``n``.
    """
    contracts = classified_contracts(tables, grace_days, observation_start_day, as_of_day, entry, by)
    keys = [*by, "entry_days", "duration_days", "event_observed", "replicate"]
    return contracts.filter(contracts.status == "used").group_by(keys).agg(n=lambda t: t.count())


@reduction(
    keys={"entry_days": "int64", "duration_days": "int64", "cause": "object", "replicate": "int64"},
    counts={"n": "int64"},
)
def contract_end_counts(
    tables: Tables,
    *,
    grace_days: int,
    observation_start_day: int,
    as_of_day: int,
    entry: Entry,
    other_ends: Sequence[str],
    by: Sequence[str],
) -> ir.Table:
    """
    Count contracts by how long they ran and why they ended.

    The reason is the last one that ``churn_reasons`` holds from the contract's start to the end of the grace,
    ``"not told"`` without one. One of ``other_ends``, such as a death, recorded before the contract's end ends it on
    the day of the record.

    Parameters
    ----------
    other_ends : list of str
        Values of ``reason`` that end a contract by themselves; may be empty.
    grace_days, observation_start_day, as_of_day, entry, by
        As for ``contract_counts``.

    Returns
    -------
    ir.Table
        ``by``, ``entry_days``, ``duration_days``, ``cause`` (empty where the contract goes on), ``replicate``, ``n``.
    """
    closings = closing_days(tables, other_ends, as_of_day)
    contracts = classified_contracts(tables, grace_days, observation_start_day, as_of_day, entry, by, closings)
    contracts = contracts.filter(contracts.status == "used")
    known = {"first_day": contracts.start_day, "last_day": contracts.end_day + grace_days}
    contracts = told_between(contracts, tables, **known)
    told = ibis.coalesce(contracts.closing, contracts.reason, NOT_TOLD)
    keys = [*by, "entry_days", "duration_days", "cause", "replicate"]
    counted = contracts.mutate(cause=contracts.event_observed.ifelse(told, ""))
    return counted.group_by(keys).agg(n=lambda t: t.count())


@reduction(keys={"status": "object", "replicate": "int64"}, counts={"n_customers": "int64", "n_spells": "int64"})
def contract_reconciliation(
    tables: Tables, *, grace_days: int, observation_start_day: int, as_of_day: int, entry: Entry
) -> ir.Table:
    """
    Count what becomes of every customer's contract, in the words of ``spell_reconciliation``.

    ``known_before``: began before observation (incident entry); ``over_before_entry``: over before observation (late
    entry); ``starts_after_cut``: too young for an end to be seen; ``no_contract``: customers without a start.
    """
    contracts = classified_contracts(tables, grace_days, observation_start_day, as_of_day, entry, ())
    return count_statuses(contracts, tables["customers"], without="no_contract")


def classified_contracts(
    tables: Tables,
    grace_days: int,
    observation_start_day: int,
    as_of_day: int,
    entry: Entry,
    by: Sequence[str],
    closings: ir.Table | None = None,
) -> ir.Table:
    """Every contract with its customer's replicate and segments, its status, and its duration where used."""
    _check(tables, grace_days, observation_start_day, as_of_day, entry)
    contracts = _with_closings(_contracts(tables["customers"]), closings)
    contracts = beside_customers(contracts, tables["customers"], by)
    cut = as_of_day - grace_days + 1  # the first day on which an end cannot be seen yet
    end_day = ibis.coalesce(contracts.closed_day, contracts.end_day)
    ended = (end_day < cut).fill_null(False)
    entry_days = ibis.greatest(observation_start_day - contracts.start_day, 0)
    contracts = contracts.mutate(
        event_observed=ended,
        duration_days=ended.ifelse(end_day - contracts.start_day + 1, cut - contracts.start_day),
        entry_days=entry_days if entry == "late" else ibis.literal(0, "int64"),
    )
    before = contracts.start_day < observation_start_day
    status = ibis.cases(
        (before & ibis.literal(entry == "incident"), "known_before"),
        (contracts.start_day >= cut, "starts_after_cut"),
        (contracts.duration_days <= contracts.entry_days, "over_before_entry"),
        else_="used",
    )
    return contracts.mutate(status=status)


def _contracts(customers: ir.Table) -> ir.Table:
    """One row a contract: first day, and the last one where the contract is known to end."""
    end_day = customers.contract_end_day
    if "contract_status" in customers.columns:
        goes_on = customers.contract_status.lower().isin(GOES_ON).fill_null(False)
        end_day = goes_on.ifelse(ibis.null("int64"), end_day)
    contracts = customers.filter(customers.contract_start_day.notnull())
    return contracts.select("customer_id", number=ibis.literal(1), start_day="contract_start_day", end_day=end_day)


def _with_closings(contracts: ir.Table, closings: ir.Table | None) -> ir.Table:
    """Put the first closing of a contract beside it, where it comes before the contract's end."""
    if closings is None:
        return contracts.mutate(closed_day=ibis.null("int64"), closing=ibis.null("string"))
    inside = contracts.inner_join(closings, "customer_id")
    inside = inside.filter(inside.day >= inside.start_day, (inside.day < inside.end_day).fill_null(True))
    place = ibis.row_number().over(ibis.window(group_by="customer_id", order_by="day"))
    inside = inside.mutate(place=place)
    first = inside.filter(inside.place == 0).select("customer_id", "closing", closed_day="day")
    return contracts.left_join(first, "customer_id").drop("customer_id_right")


def _check(tables: Tables, grace_days: int, observation_start_day: int, as_of_day: int, entry: str) -> None:
    columns = tables["customers"].columns
    missing = [name for name in ("contract_start", "contract_end") if f"{name}_day" not in columns]
    if missing:
        raise DataError(
            f"the time to the end of a contract needs {' and '.join(missing)} of the customers; map them under "
            "data.tables.customers.columns"
        )
    if entry not in ("incident", "late"):
        raise ModelError(f"entry must be 'incident' or 'late'; came '{entry}'")
    if grace_days < 0:
        raise ModelError(f"grace_days must be 0 or more; came {grace_days}")
    if as_of_day - grace_days <= observation_start_day:
        raise ModelError(
            f"as_of lies {as_of_day - observation_start_day} days after observation_start, not more than the "
            f"{grace_days} days of grace: no end could be seen; wait for more data or choose a shorter grace"
        )
