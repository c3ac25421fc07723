"""The texts of a persona: quirks and mannerisms, lifestyle, personal time, the job in detail, ideology in free words.

Quirks and mannerisms are drawn from hand-written sets so that none contradicts the person; in the paper a language
model writes both (section 3.1). The other texts are written by a language model, as in the paper, or put together
from hand-written phrases, so that everything works without a model.
"""

import numpy as np
import pandas as pd
from pydantic import create_model

from .. import UserError
from ..model import LanguageModel
from ..model.reply import Reply
from ..templates import bounded
from ..templates import load as load_template
from . import phrases, predicates, profiles

SETS = {
    "detailed job description": "job",
    "personal time": "personal_time",
    "lifestyle": "lifestyle",
    "ideology": "ideology",
}
QUIRKS = {"defining quirks": "quirks", "mannerisms": "mannerisms"}
QUIRK_SHARES = (0.3, 0.45, 0.25)  # of people who get one, two and three phrases: our choice, no survey says
FALLBACK = "fallback"
SHARE_IDEOLOGY = 0.1  # of people whose ideology is put in free words: our choice, the paper shows single cases only


def quirks(people: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Draw each person's `defining quirks` and `mannerisms`.

    Args:
        people: indexed by `persona_id`, with the census columns and, where there are, the surveys' (somebody
            introverted gets no outgoing quirk).
        seed: with the id it settles what a person gets; who else is in the table doesn't matter.

    Returns:
        The index of `people`; in each column one to three phrases of different topics joined by '; ', missing for
        children under 3.
    """
    table = predicates.table(people)
    return pd.DataFrame({name: _several(table, name, seed) for name in QUIRKS})


def fallback(people: pd.DataFrame, seed: int, share_ideology: float = SHARE_IDEOLOGY) -> pd.DataFrame:
    """Write the open-ended attributes without a model, from data/job.yaml, personal_time, lifestyle and ideology.yaml.

    Args:
        people: indexed by `persona_id`, with the census columns and, where there are, the surveys'.
        seed: with the id it settles what a person gets; who else is in the table doesn't matter.
        share_ideology: of those who have an ideology, how many get it in free words on the same side; the others keep
            the label.

    Returns:
        The index of `people`; columns `detailed job description` (missing for who has no occupation), `personal time`,
        `lifestyle`, `ideology` (missing where the people have none), `written by` ('fallback') and `failure` (missing).
    """
    table = predicates.table(people)
    texts = {name: _compose(table, name, seed) for name in SETS}
    texts["ideology"] = texts["ideology"].where(_free(table, seed, share_ideology), table["ideology"])
    none = pd.Series(None, people.index, dtype="str")
    return pd.DataFrame(texts | {"written by": none.fillna(FALLBACK), "failure": none})


def by_model(
    people: pd.DataFrame,
    model: LanguageModel,
    seed: int,
    share_ideology: float = SHARE_IDEOLOGY,
    words: int = 30,
    templates: str | None = None,
) -> pd.DataFrame:
    """Let a model write the open-ended attributes, one structured call per person.

    Args:
        people, seed, share_ideology: as in `fallback`.
        model: the writer.
        words: about the most words of each text.
        templates: folder with a `write.txt` of the user's own.

    Returns:
        The columns of `fallback`. `written by` is the model's name, or 'fallback' where its reply can't be used; then
        all texts of the person are the hand-written ones and `failure` says why. A wording of ideology that leaves the
        label's side, as far as the words left, liberal, progressive, right and conservative tell, can't be used.
    """
    table, template = predicates.table(people), load_template("write", templates)
    written = fallback(people, seed, share_ideology)
    asked = written[[*SETS]].notna()
    asked["ideology"] = _free(table, seed, share_ideology)
    for wanted, those in asked.groupby([*SETS], sort=False):
        names = [name for name, want in zip(SETS, wanted, strict=True) if want]
        fields = {name: name.replace(" ", "_") for name in names}
        schema = create_model("Written", **{field: (bounded(words), ...) for field in fields.values()})
        values = {"words": words, "asked": ", ".join(f'"{field}"' for field in fields.values())}
        known = people.loc[those.index].drop(columns=[n for n in SETS if n in people and n != "ideology"])
        messages = [template.messages(values | {"persona": profiles.describe(row)}) for _, row in known.iterrows()]
        replies = model.ask(messages, schema=schema, step="writing")
        texts = pd.DataFrame([_texts(reply, fields) for reply in replies], those.index, dtype="str")
        good = texts["failure"].isna()
        if "ideology" in names:
            strayed = good & ~_same_side(table.loc[those.index], texts["ideology"])
            texts.loc[strayed, "failure"] = "ideology leaves the label's side"
            good &= ~strayed
        written.loc[those.index, "failure"] = texts["failure"]
        written.loc[good.index[good], [*names, "written by"]] = texts.assign(**{"written by": model.name})
    return written


def _texts(reply: Reply, fields: dict[str, str]) -> dict[str, str | None]:
    """One row: what the model wrote, on one line, and why it can't be used."""
    if reply.failure:
        return {"failure": reply.failure}
    texts = {name: " ".join(getattr(reply.value, field).split()) for name, field in fields.items()}
    empty = [name for name, text in texts.items() if not text]
    return texts | {"failure": f"nothing written for {', '.join(empty)}" if empty else None}


def _compose(table: pd.DataFrame, name: str, seed: int) -> pd.Series:
    """One phrase of each topic, joined; missing where no topic has one."""
    chosen, _ = phrases.draw(table, phrases.load(SETS[name]), seed)
    return phrases.join(chosen.to_numpy(), table.index)


def _several(table: pd.DataFrame, name: str, seed: int) -> pd.Series:
    chosen, keys = phrases.draw(table, phrases.load(QUIRKS[name]), seed)
    most = phrases.uniforms(table.index, [f"how many {name}"], seed)[:, 0]
    count = 1 + np.searchsorted(np.cumsum(QUIRK_SHARES)[:-1], most, side="right")
    first = np.argsort(keys.to_numpy(), axis=1)[:, : len(QUIRK_SHARES)]
    texts = np.take_along_axis(chosen.to_numpy(), first, axis=1)
    return phrases.join(np.where(np.arange(len(QUIRK_SHARES)) < count[:, None], texts, None), table.index)


def _free(table: pd.DataFrame, seed: int, share: float) -> pd.Series:
    """Who gets their ideology in free words."""
    if not 0 <= share <= 1:
        raise UserError(f"share_ideology must be from 0 to 1; it is {share!r}")
    return table["ideology"].notna() & (phrases.uniforms(table.index, ["free ideology"], seed)[:, 0] < share)


def _same_side(table: pd.DataFrame, texts: pd.Series) -> pd.Series:
    """Whether a wording is on its label's side: never on the other, and of a moderate on none."""
    label, text = (
        t["right"].astype(int) - t["left"].astype(int)
        for t in (table, predicates.table(pd.DataFrame({"age": table["age"], "ideology": texts})))
    )
    return (text == label) | (text == 0)
