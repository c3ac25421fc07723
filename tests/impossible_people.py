"""Impossible people: each rule is a reason and a pandas query that must match nobody.

The rules follow the Bureau's universes and common sense. They were checked on 200,000 real people before any model was
fitted; the population model has its own list and never reads this one. Missing means not applicable.
"""

NEVER_WORKED = "Unemployed and last worked 5 years ago or earlier or never worked"
NEVER_MARRIED = "Never married or under 15 years old"
AT_WORK = "Civilian employed, at work"
HAS_JOB = "Civilian employed, with a job but not at work"
FORCES = ["Armed forces, at work", "Armed forces, with a job but not at work"]
EMPLOYED = [AT_WORK, HAS_JOB, *FORCES]
GOVERNMENT = [f"{level} government employee" for level in ("Local", "State", "Federal")]
GOVERNMENT[0] += " (city, county, etc.)"
ALONE_HIM = "Nonfamily household: Male householder: Living alone"
ALONE_HER = "Nonfamily household: Female householder: Living alone"
BEYOND_BACHELOR = ["Master's degree", "Professional degree beyond a bachelor's degree", "Doctorate degree"]
COLLEGE = ["Some college, but less than 1 year", "1 or more years of college credit, no degree", "Associate's degree"]
CHILDREN = "With related children"

IMPOSSIBLE: dict[str, str] = {
    "an age that no census records": "not 0 <= age <= 99",
    "a child who is or was married": f"age < 15 and `marital status` != '{NEVER_MARRIED}'",
    "a child in or out of the labor force": "age < 16 and not `employment status`.isna()",
    "an adult without employment status": "age >= 16 and `employment status`.isna()",
    "a child with a class of worker": "age < 16 and not `class of worker`.isna()",
    "a job without class of worker": f"`employment status` in {EMPLOYED} and `class of worker`.isna()",
    "a job for someone who never worked": (
        f"`employment status` in {EMPLOYED} and `class of worker` == '{NEVER_WORKED}'"
    ),
    "out of the labor force, yet unemployed": (
        f"`employment status` == 'Not in labor force' and `class of worker` == '{NEVER_WORKED}'"
    ),
    "an occupation without class of worker, or a class without occupation": (
        "`class of worker`.isna() != `occupation category`.isna()"
    ),
    "an industry without class of worker, or a class without industry": (
        "`class of worker`.isna() != `industry category`.isna()"
    ),
    "an occupation for someone who never worked": (
        f"(`class of worker` == '{NEVER_WORKED}') != (`occupation category` == '{NEVER_WORKED}')"
    ),
    "an industry for someone who never worked": (
        f"(`class of worker` == '{NEVER_WORKED}') != (`industry category` == '{NEVER_WORKED}')"
    ),
    "public administration by another employer than the government": (
        f"`industry category` == 'Public administration' and `class of worker` not in {GOVERNMENT}"
    ),
    "a soldier on a private payroll": (
        f"`employment status` in {FORCES} and `class of worker` != 'Federal government employee'"
    ),
    "a soldier in a civilian industry": f"`employment status` in {FORCES} and `industry category` != 'Military'",
    "a civilian at work in the military": (
        f"`employment status` in {[AT_WORK, HAS_JOB]} and"
        " (`industry category` == 'Military' or `occupation category` == 'Military')"
    ),
    "a military occupation in a civilian industry": (
        "`occupation category` == 'Military' and `industry category` != 'Military'"
    ),
    "a soldier who never served": (
        f"`employment status` in {FORCES} and `veteran status` == 'Never served in the military'"
    ),
    "active duty outside the armed forces": (
        f"`veteran status` == 'Now on active duty' and `employment status` not in {FORCES}"
    ),
    "a soldier past the age of service": f"`employment status` in {FORCES} and age > 65",
    "a child with military service": "age < 17 and not `veteran status`.isna()",
    "an adult without military status": "age >= 17 and `veteran status`.isna()",
    "a child with an income": "age < 15 and not income.isna()",
    "an adult with a missing income": "age >= 15 and income.isna()",
    "a toddler at school": "age < 3 and not education.isna()",
    "someone without a level of schooling": "age >= 3 and education.isna()",
    "a small child at grade school": "age < 5 and education.str.startswith('Grade', na=False)",
    "a child with a high school diploma": (
        "age < 15 and education in ['12th grade - no diploma', 'Regular high school diploma',"
        " 'GED or alternative credential']"
    ),
    "a child at college": f"age < 15 and education in {COLLEGE}",
    "a minor with a bachelor's degree": 'age < 18 and education == "Bachelor\'s degree"',
    "a teenager with an advanced degree": f"age < 20 and education in {BEYOND_BACHELOR}",
    "a toddler judged on English": "age < 5 and not `ability to speak english`.isna()",
    "a toddler judged on cognition": "age < 5 and not `cognitive difficulty`.isna()",
    "someone not asked about cognition": "age >= 5 and `cognitive difficulty`.isna()",
    "fertility of a man": "sex == 'Male' and not fertility.isna()",
    "fertility outside 15 to 50": "not 15 <= age <= 50 and not fertility.isna()",
    "a woman of 15 to 50 not asked about birth": "sex == 'Female' and 15 <= age <= 50 and fertility.isna()",
    "a household without language, or a language without household": (
        "`household type`.isna() != `household language`.isna()"
    ),
    "a family outside family households": (
        "(`household type`.isna() or `household type`.str.startswith('Nonfamily', na=False))"
        " and not `family presence and age`.isna()"
    ),
    "a family household without family": (
        "`household type`.str.contains('family household|Married', na=False)"
        " and not `household type`.str.startswith('Nonfamily', na=False) and `family presence and age`.isna()"
    ),
    "a woman as a man who lives alone": f"sex == 'Female' and `household type` == '{ALONE_HIM}'",
    "a man as a woman who lives alone": f"sex == 'Male' and `household type` == '{ALONE_HER}'",
    "a child who lives alone": f"age < 15 and `household type` in {[ALONE_HIM, ALONE_HER]}",
    "a child in a family without children": "age < 15 and `family presence and age` == 'No related children'",
    "a schoolchild in a family with small children only": (
        f"5 <= age < 15 and `family presence and age` == '{CHILDREN} under 5 years only'"
    ),
    "a toddler in a family with older children only": (
        f"age < 5 and `family presence and age` == '{CHILDREN} 5 to 17 years only'"
    ),
    "a difficulty without disability": (
        "(`cognitive difficulty` == 'Yes' or `vision difficulty` == 'Yes' or `hearing difficulty` == 'Yes')"
        " and disability != 'With a disability'"
    ),
    "a toddler's disability that is neither sight nor hearing": (
        "age < 5 and disability == 'With a disability' and `vision difficulty` == 'No' and `hearing difficulty` == 'No'"
    ),
    "an English-only home with another language": (
        "`household language` == 'English only' and not `ability to speak english`.isna()"
    ),
    "a person who lives alone, speaks only English and has another household language": (
        f"`household type` in {[ALONE_HIM, ALONE_HER]} and `household language` != 'English only'"
        " and `ability to speak english`.isna()"
    ),
    "an income above the Bureau's top codes": "income > 5_000_000 or income < -30_000",
}
