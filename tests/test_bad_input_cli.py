"""
What a new user brings: what cannot be used is refused with what to do and nothing written; what is odd but whole works.

Every refusal is read from the command line, by ``lcm run`` and by ``lcm check``. Where a message names a remedy,
the remedy is followed and the study is read.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from lcm_research import cli

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
HEADER = ["order", "who", "day", "paid"]
STUDY = """\
study: shop
title: Who stays at the shop?
timezone: Asia/Shanghai
observation_start: 2024-01-01
as_of: 2024-12-31
data:
  folder: ../data
  tables:
    transactions:
      file: sales.csv
      columns:
        transaction_id: order
        customer_id: who
        ts: day
        amount: paid
        currency: "'CNY'"
churn:
  window_days: 90
notebooks:
  00_data_audit:
"""
AUDIT = "  00_data_audit:\n"


class Edit(NamedTuple):
    """Words of the study, and what stands in their place."""

    old: str
    new: str


def rows(
    *,
    who: Callable[[int], str] = "c{:03d}".format,
    day: str = "2024-{month:02d}-{day:02d}",
    paid: str = "12.50",
    n_a_month: int = 4,
) -> list[list[str]]:
    """Return orders in each of eleven months, two customers being new each month."""
    return [
        [f"o{month}-{i}", who(2 * month + i), day.format(month=month, day=2 * i + 1), paid]
        for month in range(1, 12)
        for i in range(n_a_month)
    ]


def csv(lines: Sequence[Sequence[str]], *, separator: str = ",") -> bytes:
    return "".join(f"{separator.join(line)}\n" for line in [HEADER, *lines]).encode()


def parquet(lines: Sequence[Sequence[str]]) -> bytes:
    written = io.BytesIO()
    pd.DataFrame(list(lines), columns=HEADER).to_parquet(written)
    return written.getvalue()


def xlsx(lines: Sequence[Sequence[str]]) -> bytes:
    written = io.BytesIO()
    pd.DataFrame(list(lines), columns=HEADER).to_excel(written, index=False)
    return written.getvalue()


@dataclass(frozen=True)
class Answer:
    """What the command line answered."""

    code: object
    out: str
    err: str


class Project:
    """A user's folder: ``params/shop.yml``, files in ``data/``, and the notebooks behind a link."""

    def __init__(self, root: Path, call: Callable[..., Answer]) -> None:
        self.root = root
        self.call = call
        for folder in ("params", "data"):
            (root / folder).mkdir()
        (root / "notebooks").symlink_to(NOTEBOOKS)
        self.file("sales.csv", csv(rows()))
        self.study()

    def file(self, name: str, content: bytes) -> None:
        (self.root / "data" / name).write_bytes(content)

    def study(self, *edits: Edit, text: str = STUDY) -> None:
        for old, new in edits:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (self.root / "params" / "shop.yml").write_text(text, encoding="utf-8")

    def contents(self) -> set[Path]:
        return set(self.root.rglob("*"))


@pytest.fixture
def lcm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    """A project whose ``call`` is the command line, in this process."""
    for variable in [name for name in os.environ if name.startswith("LCM_") and name != "LCM_TEST_CACHE"]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("LCM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "rfc3987_syntax", None)  # as the command line does, and undone after the test
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["lcm", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Answer(ended.value.code, said.out, said.err)

    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return Project(tmp_path / "project", call)


def refusal(lcm: Project, *arguments: str) -> str:
    """Return what ``run`` and ``check`` say of a study that both refuse, having seen that nothing was written."""
    before = lcm.contents()
    run = lcm.call("run", "params/shop.yml", "--out", "reports", *arguments)
    check = lcm.call("check", "shop", *arguments)
    assert (run.code, run.out) == (2, ""), run.err
    assert (check.code, check.out, check.err) == (2, "", run.err)
    assert not (lcm.root / "reports").exists()
    assert lcm.contents() == before
    assert run.err.startswith("lcm: ")
    assert "Traceback" not in run.err
    assert "\n\n" not in run.err
    assert str(lcm.root) not in run.err
    return run.err.removeprefix("lcm: ").strip()


def accepted(lcm: Project) -> bool:
    answer = lcm.call("check", "shop")
    return answer.code == 0 and answer.err == ""


YAML = {
    "a tab before a key": (
        Edit("        ts: day", "\t\tts: day"),
        "shop.yml: line 14, column 1: a tab; YAML is indented with spaces: put spaces in its place",
    ),
    "a tab before a value": (
        Edit("window_days: 90", "window_days:\t90"),
        "shop.yml: line 18, column 15: a tab; YAML is indented with spaces",
    ),
    "a repeated key": (
        Edit("  window_days: 90", "  window_days: 90\n  window_days: 60"),
        'shop.yml: line 19, column 3: the key is repeated: "window_days"; keep one of the two',
    ),
    "a repeated section": (
        Edit("churn:\n", "churn: {window_days: 60}\nchurn:\n"),
        'shop.yml: line 18, column 1: the key is repeated: "churn"; keep one of the two',
    ),
    "an unknown key": (
        Edit("  window_days: 90", "  window_days: 90\n  windowdays: 60"),
        "line 19: churn.windowdays: unknown key; did you mean 'window_days'?",
    ),
    "a key that is missing since another is misspelt": (
        Edit("churn:\n", "chrun:\n"),
        "line 1: churn: expected, but the file does not say it; add it\n"
        "  line 17: chrun: unknown key; did you mean 'churn'?",
    ),
    "text for a number": (
        Edit("window_days: 90", "window_days: three months"),
        "came 'three months'; write a whole number, such as 90",
    ),
    "a date of another form": (
        Edit("2024-12-31", "31/12/2024"),
        "line 5: as_of: input should be a valid date.*came '31/12/2024'; dates are written 2024-12-31",
    ),
    "a date that does not exist": (
        Edit("2024-12-31", "2024-02-31"),
        "shop.yml: line 5: a value cannot be read: day is out of range for month; dates are written",
    ),
    "as_of before the start": (
        Edit("2024-12-31", "2023-12-31"),
        "expected as_of more than the churn window of 90 days after observation_start .*came 2023-12-31.*"
        "correct the two dates or choose a shorter churn.window_days",
    ),
    "a value for a mapping": (
        Edit(AUDIT, "  00_data_audit: 7\n"),
        "line 20: notebooks.00_data_audit: expected lines of the form 'name: value' below '00_data_audit:', indented; "
        "came 7",
    ),
    "a colon in a title": (
        Edit("title: Who", "title: Shop: who"),
        "line 2, column 12: a colon where none is expected; put text that holds one in quotes",
    ),
    "a name that is no name of a folder": (
        Edit("study: shop", "study: 我的店"),
        "line 1: study: .*came '我的店'; write it with letters from a to z, digits and _",
    ),
    "an unknown notebook": (
        Edit(AUDIT, "  00_data_audt:\n"),
        "shop.yml: notebooks.00_data_audt: notebooks/ holds no such notebook; did you mean '00_data_audit'?",
    ),
    "a misspelt parameter": (
        Edit(AUDIT, f"{AUDIT}    edge_day: 3\n"),
        "notebooks.00_data_audit.edge_day: the notebook declares no parameter 'edge_day'; did you mean 'edge_days'?",
    ),
    "a parameter of another type": (
        Edit(AUDIT, f"{AUDIT}    edge_days: a week\n"),
        "notebooks.00_data_audit.edge_days: 'edge_days' is declared int (days, .*came 'a week': input should be a "
        "valid integer; its default is 7",
    ),
    "a number in quotes": (
        Edit(AUDIT, f"{AUDIT}    edge_days: '7'\n"),
        "came '7': input should be a valid integer; its default is 7",
    ),
    "one item for a list": (
        Edit(AUDIT, "  01_churn_survival:\n    segments: region\n"),
        "'segments' is declared list.*came 'region': input should be a list, as in [a, b]",
    ),
}


def assert_said(pattern: str, message: str) -> None:
    """See that a message holds a text, in which ``.*`` stands for anything."""
    assert re.search(".*".join(map(re.escape, pattern.split(".*"))), message, flags=re.DOTALL), message


@pytest.mark.parametrize(("edit", "said"), YAML.values(), ids=YAML)
def test_a_wrong_word_in_the_study_is_refused_with_its_line_and_the_remedy(lcm: Project, edit: Edit, said: str) -> None:
    lcm.study(edit)
    assert_said(said, refusal(lcm))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("00_data_audit.edge_day=3", "declares no parameter 'edge_day'; did you mean 'edge_days'?"),
        ("00_data_audit.edge_days=week", "'edge_days' is declared int (days, .*came 'week': .*its default is 7"),
        ("00_data_audt.edge_days=3", "runs no notebook '00_data_audt'; did you mean '00_data_audit'?"),
        ("edge_days=3", "expected notebook.parameter=value, as in 01_churn_survival.horizon_days=360"),
    ],
)
def test_a_wrong_setting_is_refused_as_it_was_given(lcm: Project, setting: str, said: str) -> None:
    message = refusal(lcm, "--set", setting)
    assert message.startswith(f"--set {setting}: ")
    assert_said(said, message)


FILES = {
    "a missing file": ("sale.csv", None, "no file 'sale.csv' in the study's data folder; did you mean 'sales.csv'?"),
    "a truncated gzip": (
        "sales.csv.gz",
        gzip.compress(csv(rows()), mtime=0)[:-20],
        "'sales.csv.gz' is no whole gzip file: it was cut off or damaged; copy or export it again",
    ),
    "a truncated parquet": (
        "sales.parquet",
        parquet(rows())[:-100],
        "'sales.parquet' is no whole parquet file: it was cut off or damaged; copy or export it again",
    ),
    "a truncated workbook": (
        "sales.xlsx",
        xlsx(rows())[:-100],
        "'sales.xlsx' is no whole xlsx workbook; save it again",
    ),
    "zero bytes": ("sales.csv", b"", "'sales.csv' is empty: expected a first line with the names of the columns"),
    "zero bytes of parquet": ("sales.parquet", b"", "'sales.parquet' is no whole parquet file"),
    "a header only": (
        "sales.csv",
        csv([]),
        "data.tables.transactions: 'sales.csv' holds no row below the names of its columns; export it again, name "
        "another file under data.tables.transactions.file",
    ),
    "a workbook with a header only": ("sales.xlsx", xlsx([]), "'sales.xlsx' holds no row below the names"),
    "a parquet file without a row": ("sales.parquet", parquet([]), "'sales.parquet' holds no row below the names"),
    "a path upwards": (
        "../secret.csv",
        csv(rows()),
        "data.tables.transactions.file: '../secret.csv' lies outside the study's data folder (links are followed); "
        "put a copy inside it",
    ),
    "another format": (
        "sales.json",
        b"{}",
        "expected csv, tsv, txt (each also .gz), parquet or xlsx; came 'sales.json'",
    ),
    "another encoding": (
        "sales.csv",
        csv(rows(who="王{}".format)).decode().encode("gb18030"),
        "is not utf-8; say .*encoding under data.tables.transactions.read.encoding (gb18030, latin-1, utf-16)",
    ),
}


@pytest.mark.parametrize(("name", "content", "said"), FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_used_is_refused_by_name(
    lcm: Project, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        lcm.file(name, content)
    if name != "sales.csv":
        lcm.study(Edit("sales.csv", name))
    assert_said(said, refusal(lcm))


@pytest.mark.parametrize("name", ["link.csv", "elsewhere/sales.csv"])
def test_a_link_out_of_the_data_folder_is_refused(lcm: Project, name: str) -> None:
    outside = lcm.root.parent / "outside"
    outside.mkdir()
    (outside / "sales.csv").write_bytes(csv(rows()))
    (lcm.root / "data" / "link.csv").symlink_to(outside / "sales.csv")
    (lcm.root / "data" / "elsewhere").symlink_to(outside)
    lcm.study(Edit("sales.csv", name))
    assert_said(f"'{name}' lies outside the study's data folder (links are followed)", refusal(lcm))


@pytest.mark.parametrize("folder", ["../dta", "../data/sales.csv"])
def test_a_data_folder_that_is_none_is_named_as_the_study_says_it(lcm: Project, folder: str) -> None:
    lcm.study(Edit("../data", folder))
    assert_said(f"data.folder: expected .*there is no folder '{folder}'; correct data.folder", refusal(lcm))


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows that cannot be used as the study says, what is said of them, and the remedy that the message names."""

    lines: Sequence[Sequence[str]]
    said: str
    edits: tuple[Edit, ...] = ()
    remedy: Edit | None = None


DAY_FIRST = "strptime(day, '%d/%m/%Y')"
SECRETS = ("31/02/2024", "2024-02-31", "¥12.50", "$1,200", "gift", "o11-3")
NO_SUCH_DAY = [*rows(day="{day:02d}/{month:02d}/2024")[:-1], ["x", "c1", "31/02/2024", "1"]]
MONTHLY = [[f"o{who}-{month}", f"c{who}", f"2024-{month:02d}-20", "1"] for who in range(20) for month in range(1, 13)]
LAST_DAYS = [[f"o{who}", f"c{who}", "2024-12-15", "1"] for who in range(20)]
WITH_SURVIVAL = Edit(AUDIT, "  01_churn_survival:\n")

ROWS = {
    "a column that the file lacks": Rows(
        lines=rows(),
        edits=(Edit("amount: paid", "amount: piad"),),
        said="data.tables.transactions.columns.amount: 'sales.csv' has no column 'piad'; did you mean 'paid'?",
        remedy=Edit("amount: piad", "amount: paid"),
    ),
    "days before months": Rows(
        lines=rows(day="{day:02d}/{month:02d}/2024"),
        said="columns.ts: expected dates such as 2020-01-31 or 2020-01-31 10:20:30; 44 of 44 rows hold something else "
        f"or a date that does not exist; say their format, as in {DAY_FIRST}; or leave those rows out",
        remedy=Edit("ts: day", f"ts: {DAY_FIRST}"),
    ),
    "31 February among days": Rows(
        lines=NO_SUCH_DAY,
        edits=(Edit("ts: day", f"ts: {DAY_FIRST}"),),
        said="1 of 44 rows hold something else or a date that does not exist; see that the format is the file's (%d is "
        "the day, %m the month, %Y the year); or leave those rows out under data.tables.transactions.leave_out, as in "
        f"unread_ts: {DAY_FIRST} is null",
        remedy=Edit("churn:", f"      leave_out:\n        unread_ts: {DAY_FIRST} is null\nchurn:"),
    ),
    "31 February, ISO": Rows(
        lines=[*rows(), ["x", "c1", "2024-02-31", "1"]],
        said="1 of 45 rows hold something else or a date .*leave_out, as in unread_ts: cast(day as timestamp) is null",
        remedy=Edit("churn:", "      leave_out:\n        unread_ts: cast(day as timestamp) is null\nchurn:"),
    ),
    "amounts in yuan": Rows(
        lines=rows(paid="¥12.50"),
        said="columns.amount: expected amounts such as 1234.50; 44 of 44 rows hold something else; take signs (¥, ￥, "
        "$, 元) and thousands separators out, as in replace(replace(paid, '¥', ''), ',', ''); a decimal comma becomes "
        "a point, as in replace(paid, ',', '.'); or leave those rows out under data.tables.transactions.leave_out, as "
        "in unread_amount: cast(paid as decimal(18, 6)) is null",
        remedy=Edit("amount: paid", "amount: replace(replace(paid, '¥', ''), ',', '')"),
    ),
    "amounts in dollars": Rows(
        lines=rows(paid='"$1,200"'),
        edits=(Edit("amount: paid", "amount: replace(paid, ',', '')"),),
        said="44 of 44 rows hold something else; another sign or separator is left: take it out too, as in "
        "replace(..., '$', '')",
        remedy=Edit("replace(paid, ',', '')", "replace(replace(paid, ',', ''), '$', '')"),
    ),
    "a few amounts that are none": Rows(
        lines=[*rows(), ["x", "c1", "2024-02-03", "gift"]],
        said="1 of 45 rows hold something else; .*as in unread_amount: cast(paid as decimal(18, 6)) is null",
        remedy=Edit("churn:", "      leave_out:\n        unread_amount: cast(paid as decimal(18, 6)) is null\nchurn:"),
    ),
    "empty amounts": Rows(
        lines=[*rows(), ["x", "c1", "2024-02-03", ""]],
        said="columns.amount: expected a value in every row; 1 of 45 rows have none; .*leave_out, as in "
        "without_amount: paid is null",
        remedy=Edit("churn:", "      leave_out:\n        without_amount: paid is null\nchurn:"),
    ),
    "one customer": Rows(
        lines=rows(who=lambda i: "c1"),
        said="a study needs at least two customers; came 1; say under data.tables.transactions.columns.customer_id "
        "which column tells customers apart (a column, not a constant)",
    ),
    "as_of before the data": Rows(
        lines=rows(),
        edits=(Edit("observation_start: 2024-01-01\nas_of: 2024", "observation_start: 2020-01-01\nas_of: 2021"),),
        said="no row of 'sales.csv' is left of 44 (left out by after_as_of 44); its rows run from 2024-01-01 to "
        "2024-11-07 and the study from 2020-01-01 to 2021-12-31; change observation_start, as_of or the rules",
        remedy=Edit("2021-12-31", "2024-12-31"),
    ),
    "repeated ids": Rows(
        lines=[*rows(), *rows()[:3]],
        said="columns.transaction_id: expected another one in every row; 3 of 47 rows repeat one; take rows that came "
        "twice out of the file, map another column, or do not map it: row numbers are used where transaction_id is "
        "not mapped",
        remedy=Edit("        transaction_id: order\n", ""),
    ),
    "everybody in one stage": Rows(
        lines=LAST_DAYS,
        edits=(Edit(AUDIT, "  02_stage_markov:\n"),),
        said="02_stage_markov: expected customers in at least two stages of 'nadc'; all are in 'new' in every month: "
        "there is no move to count; change stages.thresholds or stages.scheme, widen the observation window, or leave",
        remedy=Edit("02_stage_markov", "00_data_audit"),
    ),
    "nobody lapses": Rows(
        lines=MONTHLY,
        edits=(WITH_SURVIVAL, Edit("  folder: ../data", "  history: complete\n  folder: ../data")),
        said="01_churn_survival: expected customers who fall silent for more than 90 days; of 20 new customers that "
        "can be followed none does: nothing can be said about who stays; choose a shorter churn.window_days",
        remedy=Edit("window_days: 90", "window_days: 20"),
    ),
    "nobody known to be new": Rows(
        lines=[*MONTHLY, *([f"x{i}", f"c{i}", "2024-01-03", "1"] for i in range(20, 30))],
        edits=(WITH_SURVIVAL,),
        said="01_churn_survival: expected new customers who can be followed for more than 90 days (churn.window_days); "
        "there is none: 30 bought already in the first 90 days, when nobody can tell whether they were new (if the "
        "files hold all purchases ever made, say so with data.history: complete; .*or leave the notebook out",
        remedy=Edit("  folder: ../data", "  folder: ../data\n  history: complete"),
    ),
    "nobody followed for long enough": Rows(
        lines=LAST_DAYS,
        edits=(WITH_SURVIVAL,),
        said="there is none: 20 bought for the first time in the last 90 days, too late to see them fall silent",
    ),
}


@pytest.mark.parametrize("case", ROWS.values(), ids=ROWS)
def test_rows_that_cannot_be_used_are_counted_and_the_remedy_works(lcm: Project, case: Rows) -> None:
    lcm.file("sales.csv", csv(case.lines))
    lcm.study(*case.edits)
    message = refusal(lcm)
    assert_said(case.said, message)
    assert not [value for value in SECRETS if value in message]
    if case.remedy:
        lcm.study(*case.edits, case.remedy)
        assert accepted(lcm), lcm.call("check", "shop").err


SHOPPERS = rows(who="会员{:02d}".format, day="{day:02d}/{month:02d}/2024", paid="¥1,234.50", n_a_month=12)
CHINESE = "订单 明细 2024 年.csv"
AMOUNT = "replace(replace(\"实付 金额\", '¥', ''), ',', '')"


class Odd(NamedTuple):
    """A file that is odd but whole, how the study says it, and how pandas reads it."""

    name: str
    content: bytes
    edits: tuple[Edit, ...]
    read: Callable[[io.BytesIO], pd.DataFrame]


def read_csv(source: io.BytesIO, **words: str) -> pd.DataFrame:
    return pd.read_csv(source, dtype=str, **words)  # type: ignore[call-overload, no-any-return]


def typed_workbook() -> bytes:
    """Return a workbook as an office makes it: dates and numbers in its cells, a note on a sheet before it."""
    orders = pd.DataFrame(rows(n_a_month=12), columns=HEADER)
    orders = orders.assign(day=pd.to_datetime(orders["day"]), paid=orders["paid"].astype(float))
    written = io.BytesIO()
    with pd.ExcelWriter(written) as book:
        pd.DataFrame({"note": ["see the other sheet"]}).to_excel(book, sheet_name="read me", index=False)
        orders.to_excel(book, sheet_name="订单", index=False)
    return written.getvalue()


ODD = {
    "blanks and Chinese in the name of the file": Odd(CHINESE, csv(rows(n_a_month=12)), (), read_csv),
    "currency signs, taken out by replace": Odd(
        "sales.csv",
        csv(rows(paid='"¥1,234.50"', n_a_month=12)),
        (Edit("amount: paid", "amount: replace(replace(paid, '¥', ''), ',', '')"),),
        lambda source: read_csv(source).assign(paid=lambda t: t["paid"].str.replace("[¥,]", "", regex=True)),
    ),
    "days before months, read by strptime": Odd(
        "sales.csv",
        csv(rows(day="{day:02d}/{month:02d}/2024", n_a_month=12)),
        (Edit("ts: day", f"ts: {DAY_FIRST}"),),
        lambda source: read_csv(source).assign(day=lambda t: pd.to_datetime(t["day"], dayfirst=True)),
    ),
    "gb18030": Odd(
        "sales.csv",
        csv(rows(who="会员{:02d}".format, n_a_month=12)).decode().encode("gb18030"),
        (Edit("file: sales.csv", "file: sales.csv\n      read: {encoding: gb18030}"),),
        lambda source: read_csv(source, encoding="gb18030"),
    ),
    "semicolons": Odd(
        "sales.csv", csv(rows(n_a_month=12), separator=";"), (), lambda source: read_csv(source, sep=";")
    ),
    "a sheet of a workbook": Odd(
        "sales.xlsx",
        typed_workbook(),
        (Edit("file: sales.xlsx", "file: sales.xlsx\n      read: {sheet: 订单}"),),
        lambda source: pd.read_excel(source, sheet_name="订单"),
    ),
}


@pytest.mark.parametrize("case", ODD.values(), ids=ODD)
def test_what_is_odd_but_whole_is_read_as_pandas_reads_it(lcm: Project, case: Odd) -> None:
    lcm.file(case.name, case.content)
    name = () if case.name == "sales.csv" else (Edit("file: sales.csv", f"file: {case.name}"),)
    text = STUDY.replace(*name[0]) if name else STUDY
    lcm.study(*case.edits, text=text)
    answer = lcm.call("check", "shop")
    assert (answer.code, answer.err) == (0, "")
    orders = case.read(io.BytesIO(case.content))
    told = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert f"transactions rows_used rows used {len(orders)}" in told
    assert f"customers rows_used rows used {orders['who'].nunique()}" in told
    (made,) = (lcm.root.parent / "cache").glob("ingest-*/transactions.parquet")
    stored = pd.read_parquet(made).set_index("transaction_id").loc[orders["order"]]
    assert stored["customer_id"].tolist() == orders["who"].tolist()
    assert stored["day"].tolist() == [(day - pd.Timestamp(0)).days for day in pd.to_datetime(orders["day"])]
    assert stored["amount_minor"].tolist() == [round(float(paid) * 100) for paid in orders["paid"]]


def write_odd_project(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write a study whose files have all of these at once, and return orders and members as pandas reads them."""
    for folder in ("params", "data"):
        (root / folder).mkdir(parents=True)
    lines = [
        *(f"{order};{who};{day};{paid};完成" for order, who, day, paid in SHOPPERS),
        *(f"a{i};会员05;0{i}/01/2025;¥3.00;完成" for i in range(1, 4)),  # after as_of
        *(f"b{i};会员05;2{i}/12/2023;¥3.00;完成" for i in range(2)),  # before the window
        "n1;;05/05/2024;¥3.00;完成",  # nobody's
        *(f"k{i};会员06;05/05/2024;¥3.00;取消" for i in range(5)),  # cancelled
        "u1;路人;05/05/2024;¥3.00;完成",  # no member
    ]
    path = root / "data" / CHINESE
    path.write_text("\n".join(["单号;客户;日期;实付 金额;状态", *lines]) + "\n", encoding="gb18030")
    members = pd.DataFrame({"卡号": sorted({line[1] for line in SHOPPERS}), "城市": "上海"})
    members.to_excel(root / "data" / "会员 名单.xlsx", index=False)
    (root / "params" / "shop.yml").write_text(
        STUDY.split("  tables:\n")[0].replace("title: Who stays at the shop?", "title: 谁会留下？\nlanguage: zh")
        + f"""\
  tables:
    customers:
      file: 会员 名单.xlsx
      columns: {{customer_id: 卡号, region: 城市}}
    transactions:
      file: {CHINESE}
      read: {{encoding: gb18030}}
      leave_out:
        cancelled: {{when: 状态 = '取消', because: 已取消的订单}}
      columns:
        transaction_id: 单号
        customer_id: 客户
        ts: strptime(日期, '%d/%m/%Y')
        amount: {AMOUNT}
        currency: "'CNY'"
churn: {{window_days: 90}}
notebooks: {{00_data_audit: }}
""",
        encoding="utf-8",
    )
    return pd.read_csv(path, sep=";", encoding="gb18030", dtype=str), pd.read_excel(root / "data" / "会员 名单.xlsx")


def shell(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LCM_")}
    environment = kept | {"LCM_NOTEBOOKS": str(NOTEBOOKS), "LCM_CACHE": str(root.parent / "cache")}
    command = [sys.executable, "-m", "lcm_research", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=100)


def test_all_of_it_at_once_is_published_and_every_row_is_accounted_for(tmp_path: Path) -> None:
    root = tmp_path / "我的 项目"
    orders, members = write_odd_project(root)
    done = shell(root, "run", "params/shop.yml", "--out", "reports")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    latest = json.loads((root / "reports" / "shop" / "latest.json").read_text(encoding="utf-8"))
    run = root / "reports" / "shop" / "runs" / latest["run_id"]
    assert (run / "00_data_audit.html").is_file()
    assert (root / "reports" / "shop" / "index.html").is_file()

    day = pd.to_datetime(orders["日期"], dayfirst=True)
    cancelled = orders["状态"] == "取消"
    nobody = orders["客户"].isna()
    late, early = day > pd.Timestamp("2024-12-31"), day < pd.Timestamp("2024-01-01")
    stranger = ~nobody & ~orders["客户"].isin(members["卡号"])
    used = ~(cancelled | nobody | late | early | stranger)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert {(line["table"], line["rule"]): line["rows"] for line in record["reconciliation"]} == {
        ("customers", "rows_in"): len(members),
        ("customers", "rows_used"): len(members),
        ("transactions", "rows_in"): len(orders),
        ("transactions", "cancelled"): cancelled.sum(),
        ("transactions", "no_customer"): nobody.sum(),
        ("transactions", "after_as_of"): late.sum(),
        ("transactions", "before_observation_start"): early.sum(),
        ("transactions", "unknown_customer"): stranger.sum(),
        ("transactions", "rows_used"): used.sum(),
    }
    assert [int(mask.sum()) for mask in (cancelled, nobody, late, early, stranger, used)] == [5, 1, 3, 2, 1, 132]
    page = (run / "00_data_audit.html").read_text(encoding="utf-8")
    assert CHINESE in page
    assert "已取消的订单" in page
    assert str(root) not in page


def test_a_refusal_in_a_shell_is_one_message_and_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "project"
    write_odd_project(root)
    study = root / "params" / "shop.yml"
    study.write_text(study.read_text(encoding="utf-8").replace(AMOUNT, "实付金额"), encoding="utf-8")
    before = set(root.rglob("*"))
    done = shell(root, "run", "params/shop.yml", "--out", "reports")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"lcm: data.tables.transactions.columns.amount: '{CHINESE}' has no column '实付金额'; did you mean '实付 金额'?"
        " (a constant is written \"'...'\")\n"
    )
    assert set(root.rglob("*")) == before
