"""
One process that executes one notebook: ``python -m lcm_research.run.worker job.json``.

On standard output it writes one JSON object a line: where the kernel is, the cell at work, and at last the
outcome. It ends with its parent.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Execute the job named on the command line."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    kernels: list[int] = []
    # from here on nothing else writes to the parent's pipe: the kernel inherits another output, not this copy
    with os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1) as channel:
        os.dup2(2, 1)
        threading.Thread(target=_end_with_parent, args=(kernels,), daemon=True).start()

        def report(event: Mapping[str, Any]) -> None:
            if event["event"] == "kernel":
                kernels.append(event["pid"])
            channel.write(json.dumps(event) + "\n")

        # nbformat's jsonschema would compile a grammar at each start that nobody here needs
        sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
        from lcm_research.run.engine import execute

        execute(job, report)


def _end_with_parent(kernels: list[int]) -> None:
    """Wait until standard input closes, as it does when the parent is gone; then end the kernels and this process."""
    while os.read(0, 1):
        pass
    for pid in kernels:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
