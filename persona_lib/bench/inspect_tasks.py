"""PERSONA Bench for inspect-ai: conditioning, pass@k and comparison as its tasks, and its logs as our tables.

Templates, schemas, items and verdicts are those of bench, judging and comparison. Needs the optional extra `inspect`;
docs/inspect.md shows its use. No notebook uses it.
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

# By their whole names: inspect's command loads this file by its path.
from persona_lib import UserError, bench, personas, prompts
from persona_lib.bench import comparison
from persona_lib.bench.conditions import CONDITIONS
from persona_lib.bench.inspect_models import Known, ask, chat_of, raw
from persona_lib.judges import verdicts
from persona_lib.model import reply
from persona_lib.model.model import TOP_LOGPROBS
from persona_lib.preferences import dataset
from persona_lib.stats import passk

FAILED = "failure"  # where a sample's metadata has the reason why there is no score
_BY_CONDITION = [grouped(mean(), "condition"), grouped(stderr(cluster="persona_id"), "condition")]


@task
def conditioning(
    conditions: str | Sequence[str] = CONDITIONS,
    n_items: int = 700,
    n_personas: int = 1000,
    n_prompts: int = 700,
    words: int = 60,
    seed: int = 0,
    templates: str | None = None,
) -> Task:
    """Answer questions under each condition; the model of the role `grader` judges. Sizes are the paper's.

    Args:
        conditions, words, templates: as in `bench.conditioning`.
        n_items: persona x prompt pairs.
        n_personas: adults of the demographic.
        n_prompts: questions of the built-in bank.
        seed: of the draws.
    """
    return of_items(_drawn(n_items, n_personas, n_prompts, seed), conditions, words, templates)


@task
def pass_at_k(
    conditions: str | Sequence[str] = ("chain_of_thought",),
    ks: int | Sequence[int] = (1, 2, 4, 8, 16),
    n_samples: int = 16,
    temperature: float = 0.8,
    n_items: int = 700,
    n_personas: int = 1000,
    n_prompts: int = 700,
    words: int = 60,
    seed: int = 0,
    templates: str | None = None,
) -> Task:
    """Answer each question several times, independently: would one of k answers have served, would all?

    Args:
        ks: how many of the answers are looked at.
        n_samples: answers to each item, inspect's epochs.
        temperature: of the model under test.
        conditions, n_items, n_personas, n_prompts, words, seed, templates: as in `conditioning`.
    """
    ks = [ks] if isinstance(ks, int) else list(ks)
    passk.check(ks, n_samples)
    whole = of_items(_drawn(n_items, n_personas, n_prompts, seed), conditions, words, templates, n_samples, temperature)
    whole.epochs_reducer = Epochs(n_samples, [f"{kind}_{k}" for kind in ("pass_at", "pass_k") for k in ks]).reducer
    return whole


@task
def compare(pairs: str, n_items: int = 200, seed: int = 0, templates: str | None = None) -> Task:
    """In the place of one of two people, does the model choose the answer that was written for that one?

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
    words: int = 60,
    templates: str | None = None,
    samples: int = 1,
    temperature: float = 0.0,
) -> Task:
    """The task of items of one's own; arguments and errors as in `bench.conditioning`."""
    conditions = [conditions] if isinstance(conditions, str) else conditions
    noted = Known()
    table = bench.conditioning(drawn, [noted], noted, conditions, words, templates, samples, temperature)
    first = table["sample"] == 0
    asked = [one for one, own in zip(noted.asked, first, strict=True) if own]
    told = table.loc[first, [*drawn.columns, "condition", "template"]]
    schemas = dict(zip(told["condition"], (schema for _, schema in asked), strict=True))
    rows = [_without_gaps(row) for row in told.to_dict("records")]
    return Task(
        dataset=_dataset(rows, [messages for messages, _ in asked], ["condition", "persona_id", "prompt_id"]),
        solver=_answer(schemas),
        scorer=critic(templates),
        epochs=samples,
        config=GenerateConfig(temperature=temperature),
        fail_on_error=False,
        metadata={"dtypes": table.infer_objects().dtypes.astype(str).to_dict()},
    )


def of_couples(items: pd.DataFrame, templates: str | None = None) -> Task:
    """The task of `comparison.choose`, with its arguments."""
    noted = Known()
    table = comparison.choose(items, noted, templates)
    rows = [_without_gaps(row) for row in items.to_dict("records")]
    return Task(
        dataset=_dataset(rows, [messages for messages, _ in noted.asked[::2]], ["pair_id"]),
        solver=both_orders(templates),
        scorer=chosen(templates),
        fail_on_error=False,
        metadata={"dtypes": table.infer_objects().dtypes.astype(str).to_dict()},
    )


def read(log: EvalLog | str | Path) -> pd.DataFrame:
    """One of inspect's logs of these tasks as the table that we have without inspect.

    Args:
        log: what `inspect_ai.eval` returns, or the file.

    Returns:
        The table of `bench.conditioning`, or of `comparison.choose`, in its order. Each sample is a row: one that has
        no score says why in `failure`, also where its call ended in an error.

    Raises:
        UserError: the log is of another task, or of a run that has not come to its end.
    """
    log = log if isinstance(log, EvalLog) else read_eval_log(str(log))
    dtypes = (log.eval.metadata or {}).get("dtypes")
    if not dtypes:
        raise UserError(f"the log is of the task '{log.eval.task}', which is none of persona_lib.tasks")
    ids = log.eval.dataset.sample_ids or []
    have, due = len(log.samples or []), len(ids) * (log.eval.config.epochs or 1)
    if have != due:
        raise UserError(f"the log has {have} of {due} samples ({log.status}): finish the run with `inspect eval-retry`")
    place = {name: k for k, name in enumerate(ids)}
    samples = sorted(log.samples or [], key=lambda sample: place[sample.id])
    conditions = list(dict.fromkeys(map(_condition, samples)))
    samples.sort(key=lambda sample: (conditions.index(_condition(sample)), sample.epoch))
    rows = [_row(sample, log.eval.model, "answer" in dtypes) for sample in samples]
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)


def _condition(sample: EvalSample) -> str:
    return sample.metadata.get("condition", "")


def _row(sample: EvalSample, model: str, judged: bool) -> dict[str, Any]:
    """A sample as a row of the table; `judged`: it has an answer, on which somebody else gives a verdict."""
    score = next(iter((sample.scores or {}).values()), None)
    row = {"model": model, "judge": None if judged else model, "sample": sample.epoch - 1} | sample.metadata
    if score:
        return row | (score.metadata or {}) | {"score": score.value}
    # Inspect's message shows the whole request first, in one line with its line breaks spelt out.
    why = sample.error.message.replace("\\n", "\n").strip().splitlines() if sample.error else []
    step = ("critic: " if row.get("answer") else "answer: ") if judged else ""
    return row | {FAILED: row.get(FAILED) or step + (why[-1] if why else "there is no score")}


def _answer(schemas: dict[str, type[BaseModel]]) -> Solver:
    """The model under test answers in the schema of the sample's condition."""

    @solver(name="answer")
    def answer() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            schema = schemas[state.metadata["condition"]]
            state.messages, state.output = await ask(get_model(), state.messages, schema)
            _, value, failure = reply.read(raw(state.output), schema)
            *working, text = value.model_dump().values() if value else [None]
            found = {"working": "\n".join(working) or None, "answer": text, FAILED: failure and f"answer: {failure}"}
            state.metadata |= _without_gaps(found)
            return state

        return solve

    return answer()


@scorer(metrics=_BY_CONDITION)
def critic(templates: str | None = None) -> Scorer:
    """The verdict of `judging.critic`, by the model of the role `grader`, or else the one under test."""

    async def score(state: TaskState, target: Target) -> Score:
        about = state.metadata
        if "answer" not in about:
            return Score.unscored(metadata={FAILED: about.get(FAILED, "answer: ended by a limit")})
        grader, noted = get_model(role="grader"), Known()
        row = pd.DataFrame([{name: about[name] for name in ("profile", "prompt", "answer")}])
        verdicts.critic(noted, row, templates=templates)
        messages, schema = noted.asked[0]
        _, output = await ask(grader, chat_of(messages), schema, temperature=0)
        verdict = verdicts.critic(Known(str(grader), [raw(output)]), row, templates=templates).iloc[0]
        found = _without_gaps(verdict.drop(["score", "judge_failure"]).to_dict())
        if pd.isna(verdict["score"]):
            return Score.unscored(metadata=found | {FAILED: f"critic: {verdict['judge_failure']}"})
        return Score(value=verdict["score"], answer=about["answer"], explanation=verdict["critique"], metadata=found)

    return score


@solver
def both_orders(templates: str | None = None) -> Solver:
    """Both answers shown in both orders, as `judging.prefer` does; a reply without log-probabilities is certain."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        noted = Known()
        comparison.choose(pd.DataFrame([state.metadata]), noted, templates)
        config = GenerateConfig(temperature=0, max_tokens=1, logprobs=True, top_logprobs=TOP_LOGPROBS)
        outputs = [await get_model().generate(chat_of(messages), config=config) for messages, _ in noted.asked]
        state.output = outputs[0]
        state.store.set("replies", [raw(output, as_choice=True) for output in outputs])
        return state

    return solve


@scorer(metrics=[mean(), stderr(cluster="persona_id")])
def chosen(templates: str | None = None) -> Scorer:
    """Whether the choice is the answer that was written for this person."""

    async def score(state: TaskState, target: Target) -> Score:
        known = Known(str(state.model), state.store.get("replies", []))
        row = comparison.choose(pd.DataFrame([state.metadata]), known, templates).iloc[0]
        found = _without_gaps(row.drop("score").to_dict())
        return Score.unscored(metadata=found) if pd.isna(row["score"]) else Score(value=row["score"], metadata=found)

    return score


def _dataset(rows: list[dict], chats: list[list[dict[str, str]]], key: list[str]) -> MemoryDataset:
    ids = ["|".join(row[name] for name in key) for row in rows]
    samples = [Sample(chat_of(chat), id=i, metadata=row) for i, row, chat in zip(ids, rows, chats, strict=True)]
    return MemoryDataset(samples, name="PERSONA Bench")


def _without_gaps(row: dict[str, Any]) -> dict[str, Any]:
    """A row's values that are not missing, as JSON has them."""
    return {name: getattr(v, "item", lambda v=v: v)() for name, v in row.items() if not pd.isna(v)}


def _drawn(n_items: int, n_personas: int, n_prompts: int, seed: int) -> pd.DataFrame:
    """Items of adults of the demographic and questions of the built-in bank, as 06_conditioning draws them."""
    adults = personas.sample(n_personas, seed, where=personas.ADULTS)
    return bench.items(adults, prompts.sample(prompts.load(), n_prompts, seed), n_items, seed)
