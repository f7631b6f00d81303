"""One study from plan to report."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcm_research.data.cache import cache_folder
from lcm_research.data.scratch import scratch_folder
from lcm_research.errors import RunError
from lcm_research.run.execute import Event, Job, environment_for, execute_all, make_job
from lcm_research.run.harvest import Harvest, check_no_folder_shows, check_unique, harvest
from lcm_research.run.manifest import manifest, new_run_id
from lcm_research.run.outcome import Outcome
from lcm_research.run.plan import Plan
from lcm_research.run.preflight import refuse_unanswerable
from lcm_research.run.publish import publish

if TYPE_CHECKING:
    from lcm_research.data.ingested import Ingested

__all__ = ["Run", "n_cores", "read_data", "run_study"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """
    A run that has ended.

    Parameters
    ----------
    record : mapping
        Its manifest.
    folder : Path
        Where it is published.
    kept : mapping of notebook to path
        Executed notebooks that did not end well, with their tracebacks; for the owner, in the cache.
    """

    record: Mapping[str, Any]
    folder: Path
    kept: Mapping[str, Path]

    @property
    def is_good(self) -> bool:
        """Whether its report was published."""
        return self.record["status"] == "good"


def n_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_data(plan: Plan) -> Ingested:
    """Read a study's data into the cache; DataError where they are not what the study says, or cannot answer it."""
    from lcm_research.data.sources import ingest

    ingested = ingest(plan.study, plan.path, cache=cache_folder())
    refuse_unanswerable(plan, ingested)
    return ingested


def run_study(plan: Plan, *, reports: Path, at_once: int, limit_s: float, watch: Callable[[Event], None]) -> Run:
    """
    Read the data, execute the notebooks and publish the run.

    Parameters
    ----------
    at_once : int
        Notebooks that are executed side by side.
    limit_s : float
        Seconds that one notebook may take.

    Raises
    ------
    StudyError, DataError
        Before anything starts; nothing is left behind.
    """
    started = datetime.now(UTC)
    ingested = read_data(plan)
    at_once = min(at_once, len(plan.notebooks))
    folder = scratch_folder(cache_folder() / "runs")
    try:
        jobs = _jobs(plan, folder, at_once=at_once, limit_s=limit_s)
        outcomes = execute_all(jobs, at_once=at_once, limit_s=limit_s, watch=watch)
        harvests, outcomes = _harvests(plan, jobs, outcomes)
        run_id = new_run_id(started)
        kept = _keep_failed(plan, jobs, outcomes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    record = manifest(
        plan,
        ingested,
        outcomes,
        run_id=run_id,
        status="good" if _is_good(outcomes) else "failed",
        started=started,
        finished=datetime.now(UTC),
    )
    return Run(record=record, folder=publish(reports, record, harvests), kept=kept)


def _is_good(outcomes: Mapping[str, Outcome]) -> bool:
    return all(o.is_good for o in outcomes.values()) and any(o.status == "ok" for o in outcomes.values())


def _jobs(plan: Plan, folder: Path, *, at_once: int, limit_s: float) -> list[Job]:
    """Write the orders; notebooks open the study by its name, wherever its YAML lies and whatever it is called."""
    params = folder / "params"
    params.mkdir()
    (params / f"{plan.study.study}.yml").symlink_to(plan.path)
    environment = environment_for(params=params, cache=cache_folder(), jobs=at_once, language=plan.study.language)
    work = folder / "notebooks"
    work.mkdir()
    return [make_job(planned, folder=work, environment=environment, limit_s=limit_s) for planned in plan.notebooks]


def _harvests(plan: Plan, jobs: list[Job], outcomes: Mapping[str, Outcome]) -> tuple[list[Harvest], dict[str, Outcome]]:
    """Take what each notebook emitted; one whose emissions cannot be published has failed."""
    hidden = [plan.path.parent, Path.cwd(), cache_folder(), *(p.notebook.path.parent for p in plan.notebooks)]
    hidden += [folder for path in hidden for folder in path.parents] + _data_folders(plan)
    taken: list[Harvest] = []
    judged = dict(outcomes)
    for job in jobs:
        if outcomes[job.name].status != "ok":
            continue
        try:
            one = harvest(json.loads(job.executed.read_text(encoding="utf-8")), name=job.name)
            check_unique([*taken, one])
            check_no_folder_shows(one.notebook, name=job.name, folders=hidden)
        except RunError as error:
            judged[job.name] = replace(outcomes[job.name], status="failed", error=str(error))
        else:
            taken.append(one)
    return taken, judged


def _data_folders(plan: Plan) -> list[Path]:
    return [plan.study.folder(plan.path)] if plan.study.data.folder else []


def _keep_failed(plan: Plan, jobs: list[Job], outcomes: Mapping[str, Outcome]) -> dict[str, Path]:
    """Keep the notebooks of this run that did not end well, in place of those of the run before."""
    folder = cache_folder() / "failed" / plan.study.study
    shutil.rmtree(folder, ignore_errors=True)
    kept = {}
    for job in jobs:
        if outcomes[job.name].is_good:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        source = job.executed if job.executed.exists() else job.log
        kept[job.name] = Path(shutil.copy(source, folder / f"{job.name}{source.suffix}"))
    return kept
