"""Shared by all tests: no window, the folder of census microdata, and no skip that nobody named."""

import os
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("PERSONA_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of census microdata; where it is missing, the tests that read it are skipped."""
    if not (SHARED / "acs").is_dir():
        pytest.skip("no census microdata: set PERSONA_SHARED")
    return SHARED


@pytest.fixture(autouse=True)
def own_outputs(monkeypatch, tmp_path):
    """No test writes into outputs/, needs a key, or is led to another endpoint by the caller's environment."""
    monkeypatch.setenv("PERSONA_STORE", str(tmp_path / "responses.sqlite"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "PERSONA_OFFLINE", "PERSONA_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
