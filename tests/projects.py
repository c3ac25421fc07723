"""Small projects with notebooks and presets of their own, for tests of runs."""

from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
from nbformat import v4

PARAMETERS = 'seed = 0\nn_items: int = 8\nshare = 0.5\nmodel = "local"\nbase_url = None\nrecording = "x"\nout = None'

GOOD = """
import json, os, sys
import pandas as pd, matplotlib.pyplot as plt
from persona_lib import local, runs
class Asked:
    identity = {"name": "tiny", "base_url": None, "weights_sha256": local.GGUF_SHA256}
    usage = dict(calls=5, cached=3, retried=0, reasked=2, failed=1)
    usage |= dict(tokens_in=40, tokens_out=9, tokens_cached=2, cost=0.0)
    steps = {"answering": usage}
with open(os.environ["PERSONA_PROGRESS"], "a") as file:
    told = {"ask": 0, "step": "answering", "total": 8, "usage": Asked.usage}
    file.writelines(json.dumps(told | {"done": done}) + "\\n" for done in (4, 8))
table = pd.DataFrame({"score": [0.25, 0.5]}, index=pd.Index(["direct", "summary"], name="condition"))
ax = table.plot.bar()
here = {"seaborn": str(("seaborn" in sys.modules, "seaborn" in globals()))}
here |= {"python": sys.executable, "folder": os.getcwd(), "store": os.environ["PERSONA_STORE"]}
runs.record(out, headline="Half <b>of</b> the answers & more \\"stand\\"", figures={"scores": ax}, models=[Asked()],
            tables={"scores": table}, metrics={"kept": 0.5, "unknown": float("nan"), "seed": seed, **here})
"""


def write_notebook(root: Path, stem: str, *cells: str, parameters: str = PARAMETERS) -> None:
    """Write a notebook with a heading, a parameters cell and code cells into a project's notebooks folder."""
    first = v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell(f"# What *{stem}* asks\n\n![a dot](dot.png)"), first])
    notebook.cells += [v4.new_code_cell(cell) for cell in cells]
    (root / "notebooks").mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, root / "notebooks" / f"{stem}.ipynb")


def write_preset(root: Path, name: str, text: str) -> None:
    (root / "params").mkdir(parents=True, exist_ok=True)
    (root / "params" / f"{name}.yaml").write_text(text)


def write_project(root: Path) -> Path:
    """Write a project with a good notebook, one that fails, and a preset that lists both."""
    write_notebook(root, "01_good", GOOD)
    plt.imsave(root / "notebooks" / "dot.png", np.zeros((2, 2)))
    write_notebook(root, "02_bad", "1", "raise ValueError('no <script>alert(1)</script> here\\nand a second line')")
    write_notebook(root, "03_unlisted", "raise RuntimeError('must not run')")
    write_preset(
        root, "smoke", "about: Tries & shows.\nall: {seed: 3}\nnotebooks:\n  02_bad:\n  01_good: {n_items: 4}\n"
    )
    return root
