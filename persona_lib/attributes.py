"""The vocabulary of every other module: the 33 persona attributes of the paper (appendix A), in its order.

Names are the paper's, in lower case. Labels are the Census Bureau's wording (American Community Survey, PUMS data
dictionary 2019). Occupation and industry are the Bureau's groups: the three-letter prefixes of its detailed labels,
written out, each with the code at which it starts. Not applicable (the dictionary's `b`) is stored as missing, never as
a label. `Attribute.universe` tells the people for whom the attribute is not missing: for census attributes the Bureau's
universe, for others the people to whom we give it.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Attribute:
    """One attribute of a persona: the source of its values, and which values it can take.

    `pums` is the PUMS column that it is read from. `codes` maps that column's codes to labels, in the Bureau's order;
    with `grouped`, a code stands for all codes from it up to the next one. `universe` says for whom the attribute is
    not missing. `ordered` labels are in rising order. A numeric attribute is modeled in bands: `bands` are the lower
    edges of all bands but the first, and values are rounded to multiples of `grid` (0: by their size, as the Bureau
    rounds dollars).
    """

    name: str
    source: Literal["census", "survey", "written"]
    kind: Literal["categorical", "numeric", "text"]
    pums: str = ""
    codes: dict[int, str] = field(default_factory=dict)
    universe: str = "everyone"
    grouped: bool = False
    ordered: bool = False
    bands: tuple[int, ...] = ()
    grid: int = 1

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the values that a categorical attribute can take, in the Bureau's order."""
        return tuple(self.codes.values())

    @property
    def size(self) -> int:
        """Return how many codes a population model has for it: 0 for missing, then one per label or band, in order."""
        values = len(self.bands) + 1 if self.kind == "numeric" else len(self.labels)
        return 1 + values


def _codes(*labels: str) -> dict[int, str]:
    return dict(enumerate(labels, start=1))


def _census(
    name: str,
    pums: str,
    codes: dict[int, str],
    universe: str = "everyone",
    grouped: bool = False,
    ordered: bool = False,
) -> Attribute:
    return Attribute(name, "census", "categorical", pums, codes, universe, grouped, ordered)


def _written(name: str, universe: str = "everyone") -> Attribute:
    return Attribute(name, "written", "text", universe=universe)


_ADULTS = "18 years or older"


OLDEST = 99  # the Bureau's top code for age; each year of age is one band
# Dollars. The first band is a loss (below 0), the second exactly 0.
_INCOMES = (
    *(0, 1, 1_500, 3_000, 5_000),
    *range(7_500, 50_000, 2_500),
    *range(50_000, 100_000, 5_000),
    *(100_000, 110_000, 125_000, 137_500, 150_000, 175_000, 200_000, 250_000, 300_000, 400_000, 600_000),
)
NEVER_WORKED = "Unemployed and last worked 5 years ago or earlier or never worked"
_YES_NO = _codes("Yes", "No")
_WORKED = "16 years or older, and in the labor force or worked in the last 5 years"

_RACE = _codes(
    "White alone",
    "Black or African American alone",
    "American Indian alone",
    "Alaska Native alone",
    "American Indian and Alaska Native tribes specified; or American Indian or Alaska Native, not specified"
    " and no other races",
    "Asian alone",
    "Native Hawaiian and Other Pacific Islander alone",
    "Some Other Race alone",
    "Two or More Races",
)
_LANGUAGE = _codes(
    "English only",
    "Spanish",
    "Other Indo-European languages",
    "Asian and Pacific Island languages",
    "Other language",
)
_EDUCATION = _codes(
    "No schooling completed",
    "Nursery school, preschool",
    "Kindergarten",
    *(f"Grade {grade}" for grade in range(1, 12)),
    "12th grade - no diploma",
    "Regular high school diploma",
    "GED or alternative credential",
    "Some college, but less than 1 year",
    "1 or more years of college credit, no degree",
    "Associate's degree",
    "Bachelor's degree",
    "Master's degree",
    "Professional degree beyond a bachelor's degree",
    "Doctorate degree",
)
_EMPLOYMENT = _codes(
    "Civilian employed, at work",
    "Civilian employed, with a job but not at work",
    "Unemployed",
    "Armed forces, at work",
    "Armed forces, with a job but not at work",
    "Not in labor force",
)
_CLASS = _codes(
    "Employee of a private for-profit company or business, or of an individual, for wages, salary, or commissions",
    "Employee of a private not-for-profit, tax-exempt, or charitable organization",
    "Local government employee (city, county, etc.)",
    "State government employee",
    "Federal government employee",
    "Self-employed in own not incorporated business, professional practice, or farm",
    "Self-employed in own incorporated business, professional practice or farm",
    "Working without pay in family business or farm",
    NEVER_WORKED,
)
_INDUSTRY = {
    170: "Agriculture, forestry, fishing, and hunting",
    370: "Mining, quarrying, and oil and gas extraction",
    570: "Utilities",
    770: "Construction",
    1070: "Manufacturing",
    4070: "Wholesale trade",
    4670: "Retail trade",
    6070: "Transportation and warehousing",
    6470: "Information",
    6870: "Finance, insurance, and real estate",
    7270: "Professional, scientific, management, administrative, and waste management services",
    7860: "Educational services",
    7970: "Health care",
    8370: "Social assistance",
    8561: "Arts, entertainment, recreation, accommodation, and food services",
    8770: "Other services, except public administration",
    9370: "Public administration",
    9670: "Military",
    9920: NEVER_WORKED,
}
_OCCUPATION = {
    10: "Management",
    500: "Business operations",
    800: "Financial operations",
    1005: "Computer and mathematical",
    1305: "Architecture and engineering",
    1600: "Life, physical, and social science",
    2001: "Community and social service",
    2100: "Legal",
    2205: "Educational instruction and library",
    2600: "Arts, design, entertainment, sports, and media",
    3000: "Healthcare practitioners and technical",
    3601: "Healthcare support",
    3700: "Protective service",
    4000: "Food preparation and serving",
    4200: "Building and grounds cleaning and maintenance",
    4330: "Personal care and service",
    4700: "Sales",
    5000: "Office and administrative support",
    6005: "Farming, fishing, and forestry",
    6200: "Construction",
    6800: "Extraction",
    7000: "Installation, maintenance, and repair",
    7700: "Production",
    9005: "Transportation and material moving",
    9800: "Military",
    9920: NEVER_WORKED,
}
_MARITAL = _codes("Married", "Widowed", "Divorced", "Separated", "Never married or under 15 years old")
_HOUSEHOLD = _codes(
    "Married couple household",
    "Other family household: Male householder, no spouse present",
    "Other family household: Female householder, no spouse present",
    "Nonfamily household: Male householder: Living alone",
    "Nonfamily household: Male householder: Not living alone",
    "Nonfamily household: Female householder: Living alone",
    "Nonfamily household: Female householder: Not living alone",
)
_CHILDREN = _codes(
    "With related children under 5 years only",
    "With related children 5 to 17 years only",
    "With related children under 5 years and 5 to 17 years",
    "No related children",
)
_CITIZENSHIP = _codes(
    "Born in the U.S.",
    "Born in Puerto Rico, Guam, the U.S. Virgin Islands, or the Northern Marianas",
    "Born abroad of American parent(s)",
    "U.S. citizen by naturalization",
    "Not a citizen of the U.S.",
)
_MILITARY = _codes(
    "Now on active duty",
    "On active duty in the past, but not now",
    "Only on active duty for training in Reserves/National Guard",
    "Never served in the military",
)
# The dictionary's own values are Yes and No, which are clear only next to the column's full title.
_BIRTH = _codes("Gave birth to child within the past 12 months", "No child born within the past 12 months")
_HISPANIC = _codes(
    "Not Spanish/Hispanic/Latino",
    "Mexican",
    "Puerto Rican",
    "Cuban",
    "Dominican",
    "Costa Rican",
    "Guatemalan",
    "Honduran",
    "Nicaraguan",
    "Panamanian",
    "Salvadoran",
    "Other Central American",
    "Argentinean",
    "Bolivian",
    "Chilean",
    "Colombian",
    "Ecuadorian",
    "Paraguayan",
    "Peruvian",
    "Uruguayan",
    "Venezuelan",
    "Other South American",
    "Spaniard",
    "All Other Spanish/Hispanic/Latino",
)

ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("age", "census", "numeric", "AGEP", bands=tuple(range(1, OLDEST + 1))),
    _census("sex", "SEX", _codes("Male", "Female")),
    _census("race", "RAC1P", _RACE),
    Attribute("ancestry", "census", "text"),
    _census("household language", "HHL", _LANGUAGE, "people who live in households"),
    _census("education", "SCHL", _EDUCATION, "3 years or older", ordered=True),
    _census("employment status", "ESR", _EMPLOYMENT, "16 years or older"),
    _census("class of worker", "COW", _CLASS, _WORKED),
    _census("industry category", "INDP", _INDUSTRY, _WORKED, grouped=True),
    _census("occupation category", "OCCP", _OCCUPATION, _WORKED, grouped=True),
    _written("detailed job description", "people with an occupation, unless they never worked or long ago"),
    Attribute("income", "census", "numeric", "PINCP", universe="15 years or older", bands=_INCOMES, grid=0),
    _census("marital status", "MAR", _MARITAL),
    _census("household type", "HHT", _HOUSEHOLD, "people who live in households"),
    _census("family presence and age", "FPARC", _CHILDREN, "people who live in family households"),
    Attribute("place of birth", "census", "text"),
    _census("citizenship", "CIT", _CITIZENSHIP),
    _census("veteran status", "MIL", _MILITARY, "17 years or older"),
    _census("disability", "DIS", _codes("With a disability", "Without a disability")),
    _census("health insurance", "HICOV", _codes("With health insurance coverage", "No health insurance coverage")),
    Attribute("big five scores", "survey", "text", universe="12 years or older"),
    _written("defining quirks", "2 years or older"),
    _written("mannerisms", "2 years or older"),
    _written("personal time"),
    _written("lifestyle"),
    Attribute("ideology", "survey", "categorical", universe=_ADULTS),
    Attribute("political views", "survey", "categorical", universe=_ADULTS),
    Attribute("religion", "survey", "categorical"),
    _census("cognitive difficulty", "DREM", _YES_NO, "5 years or older"),
    _census(
        "ability to speak english",
        "ENG",
        _codes("Very well", "Well", "Not well", "Not at all"),
        "5 years or older who speak another language at home",
    ),
    _census("vision difficulty", "DEYE", _YES_NO),
    _census("fertility", "FER", _BIRTH, "women 15 to 50 years old"),
    _census("hearing difficulty", "DEAR", _YES_NO),
)

# Census columns beyond the 33 attributes. The state is not among them, because our microdata lack the records of
# California and Texas. People drawn from files with a state keep it (`census.read_pums`).
AUXILIARY: tuple[Attribute, ...] = (_census("hispanic origin", "HISP", _HISPANIC),)

BY_NAME: dict[str, Attribute] = {attribute.name: attribute for attribute in ATTRIBUTES + AUXILIARY}
NAMES: tuple[str, ...] = tuple(attribute.name for attribute in ATTRIBUTES)
COLUMNS: tuple[str, ...] = tuple(BY_NAME)
CENSUS: tuple[str, ...] = tuple(name for name, attribute in BY_NAME.items() if attribute.pums)
