"""What is refused before anything starts, and what a plan says."""

from __future__ import annotations

from typing import Any

import pytest

from lcm_research.errors import StudyError
from lcm_research.run.plan import make_plan, read_notebook


def test_a_plan_has_the_notebooks_of_the_study_in_its_order(project: Any) -> None:
    project.notebook("a"), project.notebook("b"), project.notebook("c")
    project.study(notebooks="{c: , a: {horizon_days: 30}}")
    plan = make_plan("shop", settings=["c.horizon_days=7"])
    assert [(p.name, p.given, p.values) for p in plan.notebooks] == [
        ("c", {"study": "shop", "horizon_days": 7}, {"study": "shop", "horizon_days": 7}),
        ("a", {"study": "shop", "horizon_days": 30}, {"study": "shop", "horizon_days": 30}),
    ]


def test_a_setting_is_stronger_than_the_study_and_the_study_than_the_cell(project: Any) -> None:
    project.notebook("a")
    project.study(notebooks="{a: }")
    assert make_plan("shop").notebooks[0].values["horizon_days"] == 360
    project.study(notebooks="{a: {horizon_days: 30}}")
    assert make_plan("shop").notebooks[0].values["horizon_days"] == 30
    assert make_plan("shop", settings=["a.horizon_days=7"]).notebooks[0].values["horizon_days"] == 7


def test_only_chooses_among_the_studys_notebooks(project: Any) -> None:
    project.notebook("a"), project.notebook("b")
    project.study(notebooks="{a: , b: }")
    assert [p.name for p in make_plan("shop", only=["b"]).notebooks] == ["b"]
    with pytest.raises(StudyError, match=r"--only bb: study 'shop' runs no such notebook; did you mean 'b'\?"):
        make_plan("shop", only=["bb"])


@pytest.mark.parametrize(
    ("notebooks", "settings", "message"),
    [
        ("{stays: }", [], r"shop\.yml: notebooks\.stays: notebooks/ holds no such notebook; did you mean 'stay'\?"),
        ("{stay: {horizon_day: 3}}", [], r"declares no parameter 'horizon_day'; did you mean 'horizon_days'\?"),
        ("{stay: {horizon_days: '3'}}", [], r"notebooks\.stay\.horizon_days: 'horizon_days' is declared int \(days\)"),
        ("{stay: {horizon_days: 3.0}}", [], r"came 3\.0: input should be a valid integer"),
        ("{stay: {study: other}}", [], r"'study' is set by the run"),
        ("{stay: }", ["stay.horizon_day=3"], r"--set stay\.horizon_day=3: .* did you mean 'horizon_days'\?"),
        ("{stay: }", ["stay.horizon_days=three"], r"'horizon_days' is declared int \(days\); came 'three'"),
        ("{stay: }", ["stays.horizon_days=3"], r"study 'shop' runs no notebook 'stays'; did you mean 'stay'\?"),
    ],
)
def test_a_misspelt_name_or_a_wrong_type_is_refused(
    project: Any, notebooks: str, settings: list[str], message: str
) -> None:
    project.notebook("stay")
    project.study(notebooks=notebooks)
    with pytest.raises(StudyError, match=message):
        make_plan("shop", settings=settings)


def test_notebooks_lie_where_the_environment_says(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project.notebook("stay")
    project.study()
    (project.root / "notebooks").rename(project.root / "elsewhere")
    with pytest.raises(StudyError, match=r"no folder of notebooks.*set LCM_NOTEBOOKS"):
        make_plan("shop")
    monkeypatch.setenv("LCM_NOTEBOOKS", str(project.root / "elsewhere"))
    assert make_plan("shop").notebooks[0].name == "stay"


def test_notebooks_are_found_from_a_folder_below_and_from_the_studys_own(
    project: Any, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project.notebook("stay")
    path = project.study()
    monkeypatch.chdir(project.root / "data")
    assert make_plan("shop").notebooks[0].name == "stay"
    monkeypatch.chdir(tmp_path_factory.mktemp("far"))
    assert make_plan(path).notebooks[0].name == "stay"


def test_a_notebook_says_its_title_in_both_languages_and_the_tables_it_requires(project: Any) -> None:
    path = project.notebook(
        "stay",
        'lcm.require("touchpoints", purpose="credit")\nif 0:\n    lcm.require("engagements", purpose="x")',
        "%matplotlib inline",
    )
    notebook = read_notebook(path)
    assert notebook.title == {"en": "Who stays?", "zh": "谁会留下？"}
    assert notebook.requires == ("touchpoints",)


def test_a_notebook_without_the_study_among_its_parameters_is_refused(project: Any) -> None:
    path = project.notebook("stay", parameters="horizon_days: int = 3  # days")
    with pytest.raises(StudyError, match=r"stay\.ipynb: the parameters cell must open with: study: str"):
        read_notebook(path)
    path.write_text("{}")
    with pytest.raises(StudyError, match=r"stay\.ipynb: expected a Jupyter notebook"):
        read_notebook(path)


def test_the_language_of_the_command_line_overrides_the_studys(project: Any) -> None:
    project.notebook("stay")
    project.study()
    assert make_plan("shop").study.language == "en"
    assert make_plan("shop", language="zh").study.language == "zh"
