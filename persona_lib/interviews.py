"""Survey questions put to models in respondents' places, beside what those very people answered.

Each answer is held against yardsticks in one table: the majority's answer, the model without the persona, and a
multinomial logit on the same attributes (what they can tell at all). No test-retest of these questions is known here;
the model's own is that of its orders. Used by 05_fidelity.
"""

import numpy as np
import pandas as pd

from . import agreement, intervals, personas, wording
from .model import Model
from .respondents import Survey

ITEM = intervals.ITEM
LETTERS = "ABCDEFG"
MAJORITY, LOGIT = "the majority's answer", "multinomial logit on the attributes"


def ask(
    survey: Survey, model: Model, persona: bool = True, orders: int = 2, seed: int = 0, templates: str | None = None
) -> pd.DataFrame:
    """Put every question to the model in every respondent's place, the options in drawn orders.

    Args:
        survey: respondents and questions; only answered questions are put.
        model: offers `choose`, and has a `name`.
        persona: whether the model is told who answers; without, each question is put once per order for all.
        orders: how many different orders of the options each question is put in.
        seed: of the orders.
        templates: folder with a `survey.txt` and a `survey_nobody.txt` of the user's own.

    Returns:
        One row per respondent and question: `persona_id`, `prompt_id`, `source` (the model, and whether it was told),
        one column per option with its probability (the mean over the orders), `answer` (the likeliest), `confidence`
        (its probability), `flip` (whether the orders' answers differ), `truth`, `score` (1 where right), `failure`.
    """
    template = wording.load("survey" if persona else "survey_nobody", templates)
    items = survey.answers.dropna(subset="answer").merge(survey.questions, on="prompt_id", sort=False)
    items = items.sort_values([personas.ID, "prompt_id"], ignore_index=True)
    profiles = {i: personas.describe(row) for i, row in survey.people.iterrows()} if persona else {}
    options, k = survey.options, len(survey.options)
    rng = np.random.default_rng([seed, 71])
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
    shown = model.choose(messages, tuple(LETTERS[:k]), step=f"survey, {told}").reshape(len(items), orders, k)
    chances = np.empty_like(shown)
    np.put_along_axis(chances, shuffles, shown, axis=2)  # back into the survey's order
    mean = chances.mean(axis=1)
    known = ~np.isnan(mean).any(axis=1)
    best = np.nan_to_num(mean).argmax(axis=1)
    each = np.nan_to_num(chances).argmax(axis=2)
    table = items[[*ITEM]].assign(source=told, **dict(zip(options, mean.T, strict=True)))
    answer = pd.Series(np.array(options, dtype=object)[best], table.index, dtype="str").where(known)
    flip = pd.Series((each != each[:, :1]).any(axis=1), table.index).astype("boolean").where(known)
    why = np.where(known, None, "no reply, or none of the letters among the likeliest first tokens")
    return table.assign(
        answer=answer,
        confidence=mean.max(axis=1),
        flip=flip,
        truth=items["answer"],
        score=(answer == items["answer"]).astype(float).where(known),
        failure=pd.Series(why, table.index, dtype="str"),
    )


def _orders(k: int, orders: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """For each item `orders` permutations of k options, array (n, orders, k): a drawn one, and it turned round."""
    first = np.argsort(rng.random((n, k)), axis=1)
    turned = [first if step == 0 else np.roll(first, step, axis=1) for step in range(orders)]
    return np.stack(turned, axis=1)


def majority(survey: Survey) -> pd.DataFrame:
    """The yardstick that gives everybody the most frequent answer to each question: rows as of `ask`."""
    items = survey.answers.dropna(subset="answer").reset_index(drop=True)
    top = items.groupby("prompt_id")["answer"].agg(lambda a: a.value_counts().index[0])
    return _rows(items, items["prompt_id"].map(top), MAJORITY)


def logit(survey: Survey, folds: int = 5, seed: int = 0) -> pd.DataFrame:
    """The yardstick that knows the attributes and other people's answers: what they can tell at all.

    A multinomial logit per question on the respondents' attributes, cross-validated over people: nobody's answer is
    guessed from their own. Rows as of `ask`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = _features(survey.people)
    parts = []
    for _, own in survey.answers.dropna(subset="answer").groupby("prompt_id", sort=False):
        fit = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        cut = KFold(folds, shuffle=True, random_state=seed)
        guess = cross_val_predict(fit, features.loc[own[personas.ID]].to_numpy(), own["answer"].to_numpy(), cv=cut)
        parts.append(_rows(own, pd.Series(guess, own.index, dtype="str"), LOGIT))
    return pd.concat(parts, ignore_index=True)


def _features(people: pd.DataFrame) -> pd.DataFrame:
    """Attributes as numbers: categories as indicators, numbers with their squares, missing as a value of its own."""
    numbers = people.select_dtypes("number").astype(float)
    filled = numbers.fillna(numbers.mean())
    columns = [filled, (filled**2).add_suffix(" squared"), numbers.isna().add_suffix(" missing").astype(float)]
    words = people.drop(columns=numbers.columns)
    return pd.concat([*columns, pd.get_dummies(words, dummy_na=True).astype(float)], axis=1)


def _rows(items: pd.DataFrame, answer: pd.Series, source: str) -> pd.DataFrame:
    score = (answer == items["answer"]).astype(float)
    return items[[*ITEM]].assign(source=source, answer=answer, truth=items["answer"], score=score, failure=None)


def yardsticks(table: pd.DataFrame, by: str | None = None) -> pd.DataFrame:
    """How often each source is right and how far it agrees beyond chance.

    Args:
        table: rows of `ask`, `majority` and `logit` together.
        by: a further column to break down by, such as `prompt_id` or an attribute of the respondents.

    Returns:
        Index `source` (and `by`); `n`, `failed`, `rate`, `low`, `high`, `note` as in `intervals.rates`, and `kappa`,
        Cohen's with the respondents' answers, missing where undefined.
    """
    keys = ["source", *([by] if by else [])]
    rates = intervals.rates(table, by=keys if by else "source")
    kappas = {
        k: agreement.cohen_kappa(g["answer"], g["truth"]) for k, g in table.groupby(keys, sort=False, dropna=False)
    }
    kappas = kappas if by else {key[0]: value for key, value in kappas.items()}
    return rates.assign(kappa=pd.Series(kappas))


def distributions(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """How near the simulated answers of each group are to the real ones, and how much of their variety is left.

    Args:
        table: rows of `ask` for one source or several, with the column `by`.
        by: an attribute of the respondents.

    Returns:
        Index `source`, `by`; columns `n`, `distance` (mean over questions of the total variation distance between the
        simulated and the real distribution of answers), `variety` (simulated diversity of answers within the group over
        the real one, Gini-Simpson's, means over questions; below 1 the group is flattened).
    """
    rows = {}
    for key, own in table.dropna(subset="answer").groupby(["source", by], sort=False):
        shares = [pd.crosstab(own["prompt_id"], own[column], normalize="index") for column in ("answer", "truth")]
        said, true = shares[0].align(shares[1], fill_value=0.0)
        diversity = [1 - (share**2).sum(axis=1) for share in (said, true)]
        variety = diversity[0].mean() / diversity[1].mean() if diversity[1].mean() else np.nan
        rows[key] = {"n": len(own), "distance": (said - true).abs().sum(axis=1).mean() / 2, "variety": variety}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["source", by])


def caricature(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """Whether groups are told apart more than they differ: individuation and exaggeration.

    Args:
        table: as in `distributions`.
        by: an attribute of the respondents.

    Returns:
        Index `source`; `real` and `simulated` (mean distance between two groups' distributions of answers, over pairs
        of groups and questions), `exaggeration` (their ratio; above 1 groups are drawn further apart than they are),
        after the axes of CoMPosT (Cheng et al. 2023, arXiv 2310.11501).
    """
    rows = {}
    for source, own in table.dropna(subset=["answer", by]).groupby("source", sort=False):
        real, simulated = (_apart(own, by, column) for column in ("truth", "answer"))
        rows[source] = {"real": real, "simulated": simulated, "exaggeration": simulated / real if real else np.nan}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("source")


def _apart(own: pd.DataFrame, by: str, column: str) -> float:
    """Mean total variation distance between groups, over pairs of groups and questions."""
    shares = own.groupby(["prompt_id", by])[column].value_counts(normalize=True).unstack(fill_value=0.0)
    distances = [
        np.abs(one.to_numpy()[:, None] - one.to_numpy()[None]).sum(axis=2)[np.triu_indices(len(one), 1)].mean() / 2
        for _, one in shares.groupby(level=0)
        if len(one) > 1
    ]
    return float(np.mean(distances)) if distances else np.nan


def coverage(table: pd.DataFrame, steps: int = 10) -> pd.DataFrame:
    """How often a source is right where it is sure, if it may leave the rest unanswered.

    Args:
        table: rows of `ask`.
        steps: how many shares of answers are looked at.

    Returns:
        One row per source and share of items kept, the surest first: `source`, `coverage`, `confidence` (the least
        among those kept), `n`, `accuracy`. Items that failed are never answered, and count in the share.
    """
    rows = []
    for source, own in table.groupby("source", sort=False):
        surest = own.dropna(subset="score").sort_values("confidence", ascending=False, kind="stable")
        for step in range(1, steps + 1):
            kept = surest.head(round(len(own) * step / steps))
            if len(kept):
                least, right = kept["confidence"].iloc[-1], kept["score"].mean()
                rows.append([source, len(kept) / len(own), least, len(kept), right])
    return pd.DataFrame(rows, columns=["source", "coverage", "confidence", "n", "accuracy"])
