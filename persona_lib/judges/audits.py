"""Audits of judges: how far verdicts depend on what should not matter, and what that changes in a ranking.

The audits cover position, length, the judge's own writing, chance, the form of the profile, and the wording of the
critic's instruction. Each one uses verdicts that a run has anyway, or asks the same question once more.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .. import UserError
from ..model import LanguageModel
from ..personas import profiles
from ..stats import intervals
from .verdicts import critic, prefer, scored, won

ITEM = intervals.ITEM
AS_RUN = "as in the run"
# Other instructions to the critic that should change nothing, by the name of their template.
WORDINGS = {"critic_revise_first": "revise named first", "critic_reworded": "criteria in other words"}
# Words without content, which should win nothing.
FILLER = "This is an important question, and much can be said about it. I hope that this answer is of some help to you."
ALIKE = "two drawn verdicts"  # of one critic on one answer, at one temperature
FIRST_ONLY, TIES, BOTH = "first order only", "both orders, a flip is a tie", "both orders, mean probability"


def position(judged: pd.DataFrame, by: str = "judge") -> pd.DataFrame:
    """Compute how often the answer shown first wins, and how often the order alone decides.

    Args:
        judged: rows of `judges.prefer` with `prompt_id`.
        by: column of the groups.

    Returns:
        Index `by` and `measure`: 'the first wins' (chance is a half; a tie in one order is half a win) or 'the order
        decides'; columns of `stats.rates`.
    """
    # The second order shows the rejected answer first, so there the first answer wins where the chosen one loses.
    first_wins = (won(judged["p_first"]) + 1 - won(judged["p_second"])) / 2
    flips = judged["flip"].astype("Float64").astype(float)
    parts = [
        judged[[*ITEM, by]].assign(measure="the first wins", score=first_wins),
        judged[[*ITEM, by]].assign(measure="the order decides", score=flips),
    ]
    return intervals.rates(pd.concat(parts, ignore_index=True), by=[by, "measure"])


def orders(judged: pd.DataFrame, by: str) -> pd.DataFrame:
    """Compute the share that prefers the chosen answer in three ways of counting, and each group's rank by each way.

    The ways: the first order alone, as a benchmark that asks once would count; both orders, a flip counting as a tie;
    both orders by mean probability. A tie, in one order or of the mean, counts as a half.

    Args:
        judged: rows of `judges.prefer` with `prompt_id`.
        by: column of the groups that are ranked, such as the generator.

    Returns:
        Index `by`; columns (way of counting, `n` / `failed` / `rate` / `low` / `high` / `note` / `rank`).
    """
    tables = {}
    for way, counted in ways(judged, by).items():
        rates = intervals.rates(counted, by=by)
        rates = rates[["n", "failed", "rate", "low", "high", "note"]]
        tables[way] = rates.assign(rank=rates["rate"].rank(ascending=False, method="min"))
    return pd.concat(tables, axis=1)


def ways(judged: pd.DataFrame, by: str) -> dict[str, pd.DataFrame]:
    """Return for each way of counting that `orders` compares the score of each choice: `persona_id`, ..., `score`."""
    straight = won(judged["p_first"])
    swapped = won(judged["p_second"])
    scores = {FIRST_ONLY: straight, TIES: (straight + swapped) / 2, BOTH: won(judged["p_chosen"])}
    return {way: judged[[*ITEM, by]].assign(score=score) for way, score in scores.items()}


def self_preference(scored: pd.DataFrame) -> pd.DataFrame:
    """Test whether judges favour their own writing more than they favour everybody's.

    Args:
        scored: one row per item, judge and writer: `persona_id`, `prompt_id`, `judge`, `model` (the writer), `score`.

    Returns:
        Index `judge`, the judges that also write; `own` (their mean score of their own answers), `others` (the other
        judges' mean score of the same answers), `elsewhere` (how far the judge's score exceeds the other judges' on
        answers of other writers to the same items), and of the mean of own less others less elsewhere `n`, `failed`,
        `difference`, `low`, `high`, `p`, `p_holm` (corrected over judges), `note` as in `stats.paired_differences`. A
        judge that is mild with everybody has no difference. Each other judge is compared on answers that neither of the
        two wrote. Where there is no such answer (two judges and writers), half the difference is returned: the mean of
        both judges' self-preference.

    Raises:
        UserError: no judge writes, or there is only one judge.
    """
    judges, writers = (list(scored[column].unique()) for column in ("judge", "model"))
    both = [judge for judge in judges if judge in writers]
    if not both or len(judges) < 2:
        raise UserError("self-preference takes two judges or more, one of which also writes: name more models")
    scores = scored.groupby([*ITEM, "model", "judge"])["score"].mean().unstack(["model", "judge"])
    scores = scores.reindex(columns=pd.MultiIndex.from_product([writers, judges]))  # items x (writers x judges)
    rows = {}
    for judge in both:
        others = [other for other in judges if other != judge]
        pairs = [(other, writer) for other in others for writer in writers if writer != judge]
        apart = [(other, writer) for other, writer in pairs if other != writer]
        used = pd.MultiIndex.from_tuples(apart or pairs, names=["judge", "model"])
        theirs, excess = (pd.DataFrame(index=scores.index, columns=used, dtype=float) for _ in range(2))
        for other, writer in used:
            theirs[other, writer] = scores[judge, other]
            excess[other, writer] = scores[writer, judge] - scores[writer, other]
        gap = (-theirs - excess).add(scores[judge, judge], axis=0)  # items x pairs
        half = gap.mean(axis=1) / 2  # from -1 to 1
        own = scores[judge, judge][half.notna()].mean()
        rest, elsewhere = (part.where(gap.notna()).mean(axis=1).mean() for part in (theirs, excess))
        found = intervals.difference(half)
        if apart:
            found |= {name: 2 * found[name] for name in ("difference", "low", "high")}
        rows[judge] = {"own": own, "others": rest, "elsewhere": elsewhere} | found
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("judge")
    table.insert(table.columns.get_loc("note"), "p_holm", intervals.corrected(table["p"]))
    return table


def matrix(scored: pd.DataFrame) -> pd.DataFrame:
    """Return the mean score of each writer (column) by each judge (row), over whatever items each judge scored."""
    return scored.pivot_table(index="judge", columns="model", values="score", aggfunc="mean")


def repeated(
    judge: LanguageModel, answers: pd.DataFrame, times: int = 2, temperature: float = 1.0, **settings: Any
) -> pd.DataFrame:
    """Put the same answers to the critic several times at one temperature, and once more as in a run.

    Args:
        judge: the critic.
        answers: as in `judges.critic`, with `persona_id` and `prompt_id`.
        times: how often at this temperature, beside the run's own verdict at temperature 0. Once leaves no two alike
            verdicts to compare.
        temperature: of these verdicts.
        settings: `templates` and `probabilities` of `judges.critic`.

    Returns:
        One row per answer: `persona_id`, `prompt_id`, `first` (the run's score), `mean` (of the scores at this
        temperature), `alike` (the share of pairs of these scores that are equal, from 0 to 1: like compared with like),
        `as_run` (the share of them that equal the run's score: a likeliest verdict against a drawn one, which is equal
        more often). Both are missing with nothing to compare.
    """
    first = critic(judge, answers, sample=0, temperature=0, **settings)["score"]
    drawn = [critic(judge, answers, sample=k, temperature=temperature, **settings) for k in range(1, times + 1)]
    scores = [verdicts["score"] for verdicts in drawn]
    again = pd.concat(scores, axis=1) if scores else pd.DataFrame(index=answers.index)  # answers x times
    as_run = again.eq(first, axis=0).where(again.notna()).mean(axis=1).where(first.notna())
    n = again.count(axis=1)
    ones = again.sum(axis=1)
    equal = (ones * (ones - 1) + (n - ones) * (n - ones - 1)) / (n * (n - 1)).where(n > 1)
    table = answers[ITEM].assign(first=first, mean=again.mean(axis=1))
    return table.assign(alike=equal.astype(float), as_run=as_run.astype(float))


def steadiness(repeated: pd.DataFrame) -> pd.DataFrame:
    """Compute how often a critic repeats its verdict.

    Args:
        repeated: as returned by `repeated`.

    Returns:
        Index `compared`: ALIKE, then 'a drawn verdict with the run's'; columns of `stats.rates`.
    """
    names = {"alike": ALIKE, "as_run": "a drawn verdict with the run's"}
    parts = [repeated[ITEM].assign(compared=name, score=repeated[column]) for column, name in names.items()]
    return intervals.rates(pd.concat(parts, ignore_index=True), by="compared")


def forms(
    judge: LanguageModel,
    pairs: pd.DataFrame,
    people: pd.DataFrame,
    kinds: Sequence[tuple[profiles.Form, int | None]],
    templates: str | None = None,
) -> pd.DataFrame:
    """Let the judge choose with the profile in several forms and orders of attributes.

    Args:
        judge: the model that plays the persona.
        pairs: as in `judges.prefer`, with `prompt_id`; their `profile` is replaced.
        people: personas, index `persona_id`.
        kinds: form and seed of the order of attributes (None: as given), as in `personas.describe`.
        templates: folder with a `prefer.txt` of the user's own.

    Returns:
        The rows of `judges.prefer` for each kind, with `prompt_id`, `form` (the form, and the seed if there is one) and
        `score` (1 if the chosen answer is preferred, 0 if not, or missing).
    """
    asked = people.loc[pairs["persona_id"].unique()]
    parts = []
    for form, seed in kinds:
        told = pairs.assign(profile=pairs["persona_id"].map(profiles.texts(asked, form, seed)))
        judged = prefer(judge, told, templates, f"choices, profile as {form}")
        name = form if seed is None else f"{form}, order {seed}"
        score = scored(judged["choice"])
        parts.append(judged.assign(prompt_id=pairs["prompt_id"], form=name, score=score))
    return pd.concat(parts, ignore_index=True)


def critics(
    judge: LanguageModel,
    answers: pd.DataFrame,
    people: pd.DataFrame,
    kinds: Sequence[tuple[profiles.Form, int | None]],
    templates: str | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """Put the same answers to the critic in ways that should not matter: other wordings, other forms of the profile.

    Args:
        judge: the critic.
        answers: as in `judges.critic`, with `persona_id`, `prompt_id`, `model` and `condition`.
        people: personas, index `persona_id`.
        kinds: as in `forms`.
        templates: folder with a `critic.txt` of the user's own. It needs the other wordings (WORDINGS) beside it: the
            built-in ones would differ in more than the wording.
        settings: `critique_words` and `probabilities` of `judges.critic`.

    Returns:
        One row per answer and way, the run's own way first: `persona_id`, `prompt_id`, `model`, `condition`, `way`, and
        the columns of `judges.critic`.
    """
    asked = people.loc[answers["persona_id"].unique()]
    ways = [(AS_RUN, answers, "critic"), *((way, answers, template) for template, way in WORDINGS.items())]
    for form, seed in kinds:
        told = answers.assign(profile=answers["persona_id"].map(profiles.texts(asked, form, seed)))
        ways.append((f"profile as {form}" if seed is None else f"profile as {form}, order {seed}", told, "critic"))
    parts = []
    for way, told, template in ways:
        if _has(templates, "critic") and not _has(templates, template):
            reason = f"no {template}.txt beside the critic.txt of your own"
            judged = critic(judge, told.head(0), **settings).reindex(told.index)
            judged = judged.assign(judge=judge.name, judge_failure=reason)
        else:
            judged = critic(judge, told, templates, template=template, **settings)
        parts.append(answers[[*ITEM, "model", "condition"]].assign(way=way).join(judged))
    return pd.concat(parts, ignore_index=True)


def _has(templates: str | None, name: str) -> bool:
    """Return whether the user's folder has a template."""
    return templates is not None and (Path(templates) / f"{name}.txt").is_file()


def shifts(judged: pd.DataFrame) -> pd.DataFrame:
    """Compute how many verdicts change, and by how much each condition's rate does, when the critic is asked otherwise.

    Args:
        judged: as returned by `critics`, of one writer.

    Returns:
        One row per way other than the run's own and condition: `way`, `condition`, `n` (answers scored in both ways),
        `failed`, `changed` (verdicts that differ), `kept` (the share in the run's own way, of those answers), and of
        the change of that share `difference`, `low`, `high`, `p`, `p_holm` (corrected over all rows), `note` as in
        `stats.paired_differences`.
    """
    rows = []
    for way in [way for way in judged["way"].unique() if way != AS_RUN]:
        for condition, own in judged[judged["way"].isin([AS_RUN, way])].groupby("condition", sort=False):
            wide = own.pivot(index=ITEM, columns="way", values="score")  # items x ways
            change = (wide[way] - wide[AS_RUN]).astype(float)
            counts = {"changed": int((change.dropna() != 0).sum()), "kept": wide[AS_RUN][change.notna()].mean()}
            rows.append({"way": way, "condition": condition} | intervals.difference(change) | counts)
    columns = ["way", "condition", "n", "failed", "changed", "kept", "difference", "low", "high", "p", "note"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(10, "p_holm", intervals.corrected(table["p"]))
    return table


def altered(judged: pd.DataFrame) -> pd.Series:
    """Compute the share of verdicts that change if the critic is asked otherwise, over all ways and conditions.

    Args:
        judged: as returned by `critics`, of one writer.

    Returns:
        `n` (verdicts in both ways), `failed`, `rate`, `low`, `high`, `note` as in `stats.rates`.
    """
    if judged.empty:
        return pd.Series(intervals.rate(judged["score"].astype(float), judged[ITEM]))
    wide = judged.pivot(index=[*ITEM, "condition"], columns="way", values="score")  # answers x ways
    moved = wide.drop(columns=AS_RUN).sub(wide[AS_RUN], axis=0)
    changed = moved.ne(0).astype(float).where(moved.notna()).melt(ignore_index=False)["value"].reset_index()
    return pd.Series(intervals.rate(changed["value"], changed[ITEM]))


def padded(pairs: pd.DataFrame, filler: str = FILLER) -> pd.DataFrame:
    """Pair each base answer with itself plus a filler without content, which a judge should not prefer."""
    return pairs.assign(chosen=pairs["rejected"] + " " + filler, pair_id=pairs["pair_id"] + "|padded")
