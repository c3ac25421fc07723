"""The project's own promises: one list of dependencies, every notebook runs and is tested, no silent skips."""

import ast
import importlib
import subprocess
import sys
import tomllib

import nbformat
import pytest
import yaml
from places import ROOT

from persona_lib.runs.planning import notebooks

pytest_plugins = ["pytester"]

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements() -> set[str]:
    return {*project()["dependencies"], *project()["optional-dependencies"]["test"]}


def test_environment_yml_lists_the_same_packages_as_pyproject():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    *conda, pip = listed
    assert f"python{project()['requires-python']}" in conda
    own = {"pip", "--no-deps -e .", f"python{project()['requires-python']}"}
    assert {*conda, *pip["pip"]} - own == requirements()


def test_every_requirement_is_pinned_at_a_version_it_allows():
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    for requirement in map(Requirement, requirements()):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def test_every_notebook_has_an_entry_in_the_smoke_preset():
    preset = yaml.safe_load((ROOT / "params" / "smoke.yaml").read_text())
    assert set(preset["notebooks"]) == {path.stem for path in NOTEBOOKS}


def test_every_preset_sets_only_parameters_that_its_notebooks_have():
    from persona_lib.runs.planning import presets

    assert {"smoke", "small", "paper"} <= set(presets.known())
    for name in presets.known():
        assert presets.plan(presets.load(name)), name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_opened_by_hand_runs_as_the_smoke_preset_runs_it(path):
    preset = yaml.safe_load((ROOT / "params" / "smoke.yaml").read_text())
    own = notebooks.find(path.stem).parameters
    given = {name: value for name, value in preset["all"].items() if name in own} | preset["notebooks"][path.stem]
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
    assert given == {name: plain[name] for name in given}


ORDER = [
    "model", "base_url", "more_models", "judge", "judge_base_url", "prompts", "personas", "use",
    "n_personas", "n_prompts", "n_items", "words", "working_words", "critique_words",
    "seed", "templates", "recording", "out",
]  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_parameters_that_notebooks_share_come_in_one_order(path):
    shared = [name for name in notebooks.find(path.stem).parameters if name in ORDER]
    if path.stem != "00_explore":  # whose first parameters are its own
        assert shared == sorted(shared, key=ORDER.index)


ASK = [path for path in NOTEBOOKS if "model" in notebooks.find(path.stem).parameters and path.stem != "01_personas"]


@pytest.mark.parametrize("path", ASK, ids=lambda path: path.stem)
def test_a_notebook_that_asks_a_model_ends_with_what_its_run_cannot_say(path):
    cells = nbformat.read(path, as_version=4).cells
    (start,) = [i for i, c in enumerate(cells) if c.cell_type == "markdown" and "What this run cannot say" in c.source]
    assert any(c.cell_type == "code" and c.source.startswith("runs.limits(") for c in cells[start:])


def test_every_notebook_follows_the_skeleton():
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        code = [c for c in cells if c.cell_type == "code"]
        assert cells[0].source.startswith("# ") and "Differs from the paper by" in cells[0].source, path
        assert [c for c in code if "parameters" in c.metadata.get("tags", [])] == code[:1], path
        assert code[-1].source.startswith("runs.record("), path
        # The list of parameters may be longer: it has no logic.
        assert len(code[0].source.splitlines()) <= 30, path
        assert all(len(c.source.splitlines()) <= 25 and "def " not in c.source for c in code[1:]), path
        assert all(c.execution_count for c in code), f"{path} has unexecuted cells"
        streams = {o.get("name") for c in code for o in c.outputs}
        assert "stderr" not in streams, f"{path} shows stderr"
        assert path.stat().st_size < 1_500_000, path


def test_importing_the_package_loads_no_other():
    code = "import sys; before = set(sys.modules); import persona_lib; print(*(set(sys.modules) - before))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["persona_lib"]


WINGS = sorted(p.name for p in (ROOT / "persona_lib").iterdir() if (p / "__init__.py").is_file())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_opens_wings_only_and_uses_what_their_faces_hand_on(path):
    code = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")
    tree = ast.parse(code)
    opened = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "persona_lib":
            names = {alias.name for alias in node.names}
            if node.module == "persona_lib":
                opened |= names
                assert names <= {*WINGS, "attributes"}, f"{path.name} opens {names - set(WINGS)}"
                hidden = names & notebooks.find(path.stem).parameters.keys()
                assert not hidden, f"{path.name} has parameters of this name: import what it needs from {hidden}"
            else:
                assert node.module.count(".") == 1, f"{path.name} opens a room: {node.module}"
                handed_on = importlib.import_module(node.module).__all__
                assert names <= set(handed_on), f"{node.module} doesn't hand on {names - set(handed_on)}"
        assert not isinstance(node, ast.Import) or all("persona_lib" not in alias.name for alias in node.names)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in opened & set(WINGS)
        ):
            face = importlib.import_module(f"persona_lib.{node.value.id}")
            assert node.attr in face.__all__, f"{path.name}: {node.value.id}.{node.attr} is not handed on"


@pytest.mark.parametrize("wing", [w for w in WINGS if w not in ("local", "templates")])
def test_a_face_says_what_the_wing_is_for_and_names_what_it_hands_on(wing):
    face = importlib.import_module(f"persona_lib.{wing}")
    assert len(face.__doc__.split()) > 25 and all(hasattr(face, name) for name in face.__all__)
    assert (ROOT / "tests" / wing).is_dir(), "each wing's tests lie in a folder of its name"


def _lines(node: ast.AST) -> int:
    return node.end_lineno - node.lineno + 1


@pytest.mark.parametrize(
    "path", sorted((ROOT / "persona_lib").rglob("*.py")), ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_no_room_class_or_function_is_too_long_and_imports_within_functions_say_why(path):
    text = path.read_text()
    lines = text.splitlines()
    assert len(lines) <= 300
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, ast.ClassDef) or _lines(node) <= 200, f"class {node.name}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # The signature and docstring of a public function are its documentation, not its work.
            body = node.body[1:] if ast.get_docstring(node) else node.body
            assert not body or body[-1].end_lineno - body[0].lineno + 1 <= 50, f"function {node.name}"
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import | ast.ImportFrom) and path.parent.name != "cli":
                    assert "#" in lines[inner.lineno - 1], f"{path}:{inner.lineno}: say what the late import saves"


def test_the_readme_has_a_line_for_each_wing():
    tree = (ROOT / "README.md").read_text()
    assert [wing for wing in WINGS if f"      {wing}/" not in tree] == []


def test_ci_fails_on_a_skip_that_nobody_named(pytester, monkeypatch):
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    pytester.makepyfile(
        "import pytest\n@pytest.mark.skip(reason='not today')\ndef test_it(): pass\ndef test_other(): pass"
    )
    without = ("-p", "no:cacheprovider", "-p", "no:slipcover", "-o", f"pythonpath={ROOT / 'tests'}")
    monkeypatch.delenv("CI", raising=False)
    assert pytester.runpytest_subprocess(*without).ret == 0
    monkeypatch.setenv("CI", "true")
    result = pytester.runpytest_subprocess(*without)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*skipped without being named*test_it*not today*"])
