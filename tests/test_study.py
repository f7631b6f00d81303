"""A study is refused with the line, the key and the remedy before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lcm_research.errors import StudyError
from lcm_research.study import find_study, load_study

GOOD = """\
study: shop
title: Who stays?
timezone: Asia/Shanghai
observation_start: 2020-01-01
as_of: 2021-06-30
data:
  folder: .
  tables:
    transactions:
      file: a.csv
      columns: {customer_id: id, ts: day, amount: paid, currency: "'CNY'", is_return: false}
      leave_out:
        cancelled: "no like 'C%'"
churn: {window_days: 180}
notebooks:
  01_churn_survival:
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "shop.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_study_is_read_with_its_defaults(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, GOOD))
    assert study.as_of_day - study.observation_start_day == 546
    assert study.data.tables["transactions"].columns["is_return"] == "false"
    assert study.data.tables["transactions"].leave_out["cancelled"].when == "no like 'C%'"
    assert study.privacy.min_group == 10
    assert study.notebooks == {"01_churn_survival": {}}
    assert study.folder(tmp_path / "shop.yml") == tmp_path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("      file:", "      fle:", r"line 10: data\.tables\.transactions\.fle: unknown key; did you mean 'file'"),
        ("churn:", "churns:", r"line 14: churns: unknown key; did you mean 'churn'"),
        ("churn: {window_days: 180}\n", "", r"line 1: churn: expected, but the file does not say it"),
        ("180", "ten", r"line 14: churn\.window_days: input should be a valid integer.*came 'ten'"),
        ("180", "0", r"churn\.window_days: input should be greater than or equal to 1; came 0"),
        ("title: Who", "title:\tWho\n\tx:", r"line 2, column 7: a tab; YAML is indented with spaces"),
        ("title: Who stays?", "title: a\ntitle: b", r"line 3, column 1: the key is repeated: \"title\""),
        ("2021-06-30", "2021-02-31", r"day is out of range for month"),
        ("2021-06-30", "2020-03-01", r"expected as_of more than the churn window of 180 days.*60 days after it"),
        ("Asia/Shanghai", "Asia/Shanghi", r"line 3: timezone: expected an IANA timezone"),
        ("  folder: .\n", "", r"data: expected exactly one of 'folder' and 'simulate'"),
        ("study: shop", "study: ../shop", r"line 1: study: string should match pattern"),
        (GOOD, "- 1\n", r"expected a mapping of keys"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        load_study(write(tmp_path, GOOD.replace(old, new, 1)))


def test_yaml_is_read_the_1_2_way(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, GOOD.replace("title: Who stays?", "title: yes").replace("180", "0180")))
    assert study.title == "yes"
    assert study.churn.window_days == 180


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("title: Who stays?", "titel: Who stays?").replace("Asia/Shanghai", "Mars")
    with pytest.raises(StudyError) as refused:
        load_study(write(tmp_path, text))
    assert str(refused.value).count("\n") == 3


def test_text_that_is_not_utf8_is_refused_with_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "shop.yml"
    path.write_bytes(GOOD.replace("Who stays?", "谁会留下").encode("gb18030"))
    with pytest.raises(StudyError, match=r"expected utf-8 text; byte 2\d is not"):
        load_study(path)


def test_a_folder_from_the_environment_must_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, GOOD.replace("folder: .", "folder: ${SHOP_FILES}/2020"))
    monkeypatch.delenv("SHOP_FILES", raising=False)
    with pytest.raises(StudyError, match="needs the environment variable SHOP_FILES"):
        load_study(path).folder(path)
    monkeypatch.setenv("SHOP_FILES", str(tmp_path))
    assert load_study(path).folder(path) == tmp_path / "2020"


def test_the_language_can_be_overridden(tmp_path: Path) -> None:
    assert load_study(write(tmp_path, GOOD), language="zh").language == "zh"
    with pytest.raises(StudyError, match="language: input should be 'en' or 'zh'"):
        load_study(write(tmp_path, GOOD), language="fr")


def test_a_study_is_found_by_name_above_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params").mkdir()
    path = write(tmp_path / "params", GOOD)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.delenv("LCM_PARAMS", raising=False)
    assert find_study("shop") == path
    assert find_study(path) == path
    with pytest.raises(StudyError, match="no study named 'shpo' in params/; did you mean 'shop'"):
        find_study("shpo")
    with pytest.raises(StudyError, match="no study file at"):
        find_study("nowhere.yml")


def words(churn: str) -> str:
    """The good study with engagements, reasons and contracts mapped, and another meaning of churn."""
    tables = (
        "    engagements: {file: e.csv, columns: {customer_id: c, ts: t, platform: p, action: a}}\n"
        "    churn_reasons: {file: w.csv, columns: {customer_id: c, churn_ts: t, reason: r, source: s}}\n"
        "    customers: {file: p.csv, columns: {customer_id: c, contract_start: b, contract_end: e}}\n"
    )
    return GOOD.replace("churn: {window_days: 180}\n", f"{tables}churn: {churn}\n")


@pytest.mark.parametrize(
    ("churn", "longest_days"),
    [
        ("{kind: inactivity, window_days: 90, activity: [purchases, engagements]}", 90),
        ("{personal_window: {kappa: 2, longest_days: 200}, other_ends: [death, merged]}", 200),
        ("{personal_window: }", 365),
        ("{kind: contract, grace_days: 30}", 30),
        ("{kind: contract, grace_days: 0}", 0),
    ],
)
def test_churn_has_one_meaning(tmp_path: Path, churn: str, longest_days: int) -> None:
    assert load_study(write(tmp_path, words(churn))).churn.longest_days == longest_days


@pytest.mark.parametrize(
    ("churn", "message"),
    [
        ("{kind: inactivity}", r"churn: expected exactly one of window_days and personal_window .*; came neither"),
        ("{window_days: 90, personal_window: {}}", r"exactly one of .*came window_days and personal_window"),
        ("{window_days: 90, grace_days: 9}", r"grace_days belongs to kind 'contract'\); came grace_days and window_d"),
        ("{kind: contract}", r"churn: expected grace_days .* for churn of kind 'contract'; came neither"),
        ("{kind: contract, grace_days: 9, window_days: 90}", r"came grace_days and window_days"),
        ("{kind: contract, grace_days: 9, activity: [engagements]}", r"came grace_days and activity"),
        ("{personal_window: {kapa: 3}}", r"churn\.personal_window\.kapa: unknown key; did you mean 'kappa'"),
        ("{personal_window: {kappa: 2.5}}", r"churn\.personal_window\.kappa: .*came 2.5"),
        ("{personal_window: {shortest_days: 90, longest_days: 60}}", r"shortest_days of at most longest_.*90 and 60"),
        ("{personal_window: {longest_days: 700}}", r"longest personal window of 700 .*churn\.personal_window\.longest"),
        ("{kind: contract, grace_days: 600}", r"the days of grace of 600 days .*choose a shorter churn\.grace_days"),
        ("{window_days: 90, activity: [visits]}", r"churn\.activity\.0: .*'purchases' or 'engagements'"),
        ("{window_days: 90, activity: []}", r"churn\.activity: .*at least 1 item"),
        ("{kind: lease, grace_days: 9}", r"churn\.kind: .*'inactivity' or 'contract'"),
    ],
)
def test_churn_of_two_meanings_or_none_is_refused(tmp_path: Path, churn: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        load_study(write(tmp_path, words(churn)))


@pytest.mark.parametrize(
    ("churn", "message"),
    [
        ("{window_days: 90, activity: [purchases, engagements]}", r"'engagements' needs the table engagements"),
        ("{window_days: 90, other_ends: [death, merged]}", r"death, merged would be read from the table churn_reasons"),
        (
            "{kind: contract, grace_days: 9}",
            r"'contract' needs contract_start and contract_end under data\.tables\.cust",
        ),
    ],
)
def test_what_churn_means_needs_its_table(tmp_path: Path, churn: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        load_study(write(tmp_path, GOOD.replace("{window_days: 180}", churn)))


def test_engaging_is_not_activity_and_exposure_at_once(tmp_path: Path) -> None:
    text = words("{window_days: 90, activity: [purchases, engagements]}")
    asked = text.replace("  01_churn_survival:", "  01_churn_survival: {actions: [like]}")
    with pytest.raises(StudyError, match="engaging cannot be activity and the exposure 'actions' as well"):
        load_study(write(tmp_path, asked))


@pytest.mark.parametrize(
    ("segment", "known_since"),
    [
        ("{of: first_purchase, value: amount}", "first_purchase"),
        ("{value: region, recorded_at: joined, later: unknown}", "recorded"),
        ("{value: region, known: first_contact}", "first_contact"),
        ("{value: region}", "not_said"),
    ],
)
def test_a_segment_says_since_when_it_is_known(tmp_path: Path, segment: str, known_since: str) -> None:
    study = load_study(write(tmp_path, GOOD + f"segments:\n  group: {segment}\n"))
    assert study.segments["group"].known_since == known_since


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ("{of: first_purchase, value: amount, known: first_contact}", "known with it; leave known out"),
        ("{value: region, recorded_at: joined, known: first_contact}", "one of recorded_at and known; came both"),
        ("{value: region, later: unknown}", "'later: unknown' needs recorded_at"),
        ("{value: region, recorded: joined}", r"segments\.group\.recorded: unknown key; did you mean 'recorded_at'"),
    ],
)
def test_a_segment_is_dated_once(tmp_path: Path, segment: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        load_study(write(tmp_path, GOOD + f"segments:\n  group: {segment}\n"))
