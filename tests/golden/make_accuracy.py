"""
Make ``accuracy_rows.csv`` and the numbers of scikit-survival for it, ``accuracy.csv``.

Run in an environment with scikit-survival (0.28.0 made the stored file)::

    python tests/golden/make_accuracy.py

Lapses fall on even days and censoring on odd ones in ``duration_days``, and scores are asked for on even days:
scikit-survival evaluates the censoring distribution on the day itself, we just before it, and without shared days
the two agree. ``tied_days`` shares them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
DAYS = (10, 20, 30)
TRUNCATION_DAY = 35


def rows() -> pd.DataFrame:
    """Eighty customers; predictions to two decimals, so that some are equal."""
    rng = np.random.default_rng(20240607)
    strength = rng.normal(size=80)
    lapse = 1 + np.floor(rng.exponential(12 * np.exp(-0.7 * strength))).astype(int)
    lost = 1 + np.floor(rng.uniform(0, 45, size=80)).astype(int)
    event = lapse <= lost
    day = np.minimum(lapse, lost)
    score = strength + rng.normal(scale=0.8, size=80)
    made = {f"risk_{d}": np.round(1 - np.exp(-d / 16 * np.exp(0.4 * score)), 2).clip(0.01, 0.99) for d in DAYS}
    duration = np.where(event, 2 * ((day + 1) // 2), 2 * (day // 2) + 1)
    return pd.DataFrame({"duration_days": duration, "tied_days": (day + 2) // 3, "event_observed": event} | made)


def reference(data: pd.DataFrame) -> pd.DataFrame:
    """Numbers of scikit-survival, one row each."""
    import sksurv
    from sksurv import metrics
    from sksurv.nonparametric import kaplan_meier_estimator
    from sksurv.util import Surv

    found: dict[str, float] = {}
    event, estimate = data["event_observed"].to_numpy(), data["risk_20"].to_numpy()
    y = Surv.from_arrays(event, data["duration_days"])
    for name in ("duration_days", "tied_days"):
        c = metrics.concordance_index_censored(event, data[name], estimate)
        found |= {
            f"harrell_{name}_{k}": v for k, v in zip(("index", "concordant", "discordant", "tied"), c, strict=False)
        }
    found["uno"] = metrics.concordance_index_ipcw(y, y, estimate, tau=TRUNCATION_DAY)[0]
    survival = np.column_stack([1 - data[f"risk_{d}"] for d in DAYS])
    scores = metrics.brier_score(y, y, survival, DAYS)[1]
    areas = metrics.cumulative_dynamic_auc(y, y, np.column_stack([data[f"risk_{d}"] for d in DAYS]), DAYS)[0]
    found |= {f"brier_{d}": s for d, s in zip(DAYS, scores, strict=True)}
    found |= {f"auc_{d}": a for d, a in zip(DAYS, areas, strict=True)}
    found["integrated_brier"] = metrics.integrated_brier_score(y, y, survival, DAYS)
    times, curve = kaplan_meier_estimator(event, data["duration_days"])
    stays = [curve[times <= d][-1] for d in DAYS]
    found |= {f"kaplan_meier_{d}": s for d, s in zip(DAYS, stays, strict=True)}
    null = np.tile(stays, (len(data), 1))
    found |= {f"null_brier_{d}": s for d, s in zip(DAYS, metrics.brier_score(y, y, null, DAYS)[1], strict=True)}
    source = f"scikit-survival {sksurv.__version__}"
    return pd.DataFrame(
        [(name, repr(float(v)), source) for name, v in found.items()], columns=["name", "value", "source"]
    )


def main() -> None:
    """Write both files."""
    data = rows()
    data.to_csv(HERE / "accuracy_rows.csv", index=False)
    reference(data).to_csv(HERE / "accuracy.csv", index=False)


if __name__ == "__main__":
    main()
