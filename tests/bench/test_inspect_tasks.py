"""The tasks for inspect-ai: they ask what bench asks, and their logs are its tables, whatever fails on the way."""

import gc
import json
import math
import re
import zlib

import pandas as pd
import pytest
from endpoint import Endpoint, completion

from persona_lib import UserError, bench, personas, prompts
from persona_lib.bench import comparison
from persona_lib.model import Model
from persona_lib.preferences import ingredients
from persona_lib.stats import intervals, passk

# What inspect itself is warned of. The streams that it leaves unclosed must be gone before warnings are errors again.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:The 'initial' parameter is deprecated:DeprecationWarning"),
]


@pytest.fixture
def tasks():
    pytest.importorskip("inspect_ai", reason="inspect-ai is not installed: pip install -e '.[inspect]'")
    from persona_lib.bench import inspect_tasks

    yield inspect_tasks
    gc.collect()


PEOPLE = pd.DataFrame({"age": [20, 21, 22, 23]}, index=pd.Index(["p0", "p1", "p2", "p3"], name="persona_id"))


def drawn(n: int = 8) -> pd.DataFrame:
    questions = {"prompt_id": [f"q{i}" for i in range(8)], "prompt": [f"Why {i}?" for i in range(8)], "topic": "x"}
    return bench.items(PEOPLE, pd.DataFrame(questions), n, seed=0)


def answer(body: dict) -> dict:
    """A stand-in that fills every field asked for; the critic keeps what older people got. Some replies are no good."""
    said, fields = body["messages"], body["response_format"]["json_schema"]["schema"]["properties"]
    asked = said[-1]["content"]
    if "verdict" in fields:
        if "Why 3?" in str(said):
            return completion("no JSON")
        age = int(re.search(r"age: (\d+)", said[0]["content"])[1])
        verdict = {"grade": 4, "verdict": "keep"} if age > 21 else {"grade": 2, "verdict": "revise"}
        return completion(json.dumps({"critique": "as it is"} | verdict))
    if asked == "Why 1?":
        return completion("I would rather not", refusal="I would rather not")
    if asked == "Why 2?":
        # As many tokens as no endpoint has for its default limit, which would be raised.
        return completion('{"answer": "', finish_reason="length") | {"usage": {"completion_tokens": 4096}}
    if asked == "Why 4?" and len(said) == 2:
        return completion("not yet JSON")  # the second time it is
    own = zlib.crc32(json.dumps([message["content"] for message in said]).encode())
    return completion(json.dumps({f: f"{f} of {own}" for f in fields}))


def mock(answer_with, heard: list | None = None):
    """Inspect's mock model, which replies as the stand-in endpoint would, and says what it heard."""
    from inspect_ai.model import (
        ChatCompletionChoice,
        ChatMessageAssistant,
        ContentText,
        ModelOutput,
        ModelUsage,
        get_model,
    )

    def reply(chat, tools, tool_choice, config):
        messages = [{"role": message.role, "content": message.text} for message in chat]
        body = {"messages": messages}
        if config.response_schema:
            schema = config.response_schema.json_schema.model_dump(exclude_none=True)
            named = {"name": config.response_schema.name, "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        if heard is not None:
            heard.append(body | {"temperature": config.temperature})
        made = answer_with(body)["choices"][0]
        said = made["message"]
        content = [ContentText(text=said["content"], refusal=True)] if said.get("refusal") else said["content"]
        logprobs = made.get("logprobs")
        if logprobs:
            logprobs = {"content": [token | {"token": "", "logprob": 0.0} for token in logprobs["content"]]}
        stop = {"length": "max_tokens"}.get(made["finish_reason"], made["finish_reason"])
        message = ChatMessageAssistant(content=content, source="generate")
        choice = ChatCompletionChoice(message=message, stop_reason=stop, logprobs=logprobs)
        usage = ModelUsage(input_tokens=10, output_tokens=3, total_tokens=13)  # else it loads a tokenizer
        return ModelOutput(model="model", choices=[choice], usage=usage)

    return get_model("mockllm/model", custom_outputs=reply, memoize=False)


def run(task, tmp_path, model, **more):
    from inspect_ai import eval as evaluate

    return evaluate(task, model=model, log_dir=str(tmp_path), display="none", log_level="error", **more)[0]


def sent(bodies: list[dict]) -> list[str]:
    """What matters of requests, in an order of its own."""
    fields = [list(body["response_format"]["json_schema"]["schema"]["properties"]) for body in bodies]
    return sorted(
        json.dumps([body["messages"], own, float(body["temperature"])])
        for body, own in zip(bodies, fields, strict=True)
    )


def test_a_log_of_conditioning_is_the_very_table_of_bench_and_the_same_was_sent(tasks, tmp_path):
    conditions, heard = [*bench.CONDITIONS, "other_persona"], []
    log = run(tasks.of_items(drawn(), conditions), tmp_path, mock(answer, heard))
    with Endpoint(answer, models=("mockllm/model",)) as endpoint:
        model = Model("mockllm/model", endpoint.url)
        table = bench.conditioning(drawn(), [model], model, conditions)
    assert set(table["failure"].dropna().str[:18]) == {"answer: refusal: I", "answer: cut off: m", "critic: invalid re"}
    assert set(table["score"].dropna()) == {0.0, 1.0}
    nothing = pd.Series(None, table.index, dtype="str")
    table = table.assign(answer_key=nothing, verdict_key=nothing)  # a log has no response store
    pd.testing.assert_frame_equal(tasks.read(log), table)
    pd.testing.assert_frame_equal(tasks.read(log.location), table)
    assert sent(heard) == sent(endpoint.requests)
    scores, rates = log.results.scores[0], intervals.rates(table, by="condition")
    measured = [m.value for m in scores.metrics.values() if m.params["metric"]["name"] == "mean" and m.name != "all"]
    assert measured == pytest.approx(rates.loc[conditions, "rate"].tolist())
    assert (scores.scored_samples, scores.unscored_samples) == (rates["n"].sum(), rates["failed"].sum())


def test_the_task_of_conditioning_draws_as_the_notebook_does_and_takes_one_condition_as_text(
    tasks, tmp_path, monkeypatch
):
    drawn_with = []

    def draw(*args) -> tuple[pd.DataFrame, pd.DataFrame]:
        drawn_with.append(args)
        return PEOPLE, prompts.load().head(3)

    monkeypatch.setattr(ingredients, "draw", draw)
    sizes = {"n_items": 3, "n_personas": 4, "n_prompts": 3, "seed": 5}
    log = run(tasks.conditioning("direct", use="seen_test", **sizes), tmp_path, mock(answer))
    items = bench.items(PEOPLE, prompts.load().head(3), 3, 5)
    assert drawn_with == [("sample", "builtin", 4, 3, "seen_test", 5)]
    pd.testing.assert_frame_equal(tasks.read(log)[items.columns], items)
    assert tasks.read(log)["condition"].tolist() == ["direct"] * 3
    parameters = [m.params["metric"]["params"] for m in log.results.scores[0].metrics.values()]
    assert parameters == [{}, {}, {"cluster": "persona_id"}, {"cluster": "persona_id"}]


def test_the_tasks_draw_people_and_prompts_to_test_on_and_their_default_sizes_exist(tasks):
    for task in (tasks.conditioning("direct"), tasks.pass_at_k()):
        of_people = {sample.metadata["persona_id"] for sample in task.dataset}
        asked = {sample.metadata["prompt"] for sample in task.dataset}
        assert len(task.dataset) == 700 == len(of_people) and set(personas.split(of_people)) == {"test"}
        assert asked == set(prompts.load().query("prompt_split == 'heldout'")["prompt"])


def test_a_log_of_pass_at_k_has_every_sample_and_inspects_curve_is_ours(tasks, tmp_path, monkeypatch):
    monkeypatch.setattr(ingredients, "draw", lambda *_: (PEOPLE.head(2), prompts.load().head(4)))
    heard = []

    def by_turns(body: dict) -> dict:
        if "verdict" not in str(body["response_format"]):
            return completion(json.dumps({"reasoning": "so", "answer": f"answer {len(heard)}"}))
        verdict = "keep" if len(heard) % 3 else "revise"
        return completion(
            "no JSON" if len(heard) > 40 else json.dumps({"critique": "so", "grade": 3, "verdict": verdict})
        )

    sizes = {"n_samples": 6, "n_items": 4, "n_personas": 2, "n_prompts": 4}
    log = run(tasks.pass_at_k(ks=[1, 4], **sizes), tmp_path, mock(by_turns, heard))
    table = tasks.read(log)
    assert table.groupby("sample").size().to_dict() == dict.fromkeys(range(6), 4)
    assert 0 < table["failure"].notna().sum() < 24 and table["score"].nunique() == 2
    assert {body["temperature"] for body in heard} == {0.8, 0}
    ours = passk.curves(table, ["model", "condition"], ks=[1, 4]).set_index(["measure", "k"])["rate"]
    means = {score.reducer: score.metrics["all"].value for score in log.results.scores}
    assert means == {
        f"{kind}_{k}": pytest.approx(ours[name, k])
        for kind, name in (("pass_at", "pass@k"), ("pass_k", "pass^k"))
        for k in (1, 4)
    }
    with pytest.raises(UserError, match="pass@8 is not estimable from 6 samples"):
        tasks.pass_at_k(ks=[8], **sizes)
    with pytest.raises(UserError, match="temperature 0 would be one and the same"):
        tasks.pass_at_k(ks=[1], temperature=0.0, **sizes)


def couples(folder) -> pd.DataFrame:
    """A preference data set in which everybody's answers name their age, as items."""
    people = pd.DataFrame({"age": [21, 32, 43, 54]}, index=pd.Index([f"p{i}" for i in range(4)], name="persona_id"))
    rows = [(p, f"q{q}", f"Why {q}?", f"for {age}") for p, age in people["age"].items() for q in range(3)]
    pairs = pd.DataFrame(rows, columns=["persona_id", "prompt_id", "prompt", "chosen"]).assign(failure=None)
    (folder / "pairs").mkdir()
    pairs.astype({"failure": "str"}).to_parquet(folder / "pairs" / "part-0000.parquet")
    people.to_parquet(folder / "personas.parquet")
    pairs[["prompt_id", "prompt"]].drop_duplicates().to_parquet(folder / "prompts.parquet")
    return comparison.match(pairs, people, 200, 0)


def knows(body: dict) -> dict:
    """A stand-in that prefers the answer with the persona's age, cannot tell at 21 and says neither at 32."""
    if "response_format" in body:
        return completion("", refusal="no")
    age = re.search(r"age: (\d+)", body["messages"][0]["content"])[1]
    first = age in re.search(r"<answer A>\n(.*)\n", body["messages"][-1]["content"])[1]
    chance = {"21": 0.5, "32": 0.0}.get(age, 0.9 if first else 0.2)
    reply = completion("A" if chance > 0.5 else "B")
    likely = {"A": chance, "B": 1 - chance} if chance else {"C": 1.0}
    tokens = [{"token": t, "logprob": math.log(p)} for t, p in likely.items()]
    return reply | {"choices": [reply["choices"][0] | {"logprobs": {"content": [{"top_logprobs": tokens}]}}]}


def test_a_log_of_comparison_is_the_very_table_of_ours_and_the_same_was_sent(tasks, tmp_path):
    items, heard = couples(tmp_path), []
    log = run(tasks.compare(str(tmp_path)), tmp_path / "logs", mock(knows, heard))
    with Endpoint(knows, models=("mockllm/model",)) as endpoint:
        table = comparison.choose(items, Model("mockllm/model", endpoint.url))
    assert set(table["failure"].dropna().str[:8]) == {"tie", "none of "} and table["score"].eq(1).any()
    # Ours samples a choice that no token shows; inspect does not.
    table["failure"] = table["failure"].str.partition("; sampled instead")[0]
    table["choice_key"] = pd.Series(None, table.index, dtype="str")  # a log has no response store
    pd.testing.assert_frame_equal(tasks.read(log), table)
    sent = [body for body in endpoint.requests if body.get("max_tokens") == 1]
    asked = [sorted(json.dumps(body["messages"]) for body in bodies) for bodies in (heard, sent)]
    assert asked[0] == asked[1]
    assert log.results.scores[0].unscored_samples == table["score"].isna().sum()


def test_a_choice_of_a_model_without_log_probabilities_is_certain(tasks, tmp_path):
    items = couples(tmp_path)

    def letter(body: dict) -> dict:
        return completion(knows(body)["choices"][0]["message"]["content"])

    table = tasks.read(run(tasks.of_couples(items), tmp_path / "logs", mock(letter))).set_index("persona_id")
    assert set(table.loc[["p2", "p3"], "p_chosen"]) == {1.0}
    assert set(table.loc["p0", "p_chosen"]) == {0.5} and table.loc["p0", "flip"].all()


def test_a_call_that_ends_in_an_error_leaves_a_row_with_its_reason_and_the_others_are_scored(tasks, tmp_path):
    def failing(body: dict) -> dict:
        if "Why 5?" in str(body["messages"]) or ("Why 6?" in str(body) and "verdict" in str(body["response_format"])):
            raise ValueError("Request:\n{...}\n\nthe line is down")
        return answer(body)

    log = run(tasks.of_items(drawn(), ["direct"]), tmp_path, mock(failing))
    table = tasks.read(log).set_index("prompt")
    assert table.loc["Why 5?", "failure"].startswith("answer: the line is down")
    assert table.loc["Why 6?", "failure"].startswith("critic: the line is down") and table["answer"].notna()["Why 6?"]
    assert table["score"].isna().tolist() == table["failure"].notna().tolist() and table["score"].count() == 3
    assert intervals.rates(table.reset_index(), by="condition")[["n", "failed"]].values.tolist() == [[3, 5]]


def test_logs_that_are_unfinished_or_of_another_task_are_said(tasks, tmp_path):
    from inspect_ai import Task

    log = run(tasks.of_items(drawn(), ["direct"]), tmp_path, mock(answer))
    log.samples = list(log.samples)[1:]
    with pytest.raises(UserError, match=r"has 7 of 8 samples .*inspect eval-retry"):
        tasks.read(log)
    with pytest.raises(UserError, match="which is not one of bench"):
        tasks.read(run(Task(), tmp_path, mock(lambda body: completion("x"))))
