"""Calibrate the committed tables of `persona_lib.personas.psychographics`.

The tables are the effects behind religion, party and ideology, and the norms of the Big Five.

    python benchmarks/surveys.py FIGURES

FIGURES is a folder with the GSS tables (religion_gss_tables.csv, politics_gss_oneway.csv, politics_gss_twoway.csv,
politics_gss_joint_party_ideology.csv, origin_gss_ancestry_by_race.csv) and bigfive_ipipneo_norms_by_sex_age.csv.
People are drawn from the committed population. The script writes survey_effects.csv, survey_shares.csv and big_five.csv
into persona_lib/personas/data.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from raking import rake

from persona_lib.census import Population
from persona_lib.personas import origins, personality, psychographics
from persona_lib.personas.psychographics import RELIGIONS, crossed

PEOPLE = 400_000
GSS = "GSS 2024"
ROUNDS = 60
# Weight of the prior with which each row of a table is mixed, in respondents. The prior of two-way tables are their
# margins; of tables of two demographics, or of two outcomes by race, the model of the two-way tables.
PRIOR, PRIOR_3 = 3, 30
RESPONDENTS = 1_600  # effective number of respondents of GSS 2024

RELIG = (
    "Protestant", "Christian (unspecified)", "Inter-/non-denominational", "Catholic", "Jewish", "No religion",
    "Orthodox Christian", "Muslim", "Buddhist", "Hindu", "Other Eastern", "Native American", "Other",
)  # fmt: skip
# Small religions, from Pew: its Religious Landscape Study 2023-24 asked 36,908 adults, the GSS only 3,309.
PEW = {"Jewish": 0.0168, "Muslim": 0.0118, "Buddhist": 0.0108, "Hindu": 0.0093}
# Pew Research Center 2023, Religion Among Asian Americans (7,006 adults), with the weight of 200 respondents.
PEW_ASIAN = {
    "Catholic": 17,
    "Protestant": 16,
    "Buddhist": 11,
    "Hindu": 11,
    "Muslim": 6,
    "No religion": 32,
    "Other religion": 4,
}
PEW_RESPONDENTS = 200
# The same by ancestry, as far as the published summaries report it. From Buddhist on, all are estimates: we found no
# table of religions by these ancestries. Many Arabs in the US are Christians, and most Egyptians there are Copts. The
# shares of Muslims leave some of Pew's total to African Americans, so they are low rather than high. The GSS's table
# lists neither Orthodox Christians nor Ukraine (0.7% of its whites are Orthodox: few remain for other ancestries); two
# thirds of the GSS's six Israelis are Jewish.
FEW = {"Hindu": 0.0002, "Muslim": 0.0002, "Buddhist": 0.005}  # of whites
FEW_OF_OTHERS = {"Hindu": 0.0002, "Buddhist": 0.0035}
NO_HINDUS = {"Hindu": 0.0004, "Buddhist": 0.001}
EAST_ASIAN = {"Hindu": 0.0004, "Muslim": 0.004}
HERITAGE = {
    "Indian": {"Hindu": 0.48, "Muslim": 0.08, "Other religion": 0.1, "Protestant": 0.08, "Catholic": 0.07}
    | {"Buddhist": 0.01},
    "Chinese": EAST_ASIAN | {"No religion": 0.56},
    "Filipino": EAST_ASIAN | {"Catholic": 0.57, "Protestant": 0.17, "Buddhist": 0.01},
    "Japanese": EAST_ASIAN | {"No religion": 0.47},
    "Korean": EAST_ASIAN | {"Protestant": 0.45, "Catholic": 0.14},
    "Vietnamese": EAST_ASIAN | {"Buddhist": 0.37, "Catholic": 0.29},
    "Buddhist": {"Buddhist": 0.6, "Hindu": 0.01, "Muslim": 0.02},
    "Muslim": NO_HINDUS | {"Muslim": 0.62, "No religion": 0.2, "Catholic": 0.02},
    "Muslim or secular": NO_HINDUS | {"Muslim": 0.35, "No religion": 0.4, "Orthodox Christian": 0.04, "Jewish": 0.02},
    "Arab": NO_HINDUS | {"Muslim": 0.26, "Catholic": 0.27, "Orthodox Christian": 0.17, "No religion": 0.17},
    "Egyptian": NO_HINDUS | {"Orthodox Christian": 0.5, "Muslim": 0.28, "Catholic": 0.05, "No religion": 0.08},
    "Iranian": NO_HINDUS
    | {"Muslim": 0.25, "No religion": 0.42, "Jewish": 0.08, "Other religion": 0.09}
    | {"Catholic": 0.03, "Orthodox Christian": 0.02},
    "Ethiopian": NO_HINDUS | {"Orthodox Christian": 0.5, "Muslim": 0.12, "Catholic": 0.02, "No religion": 0.06},
    "African": NO_HINDUS | {"Catholic": 0.18, "Muslim": 0.06, "Orthodox Christian": 0.01, "No religion": 0.09},
    "Haitian or Brazilian": NO_HINDUS | {"Catholic": 0.48, "No religion": 0.14, "Muslim": 0.002},
    "Guyanese or Trinidadian": {"Hindu": 0.2, "Muslim": 0.05, "Catholic": 0.15, "No religion": 0.13}
    | {"Buddhist": 0.001},
    "Nepali": {"Hindu": 0.75, "Buddhist": 0.12, "Muslim": 0.01},
    "Armenian": FEW | {"Orthodox Christian": 0.6, "Catholic": 0.1, "Jewish": 0.001},
    "Orthodox": FEW | {"Orthodox Christian": 0.42, "Jewish": 0.03},
    "Ukrainian": FEW | {"Orthodox Christian": 0.05, "Catholic": 0.2, "Jewish": 0.1},
    "Israeli": FEW | {"Jewish": 0.66, "Orthodox Christian": 0.01},
}
# Whites by GSS ETHNIC, country of family origin: countries with few respondents are grouped with similar ones.
# Whites of heritage "Other" get the remainder.
COUNTRIES = {
    "Other": "american indian, american only, other european, other north america",
    "British": "england & wales, scotland",
    "Irish": "ireland",
    "German or Swiss": "germany, switzerland",
    "Nordic or Dutch": "denmark, finland, netherlands, norway, sweden",
    "French or Canadian": "belgium, france, french canada, other canada",
    "Italian or Portuguese": "italy, portugal",
    "Polish": "poland",
    "Central European": "austria, czechoslovakia, hungary, lithuania, yugoslavia",
    "Russian": "russia",
}
FAITHS = {"Protestant/other Christian": "Protestant", **{name: name for name in ("Catholic", "Jewish", "No religion")}}
FEW_BY_COUNTRY = {kind: FEW | {"Orthodox Christian": 0.001} for kind in COUNTRIES}
FEW_BY_COUNTRY["Russian"] = FEW | {"Orthodox Christian": 0.02}  # an estimate
NAMES = {"age_band": "age", "degree_l": "education", "raceeth": "race", "(overall)": "everyone"}
NAMES |= {"party4": "party", "polviews3": "leaning", "partyid7": "political views", "polviews7": "ideology"}

# Short forms of GSS labels in the figures. "Moderate" is also one of three groups of ideology, which keeps its name.
PRINTED = {"Independent (neither)": "Independent (neither, no response)", "Moderate": "Moderate, middle of the road"}


@dataclass
class Table:
    """A target table (rows: values of a column of `cells`; columns: of one of `outcomes`) and its effects so far."""

    other: str
    attribute: str
    target: pd.DataFrame  # joint shares
    effect: np.ndarray | None = None


class Model:
    """The joint shares of cells and outcomes, raked table by table."""

    def __init__(self, people: pd.DataFrame):
        table = psychographics.cells(people, np.zeros(len(people)))
        counts = table.value_counts(sort=False)
        self.cells, self.outcomes = counts.index.to_frame(index=False), psychographics.outcomes()
        self.weight = counts.to_numpy() / counts.sum()
        self.joint = np.repeat(self.weight[:, None], len(self.outcomes), axis=1) / len(self.outcomes)
        self.tables: list[Table] = []
        print(f"{len(self.cells):,} cells")

    def shares(self, other: str, attribute: str, joint: np.ndarray | None = None) -> pd.DataFrame:
        """Return the joint shares of a column of cells and one of outcomes."""
        joint = self.joint if joint is None else joint
        rows, columns = crossed(self.cells, other), crossed(self.outcomes, attribute)
        return pd.DataFrame(joint).groupby(rows.to_numpy()).sum().T.groupby(columns.to_numpy()).sum().T

    def fit(self, rounds: int = ROUNDS) -> float:
        """Rake to all tables; return the largest remaining distance (total variation)."""
        codes = []
        for table in self.tables:
            rows = pd.Index(table.target.index).get_indexer(crossed(self.cells, table.other))
            columns = pd.Index(table.target.columns).get_indexer(crossed(self.outcomes, table.attribute))
            assert (rows >= 0).all() and (columns >= 0).all(), (table.other, table.attribute)
            if table.effect is None:
                table.effect = np.zeros(table.target.shape)
            codes.append((rows, columns, np.eye(len(table.target))[rows].T, np.eye(table.target.shape[1])[columns]))
        for _ in range(rounds):
            worst = 0.0
            # The simplest tables come last: if tables contradict each other slightly, the last ones are met best.
            for table, (rows, columns, by_row, by_column) in zip(reversed(self.tables), reversed(codes), strict=True):
                now = by_row @ self.joint @ by_column
                worst = max(worst, abs(now - table.target.to_numpy()).sum() / 2)
                ratio = table.target.to_numpy() / now
                table.effect += np.log(ratio)
                self.joint *= ratio[:, columns][rows]
            # Each cell must have as many people as in the census; the factor for this depends on the cell alone.
            self.joint *= (self.weight / self.joint.sum(axis=1))[:, None]
            if worst < 1e-4:
                break
        return worst

    def pair(self, first: str, second: str, found: pd.DataFrame) -> None:
        """Add a table of joint shares of two outcomes, mixed with the independent table and scaled to their margins."""
        rows, columns = (self.shares("everyone", name).loc["all"] for name in (first, second))
        found = found.reindex(index=rows.index, columns=columns.index).to_numpy()
        mixed = RESPONDENTS * found / found.sum() + PRIOR * np.outer(rows, columns)
        met = pd.DataFrame(
            rake(mixed, [((0,), rows.to_numpy()), ((1,), columns.to_numpy())]), rows.index, columns.index
        )
        target = met.stack()
        target.index = [" and ".join(both) for both in target.index]
        self.tables.append(Table("everyone", f"{first} and {second}", target.to_frame("all").T))

    def distances(self) -> pd.DataFrame:
        """Compute how far each table is from its target (total variation)."""
        far = [abs(self.shares(t.other, t.attribute) - t.target).to_numpy().sum() / 2 for t in self.tables]
        return pd.DataFrame(
            {"other": [t.other for t in self.tables], "attribute": [t.attribute for t in self.tables]}
        ).assign(tvd=far)

    def add(self, other: str, attribute: str, found: pd.DataFrame, prior: float) -> None:
        """Add a table of conditional shares with their effective n (column n), mixed with the model so far.

        Missing cells are taken from the model; the result is scaled to the model's margins.
        """
        now = self.shares(other, attribute)
        given = now.div(now.sum(axis=1), axis=0)
        n = found["n"].reindex(now.index).fillna(0).to_numpy()[:, None]
        share = found.drop(columns="n").reindex(index=now.index, columns=now.columns).fillna(0).to_numpy()
        mixed = (n * share + prior * given) / (n * share.sum(axis=1, keepdims=True) + prior)
        seed = mixed.to_numpy() * now.sum(axis=1).to_numpy()[:, None]
        met = rake(seed, [((0,), now.sum(axis=1).to_numpy()), ((1,), now.sum(axis=0).to_numpy())])
        self.tables.append(Table(other, attribute, pd.DataFrame(met, now.index, now.columns)))


def read(figures: Path) -> pd.DataFrame:
    """Read all GSS 2024 tables: columns var1, var1_value, var2, var2_value, outcome, category, n, share; our names."""
    files = ("religion_gss_tables", "politics_gss_oneway", "politics_gss_twoway")
    table = pd.concat([pd.read_csv(figures / f"{name}.csv") for name in files], ignore_index=True)
    table = table[table["survey"] == GSS].rename(columns={"n_eff_group": "n"})
    table = table.replace({"var1": NAMES, "var2": NAMES, "outcome": NAMES | {"relig13": "religion"}})
    printed = table["outcome"].isin(["political views", "ideology"])
    table.loc[printed, "category"] = table.loc[printed, "category"].replace(PRINTED)
    religion = table["outcome"] == "religion"
    table.loc[religion, "category"] = table.loc[religion, "category"].map(dict(zip(RELIG, RELIGIONS, strict=True)))
    return table


def shares(table: pd.DataFrame, outcome: str, first: str, second: str | None = None) -> pd.DataFrame:
    """Return conditional shares of an outcome: rows are values of one or two variables, columns categories and n."""
    part = table[(table["outcome"] == outcome) & (table["var1"] == first)]
    part = part[part["var2"].isna() if second is None else part["var2"] == second]
    key = part["var1_value"] if second is None else part["var1_value"] + " and " + part["var2_value"]
    part = part.assign(key=key)
    return part.pivot_table(index="key", columns="category", values="share").assign(n=part.groupby("key")["n"].first())


def margins(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return overall shares of the three outcomes: small religions from Pew, the others in the ratio of the GSS."""
    found = {name: shares(table, name, "everyone").loc["(all)"].drop("n") for name in psychographics.COLUMNS[1:]}
    few = pd.Series(PEW)
    many = found["religion"].drop(few.index)
    found["religion"] = pd.concat([many / many.sum() * (1 - few.sum()), few])
    return {name: series / series.sum() for name, series in found.items()}


def asians(found: pd.DataFrame) -> pd.DataFrame:
    """Return the GSS religions by race, with the row of Asians mixed with Pew's shares."""
    row, n = found.loc["Asian non-Hispanic"], found.loc["Asian non-Hispanic", "n"]
    pew = pd.Series(PEW_ASIAN).reindex(row.index).fillna(0)
    mixed = (n * row + PEW_RESPONDENTS * pew / pew.sum()) / (n + PEW_RESPONDENTS)
    found.loc["Asian non-Hispanic"] = mixed
    found.loc["Asian non-Hispanic", "n"] = n + PEW_RESPONDENTS
    return found


def ancestries(model: Model, figures: Path) -> pd.DataFrame:
    """Return shares of the four faiths of FAITHS in each heritage of COUNTRIES; together they are those of whites.

    The GSS's table (2024, and 2016 and 2018) has the countries among people of each religion.
    """
    faith, white = model.shares("everyone", "faith").loc["all"], model.shares("race", "faith").loc["White non-Hispanic"]
    table = pd.read_csv(figures / "origin_gss_ancestry_by_race.csv")
    table = table[(table["group_var"] == "relig9") & (table["ethnic"] != "code 0")]  # 0: no answer
    kinds = {country: kind for kind, countries in COUNTRIES.items() for country in countries.split(", ")}
    key = [table["ethnic"].map(kinds).fillna("no white"), table["group"].map(FAITHS)]
    n = (table["share"] * table["n_eff_group"]).groupby(key).sum().unstack(fill_value=0)
    joint = n / n.sum() * faith[n.columns]
    size, found = n.sum(axis=1), joint.div(joint.sum(axis=1), axis=0)
    everyone = joint.sum() / joint.sum().sum()
    found = found.mul(size, axis=0).add(PRIOR * everyone).div(size + PRIOR, axis=0).drop("no white")
    weight = model.shares("heritage", "faith").sum(axis=1)
    for kind in ("Armenian", "Orthodox", "Ukrainian", "Israeli", "Arab", "Egyptian", "Iranian", "Muslim or secular"):
        white -= pd.Series(HERITAGE[kind]).mul(weight[kind]).reindex(white.index).fillna(0)
    weight["Other"] = white.sum() - weight[found.index.drop("Other")].sum()
    weight, white = weight[found.index], white[found.columns] / white[found.columns].sum()
    met = rake(found.to_numpy(), [((0,), weight.to_numpy()), ((1,), white.to_numpy() * weight.sum())])
    return pd.DataFrame(met, found.index, found.columns).div(met.sum(axis=1), axis=0).drop("Other")


def heritages(model: Model, figures: Path) -> pd.DataFrame:
    """Return religions by heritage: known shares, the rest in the ratio of the model; "Other" gets the remainder."""
    now = model.shares("heritage", "religion")
    given, total, faith = now.div(now.sum(axis=1), axis=0), now.sum(), pd.Series(psychographics.FAITH)
    found = {kind: pd.Series(known) for kind, known in HERITAGE.items()}
    within = total / total.groupby(faith).transform("sum")
    for kind, share in ancestries(model, figures).iterrows():
        few = pd.Series(FEW_BY_COUNTRY[kind])
        many = (within * faith.map(share)).dropna()
        rest = total.drop([*few.index, *many.index]).sum()
        found[kind] = pd.concat([few, many * (1 - few.sum() - rest)])
    for kind, known in found.items():
        rest = given.loc[kind].drop(known.index)
        given.loc[kind] = pd.concat([known, rest / rest.sum() * (1 - known.sum())])
    known, others = pd.Series(FEW_OF_OTHERS), given.drop("Other").mul(now.sum(axis=1).drop("Other"), axis=0)
    rest = (total - others.sum()).drop(known.index)
    assert rest.gt(0).all(), rest
    given.loc["Other"] = pd.concat([known, rest / rest.sum() * (1 - known.sum())])
    return given.assign(n=1e6)


def party_by_ideology(figures: Path) -> pd.DataFrame:
    joint = pd.read_csv(figures / "politics_gss_joint_party_ideology.csv")
    joint = joint[(joint["survey"] == GSS) & (joint["subgroup"] == "all") & (joint["party_var"] == "partyid7")]
    return joint.replace({"party": PRINTED, "ideology": PRINTED})


def outcome_pairs(figures: Path, table: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Return joint shares of two outcomes: political views and ideology, religion and party, religion and leaning."""
    joint = party_by_ideology(figures)
    found = {("political views", "ideology"): joint.pivot(index="party", columns="ideology", values="joint_share")}
    for name in ("party", "leaning"):
        weight = shares(table, name, "everyone").loc["(all)"].drop("n")
        found["religion", name] = shares(table, "religion", name).drop(columns="n").mul(weight, axis=0).T
    return found


def calibrate(people: pd.DataFrame, figures: Path) -> Model:
    model, gss = Model(people), read(figures)
    for name, share in margins(gss).items():
        model.tables.append(Table("everyone", name, share.to_frame("all").T.sort_index(axis=1)))
    model.fit()
    for by in ("sex", "age", "education", "race"):
        for name in ("religion", "political views", "ideology"):
            found = shares(gss, name, by)
            model.add(by, name, asians(found) if (by, name) == ("race", "religion") else found, PRIOR)
    model.add("nativity", "religion", shares(gss, "religion", "nativity"), PRIOR)
    for (first, second), found in outcome_pairs(figures, gss).items():
        model.pair(first, second, found)
    print(f"two-way tables: largest remaining distance {model.fit():.5f}")
    model.add("heritage", "religion", heritages(model, figures), PRIOR)
    print(f"with heritage: {model.fit():.5f}")
    for name in ("party", "leaning"):
        for by in (("age", "race"), ("age", "sex"), ("sex", "race"), ("race", "education"), ("age", "education")):
            model.add(" and ".join(by), name, shares(gss, name, *by), PRIOR_3)
    for name, found in by_race(model, figures, gss).items():
        model.add("race", name, found, PRIOR_3)
    print(f"with three-way tables: {model.fit():.5f}")
    last(model, figures)
    print(model.distances().round(4).to_string(index=False))
    return model


def last(model: Model, figures: Path) -> None:
    """Meet religion by heritage once more: the tables by race have moved that of small heritages."""
    tables, model.tables = model.tables, []
    model.add("heritage", "religion", heritages(model, figures), PRIOR)
    print(f"heritage before it is met last: {model.fit(rounds=1):.5f}")
    model.tables += tables


def by_race(model: Model, figures: Path, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return by race the joint shares of party and leaning, and of faith and party (the model's if the GSS is thin)."""
    joint = pd.read_csv(figures / "politics_gss_joint_party_ideology.csv")
    joint = joint[(joint["survey"] == GSS) & (joint["subgroup_var"] == "raceeth")]
    joint = joint.assign(both=joint["party"] + " and " + joint["ideology"], n=joint["n_eff_total"])
    parties = joint.pivot_table(index="subgroup", columns="both", values="joint_share")
    now = model.shares("race", "faith and party")
    faiths = now.div(now.sum(axis=1), axis=0)
    found = table[(table["var1"] == "race") & (table["var2"] == "party") & (table["outcome"] == "relig9")]
    for (race, party), part in found.groupby(["var1_value", "var2_value"]):
        faith = part["category"].replace({"Protestant/other Christian": "Protestant"})
        faith = faith.where(faith.isin(set(psychographics.FAITH.values())), "Other faith")
        columns = [f"{name} and {party}" for name in sorted(set(psychographics.FAITH.values()))]
        share = part["share"].groupby(faith.to_numpy()).sum().sort_index()
        faiths.loc[race, columns] = share.to_numpy() / share.sum() * faiths.loc[race, columns].sum()
    n = joint.groupby("subgroup")["n"].first()
    return {"party and leaning": parties.assign(n=n), "faith and party": faiths.assign(n=n.reindex(faiths.index))}


def effects(model: Model) -> pd.DataFrame:
    frames = []
    for table in model.tables:
        frame = pd.DataFrame(table.effect, table.target.index, table.target.columns)
        long = frame.rename_axis("other value").rename_axis("value", axis=1).stack().rename("effect").reset_index()
        long.insert(0, "attribute", table.attribute)
        long.insert(1, "other", table.other)
        frames.append(long)
    keys = ["attribute", "other", "value", "other value"]
    return pd.concat(frames).groupby(keys, sort=False)["effect"].sum().reset_index()  # heritage has two tables


def norms(people: pd.DataFrame, figures: Path) -> pd.DataFrame:
    """Return mean and spread of each trait by sex and age, in standard deviations of all US adults."""
    table = pd.read_csv(figures / "bigfive_ipipneo_norms_by_sex_age.csv").query("instrument == 'IPIP-NEO-120'")
    middle = {"under 21": 18, "21-40": 30, "41-60": 50, "over 60": 70}  # the age that represents the group's norm
    table = table.assign(sex=table["sex"].str.capitalize(), age=table["age_group"].map(middle))
    table = table.rename(columns={"domain": "trait", "mean_item_1to5": "mean", "sd_item_1to5": "spread"})
    table = table[["sex", "age", "trait", "mean", "spread"]].reset_index(drop=True)
    mean, spread = personality.norms_of(people, table)
    total = np.sqrt(mean.var(axis=0) + (spread**2).mean(axis=0))
    place = [personality.TRAITS.index(trait) for trait in table["trait"]]
    table["mean"] = (table["mean"] - mean.mean(axis=0)[place]) / total[place]
    table["spread"] /= total[place]
    return table.round(4)


def gss_shares(model: Model, figures: Path) -> pd.DataFrame:
    """Return two-way tables of GSS 2024 for people composed as in the census, like those of `distances.pair_shares`."""
    gss = read(figures)
    frames = []
    for name, other in psychographics.PAIRS:
        if other == "ideology":
            joint = party_by_ideology(figures)
            frame = joint.rename(columns={"party": "value", "ideology": "other value", "joint_share": "share"})
        else:
            given = shares(gss, name, other).drop(columns="n")
            if other in ("party", "leaning"):
                weight = shares(gss, other, "everyone").loc["(all)"].drop("n")
            else:
                weight = model.shares(other, name).sum(axis=1)
            frame = given.mul(weight, axis=0).rename_axis("other value").rename_axis("value", axis=1).stack()
            frame = frame.rename("share").reset_index()
        frames.append(
            frame.assign(attribute=name, other=other)[["attribute", "other", "value", "other value", "share"]]
        )
    return pd.concat(frames, ignore_index=True).round(6)


def main(figures: str) -> None:
    people = Population.load().sample(PEOPLE, seed=1)
    people = people.join(origins.draw(people, seed=1)).query("age >= 18").reset_index(drop=True)
    model = calibrate(people, Path(figures))
    effects(model).round(4).to_csv(psychographics.DATA / "survey_effects.csv", index=False)
    gss_shares(model, Path(figures)).to_csv(psychographics.DATA / "survey_shares.csv", index=False)
    norms(people, Path(figures)).to_csv(psychographics.DATA / "big_five.csv", index=False)
    for name in ("survey_effects", "survey_shares", "big_five"):
        print(f"{name}.csv: {(psychographics.DATA / f'{name}.csv').stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
