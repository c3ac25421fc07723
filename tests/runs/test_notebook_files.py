"""Notebook files: names, title, parameters and cells are read, a broken file is refused, a changed one is read anew."""

import os
import re
import sysconfig
import tempfile

import nbformat
import pytest
from nbformat import v4
from places import ROOT
from projects import write_notebook

from persona_lib import UserError, files
from persona_lib.runs.executing import kernels
from persona_lib.runs.pages import pages
from persona_lib.runs.planning import notebooks


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty project."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(files, "ROOT", tmp_path)
    return tmp_path


def write_cells(root, *cells) -> None:
    """Write a notebook 01_it of these cells and nothing else."""
    nbformat.write(v4.new_notebook(cells=list(cells)), root / "notebooks" / "01_it.ipynb")


def parameters(source: str):
    return v4.new_code_cell(source, metadata={"tags": ["parameters"]})


def test_stems_are_the_sorted_names_of_notebooks_only(root):
    for stem in ("02_b", "01_a"):
        write_notebook(root, stem)
    (root / "notebooks" / "dot.png").touch()
    assert notebooks.stems() == ["01_a", "02_b"] and notebooks.folder() == root / "notebooks"


def test_a_notebook_has_its_path_title_and_number_of_code_cells(root):
    write_notebook(root, "01_it", "1", "2")
    found = notebooks.find("01_it")
    assert found.path == root / "notebooks" / "01_it.ipynb"
    assert found.title == "What 01_it asks" and found.code_cells == 3  # with the parameters


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("## A `title` with **marks** ##\n\n# Another", "A title with marks"),
        ("Prose before it\n\n# Late", "Late"),
        ("#hashtag, not a heading", "01_it"),
        ("", "01_it"),
    ],
)
def test_the_title_is_the_first_heading_or_the_file_name(root, text, title):
    write_cells(root, v4.new_code_cell("# a comment"), v4.new_markdown_cell(text), parameters("n = 1"))
    assert notebooks.find("01_it").title == title


def test_parameters_are_literals_with_or_without_a_type(root):
    source = 'n: int = 8\nshare = -0.5\nmodels = ["a", "b"]\nrecording = None  # a comment\nmodel: str = "x"'
    write_cells(root, parameters(source))
    expected = {"n": 8, "share": -0.5, "models": ["a", "b"], "recording": None, "model": "x"}
    assert notebooks.find("01_it").parameters == expected
    write_cells(root, parameters(""))
    os.utime(root / "notebooks" / "01_it.ipynb", ns=(1, 1))
    assert notebooks.find("01_it").parameters == {}


@pytest.mark.parametrize("source", ["n = len('x')", "n: int", "a.b = 1", "n = 1\nn += 1", "print(1)", "n = ("])
def test_anything_but_literals_is_refused(root, source):
    write_cells(root, parameters(source))
    with pytest.raises(UserError, match=r"01_it.ipynb can't be run: it needs one cell tagged 'parameters'") as caught:
        notebooks.find("01_it")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cells", [[v4.new_code_cell("n = 1")], [parameters("n = 1"), parameters("m = 1")]])
def test_no_parameters_cell_or_two_are_refused(root, cells):
    write_cells(root, *cells)
    with pytest.raises(UserError, match="it needs one cell tagged 'parameters'"):
        notebooks.find("01_it")


@pytest.mark.parametrize("text", ["", "{", "[]", "not JSON"])
def test_a_file_that_is_not_a_notebook_is_refused(root, text):
    (root / "notebooks" / "01_it.ipynb").write_text(text)
    with pytest.raises(UserError, match="can't be run"):
        notebooks.find("01_it")


def test_a_file_is_read_once_and_anew_when_it_has_changed(root):
    path = root / "notebooks" / "01_it.ipynb"
    write_notebook(root, "01_it", parameters="n = 1")
    os.utime(path, ns=(1, 1))
    first = notebooks.find("01_it")
    assert notebooks.find("01_it") is first and first.parameters == {"n": 1}
    write_notebook(root, "01_it", parameters="n = 2")
    os.utime(path, ns=(2, 2))
    assert notebooks.find("01_it").parameters == {"n": 2}


def test_a_notebook_that_is_missing_is_named():
    with pytest.raises(UserError, match=r"no notebook .*99_none.ipynb: choose one of 00_explore"):
        notebooks.find("99_none")


def test_a_message_names_files_as_its_reader_sees_them(root, monkeypatch):
    here = root / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    said = f"no file ../here/a b.csv, '../data/x.csv'; {root}/notebooks/../here/y.csv: see https://a.example/../b"
    seen = f"no file a b.csv, '{root}/data/x.csv'; y.csv: see https://a.example/../b"
    assert notebooks.as_seen(said) == seen


def test_a_notebook_that_a_signal_cut_off_stays_as_it_is(tmp_path):
    path = tmp_path / "06.ipynb"
    path.write_text('{"cells": [')
    kernels.finish(path, "06_conditioning")
    assert path.read_text() == '{"cells": ['


def test_a_run_s_copy_says_what_it_is_and_names_no_path_of_the_machine(tmp_path):
    site, home = sysconfig.get_path("purelib"), os.path.expanduser("~")
    said = f"{site}/pandas/x.py:3: FutureWarning: old\n{tempfile.gettempdir()}/ipykernel_9/12.py:1: UserWarning: odd\n"
    said += f"{ROOT}/persona_lib/x.py:5: UserWarning: own\n{home}/mine.csv"
    cell = v4.new_code_cell("1", outputs=[v4.new_output("stream", name="stderr", text=said)])
    path = tmp_path / "06_conditioning.ipynb"
    state = {"application/vnd.jupyter.widget-state+json": {"state": {"a": {}}}}
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell("# T"), cell], metadata={"widgets": state}), path)
    kernels.finish(path, "06_conditioning")
    made = nbformat.read(path, 4)
    first, title, code = made.cells
    assert "persona run ... --only 06" in first.source and "`06_conditioning/`" in first.source
    assert title.source == "# T" and made.metadata["widgets"] == state, "it opens with its widgets"
    names = re.findall(r"^(\S+\.(?:py|csv))", code.outputs[0].text, re.M)
    assert names == ["pandas/x.py", "ipykernel_9/12.py", "persona_lib/x.py", "~/mine.csv"]
    assert "persona run ..." not in pages.page(path, "T"), "a page is no notebook"
