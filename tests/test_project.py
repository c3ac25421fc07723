"""The project's own promises: one list of dependencies, every notebook runs and is tested, no silent skips."""

import subprocess
import sys
import tomllib

import nbformat
import yaml
from places import ROOT

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
    from persona_lib.runs import presets

    assert {"smoke", "small", "paper"} <= set(presets.known())
    for name in presets.known():
        assert presets.plan(presets.load(name)), name


def test_every_notebook_follows_the_skeleton():
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        code = [c for c in cells if c.cell_type == "code"]
        assert cells[0].source.startswith("# ") and "Differs from the paper by" in cells[0].source, path
        assert [c for c in code if "parameters" in c.metadata.get("tags", [])] == code[:1], path
        assert code[-1].source.startswith("runs.record("), path
        assert all(len(c.source.splitlines()) <= 25 and "def " not in c.source for c in code), path
        assert all(c.execution_count for c in code), f"{path} has unexecuted cells"
        streams = {o.get("name") for c in code for o in c.outputs}
        assert "stderr" not in streams, f"{path} shows stderr"
        assert path.stat().st_size < 1_500_000, path


def test_importing_the_package_loads_no_other():
    code = "import sys; before = set(sys.modules); import persona_lib; print(*(set(sys.modules) - before))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["persona_lib"]


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
