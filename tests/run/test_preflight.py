"""What is refused before anything starts because the counts cannot answer it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lcm_research.errors import StudyError
from lcm_research.run.preflight import CHECKS


@pytest.mark.parametrize("horizon_days", [-5, 0, 366])
def test_a_horizon_beyond_the_follow_up_is_refused_before_anything_starts(horizon_days: int) -> None:
    lcm: Any = SimpleNamespace(max_horizon_days=365, study=SimpleNamespace(churn=SimpleNamespace(window_days=180)))
    with pytest.raises(StudyError, match=rf"horizon_days={horizon_days} is outside the follow-up of 365 days"):
        CHECKS["01_churn_survival"](lcm, {"horizon_days": horizon_days})
