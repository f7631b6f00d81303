"""Write environment.yml from pyproject.toml, the one source of what the project needs."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def environment(root: Path = ROOT) -> str:
    """Return the text of environment.yml: Python and pip from conda, everything else as pyproject.toml asks for it."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [
        "# Generated from pyproject.toml by tools/environment.py (make lock); edit that instead.",
        "name: lcm_research",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        f"  - python {project['requires-python']}",
        "  - pip",
        "  - pip:",
        *(f'      - "{requirement}"' for requirement in project["dependencies"]),
        "      - -e .",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "environment.yml").write_text(environment(), encoding="utf-8")
