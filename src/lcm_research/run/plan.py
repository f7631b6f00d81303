"""What a run will do, decided before anything starts: which notebooks, with which parameters."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcm_research.errors import StudyError, nearest
from lcm_research.run.parameters import Parameter, declared_parameters, from_text, known, parse_setting, validated
from lcm_research.study import Study, find_study, load_study

__all__ = ["Notebook", "Plan", "Planned", "find_notebooks", "make_plan", "notebooks_folder", "read_notebook"]


@dataclass(frozen=True, kw_only=True)
class Notebook:
    """
    A notebook as it lies in its folder.

    Parameters
    ----------
    title : mapping
        The first ``# `` heading of the Markdown cells tagged ``en`` and ``zh``.
    requires : tuple of str
        Tables that it asks for with ``lcm.require(...)``, without which it is skipped.
    """

    name: str
    path: Path
    title: Mapping[str, str]
    parameters: Mapping[str, Parameter]
    requires: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A notebook and the parameters that this run gives it: ``study``, what the study says and what ``--set`` says."""

    notebook: Notebook
    given: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The notebook's name, without ending."""
        return self.notebook.name

    @property
    def values(self) -> dict[str, Any]:
        """Every declared parameter with the value that it has in this run."""
        return {name: p.default for name, p in self.notebook.parameters.items()} | dict(self.given)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A study, where it was read from, and its notebooks in the order of its YAML."""

    study: Study
    path: Path
    notebooks: tuple[Planned, ...]


def make_plan(
    study: str | Path, *, settings: Sequence[str] = (), only: Sequence[str] = (), language: str | None = None
) -> Plan:
    """
    Read a study and its notebooks and check every parameter.

    Parameters
    ----------
    settings : list of str
        ``notebook.parameter=value``, over what the study says.
    only : list of str
        Names of the notebooks to run; all of the study's where empty.

    Raises
    ------
    StudyError
        Where a notebook, a parameter or a value's type is not what the study or the notebook declares, with
        the nearest name.
    """
    path = find_study(study)
    loaded = load_study(path, language=language or os.environ.get("LCM_LANGUAGE"))
    files = find_notebooks(path)
    for name in loaded.notebooks:
        _expect(name, files, place=f"{path.name}: notebooks.{name}", what="notebooks/ holds no such notebook")
    for name in only:
        _expect(name, loaded.notebooks, place=f"--only {name}", what=f"study '{loaded.study}' runs no such notebook")
    notebooks = {name: read_notebook(files[name]) for name in loaded.notebooks}
    given = {name: _from_study(path, notebooks[name], loaded.notebooks[name]) for name in loaded.notebooks}
    for setting in settings:
        name, parameter, text = parse_setting(setting)
        place = f"--set {setting}"
        _expect(name, loaded.notebooks, place=place, what=f"study '{loaded.study}' runs no notebook '{name}'")
        declared = known(parameter, notebooks[name].parameters, place=place)
        given[name][parameter] = from_text(declared, text, place=place)
    planned = (
        Planned(notebook=notebook, given={"study": loaded.study} | given[name])
        for name, notebook in notebooks.items()
        if not only or name in only
    )
    return Plan(study=loaded, path=path, notebooks=tuple(planned))


def _expect(name: str, among: Mapping[str, Any], *, place: str, what: str) -> None:
    if name not in among:
        raise StudyError(f"{place}: {what}; {nearest(name, among)}")


def _from_study(path: Path, notebook: Notebook, said: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for name, value in said.items():
        place = f"{path.name}: notebooks.{notebook.name}.{name}"
        values[name] = validated(known(name, notebook.parameters, place=place), value, place=place)
    return values


def find_notebooks(study: Path) -> dict[str, Path]:
    """Return the notebooks for the study whose YAML is at ``study``, by name."""
    return {p.stem: p.resolve() for p in sorted(notebooks_folder(study.resolve().parent).glob("*.ipynb"))}


def notebooks_folder(*also: Path) -> Path:
    """
    Return the folder of notebooks: ``LCM_NOTEBOOKS``, or ``notebooks/`` in the working folder or above.

    Where neither exists it is looked for in and above the folders ``also``, such as that of a study.
    """
    named = os.environ.get("LCM_NOTEBOOKS")
    here = Path.cwd().resolve()
    around = (folder for start in (here, *also) for folder in (start, *start.parents))
    folders = [Path(named).expanduser()] if named else [folder / "notebooks" for folder in around]
    for folder in folders:
        if folder.is_dir():
            return folder
    where = f"LCM_NOTEBOOKS={named}" if named else f"notebooks/ in {here} or above"
    raise StudyError(f"no folder of notebooks: looked for {where}; set LCM_NOTEBOOKS to the folder that holds them")


def read_notebook(path: Path) -> Notebook:
    """Read what a run must know of a notebook; StudyError where it is none, or declares no ``study``."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError):
        raise StudyError(f"{path.name}: expected a Jupyter notebook (format 4); the file is none") from None
    tagged = [cell for cell in cells if "parameters" in _tags(cell)]
    if len(tagged) != 1:
        raise StudyError(f"{path.name}: expected one cell tagged 'parameters'; came {len(tagged)}")
    parameters = declared_parameters(_source(tagged[0]), notebook=path.name)
    if "study" not in parameters or parameters["study"].annotation != "str":
        raise StudyError(f'{path.name}: the parameters cell must open with: study: str = "demo"')
    return Notebook(
        name=path.stem,
        path=path,
        title={language: _title(cells, language) or path.stem for language in ("en", "zh")},
        parameters=parameters,
        requires=tuple(_required_tables(cells)),
    )


def _tags(cell: Mapping[str, Any]) -> Sequence[str]:
    return cell.get("metadata", {}).get("tags", [])


def _source(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _title(cells: Sequence[Mapping[str, Any]], language: str) -> str | None:
    """Return the first heading of a language's cells; of any Markdown cell where none is tagged so."""
    texts = [cell for cell in cells if cell.get("cell_type") == "markdown"]
    tagged = [cell for cell in texts if language in _tags(cell)] or texts
    headings = (line[2:].strip() for cell in tagged for line in _source(cell).splitlines() if line.startswith("# "))
    return next(headings, None)


def _required_tables(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the first argument of every ``<name>.require("table", ...)`` that no condition guards."""
    tables = []
    for cell in cells:
        if cell.get("cell_type") != "code":
            continue
        try:
            statements = ast.parse(_source(cell)).body
        except SyntaxError:  # a cell with magics
            continue
        calls = [s.value for s in statements if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
        for call in calls:
            named = isinstance(call.func, ast.Attribute) and call.func.attr == "require" and call.args
            if named and isinstance(call.args[0], ast.Constant):
                tables.append(str(call.args[0].value))
    return tables
