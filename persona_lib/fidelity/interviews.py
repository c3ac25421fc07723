"""Interviews: ask models survey questions in the place of respondents, and compare with the respondents' own answers.

A model is compared with three baselines in one table: the majority's answer, the same model without the persona, and a
multinomial logit on the same attributes. How reliably people repeat their own answers to these questions is not known;
for a model it is measured by changing the order of the options. `evaluation` computes what the table shows.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from .. import UserError, personas, seeds
from ..model import LanguageModel, Messages
from ..personas import profiles, respondents
from ..personas.respondents import Survey, bands
from ..stats import intervals
from ..templates import Template
from ..templates import load as load_template
from .baselines import logit, majority

ITEM = intervals.ITEM
LETTERS = "ABCDEFG"
AGAIN: profiles.Form = "prose"  # of the profile, where a question is put once more
TIED = 1e-9  # probabilities that differ by no more are equal


def ask(
    survey: Survey,
    model: LanguageModel,
    persona: bool = True,
    orders: int = 2,
    seed: int = 0,
    templates: str | None = None,
    form: profiles.Form = "list",
) -> pd.DataFrame:
    """Ask a model every question in every respondent's place, the options in randomly drawn orders.

    Args:
        survey: respondents and questions; a question is asked only of those who answered it.
        model: the model that answers.
        persona: whether the model is told who answers. If not, each question is sent once per order for everybody.
        orders: in how many different orders each question shows its options, 1 to the number of options.
        seed: of the orders.
        templates: folder with a `survey.txt` and a `survey_nobody.txt` of the user's own.
        form: of the profile, as in `profiles.describe`.

    Returns:
        One row per respondent and question: `persona_id`, `prompt_id`, `source` (the model's name, and whether it was
        told who answers), one column per option with its probability (mean over the orders), `answer` (the likeliest
        option; missing on a tie), `confidence` (its probability), `flip` (whether the answer differs between orders),
        `in_first_order` and `in_last_order` (the answer in each; with one order the last and `flip` are missing),
        `p_first` (probability of the option shown first, mean over the orders; 1 / options if a place has no pull),
        `mass` (unnormalized probability of all options as the reply's first token, the lowest of the orders),
        `samples` (sampled replies that it is the share of, the most of the orders; 0 where tokens show it), `truth`
        (the respondent's answer), `score` (1 right, 0 wrong, missing), `choice_key` (of the replies in the store, in
        each order), `failure`.

    Raises:
        UserError: `orders` is below 1 or above the number of options.
    """
    template = load_template("survey" if persona else "survey_nobody", templates)
    items = survey.answers.dropna(subset="answer").merge(survey.questions, on="prompt_id", sort=False)
    items = items.sort_values([personas.ID, "prompt_id"], ignore_index=True)
    k = len(survey.options)
    shuffles = _orders(k, orders, len(items), seeds.rng("order of survey options", seed))
    described = profiles.texts(survey.people, form).to_dict() if persona else {}
    source = model.name if persona else f"{model.name}, told nothing"
    messages = _messages(template, items, described, survey.options, shuffles)
    replies = model.choices(messages, tuple(LETTERS[:k]), step=f"survey, {source}")
    shown = replies.probabilities.reshape(len(items), orders, k)  # items x orders x places
    chances = np.empty_like(shown)
    np.put_along_axis(chances, shuffles, shown, axis=2)  # items x orders x options
    answered = _answers(chances, survey.options)
    probabilities = dict(zip(survey.options, chances.mean(axis=1).T, strict=True))
    table = items[ITEM].assign(source=source, **probabilities).join(answered)
    mass = replies.mass.reshape(-1, orders).min(axis=1)
    samples = replies.samples.reshape(-1, orders).max(axis=1)
    table = table.assign(p_first=shown[:, :, 0].mean(axis=1), mass=mass, samples=samples, truth=items["answer"])
    table["choice_key"] = pd.Series(replies.trail(orders), table.index, dtype="str")
    return _scored(table, replies.why(orders))


def _scored(table: pd.DataFrame, why: Sequence[str | None]) -> pd.DataFrame:
    """Add `score` and `failure` as in `ask`.

    Args:
        table: columns `answer`, `confidence`, `truth`.
        why: of each row, why there is no reply, or None.
    """
    answered = table["answer"].notna()
    score = (table["answer"] == table["truth"]).astype(float).where(answered)
    tied = ~answered & table["confidence"].notna()
    failure = pd.Series(why, table.index, dtype="str").mask(tied, "tie: no option is the likeliest")
    return table.assign(score=score, failure=failure)


def _orders(k: int, orders: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the orders of each item's options, array (n, orders, k): a drawn one, then its rotations.

    Rotating by one, two, ... places shows each option in another place each time.

    Raises:
        UserError: there are not that many rotations.
    """
    if not 1 <= orders <= k:
        raise UserError(f"orders is {orders}, but {k} options can be shown in 1 to {k} different orders")
    drawn = np.argsort(rng.random((n, k)), axis=1)
    return np.stack([np.roll(drawn, step, axis=1) for step in range(orders)], axis=1)


def _messages(
    template: Template, items: pd.DataFrame, described: dict[str, str], options: Sequence[str], shuffles: np.ndarray
) -> Iterator[Messages]:
    """Yield the messages of each item in each of its orders; the store answers equal ones with one call."""
    for row, own in zip(items.itertuples(), shuffles, strict=True):
        for order in own:
            shown = [f"{LETTERS[place]}. {options[option]}" for place, option in enumerate(order)]
            profile = described.get(row.persona_id, "")
            yield template.messages({"persona": profile, "question": row.prompt, "options": "\n".join(shown)})


def _answers(chances: np.ndarray, options: Sequence[str]) -> pd.DataFrame:
    """Return what is answered: `answer`, `confidence`, `flip`, `in_first_order`, `in_last_order` as in `ask`.

    Args:
        chances: probabilities, items x orders x options; missing without a readable reply.
        options: their names.
    """
    names = np.array(options, dtype=object)
    mean = chances.mean(axis=1)  # items x options
    highest = mean.max(axis=1, keepdims=True)
    known = ~np.isnan(mean).any(axis=1)
    in_several_orders = known & (chances.shape[1] > 1)
    tied = np.isclose(mean, highest, rtol=0, atol=TIED).sum(axis=1) > 1
    likeliest = names[np.nan_to_num(mean).argmax(axis=1)]  # (items,)
    in_order = names[np.nan_to_num(chances).argmax(axis=2)]  # items x orders
    flip = (in_order != in_order[:, :1]).any(axis=1)
    return pd.DataFrame(
        {
            "answer": pd.Series(likeliest, dtype="str").where(known & ~tied),
            "confidence": highest[:, 0],
            "flip": pd.Series(flip, dtype="boolean").where(in_several_orders),
            "in_first_order": pd.Series(in_order[:, 0], dtype="str").where(known),
            "in_last_order": pd.Series(in_order[:, -1], dtype="str").where(in_several_orders),
        }
    )


def compare(
    survey: Survey,
    few: Survey,
    models: Sequence[LanguageModel],
    orders: int = 2,
    seed: int = 0,
    templates: str | None = None,
) -> pd.DataFrame:
    """Ask models in the respondents' places and add all baselines on the same respondents and questions.

    Args:
        survey: all respondents; majority and logit are computed from them.
        few: the respondents whose places the models take, from `respondents.sample`.
        models: the models that answer, each with the persona and without.
        orders, seed, templates: as in `ask`.

    Returns:
        The rows of `ask`, `baselines.majority` and `baselines.logit` together, with a column `item` (what the question
        is about, with the survey's name and year).
    """
    asked = [ask(few, model, persona, orders, seed, templates) for model in models for persona in (True, False)]
    predicted = [majority(survey), logit(survey, seed=seed)]
    shared = [rows[rows[personas.ID].isin(few.people.index)] for rows in predicted]
    table = pd.concat([*asked, *shared], ignore_index=True)
    table.insert(2, "item", table["prompt_id"].map(survey.questions.set_index("prompt_id")["item"]))
    return table


def again(
    few: Survey,
    models: Sequence[LanguageModel],
    n: int,
    orders: int = 2,
    seed: int = 0,
    templates: str | None = None,
) -> pd.DataFrame:
    """Ask models once more in the places of some respondents, with the same orders and the profile in another form.

    Args:
        few: as in `compare`.
        models: as in `compare`.
        n: respondents, drawn at random; 0 asks nobody.
        orders, seed, templates: as in `ask`.

    Returns:
        The rows of `ask`, with the profile in the form AGAIN; see `evaluation.retest`.
    """
    drawn = respondents.sample(few, max(n, 1), seed)
    asked = [ask(drawn, model, True, orders, seed, templates, AGAIN) for model in models if n]
    return pd.concat(asked, ignore_index=True) if asked else pd.DataFrame(columns=[*ITEM, "source", "answer"])


def with_groups(table: pd.DataFrame, survey: Survey, by: str) -> pd.DataFrame:
    """Add the respondents' groups to rows of `compare`.

    Args:
        table: rows of `compare`.
        survey: all respondents.
        by: the attribute to group by, in the bands of `respondents.bands`.

    Returns:
        The table with a column `by`, "not known" if the attribute is missing.

    Raises:
        UserError: the respondents have no such attribute.
    """
    groups = bands(survey.people)
    if by not in groups:
        raise UserError(f"the respondents have no attribute '{by}': choose one of {', '.join(groups)}")
    return table.assign(**{by: table[personas.ID].map(groups[by].fillna("not known"))})
