"""Shared by the tests of statistics."""

import importlib.util

import pytest
from places import ROOT

SCRIPT = ROOT / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def coverage():
    """Return the benchmark that simulates studies."""
    spec = importlib.util.spec_from_file_location("coverage_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
