"""What of an executed notebook is published, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from lcm_research.errors import RunError
from lcm_research.findings.finding import FINDING_MIME, TABLE_MIME, WITHHELD_MIME
from lcm_research.run.harvest import check_no_folder_shows, check_unique, harvest, table_csv, to_json


def shown(data: dict[str, Any], **lcm: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": {"lcm": lcm} if lcm else {}}


def notebook(*outputs: dict[str, Any], source: str = "1") -> dict[str, Any]:
    cells = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {"papermill": {"start_time": "2026-01-01"}, "tags": []},
            "execution_count": i,
            "source": source,
            "outputs": [output],
        }
        for i, output in enumerate(outputs, start=1)
    ]
    about = {"papermill": {"input_path": "/home/ann/x.ipynb"}, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def table(id: str = "counts", rows: list[list[str]] | None = None) -> dict[str, Any]:
    columns = [{"name": "channel", "label": "Channel", "align": "left"}, {"name": "n", "label": "n", "align": "right"}]
    return {"id": id, "title": "t", "note": "", "columns": columns, "rows": rows or [["weibo", "40"]]}


def test_a_finding_is_told_where_it_was_made() -> None:
    taken = harvest(notebook(shown({FINDING_MIME: {"id": "share", "value": 0.5}})), name="stay")
    assert taken.findings == ({"id": "share", "value": 0.5, "notebook": "stay", "cell": "c1"},)


def test_tables_and_figures_are_taken_by_their_ids() -> None:
    svg = shown({"image/svg+xml": ["<svg>", "</svg>"]}, kind="figure", id="curve")
    taken = harvest(notebook(shown({TABLE_MIME: table()}), svg), name="stay")
    assert taken.tables == {"counts": "channel,n\nweibo,40\n"}
    assert taken.figures == {"curve": "<svg></svg>"}


def test_what_was_not_emitted_is_not_published() -> None:
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "RAW"},
        {"output_type": "execute_result", "data": {"text/plain": "RAW", "text/html": "RAW"}, "metadata": {}},
        {"output_type": "error", "ename": "E", "evalue": "RAW", "traceback": ["RAW"]},
        shown({"image/svg+xml": "RAW"}),
        shown({"image/png": "RAW"}, kind="figure", id="curve"),
        shown({WITHHELD_MIME: {"id": "small", "reason": "too few"}, "text/plain": "RAW (n = 3)"}),
        shown({FINDING_MIME: {"id": "share"}, "text/markdown": "Half.", "text/html": "RAW"}),
        shown({"text/markdown": "A sentence.", "text/plain": "RAW"}),
    ]
    published = harvest(notebook(*outputs), name="stay").notebook
    assert "RAW" not in json.dumps(published)
    assert [len(cell["outputs"]) for cell in published["cells"]] == [0, 0, 0, 0, 0, 1, 1, 0]


def test_a_published_notebook_is_valid_and_says_nothing_of_papermill_or_time() -> None:
    published = harvest(notebook(shown({TABLE_MIME: table(), "text/html": "<table></table>"})), name="stay").notebook
    nbformat.validate(nbformat.reads(json.dumps(published), as_version=4))
    assert "papermill" not in json.dumps(published)
    assert published["metadata"] == {"language_info": {"name": "python"}}


@pytest.mark.parametrize("id", [None, "../up", "Share", "a b", "", "x" * 81])
def test_an_id_that_cannot_name_a_file_is_refused(id: Any) -> None:
    with pytest.raises(RunError, match=r"table in cell 'c1' of stay: an id has lower-case letters"):
        harvest(notebook(shown({TABLE_MIME: table(id)})), name="stay")


def test_an_id_used_twice_is_refused_with_both_cells() -> None:
    twice = [shown({FINDING_MIME: {"id": "share"}})] * 2
    with pytest.raises(RunError, match=r"finding 'share' is emitted twice, in cell 'c1' and in cell 'c2' of stay"):
        harvest(notebook(*twice), name="stay")


def test_an_id_used_by_two_notebooks_is_refused_with_both() -> None:
    one, other = (harvest(notebook(shown({FINDING_MIME: {"id": "share"}})), name=name) for name in "ab")
    check_unique([one])
    with pytest.raises(RunError, match=r"finding 'share' .* in cell 'c1' of a and in cell 'c1' of b"):
        check_unique([one, other])


def first_cell(cell: str) -> str:
    """Return what a CSV reader gets for the first cell of a row."""
    return list(csv.reader(io.StringIO(table_csv(table(rows=[[cell, "1"]])))))[1][0]


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|x", "-2+3", "@sum", "\t=1", "- 4.0 (-5 to -3)"])
def test_no_spreadsheet_runs_a_text(cell: str) -> None:
    assert first_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1.5", "+3", "-1,204", "-12%", "-1e-5", "−1.5", "a=b", "", "–", 'a "b", c'])
def test_numbers_and_plain_texts_stay_as_they_are(cell: str) -> None:
    assert first_cell(cell) == cell


def test_a_folder_of_this_machine_may_not_show() -> None:
    folder = Path("/srv/brand/notebooks")
    published = harvest(
        notebook(shown({"text/markdown": "x"}), source="open('/srv/brand/notebooks/x')"), name="a"
    ).notebook
    with pytest.raises(RunError, match=r"a: cell 1 \('c1'\) shows a folder of this machine \(\.\.\./notebooks\)"):
        check_no_folder_shows(published, name="a", folders=[folder])
    check_no_folder_shows(published, name="a", folders=[Path("/srv/brand/note"), Path("/srv"), Path("/")])


def test_the_same_value_gives_the_same_text_and_no_nan() -> None:
    assert to_json({"b": 1, "a": "é"}) == to_json({"a": "é", "b": 1}) == '{\n "a": "é",\n "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(float("nan"))
