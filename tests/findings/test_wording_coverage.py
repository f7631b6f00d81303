"""Texts that no analysis owns."""

from __future__ import annotations

import pandas as pd

from lcm_research.findings.wording.audit import coverage_alt


def test_a_table_with_too_few_customers_in_every_month_is_said_to_have_them() -> None:
    monthly = pd.DataFrame(
        {"transactions": [float("nan")] * 2, "touchpoints": [3.0, 9.0]}, index=["2020-01", "2020-02"]
    )
    text = coverage_alt(monthly, "en")
    assert "too few customers in every month" in text
    assert "between 3 and 9 rows a month" in text
