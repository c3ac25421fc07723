"""A run with a known key against an endpoint that repeats it wherever it can: no file or output contains it."""

import json
import os
import subprocess
import sys

import pytest
from endpoint import Endpoint, completion
from projects import write_notebook, write_preset

from persona_lib.store import Store

KEY = "sk-proj-0123456789abcdefSECRET"
PARAMETERS = 'model = "m"\nbase_url = None\nstop = False\nout = None'
ASK = """
import pandas as pd
from persona_lib import runs
from persona_lib.model import Model
from persona_lib.store import Store
model = Model(model, base_url, Store())
say = lambda *texts: [[{"role": "user", "content": text}] for text in texts]
replies = model.ask(say("fine", "echo in a final error", "echo in a passing error"), step="answers")
table = pd.DataFrame({"text": [r.text for r in replies], "failure": [r.failure for r in replies]})
print(table.to_string())
if stop:
    model.ask(say("refuse"))
runs.record(out, headline="Asked.", metrics={"n": 3}, tables={"replies": table}, figures={}, models=[model])
"""


@pytest.fixture
def root(tmp_path):
    """A project with two notebooks that ask; the second ends in an error."""
    root = tmp_path / "project"
    write_notebook(root, "01_ask", ASK, parameters=PARAMETERS)
    write_notebook(root, "02_stop", ASK, parameters=PARAMETERS)
    write_preset(root, "smoke", "about: Asks.\nnotebooks: {01_ask: , 02_stop: {stop: true}}")
    return root


@pytest.mark.parametrize("source", ["environment", ".env"])
def test_nothing_that_a_run_leaves_or_says_holds_the_key(root, tmp_path, source):
    def answer(body: dict) -> object:
        said = {"error": {"message": f"you sent {endpoint.headers['Authorization']}, {endpoint.headers}"}}
        text = body["messages"][0]["content"]
        statuses = {"echo in a final error": 400, "echo in a passing error": 501, "refuse": 401}
        return (statuses[text], said, {"Retry-After": "0"}) if text in statuses else completion(text)

    (tmp_path / "here").mkdir()
    environment = {**os.environ, "PERSONA_STORE": str(tmp_path / "r.sqlite")}
    if source == "environment":
        environment["OPENAI_API_KEY"] = KEY
    else:
        (tmp_path / "here" / ".env").write_text(f'OTHER=1\nexport OPENAI_API_KEY="{KEY}" # mine\n')
    program = f"""
from pathlib import Path
from persona_lib import cli, files
files.ROOT = Path({str(root)!r})
cli.app()
"""
    with Endpoint(answer) as endpoint:
        command = [sys.executable, "-c", program, "run", "--base-url", endpoint.url, "--out", str(tmp_path / "out")]
        done = subprocess.run(command, cwd=tmp_path / "here", env=environment, capture_output=True, timeout=120)
        assert endpoint.headers["Authorization"] == f"Bearer {KEY}"
    (tmp_path / "here" / ".env").unlink(missing_ok=True)
    assert Store(tmp_path / "r.sqlite").write_recording(tmp_path / "recording.jsonl") == 2
    (tmp_path / "log").write_bytes(done.stdout + done.stderr)

    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [entry["status"] for entry in manifest["notebooks"].values()] == ["done", "failed"]
    assert "refuses 'm': AuthenticationError" in manifest["notebooks"]["02_stop"]["error"]["message"]
    left = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    expected = "r.sqlite recording.jsonl log out/manifest.json out/index.html out/01_ask.ipynb out/01_ask.html "
    expected += "out/02_stop.ipynb out/02_stop.html out/01_ask/tables/replies.csv"
    assert left.keys() >= set(expected.split())
    assert b"Bearer [key]" in left["out/01_ask.ipynb"] and b"Bearer [key]" in left["recording.jsonl"]  # it was hidden
    assert not [name for name, content in left.items() if KEY.encode() in content or KEY[8:20].encode() in content]
