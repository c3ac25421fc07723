"""Who can't be: combinations of census values that no person has, so that no drawn persona has them either.

Most follow from the Bureau's universes (who is asked what; data dictionary of the American Community Survey), some
from plain sense. A rule is symmetric, so the order in which a model draws the attributes doesn't matter to it: it
acts when the last of its attributes is drawn. Used by `census`.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from ..attributes import BY_NAME, NEVER_WORKED, OLDEST, Attribute

Value = int | str | None
Rule = dict[str, np.ndarray]


def _member(name: str, values: Iterable[Value]) -> np.ndarray:
    """For each code of the attribute, whether it is among the values (None: missing; income: its bands' numbers)."""
    attribute = BY_NAME[name]
    known = range(attribute.size - 1) if attribute.kind == "numeric" else attribute.labels
    return np.isin(np.arange(attribute.size), [(None, *known).index(value) for value in values])


def _never(name: str, values: Iterable[Value], when: Mapping[str, Iterable[Value]]) -> Rule:
    """Nobody for whom all of `when` holds has one of the values."""
    return {other: _member(other, of) for other, of in when.items()} | {name: _member(name, values)}


def _only(name: str, values: Iterable[Value], when: Mapping[str, Iterable[Value]]) -> Rule:
    """Whoever all of `when` holds for has one of the values."""
    return _never(name, values, when) | {name: ~_member(name, values)}


def _under(age: int) -> dict[str, range]:
    return {"age": range(age)}


def _from(age: int, to: int = OLDEST) -> dict[str, range]:
    return {"age": range(age, to + 1)}


def _iff(name: str, values: Iterable[Value], other: str, others: Iterable[Value]) -> list[Rule]:
    """The one has one of these values exactly when the other has one of those."""
    first, second = _only(name, values, {other: others}), _only(other, others, {name: values})
    return [first, second]


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

# Youngest age for each level of schooling: two years ahead of the usual age for the grades, plain sense above them.
YOUNGEST = {"Grade 1": 5, **{f"Grade {grade}": grade + 3 for grade in range(2, 12)}}
YOUNGEST |= dict.fromkeys(BY_NAME["education"].labels[14:20], 15)
YOUNGEST |= {"Bachelor's degree": 18} | dict.fromkeys(BY_NAME["education"].labels[21:], 20)

RULES: list[Rule] = [
    _never("age", MISSING, {}),
    # The Bureau's universes by age and sex: below it missing, within it not.
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
    _never("fertility", MISSING, {"sex": ["Female"]} | _from(15, 50)),
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
    # Language: a home is English only when nobody in it speaks another, and who lives alone speaks for the home.
    _only("ability to speak english", MISSING, {"household language": ["English only"]}),
    _never(
        "household language",
        BY_NAME["household language"].labels[1:],
        {"household type": ALONE.values(), "ability to speak english": MISSING},
    ),
    # Disability: below 5 only hearing and sight are asked about.
    *(_only("disability", ["With a disability"], {name: ["Yes"]}) for name in DIFFICULTIES),
    _only(
        "disability",
        ["Without a disability"],
        _under(5) | {"hearing difficulty": ["No"], "vision difficulty": ["No"]},
    ),
]


def rules_for(attributes: Iterable[Attribute]) -> list[Rule]:
    """Those of `RULES` that speak only of attributes which are among these, with the same labels and bands."""
    ours = {name: (a.labels, a.bands) for name, a in BY_NAME.items()}
    same = {a.name for a in attributes if ours.get(a.name) == (a.labels, a.bands)}
    return [rule for rule in RULES if same.issuperset(rule)]


def against(rules: Iterable[Rule], codes: Mapping[str, np.ndarray]) -> int:
    """How many people with these codes of all attributes some rule forbids."""
    broken = [np.logical_and.reduce([mask[codes[name]] for name, mask in rule.items()]) for rule in rules]
    return int(np.logical_or.reduce(broken).sum()) if broken else 0


def allowed(attribute: Attribute, codes: Mapping[str, np.ndarray], n: int, rules: Iterable[Rule] = RULES) -> np.ndarray:
    """Which codes of an attribute each of n people may still have, given the codes of their attributes so far.

    `codes` maps attribute names to arrays of n codes; the result is boolean, people x codes of the attribute.
    """
    name, mask = attribute.name, np.ones((n, attribute.size), dtype=bool)
    for rule in rules:
        others = [other for other in rule if other != name]
        if name in rule and all(other in codes for other in others):
            rows = np.logical_and.reduce([np.ones(n, dtype=bool), *(rule[other][codes[other]] for other in others)])
            mask[np.ix_(rows, rule[name])] = False
    return mask
