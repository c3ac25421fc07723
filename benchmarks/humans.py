"""Time the kit of the human study: write a study of the paper's size, then read and count 10,000 submissions.

    python benchmarks/humans.py                      # 20 x 10 x 4 pages, then 2,500 x 10 x 4 submissions
    python benchmarks/humans.py --submissions 100000

The submissions are simulated. Of every hundred, one is duplicated, one is truncated and one is answered too fast.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from persona_lib import annotation, personas, prompts
from persona_lib.annotation import assignments, submissions

WORDS = ["some", "people", "hold", "that", "it", "depends", "on", "what", "you", "can", "afford", "first", "of", "all"]


def items(n: int, questions: int = 10) -> pd.DataFrame:
    """Return n personas with their questions, and two answers of 60 words to each."""
    rng = np.random.default_rng(0)
    bank = prompts.load().head(questions)
    profiles = {persona: personas.describe(row) for persona, row in personas.sample(n, 0).iterrows()}
    table = pd.DataFrame({"persona_id": list(profiles), "profile": profiles.values()}).merge(
        bank[["prompt_id", "prompt"]], how="cross"
    )
    answers = rng.choice(WORDS, (len(table), 2, 60))
    return table.assign(first=[" ".join(a) for a in answers[:, 0]], second=[" ".join(a) for a in answers[:, 1]])


def submit(study: assignments.Study, folder: Path) -> None:
    """Write one file per assignment; on each item the choices lean to one side."""
    rng = np.random.default_rng(1)
    lean = rng.choice([0.2, 0.8], len(study.items))
    for n, a in enumerate(study.assignments):
        answers = []
        for i, question in enumerate(a.questions):
            right = question.item is None or rng.random() < lean[question.item]
            choice = question.first if right else {"A": "B", "B": "A"}[question.first]
            ms = 1000 if n % 100 == 2 else 20_000
            answers.append({"at": 1000 + 21_000 * (i + 1), "choice": choice, "ms": ms, "reason": f"it fits, {i}"})
        content = {"agreed": 1, "answers": answers, "assignment": a.id, "finished": 10**6, "format": assignments.FORMAT}
        content |= {"participant": None, "session": f"{n:x}", "started": 1}
        text = json.dumps(content | {"code": submissions.code(a.key, content)})
        (folder / f"{n}.json").write_text(text[:-20] if n % 100 == 1 else text)
        if n % 100 == 0:
            (folder / f"{n}-copy.json").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        table = items(20)
        began = time.perf_counter()
        pages = annotation.export(table, root / "study")
        print(f"{len(pages)} pages of 10 questions written in {time.perf_counter() - began:.2f} s")
        annotation.export(items(options.submissions // 4), root / "large")
        (inbox := root / "inbox").mkdir()
        submit(assignments.load(root / "large"), inbox)
        began = time.perf_counter()
        cpu = time.process_time()
        handed_in = annotation.read([inbox], root / "large")
        seen = time.perf_counter()
        tables = annotation.write(handed_in, root / "tables")
        ended = time.perf_counter()
        print(
            f"{len(handed_in)} submissions: read and verified in {seen - began:.1f} s, "
            f"{len(tables['votes'])} votes counted, agreement and intervals in {ended - seen:.1f} s; "
            f"{time.process_time() - cpu:.1f} s of CPU in total"
        )
        print(handed_in["status"].value_counts().to_string())
        print(tables["reliability"].loc["all"].drop(columns="note").to_string())


if __name__ == "__main__":
    main()
