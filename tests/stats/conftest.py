"""Shared by the tests of statistics."""

import gc
import importlib.util

import pytest
from places import ROOT

SCRIPT = ROOT / "benchmarks" / "coverage.py"


@pytest.fixture(autouse=True, scope="module")
def quick_collection():
    """Freeze what pytest has loaded: statsmodels collects garbage at each correction, and would scan it each time."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def coverage():
    """Return the benchmark that simulates studies."""
    spec = importlib.util.spec_from_file_location("coverage_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
