"""What `persona estimate` counts, against what is then really asked."""

import json
from typing import Literal

import pandas as pd
import pytest
from endpoint import Endpoint, completion, first_token
from projects import write_notebook, write_preset
from pydantic import BaseModel, Field, create_model
from typer.testing import CliRunner

from persona_lib import cli, files, store
from persona_lib.model.limits import budget
from persona_lib.model.replies import dry, repair, schemas
from persona_lib.model.transport.endpoint import OPENAI_URL
from persona_lib.runs.dry_runs import estimate
from persona_lib.runs.executing import pairs
from persona_lib.runs.executing.run import run
from persona_lib.runs.planning import presets
from persona_lib.store import Store, Stored, canonical, key_of, read_recording
from persona_lib.templates import text

PARAMETERS = 'model = "m"\nbase_url = None\nn = 6\nrecording = None\nout = None'
ASK = """
from typing import Literal
from pydantic import BaseModel, Field
from persona_lib.model import Model
from persona_lib.store import Store
class Verdict(BaseModel):
    reason: str = Field(max_length=60)
    verdict: Literal["keep", "revise"]
asked = Model(model, base_url, Store())
say = lambda text: [{"role": "user", "content": text}]
first = asked.ask([say(f"item {i % (n - 1)}") for i in range(n)], step="answers")
verdicts = asked.ask([say(f"judge: {r.text}") for r in first], schema=Verdict, step="verdicts")
assert all(r.value for r in verdicts)
asked.choose([say(f"choose: {v.value.verdict} {i}") for i, v in enumerate(verdicts)], step="choices")
"""
STOP = 'raise ValueError("no figure of nothing")'


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of two notebooks that ask the same, the second of which fails in the end."""
    root = tmp_path / "project"
    write_notebook(root, "01_ask", ASK, parameters=PARAMETERS)
    write_notebook(root, "02_again", ASK, STOP, parameters=PARAMETERS)
    write_preset(root, "smoke", "about: Asks.\nnotebooks: {01_ask: , 02_again: }")
    monkeypatch.setattr(files, "ROOT", root)
    return root


def answer(body: dict) -> dict:
    """Whatever is asked, without saying the same of two different things."""
    text = body["messages"][-1]["content"]
    if body.get("logprobs"):
        return first_token(A=0.5, B=0.25)
    if "response_format" in body:
        return completion(json.dumps({"reason": "clear", "verdict": "keep"}))
    return completion(f"answer to {text}")


def counts(table: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    return {(row.notebook, row.step): (row.calls, row.cached) for row in table.itertuples()}


def test_figures_of_made_up_replies_are_not_shown(project, monkeypatch):
    told = []
    monkeypatch.setattr(estimate.kernels, "execute", lambda *arguments: told.append(arguments[-1]))
    estimate.of(presets.plan(presets.load("smoke")))
    assert [environment["MPLBACKEND"] for environment in told] == ["agg", "agg"]


def test_the_estimate_of_the_smoke_preset_is_the_number_of_calls_that_was_recorded():
    planned = presets.plan(presets.load("smoke"), ["06"])
    table, _ = estimate.of(planned)
    of_nothing = counts(table)
    items = planned["06_conditioning"]["n_items"]
    answered = {step: calls for (_, step), (calls, _) in of_nothing.items() if step.startswith("answers")}
    assert len(answered) == 6 and set(answered.values()) == {items}
    # Made-up answers are all different; of the embedded model's some are equal, and judged once.
    calls, cached = of_nothing["06_conditioning", "verdicts of critic"]  # control items come on top
    assert calls >= 6 * items and cached == 0

    recorded = list(read_recording("smoke"))
    late = [row for row in recorded if json.loads(row.request).get("schema", {}).get("name") == "Subtlety"]
    Store().put(row for row in recorded if row not in late)
    table, notes = estimate.of(planned)
    assert table["calls"].sum() == len(late) > 10 and table["cost"].sum() == 0
    read = [json.loads(row.reply)["usage"] for row in late]
    assert table["tokens_in"].sum() == pytest.approx(sum(u["prompt_tokens"] for u in read), rel=0.1)
    assert table["tokens_out"].sum() == pytest.approx(sum(u["completion_tokens"] for u in read), rel=0.6)
    assert Store().counts()["replies"] == len(recorded) - len(late)
    assert "replies in the store" in notes[0]


def test_what_is_estimated_is_what_a_run_then_asks_and_after_it_nothing_is_left(project):
    with Endpoint(answer) as endpoint:
        smoke = presets.load("smoke")
        planned = presets.plan(smoke, given={"base_url": endpoint.url})
        table, notes = estimate.of(planned)
        assert not endpoint.requests and not store.default_path().exists()
        assert counts(table) == {
            ("01_ask", "answers"): (5, 1), ("01_ask", "verdicts"): (5, 1), ("01_ask", "choices"): (6, 0),
            ("02_again", "answers"): (0, 6), ("02_again", "verdicts"): (0, 6), ("02_again", "choices"): (0, 6),
        }  # fmt: skip
        assert table["failure"].isna().tolist() == [True] * 3 + [False] * 3
        assert "02_again failed during the estimate: ValueError: no figure of nothing" in notes
        assert table["cost"].isna().tolist() == [True] * 3 + [False] * 3
        assert any("m: no price known; add it to params/prices.yaml" in note for note in notes)

        manifest = run(smoke, planned, project / "outputs")
        assert len(endpoint.requests) == table["calls"].sum() == manifest["usage"]["calls"]
        assert manifest["usage"]["cached"] == table["cached"].sum()
        table, _ = estimate.of(planned)
        assert table["calls"].sum() == 0 and table["cached"].sum() == 36 and (table["seconds"] == 0).all()


def keep(who: dict[str, str], *moments: str) -> Store:
    """A store with replies of a model that came at these times."""
    request = {"messages": [{"role": "user", "content": "x" * 300}], "model": who}
    reply = {"choices": [{"message": {"content": "y" * 100}}]}
    usage = {"usage": {"prompt_tokens": 60, "completion_tokens": 50}}
    kept = Store()
    for n, moment in enumerate(moments):
        kept.put([Stored(str(n), canonical(request | {"sample": n}), canonical(reply | usage), None)])
        kept.db.execute("UPDATE replies SET created = ? WHERE key = ?", (f"2026-01-02T{moment}+00:00", str(n)))
    return kept


def test_the_command_prints_a_table_with_its_sum_and_what_it_assumes(project):
    write_notebook(project, "01_ask", "1", parameters=PARAMETERS)
    write_notebook(project, "02_again", ASK, parameters=PARAMETERS)
    result = CliRunner().invoke(cli.app, ["estimate", "--model", "gpt-4.1-mini", "-p", "n=3"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1].startswith("01_ask    asks no model") and "$0.00" in lines[1]
    for together in lines[5:7]:  # of the notebook with several steps, and of all
        assert " 7 " in together and "$0.000" in together and together.endswith("unknown")
    assert lines[5].startswith("          together") and lines[6].startswith("total")
    assert lines[7].startswith("gpt-4.1-mini: 4.0 characters per token sent and 4.0 per token received (assumed)")
    keep({"name": "gpt-4.1-mini", "base_url": OPENAI_URL}, "10:00:00", "10:00:10", "10:00:20")
    asked = ["estimate", "--model", "gpt-4.1-mini", "-p", "n=3"]
    lines = CliRunner().invoke(cli.app, asked).stdout.splitlines()
    assert lines[6].endswith("0:01:10") and lines[7].endswith("recently 0.1 calls/s")
    told = json.loads(CliRunner().invoke(cli.app, [*asked, "--json"]).stdout)
    assert [row["calls"] for row in told["rows"]] == [0, 2, 2, 3]
    assert told["notebooks"]["01_ask"]["calls"] == 0 and told["notebooks"]["02_again"] == told["total"]
    assert told["total"]["calls"] == 7 and told["total"]["seconds"] == pytest.approx(70)
    assert told["notes"] == lines[7:]


def test_sums_with_an_unknown_cost_are_unknown_and_json_has_null():
    row = {"notebook": "a", "step": "x", "model": "m", "calls": 1, "reasked": 0, "cached": 0, "tokens_in": 5}
    row |= {"tokens_out": 2, "cost": 0.5, "seconds": 1.0, "failure": None}
    table = pd.DataFrame([row, row | {"step": "y", "cost": None}, row | {"notebook": "b"}])
    told = json.loads(estimate.as_json(estimate.Estimate(table, [])))
    assert [told["notebooks"][name]["cost"] for name in "ab"] == [None, 0.5] and told["total"]["cost"] is None
    assert told["total"]["seconds"] == 3 and told["total"]["calls"] == 3
    assert sum("together" in line for line in estimate.text(table).splitlines()) == 1  # one row needs no sum


def replies_that_were_asked_again(who: dict[str, str], asks: int, again: int) -> Store:
    """A store with structured replies of a model to `asks` requests, the first `again` of which were repeated."""
    kept = Store()
    reply = {"choices": [{"message": {"content": "{}"}}], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
    for n in range(asks):
        messages = [{"role": "system", "content": "judge"}, {"role": "user", "content": str(n)}]
        requests = [messages, repair.again(messages, "no JSON", "invalid reply: JSON")][: 1 + (n < again)]
        for k, asked in enumerate(requests):
            request = {"messages": asked, "model": who, "schema": {"name": "V", "schema": {}}}
            kept.put([Stored(f"{n} {k}", canonical(request), canonical(reply), "invalid reply: x" if n == 0 else None)])
    return kept


@pytest.mark.parametrize(("again", "share"), [(40, 1.0), (10, 0.25), (0, 0.0)])
def test_calls_that_ask_again_are_counted_as_often_as_they_were_needed(project, again, share):
    write_notebook(project, "01_ask", ASK.replace("n - 1", "n"), parameters=PARAMETERS.replace("n = 6", "n = 400"))
    who = {"name": "gpt-4.1-mini", "base_url": OPENAI_URL}
    assert dry.scale(replies_that_were_asked_again(who, 40, again), who).reasks == pytest.approx(share)
    table, notes = estimate.of(presets.plan(presets.load("smoke"), ["01"], {"model": "gpt-4.1-mini"}))
    reasked = table.set_index("step")["reasked"]
    assert reasked["answers"] == reasked["choices"] == 0  # only structured replies are asked for again
    assert reasked["verdicts"] == pytest.approx(400 * share, abs=40) and (share < 1 or reasked["verdicts"] == 400)
    assert table["calls"].tolist() == [400, 400 + reasked["verdicts"], 400] and table["failure"].isna().all()
    per_call = table.set_index("step")["tokens_in"] / table.set_index("step")["calls"]
    assert table["cost"].notna().all() and per_call["verdicts"] > 0
    assert f"{share:.1%} of structured replies were no JSON" in notes[0]
    assert ("asked again" in estimate.text(table)) == (share > 0)


def test_a_notebook_that_fails_without_its_replies_makes_the_exit_code_1(project):
    write_notebook(project, "02_again", STOP, parameters=PARAMETERS)
    result = CliRunner().invoke(cli.app, ["estimate", "--only", "02"])
    assert (
        result.exit_code == 1
        and "02_again failed during the estimate: ValueError: no figure of nothing" in result.stdout
    )


def test_a_notebook_that_records_nothing_is_estimated_too(project):
    write_notebook(project, "01_ask", "assert n == 6", parameters="n = 6")
    table, _ = estimate.of(presets.plan(presets.load("smoke"), ["01"]))
    assert table["failure"].isna().all() and table["calls"].sum() == 0


def test_the_estimate_of_pairs_is_the_number_of_calls_that_making_them_takes(tmp_path):
    small = {"n_personas": 2, "train": 3, "seen": 1, "heldout": 1, "train_prompts": 6, "heldout_prompts": 2}

    def fits(body: dict) -> dict:
        schema = body["response_format"]["json_schema"]["schema"]
        made = dry.example(schema, dry.Chance(json.dumps(body)))
        return completion(json.dumps(made))

    with Endpoint(fits) as endpoint:
        given = small | {"model": "m", "base_url": endpoint.url, "verify": 0, "dense_personas": 0, "dense_prompts": 0}
        settings = presets.pairs(presets.load("smoke"), given)
        table, _ = estimate.count(estimate.works_of_pairs(settings))
        assert not endpoint.requests and set(table["notebook"]) == {"pairs"} and table["failure"].isna().all()
        assert table["calls"].tolist() == [8, 10, 10]  # base answers; critiques and revisions of 2 x 5 pairs
        pairs.make(settings, tmp_path / "pairs")
        assert len(endpoint.requests) == 28


# --- made-up replies


class Inner(BaseModel):
    label: str = Field(min_length=3, max_length=9)


class Everything(BaseModel):
    number: int = Field(ge=2, le=3)
    share: float = Field(gt=0, lt=1)
    flag: bool
    maybe: str | None
    inner: Inner
    many: list[Inner] = Field(min_length=4)


def test_a_made_up_reply_fits_its_schema_and_is_the_same_each_time():
    schema = Everything.model_json_schema()
    made = [dry.example(schema, dry.Chance(seed)) for seed in range(50)]
    assert all(Everything.model_validate(value) for value in made)
    assert made[7] == dry.example(schema, dry.Chance(7)) != made[8]


def made_up(settings: dict, words: dict[str, int], n: int = 400) -> list[str]:
    made = dry.Dry(Store(), {"name": "m"})
    requests = [{"messages": [{"role": "user", "content": str(k)}], **settings} for k in range(n)]
    return [made.reply(key_of(canonical(r)), r, words)["choices"][0]["message"]["content"] for r in requests]


def test_made_up_texts_are_as_long_as_asked_and_the_first_option_comes_three_times_of_four():
    fields = {"critique": (text(80), ...), "reasoning": (text(None), ...), "verdict": (Literal["keep", "revise"], ...)}
    schema = create_model("Judged", **fields)
    said = made_up({"schema": schemas.requested(schema, bounded=False)}, schemas.words(schema))
    values = [schema.model_validate_json(reply) for reply in said]
    assert {len(v.critique) for v in values} == {6 * 80} and {len(v.reasoning) for v in values} == {6 * 130}
    assert 0.7 < sum(v.verdict == "keep" for v in values) / 400 < 0.8
    assert len({v.critique for v in values}) == 400
    # Of the embedded model too, whose bound is no length that was asked for.
    (bounded,) = made_up({"schema": schemas.requested(schema, bounded=True)}, schemas.words(schema), n=1)
    assert len(schema.model_validate_json(bounded).critique) == 6 * 80
    assert {len(said) for said in made_up({"max_tokens": 5}, {})} == {20} and len(made_up({}, {}, n=1)[0]) == 6 * 130


def test_the_longest_reply_that_a_schema_allows_bounds_every_other():
    schema = Inner.model_json_schema()
    assert len(Inner(label="x" * 9).model_dump_json()) <= budget.longest(schema) <= 9 + len('{"label": ""}')


def test_pace_and_tokens_are_those_of_the_models_latest_replies():
    who = {"name": "m", "base_url": "http://x/v1"}
    kept = keep(who, "10:00:00", "10:00:10", "10:00:20", "11:00:00", "11:00:10")
    assert dry.scale(kept, who) == (5.0, 2.0, 0.1, 5, 0.0)  # the pause of 40 minutes does not count
    assert dry.scale(kept, who | {"name": "other"}) == (4.0, 4.0, None, 0, 0.0)
