"""PERSONA Bench for inspect-ai: conditioning, pass@k and comparison as inspect's tasks, and its logs as our tables.

Templates, schemas, items and verdicts come from bench, judges and comparison. Needs the optional extra `inspect`;
docs/inspect.md shows how to use it. No notebook uses it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from inspect_ai import Epochs, Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog, EvalSample, read_eval_log
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import Score, Scorer, Target, grouped, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver
from pydantic import BaseModel

# Absolute imports: inspect's command loads this file by its path, where relative imports fail.
from persona_lib import UserError, bench
from persona_lib.bench import comparison
from persona_lib.bench.conditions import CONDITIONS
from persona_lib.bench.inspect_models import Known, ask, chat_of, raw, without_gaps
from persona_lib.judges import verdicts
from persona_lib.model import Messages
from persona_lib.model.dialects.dialect import MOST_LOGPROBS
from persona_lib.model.replies import reply
from persona_lib.preferences import dataset, ingredients
from persona_lib.prompts.words import count
from persona_lib.stats import passk

FAILED = "failure"  # the field of a sample's metadata with the reason why there is no score
_BY_CONDITION = [grouped(mean(), "condition"), grouped(stderr(cluster="persona_id"), "condition")]


@task
def conditioning(
    conditions: str | Sequence[str] = CONDITIONS,
    prompts: str = "builtin",
    personas: str = "sample",
    use: str = "heldout_test",
    n_personas: int = 1000,
    n_prompts: int | None = None,
    n_items: int = 700,
    words: int | None = 120,
    working_words: int | None = None,
    critique_words: int | None = 80,
    seed: int = 0,
    templates: str | None = None,
) -> Task:
    """Answer prompts under each condition; the model of the role `grader` judges. The paper draws from 1,000 x 700.

    Args:
        prompts, personas, use, n_personas, n_prompts, seed: as in `ingredients.draw`; adults. PRISM's prompts pass only
            the filters that ask no model: `prompts.parquet` of a data set has those that a model has sorted.
        n_items: persona x prompt pairs.
        conditions, words, working_words, critique_words, templates: as in `bench.conditioning`.
    """
    people, asked = ingredients.draw(personas, prompts, n_personas, n_prompts, use, seed)
    drawn = bench.items(people, asked, n_items, seed)
    return of_items(drawn, conditions, words, templates, working_words=working_words, critique_words=critique_words)


@task
def pass_at_k(
    conditions: str | Sequence[str] = ("chain_of_thought",),
    ks: int | Sequence[int] = (1, 2, 4, 8, 16),
    n_samples: int = 16,
    temperature: float = 0.8,
    prompts: str = "builtin",
    personas: str = "sample",
    use: str = "heldout_test",
    n_personas: int = 1000,
    n_prompts: int | None = None,
    n_items: int = 700,
    words: int | None = 120,
    working_words: int | None = None,
    critique_words: int | None = 80,
    seed: int = 0,
    templates: str | None = None,
) -> Task:
    """Answer each item several times, independently: would one of k answers have been good, would all?

    Args:
        ks: numbers k of answers to look at.
        n_samples: answers to each item, inspect's epochs.
        temperature: of the model under test.
        conditions: as in `conditioning`, like all other arguments.
    """
    ks = [ks] if isinstance(ks, int) else list(ks)
    passk.check(ks, n_samples)
    people, asked = ingredients.draw(personas, prompts, n_personas, n_prompts, use, seed)
    drawn = bench.items(people, asked, n_items, seed)
    whole = of_items(drawn, conditions, words, templates, n_samples, temperature, working_words, critique_words)
    reducers = [f"{kind}_{k}" for kind in ("pass_at", "pass_k") for k in ks]
    whole.epochs_reducer = Epochs(n_samples, reducers).reducer
    return whole


@task
def compare(pairs: str, n_items: int = 200, seed: int = 0, templates: str | None = None) -> Task:
    """Let the model play one of two people: does it choose the answer that was written for that person?

    Args:
        pairs: the folder of a preference data set, as `persona pairs` writes it.
        n_items, seed: as in `comparison.match`.
        templates: as in `comparison.choose`.
    """
    made, people, _ = dataset.read(pairs)
    return of_couples(comparison.match(made, people, n_items, seed), templates)


def of_items(
    drawn: pd.DataFrame,
    conditions: str | Sequence[str] = CONDITIONS,
    words: int | None = 120,
    templates: str | None = None,
    samples: int = 1,
    temperature: float = 0.0,
    working_words: int | None = None,
    critique_words: int | None = 80,
) -> Task:
    """Return the task of given items; arguments and errors as in `bench.conditioning`."""
    conditions = [conditions] if isinstance(conditions, str) else conditions
    noted = Known()
    # No answer is known, so nothing is judged: all that is asked are the answers, one per row of the table.
    asked_for = (words, templates, samples, temperature, False, working_words, critique_words)
    table = bench.conditioning(drawn, [noted], noted, conditions, *asked_for)
    first = table["sample"] == 0
    asked = [one for one, is_first in zip(noted.asked, first, strict=True) if is_first]
    chats = [messages for messages, _ in asked]
    told = table.loc[first, [*drawn.columns, "condition", "template"]]
    schemas = {condition: schema for condition, (_, schema) in zip(told["condition"], asked, strict=True) if schema}
    rows = [without_gaps(row) for row in told.to_dict("records")]
    return Task(
        dataset=_dataset(rows, chats, ["condition", "persona_id", "prompt_id"]),
        solver=_answer(schemas),
        scorer=critic(templates, critique_words),
        epochs=samples,
        config=GenerateConfig(temperature=temperature),
        fail_on_error=False,
        metadata={"dtypes": table.infer_objects().dtypes.astype(str).to_dict()},
    )


def of_couples(items: pd.DataFrame, templates: str | None = None) -> Task:
    """Return the task of `comparison.choose`, with its arguments."""
    noted = Known()
    table = comparison.choose(items, noted, templates)
    first_orders = [messages for messages, _ in noted.asked[::2]]
    rows = [without_gaps(row) for row in items.to_dict("records")]
    return Task(
        dataset=_dataset(rows, first_orders, ["pair_id"]),
        solver=both_orders(templates),
        scorer=chosen(templates),
        fail_on_error=False,
        metadata={"dtypes": table.infer_objects().dtypes.astype(str).to_dict()},
    )


def read(log: EvalLog | str | Path) -> pd.DataFrame:
    """Read one of inspect's logs of these tasks as the table that our own modules return.

    Args:
        log: what `inspect_ai.eval` returns, or the path of the file.

    Returns:
        The table of `bench.conditioning`, or of `comparison.choose`, in its order. Each sample is a row. One without a
        score says why in `failure`, also if its call ended in an error. The columns of keys are missing: a log has the
        requests itself.

    Raises:
        UserError: the log is of another task or of an unfinished run.
    """
    log = log if isinstance(log, EvalLog) else read_eval_log(str(log))
    dtypes = (log.eval.metadata or {}).get("dtypes")
    if not dtypes:
        raise UserError(f"the log is of the task '{log.eval.task}', which is not one of bench.inspect_tasks")
    ids = log.eval.dataset.sample_ids or []
    have = len(log.samples or [])
    due = len(ids) * (log.eval.config.epochs or 1)
    if have != due:
        raise UserError(f"the log has {have} of {due} samples ({log.status}): finish the run with `inspect eval-retry`")
    place = {name: k for k, name in enumerate(ids)}
    samples = sorted(log.samples or [], key=lambda sample: place[sample.id])
    conditions = list(dict.fromkeys(map(_condition, samples)))
    samples.sort(key=lambda sample: (conditions.index(_condition(sample)), sample.epoch))
    rows = [_row(sample, log.eval.model, "answer" in dtypes) for sample in samples]
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)


def _condition(sample: EvalSample) -> str:
    """Return a sample's condition, empty for a comparison."""
    return sample.metadata.get("condition", "")


def _row(sample: EvalSample, model: str, judged: bool) -> dict[str, Any]:
    """Return a sample as a row of the table.

    Args:
        sample: of the log.
        model: the model under test.
        judged: the sample has an answer, on which the grader gives a verdict; else the model itself chooses.
    """
    score = next(iter((sample.scores or {}).values()), None)
    row = {"model": model, "judge": None if judged else model, "sample": sample.epoch - 1} | sample.metadata
    if score:
        return row | (score.metadata or {}) | {"score": score.value}
    reason = "there is no score"
    if sample.error:
        # Inspect's message shows the whole request first, in one line with its line breaks spelt out.
        lines = sample.error.message.replace("\\n", "\n").strip().splitlines()
        reason = lines[-1] if lines else reason
    if judged:
        step = "critic" if row.get("answer") else "answer"
        reason = f"{step}: {reason}"
    return row | {FAILED: row.get(FAILED) or reason}


def _answer(schemas: dict[str, type[BaseModel]]) -> Solver:
    """Return the solver that lets the model under test answer in the schema of the sample's condition."""

    @solver(name="answer")
    def answer() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            schema = schemas[state.metadata["condition"]]
            state.messages, state.output = await ask(get_model(), state.messages, schema)
            got = raw(state.output)
            _, value, failure = reply.read(got, schema)
            texts: list[Any] = list(value.model_dump().values()) if value else [None]
            said = {"working": "\n".join(texts[:-1]) or None, "answer": texts[-1]}
            counts = {f"{name}_words": float(count(text)) for name, text in said.items() if text is not None}
            other = {"thought": reply.thought_of(got), FAILED: failure and f"answer: {failure}"}
            state.metadata |= without_gaps(said | counts | other)
            return state

        return solve

    return answer()


@scorer(metrics=_BY_CONDITION)
def critic(templates: str | None = None, critique_words: int | None = 80) -> Scorer:
    """Score an answer by `judges.critic`; the judge is the model of the role `grader`, or else the one under test."""

    async def score(state: TaskState, target: Target) -> Score:
        about = state.metadata
        if "answer" not in about:
            return Score.unscored(metadata={FAILED: about.get(FAILED, "answer: ended by a limit")})
        grader = get_model(role="grader")
        noted = Known()
        row = pd.DataFrame([{name: about[name] for name in ("profile", "prompt", "answer")}])
        verdicts.critic(noted, row, templates, critique_words)
        messages, schema = noted.asked[0]
        assert schema, "the critic asks in a schema"
        _, output = await ask(grader, chat_of(messages), schema, temperature=0)
        verdict = verdicts.critic(Known(str(grader), [raw(output)]), row, templates, critique_words).iloc[0]
        found = without_gaps(verdict.drop(["score", "judge_failure"]).to_dict())
        if pd.isna(verdict["score"]):
            return Score.unscored(metadata=found | {FAILED: f"critic: {verdict['judge_failure']}"})
        return Score(value=verdict["score"], answer=about["answer"], explanation=verdict["critique"], metadata=found)

    return score


@solver
def both_orders(templates: str | None = None) -> Solver:
    """Show both answers in both orders, as `judges.prefer` does; a reply without log-probabilities is certain."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        noted = Known()
        comparison.choose(pd.DataFrame([state.metadata]), noted, templates)
        config = GenerateConfig(temperature=0, max_tokens=1, logprobs=True, top_logprobs=MOST_LOGPROBS)
        outputs = [await get_model().generate(chat_of(messages), config=config) for messages, _ in noted.asked]
        state.output = outputs[0]
        state.store.set("replies", [raw(output, as_choice=True) for output in outputs])
        return state

    return solve


@scorer(metrics=[mean(), stderr(cluster="persona_id")])
def chosen(templates: str | None = None) -> Scorer:
    """Score 1 if the choice is the answer that was written for this person, 0 if it is the other."""

    async def score(state: TaskState, target: Target) -> Score:
        known = Known(str(state.model), state.store.get("replies", []))
        row = comparison.choose(pd.DataFrame([state.metadata]), known, templates).iloc[0]
        found = without_gaps(row.drop("score").to_dict())
        return Score.unscored(metadata=found) if pd.isna(row["score"]) else Score(value=row["score"], metadata=found)

    return score


def _dataset(rows: list[dict[str, Any]], chats: list[Messages], key: list[str]) -> MemoryDataset:
    """Return inspect's data set: a sample per row and chat, with the row as metadata and an id from its `key`."""
    ids = ["|".join(row[name] for name in key) for row in rows]
    samples = [Sample(chat_of(chat), id=i, metadata=row) for i, row, chat in zip(ids, rows, chats, strict=True)]
    return MemoryDataset(samples, name="PERSONA Bench")
