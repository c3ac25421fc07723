"""The page that `make lab` opens: what is here, three things to try, the last run, and the map of notebooks.

It is a notebook of text alone, so that JupyterLab, Jupyter Notebook and editors show it as a page with links.
"""

from pathlib import Path
from textwrap import shorten

import nbformat
import pandas as pd
from ipykernel.ipkernel import IPythonKernel
from nbformat import v4

from ... import UserError, files
from ..planning import notebooks
from ..results import several

NAME = "START.ipynb"
MAIN = "06_conditioning"  # the notebook whose headline is seen at once
LONGEST = 240  # characters of a headline; the run's index page has it whole
_PAGES = {"Its index page": "index.html", "Every answer, critique and verdict": "items.html"}

_HERE = """\
# PERSONA workbench

Synthetic US personas, language models in their place, and what a model makes of knowing who asks. Each notebook below
reads like a section of a paper: change a parameter in its first cell, and run it again. Known replies come from the
response store or the committed recording; a model is asked only for new ones.

## Three things to try

1. **Meet the people.** Open [00_explore](../notebooks/00_explore.ipynb), run all cells, and search for *teacher*.
   Change one thing about a person, and ask a model the same question for both.
2. **Change an experiment.** Open [06_conditioning](../notebooks/06_conditioning.ipynb), raise `n_items` in the first
   cell of code, and run all cells: only what is new is asked.
3. **Make a run to keep.** In a terminal: `.venv/bin/persona run --preset smoke`. It writes pages that can be mailed,
   and one with every answer.
"""


def write(outputs: Path | None = None) -> Path:
    """Write the page into a folder beside notebooks/, by default outputs/, and return its path.

    The last run is told of those in subfolders of the folder; without one, how to make one.
    """
    outputs = outputs or files.ROOT / "outputs"
    # What the kernel would add, so that the page is not taken for changed when it is opened.
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    page = v4.new_notebook(metadata={"kernelspec": spec, "language_info": IPythonKernel.language_info})
    for i, text in enumerate((_HERE, _last(outputs), _map())):
        page.cells.append(v4.new_markdown_cell(text, id=f"start-{i}"))
    outputs.mkdir(parents=True, exist_ok=True)
    files.write(outputs / NAME, lambda half: nbformat.write(page, half))
    return outputs / NAME


def _last(outputs: Path) -> str:
    """Return what is told of the run in a folder that started last, with links from there."""
    try:
        told = several.read([outputs])
    except UserError:
        return "## The last run\n\nThere is none in outputs/ yet: `.venv/bin/persona run` makes one, in some minutes."
    run = told.runs[told.runs["problem"].isna()].sort_values("started").tail(1)
    if run.empty:
        return f"## The last run\n\nNone in outputs/ can be read: {told.runs['problem'].iloc[0]}"
    name, row = run.index[0], run.iloc[0]
    folder = Path(row["folder"]).name
    lines = [f"- [{page}]({folder}/{file})" for page, file in _PAGES.items() if (outputs / folder / file).is_file()]
    found = told.notebooks[told.notebooks["run"] == name].dropna(subset="headline")
    finds = [f"- **{one.notebook}** {shorten(one.headline, LONGEST, placeholder=' ...')}" for one in found.itertuples()]
    when = f"{row['started']:%Y-%m-%d %H:%M} UTC" if pd.notna(row["started"]) else "unknown time"
    head = f"**{folder}** (preset {row['preset']}, {row['status']}, {when}; asked: {row['models'] or 'no model'})"
    main = [line for line in finds if MAIN in line]
    folded = ["<details><summary>What each notebook found</summary>", "", *finds, "", "</details>"] if finds else []
    return "\n".join(["## The last run", "", head, "", *lines, *main, "", *folded]).strip()


def _map() -> str:
    """Return the map of notebooks, and where else to read."""
    found = [notebooks.find(stem) for stem in notebooks.stems()]
    rows = [f"| [{one.path.stem}](../notebooks/{one.path.name}) | {one.title} |" for one in found]
    more = (
        "[README](../README.md): presets, batches, your own people and questions. "
        "[docs/explore.md](../docs/explore.md): what the browser and the questions to two people can do."
    )
    return "\n".join(["## The notebooks", "", "| notebook | question |", "|---|---|", *rows, "", more])
