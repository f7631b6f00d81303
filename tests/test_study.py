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
