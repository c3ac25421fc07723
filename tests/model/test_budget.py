"""What max_calls and max_cost let through: on a model, through batches, and over the notebooks of a run."""

import asyncio
import json
import re
import shutil

import anyio
import pytest
from batch_endpoint import (
    BatchEndpoint,
    quick,  # noqa: F401 (a fixture)
)
from endpoint import Endpoint, completion, first_token
from projects import write_notebook, write_preset
from typer.testing import CliRunner

from persona_lib import UserError, cli, files
from persona_lib.model import Model, catalogue
from persona_lib.model.limits.budget import Budget, Purse, _most
from persona_lib.store import Store

PRICED = "gpt-4.1-mini"
PRICE = catalogue.price(PRICED)
EACH = PRICE.cost(100, 50)
GOES_ON = "the replies so far are kept; a larger budget continues"


def numbers(n: int) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": str(i)}] for i in range(n)]


def costly(body: dict) -> dict:
    """A reply that tells its tokens: 100 of the prompt, and as many as were allowed."""
    reply = completion(body["messages"][-1]["content"])
    return reply | {"usage": {"prompt_tokens": 100, "completion_tokens": body.get("max_tokens", 50)}}


@pytest.mark.parametrize("in_flight", [1, 16])
def test_no_call_beyond_max_calls_is_made_and_the_next_goes_on(in_flight):
    with Endpoint(delay_s=0.01) as endpoint:
        model = Model("m", endpoint.url, max_in_flight=in_flight, max_calls=30)
        model.ask(numbers(10))
        with pytest.raises(UserError, match=f"^max_calls is reached: 30 of 30 calls are made; {GOES_ON}$"):
            model.ask(numbers(100))
        assert len(endpoint.requests) == Store().counts()["replies"] == model.usage["calls"] == 30
        assert len(model.ask(numbers(30))) == 30  # what the store has takes no call
        more = Model("m", endpoint.url, max_in_flight=in_flight, max_calls=70)
        assert [r.text for r in more.ask(numbers(100))] == [str(n) for n in range(100)]
        assert len(endpoint.requests) == 100 and more.usage["calls"] == 70


@pytest.mark.parametrize("in_flight", [1, 16])
def test_no_more_than_max_cost_is_spent_and_nearly_all_of_it_is(in_flight):
    with Endpoint(costly, models=(PRICED,), delay_s=0.01) as endpoint:
        model = Model(PRICED, endpoint.url, max_in_flight=in_flight, max_cost=40.5 * EACH)
        with pytest.raises(UserError, match=rf"^max_cost is reached: \$\S+ of \$\S+ are spent, .*; {GOES_ON}$"):
            model.ask(numbers(100), max_tokens=50)
        assert 36 <= len(endpoint.requests) <= 40
        assert model.usage["cost"] == pytest.approx(len(endpoint.requests) * EACH) and model.usage["cost"] < 40.5 * EACH
        assert Store().counts()["replies"] == len(endpoint.requests)


def test_choices_count_too():
    with Endpoint(lambda body: first_token(A=0.5, B=0.5)) as endpoint:
        with pytest.raises(UserError, match="max_calls is reached"):
            Model("m", endpoint.url, max_calls=3).choose(numbers(10))
        assert len(endpoint.requests) == 3


def test_a_reply_that_takes_more_than_its_request_tells_makes_the_next_be_expected_to():
    def thinks(body: dict) -> dict:
        return costly(body) | {"usage": {"prompt_tokens": 100, "completion_tokens": 10_000}}

    each = catalogue.price(PRICED).cost(100, 10_000)
    with Endpoint(thinks, models=(PRICED,)) as endpoint:
        model = Model(PRICED, endpoint.url, max_in_flight=1, max_cost=3.5 * each)
        with pytest.raises(UserError, match="max_cost is reached"):
            model.ask(numbers(10), max_tokens=50)
        assert len(endpoint.requests) == 3


def test_a_call_whose_cost_nobody_tells_is_taken_to_have_cost_the_most_it_may():
    with Endpoint(lambda body: costly(body) | {"usage": None}, models=(PRICED,)) as endpoint:
        model = Model(PRICED, endpoint.url, max_cost=0.001)
        with pytest.raises(UserError, match=r"^max_cost is reached: \$0.000\d+ of \$0.001 are spent"):
            model.ask(numbers(100), max_tokens=50)
        assert 1 <= len(endpoint.requests) < 10


@pytest.mark.parametrize("tells", [True, False])
def test_what_is_sent_ahead_is_booked_at_its_cost_once_that_is_told(quick, tells):  # noqa: F811
    """Another model shares the budget."""
    usage = {} if tells else {"usage": None}
    with BatchEndpoint(lambda body: costly(body) | usage, models=(PRICED,)) as endpoint:
        both = Budget(max_cost=1.0)
        Model(PRICED, endpoint.url, batch=True, budget=both).send(numbers(10))
        assert (both.cost == pytest.approx(10 * EACH)) == tells and both.cost >= 9.9 * EACH
        Model(PRICED, endpoint.url, budget=both).ask(numbers(11))
        assert len(endpoint.requests) == 11 and both.calls == 11 and both.held == pytest.approx(0)


def test_max_cost_without_a_price_is_said_at_once_and_max_calls_needs_none():
    with pytest.raises(
        UserError, match=r"no price of 'm' is known, which max_cost needs: add it to params/prices\.yaml"
    ):
        Model("m", "http://127.0.0.1:9/v1", max_cost=1.0)
    Model("local", max_cost=1.0)  # is free


def test_batches_stop_at_a_budget_too(quick):  # noqa: F811
    with BatchEndpoint(costly, models=(PRICED,)) as endpoint:
        with pytest.raises(UserError, match=f"max_calls is reached: 7 of 7 calls are made; {GOES_ON}"):
            Model(PRICED, endpoint.url, batch=True, max_calls=7).ask(numbers(20), max_tokens=50)
        assert len(endpoint.sent) == Store().counts()["replies"] == 7
        model = Model(PRICED, endpoint.url, batch=True, max_cost=10.5 * EACH)
        with pytest.raises(UserError, match="max_cost is reached"):
            model.ask(numbers(40), max_tokens=50)
        assert 7 + 7 <= len(endpoint.sent) <= 7 + 10 and model.usage["cost"] < 10.5 * EACH
        assert len(Model(PRICED, endpoint.url, batch=True).ask(numbers(40), max_tokens=50)) == 40
        assert len(endpoint.sent) == 40


def test_many_calls_may_wait_for_a_budget_without_waking_each_other():
    async def work() -> int:
        purse, made = Purse((Budget(max_calls=20_000),), None), 0

        async def call() -> None:
            nonlocal made
            held = await purse.start({})
            made += 1
            await asyncio.sleep(0)
            purse.settle(held, 0.0)

        ended = await asyncio.gather(*(call() for _ in range(30_000)), return_exceptions=True)
        assert sum(isinstance(e, UserError) for e in ended) == 10_000
        return made

    async def bounded() -> int:
        return await asyncio.wait_for(work(), 60)

    assert anyio.run(bounded) == 20_000


# --- runs

ASK = """
from persona_lib.model import Model
from persona_lib.store import Store
asked = Model(model, base_url, Store())
replies = asked.ask([[{"role": "user", "content": f"{word} {i}"}] for i in range(6)], max_tokens=50, step=word)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two notebooks that ask six things each."""
    root = tmp_path / "project"
    for stem in ("01_ask", "02_more"):
        parameters = f'model = "m"\nbase_url = None\nword = "{stem}"\nout = None'
        write_notebook(root, stem, ASK, parameters=parameters)
    write_preset(root, "smoke", "about: Asks.\nnotebooks: {01_ask: , 02_more: }")
    shutil.copy(files.ROOT / "params" / "prices.yaml", root / "params")
    monkeypatch.setattr(files, "ROOT", root)
    return root


def run(endpoint: Endpoint, project, *options: str):
    """What a run says, and its manifest."""
    fixed = ("--base-url", endpoint.url, "--model", PRICED, "--out", str(project / "outputs"), "--jobs", "1")
    options = (*fixed, *options)
    result = CliRunner().invoke(cli.app, ["run", *options])
    return result, json.loads((project / "outputs" / "manifest.json").read_text())


def test_a_run_stops_at_max_calls_and_the_next_goes_on_from_there(project):
    with Endpoint(costly, models=(PRICED,)) as endpoint:
        result, manifest = run(endpoint, project, "--max-calls", "8")
        assert result.exit_code == 1 and len(endpoint.requests) == 8 == manifest["usage"]["calls"]
        statuses = [entry["status"] for entry in manifest["notebooks"].values()]
        assert statuses == ["done", "failed"] and manifest["status"] == "failed"
        reason = f"max_calls is reached: 8 of 8 calls are made; {GOES_ON}"
        (line,) = (line for line in result.stdout.splitlines() if "max_calls is" in line)
        assert re.fullmatch(rf"failed  02_more  \d+ s  BudgetError: {reason}", line)
        assert manifest["budget"] == {"max_calls": 8, "max_cost": None}
        assert manifest["notebooks"]["02_more"]["steps"]["02_more"]["calls"] == 2
        page = (project / "outputs" / "index.html").read_text()
        assert reason in page and "1 of 2 notebooks failed" in page
        result, manifest = run(endpoint, project, "--max-calls", "9")
        assert result.exit_code == 0 and manifest["usage"]["calls"] == 4 and manifest["usage"]["cached"] == 8
        assert len(endpoint.requests) == 12


def test_a_run_ends_at_its_limit_and_the_notebooks_after_it_start_no_kernel(project):
    with Endpoint(costly, models=(PRICED,)) as endpoint:
        result, manifest = run(endpoint, project, "--max-calls", "3")
        assert [entry["status"] for entry in manifest["notebooks"].values()] == ["failed", "not run"]
        assert result.exit_code == 1 and result.stdout.count("max_calls is reached") == 1
        result, manifest = run(endpoint, project)
        assert result.exit_code == 0 and len(endpoint.requests) == 12


def test_a_limit_holds_for_notebooks_side_by_side(project):
    with Endpoint(costly, models=(PRICED,), delay_s=0.2) as endpoint:
        result, manifest = run(endpoint, project, "--max-calls", "8", "--jobs", "2")
        assert result.exit_code == 1 and len(endpoint.requests) == 8 == manifest["usage"]["calls"]
        assert "failed" in [entry["status"] for entry in manifest["notebooks"].values()]
        result, manifest = run(endpoint, project, "--max-calls", "4", "--jobs", "2")
        assert result.exit_code == 0 and len(endpoint.requests) == 12


def test_a_run_stops_at_max_cost_over_all_its_notebooks(project):
    with Endpoint(costly, models=(PRICED,)) as endpoint:
        result, manifest = run(endpoint, project, "--max-cost", str(9.7 * EACH))
        assert result.exit_code == 1 and "max_cost is reached" in manifest["notebooks"]["02_more"]["error"]["message"]
        assert manifest["notebooks"]["01_ask"]["status"] == "done" and 7 <= len(endpoint.requests) <= 9
        assert manifest["usage"]["cost"] == pytest.approx(len(endpoint.requests) * EACH)


def test_calls_whose_cost_nobody_tells_count_over_all_notebooks_and_leave_the_cost_unknown(project):
    with Endpoint(lambda body: costly(body) | {"usage": None}, models=(PRICED,)) as endpoint:
        request = {"model": {"name": PRICED, "base_url": endpoint.url}, "messages": numbers(1)[0], "sample": 0}
        most = _most(request | {"temperature": 0, "max_tokens": 50}, PRICE)
        result, manifest = run(endpoint, project, "--max-cost", str(7.5 * most))
        assert result.exit_code == 1 and "max_cost is reached" in manifest["notebooks"]["02_more"]["error"]["message"]
        assert 6 <= len(endpoint.requests) <= 7 and manifest["usage"]["cost"] is None
        assert "no price known" in (project / "outputs" / "index.html").read_text()
