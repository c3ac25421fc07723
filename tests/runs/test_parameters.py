"""Parameters: each has a declared kind; a wrong value is one line before anything runs; texts stay as written."""

import math

import pytest

from persona_lib import UserError
from persona_lib.cli import options
from persona_lib.runs.planning import notebooks, parameters, presets


@pytest.mark.parametrize("stem", notebooks.stems())
def test_every_parameter_of_every_notebook_has_a_kind_that_its_default_fits(stem):
    for name, default in notebooks.find(stem).parameters.items():
        assert name in parameters.KINDS, f"declare {name} in persona_lib/runs/planning/parameters.py"
        parameters.check(stem, name, default, default)


def test_no_kind_is_left_of_a_parameter_that_is_gone():
    used = {name for stem in notebooks.stems() for name in notebooks.find(stem).parameters}
    assert set(parameters.KINDS) == used
    fields = presets.Pairs.model_fields
    for stem, name in parameters.OWN:
        assert name in (fields if stem == parameters.PAIRS else notebooks.find(stem).parameters)


def test_every_parameter_of_the_data_set_has_a_kind_that_its_default_fits():
    for name, field in presets.Pairs.model_fields.items():
        assert name in parameters.KINDS or (parameters.PAIRS, name) in parameters.OWN
        parameters.check(parameters.PAIRS, name, field.default, field.default)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("judge=4.1", "4.1"),
        ("judge=4.10", "4.10"),
        ("model=007", "007"),
        ("data=2024-05-13", "2024-05-13"),
        ("templates=1e-3", "1e-3"),
        ("prompts=a: b", "a: b"),
        ("personas=@home/x.csv", "@home/x.csv"),
        ("where=age > 64 and religion in ['Catholic', 'Jewish']", "age > 64 and religion in ['Catholic', 'Jewish']"),
        ("judge='a b'", "a b"),
        ("judge=null", None),
        ("judge=None", None),
        (" n = 060 ", 60),
        ("gap=1e-3", 0.001),
        ("mine=1:30", "1:30"),
        ("conditions=[direct, 'null']", ["direct", "null"]),
        ("groups={old: {age: {from: 65}}}", {"old": {"age": {"from": 65}}}),
    ],
)
def test_a_parameter_that_takes_a_text_is_taken_as_it_is_written_and_others_by_yaml_1_2(given, value):
    (read,) = parameters.read([given]).values()
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("stem", "name", "value", "takes"),
    [
        ("06_conditioning", "judge", 4.1, "a text, or null, not 4.1: write it in quotes"),
        ("03_preferences", "data", ["a"], "a text, or null, not .'a'."),
        ("06_conditioning", "model", "", "a text, not ''"),
        ("06_conditioning", "n_items", 0, "a whole number from 1, not 0"),
        ("06_conditioning", "n_items", 8.0, "a whole number from 1, not 8.0"),
        ("06_conditioning", "n_subtle", True, r"a whole number from 1, or null \(n_items\), not True"),
        ("06_conditioning", "words", -3, r"a whole number from 1, or null \(no length is asked for\), not -3"),
        ("06_conditioning", "conditions", "direct", r"a list of one text or more, such as \[a, b\], not 'direct'"),
        ("06_conditioning", "conditions", [], "a list of one text or more, .* not "),
        ("06_conditioning", "more_models", [4.1], "a list of texts, .* not "),
        ("06_conditioning", "use", "test", "one of train, seen_test, heldout_test, all, not 'test'"),
        ("06_conditioning", "seed", -1, "a whole number from 0 to 4294967295, not -1"),
        ("06_conditioning", "seed", True, "a whole number from 0 to 4294967295, not True"),
        ("04_leave_one_out", "left_out", ["ages"], "a list of the paper's attributes, .* not "),
        ("05_fidelity", "survey", "cses", "one of anes, gss, not 'cses'"),
        ("05_fidelity", "forms", ["poem"], "a list of list, prose, interview, not "),
        ("08_pass_at_k", "ks", [0, 1], "a list of whole numbers from 1, not "),
        ("08_pass_at_k", "temperature", math.inf, "a number from 0 to 2, not inf"),
        ("08_pass_at_k", "false_positive", 1, "a number from 0 to less than 1, not 1"),
        ("09_intersections", "gap", math.nan, "a number between 0 and 1, not nan"),
        ("09_intersections", "groups", {"old": {"age": {"from": math.nan}}}, "groups by name, .* not "),
        ("10_judges", "profiles", [["list", 1.5]], "a list of pairs of a form and a seed or null, .* not "),
        ("02_prompts", "n_prompts", -1, "a whole number from 0, not -1"),
    ],
)
def test_a_value_that_no_notebook_can_use_is_refused_where_notebooks_are_planned(stem, name, value, takes):
    with pytest.raises(UserError, match=f"parameter '{name}' of {stem} takes {takes}"):
        presets.plan(presets.load("smoke"), [stem], {name: value})


def test_a_list_that_names_something_twice_is_refused():
    with pytest.raises(UserError, match="parameter 'conditions' of 06_conditioning names direct twice: name it once"):
        presets.plan(presets.load("smoke"), ["06"], {"conditions": ["direct", "summary", "direct"]})
    kinds = {"profiles": [["list", 1], ["list", 2]], "ks": [1, 2]}
    for name, value in kinds.items():
        parameters.check("10_judges", name, value, ())


def test_0_prompts_to_sort_are_all_of_them():
    assert presets.plan(presets.load("smoke"), ["02"], {"n_prompts": 0})["02_prompts"]["n_prompts"] == 0


def test_a_parameter_of_a_users_own_notebook_takes_the_type_of_its_default():
    parameters.check("11_mine", "share", 1, 0.5)
    parameters.check("11_mine", "anything", [1, "x"], None)
    for value, default in ((True, 0.5), ("x", 1), (math.nan, None), ([math.inf], ())):
        with pytest.raises(UserError, match="parameter 'mine' of 11_mine takes "):
            parameters.check("11_mine", "mine", value, default)


@pytest.mark.parametrize(
    ("stem", "name", "value"),
    [
        ("02_prompts", "seed", 2**32),
        ("06_conditioning", "model", " "),
        ("08_pass_at_k", "ks", [1, 1, 2]),
        ("09_intersections", "groups", {"a": {"sex": []}}),
        ("09_intersections", "groups", {"": {"sex": "Female"}}),
    ],
)
def test_values_that_a_notebook_would_stumble_over_are_refused(stem, name, value):
    with pytest.raises(UserError, match=f"parameter '{name}' of {stem}"):
        parameters.check(stem, name, value, None)


def test_the_largest_seed_and_a_range_of_a_group_are_taken():
    parameters.check("02_prompts", "seed", 2**32 - 1, 0)
    groups = {"old": {"age": {"from": 65}}, "w": {"sex": "Female", "race": ["Asian"], "age": 40}}
    parameters.check("09_intersections", "groups", groups, {})


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(UserError, match="n_items twice"):
        parameters.read(["n_items=5", "n_items=6"])
    with pytest.raises(UserError, match="--base-url and -p base_url say the same"):
        options.options_given(None, "http://a.test/v1", ["base_url=http://b.test/v1"])


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("10", ["10_judges"]),
        ("06_cond", ["06_conditioning"]),
        ("1", ["01_personas"]),
        ("0", ["00_explore"]),
        ("1_", []),
        ("", []),
    ],
)
def test_a_notebook_is_named_by_its_number_and_not_by_a_part_of_it(name, chosen):
    smoke = presets.load("smoke")
    if chosen:
        assert list(presets.plan(smoke, [name])) == chosen
    else:
        with pytest.raises(UserError, match=f"unknown notebook '{name}'"):
            presets.plan(smoke, [name])


def test_a_preset_that_names_a_notebook_by_a_number_says_so(tmp_path):
    (tmp_path / "own.yaml").write_text("about: x\nnotebooks:\n  06:\n")
    with pytest.raises(UserError, match="is a number: write its whole name"):
        presets.load(str(tmp_path / "own.yaml"))
