"""
Are customers where the fitted rates expect them? The check of a chain in continuous time.

Newcomers are followed from their first contact on; where the rates are wrong, or do not stay the same, or a clock
runs, the shares of the stages drift away from what is expected (Gentleman et al. 1994, Statistics in Medicine 13:805).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lcm_research.errors import ModelError
from lcm_research.estimate import N_GROUPS, by_replicate, proportion
from lcm_research.privacy import small_rows
from lcm_research.transitions.continuous import expected_prevalence
from lcm_research.transitions.moving_rates import MovingRates

__all__ = ["Prevalence", "prevalence"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prevalence:
    """
    Where newcomers are, month by month since their first contact, and where the rates expect them.

    Attributes
    ----------
    stages : tuple of str
    rows : DataFrame
        months, stage, n_observed (customers in the stage), n_followed (in any), observed (Estimate, a share) and
        share_expected.
    """

    stages: tuple[str, ...]
    rows: pd.DataFrame

    def shown(self, *, min_group: int) -> pd.DataFrame:
        """
        Return the rows that may be published, with the ``gap``: observed less expected share.

        Left out are rows of fewer than ``min_group`` customers and those that would give such a row away.
        """
        hidden = small_rows(self.rows["n_observed"], self.rows["months"], min_group=min_group)
        gap = self.rows["observed"].map(lambda found: found.value) - self.rows["share_expected"]
        return self.rows.assign(gap=gap)[~hidden]

    def smallest_shown(self, *, min_group: int) -> int:
        """Return the customers of the smallest group that ``shown`` leaves to see; 0 where it leaves none."""
        seen = self.shown(min_group=min_group)["n_observed"]
        return int(seen[seen > 0].min()) if (seen > 0).any() else 0

    def worst(self, *, min_group: int) -> dict[str, Any]:
        """Return the row with the largest gap either way, among those that may be published."""
        shown = self.shown(min_group=min_group)
        if shown.empty:
            raise ModelError(f"no stage in any month holds {min_group} newcomers or more, so no gap can be told")
        return {str(key): value for key, value in shown.iloc[int(shown["gap"].abs().to_numpy().argmax())].items()}


def prevalence(stays: pd.DataFrame, rates: MovingRates, *, fewest: int) -> Prevalence:
    """
    Hold where newcomers were found against where the rates expect them, from where they began.

    Parameters
    ----------
    stays : DataFrame
        As ``stay_counts`` returns them.
    rates : MovingRates
    fewest : int
        Months are left out from the first on in which fewer newcomers are followed.

    Raises
    ------
    ModelError
        Too few newcomers are followed for a month or more.
    """
    months, stages = np.arange(int(stays["exit_periods"].max()) if len(stays) else 0), pd.Index(rates.stages)
    known = stays[stays["from_stage"].isin(stages)]
    found = np.zeros((N_GROUPS, len(months), len(stages)))
    for month in months:
        now = known[(known["entry_periods"] <= month) & (known["exit_periods"] > month)]
        found[:, month] = by_replicate(now, ["n"], ["from_stage"], [stages])[..., 0]
    followed = found.sum(axis=(0, 2))
    enough = int(np.argmax(np.append(followed, -1) < fewest))
    if enough < 2:
        n = int(followed[0]) if len(followed) else 0
        raise ModelError(
            f"where newcomers are month by month needs {fewest} of them followed for a month or more; came {n} at the "
            "start; wait for more data"
        )
    found = found[:, :enough]
    total = found.sum(axis=0)
    begin = dict(zip(stages, total[0] / total[0].sum(), strict=True))
    looks = pd.DataFrame(
        [(float(t), stage, n) for t, row in enumerate(total) for stage, n in zip(stages, row, strict=True)],
        columns=["time", "stage", "n"],
    )
    expected = expected_prevalence(looks, rates.fit.intensity(), stages=rates.stages, start=begin)
    groups = found.sum(axis=2)
    level = rates.fit.level
    shares = [proportion(found[:, t, s], groups[:, t], level=level) for t in range(enough) for s in range(len(stages))]
    rows = pd.DataFrame(
        {
            "months": expected["time"].astype("int64"),
            "stage": expected["stage"],
            "n_observed": expected["n_observed"],
            "n_followed": np.repeat(groups.sum(axis=0).astype(np.int64), len(stages)),
            "observed": shares,
            "share_expected": expected["share_expected"],
        }
    )
    return Prevalence(stages=rates.stages, rows=rows)
