"""Shared by all tests: no window, the folder of census microdata, and no skip that nobody named."""

import gc
import os
import shutil
import signal
import sys
from functools import lru_cache
from pathlib import Path

import matplotlib
import pytest
from places import SHARED
from waits import LONG_S

matplotlib.use("Agg")
gc.disable()  # until all tests are imported
# What a shell starts in the background ignores Ctrl-C, and so would the processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of census microdata; where it is missing, the tests that read it are skipped."""
    if not (SHARED / "acs").is_dir():
        pytest.skip("no census microdata: set PERSONA_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def offline(tmp_path_factory) -> dict[str, str]:
    """The environment of a process without a network and with an empty store: only the recording can answer."""
    store = tmp_path_factory.mktemp("offline") / "empty.sqlite"
    return os.environ | {"PERSONA_OFFLINE": "1", "PERSONA_STORE": str(store)}


@pytest.fixture(scope="session")
def executed(tmp_path_factory, offline):
    """What nbval says of all notebooks in one process, and a folder with what some of them recorded."""
    import replayed  # imports much, for two files of tests

    return replayed.execute(tmp_path_factory.mktemp("executed"), offline)


@pytest.fixture(scope="session")
def replay(tmp_path_factory, executed) -> Path:
    """The folder of a run in which every reply came from the recording, of the notebooks that are looked at in it."""
    import replayed

    folder = tmp_path_factory.mktemp("replay") / "run"
    replayed.written(executed, folder)
    return folder


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; without it, tests of pages are skipped. An event loop runs while it is open."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        pytest.skip("no chromium: apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=1000 * LONG_S)
    flags = "no-sandbox disable-gpu disable-background-networking disable-component-update disable-sync no-first-run"
    with sync_playwright() as playwright:
        arguments = [f"--{flag}" for flag in flags.split()]
        chromium = playwright.chromium.launch(executable_path=program, args=arguments, timeout=1000 * LONG_S)
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def own_outputs(monkeypatch, tmp_path):
    """No test writes into outputs/, needs a key, or is led to another endpoint by the caller's environment."""
    monkeypatch.setenv("PERSONA_STORE", str(tmp_path / "responses.sqlite"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "PERSONA_OFFLINE", "PERSONA_PROGRESS", "PERSONA_STORE_BASE"):
        monkeypatch.delenv(name, raising=False)
    if sharing := sys.modules.get("persona_lib.model.limits.sharing"):
        sharing._PACES.clear()  # an earlier endpoint may have had the same port, and its pace is no news of this one


@pytest.fixture(autouse=True)
def drawn_once(request, monkeypatch):
    """A sample of people takes 0.6 s of a core: equal ones are drawn once, but where the draws are what is tested."""
    personas = sys.modules.get("persona_lib.personas")
    if not personas or request.path.parent.name in ("personas", "census"):
        return
    draw = personas.sampling.sample

    def sample(*arguments, **named):
        if len(arguments) > 2 or named.keys() & {"population", "writer", "checker"}:
            return draw(*arguments, **named)
        return _kept(draw, *arguments, **named).copy()

    monkeypatch.setattr(personas, "sample", sample)


@lru_cache(maxsize=None, typed=True)
def _kept(draw, *arguments, **named):
    return draw(*arguments, **named)


REPLAYED = ("runs/test_notebooks.py", "runs/test_pages.py")  # they look at one replayed run
LONGEST = (*REPLAYED, "runs/test_presets.py", "runs/test_planted.py", "runs/test_bench_notebooks.py")
LONGEST += ("personas/test_sampling.py", "annotation/test_questionnaire.py", "personas/test_browser.py")


def pytest_collection_modifyitems(items):
    """What takes longest comes first, so that no worker is left with it in the end."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get("/".join(item.path.parts[-2:]), len(places)))


def pytest_collection_finish():
    """What is imported by now stays: to look for garbage among it time and again takes a fourteenth of all time."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With several workers the tests of a file stay together, which share what they set up, and so do those files."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return (
                "replayed" if nodeid.startswith(tuple(f"tests/{name}" for name in REPLAYED)) else nodeid.split("::")[0]
            )

    return Together(config, log)


# Skips that CI accepts, by test id. Elsewhere a missing folder or program skips what needs it; CI has them all.
NAMED_SKIPS: set[str] = set()
_skips: dict[str, str] = {}


def pytest_runtest_logreport(report):
    """Note each skipped test and why."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _skips[report.nodeid] = str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr)


def pytest_sessionfinish(session):
    """In CI a skip that is not on the list is a failure: it would hide a test that never runs."""
    for test, reason in _skips.items():
        if os.environ.get("CI") and test not in NAMED_SKIPS:
            print(f"\nskipped without being named: {test}: {reason}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
