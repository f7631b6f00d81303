"""What cannot be used is refused with what was expected, where, and what to do; never with a value of a row."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from small_study import COLUMNS, Brand

from lcm_research.errors import DataError, LcmError, StudyError

Words = Callable[..., dict[str, Any]]
Refused = Callable[..., str]

GOOD = "customer,date,amount\na,2020-01-01,1\nb,2020-01-02,2\n"


@pytest.fixture
def refused(brand: Brand) -> Refused:
    def refused(*args: Any, error: type[LcmError] = DataError, **words: Any) -> str:
        with pytest.raises(error) as refusal:
            brand.ingest(*args, **words)
        assert str(brand.folder) not in str(refusal.value)
        return str(refusal.value)

    return refused


class TestFiles:
    def test_an_absent_file_names_the_nearest(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales_2020.csv", GOOD)
        said = refused(sales("sales_202.csv"))
        assert "data.tables.transactions.file: no file 'sales_202.csv'" in said
        assert "did you mean 'sales_2020.csv'?" in said

    def test_a_path_outside_the_folder_is_refused(self, brand: Brand, sales: Words, refused: Refused) -> None:
        (brand.folder / "secret.csv").write_text(GOOD)
        (brand.folder / "files" / "link.csv").symlink_to(brand.folder / "secret.csv")
        for name in ("../secret.csv", "link.csv"):
            assert f"'{name}' lies outside the study's data folder" in refused(sales(name), error=StudyError)

    def test_a_file_of_an_unknown_format_is_refused(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.json", "{}")
        assert "expected csv, tsv, txt (each also .gz), parquet or xlsx; came 'sales.json'" in refused(
            sales("sales.json"), error=StudyError
        )

    def test_a_gzip_that_was_cut_off_is_refused(self, brand: Brand, sales: Words, refused: Refused) -> None:
        rows = "".join(f"c{i},2020-01-01,{i}\n" for i in range(20_000))
        whole = gzip.compress(("customer,date,amount\n" + rows).encode())
        path = brand.folder / "files" / "sales.csv.gz"
        for part in (whole[:-1000], whole[:-4], whole[:5] + whole[6:], b"customer,date"):
            path.write_bytes(part)
            assert refused(sales("sales.csv.gz")) == (
                "'sales.csv.gz' is no whole gzip file: it was cut off or damaged; copy or export it again"
            )
        path.write_bytes(whole)
        assert brand.ingest(sales("sales.csv.gz")).n_customers == 20_000

    def test_a_parquet_that_was_cut_off_is_refused(self, brand: Brand, sales: Words, refused: Refused) -> None:
        path = brand.folder / "files" / "sales.parquet"
        pd.DataFrame({"customer": ["a"], "date": ["2020-01-01"], "amount": [1]}).to_parquet(path)
        path.write_bytes(path.read_bytes()[:-20])
        assert "'sales.parquet' is no whole parquet file: it was cut off" in refused(sales("sales.parquet"))

    def test_a_workbook_that_is_none_and_a_sheet_that_is_not_there(
        self, brand: Brand, sales: Words, refused: Refused
    ) -> None:
        brand.write("sales.xlsx", "no workbook")
        assert "'sales.xlsx' is no whole xlsx workbook" in refused(sales("sales.xlsx"))
        pd.DataFrame({"customer": ["a"]}).to_excel(brand.folder / "files" / "sales.xlsx", sheet_name="orders")
        said = refused(sales("sales.xlsx", {"sheet": "order"}), error=StudyError)
        assert "has no sheet 'order'; did you mean 'orders'?" in said

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "'sales.csv' is empty: expected a first line"),
            ("customer,date,amount\n", "'sales.csv' holds no row"),
            ("customer,date,date\na,b,c\n", "'sales.csv' has two columns named 'date'"),
            (GOOD + "secret,2020-01-01\n", "line 4 has 2 fields where the first line has 3"),
            (GOOD + "secret,2020-01-01,1,2\n", "line 4 has 4 fields where the first line has 3"),
            (GOOD + '"secret,2020-01-01,1\n', "opens a quote that never closes"),
        ],
    )
    def test_text_that_is_no_table_is_refused_with_its_line(
        self, brand: Brand, sales: Words, refused: Refused, text: str, said: str
    ) -> None:
        brand.write("sales.csv", text)
        message = refused(sales())
        assert said in message
        assert "secret" not in message

    def test_another_encoding_is_named_as_such(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", GOOD + "b,2020-01-02,2\n" * 1_000 + "王芳,2020-01-01,1\n", "gb18030")
        said = "line 1004 is not utf-8; say the file's encoding under data.tables.transactions.read.encoding"
        assert said in refused(sales())
        brand.write("sales.csv", "客户,date,amount\n", "gb18030")
        assert "'sales.csv' is not utf-8" in refused(sales())
        brand.write("sales.csv", GOOD + "é,2020-01-01,1\n", "latin-1")
        assert "not gb18030 near line" in refused(sales(read={"encoding": "gb18030"}))
        assert "no encoding is named 'gbk18'" in refused(sales(read={"encoding": "gbk18"}), error=StudyError)

    def test_a_separator_is_one_character(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", GOOD)
        assert "expected one character; came '||'" in refused(sales(read={"separator": "||"}), error=StudyError)


class TestMapping:
    def test_a_column_that_the_file_lacks_names_the_nearest(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", GOOD)
        said = refused(sales(amount="amont * 2"))
        assert (
            "data.tables.transactions.columns.amount: 'sales.csv' has no column 'amont'; did you mean 'amount'?" in said
        )
        said = refused(sales(leave_out={"trial": "custmer = 'x'"}))
        assert "data.tables.transactions.leave_out.trial: 'sales.csv' has no column 'custmer'" in said

    def test_a_constant_without_quotes_is_explained(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", GOOD)
        assert "has no column 'CNY'" in (said := refused(sales(currency="CNY")))
        assert "a constant is written \"'...'\"" in said

    @pytest.mark.parametrize(
        ("tables", "said"),
        [
            (
                {"transaction": {"file": "sales.csv", "columns": COLUMNS}},
                "no table is named 'transaction'; did",
            ),
            (
                {"transactions": {"file": "sales.csv", "columns": COLUMNS | {"amout": "x"}}},
                "'transactions' has no column 'amout'; did you mean 'amount'?",
            ),
            (
                {"transactions": {"file": "sales.csv", "columns": {"customer_id": "a", "ts": "b", "amount": "c"}}},
                "expected 'currency' (ISO 4217 code of the amount)",
            ),
            (
                {"customers": {"file": "sales.csv", "columns": {"customer_id": "customer"}}},
                "expected a table of events",
            ),
        ],
    )
    def test_what_the_contract_does_not_have_is_refused_before_a_file_is_read(
        self, refused: Refused, tables: Any, said: str
    ) -> None:
        assert said in refused(tables, error=StudyError)

    def test_a_rule_must_be_a_condition(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", GOOD)
        said = refused(sales(leave_out={"trial": "length(customer)"}), error=StudyError)
        assert "leave_out.trial: 'length(customer)': expected a condition, came int" in said

    def test_ids_that_were_rounded_are_refused(self, brand: Brand, sales: Words, refused: Refused) -> None:
        rows = pd.DataFrame({"customer": [1.0, 2.0], "date": ["2020-01-01"] * 2, "amount": [1, 2]})
        rows.to_parquet(brand.folder / "files" / "sales.parquet")
        assert "came floating-point numbers" in refused(sales("sales.parquet"), error=StudyError)
        made = brand.table("transactions", sales("sales.parquet", customer_id="cast(customer as bigint)"))
        assert made["customer_id"].tolist() == ["1", "2"]

    def test_numbers_are_no_dates(self, brand: Brand, sales: Words, refused: Refused) -> None:
        rows = pd.DataFrame({"customer": ["a", "b"], "date": [20200101, 20200102], "amount": [1, 2]})
        rows.to_parquet(brand.folder / "files" / "sales.parquet")
        said = refused(sales("sales.parquet"), error=StudyError)
        assert "columns.ts: 'date': expected a date or a timestamp, came int64" in said
        made = brand.table("transactions", sales("sales.parquet", ts="strptime(cast(date as text), '%Y%m%d')"))
        assert made["day"].tolist() == [18262, 18263]


class TestRows:
    def test_amounts_with_signs_are_counted_and_the_remedy_works(
        self, brand: Brand, sales: Words, refused: Refused
    ) -> None:
        brand.write("sales.csv", 'customer,date,amount\na,2020-01-01,"¥1,234.50"\nb,2020-01-02,2\n')
        said = refused(sales())
        assert "columns.amount: expected amounts such as 1234.50; 1 of 2 rows hold something else" in said
        remedy = "replace(replace(amount, '¥', ''), ',', '')"
        assert remedy in said
        assert "1,234" not in said
        assert brand.table("transactions", sales(amount=remedy))["amount_minor"].tolist() == [123450, 200]

    def test_days_that_do_not_exist_are_counted_and_the_remedy_works(
        self, brand: Brand, sales: Words, refused: Refused
    ) -> None:
        brand.write("sales.csv", "customer,date,amount\na,31/02/2020,1\nb,28/02/2020,2\nc,01/03/2020,2\n")
        said = refused(sales())
        assert "columns.ts: expected dates such as 2020-01-31 or 2020-01-31 10:20:30; 3 of 3 rows" in said
        assert "strptime(date, '%d/%m/%Y')" in said
        said = refused(sales(ts="strptime(date, '%d/%m/%Y')"))
        assert "1 of 3 rows hold something else or a date that does not exist" in said
        rule = {"no_such_day": "strptime(date, '%d/%m/%Y') is null"}
        assert brand.ingest(sales(ts="strptime(date, '%d/%m/%Y')", leave_out=rule)).n_rows["transactions"] == 2

    def test_empty_fields_that_are_required_are_counted(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", "customer,date,amount\na,,1\nb,2020-01-02,  \nc,2020-01-02,1\n")
        said = refused(sales())
        assert "columns.ts: expected a value in every row; 1 of 3 rows have none" in said
        assert "columns.amount: expected a value in every row; 1 of 3 rows have none" in said  # all problems at once
        assert "coalesce(amount, ...)" in said

    def test_keys_are_not_repeated(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", "no,customer,date,amount\n1,a,2020-01-01,1\n1,b,2020-01-02,1\n2,b,2020-01-02,1\n")
        said = refused(sales(transaction_id="no"))
        assert "columns.transaction_id: expected another one in every row; 1 of 3 rows repeat one" in said
        assert "row numbers are used where transaction_id is not mapped" in said

    def test_a_return_that_cannot_be_read_is_refused(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", "customer,date,amount,back\na,2020-01-01,1,R\nb,2020-01-02,1,\n")
        said = refused(sales(is_return="back"))
        assert "columns.is_return: expected true or false (1, 0, yes, no); 1 of 2 rows" in said
        assert brand.table("transactions", sales(is_return="back = 'R'"))["is_return"].tolist() == [True, False]

    def test_currencies_are_codes(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", GOOD)
        assert "columns.currency: expected ISO 4217 codes such as CNY; 2 of 2 rows" in refused(sales(currency="'¥'"))

    def test_years_far_off_are_refused(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", GOOD + "b,0020-01-02,2\n")
        assert "expected years 1900 to 2200; 1 of 2 rows" in refused(sales())

    def test_a_window_without_rows_says_where_the_data_are(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", GOOD)
        said = refused(sales(), observation_start="2010-01-01", as_of="2011-01-01")
        assert "no row of 'sales.csv' is left of 2 (left out by after_as_of 2)" in said
        assert "its rows run from 2020-01-01 to 2020-01-02 and the study from 2010-01-01 to 2011-01-01" in said

    def test_one_customer_is_no_study(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", "customer,date,amount\na,2020-01-01,1\na,2020-01-02,2\n")
        assert "a study needs at least two customers; came 1" in refused(sales())

    def test_ids_that_do_not_match_the_customers_file(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", GOOD)
        brand.write("people.csv", "id\n1\n2\n")
        people = {"file": "people.csv", "columns": {"customer_id": "id"}}
        said = refused({"customers": people, **sales()})
        assert "data.tables.transactions: none of 2 rows has a customer of the table customers" in said

    def test_customers_twice_are_refused(self, brand: Brand, sales: Words, refused: Refused) -> None:
        brand.write("sales.csv", GOOD)
        brand.write("people.csv", "id\na\na\nb\n")
        people = {"file": "people.csv", "columns": {"customer_id": "id"}}
        assert "customers.columns.customer_id: expected another one in every row; 1 of 3 rows repeat" in refused(
            {"customers": people, **sales()}
        )

    def test_a_number_too_large_for_the_engine_is_refused_without_its_value(
        self, brand: Brand, sales: Words, refused: Refused
    ) -> None:
        brand.write("sales.csv", "customer,date,amount\na,2020-01-01,123456789012\nb,2020-01-01,1\n")
        said = refused(sales(amount="amount * amount * amount * amount"))
        assert "123456789012" not in said


def test_a_file_that_changes_while_it_is_read_is_refused(
    brand: Brand, sales: Words, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lcm_research.data import sources

    path = brand.write("sales.csv", GOOD)
    stage = sources.stage

    def slowly(*args: Any) -> Any:
        staged = stage(*args)
        path.write_text(GOOD + "c,2020-01-02,1\n")
        return staged

    monkeypatch.setattr(sources, "stage", slowly)
    assert "'sales.csv' changed while it was read" in refused(sales())
    assert not list(brand.cache.glob("ingest-*"))
