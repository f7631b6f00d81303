"""The embedded datasets are whole: CDNOW against its published numbers, the demo against its own truth."""

from __future__ import annotations

import gzip
from importlib import resources
from pathlib import Path

import pandas as pd
import pytest

from lcm_research.data.backend import connect, open_tables
from lcm_research.data.cache import cache_folder
from lcm_research.data.ingested import Ingested
from lcm_research.data.sources import ingest
from lcm_research.study import load_study

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cdnow() -> Ingested:
    path = ROOT / "params" / "cdnow.yml"
    return ingest(load_study(path), path, cache=cache_folder())


def test_cdnow_has_the_rows_and_customers_of_the_cohort(cdnow: Ingested) -> None:
    assert (cdnow.n_rows["transactions"], cdnow.n_customers) == (69_659, 23_570)
    assert cdnow.days["transactions"] == (9862, 10407)  # 1997-01-01 and 1998-06-30
    zero = next(check for check in cdnow.checks if check.name == "purchases_not_zero")
    assert zero.n == 80
    first = pd.read_parquet(cdnow.tables["transactions"]).iloc[0]
    assert (first["customer_id"], first["day"], first["amount_minor"], first["quantity"]) == ("00001", 9862, 1177, 1)
    customers = pd.read_parquet(cdnow.tables["customers"])
    assert set(customers["first_month"]) == {"1997-01", "1997-02", "1997-03"}
    assert set(customers["first_basket"]) == {"<2", "2-<4", ">=4"}


def test_cdnow_repeats_255_rows(cdnow: Ingested) -> None:
    from lcm_research.data.audit import repeated_rows

    study = load_study(ROOT / "params" / "cdnow.yml")
    counts = repeated_rows.execute(open_tables(cdnow, connect(study.engine)))
    assert counts["n_repeats"].sum() == 255


def test_cdnow_is_the_file_that_it_came_from(datasets: Path) -> None:
    ours = gzip.decompress((resources.files("lcm_research") / "data/embedded/cdnow/cdnow.csv.gz").read_bytes()).decode()
    theirs = (datasets / "cdnow" / "CDNOW_master.txt").read_text()
    assert [line.split(",") for line in ours.splitlines()] == [line.split() for line in theirs.splitlines() if line]


def test_the_demo_goes_through_ingest_whole() -> None:
    path = ROOT / "params" / "demo.yml"
    study = load_study(path)
    made = ingest(study, path, cache=cache_folder())
    assert made.n_customers == study.data.simulate.n_customers if study.data.simulate else False
    used = {line.table: line.rows for line in made.reconciliation if line.rule == "rows_used"}
    rows = {line.table: line.rows for line in made.reconciliation if line.rule == "rows_in"}
    assert used == rows
    assert all(check.passed for check in made.checks)
