"""What a run says of itself: ``run.json``, the only truth about a run."""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from lcm_research.run.outcome import Outcome
from lcm_research.run.plan import Plan
from lcm_research.study import Study

if TYPE_CHECKING:
    from lcm_research.data.ingested import Ingested

__all__ = ["definitions", "git_state", "manifest", "new_run_id", "versions"]

LIBRARIES = (
    "lcm-research",
    "papermill",
    "ipykernel",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "duckdb",
    "ibis-framework",
    "statsmodels",
    "lifelines",
    "matplotlib",
)

INGEST_RULES: Mapping[str, Mapping[str, str]] = {
    "rows_in": {"en": "rows in the file", "zh": "文件中的行数"},
    "rows_used": {"en": "rows used", "zh": "实际使用的行数"},
    "no_customer": {"en": "no customer is named", "zh": "缺少客户标识"},
    "unknown_customer": {"en": "the customer is not in the customers table", "zh": "客户不在客户表中"},
    "after_as_of": {"en": "after the last day used", "zh": "晚于数据截止日"},
    "before_observation_start": {"en": "before the first day of observation", "zh": "早于观察起始日"},
}
"""Why ingest itself leaves rows out, where a study says nothing."""


def new_run_id(now: datetime) -> str:
    """
    Return an id for a run that starts ``now``: ids sort by time, and two runs of one millisecond still differ.

    >>> new_run_id(datetime(2026, 1, 2, 3, 4, 5, 678000, UTC))[:20]
    '20260102T030405Z-2a6'
    """
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{now.microsecond // 1000:03x}{secrets.token_hex(2)}"


def manifest(
    plan: Plan,
    ingested: Ingested,
    outcomes: Mapping[str, Outcome],
    *,
    run_id: str,
    status: str,
    started: datetime,
    finished: datetime,
) -> dict[str, Any]:
    """
    Return the record of a run.

    Parameters
    ----------
    status : {"good", "failed"}
        Good where every notebook is ok or skipped, and one is ok.
    """
    study = plan.study
    return {
        "schema": 1,
        "run_id": run_id,
        "study": study.study,
        "title": study.title,
        "language": study.language,
        "started_at": started.isoformat(timespec="seconds"),
        "finished_at": finished.isoformat(timespec="seconds"),
        "duration_s": round((finished - started).total_seconds(), 2),
        "seed": study.engine.seed,
        "timezone": study.timezone,
        "observation_start": study.observation_start.isoformat(),
        "as_of": study.as_of.isoformat(),
        "status": status,
        "git": git_state(plan),
        "versions": versions(),
        "engine": study.engine.backend,
        "inputs": [asdict(file) for file in ingested.inputs],
        "reconciliation": [
            {**asdict(line), "reason": line.reason or INGEST_RULES.get(line.rule, "")}
            for line in ingested.reconciliation
        ],
        "n_customers": ingested.n_customers,
        "n_rows": sum(ingested.n_rows[table] for table in {source.table for source in ingested.inputs}),
        "definitions": definitions(plan),
        "parameters": {p.name: dict(p.given) for p in plan.notebooks},
        "notebooks": [
            {"name": p.name, "title": dict(p.notebook.title), **outcomes[p.name].record(), "parameters": p.values}
            for p in plan.notebooks
        ],
        "code": code_hash(plan),
    }


def git_state(plan: Plan) -> dict[str, Any]:
    """Return the commit that the notebooks are at, and whether anything there differs from it; None outside git."""
    folder = plan.notebooks[0].notebook.path.parent
    commit, status = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain")
    return {"commit": commit, "dirty": None if commit is None or status is None else bool(status)}


def _git(folder: Any, *command: str) -> str | None:
    try:
        # no lock is taken: another git may be at work
        done = subprocess.run(
            ["git", "--no-optional-locks", *command], cwd=folder, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that numbers come from."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def code_hash(plan: Plan) -> str:
    """Return a hash of the package's source and of the notebooks of a run."""
    from lcm_research.data.reduction import code_fingerprint

    digest = hashlib.sha256(code_fingerprint().encode())
    for planned in plan.notebooks:
        digest.update(planned.name.encode() + b"\0" + planned.notebook.path.read_bytes())
    return digest.hexdigest()


def definitions(plan: Plan) -> list[dict[str, dict[str, str]]]:
    """Return what the words on the pages mean in this study and its notebooks, in both languages."""
    from lcm_research.findings.wording.churn import activity, window_text

    study = plan.study
    window, scheme, lapse, active = (
        study.observation_start,
        _scheme(study),
        window_text(study.churn),
        activity(study.churn),
    )
    history = {
        "complete": ("each customer's whole purchase history", "客户的全部购买记录"),
        "from_observation_start": ("only what happened since the window began", "仅含观察期开始之后的记录"),
    }[study.data.history]
    rows = [
        ("Window of observation", "观察期", f"{window} to {study.as_of}", f"{window} 至 {study.as_of}"),
        ("Days are those of", "日期所用时区", study.timezone, study.timezone),
        (
            "Churn",
            "流失",
            lapse["en"],
            lapse["zh"],
        ),
        ("Activity", "活动", active["en"], active["zh"]),
        ("Stage scheme", "生命周期阶段方案", scheme, scheme),
        ("Stages are taken at the end of each", "阶段判定周期", "calendar month", "每个自然月末"),
        ("Purchase history in the data", "数据中的购买历史", *history),
        (
            "Smallest group published",
            "公布的最小群体",
            f"{study.privacy.min_group} customers",
            f"{study.privacy.min_group} 位客户",
        ),
    ]
    for planned in plan.notebooks:
        chosen = ", ".join(f"{name} = {_written(value)}" for name, value in planned.values.items() if name != "study")
        if chosen:
            rows.append((f"Parameters of {planned.name}", f"{planned.name} 的参数", chosen, chosen))
    return [{"term": {"en": a, "zh": b}, "value": {"en": c, "zh": d}} for a, b, c, d in rows]


def _scheme(study: Study) -> str:
    from lcm_research.stages.rules import stage_rules

    if study.churn.window_days is None:
        return "–"  # stages need one window for all
    stages = study.stages
    rules = stage_rules(stages.scheme, window_days=study.churn.window_days, thresholds=stages.thresholds)
    chosen = {**rules.thresholds, "confirm_periods": stages.confirm_periods, "min_dwell": stages.min_dwell}
    told = [f"{name} = {value:g}" for name, value in chosen.items()]
    if rules.scheme.cuts:
        told.append(f"{', '.join(rules.scheme.cuts)}: {stages.cut_mode}")
    return f"{stages.scheme} ({', '.join(told)})"


def _written(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
