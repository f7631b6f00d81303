"""JupyterLab on the notebooks, with the kernel that runs use."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from lcm_research.data.cache import cache_folder
from lcm_research.run.plan import notebooks_folder

__all__ = ["command"]


def command(further: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """
    Return the command that opens JupyterLab, and its environment.

    The kernels ``lcm_research`` and ``python3`` are this interpreter there, whatever else is installed.
    """
    jupyter = cache_folder() / "jupyter"
    for name in ("lcm_research", "python3"):
        spec = jupyter / "kernels" / name / "kernel.json"
        spec.parent.mkdir(parents=True, exist_ok=True)
        start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec.write_text(json.dumps({"argv": start, "display_name": "lcm_research", "language": "python"}))
    path = os.pathsep.join(p for p in (str(jupyter), os.environ.get("JUPYTER_PATH")) if p)
    return (
        [sys.executable, "-m", "jupyterlab", str(notebooks_folder()), *further],
        {**os.environ, "JUPYTER_PATH": path},
    )
