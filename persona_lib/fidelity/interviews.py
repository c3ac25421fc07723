"""Survey questions put to models in respondents' places, beside what those very people answered.

Each answer is held against yardsticks in one table: the majority's answer, the model without the persona, and a
multinomial logit on the same attributes (what they can tell at all). No test-retest of these questions is known here;
the model's own is that of its orders. Intervals are clustered by respondent and question; where there is one question
only, they are about that question, and clustered by respondent. Used by 05_fidelity.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .. import UserError, personas, seeds
from ..model import Model
from ..personas.respondents import Survey, bands
from ..stats import agreement, intervals
from ..templates import load as load_template
from .baselines import LOGIT, MAJORITY, logit, majority

ITEM = intervals.ITEM
LETTERS = "ABCDEFG"
ENDS = (("first", 0), ("last", -1))
KAPPA = ["estimate", "low", "high"]  # of `agreement.coefficients`


def ask(
    survey: Survey, model: Model, persona: bool = True, orders: int = 2, seed: int = 0, templates: str | None = None
) -> pd.DataFrame:
    """Put every question to the model in every respondent's place, the options in drawn orders.

    Args:
        survey: respondents and questions; only answered questions are put.
        model: offers `choose`, and has a `name`.
        persona: whether the model is told who answers; without, each question is put once per order for all.
        orders: how many different orders of the options each question is put in, up to as many as there are options.
        seed: of the orders.
        templates: folder with a `survey.txt` and a `survey_nobody.txt` of the user's own.

    Returns:
        One row per respondent and question: `persona_id`, `prompt_id`, `source` (the model, and whether it was told),
        one column per option with its probability (the mean over the orders), `answer` (the likeliest; missing on a
        tie), `confidence` (its probability), `flip` (whether the orders' answers differ), `in_first_order` and
        `in_last_order` (the answers there; with one order no last one and no flip are known), `p_first` (probability of
        the option shown first, the mean over the orders: 1 / options where the place has no pull), `truth`, `score` (1
        where right), `failure`.

    Raises:
        UserError: there are fewer options than orders.
    """
    template = load_template("survey" if persona else "survey_nobody", templates)
    items = survey.answers.dropna(subset="answer").merge(survey.questions, on="prompt_id", sort=False)
    items = items.sort_values([personas.ID, "prompt_id"], ignore_index=True)
    profiles = {i: personas.describe(row) for i, row in survey.people.iterrows()} if persona else {}
    options, k = survey.options, len(survey.options)
    rng = seeds.rng("order of survey options", seed)
    # Without a persona all that differs is question and order: a handful of calls, and the store has the rest.
    shuffles = _orders(k, orders, len(items), rng)
    messages = (
        template.messages(
            {"persona": profiles.get(row.persona_id, ""), "question": row.prompt}
            | {"options": "\n".join(f"{LETTERS[i]}. {options[j]}" for i, j in enumerate(order))}
        )
        for row, own in zip(items.itertuples(), shuffles, strict=True)
        for order in own
    )
    told = model.name if persona else f"{model.name}, told nothing"
    got = model.choices(messages, tuple(LETTERS[:k]), step=f"survey, {told}")
    shown = got.probabilities.reshape(len(items), orders, k)
    chances = np.empty_like(shown)
    np.put_along_axis(chances, shuffles, shown, axis=2)  # back into the survey's order
    mean = chances.mean(axis=1)
    known = ~np.isnan(mean).any(axis=1)
    best = np.nan_to_num(mean).argmax(axis=1)
    each = np.nan_to_num(chances).argmax(axis=2)
    table = items[[*ITEM]].assign(source=told, **dict(zip(options, mean.T, strict=True)))
    several = known & (orders > 1)
    flip = pd.Series((each != each[:, :1]).any(axis=1), table.index).astype("boolean").where(several)
    names = np.array(options, dtype=object)
    ends = {f"in_{end}_order": pd.Series(names[each[:, at]], table.index, dtype="str").where(known) for end, at in ENDS}
    ends["in_last_order"] = ends["in_last_order"].where(several)
    tied = np.isclose(mean, mean.max(axis=1, keepdims=True), rtol=0, atol=1e-9).sum(axis=1) > 1
    answer = pd.Series(names[best], table.index, dtype="str").where(known & ~tied)
    why = pd.Series(got.why(orders), table.index, dtype="str")
    return table.assign(
        answer=answer,
        confidence=mean.max(axis=1),
        flip=flip,
        **ends,
        p_first=shown[:, :, 0].mean(axis=1),
        truth=items["answer"],
        score=(answer == items["answer"]).astype(float).where(answer.notna()),
        failure=why.mask(known & tied, "tie: no option is the likeliest"),
    )


def _orders(k: int, orders: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """For each item `orders` permutations of k options, array (n, orders, k): a drawn one, and it turned round."""
    if not 1 <= orders <= k:
        raise UserError(f"{k} options can't be put in {orders} different orders, each turned on by one: take 1 to {k}")
    first = np.argsort(rng.random((n, k)), axis=1)
    turned = [first if step == 0 else np.roll(first, step, axis=1) for step in range(orders)]
    return np.stack(turned, axis=1)


def compare(
    survey: Survey,
    few: Survey,
    models: Sequence[Model],
    orders: int = 2,
    seed: int = 0,
    templates: str | None = None,
) -> pd.DataFrame:
    """Models in the respondents' places and all yardsticks, on the same respondents and questions.

    Args:
        survey: all respondents: from these majority and logit are worked out.
        few: the respondents that models are asked for, as from `respondents.sample`.
        models, orders, seed, templates: as in `ask`; each model is asked with the persona and without.

    Returns:
        Rows of `ask`, `majority` and `logit` together.
    """
    asked = [ask(few, model, told, orders, seed, templates) for model in models for told in (True, False)]
    known = [rows[rows[personas.ID].isin(few.people.index)] for rows in (majority(survey), logit(survey, seed=seed))]
    return pd.concat([*asked, *known], ignore_index=True)


def with_groups(table: pd.DataFrame, survey: Survey, by: str) -> pd.DataFrame:
    """The rows of `compare` with a column `by`: the respondents' groups, as in `respondents.bands`.

    Raises:
        UserError: the survey's respondents have no such attribute.
    """
    groups = bands(survey.people)
    if by not in groups:
        raise UserError(f"the respondents have no attribute '{by}': take one of {', '.join(groups)}")
    return table.assign(**{by: table[personas.ID].map(groups[by].fillna("not known"))})


def yardsticks(table: pd.DataFrame, by: str | None = None) -> pd.DataFrame:
    """How often each source is right and how far it agrees beyond chance.

    Args:
        table: rows of `ask`, `majority` and `logit` together.
        by: a further column to break down by, such as `prompt_id` or an attribute of the respondents.

    Returns:
        Index `source` (and `by`); `n`, `failed`, `rate`, `low`, `high`, `note` as in `intervals.rates`, and `kappa`,
        Cohen's with the respondents' answers, missing where undefined, with `kappa_low`, `kappa_high`.
    """
    keys = ["source", *([by] if by else [])]
    rates = _rates(table, keys)
    found = [
        agreement.coefficients(own["answer"], own["truth"], _clusters(own)).loc["Cohen's kappa", KAPPA]
        for _, own in table.groupby(keys, sort=False)
    ]
    kappas = pd.DataFrame(found, dtype=float).set_axis(rates.index)
    return rates.join(kappas.rename(columns=dict(zip(KAPPA, ["kappa", "kappa_low", "kappa_high"], strict=True))))


def _clusters(rows: pd.DataFrame) -> pd.DataFrame:
    """Labels of what the rows are a sample of: respondents, and questions if there are several."""
    return rows[ITEM if rows["prompt_id"].nunique() > 1 else [personas.ID]].reset_index(drop=True)


def _rates(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """As `intervals.rates`."""
    rows = {key: intervals.rate(own["score"], _clusters(own)) for key, own in table.groupby(keys, sort=False)}
    index = pd.MultiIndex.from_tuples(list(rows), names=keys)
    index = index.get_level_values(0) if len(keys) == 1 else index
    return pd.DataFrame(list(rows.values()), index, columns=["n", "failed", "rate", "low", "high", "note"])


def differences(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """How much more often a source is right than each of the others, on the same respondents and questions.

    Returns:
        As `intervals.paired_differences`, `source` the minuend of each row.

    Raises:
        UserError: the table has no such source.
    """
    if source not in (sources := table["source"].unique()):
        raise UserError(f"nothing was answered by '{source}': take one of {', '.join(map(repr, sources))}")
    wide = intervals.side_by_side(table, "source", "score")
    if len(wide.index.unique(level="prompt_id")) == 1:
        wide = wide.droplevel("prompt_id")
    others = [other for other in sources if other != source]
    rows = [
        {"minuend": source, "subtrahend": other, **intervals.difference(wide[source] - wide[other])} for other in others
    ]
    names = ["minuend", "subtrahend", "n", "failed", "difference", "low", "high", "p", "note"]
    result = pd.DataFrame(rows, columns=names)
    result.insert(8, "p_holm", intervals.corrected(result["p"]))
    return result


def repeatability(table: pd.DataFrame) -> pd.DataFrame:
    """How far each model's answers depend on the order of the options; no source can agree more with people than so.

    Args:
        table: rows of `ask`; what has no orders, such as the yardsticks, is left out.

    Returns:
        Index `source`; `n`, `failed`, `flips` (share of items whose answer the order decides) with `low`, `high`,
        `p_first` (mean probability of the option shown first), `kappa` (Cohen's of the answers in the first and in the
        last order) with `kappa_low`, `kappa_high`.
    """
    asked = table[~table["source"].isin([MAJORITY, LOGIT])]
    flips = _rates(asked.assign(score=asked["flip"].astype(float)), ["source"])
    rows = {}
    for source, own in asked.groupby("source", sort=False):
        found = agreement.coefficients(own["in_first_order"], own["in_last_order"], _clusters(own))
        rows[source] = [own["p_first"].mean(), *found.loc["Cohen's kappa", KAPPA]]
    more = pd.DataFrame.from_dict(rows, orient="index", columns=["p_first", "kappa", "kappa_low", "kappa_high"])
    return flips.rename(columns={"rate": "flips"}).drop(columns="note").join(more.astype(float))


def coverage(table: pd.DataFrame, steps: int = 10) -> pd.DataFrame:
    """How often a source is right where it is sure, if it may leave the rest unanswered.

    Args:
        table: rows of `ask`; what has no confidence, such as the yardsticks, is left out.
        steps: how many shares of answers are looked at.

    Returns:
        One row per source and share of items kept, the surest first: `source`, `coverage`, `confidence` (the least
        among those kept), `n`, `accuracy` with `low`, `high`. Items that failed are never answered, and count in the
        share.
    """
    rows = []
    for source, own in table[~table["source"].isin([MAJORITY, LOGIT])].groupby("source", sort=False):
        surest = own.dropna(subset="score").sort_values("confidence", ascending=False, kind="stable")
        for n in sorted({min(round(len(own) * step / steps), len(surest)) for step in range(1, steps + 1)} - {0}):
            kept = surest.head(n)
            right = intervals.rate(kept["score"], _clusters(kept))
            least = kept["confidence"].iloc[-1]
            rows.append([source, n / len(own), least, n, *(right[c] for c in ("rate", "low", "high"))])
    return pd.DataFrame(rows, columns=["source", "coverage", "confidence", "n", "accuracy", "low", "high"])


def findings(table: pd.DataFrame, model: str) -> pd.DataFrame:
    """What a model in the respondents' places can do and cannot, as far as this table shows it.

    Args:
        table: as from `compare`.
        model: its name.

    Returns:
        Index `claim`; `estimate` (a difference, or a kappa) with `low`, `high`, `n`, and `shown`: yes (all of the
        interval above 0), no (all below), or open. The intervals are those of single claims, not corrected.

    Raises:
        UserError: the table has no such model.
    """
    than = {MAJORITY: "the majority's answer", f"{model}, told nothing": "without the persona"}
    than |= {LOGIT: "a logit on the same attributes"}
    gains = differences(table, model).set_index("subtrahend")
    rows = {f"is right more often than {t}": gains.loc[s, ["difference", "low", "high", "n"]] for s, t in than.items()}
    own = table[table["source"] == model]
    pairs = {"agrees with the respondents beyond chance": ("answer", "truth")}
    pairs |= {"agrees with itself beyond chance in another order": ("in_first_order", "in_last_order")}
    for claim, (one, other) in pairs.items():
        found = agreement.coefficients(own[one], own[other], _clusters(own))
        rows[claim] = found.loc["Cohen's kappa", ["estimate", "low", "high", "n"]]
    columns = ["estimate", "low", "high", "n"]
    result = pd.DataFrame([list(row) for row in rows.values()], pd.Index(rows, name="claim"), columns)
    result = result.astype(dict.fromkeys(["estimate", "low", "high"], float))
    return result.assign(shown=np.select([result["low"] > 0, result["high"] < 0], ["yes", "no"], "open"))
