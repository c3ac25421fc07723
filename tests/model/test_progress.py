"""Progress: a widget in a notebook, where a stream of errors looks like a failure, and seldom a line elsewhere."""

from endpoint import Endpoint, completion, echo, say
from nbclient import NotebookClient
from nbformat import v4
from places import ROOT

from persona_lib.model import Model
from persona_lib.model.asking import progress
from persona_lib.store import Store


def test_in_a_notebook_calls_are_shown_by_a_widget_and_nothing_is_printed(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with Endpoint(lambda body: completion("yes")) as endpoint:
        source = f"""
from persona_lib.model import Model
from persona_lib.model.asking.progress import Whole
model = Model("m", {endpoint.url!r})
with Whole("pairs", {{"asking": 2}}):
    model.ask([[{{"role": "user", "content": str(i)}}] for i in range(2)])
replies = model.ask([[{{"role": "user", "content": str(i)}}] for i in range(5)], step="five")
len(replies)"""
        notebook = v4.new_notebook(cells=[v4.new_code_cell(source)])
        NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    assert [out.output_type for out in outputs] == ["display_data", "display_data", "execute_result"], outputs
    assert outputs[-1].data["text/plain"] == "5"
    widgets = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    shown = [str(widget["state"]["value"]).split() for widget in widgets.values() if "value" in widget["state"]]
    assert ["pairs:", "100%"] in shown and ["2/2", "calls,"] in [text[:2] for text in shown]


def test_seldom_is_a_line_in_a_minute_and_none_at_the_ends(tmp_path, capsys, monkeypatch):
    with Endpoint(echo) as endpoint:
        model = Model("m", endpoint.url, Store(tmp_path / "s.sqlite"))
        with progress.seldom():
            model.ask(say("a", "b"), step="one")
            assert not capsys.readouterr().err
            monkeypatch.setattr(progress, "SELDOM_S", 0.0)
            model.ask(say("c", "d"), step="one")
            assert capsys.readouterr().err == "one: 1 of 2 done\none: 2 of 2 done\n"
        model.ask(say("e"), step="two")
    assert capsys.readouterr().err == "two: 0 of 1 done\ntwo: 1 of 1 done\n"
