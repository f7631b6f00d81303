"""From files to canonical tables: what each value becomes and where each row goes, worked by hand."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_study import Brand

from lcm_research.data.canonical import replicate
from lcm_research.data.ingested import Ledger

Words = Callable[..., dict[str, Any]]

SALES = """\
customer,date,amount,kind,pieces
 0007,2020-01-01 00:30:00,19.99,sale,1
0007,2020-03-01,-5.00,return,1
0042,2020-06-30T20:00:00Z,0.005,sale,2
0042,2021-01-01,1,sale,
0099,2019-12-31,3,sale,
,2020-02-02,4,sale,
TEST,2020-02-02,4,sale,
"""


def ledger(brand: Brand, *args: Any, **words: Any) -> dict[str, dict[str, int]]:
    lines: dict[str, dict[str, int]] = {}
    for line in brand.ingest(*args, **words).reconciliation:
        lines.setdefault(line.table, {})[line.rule] = line.rows
    return lines


def test_values_become_canonical(brand: Brand, sales: Words) -> None:
    brand.write("sales.csv", SALES)
    words = sales(is_return="kind = 'return'", quantity="pieces", leave_out={"trial": "customer = 'TEST'"})
    made = brand.table("transactions", words)
    assert made["customer_id"].tolist() == ["0007", "0007", "0042"]  # zeros kept, blanks trimmed
    assert made["transaction_id"].tolist() == ["1", "2", "3"]  # the row's place in the file
    # 00:30 in Shanghai is 16:30 UTC of the day before; 20:00 UTC is 04:00 of the next day there
    days = pd.to_datetime(["2020-01-01", "2020-03-01", "2020-07-01"]).astype("int64") // 86_400_000_000_000
    assert made["day"].tolist() == list(days)
    clocks = pd.to_datetime(["2019-12-31 16:30", "2020-02-29 16:00", "2020-06-30 20:00"])
    assert made["ts_us"].tolist() == list(clocks.astype("int64") // 1000)
    assert made["amount_minor"].tolist() == [1999, -500, 1]  # half a fen rounds away from zero
    assert made["is_return"].tolist() == [False, True, False]
    assert made["quantity"].tolist() == [1, 1, 2]
    assert made.dtypes[["ts_us", "day", "amount_minor", "quantity"]].astype(str).tolist() == ["int64"] * 4


def test_every_row_goes_one_way_and_the_ledger_adds_up(brand: Brand, sales: Words) -> None:
    brand.write("sales.csv", SALES + "0042,2020-05-05,8,sale,1\n")
    rules = {
        "trial": {"when": "customer = 'TEST'", "because": "not a customer"},
        "tiny": "amount < 0.01 or customer = 'TEST'",
    }
    made = brand.ingest(sales(leave_out=rules, is_return="amount < 0"))
    lines = [line for line in made.reconciliation if line.table == "transactions"]
    assert [(line.rule, line.rows) for line in lines] == [
        ("rows_in", 8),
        ("trial", 1),
        ("tiny", 2),  # -5.00 and 0.005; the trial row was taken by the rule before
        ("no_customer", 1),
        ("after_as_of", 1),
        ("before_observation_start", 1),
        ("rows_used", 2),  # 19.99 of 0007, and 8 of 0042
    ]
    assert lines[1].reason == "not a customer"
    assert lines[0].rows == sum(line.rows for line in lines[1:])


def test_a_rule_that_is_null_takes_no_row(brand: Brand, sales: Words) -> None:
    brand.write("sales.csv", SALES)
    said = ledger(brand, sales(leave_out={"one_piece": "pieces = 1"}))
    assert said["transactions"]["one_piece"] == 2  # rows without pieces are not "one piece"


def test_a_whole_history_keeps_what_lies_before_the_window(brand: Brand, sales: Words) -> None:
    brand.write("sales.csv", SALES)
    said = ledger(brand, sales(), data={"history": "complete"})
    assert "before_observation_start" not in said["transactions"]
    assert said["transactions"]["rows_used"] == 5


TOUCHES = {
    "file": "touches.csv",
    "columns": {"customer_id": "id", "ts": "at", "channel": "channel", "touch_type": "kind"},
}


def test_customers_are_made_from_every_table_of_events(brand: Brand, sales: Words) -> None:
    brand.write("sales.csv", "customer,date,amount\na,2020-01-01,1\nb,2020-01-02,1\n")
    brand.write("touches.csv", "id,at,channel,kind\nb,2020-01-01,weibo,click\nc,2020-01-01,weibo,click\n")
    made = brand.ingest({**sales(), "touchpoints": TOUCHES})
    customers = pd.read_parquet(made.tables["customers"])
    assert sorted(customers["customer_id"]) == ["a", "b", "c"]
    assert made.n_customers == 3
    assert Ledger(table="customers", rule="rows_in", reason="", rows=3) in made.reconciliation


def test_rows_of_customers_that_the_customers_file_lacks_are_left_out(brand: Brand, sales: Words) -> None:
    brand.write("sales.csv", "customer,date,amount\na,2020-01-01,1\nb,2020-01-02,1\nz,2020-01-02,1\nq,2020-01-02,1\n")
    brand.write("people.csv", "id,seen,ok\na,2019-05-01,1\nb,2020-01-01,yes\nq,2020-01-01,no\nlate,2021-05-01,1\n")
    people = {
        "file": "people.csv",
        "columns": {"customer_id": "id", "first_seen_at": "seen", "consent_analytics": "ok"},
        "leave_out": {"no_consent": "ok = 'no'"},
    }
    said = ledger(brand, {"customers": people, **sales()})
    assert said["customers"] == {"rows_in": 4, "no_consent": 1, "after_as_of": 1, "rows_used": 2}
    assert said["transactions"] == {"rows_in": 4, "unknown_customer": 2, "rows_used": 2}  # z, and q without consent
    customers = brand.table("customers", {"customers": people, **sales()})
    assert customers["consent_analytics"].tolist() == [True, True]
    assert customers["first_seen_at_day"].tolist() == [18017, 18262]


def test_money_takes_the_decimals_of_its_currency(brand: Brand, sales: Words) -> None:
    rows = ["a,2020-01-01,12.345,JPY", "b,2020-01-01,12.345,cny", "b,2020-01-01,12.3455,KWD", "a,2020-01-01,-0.005,EUR"]
    brand.write("sales.csv", "customer,date,amount,money\n" + "\n".join(rows) + "\n")
    made = brand.table("transactions", sales(currency="money"))
    assert made["amount_minor"].tolist() == [12, 1235, 12346, -1]  # units of 1, 1/100, 1/1000, 1/100
    assert made["currency"].tolist() == ["JPY", "CNY", "KWD", "EUR"]


def test_typed_columns_of_parquet_are_read_as_they_are(brand: Brand, sales: Words) -> None:
    rows = pd.DataFrame(
        {
            "customer": [7, 12345678901234567],
            "date": pd.to_datetime(["2020-01-01 23:00", "2020-01-02 00:00"]).tz_localize("UTC"),
            "amount": [Decimal("1.10"), Decimal("2.20")],
            "back": [True, None],
        }
    )
    rows.to_parquet(brand.folder / "files" / "sales.parquet")
    made = brand.table("transactions", sales("sales.parquet", is_return="back"))
    assert made["customer_id"].tolist() == ["7", "12345678901234567"]
    assert made["day"].tolist() == [18263, 18263]
    assert made["amount_minor"].tolist() == [110, 220]
    assert made["is_return"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("name", "encoding", "read"),
    [
        ("sales.csv", "utf-8-sig", {}),
        ("sales.csv", "gb18030", {"encoding": "gb18030"}),
        ("sales.csv", "utf-16", {"encoding": "utf-16"}),
        ("2020 年 [销售] o'clock*.csv", "utf-8", {}),
        ("sales.tsv", "utf-8", {}),
        ("sales.txt", "utf-8", {"separator": ";"}),
        ("semicolons.csv", "utf-8", {}),
    ],
)
def test_text_files_are_read_in_any_encoding_and_under_any_name(
    brand: Brand, sales: Words, name: str, encoding: str, read: dict[str, str]
) -> None:
    separator = {"sales.tsv": "\t", "sales.txt": ";", "semicolons.csv": ";"}.get(name, ",")
    lines = ["客户 编号,date,amount", '007,2020-01-01,"1"', "王芳,2020-01-02,2"]
    brand.write(name, "\n".join(line.replace(",", separator) for line in lines) + "\n", encoding)
    made = brand.table("transactions", sales(name, read, customer_id="客户 编号"))
    assert made["customer_id"].tolist() == ["007", "王芳"]


def test_runs_of_blanks_separate_where_the_study_says_so(brand: Brand, sales: Words) -> None:
    brand.write("sales.txt", " customer  date amount\n 00001 2020-01-01   11.77\n 00002 2020-01-12  12.00\n")
    made = brand.table("transactions", sales("sales.txt", {"separator": " "}))
    assert made["customer_id"].tolist() == ["00001", "00002"]
    assert made["amount_minor"].tolist() == [1177, 1200]


def test_a_workbook_is_read_as_text(brand: Brand, sales: Words) -> None:
    rows = pd.DataFrame(
        {"customer": ["007", "8"], "date": pd.to_datetime(["2020-01-01", "2020-01-02"]), "amount": [1.5, 2]}
    )
    with pd.ExcelWriter(brand.folder / "files" / "sales.xlsx") as book:
        pd.DataFrame({"x": [1]}).to_excel(book, sheet_name="notes", index=False)
        rows.to_excel(book, sheet_name="orders", index=False)
    made = brand.table("transactions", sales("sales.xlsx", {"sheet": "orders"}))
    assert made["customer_id"].tolist() == ["007", "8"]
    assert made["day"].tolist() == [18262, 18263]
    assert made["amount_minor"].tolist() == [150, 200]


def test_quoted_fields_hold_separators_quotes_and_line_breaks(brand: Brand, sales: Words) -> None:
    brand.write("sales.csv", 'customer,date,amount\n"a ""x"", b\nc",2020-01-01,1\nd,2020-01-01,1\n')
    assert brand.table("transactions", sales())["customer_id"].tolist() == ['a "x", b\nc', "d"]


def test_the_names_of_columns_may_be_quoted_over_lines(brand: Brand, sales: Words) -> None:
    brand.write("sales.csv", '"customer\nid, or name",date,amount\na,2020-01-01,1\nb,2020-01-01,1\n')
    made = brand.table("transactions", sales(customer_id="customer\nid, or name"))
    assert made["customer_id"].tolist() == ["a", "b"]


def test_numbers_of_rows_follow_the_file_when_it_is_read_in_parallel(brand: Brand, sales: Words) -> None:
    n = 150_000
    rows = "".join(f"c{i},2020-01-01,1\n" for i in range(n))
    brand.write("sales.csv", "customer,date,amount\n" + rows)
    made = brand.table("transactions", sales())
    assert (made["customer_id"].str[1:].astype(int) + 1 == made["transaction_id"].astype(int)).all()
    assert len(made) == n


class TestKept:
    def test_the_second_time_nothing_is_made(self, brand: Brand, sales: Words) -> None:
        brand.write("sales.csv", SALES)
        first = brand.ingest(sales())
        times = {path: path.stat().st_mtime_ns for path in first.tables.values()}
        assert brand.ingest(sales()) == first
        assert times == {path: path.stat().st_mtime_ns for path in first.tables.values()}

    def test_files_are_for_their_owner_only(self, brand: Brand, sales: Words) -> None:
        brand.write("sales.csv", SALES)
        folder = brand.ingest(sales()).tables["customers"].parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}

    def test_nothing_but_the_tables_is_left_behind(self, brand: Brand, sales: Words) -> None:
        brand.write("sales.csv", SALES, "utf-8")
        folder = brand.ingest(sales()).tables["customers"].parent
        assert sorted(p.name for p in folder.iterdir()) == [
            "customers.parquet",
            "manifest.json",
            "transactions.parquet",
        ]
        assert not list((brand.cache / "staging").iterdir())

    def test_a_damaged_table_is_made_again(self, brand: Brand, sales: Words) -> None:
        brand.write("sales.csv", SALES)
        first = brand.ingest(sales())
        first.tables["transactions"].write_bytes(b"PAR1")
        again = brand.ingest(sales())
        assert len(pd.read_parquet(again.tables["transactions"])) == again.n_rows["transactions"]

    @pytest.mark.parametrize("change", ["file", "rule", "window", "zone", "segment"])
    def test_what_changes_the_tables_changes_the_fingerprint(self, brand: Brand, sales: Words, change: str) -> None:
        brand.write("sales.csv", SALES)
        before = brand.ingest(sales()).fingerprint
        if change == "file":
            brand.write("sales.csv", SALES.replace("19.99", "19.98"))
        words: dict[str, Any] = {"window": {"as_of": "2020-12-30"}, "zone": {"timezone": "UTC"}}.get(change, {})
        if change == "segment":
            words = {"segments": {"month": {"of": "first_purchase", "value": "strftime(date, '%Y-%m')"}}}
        rules = {"trial": "customer = 'TEST'"} if change == "rule" else {}
        assert brand.ingest(sales(leave_out=rules), **words).fingerprint != before

    def test_the_same_data_elsewhere_have_the_same_fingerprint(self, tmp_path: Path, sales: Words) -> None:
        made = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            brand = Brand(tmp_path / name)
            brand.write("sales.csv", SALES)
            made.append(brand.ingest(sales(), title=name, churn={"window_days": 10 * len(name)}).fingerprint)
        assert made[0] == made[1]

    def test_inputs_are_named_without_where_they_lie(self, brand: Brand, sales: Words) -> None:
        path = brand.write("sales.csv", SALES)
        made = brand.ingest(sales())
        (file,) = made.inputs
        assert (file.file, file.rows, file.bytes) == ("sales.csv", 7, len(SALES))
        assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        manifest = (made.tables["customers"].parent / "manifest.json").read_text()
        assert str(brand.folder) not in manifest
        assert json.loads(manifest)["n_customers"] == made.n_customers


@settings(max_examples=3, deadline=None)
@given(ids=st.lists(st.text(min_size=1, max_size=12), min_size=40))
def test_replicates_are_md5_of_prefix_and_id_modulo_100(ids: list[str]) -> None:
    ids = [name.replace("\x00", "0") for name in ids if not any(0xD800 <= ord(c) < 0xE000 for c in name)]
    table = ibis.memtable({"customer_id": ids})
    made = ibis.duckdb.connect().to_pyarrow(table.select(r=replicate(table.customer_id)))["r"].to_pylist()
    oracle = [int(hashlib.md5(f"lcm_research/replicate:{name}".encode()).hexdigest(), 16) % 100 for name in ids]
    assert made == oracle


def test_row_order_is_no_matter_for_customers(brand: Brand, sales: Words) -> None:
    head, *rows = SALES.splitlines()
    brand.write("sales.csv", "\n".join([head, *rows]) + "\n")
    one = brand.table("customers", sales()).sort_values("customer_id", ignore_index=True)
    brand.write("sales.csv", "\n".join([head, *reversed(rows)]) + "\n")
    two = brand.table("customers", sales()).sort_values("customer_id", ignore_index=True)
    pd.testing.assert_frame_equal(one, two)


def test_checks_count_what_deserves_doubt(brand: Brand, sales: Words) -> None:
    rows = ["a,2020-01-01,-1,1", "b,2020-01-01,0,two", "a,2020-01-02,0,2.5", "a,2020-01-03,4,", "b,2020-01-03,4,3"]
    brand.write("sales.csv", "customer,date,amount,pieces\n" + "\n".join(rows) + "\n")
    seen = {check.name: (check.passed, check.n, check.of) for check in brand.ingest(sales(quantity="pieces")).checks}
    assert seen == {
        "values_read": (False, 2, 5),  # "two" and 2.5 are no whole numbers; an empty field is just empty
        "purchases_not_negative": (False, 1, 5),
        "purchases_not_zero": (False, 2, 5),
        "currencies": (True, 1, 5),
    }
