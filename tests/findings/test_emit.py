"""What passes the door to a page, and what is withheld."""

from __future__ import annotations

import json
import warnings
from datetime import date
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest

from lcm_research.errors import MissingFontWarning, ModelError
from lcm_research.estimate import Estimate
from lcm_research.findings import emit as emit_module
from lcm_research.findings.emit import BLANK, Emit
from lcm_research.findings.finding import FIGURE_MIME, FINDING_MIME, TABLE_MIME, WITHHELD_MIME, Check
from lcm_research.plots.style import figure
from lcm_research.study import Hypothesis
from needs import unavailable

SENTENCE = {"en": "They stay longer.", "zh": "他们留存更久。"}
QUESTION = {"en": "Who stays?", "zh": "谁会留下？"}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Collect what would be displayed: (data, metadata)."""
    collected: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr(
        emit_module, "display", lambda data, raw, metadata=None: collected.append((data, metadata or {}))
    )
    return collected


def door(language: str = "en", **options: Any) -> Emit:
    return Emit(study="shop", language=language, min_group=10, **options)


def days(value: float, half: float, n: int = 4120) -> Estimate:
    return Estimate(value=value, lower=value - half, upper=value + half, unit="days", n=n)


def test_a_finding_carries_its_record_and_reads_in_the_studys_language(shown: list) -> None:
    check = Check(name="proportional hazards", passed=False, note={"en": "no", "zh": "否"})
    door("zh").finding(
        id="stay", question=QUESTION, estimate=days(1 / 3, 1.0), sentence=SENTENCE, tier="D", checks=[check]
    )
    data, _ = shown[0]
    record = data[FINDING_MIME]
    assert data["text/markdown"] == "**谁会留下？** 他们留存更久。"
    assert record["value"] == 0.3333333333
    assert record["checks"] == [
        {
            "name": {"en": "proportional hazards", "zh": "proportional hazards"},
            "passed": False,
            "note": {"en": "no", "zh": "否"},
        }
    ]
    assert record["verdict"] is None
    assert record["registered"] is False
    json.dumps(record, allow_nan=False)


def test_a_registered_hypothesis_gets_its_verdict(shown: list) -> None:
    registered = Hypothesis(finding="stay", claim="longer", direction="positive", registered_at=date(2026, 1, 1))
    door(hypotheses=(registered,)).finding(
        id="stay", question=QUESTION, estimate=days(12, 4), sentence=SENTENCE, tier="D"
    )
    assert shown[0][0][FINDING_MIME]["verdict"] == "consistent"
    assert shown[0][0][FINDING_MIME]["registered"] is True


def test_a_finding_on_few_customers_is_withheld(shown: list) -> None:
    door().finding(id="stay", question=QUESTION, estimate=days(12, 4, n=9), sentence=SENTENCE, tier="D")
    assert FINDING_MIME not in shown[0][0]
    assert shown[0][0][WITHHELD_MIME]["reason"] == "'stay' describes fewer than 10 customers and is not published"


def test_an_id_is_checked(shown: list) -> None:
    with pytest.raises(ModelError, match="came 'Who stays'"):
        door().finding(id="Who stays", question=QUESTION, estimate=days(1, 1), sentence=SENTENCE, tier="D")


def test_a_small_row_of_a_table_is_blanked_with_a_companion(shown: list) -> None:
    table = pd.DataFrame({"region": ["a", "b", "c"], "n": [4, 12, 4000], "mean": [1.5, 2.5, 3.25]})
    door().table(table, id="regions", title="Regions", n="n", labels={"mean": "mean, days"})
    record = shown[0][0][TABLE_MIME]
    assert record["rows"] == [["a", BLANK, BLANK], ["b", BLANK, BLANK], ["c", "4,000", "3.25"]]
    assert record["columns"][2] == {"name": "mean", "label": "mean, days", "align": "right"}
    assert "fewer than 10 customers" in record["note"]


def test_small_cells_of_counts_are_blanked(shown: list) -> None:
    table = pd.DataFrame({"region": ["a", "b", "c"], "day 0": [40, 0, 50], "day 30": [9, 0, 11]})
    door().table(table, id="at-risk", title="At risk", n=None, counts=["day 0", "day 30"])
    assert shown[0][0][TABLE_MIME]["rows"] == [["a", "40", BLANK], ["b", "0", "0"], ["c", "50", BLANK]]


def test_a_share_beside_a_blanked_count_does_not_give_it_away(shown: list) -> None:
    table = pd.DataFrame({"region": ["a", "b", "c"], "n": [90, 90, 90], "left": [3, 40, 50], "share": [0.1, 0.4, 0.5]})
    door().table(table, id="left", title="Left", n="n", counts=["left"])
    assert shown[0][0][TABLE_MIME]["rows"] == [
        ["a", "90", BLANK, BLANK],
        ["b", "90", BLANK, BLANK],
        ["c", "90", "50", "0.500"],
    ]


def test_an_estimate_in_a_cell_is_written_with_its_interval(shown: list) -> None:
    share = Estimate(value=0.5, lower=0.4, upper=0.6, unit="share", n=100)
    door("zh").table(pd.DataFrame({"g": ["a"], "s": [share], "x": [float("nan")]}), id="t", title="表", n=None)
    assert shown[0][0][TABLE_MIME]["rows"] == [["a", "50.0% (40.0% 至 60.0%)", "–"]]


def test_what_jupyterlab_shows_of_a_table_is_escaped(shown: list) -> None:
    door().table(pd.DataFrame({"<b>": ["<script>alert(1)</script>"]}), id="t", title="<i>", n=None)
    assert "<script>" not in shown[0][0]["text/html"]
    assert "<i>" not in shown[0][0]["text/html"]


def test_a_figure_is_the_same_bytes_twice_and_keeps_its_text(shown: list) -> None:
    for _ in range(2):
        fig, ax = figure()
        ax.plot([0, 1], [1, 0])
        ax.set_title("Survival")
        door().figure(fig, id="curve", title="Survival?", alt="A falling line.", smallest_group=50)
    assert shown[0][0][FIGURE_MIME] == shown[1][0][FIGURE_MIME]
    assert ">Survival</text>" in shown[0][0][FIGURE_MIME]
    assert shown[0][1]["lcm"]["alt"] == "A falling line."


def test_a_figure_needs_an_alt_text_and_large_groups(shown: list) -> None:
    fig, _ = figure()
    with pytest.raises(ModelError, match="figure 'curve' needs an alt text"):
        door().figure(fig, id="curve", title="t", alt=" ", smallest_group=None)
    door().figure(fig, id="curve", title="t", alt="a line", smallest_group=9)
    assert list(shown[0][0]) == [WITHHELD_MIME, "text/plain"]


def test_a_label_that_no_font_draws_is_warned_of_with_the_font_to_install(shown: list) -> None:
    fig, ax = figure()
    with mpl.rc_context({"font.family": ["DejaVu Sans"]}):
        ax.text(0, 0, "留存")
        with pytest.warns(MissingFontWarning, match="install fonts-noto-cjk"):
            door().figure(fig, id="curve", title="t", alt="a line", smallest_group=None)
    assert "留存" in shown[0][0][FIGURE_MIME]


def test_chinese_labels_are_drawn_without_a_warning(shown: list) -> None:
    fonts = {f.name for f in mpl.font_manager.fontManager.ttflist}
    if not fonts & {"Noto Sans CJK SC", "Noto Sans CJK JP"}:
        unavailable("no CJK font is installed (fonts-noto-cjk)")
    fig, ax = figure()
    ax.set_title("留存曲线 −1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        door().figure(fig, id="curve", title="t", alt="a line", smallest_group=None)
    assert "留存曲线" in shown[0][0][FIGURE_MIME]
