"""What a notebook says about the models of its run."""

from persona_lib import runs
from persona_lib.model import Model


def test_each_model_is_named_once_and_only_the_embedded_one_is_called_too_small(tmp_path):
    writer = Model("planted", "http://127.0.0.1:9/v1", tmp_path / "store.sqlite")
    own = runs.limits([writer, writer]).data
    assert own.count("planted") == 1 and "http://127.0.0.1:9/v1" in own
    assert "135 million" not in own and "judges what it wrote" not in own
    embedded = runs.limits([Model("local", store=tmp_path / "store.sqlite"), writer], own_judge=True).data
    assert embedded.count("135 million") == 1 and "on this machine" in embedded
    assert embedded.count("judges what it wrote itself") == 1


def test_another_model_that_runs_here_is_not_taken_for_the_embedded_one(tmp_path):
    weights = tmp_path / "other.gguf"
    weights.write_bytes(b"GGUF and other weights")
    said = runs.limits([Model(str(weights), store=tmp_path / "store.sqlite")]).data
    assert "135 million" not in said and "on this machine" in said


def test_a_notebook_that_was_given_no_model_says_so():
    assert runs.limits([]).data == "- This run asked no model."
