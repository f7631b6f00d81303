"""
Journeys of customers whose activity drives what they meet, how often, and whether they buy; counted as reductions do.

Given the activity class a customer's taste for channels, chances to buy and earlier purchases are independent, so that
within classes no channel has an effect but those that ``Truth`` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lcm_research.attribution.edges import CONVERSION, NULL, START, Outcome
from lcm_research.attribution.negative_control import negative_control_test
from lcm_research.attribution.null import credit_beyond_null
from lcm_research.attribution.permutation import permutation_law
from lcm_research.estimate import N_GROUPS

__all__ = ["CHANNELS", "PLACEBO", "Asked", "Simulated", "Truth", "ask", "simulate"]

CHANNELS = ("a", "b", "c", "d", "e")
PLACEBO = "(placebo)"

TASTE = np.array([[1.0, 2.0, 2.0, 2.0, 1.0], [2.0, 2.0, 1.5, 1.5, 1.0], [6.0, 1.5, 1.0, 0.5, 1.0]])
"""How much each class (quiet, middling, lively) meets each channel: ``a`` is where lively people are."""

GOES_ON = np.array([0.3, 0.5, 0.7])
"""Chance of another touch, where one did not convert."""

CONVERTS = np.array([0.05, 0.10, 0.20])
"""Chance of each touch to convert."""

BOUGHT = np.array([0.05, 0.15, 0.40])
"""Chance that a purchase lies before the journey."""

LONGEST = 12


@dataclass(frozen=True, kw_only=True)
class Truth:
    """
    What is simulated.

    Attributes
    ----------
    n_customers : int
    journeys : float
        Journeys of a customer: one, and a Poisson number more of this mean.
    keeps : float
        How much customers keep to channels of their own: 0 none, 1 to about two of them.
    spread : float
        Standard deviation, in logs, of a customer's chance to buy, now and before.
    effect : mapping of channel to float
        What a touch of the channel multiplies its chance to convert by.
    """

    n_customers: int = 1_000
    journeys: float = 2.0
    keeps: float = 0.5
    spread: float = 0.5
    effect: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulated:
    """Touches in order of their journeys, and what is known of each journey; arrays of ints."""

    channels: tuple[str, ...]
    journey: np.ndarray
    channel: np.ndarray
    activity: np.ndarray
    replicate: np.ndarray
    converted: np.ndarray
    value: np.ndarray
    bought: np.ndarray

    def edges(self) -> pd.DataFrame:
        """Count steps as ``edge_counts`` does."""
        names = np.array([*self.channels, START, CONVERSION, NULL], dtype=object)
        k = len(self.channels)
        starts = np.r_[True, self.journey[1:] != self.journey[:-1]]
        ends = np.r_[starts[1:], True]
        before = np.where(starts, k, np.r_[0, self.channel[:-1]])
        last = self.journey[ends]
        counts = {
            "from_channel": np.r_[before, self.channel[ends]],
            "to_channel": np.r_[self.channel, np.where(self.converted[last], k + 1, k + 2)],
            "replicate": np.r_[self.replicate[self.journey], self.replicate[last]],
            "n": 1,
            "value_minor": np.r_[np.zeros(len(self.journey), np.int64), self.value[last]],
        }
        edges = pd.DataFrame(counts).groupby(["from_channel", "to_channel", "replicate"], as_index=False).sum()
        return edges.assign(from_channel=names[edges["from_channel"]], to_channel=names[edges["to_channel"]])

    def ends(self, *, by_activity: bool = True) -> pd.DataFrame:
        """Count ends as ``end_counts`` does, with a negative control; by activity, or all in one stratum."""
        last = self.channel[np.r_[self.journey[1:] != self.journey[:-1], True]]
        counts = {
            "stratum": self.activity if by_activity else np.zeros_like(self.activity),
            "history": last,
            "replicate": self.replicate,
            "n": 1,
            "n_conversions": self.converted.astype(int),
            "value_minor": self.value,
            "n_control": self.bought.astype(int),
        }
        ends = pd.DataFrame(counts).groupby(["stratum", "history", "replicate"], as_index=False).sum()
        names = np.array(self.channels, dtype=object)
        return ends.assign(stratum="activity " + ends["stratum"].astype(str), history=names[ends["history"]])

    def with_placebo(self, share: float, rng: np.random.Generator) -> Simulated:
        """Relabel a share of the touches at random."""
        channel = np.where(rng.random(len(self.channel)) < share, len(self.channels), self.channel)
        kept = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Simulated(**kept | {"channel": channel, "channels": (*self.channels, PLACEBO)})


def simulate(truth: Truth, rng: np.random.Generator) -> Simulated:
    """Draw customers, their journeys and touches; a touch that converts is the last of its journey."""
    n = truth.n_customers
    activity = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    taste = TASTE[activity] / TASTE[activity].sum(axis=1, keepdims=True)
    if truth.keeps > 0:
        own = rng.standard_gamma(taste * 3 / truth.keeps**2)
        taste = (own + 1e-9) / (own + 1e-9).sum(axis=1, keepdims=True)
    buys, bought = np.exp(truth.spread * rng.standard_normal((2, n)) - truth.spread**2 / 2)
    customer = np.repeat(np.arange(n), 1 + rng.poisson(truth.journeys, size=n))
    bought_before = rng.random(len(customer)) < np.minimum(BOUGHT[activity] * bought, 1)[customer]
    size = np.minimum(rng.geometric(1 - GOES_ON[activity[customer]]), LONGEST)
    journey = np.repeat(np.arange(len(customer)), size)
    of = customer[journey]
    channel = (rng.random(len(of))[:, None] > taste[of].cumsum(axis=1)[:, :-1]).sum(axis=1)
    effect = np.array([truth.effect.get(name, 1.0) for name in CHANNELS])
    converts = rng.random(len(of)) < np.minimum(CONVERTS[activity[of]] * buys[of] * effect[channel], 1)
    starts = np.searchsorted(journey, np.arange(len(customer)))
    earlier = np.cumsum(converts) - converts
    kept = earlier == earlier[starts][journey]
    converted = np.bincount(journey[kept & converts], minlength=len(customer)) > 0
    price = np.round(1000 * np.exp(0.5 * rng.standard_normal(len(customer))) * (1 + activity[customer])).astype(
        np.int64
    )
    return Simulated(
        channels=CHANNELS,
        journey=journey[kept],
        channel=channel[kept],
        activity=activity[customer],
        replicate=rng.integers(0, N_GROUPS, size=n)[customer],
        converted=converted,
        value=np.where(converted, price, 0),
        bought=bought_before,
    )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What one brand's counts answered: p-values, and the channels claimed to be credited beyond their volume."""

    joint: float
    channel: np.ndarray
    control: float
    claimed: tuple[str, ...]
    claimed_without_control: tuple[str, ...]
    permutation: float


def ask(
    seed: int,
    truth: Truth,
    *,
    by_activity: bool = True,
    of: Outcome = "conversions",
    placebo: float = 0.0,
    n_draws: int = 0,
) -> Asked:
    """Simulate a brand and hold its credit against the null; with ``n_draws`` also by exchanging outcomes."""
    rng = np.random.default_rng(seed)
    made = simulate(truth, rng)
    if placebo:
        made = made.with_placebo(placebo, rng)
    edges, ends = made.edges(), made.ends(by_activity=by_activity)
    excess, control = credit_beyond_null(edges, of=of, ends=ends), negative_control_test(ends)
    law = permutation_law(edges, ends=ends, n_draws=n_draws, rng=rng).p_value() if n_draws else float("nan")
    return Asked(
        joint=excess.test().p_value,
        channel=excess.p_values(),
        control=control.test.p_value,
        claimed=excess.credited_beyond(control=control),
        claimed_without_control=excess.credited_beyond(control=None),
        permutation=law,
    )
