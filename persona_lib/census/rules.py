"""Forbid impossible people: combinations of census values that no real person has and no persona may have.

Most rules follow from the Bureau's universes (who is asked what; data dictionary of the American Community Survey),
some from common sense. A rule is symmetric, so it works for any order in which a model draws the attributes: it acts
when the last of its attributes is drawn.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from ..attributes import BY_NAME, NEVER_WORKED, OLDEST, Attribute

Value = int | str | None  # None: missing; of income: the number of a band
Rule = dict[str, np.ndarray]  # attribute -> which of its codes (codes,); nobody may match all of them


def _member(name: str, values: Iterable[Value]) -> np.ndarray:
    """Return, for each code of the attribute, whether it is among the values."""
    attribute = BY_NAME[name]
    known = range(attribute.size - 1) if attribute.kind == "numeric" else attribute.labels
    codes = (None, *known)
    return np.isin(np.arange(attribute.size), [codes.index(value) for value in values])


def _never(name: str, values: Iterable[Value], when: Mapping[str, Iterable[Value]]) -> Rule:
    """Return the rule that nobody who matches all of `when` has one of the values."""
    return {other: _member(other, of) for other, of in when.items()} | {name: _member(name, values)}


def _only(name: str, values: Iterable[Value], when: Mapping[str, Iterable[Value]]) -> Rule:
    """Return the rule that everybody who matches all of `when` has one of the values."""
    return _never(name, values, when) | {name: ~_member(name, values)}


def _under(age: int) -> dict[str, range]:
    return {"age": range(age)}


def _from(age: int, to: int = OLDEST) -> dict[str, range]:
    return {"age": range(age, to + 1)}


def _iff(name: str, values: Iterable[Value], other: str, others: Iterable[Value]) -> list[Rule]:
    """Return the rules that one attribute has one of these values exactly when the other has one of those."""
    return [_only(name, values, {other: others}), _only(other, others, {name: values})]


MISSING = (None,)
FORCES = ("Armed forces, at work", "Armed forces, with a job but not at work")
CIVILIAN = ("Civilian employed, at work", "Civilian employed, with a job but not at work")
GOVERNMENT = tuple(label for label in BY_NAME["class of worker"].labels if label.endswith("government employee"))
GOVERNMENT += ("Local government employee (city, county, etc.)",)
FAMILIES = BY_NAME["household type"].labels[:3]
ALONE = {"Male": "Nonfamily household: Male householder: Living alone"}
ALONE["Female"] = ALONE["Male"].replace("Male", "Female")
DIFFICULTIES = ("cognitive difficulty", "vision difficulty", "hearing difficulty")
UNDER_5, FROM_5_TO_17, _, NO_CHILDREN = BY_NAME["family presence and age"].labels

# Youngest age for each level of schooling: two years below the usual age for the grades, common sense above them.
YOUNGEST = {"Grade 1": 5, **{f"Grade {grade}": grade + 3 for grade in range(2, 12)}}
YOUNGEST |= dict.fromkeys(BY_NAME["education"].labels[14:20], 15)
YOUNGEST |= {"Bachelor's degree": 18} | dict.fromkeys(BY_NAME["education"].labels[21:], 20)

RULES: list[Rule] = [
    _never("age", MISSING, {}),
    # The Bureau's universes by age and sex: missing outside the universe, never missing inside.
    *(
        rule
        for name, age in [
            ("education", 3),
            ("cognitive difficulty", 5),
            ("income", 15),
            ("employment status", 16),
            ("veteran status", 17),
        ]
        for rule in (_only(name, MISSING, _under(age)), _never(name, MISSING, _from(age)))
    ),
    _only("ability to speak english", MISSING, _under(5)),
    _only("class of worker", MISSING, _under(16)),
    _only("fertility", MISSING, {"sex": ["Male"]}),
    _only("fertility", MISSING, _under(15)),
    _only("fertility", MISSING, _from(51)),
    _never("fertility", MISSING, {"sex": ["Female"], **_from(15, 50)}),
    *(_never(name, MISSING, _from(0)) for name, a in BY_NAME.items() if a.codes and a.universe == "everyone"),
    # Growing up.
    _only("marital status", ["Never married or under 15 years old"], _under(15)),
    *(_never("education", [level], _under(age)) for level, age in YOUNGEST.items()),
    # Work.
    _never("class of worker", MISSING, {"employment status": [*CIVILIAN, *FORCES, "Unemployed"]}),
    _only("employment status", ["Unemployed"], {"class of worker": [NEVER_WORKED]}),
    *(
        rule
        for name in ("industry category", "occupation category")
        for value in (None, NEVER_WORKED)
        for rule in _iff(name, [value], "class of worker", [value])
    ),
    *_iff("industry category", MISSING, "occupation category", MISSING),
    *_iff("industry category", [NEVER_WORKED], "occupation category", [NEVER_WORKED]),
    _only("class of worker", GOVERNMENT, {"industry category": ["Public administration"]}),
    # The armed forces.
    _only("age", range(17, 66), {"employment status": FORCES}),
    _only("age", range(17, 66), {"veteran status": ["Now on active duty"]}),
    _only("class of worker", ["Federal government employee"], {"employment status": FORCES}),
    _only("industry category", ["Military"], {"employment status": FORCES}),
    _only("industry category", ["Military"], {"occupation category": ["Military"]}),
    _never("industry category", ["Military"], {"employment status": CIVILIAN}),
    _never("occupation category", ["Military"], {"employment status": CIVILIAN}),
    _never("veteran status", ["Never served in the military"], {"employment status": FORCES}),
    _never("veteran status", ["Never served in the military"], {"industry category": ["Military"]}),
    _only("employment status", FORCES, {"veteran status": ["Now on active duty"]}),
    # Household and family.
    *_iff("household type", MISSING, "household language", MISSING),
    _only("family presence and age", MISSING, {"household type": [None, *BY_NAME["household type"].labels[3:]]}),
    _never("family presence and age", MISSING, {"household type": FAMILIES}),
    *(_only("sex", [sex], {"household type": [alone]}) for sex, alone in ALONE.items()),
    _never("household type", ALONE.values(), _under(15)),
    _never("family presence and age", [NO_CHILDREN], _under(15)),
    _never("family presence and age", [UNDER_5], _from(5, 14)),
    _never("family presence and age", [FROM_5_TO_17], _under(5)),
    # Language: a household is English only if nobody in it speaks another language. Whoever lives alone decides this.
    _only("ability to speak english", MISSING, {"household language": ["English only"]}),
    _never(
        "household language",
        BY_NAME["household language"].labels[1:],
        {"household type": ALONE.values(), "ability to speak english": MISSING},
    ),
    # Disability: under 5 the Bureau asks only about hearing and vision.
    *(_only("disability", ["With a disability"], {name: ["Yes"]}) for name in DIFFICULTIES),
    _only(
        "disability",
        ["Without a disability"],
        {**_under(5), "hearing difficulty": ["No"], "vision difficulty": ["No"]},
    ),
]


def rules_for(attributes: Iterable[Attribute]) -> list[Rule]:
    """Return those of `RULES` whose attributes are all among these, with the same labels and bands."""
    ours = {name: (a.labels, a.bands) for name, a in BY_NAME.items()}
    same = {a.name for a in attributes if ours.get(a.name) == (a.labels, a.bands)}
    return [rule for rule in RULES if same.issuperset(rule)]


def against(rules: Iterable[Rule], codes: Mapping[str, np.ndarray]) -> int:
    """Return how many people break a rule; `codes` maps each attribute to the codes of all people (people,)."""
    broken = [np.logical_and.reduce([mask[codes[name]] for name, mask in rule.items()]) for rule in rules]
    return int(np.logical_or.reduce(broken).sum()) if broken else 0


def allowed(attribute: Attribute, codes: Mapping[str, np.ndarray], n: int, rules: Iterable[Rule] = RULES) -> np.ndarray:
    """Return which codes of an attribute each person may still have, given the attributes drawn so far.

    Args:
        attribute: the attribute to draw next.
        codes: array (n,) of codes for each attribute drawn so far.
        n: number of people.
        rules: a rule applies if all its other attributes have been drawn.

    Returns:
        Boolean array (n x codes of the attribute).
    """
    name = attribute.name
    mask = np.ones((n, attribute.size), dtype=bool)
    for rule in rules:
        others = [other for other in rule if other != name]
        if name in rule and all(other in codes for other in others):
            matches = [rule[other][codes[other]] for other in others]  # one array (n,) per other attribute
            rows = np.logical_and.reduce([np.ones(n, dtype=bool), *matches])
            mask[np.ix_(rows, rule[name])] = False
    return mask
