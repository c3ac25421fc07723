"""The texts of a persona: quirks and mannerisms, lifestyle, personal time, the job in detail, ideology in free words.

Quirks and mannerisms are drawn from hand-written sets, such that none contradicts the person; in the paper a language
model writes both (section 3.1). The other texts are written by a language model, as in the paper, or put together from
hand-written phrases: everything works without a model.
"""

from typing import Any

import numpy as np
import pandas as pd
from pydantic import create_model

from .. import UserError
from ..model import LanguageModel, Reply
from ..templates import load as load_template
from ..templates import text
from . import jobs, phrases, predicates, profiles

SETS = {
    "detailed job description": "job",
    "personal time": "personal_time",
    "lifestyle": "lifestyle",
    "ideology": "ideology",
}
QUIRKS = {"defining quirks": "quirks", "mannerisms": "mannerisms"}
QUIRK_SHARES = (0.3, 0.45, 0.25)  # of people who get one, two and three phrases: our choice, without a source
PHRASES = 3  # of a text whose topics data/topics.yaml weighs
FALLBACK = "fallback"
SHARE_IDEOLOGY = 0.1  # of people whose ideology is in free words: our choice, the paper shows only single cases


def quirks(people: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Draw each person's `defining quirks` and `mannerisms`.

    Args:
        people: indexed by `persona_id`, with the census columns and, if available, the surveys' (an introvert gets no
            outgoing quirk).
        seed: id and seed determine what a person gets; other people in the table do not matter.

    Returns:
        The index of `people`; in each column one to three phrases of different topics, joined by '; '. Missing for
        children under 2.
    """
    table = predicates.table(people)
    return pd.DataFrame({name: _several(table, name, seed) for name in QUIRKS})


def fallback(people: pd.DataFrame, seed: int, share_ideology: float = SHARE_IDEOLOGY) -> pd.DataFrame:
    """Write the open-ended attributes without a model, from the phrases in data/ and the titles of `jobs`.

    Args:
        people: indexed by `persona_id`, with the census columns and, if available, the surveys'.
        seed: id and seed determine what a person gets; other people in the table do not matter.
        share_ideology: share of those with an ideology (0 to 1) who get it in free words, on the same side; the others
            keep the label.

    Returns:
        The index of `people`; columns `detailed job description` (missing without an occupation), `personal time`,
        `lifestyle`, `ideology` (missing where the people's is missing), `written by` ('fallback') and `failure`
        (missing).

    Raises:
        UserError: the share is not from 0 to 1.
    """
    table = predicates.table(people)
    texts = {name: _job(table, seed) if name == jobs.JOB else _compose(table, name, seed) for name in SETS}
    texts["ideology"] = texts["ideology"].where(_free(table, seed, share_ideology), table["ideology"])
    none = pd.Series(None, people.index, dtype="str")
    return pd.DataFrame(texts | {"written by": none.fillna(FALLBACK), "failure": none})


def by_model(
    people: pd.DataFrame,
    model: LanguageModel,
    seed: int,
    share_ideology: float = SHARE_IDEOLOGY,
    words: int | None = 30,
    templates: str | None = None,
) -> pd.DataFrame:
    """Let a model write the open-ended attributes, one structured call per person.

    Args:
        people, seed, share_ideology: as in `fallback`.
        model: the writer.
        words: the most words asked for in each text; None asks for no length.
        templates: folder with a `write.txt` of the user's own.

    Returns:
        The columns of `fallback`. `written by` is the model's name, or 'fallback' where its reply is not usable: then
        all texts of the person are the hand-written ones, and `failure` says why. A wording of ideology that leaves the
        label's side, judged by the words left, liberal, progressive, right and conservative, is not usable.
    """
    table = predicates.table(people)
    template = load_template("write", templates)
    written = fallback(people, seed, share_ideology)
    asked = written[[*SETS]].notna()
    asked["ideology"] = _free(table, seed, share_ideology)
    told = people.drop(columns=[name for name in SETS if name in people and name != "ideology"])
    # People who need the same texts share a schema.
    for wanted, those in asked.groupby([*SETS], sort=False):
        names = [name for name, want in zip(SETS, wanted, strict=True) if want]
        fields = {name: name.replace(" ", "_") for name in names}
        types: dict[str, Any] = {field: (text(words), ...) for field in fields.values()}
        values = {"words": words, "asked": ", ".join(f'"{field}"' for field in types)}
        personas = profiles.texts(told.loc[those.index])
        messages = [template.messages(values | {"persona": persona}) for persona in personas]
        replies = model.ask(messages, schema=create_model("Written", **types), step="writing")
        rows = [_texts(reply, fields) for reply in replies]
        texts = pd.DataFrame(rows, those.index, [*names, "failure"], dtype="str")  # all columns, if all replies fail
        good = texts["failure"].isna()
        if "ideology" in names:
            strayed = good & ~_same_side(table.loc[those.index], texts["ideology"])
            texts.loc[strayed, "failure"] = "ideology leaves the label's side"
            good &= ~strayed
        written.loc[those.index, "failure"] = texts["failure"]
        written.loc[good.index[good], [*names, "written by"]] = texts.assign(**{"written by": model.name})
    return written


def _texts(reply: Reply, fields: dict[str, str]) -> dict[str, str | None]:
    """Return what the model wrote, each text on one line, and `failure`: why it is not usable."""
    if reply.failure:
        return {"failure": reply.failure}
    texts: dict[str, str | None] = {
        name: " ".join(getattr(reply.value, field).split()) for name, field in fields.items()
    }
    empty = [name for name, said in texts.items() if not said]
    return texts | {"failure": f"nothing written for {', '.join(empty)}" if empty else None}


def _job(table: pd.DataFrame, seed: int) -> pd.Series:
    """Return the title of each person's job and one phrase of each other topic that suits it, joined."""
    known = phrases.load(SETS[jobs.JOB])
    titles, others = known[known["topic"] == "title"], known[known["topic"] != "title"]
    title = jobs.titles(table, seed)
    general, _ = phrases.draw(table[table["occupied"] & title.isna()], titles, seed)
    title = title.fillna(general["title"])
    title = title.where(title.notna(), None)
    told = table.assign(detailed_job_description=title.astype("str"))  # the place of work must suit the title
    chosen, _ = phrases.draw(told, others, seed)
    return phrases.join(np.column_stack([title, chosen]), table.index)


def _compose(table: pd.DataFrame, name: str, seed: int) -> pd.Series:
    """Return one phrase of each topic, or of PHRASES topics drawn by their weights, joined; missing if there is none.

    Topics are drawn without replacement: the waiting times of a race in which each topic has its weight as the rate
    (Efraimidis and Spirakis 2006).
    """
    chosen, _ = phrases.draw(table, phrases.load(SETS[name]), seed)
    weights = predicates.read("topics").get(SETS[name])
    if weights is None:
        return phrases.join(chosen.to_numpy(), table.index)
    uniform = phrases.uniforms(table.index, "weight of " + chosen.columns, seed)  # people x topics
    waits = -np.log1p(-uniform) / chosen.columns.map(weights).to_numpy(float)
    texts = _first(chosen, np.where(chosen.notna(), waits, np.inf), PHRASES)
    return phrases.join(texts, table.index)


def _first(chosen: pd.DataFrame, order: np.ndarray, most: int) -> np.ndarray:
    """Return the phrases of each person's first topics, people x most; `order` is people x topics."""
    first = np.argsort(order, axis=1, kind="stable")[:, :most]
    return np.take_along_axis(chosen.to_numpy(), first, axis=1)


def _several(table: pd.DataFrame, name: str, seed: int) -> pd.Series:
    """Return one to three phrases of different topics, joined; missing where no topic has one."""
    chosen, numbers = phrases.draw(table, phrases.load(QUIRKS[name]), seed)  # people x topics, both
    uniform = phrases.uniforms(table.index, [f"how many {name}"], seed)[:, 0]
    count = 1 + np.searchsorted(np.cumsum(QUIRK_SHARES)[:-1], uniform, side="right")
    most = len(QUIRK_SHARES)
    texts = _first(chosen, numbers.to_numpy(), most)
    texts[np.arange(most) >= count[:, None]] = None
    return phrases.join(texts, table.index)


def _free(table: pd.DataFrame, seed: int, share: float) -> pd.Series:
    """Return who gets their ideology in free words."""
    if not 0 <= share <= 1:
        raise UserError(f"share_ideology must be from 0 to 1; it is {share!r}")
    return table["ideology"].notna() & (phrases.uniforms(table.index, ["free ideology"], seed)[:, 0] < share)


def _same_side(table: pd.DataFrame, texts: pd.Series) -> pd.Series:
    """Return whether each wording is on its label's side or on no side; a moderate's must be on no side."""
    wordings = predicates.table(pd.DataFrame({"age": table["age"], "ideology": texts}))
    side = _side(wordings)
    return (side == _side(table)) | (side == 0)


def _side(table: pd.DataFrame) -> pd.Series:
    """Return -1 for the left, 1 for the right, 0 for neither or both."""
    return table["right"].astype(int) - table["left"].astype(int)
