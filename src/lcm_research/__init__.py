"""A research workbench for social media along the customer lifecycle."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lcm_research.workbench import Workbench, open_study

__all__ = ["Workbench", "__version__", "open_study"]

__version__ = metadata.version("lcm-research")


def __getattr__(name: str) -> Any:
    """Import the workbench when it is asked for, so that the command line starts at once."""
    if name in {"open_study", "Workbench"}:
        from lcm_research import workbench

        return getattr(workbench, name)
    raise AttributeError(f"module 'lcm_research' has no attribute '{name}'")
