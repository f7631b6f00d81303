"""The house: which room may know which, what is generated from what, and how a notebook is kept."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "lcm_research"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

FOUNDATION = {"errors", "estimate", "privacy"}
MODEL = FOUNDATION | {"specification", "study", "data", "stages"}
ROOMS: dict[str, set[str]] = {
    "specification": {"errors", "estimate"},
    "study": FOUNDATION,
    "data": FOUNDATION | {"study"},
    "stages": FOUNDATION | {"study", "data"},
    **dict.fromkeys(("survival", "transitions", "attribution"), MODEL),
}
MODELS = {"stages", "survival", "transitions", "attribution"}
ROOMS["findings"] = MODEL | MODELS
ROOMS["plots"] = ROOMS["findings"] | {"findings"}
ROOMS["workbench"] = ROOMS["findings"] | {"findings"}
ROOMS["pages"] = FOUNDATION | {"study", "data", "findings"}
ROOMS["run"] = ROOMS["workbench"] | {"workbench", "pages"}
ROOMS["cli"] = ROOMS["run"] | {"run"}
ROOMS["__main__"] = {"cli"}
ROOMS["__init__"] = {"workbench"}
ROOMS |= {"errors": set(), "estimate": {"errors"}, "privacy": {"errors"}}


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    found |= {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    return {name for name in found if name.split(".")[0] == "lcm_research"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_each_room_knows_only_the_rooms_to_its_left(path: Path) -> None:
    inside = path.relative_to(PACKAGE)
    room = inside.parts[0].removesuffix(".py")
    known = {_room(name) for name in _imports(path)} - {room, "__init__"}  # __init__ is asked for the version only
    assert known <= ROOMS[room], f"{inside} knows {sorted(known - ROOMS[room])}"


def test_the_environment_file_is_what_pyproject_asks_for() -> None:
    code = "import environment, pathlib, sys; sys.stdout.write(environment.environment(pathlib.Path(sys.argv[1])))"
    made = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)], cwd=ROOT / "tools", capture_output=True, text=True, check=True
    ).stdout
    assert (ROOT / "environment.yml").read_text(encoding="utf-8") == made


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-spark.lock", "requirements-bench.lock"])
def test_lock_files_name_versions_and_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    pinned = re.findall(r"^[a-z0-9._-]+==\S+", text, flags=re.MULTILINE)
    assert pinned
    assert text.count("--hash=sha256:") >= len(pinned)
    assert "://" not in text


def test_every_top_level_folder_is_on_the_readme_map() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    folders = {p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith(".")} - {"build", "dist"}
    missing = {name for name in folders if f"{name}/" not in readme}
    assert not missing


def _cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def test_there_are_six_notebooks() -> None:
    assert [p.stem for p in NOTEBOOKS] == [
        "00_data_audit",
        "01_churn_survival",
        "02_stage_markov",
        "03_social_attribution",
        "05_stage_multiverse",
        "07_churn_warning",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestNotebook:
    def test_opens_with_its_parameters(self, path: Path) -> None:
        tagged = [c for c in _cells(path) if "parameters" in c["metadata"].get("tags", [])]
        assert len(tagged) == 1
        lines = "".join(tagged[0]["source"]).splitlines()
        assert lines[0] == 'study: str = "demo"  # name in params/ or path to a YAML'
        assert all(re.match(r"\w+: [^=]+ = .+  # .+", line) for line in lines)

    def test_code_cells_are_short_and_define_nothing(self, path: Path) -> None:
        for cell in _cells(path):
            if cell["cell_type"] == "code":
                source = "".join(cell["source"])
                assert source.count("\n") < 30
                assert not re.search(r"^\s*(def\b|class\b|%|!)", source, flags=re.MULTILINE)

    def test_outputs_are_stored_exactly_where_a_finding_is_emitted(self, path: Path) -> None:
        for cell in _cells(path):
            if cell["cell_type"] != "code":
                continue
            source = "".join(cell["source"])
            silent_on_the_demo = any(only in source for only in ("if causes:", "if again:"))
            emits = "emit.finding(" in source and not silent_on_the_demo
            stored = [o.get("data", {}) for o in cell["outputs"]]
            assert bool(stored) == emits, source[:80]
            # nbval compares all that a stored cell shows, and figures and tables are not stored
            assert not emits or ("emit.table(" not in source and "emit.figure(" not in source), source[:80]
            assert all("application/vnd.lcm.finding+json" in data for data in stored)

    def test_method_text_is_written_in_both_languages(self, path: Path) -> None:
        tags = [tag for c in _cells(path) if c["cell_type"] == "markdown" for tag in c["metadata"].get("tags", [])]
        assert tags.count("en") == tags.count("zh") > 0

    def test_runs_on_the_kernel_that_is_named_for_the_project(self, path: Path) -> None:
        kernel = json.loads(path.read_text(encoding="utf-8"))["metadata"]["kernelspec"]
        assert kernel["name"] == "lcm_research"
