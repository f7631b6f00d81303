"""
How often credit is said to lie beyond its null, where it does and where it does not, over 100 fixed seeds.

    python tools/attribution_rates.py [n_seeds] [n_processes]

Writes docs/attribution_rates.md. The journeys are those of tests/attribution/simulated_credit.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "attribution"))

from simulated_credit import CHANNELS, PLACEBO, Asked, Truth, ask  # noqa: E402

from lcm_research.attribution.edges import Outcome  # noqa: E402

N_SEEDS = 100
N_DRAWS = 199
OUTPUT = ROOT / "docs" / "attribution_rates.md"


@dataclass(frozen=True, kw_only=True)
class World:
    """What is simulated, and what of it is told to the tests."""

    title: str
    truth: Truth
    by_activity: bool = True
    of: Outcome = "conversions"
    placebo: float = 0.0


WORLDS = (
    World(title="no channel matters", truth=Truth()),
    World(title="no channel matters, one journey a customer", truth=Truth(n_customers=3_000, journeys=0)),
    World(
        title="no channel matters, many journeys a customer, who keeps to channels",
        truth=Truth(n_customers=800, journeys=14, keeps=1.5, spread=1.0),
    ),
    World(title="no channel matters, credit of value", truth=Truth(), of="value"),
    World(title="no channel matters, 15% of touches relabelled", truth=Truth(), placebo=0.15),
    World(title="c converts twice as often", truth=Truth(effect={"c": 2.0})),
    World(title="c converts twice as often, 15% relabelled", truth=Truth(effect={"c": 2.0}), placebo=0.15),
    World(title="c converts half as often again", truth=Truth(effect={"c": 1.5})),
    World(title="no channel matters, activity not observed", truth=Truth(), by_activity=False),
    World(title="c converts twice as often, activity not observed", truth=Truth(effect={"c": 2.0}), by_activity=False),
)


def asked(world: World, seed: int) -> Asked:
    """Ask one brand; outcomes are exchanged for conversions only."""
    draws = N_DRAWS if world.of == "conversions" else 0
    return ask(seed, world.truth, by_activity=world.by_activity, of=world.of, placebo=world.placebo, n_draws=draws)


def row(world: World, found: Sequence[Asked]) -> str:
    """Count the seeds in which each test rejected at 5%, and in which channels were claimed."""
    effective = {*world.truth.effect}
    others = {*CHANNELS, PLACEBO} - effective

    def rejected(p_values: list[float]) -> str:
        return "–" if np.isnan(p_values).all() else str(int((np.array(p_values) < 0.05).sum()))

    by_channel = (np.array([each.channel for each in found]) < 0.05).sum(axis=0)
    cells = [
        world.title,
        rejected([each.joint for each in found]),
        rejected([each.permutation for each in found]),
        " ".join(map(str, by_channel)),
        rejected([each.control for each in found]),
        str(sum(bool(effective & {*each.claimed_without_control}) for each in found)) if effective else "–",
        str(sum(bool(others & {*each.claimed_without_control}) for each in found)),
        str(sum(PLACEBO in each.claimed_without_control for each in found)) if world.placebo else "–",
        str(sum(bool(effective & {*each.claimed}) for each in found)) if effective else "–",
        str(sum(bool(others & {*each.claimed}) for each in found)),
    ]
    return f"| {' | '.join(cells)} |"


def main(n_seeds: int, n_processes: int) -> None:
    """Write the page."""
    columns = [
        "journeys",
        "all channels, by groups of customers",
        "all channels, outcomes exchanged",
        "each channel",
        "negative control",
        "effective channel claimed",
        "any other claimed",
        "placebo claimed",
        "effective, unless the control rejects",
        "any other, unless the control rejects",
    ]
    with ProcessPoolExecutor(n_processes) as pool:
        rows = [row(world, list(pool.map(partial(asked, world), range(n_seeds)))) for world in WORLDS]
    text = [
        "# How often credit is said to lie beyond its null",
        "",
        f"Made by `python tools/attribution_rates.py`: seeds 0 to {n_seeds - 1}. Each number counts seeds, of "
        f"{n_seeds}, in which a test rejects at 5% or a channel is claimed to be credited beyond its volume.",
        "",
        "Customers are quiet, middling or lively: the livelier, the more they meet channel a, the longer their "
        "journeys go on, the more they buy, and the more they had bought before. Strata are these classes, but where "
        f"activity is not observed. Outcomes are exchanged in {N_DRAWS} draws. A placebo is a share of touches, "
        "relabelled at random. Channels in their order, the placebo first.",
        "",
        f"| {' | '.join(columns)} |",
        f"|---|{'---:|' * (len(columns) - 1)}",
        *rows,
        "",
    ]
    OUTPUT.write_text("\n".join(text), encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*given, *(N_SEEDS, 2)[len(given) :])
