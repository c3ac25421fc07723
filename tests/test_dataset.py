"""A data set on disk: the same rows after a kill, no call made twice, no other data set mixed in."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from endpoint import Endpoint
from test_preferences import write

from persona_lib import UserError, dataset
from persona_lib.model import Model
from persona_lib.store import Store


def people(n: int) -> pd.DataFrame:
    index = pd.Index([f"p{i}" for i in range(n)], name="persona_id")
    return pd.DataFrame({"age": [20 + i % 60 for i in range(n)], "sex": "Female"}, index=index)


def questions(n: int, heldout: int) -> pd.DataFrame:
    ids = [f"q{i}" for i in range(n)]
    split = ["heldout"] * heldout + ["train"] * (n - heldout)
    return pd.DataFrame({"prompt_id": ids, "prompt": [f"Why {i}?" for i in ids], "topic": "x", "prompt_split": split})


def build(url: str, folder: Path, n: int = 60, **settings) -> Path:
    sizes = {"train": 3, "seen": 2, "heldout": 1} | settings
    return dataset.build(people(n), questions(20, 6), Model("m", url), folder, **sizes)


def test_parts_hold_every_pair_once_and_a_second_build_asks_nothing(tmp_path):
    with Endpoint(write) as endpoint:
        folder = build(endpoint.url, tmp_path / "set")
        calls = len(endpoint.requests)
        pairs, persons, prompts = dataset.read(build(endpoint.url, folder))
        assert len(endpoint.requests) == calls <= 20 + 2 * 360
    assert len(list((folder / "pairs").iterdir())) == 3
    assert len(pairs) == 360 == pairs["pair_id"].nunique() and pairs["failure"].isna().all()
    assert pairs["use"].value_counts().to_dict() == {"train": 180, "seen_test": 120, "heldout_test": 60}
    assert len(persons) == 60 and set(persons["persona_split"]) == {"train", "unseen"} and len(prompts) == 20


def test_another_data_set_is_not_mixed_in(tmp_path):
    with Endpoint(write) as endpoint:
        folder = build(endpoint.url, tmp_path / "set", n=3)
        with pytest.raises(UserError, match="differs in train, words: choose another folder"):
            build(endpoint.url, folder, n=3, train=4, words=9)
        with pytest.raises(UserError, match="differs in personas, personas_hash"):
            build(endpoint.url, folder, n=4)
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "thesis.txt").touch()
        with pytest.raises(UserError, match="holds something else"):
            build(endpoint.url, tmp_path / "other", n=3)
    with pytest.raises(UserError, match="holds no pairs"):
        dataset.read(tmp_path / "other")


def test_after_a_kill_the_same_rows_come_out_and_no_call_that_was_answered_is_made_again(tmp_path):
    code = "import sys; from test_dataset import build; build(sys.argv[1], sys.argv[2])"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENAI_API_KEY": "x"}
    with Endpoint(write, delay_s=0.02) as endpoint:
        command = [sys.executable, "-c", code, endpoint.url, str(tmp_path / "set")]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("set/pairs/part-00000.parquet")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        made, kept = len(endpoint.requests), Store().counts()["replies"]
        assert 0 < kept < 700 and made - kept <= 64
        folder = build(endpoint.url, tmp_path / "set")
        assert len(endpoint.requests) - made <= 20 + 2 * 360 - kept
        whole = build(endpoint.url, tmp_path / "whole")
        pd.testing.assert_frame_equal(dataset.read(folder)[0], dataset.read(whole)[0])
