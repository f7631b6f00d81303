"""What a test does where the machine lacks a browser, a font or Spark."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def unavailable(reason: str) -> NoReturn:
    """Skip a test for want of something; where everything is installed (``LCM_CI``), fail it."""
    if os.environ.get("LCM_CI"):
        pytest.fail(f"{reason}; with LCM_CI set this is a failure")
    pytest.skip(reason)
