"""Stand-in models that write and judge preference pairs, and small data sets made with them."""

import json
import math
import re
from pathlib import Path

import pandas as pd
from endpoint import completion

from persona_lib.model import Model
from persona_lib.preferences import dataset


def write(body: dict, **ends: str) -> dict:
    """Reply as a writer whose texts show what it was asked; `ends` are appended to the field of that name."""
    fields = body["response_format"]["json_schema"]["schema"]["properties"]
    said = str(body["messages"])
    (field,) = fields
    age = re.search(r"age: (\d+)", said)
    texts = {"answer": "It depends on much.", "critique": f"I am {age and age[1]}.", "revision": "It depends."}
    return completion(json.dumps({field: texts[field] + ends.get(field, "")}))


def judging(p_good: float, p_place: float = 0.0, good: str = "GOOD", plain: str = "PLAIN"):
    """Return a judge: its probability of A depends on where the good answer is, plus a pull towards the first place."""

    def answer(body: dict) -> dict:
        text = str(body["messages"])
        good_first = text.find(good) < text.find(plain)
        p = min(max((p_good if good_first else 1 - p_good) + p_place, 0.001), 0.999)
        tokens = [{"token": t, "logprob": math.log(q), "bytes": None} for t, q in (("A", p), ("B", 1 - p))]
        reply = completion("A")
        reply["choices"][0]["logprobs"] = {"content": [tokens[0] | {"top_logprobs": tokens}]}
        return reply

    return answer


def people(n: int) -> pd.DataFrame:
    """Return n people of different ages."""
    index = pd.Index([f"p{i}" for i in range(n)], name="persona_id")
    return pd.DataFrame({"age": [20 + i % 60 for i in range(n)], "sex": "Female"}, index=index)


def questions(n: int, heldout: int) -> pd.DataFrame:
    """Return n prompts, the first `heldout` of them held out."""
    ids = [f"q{i}" for i in range(n)]
    split = ["heldout"] * heldout + ["train"] * (n - heldout)
    return pd.DataFrame({"prompt_id": ids, "prompt": [f"Why {i}?" for i in ids], "topic": "x", "prompt_split": split})


def build(url: str, folder: Path, n: int = 60, **settings) -> Path:
    """Build a data set of n people, written by the model at an address."""
    sizes = {"train": 3, "seen": 2, "heldout": 1} | settings
    return dataset.build(people(n), questions(20, 6), Model("m", url), folder, **sizes)
