"""A published study to render: three runs, four notebooks, findings of every kind, in either language."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from lcm_research.findings.finding import FIGURE_MIME, FINDING_MIME, TABLE_MIME, WITHHELD_MIME
from lcm_research.plots.style import OKABE_ITO, figure

STUDY, RUN, BEFORE = "brand-2023", "20240712T021304-8f3a", "20240612T021255-1c07"
FAILED_RUN = "20240713T021301-77de"


def both(en: str, zh: str) -> dict[str, str]:
    return {"en": en, "zh": zh}


def finding(id: str, notebook: str, cell: Any, value: float | None, lower: float | None, upper: float | None, **more):
    record = {
        "id": id,
        "study": STUDY,
        "notebook": notebook,
        "cell": cell,
        "question": both("A question?", "一个问题？"),
        "value": value,
        "lower": lower,
        "upper": upper,
        "level": 0.95,
        "unit": "days",
        "n": 4120,
        "tier": "D",
        "checks": [],
        "verdict": None,
        "sentence": both("An answer.", "一个回答。"),
        "registered": False,
        "null_value": None,
    }
    return record | more


def check(en: str, zh: str, passed: bool, note_en: str = "", note_zh: str = "") -> dict[str, Any]:
    return {"name": both(en, zh), "passed": passed, "note": both(note_en, note_zh)}


def sample_findings() -> list[dict[str, Any]]:
    return [
        finding(
            "engaged-stay",
            "01_survival",
            "e1",
            12.4,
            8.1,
            16.9,
            unit="days",
            tier="C",
            null_value=0.0,
            claimed=20.0,
            registered=True,
            verdict="smaller",
            question=both(
                "Do customers who engage on social media stay longer?", "在社交媒体上有互动的客户留存时间是否更长？"
            ),
            sentence=both(
                "Customers who engage stay about 12 days longer within the first half year than those who do not, "
                "about half of what was claimed.",
                "有互动的客户在首个半年内的留存时间约长 12 天，约为假设值的一半。",
            ),
            checks=[
                check("Hazards are proportional", "比例风险假定", True, "global test p = 0.41", "整体检验 p = 0.41"),
                check(
                    "A placebo exposure has no effect",
                    "安慰剂暴露无效应",
                    False,
                    "a channel without any effect moved it by 3.9 days (1.2 to 6.6)",
                    "一个无任何作用的渠道也使其变化 3.9 天（1.2 至 6.6）",
                ),
                check("Enough events in every group", "各组事件数充足", True),
            ],
        ),
        finding(
            "retained-half-year",
            "01_survival",
            "e2",
            0.432,
            0.411,
            0.454,
            unit="share",
            question=both("How many customers are still active after half a year?", "半年后仍活跃的客户有多少？"),
            sentence=both(
                "43.2% of new customers are still active after 180 days.", "新客户中有 43.2% 在 180 天后仍活跃。"
            ),
            checks=[check("Follow-up covers the horizon", "随访期覆盖该时点", True)],
        ),
        finding(
            "weibo-hazard",
            "01_survival",
            "e3",
            0.93,
            0.71,
            1.22,
            unit="ratio",
            tier="C",
            null_value=1.0,
            n=612,
            question=both("Do customers from Weibo lapse faster?", "来自微博的客户流失更快吗？"),
            sentence=both(
                "The data do not separate customers from Weibo from the others.",
                "数据无法区分来自微博的客户与其他客户。",
            ),
            checks=[check("Hazards are proportional", "比例风险假定", True, "p = 0.20", "p = 0.20")],
        ),
        finding(
            "win-back-share",
            "02_states",
            "e1",
            0.081,
            0.064,
            0.102,
            unit="probability",
            question=both(
                "How often does a dormant customer buy again within a month?", "沉睡客户一个月内再次购买的概率有多大？"
            ),
            sentence=both(
                "A dormant customer buys again within a month in about 8 of 100 cases.",
                "沉睡客户在一个月内再次购买的约占百分之八。",
            ),
            checks=[
                check(
                    "First order is enough",
                    "一阶马尔可夫性",
                    False,
                    "p < 0.001 against order 2",
                    "与二阶相比 p < 0.001",
                )
            ],
        ),
        finding(
            "state-months",
            "02_states",
            "e2",
            7.25,
            6.1,
            None,
            unit="months",
            n=98765,
            question=both("How long does a customer stay active?", "客户处于活跃阶段多久？"),
            sentence=both("An active spell lasts at least 6 months.", "一段活跃期至少持续 6 个月。"),
        ),
        finding(
            "credit-wechat",
            "04_claims",
            "e1",
            0.21,
            0.18,
            0.24,
            unit="share",
            tier="B",
            null_value=0.18,
            registered=True,
            verdict="consistent",
            claimed=0.2,
            question=both("What part of sales is associated with WeChat?", "销售额中有多少与微信相关？"),
            sentence=both(
                "About a fifth of sales is associated with WeChat, as was claimed.",
                "约五分之一的销售额与微信相关，与假设一致。",
            ),
            checks=[check("A placebo channel earns nothing", "安慰剂渠道不得分", True)],
        ),
        finding(
            "trial-lift",
            "04_claims",
            "e2",
            2.4,
            -1.0,
            5.9,
            unit="percentage points",
            tier="A",
            null_value=0.0,
            registered=True,
            verdict="inconclusive",
            question=both("Does a reminder bring customers back?", "提醒消息能否赢回客户？"),
            sentence=both(
                "The trial does not decide whether a reminder brings customers back.",
                "试验不足以判断提醒能否赢回客户。",
            ),
            checks=[check("Groups were split as planned", "分组比例符合计划", True)],
        ),
        finding(
            "rare-event",
            "04_claims",
            "e3",
            None,
            None,
            None,
            unit="days",
            n=14,
            question=both("How fast do members of the new club lapse?", "新会员俱乐部的客户多快流失？"),
            sentence=both("Too few members lapsed to say.", "流失会员过少，无法判断。"),
        ),
    ]


def sample_run(language: str, *, run_id: str = RUN, finished: str = "2024-07-11T18:13:52+00:00") -> dict[str, Any]:
    return {
        "schema": 1,
        "run_id": run_id,
        "study": STUDY,
        "title": "某美妆品牌：社交媒体与客户生命周期"
        if language == "zh"
        else "A beauty brand on social media, 2022 to 2024",
        "language": language,
        "started_at": "2024-07-11T18:13:04+00:00",
        "finished_at": finished,
        "duration_s": 48.2,
        "seed": 20230101,
        "timezone": "Asia/Shanghai",
        "observation_start": "2022-07-01",
        "as_of": "2024-06-30",
        "status": "good",
        "git": {"commit": "3f2c9a1b7d5e4f60819a2b3c4d5e6f708192a3b4", "dirty": True},
        "versions": {"lcm-research": "0.1.0", "python": "3.11.9", "duckdb": "1.5.6", "ibis-framework": "12.0.0"},
        "engine": "duckdb",
        "inputs": [
            {
                "table": "transactions",
                "file": "orders.csv.gz",
                "sha256": "9c1f" * 16,
                "bytes": 48213377,
                "rows": 412877,
            },
            {
                "table": "engagements",
                "file": "互动记录.parquet",
                "sha256": "07ab" * 16,
                "bytes": 9120443,
                "rows": 1288301,
            },
        ],
        "reconciliation": [
            {"table": "transactions", "rule": "staff", "reason": both("orders by staff", "员工订单"), "rows": 1204},
            {"table": "transactions", "rule": "as_of", "reason": "after the last day used", "rows": 8113},
        ],
        "n_customers": 48211,
        "n_rows": 1701178,
        "definitions": [
            {
                "term": both("Churn", "流失"),
                "value": both("no purchase in the 90 days after a purchase", "一次购买后 90 天内无再次购买"),
            },
            {
                "term": both("Stages", "生命周期阶段"),
                "value": both(
                    "nadc: new, active, dormant at 90 days, churned at 180",
                    "nadc：新客、活跃、沉睡（90 天）、流失（180 天）",
                ),
            },
            {"term": both("Lookback", "回溯期"), "value": both("30 days", "30 天")},
        ],
        "parameters": {"01_survival": {"study": STUDY, "horizon_days": 180, "by": ["region", "首购渠道"]}},
        "notebooks": [
            notebook_line(
                "01_survival",
                both("Who stays, and for how long?", "谁会留下，留多久？"),
                warnings=["FewEventsWarning: 'club' has 14 events; its interval is exact"],
            ),
            notebook_line("02_states", both("Moving between stages", "阶段之间的转移")),
            notebook_line(
                "03_attribution",
                both("Which channels go with a sale?", "哪些渠道伴随成交？"),
                status="skipped",
                reason="the study has no table 'touchpoints', which attribution needs; map one under "
                "data.tables.touchpoints",
            ),
            notebook_line("04_claims", both("What was claimed, and what the data say", "既有说法与数据")),
        ],
    }


def notebook_line(name: str, title: Any, **more: Any) -> dict[str, Any]:
    line = {"name": name, "title": title, "status": "ok", "reason": None, "duration_s": 3.1, "failing_cell": None}
    return line | {"error": None, "warnings": [], "parameters": {}} | more


def failed_run(language: str) -> dict[str, Any]:
    run = sample_run(language, run_id=FAILED_RUN, finished="2024-07-12T18:14:40+00:00") | {"status": "failed"}
    run["notebooks"][1] |= {
        "status": "failed",
        "failing_cell": 7,
        "error": "ModelError: stage 'dormant' was never left",
    }
    return run


def survival_svg(language: str) -> str:
    labels = {
        "en": ("days since the first purchase", "share still active", "engaged", "not engaged"),
        "zh": ("首次购买后的天数", "仍活跃的比例", "有互动", "无互动"),
    }[language]
    made, ax = figure(width=7.2, height=4)
    days = np.arange(0, 181, 5)
    for rate, colour, label in ((0.0035, OKABE_ITO[0], labels[2]), (0.0058, OKABE_ITO[1], labels[3])):
        curve = np.exp(-rate * days)
        ax.fill_between(days, curve * 0.97, curve * 1.03, color=colour, alpha=0.2, lw=0, step="post")
        ax.step(days, curve, where="post", color=colour)
        ax.annotate(label, (180, curve[-1]), xytext=(4, 0), textcoords="offset points", color=colour, va="center")
    ax.set(xlabel=labels[0], ylabel=labels[1], ylim=(0, 1.02), xlim=(0, 180))
    buffer = io.StringIO()
    made.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    return buffer.getvalue()


def markdown_cell(id: str, source: str, *tags: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": id, "metadata": {"tags": list(tags)}, "source": source.splitlines(True)}


def code_cell(id: str, source: str, *outputs: dict[str, Any], tags: tuple[str, ...] = ()) -> dict[str, Any]:
    cell = {"cell_type": "code", "id": id, "execution_count": 1, "metadata": {"tags": list(tags)}}
    return cell | {"source": source.splitlines(True), "outputs": list(outputs)}


def shown(data: dict[str, Any], **lcm: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": {"lcm": lcm} if lcm else {}}


def table_output(language: str, **more: Any) -> dict[str, Any]:
    heads = {
        "en": ["Group", "Customers", "Lapses", "Days active within 180", "Median days"],
        "zh": ["分组", "客户数", "流失数", "180 天内活跃天数", "中位天数"],
    }[language]
    to = {"en": "to", "zh": "至"}[language]
    record = {
        "id": "groups",
        "title": {"en": "Customers, lapses and days active by group", "zh": "各组客户数、流失数与活跃天数"}[language],
        "note": {"en": "· fewer than 10 customers", "zh": "· 少于 10 人"}[language],
        "columns": [
            {"name": f"c{i}", "label": head, "align": "right" if i else "left"} for i, head in enumerate(heads)
        ],
        "rows": [
            [{"en": "Engaged", "zh": "有互动"}[language], "2,204", "981", f"131 (127 {to} 135)", f"162 (150 {to} ∞)"],
            [
                {"en": "Not engaged", "zh": "无互动"}[language],
                "1,916",
                "1,240",
                f"119 (115 {to} 122)",
                f"121 (112 {to} 130)",
            ],
            [{"en": "New club", "zh": "新俱乐部"}[language], "·", "·", "·", "·"],
        ],
    }
    return shown(
        {TABLE_MIME: record | more, "text/html": "<table><tr><td>raw</td></tr></table>"}, kind="table", id="groups"
    )


def figure_output(svg: str, language: str, **more: Any) -> dict[str, Any]:
    described = {
        "kind": "figure",
        "id": "survival",
        "title": {"en": "How long do customers stay active?", "zh": "客户能保持活跃多久？"}[language],
        "alt": {
            "en": "Two falling curves; engaged customers stay above the others from day 20 on.",
            "zh": "两条下降曲线；有互动的客户自第 20 天起始终高于其他客户。",
        }[language],
        "caption": {
            "en": "Each curve is the share of customers still active; the band is the 95% interval, day by day.",
            "zh": "曲线为仍活跃客户的比例，色带为逐日 95% 置信区间。",
        }[language],
    }
    return shown({FIGURE_MIME: svg}, **(described | more))


def sample_notebook(language: str, name: str, svg: str) -> dict[str, Any]:
    mine = {record["id"]: record for record in sample_findings() if record["notebook"] == name}
    cells = [
        markdown_cell(
            "q-en",
            "# Who stays, and for how long?\n\nA brand decides whether to spend on engagement. The **restricted mean** "
            "is the area under the curve, $\\int_0^\\tau S(t)\\,dt$, with\n\n"
            "$$\\hat S(t)=\\prod_{t_i\\le t}\\left(1-\\frac{d_i}{n_i}\\right)$$\n\n"
            "It stays defined where fewer than half lapse; see [the stages](02_states.ipynb) and "
            "[below](#How-far-to-trust-it).\n",
            "en",
        ),
        markdown_cell(
            "q-zh",
            "# 谁会留下，留多久？\n\n品牌需要决定是否投入互动。"
            "**限制平均生存时间**是曲线下面积 $\\int_0^\\tau S(t)\\,dt$，其中\n\n"
            "$$\\hat S(t)=\\prod_{t_i\\le t}\\left(1-\\frac{d_i}{n_i}\\right)$$\n\n"
            "即使流失不足半数，它仍有定义；参见[阶段](02_states.ipynb)与[下文](#结论有多可信)。\n",
            "zh",
        ),
        code_cell(
            "p1",
            'study: str = "demo"  # name in params/ or path to a YAML\nhorizon_days: int = 180  # days\n',
            tags=("parameters",),
        ),
        code_cell("p2", f'# Parameters\nstudy = "{STUDY}"\n', tags=("injected-parameters",)),
        markdown_cell("w-en", "## Who is in it\n\n| kept | why |\n|---|---:|\n| incident | whole history |\n", "en"),
        markdown_cell("w-zh", "## 研究对象\n\n| 保留 | 原因 |\n|---|---:|\n| 新客户 | 历史完整 |\n", "zh"),
        code_cell(
            "t1",
            "counts = lcm.count(spell_counts, window_days=90)\nlcm.emit.table(groups, id='groups', n='n_customers')\n",
            {"output_type": "stream", "name": "stderr", "text": "RAWSTREAM /home/someone/private\n"},
            shown({"text/html": "<table><tr><td>RAWFRAME</td></tr></table>", "text/plain": "RAWFRAME"}),
            shown({"image/png": "iVBORw0KGgo=", "text/plain": "RAWPNG"}),
            table_output(language),
        ),
        markdown_cell("s-en", "## How long customers stay\n", "en"),
        markdown_cell("s-zh", "## 客户留存多久\n", "zh"),
    ]
    for record in mine.values():
        held = {key: value for key, value in record.items() if key not in ("notebook", "cell")}
        source = f"# one idea\nlcm.emit.finding(id='{record['id']}', estimate=difference, tier='C')\n"
        cells.append(
            code_cell(
                record["cell"],
                source,
                figure_output(svg, language),
                shown({FINDING_MIME: held, "text/markdown": "RAWSENTENCE"}),
            )
        )
    cells += [
        markdown_cell("t-en", "## How far to trust it\n\n#### Not measured\n\nOffline visits.\n", "en"),
        markdown_cell("t-zh", "## 结论有多可信\n\n#### 未测量\n\n线下到店。\n", "zh"),
        code_cell(
            "x1",
            "lcm.emit.table(rare, id='rare', n='n')\n",
            shown({WITHHELD_MIME: {"id": "rare", "reason": "RAWREASON"}, "text/plain": "RAWREASON (n = 3)"}),
            shown({"text/markdown": {"en": "Shares are **rounded**.", "zh": "比例经过**四舍五入**。"}[language]}),
        ),
        code_cell("v1", "lcm.provenance()\n", table_output(language, title="provenance"), tags=("provenance",)),
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def write_run(folder: Path, run: dict[str, Any], findings: list[dict[str, Any]]) -> Path:
    """Write the folder of a finished run, without its pages."""
    svg = survival_svg(run["language"])
    write_json(folder / "run.json", run)
    write_json(folder / "findings.json", {"schema": 1, "findings": findings})
    for line in run["notebooks"]:
        if line["status"] == "ok":
            write_json(folder / f"{line['name']}.ipynb", sample_notebook(run["language"], line["name"], svg))
    return folder


def write_reports(reports: Path, language: str) -> Path:
    """Write a study with two good runs and a failed one after them, without pages; return the last good run."""
    study = reports / STUDY
    earlier = sample_findings()[:-1]
    earlier[0] = earlier[0] | {"value": 19.0, "lower": 14.0, "upper": 24.0, "verdict": "consistent"}
    earlier[3] = earlier[3] | {"value": 0.077}
    before = sample_run(language, run_id=BEFORE, finished="2024-06-11T18:13:52+00:00")
    write_run(study / "runs" / BEFORE, before, earlier)
    folder = write_run(study / "runs" / RUN, sample_run(language), sample_findings())
    write_json(study / "runs" / FAILED_RUN / "run.json", failed_run(language))
    write_json(study / "latest.json", {"schema": 1, "run_id": RUN})
    return folder
