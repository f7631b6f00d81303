"""
Run every notebook on its defaults and store the outputs of the cells that emit findings, for nbval to compare.

All other outputs are dropped, and with them everything that would change from run to run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
KERNEL = {"display_name": "lcm_research", "language": "python", "name": "lcm_research"}
FINDING = "application/vnd.lcm.finding+json"


def store(path: Path) -> None:
    """Run the notebook at ``path`` and write it back with the outputs that are kept."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["kernelspec"] = KERNEL
    for number, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        cell["id"] = f"{path.stem[:2]}-{number:02d}"
        if cell.cell_type == "code":
            emitted = [o for o in cell.outputs if FINDING in o.get("data", {})]
            cell.outputs = emitted if "emit.finding(" in cell.source else []
            cell.execution_count = number if cell.outputs else None  # nbval passes over outputs without one
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    wanted = sys.argv[1:]
    for notebook_path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if not wanted or notebook_path.stem in wanted:
            print(notebook_path.stem, flush=True)
            store(notebook_path)
