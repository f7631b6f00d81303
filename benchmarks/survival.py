"""
Survival analysis on counts against lifelines, scikit-survival and statsmodels on rows, in one run.

    make bench        (or: python benchmarks/survival.py [n_customers ...])

Our side starts from a file and counts it in the engine; the peers start from a table that is already in memory.
Every side answers with one number, and the table says how far apart the answers are.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
from measure import Side, Task, draw, measure, write

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"
PATTERN = ["age_band", "region", "is_member"]
COLUMNS = [*(f"age_{i}" for i in range(1, 5)), *(f"region_{i}" for i in range(1, 4)), "is_member"]
WINDOW_DAYS, FIRST_DAY, AS_OF_DAY, PERIOD_DAYS = 180, 19_000, 19_729, 30
HORIZON_DAYS = 360

Work = Callable[[], float]


# -- inputs


def spells(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Spells on integer days, censored within a year, whose hazard depends on eight columns; one in two returns."""
    age, region, member = rng.integers(0, 5, n), rng.integers(0, 4, n), rng.integers(0, 2, n)
    lapse = rng.exponential(200 * np.exp(0.1 * age - 0.05 * region + 0.3 * member))
    censored = rng.uniform(30, 365, n)
    rows = pd.DataFrame({"channel": rng.integers(0, 12, n), "age_band": age, "region": region, "is_member": member})
    for i in range(1, 5):
        rows[f"age_{i}"] = (age == i).astype(float)
    for i in range(1, 4):
        rows[f"region_{i}"] = (region == i).astype(float)
    rows["customer_id"] = rng.integers(0, max(n // 2, 1), n)
    rows["replicate"] = rows["customer_id"] % 100
    rows["duration_days"] = np.ceil(np.minimum(lapse, censored)).astype("int64")
    rows["event_observed"] = lapse <= censored
    rows["cause"] = np.where(rows["event_observed"], np.where(rng.random(n) < 0.3, "moved", "price"), "")
    return rows


def purchases(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Customers who arrive over two years and buy until they leave, about five or six times each."""
    member = rng.integers(0, 2, n)
    arrival = rng.integers(FIRST_DAY, AS_OF_DAY + 1, n)
    until = np.minimum(arrival + rng.exponential(365 * np.exp(0.3 * member), n), AS_OF_DAY)
    n_more = rng.poisson(rng.gamma(1.2, 1 / 1.2, n) / 45 * (until - arrival))
    buyer = np.concatenate([np.arange(n), np.repeat(np.arange(n), n_more)])
    share = np.concatenate([np.zeros(n), rng.random(n_more.sum())])
    day = (arrival[buyer] + share * (until - arrival)[buyer]).astype("int64")
    order = np.argsort(day, kind="stable")
    buyer, day = buyer[order], day[order]
    ids = np.char.add("c", np.char.zfill(np.arange(n).astype(str), 8))
    customers = pd.DataFrame(
        {"customer_id": ids, "replicate": rng.integers(0, 100, n), "is_member": np.array(["no", "yes"])[member]}
    )
    bought = pd.DataFrame({"customer_id": ids[buyer], "day": day, "is_return": rng.random(len(day)) < 0.05})
    return customers, bought


def inputs(folder: Path) -> Callable[[int], Path]:
    """Write the input files of a size, once."""

    def made(n: int) -> Path:
        here = folder / str(n)
        here.mkdir()
        rng = np.random.default_rng(n)
        spells(n, rng).to_parquet(here / "spells.parquet")
        for name, table in zip(("customers", "transactions"), purchases(n, rng), strict=True):
            table.to_parquet(here / f"{name}.parquet")
        return here

    return made


# -- ours


def counted(folder: Path, keys: list[str]) -> pd.DataFrame:
    """Count spells by pattern and day in the engine."""
    connection = ibis.duckdb.connect(threads=2)
    by = [*keys, "duration_days"]
    table = connection.read_parquet(folder / "spells.parquet")
    counts = table.group_by(by).agg(n=lambda t: t.count()).order_by(by).to_pandas()
    connection.disconnect()
    return counts


def our_curves(folder: Path) -> Work:
    """Survival at day 180 of the first of 12 groups."""
    from lcm_research.survival.curves import kaplan_meier, survival_at

    def work() -> float:
        counts = counted(folder, ["channel", "event_observed"])
        curves = [kaplan_meier(group, interval="log-log") for _, group in counts.groupby("channel")]
        return survival_at(curves[0], 180).value

    return work


def our_incidence(folder: Path) -> Work:
    """Share that has moved away by day 180."""
    from lcm_research.survival.competing import cumulative_incidence, cumulative_incidence_at

    def work() -> float:
        curve = cumulative_incidence(counted(folder, ["cause"]), cause="moved", interval="log-log")
        return cumulative_incidence_at(curve, 180).value

    return work


def our_cox(folder: Path) -> Work:
    """Log hazard ratio of membership."""
    from lcm_research.survival.hazards import cox

    def work() -> float:
        counts = counted(folder, [*PATTERN, "event_observed"])
        counts = counts.astype({"age_band": str, "region": str})
        fit = cox(counts, covariates=PATTERN, ties="efron", intervals="information")
        return float(fit.coefficients[fit.names.index("is_member")])

    return work


def our_cluster(folder: Path) -> Work:
    """Standard error of the log hazard ratio of membership, by customer."""
    from lcm_research.survival.hazards import cox

    read = [*PATTERN, "duration_days", "event_observed", "customer_id"]
    rows = pd.read_parquet(folder / "spells.parquet", columns=read).assign(n=1)
    for name in ("age_band", "region"):
        rows[name] = rows[name].astype("category").cat.rename_categories(str)

    def work() -> float:
        fit = cox(rows, covariates=PATTERN, ties="efron", intervals="robust", cluster="customer_id")
        return float(fit.standard_error[fit.names.index("is_member")])

    return work


def our_weibull(folder: Path) -> Work:
    """Log time ratio of membership."""
    from lcm_research.survival.parametric import accelerated_failure_time

    def work() -> float:
        counts = counted(folder, [*PATTERN, "event_observed"]).astype({"age_band": str, "region": str})
        fit = accelerated_failure_time(counts, distribution="weibull", covariates=PATTERN, intervals="information")
        return float(fit.coefficients[fit.names.index("is_member")])

    return work


def our_hazard_from_events(folder: Path) -> Work:
    """Log hazard ratio of membership in a hazard by month, from purchases."""
    from lcm_research.data.reduction import Tables
    from lcm_research.survival.discrete import discrete_hazard
    from lcm_research.survival.spells import spell_counts

    def work() -> float:
        connection = ibis.duckdb.connect(threads=2, memory_limit="600MB")
        names = ("customers", "transactions")
        tables = Tables({name: connection.read_parquet(folder / f"{name}.parquet") for name in names})
        counts = spell_counts.execute(
            tables,
            window_days=WINDOW_DAYS,
            observation_start_day=FIRST_DAY,
            as_of_day=AS_OF_DAY,
            history="complete",
            entry="incident",
            by=["is_member"],
        )
        connection.disconnect()
        fit = discrete_hazard(
            counts,
            period_days=PERIOD_DAYS,
            link="cloglog",
            covariates=["is_member"],
            reference={"is_member": "no"},
            baseline="period",
            intervals="replicate",
            horizon_days=HORIZON_DAYS,
        )
        return float(fit.coefficients[-1])

    return work


# -- lifelines


def lifelines_curves(folder: Path) -> Work:
    """As ``our_curves``."""
    from lifelines import KaplanMeierFitter

    rows = pd.read_parquet(folder / "spells.parquet")

    def work() -> float:
        fits = [KaplanMeierFitter().fit(g["duration_days"], g["event_observed"]) for _, g in rows.groupby("channel")]
        return float(fits[0].predict(180))

    return work


def lifelines_incidence(folder: Path) -> Work:
    """As ``our_incidence``; ties are broken at random."""
    from lifelines import AalenJohansenFitter

    rows = pd.read_parquet(folder / "spells.parquet")
    code = rows["cause"].map({"": 0, "moved": 1, "price": 2})

    def work() -> float:
        fit = AalenJohansenFitter(seed=1, calculate_variance=False).fit(
            rows["duration_days"], code, event_of_interest=1
        )
        return float(fit.predict(180))

    return work


def lifelines_cox(folder: Path) -> Work:
    """As ``our_cox``."""
    from lifelines import CoxPHFitter

    rows = pd.read_parquet(folder / "spells.parquet")[[*COLUMNS, "duration_days", "event_observed"]]
    return lambda: float(CoxPHFitter().fit(rows, "duration_days", "event_observed").params_["is_member"])


def lifelines_cluster(folder: Path) -> Work:
    """As ``our_cluster``."""
    from lifelines import CoxPHFitter

    rows = pd.read_parquet(folder / "spells.parquet")[[*COLUMNS, "duration_days", "event_observed", "customer_id"]]

    def work() -> float:
        fit = CoxPHFitter().fit(rows, "duration_days", "event_observed", cluster_col="customer_id")
        return float(fit.standard_errors_["is_member"])

    return work


def lifelines_weibull(folder: Path) -> Work:
    """As ``our_weibull``."""
    from lifelines import WeibullAFTFitter

    rows = pd.read_parquet(folder / "spells.parquet")[[*COLUMNS, "duration_days", "event_observed"]]

    def work() -> float:
        fit = WeibullAFTFitter().fit(rows, "duration_days", "event_observed")
        return float(fit.params_["lambda_"]["is_member"])

    return work


# -- scikit-survival


def sksurv_curves(folder: Path) -> Work:
    """As ``our_curves``."""
    from sksurv.nonparametric import kaplan_meier_estimator

    rows = pd.read_parquet(folder / "spells.parquet")

    def work() -> float:
        fits = [kaplan_meier_estimator(g["event_observed"], g["duration_days"]) for _, g in rows.groupby("channel")]
        times, survival = fits[0]
        return float(survival[np.searchsorted(times, 180, side="right") - 1])

    return work


def sksurv_incidence(folder: Path) -> Work:
    """As ``our_incidence``."""
    from sksurv.nonparametric import cumulative_incidence_competing_risks

    rows = pd.read_parquet(folder / "spells.parquet")
    code = rows["cause"].map({"": 0, "moved": 1, "price": 2}).to_numpy()

    def work() -> float:
        times, incidence = cumulative_incidence_competing_risks(code, rows["duration_days"].to_numpy())
        return float(incidence[1][np.searchsorted(times, 180, side="right") - 1])

    return work


def sksurv_cox(folder: Path) -> Work:
    """As ``our_cox``."""
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    rows = pd.read_parquet(folder / "spells.parquet")
    outcome = Surv.from_arrays(rows["event_observed"], rows["duration_days"])
    x = rows[COLUMNS].astype(float)
    return lambda: float(CoxPHSurvivalAnalysis(ties="efron").fit(x, outcome).coef_[-1])


# -- statsmodels


def statsmodels_curves(folder: Path) -> Work:
    """As ``our_curves``."""
    from statsmodels.duration.survfunc import SurvfuncRight

    rows = pd.read_parquet(folder / "spells.parquet")

    def work() -> float:
        fits = [SurvfuncRight(g["duration_days"], g["event_observed"]) for _, g in rows.groupby("channel")]
        first = fits[0]
        return float(first.surv_prob[np.searchsorted(first.surv_times, 180, side="right") - 1])

    return work


def statsmodels_cox(folder: Path) -> Work:
    """As ``our_cox``."""
    from statsmodels.duration.hazard_regression import PHReg

    rows = pd.read_parquet(folder / "spells.parquet")
    x, status = rows[COLUMNS].to_numpy(float), rows["event_observed"].astype(int)
    return lambda: float(PHReg(rows["duration_days"].astype(float), x, status=status, ties="efron").fit().params[-1])


def pandas_hazard_from_events(folder: Path) -> Work:
    """As ``our_hazard_from_events``: spells in pandas, one row a customer and month, a binomial model on the rows."""
    import statsmodels.api as sm

    customers = pd.read_parquet(folder / "customers.parquet")
    bought = pd.read_parquet(folder / "transactions.parquet")
    cut = AS_OF_DAY - WINDOW_DAYS

    def work() -> float:
        days = (
            bought.loc[~bought["is_return"], ["customer_id", "day"]]
            .drop_duplicates()
            .sort_values(["customer_id", "day"])
        )
        following = days.groupby("customer_id")["day"].shift(-1)
        silent = ~(following - days["day"] <= WINDOW_DAYS)
        first = days.groupby("customer_id")["day"].first()
        last = days[silent].groupby("customer_id")["day"].first()
        used = pd.DataFrame({"start": first, "last": last})
        used = used[used["start"] < cut].join(customers.set_index("customer_id")["is_member"])
        event = used["last"] < cut
        duration = np.where(event, used["last"] - used["start"] + 1, cut - used["start"])
        event &= duration <= HORIZON_DAYS
        duration = np.minimum(duration, HORIZON_DAYS)
        n_periods = -(-duration // PERIOD_DAYS)
        row = np.repeat(np.arange(len(used)), n_periods)
        period = np.arange(len(row)) - np.repeat(n_periods.cumsum() - n_periods, n_periods)
        final = period == n_periods[row] - 1
        lapsed = (final & event.to_numpy()[row]).astype(float)
        seen = np.where(final & ~event.to_numpy()[row], duration[row] / PERIOD_DAYS - period, 1.0)
        member = (used["is_member"] == "yes").to_numpy(float)[row]
        x = np.column_stack([np.eye(n_periods.max())[period], member])
        family = sm.families.Binomial(sm.families.links.CLogLog())
        return float(sm.GLM(lapsed, x, family=family, freq_weights=seen).fit().params[-1])

    return work


TASKS = [
    Task(
        "Kaplan-Meier, 12 groups",
        [
            Side("ours", our_curves),
            Side("lifelines", lifelines_curves),
            Side("scikit-survival", sksurv_curves),
            Side("statsmodels", statsmodels_curves),
        ],
    ),
    Task(
        "Cumulative incidence",
        [
            Side("ours", our_incidence),
            Side("lifelines", lifelines_incidence),
            Side("scikit-survival", sksurv_incidence),
        ],
    ),
    Task(
        "Cox, 8 columns",
        [
            Side("ours", our_cox),
            Side("lifelines", lifelines_cox),
            Side("scikit-survival", sksurv_cox),
            Side("statsmodels", statsmodels_cox),
        ],
    ),
    Task("Cox, errors by customer", [Side("ours", our_cluster), Side("lifelines", lifelines_cluster)]),
    Task("Weibull, 8 columns", [Side("ours", our_weibull), Side("lifelines", lifelines_weibull)]),
    Task(
        "Hazard by month, from events",
        [Side("ours", our_hazard_from_events), Side("pandas and statsmodels", pandas_hazard_from_events)],
    ),
]


def main(sizes: list[int]) -> None:
    """Measure, and write the table and the figure."""
    with tempfile.TemporaryDirectory(prefix="lcm-bench-") as folder:
        table = measure(TASKS, sizes, inputs(Path(folder)))
    write(table, TASKS, RESULTS / "survival.md", command="make bench")
    draw(table, TASKS, RESULTS / "survival.png")


if __name__ == "__main__":
    main([int(a) for a in sys.argv[1:]] or [10_000, 100_000, 1_000_000])
