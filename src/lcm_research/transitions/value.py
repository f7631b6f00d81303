"""
Lifetime value on the chain: what a customer of each stage is worth, and what one transition is worth.

Pfeifer and Carraway's model [1]_: each period in a state earns its reward, future periods are discounted, and the
chain says how long customers stay in which state.

.. [1] Pfeifer and Carraway (2000), Journal of Interactive Marketing 14:43.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
import numpy as np
import pandas as pd

from lcm_research.data.canonical import minor_unit
from lcm_research.errors import ModelError
from lcm_research.estimate import Estimate, by_replicate, jackknife
from lcm_research.transitions.recency import ChainCounts, Start, probabilities
from lcm_research.transitions.sensitivity import reweighted

__all__ = [
    "lifetime_value",
    "only_currency",
    "present_value",
    "rate_per_period",
    "rewards_by_state",
    "spent_ahead",
    "value_of_transition",
]


def rate_per_period(discount_rate_yearly: float, *, periods_per_year: float) -> float:
    """
    Return the discount rate of one period that makes up a yearly one.

    >>> round(rate_per_period(0.10, periods_per_year=12), 6)
    0.007974
    """
    if discount_rate_yearly < 0 or periods_per_year <= 0:
        raise ModelError(
            f"a discount rate is 0 or more and a year holds some periods; came discount_rate_yearly="
            f"{discount_rate_yearly:g}, periods_per_year={periods_per_year:g}"
        )
    return float((1 + discount_rate_yearly) ** (1 / periods_per_year) - 1)


def present_value(
    probability: np.ndarray, reward: np.ndarray, *, rate: float, horizon_periods: int | None, include_now: bool
) -> np.ndarray:
    r"""
    Present value of all rewards to come, by the state now.

    :math:`V = \sum_{t=0}^{T} (1+d)^{-t} P^t R`, without an end :math:`(I - P/(1+d))^{-1} R`.

    Parameters
    ----------
    probability : array of shape (n_states, n_states)
    reward : array of shape (n_states,)
        Money earned in a period spent in each state.
    rate : float
        Discount rate of one period.
    horizon_periods : int or None
        Periods after the present one; None for all, which needs a positive rate or a state that ends it all.
    include_now : bool
        Whether the present period's reward counts.

    Examples
    --------
    A customer earns 10 a period and stays with 0.5: 10 now, 5 / 1.25 next, 2.5 / 1.25^2 ...

    >>> P = np.array([[0.5, 0.5], [0.0, 1.0]])
    >>> present_value(P, np.array([10.0, 0.0]), rate=0.25, horizon_periods=1, include_now=True).tolist()
    [14.0, 0.0]
    """
    step = probability / (1 + rate)
    now = reward if include_now else np.zeros_like(reward)
    if horizon_periods is None:
        if rate <= 0:
            raise ModelError(f"a value without an end needs a discount rate above 0; came {rate:g}; or give a horizon")
        return np.linalg.solve(np.eye(len(step)) - step, reward.astype(step.dtype)) - reward + now
    value, ahead = now.astype(step.dtype), reward.astype(step.dtype)
    for _ in range(horizon_periods):
        ahead = step @ ahead
        value = value + ahead
    return value


def only_currency(spend: pd.DataFrame) -> str:
    """
    Return the currency of all spending.

    Parameters
    ----------
    spend : DataFrame
        As ``spend_by_recency`` returns it.

    Raises
    ------
    ModelError
        Nothing was spent, or in several currencies, which are never added up.
    """
    found = sorted(spend.loc[spend["amount_minor"] != 0, "currency"].unique())
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise ModelError("the value of a customer needs amounts of money; came none; map transactions.amount")
    raise ModelError(
        f"the value of a customer needs amounts in one currency; these are in {', '.join(found)}, which are never "
        "added up; leave out the rows of the others, or convert the amounts in the study's columns"
    )


def rewards_by_state(spend: pd.DataFrame, chain: ChainCounts, *, currency: str) -> tuple[np.ndarray, np.ndarray]:
    """
    Return what was earned in each state, and in how many customer-periods, by group of customers.

    Parameters
    ----------
    spend : DataFrame
        As ``spend_by_recency`` returns it.
    chain : ChainCounts
        From ``recency_chain``, on the same panel.
    currency : str
        Whose amounts to take; currencies are never added up.

    Returns
    -------
    amount, periods : arrays of shape (100, n_states)
        Units of the currency (no cents); customer-periods that ended in the state.
    """
    here = spend[spend["currency"] == currency]
    if here.empty:
        known = ", ".join(sorted(spend["currency"].unique())) or "none"
        raise ModelError(f"nothing was spent in currency '{currency}'; the spending is in {known}")
    named = [chain.label[pair] for pair in zip(here["stage"], here["silent"], strict=True)]
    amount = by_replicate(here.assign(state=named), ["amount_minor"], ["state"], [pd.Index(chain.states)])[..., 0]
    return amount / _minor_units(currency), chain.grouped.sum(axis=1)


def lifetime_value(
    chain: ChainCounts,
    *,
    rewards: Mapping[str, float] | tuple[np.ndarray, np.ndarray],
    discount_rate_yearly: float,
    periods_per_year: float,
    horizon_periods: int | None,
    include_now: bool,
    start: Start,
    unit: str,
    n_customers: Mapping[str, int] | None = None,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """
    Present value of what a customer of each stage will bring, with intervals.

    Parameters
    ----------
    chain : ChainCounts
    rewards : mapping of state to money, or two arrays of shape (100, n_states)
        Earned in a period spent in the state: given (no interval of their own), or as ``rewards_by_state`` counts
        them.
    discount_rate_yearly : float
        By the year; turned into the rate of one period.
    periods_per_year : float
        12 for months.
    horizon_periods : int or None
        Periods after the present one; None for all to come, if rates stay and customers do not differ.
    include_now : bool
        Whether the present period's reward counts.
    start : {"entry", "stock"}
        Customers who enter a stage, or who are found in it.
    unit : str
        The money.
    n_customers : mapping of stage to int, optional

    Returns
    -------
    dict of stage to Estimate
        By the jackknife; a stage from which nothing is ever earned has an interval of no width.
    """
    rate = rate_per_period(discount_rate_yearly, periods_per_year=periods_per_year)
    counts, matrices, reward = _ingredients(chain, rewards)
    values = np.array([
        chain.start_shares(each, start)
        @ present_value(P, R, rate=rate, horizon_periods=horizon_periods, include_now=include_now)
        for each, P, R in zip(counts, matrices, reward, strict=True)
    ])  # fmt: skip
    made = {}
    for place, stage in enumerate(chain.stages):
        n = int(counts[0, chain.stage_of == place].sum()) if n_customers is None else int(n_customers.get(stage, 0))
        made[stage] = jackknife(values[0, place], values[1:, place], unit=unit, n=n, level=level)
    return made


def spent_ahead(
    counts: pd.DataFrame,
    *,
    stages: Sequence[str],
    currency: str,
    n_customers: Mapping[str, int] | None = None,
    level: float = 0.95,
) -> dict[str, Estimate]:
    """
    Return what customers found in each stage went on to spend, with no chain between.

    Parameters
    ----------
    counts : DataFrame
        As ``spend_ahead`` returns it.
    stages : list of str
    currency : str
        Whose amounts to take, in its units.
    n_customers : mapping of stage to int, optional
        Customers behind each stage; without it customer-periods are told.
    level : float

    Returns
    -------
    dict of stage to Estimate
        Mean over customer-periods, by the jackknife; stages that nobody was in early enough are not there.
    """
    names = pd.Index(list(stages))
    people = by_replicate(counts, ["n"], ["stage"], [names])[..., 0]
    paid = by_replicate(counts[counts["currency"] == currency], ["amount_minor"], ["stage"], [names])[..., 0]
    paid = paid / _minor_units(currency)
    found = {}
    for place, stage in enumerate(stages):
        there = people[:, place].sum() - np.append(0.0, people[:, place])
        if (there > 0).all():
            means = (paid[:, place].sum() - np.append(0.0, paid[:, place])) / there
            n = int(there[0]) if n_customers is None else int(n_customers.get(stage, 0))
            found[stage] = jackknife(float(means[0]), means[1:], unit=currency, n=n, level=level)
    return found


def _minor_units(currency: str) -> int:
    return int(minor_unit(ibis.literal(currency)).execute())


def value_of_transition(
    chain: ChainCounts,
    *,
    move: tuple[str, str],
    points: float,
    origin: str,
    rewards: Mapping[str, float] | tuple[np.ndarray, np.ndarray],
    discount_rate_yearly: float,
    periods_per_year: float,
    horizon_periods: int | None,
    start: Start,
    unit: str,
    level: float = 0.95,
) -> Estimate:
    """
    What a customer of ``origin`` is worth more when a move becomes ``points`` percentage points more likely.

    The other moves out of the same stage give way in proportion. A calculation on the chain, no promise that
    anything can change the move alone. Parameters as in ``lifetime_value``.
    """
    rate = rate_per_period(discount_rate_yearly, periods_per_year=periods_per_year)
    counts, matrices, reward = _ingredients(chain, rewards)
    leave, enter, here = chain.members(move[0]), chain.members(move[1]), chain.members(origin)
    if not counts[0][np.ix_(leave, enter)].any():
        raise ModelError(f"nobody was seen to move from '{move[0]}' to '{move[1]}'; choose a move that happened")
    place = int(chain.stage_of[here][0])
    changes = np.empty(len(counts))
    for g, (each, P, R) in enumerate(zip(counts, matrices, reward, strict=True)):
        happens = each[np.ix_(leave, enter)].sum() / each[leave].sum()
        if not happens > 0:
            raise ModelError(f"one group of customers made every move from '{move[0]}' to '{move[1]}'; choose another")
        after = reweighted(P, leave, enter, 1 + points / 100 / happens)
        worth = [present_value(Q, R, rate=rate, horizon_periods=horizon_periods, include_now=True) for Q in (after, P)]
        changes[g] = chain.start_shares(each, start)[place] @ (worth[0] - worth[1])
    return jackknife(changes[0], changes[1:], unit=unit, n=int(counts[0, leave].sum()), level=level)


def _ingredients(
    chain: ChainCounts, rewards: Mapping[str, float] | tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return counts, matrices and rewards, each with and without every group of customers."""
    counts = chain.without_each_group()
    stuck = counts[0].sum(axis=1) == 0
    if isinstance(rewards, Mapping):
        unknown = sorted(set(rewards) ^ set(chain.states))
        if unknown:
            raise ModelError(f"rewards are needed for exactly the states {', '.join(chain.states)}; see '{unknown[0]}'")
        fixed = np.array([rewards[state] for state in chain.states], float)
        reward = np.broadcast_to(fixed, counts.shape[:2])
    else:
        amount, periods = (np.concatenate([x.sum(axis=0)[None], x.sum(axis=0) - x]) for x in rewards)
        reward = np.divide(amount, periods, out=np.zeros_like(amount), where=periods > 0)
    # a state that nobody was seen leaving holds its customers: they earn its reward from then on
    return counts, probabilities(counts, stuck, states=chain.states), reward
