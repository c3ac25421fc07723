"""What endpoints say about their limits, and what a run does with it."""

import time
from datetime import UTC, datetime, timedelta

import httpx
import openai
import pytest
from endpoint import Endpoint, completion, say

from persona_lib import LimitError, UserError
from persona_lib.model import Model
from persona_lib.model.limits import pace, quota, sharing
from persona_lib.model.transport import connection
from persona_lib.store import Store


def refusal(said: str = "too many", status: int = 429, **headers: str) -> openai.APIStatusError:
    """An error as the client raises it; `_` in the headers' names stands for a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.Response(status, headers=named, request=httpx.Request("POST", "http://x"))
    return openai.APIStatusError(said, response=response, body=None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("1 hour", 3600), ("2.5", 2.5), ("soon", None), ("-3", None)],
)
def test_lengths_of_time_are_read_in_every_form(text, expected):
    assert quota.seconds(text) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Rate limit reached on requests per min (RPM): Limit 3, Used 3. Please try again in 6.2s. Visit ...", 6.2),
        ("Please try again in 7m12.5s", 432.5),
        ("Please retry in 34.07s.", 34.07),
        ("retry after 60 seconds", 60),
        ("Too many requests, please wait 2 minutes and 5 seconds", 125),
        ('"retryDelay": "34s"', 34),
        ("The limit of 20 requests is reached", None),
        ("please retry in one minute", 60),
        ("wait an hour", 3600),
        ("Please retry after 20", 20),
        ("Please try again after 20.", 20),
        ("Please retry after 20 tries", None),
    ],
)
def test_a_message_says_when_to_try_again(said, expected):
    assert quota.told(refusal(said)) == expected


def test_headers_say_when_to_try_again():
    assert quota.told(refusal(retry_after="7")) == 7 and quota.told(refusal(retry_after_ms="250")) == 0.25
    assert quota.told(refusal("try again in 3s", retry_after="7")) == 7
    spent = {"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "1m1s"}
    assert quota.told(refusal(**spent)) == 61 and quota.told(refusal()) is None
    moment = {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(int(1000 * (time.time() + 90)))}
    assert 80 < quota.told(refusal(**moment)) < 91
    assert quota.told(ValueError("try again in 3s")) is None
    assert quota.told(refusal(retry_after="30s")) == 30 and quota.told(refusal(retry_after="nan")) is None


def test_a_message_may_name_the_moment_at_which_it_goes_on():
    moment = datetime.now(UTC) + timedelta(hours=3)
    for text in (moment.strftime("%Y-%m-%dT%H:%M:%SZ"), moment.isoformat()):
        assert quota.told(refusal(f"Limit reached. Resets at {text}.")) == pytest.approx(10800, abs=5)


def test_an_error_sent_as_a_list_is_read_as_any_other():
    details = [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}, {"retryDelay": "0.2s"}]
    error = {"code": 429, "message": "You exceeded your current quota, check your plan and billing", "details": details}
    refused = iter([True])
    with Endpoint(lambda body: (429, [{"error": error}]) if next(refused, False) else completion("fine")) as endpoint:
        assert Model("m", endpoint.url).ask(say("x"))[0].text == "fine" and len(endpoint.requests) == 2
    del details[1]
    with Endpoint(lambda body: (429, [{"error": error}])) as endpoint:
        with pytest.raises(LimitError, match=r"a limit per day .*RateLimitError: .*429 - You exceeded your current"):
            Model("m", endpoint.url).ask(say("x"))
        assert len(endpoint.requests) == 1


def test_a_limit_that_is_nearly_used_up_says_how_fast_it_refills():
    headers = {f"x-ratelimit-{of}-requests": value for of, value in (("limit", "60"), ("remaining", "4"))}
    assert quota.per_second(headers | {"x-ratelimit-reset-requests": "28s"}, 64, 0) == 2
    assert quota.per_second(headers | {"x-ratelimit-reset-requests": "28s"}, 3, 0) is None
    assert quota.per_second(headers, 64, 0) is None and quota.per_second({}, 64, 0) is None
    tokens = {f"x-ratelimit-{of}-tokens": value for of, value in (("limit", "9000"), ("remaining", "3000"))}
    assert quota.per_second(tokens | {"x-ratelimit-reset-tokens": "10s"}, 64, 100) == 6


@pytest.mark.parametrize(
    ("said", "headers", "goes_on"),
    [
        (
            "Rate limit on requests per day (RPD): Limit 200. Please try again in 47m12s",
            {},
            r"per day .* goes on at \d\d:",
        ),
        ("free-models-per-day exceeded", {}, "per day .* does not say when"),
        ("slow down", {"Retry-After": "86400"}, r"goes on at \d\d:\d\d on \d\d \w+ \d{4}"),
        ("Please try again in 2h", {}, "goes on at"),
        ("slow down", {"Retry-After": "1e12"}, "it does not say when"),
        ("slow down", {"Retry-After": "inf"}, "it does not say when"),
        ("Weekly limit reached", {}, "a limit per week .* does not say when"),
    ],
)
def test_a_limit_of_hours_ends_the_ask_says_when_it_goes_on_and_the_same_ask_resumes(said, headers, goes_on):
    allowed = 3

    def answer(body: dict):
        nonlocal allowed
        allowed -= 1
        return completion("fine") if allowed >= 0 else (429, {"error": {"message": said}}, headers)

    with Endpoint(answer) as endpoint:
        with pytest.raises(LimitError, match=goes_on) as caught:
            Model("m", endpoint.url, max_in_flight=1).ask(say(*map(str, range(10))))
        assert "\n" not in str(caught.value) and "run the same command again" in str(caught.value)
        assert len(endpoint.requests) == 4
        allowed = 100
        assert [r.text for r in Model("m", endpoint.url).ask(say(*map(str, range(10))))] == ["fine"] * 10
        assert len(endpoint.requests) == 4 + 7


@pytest.mark.parametrize(
    ("said", "headers"),
    [
        ("Rate limit reached on requests per day (RPD): Limit 10000. Please try again in 0.3s", {}),
        ("Too many requests. Contact us to increase your daily quota", {"Retry-After": "0.3"}),
        ("Too many requests. Contact us to increase your daily quota", {}),
    ],
)
def test_a_limit_per_day_that_goes_on_in_seconds_is_waited_for(said, headers):
    refused = iter([True])
    answer = lambda body: (429, {"error": {"message": said}}, headers) if next(refused, False) else completion("fine")  # noqa: E731
    with Endpoint(answer) as endpoint:
        assert [r.text for r in Model("m", endpoint.url).ask(say("x", "y"))] == ["fine"] * 2
        assert len(endpoint.requests) == 3


@pytest.mark.parametrize(
    ("said", "limit"),
    [
        ("Rate limit on requests per day (RPD): Limit 200", "per day"),
        ("free-models-per-day exceeded. Add 10 credits to unlock 1000 requests per day", "per day"),
        ("daily quota reached, upgrade your plan", "per day"),
        ("200 requests per 24 hours are allowed", "per day"),
        ("the 24h limit is reached", "per day"),
        ("it resets tomorrow", "per day"),
        ("your monthly limit is reached", "per month"),
        ("slow down. Contact sales to raise your daily limit", None),
        ("Rate limit exceeded per minute; see the daily usage page", None),
        ("requests per minute", None),
    ],
)
def test_only_a_limit_that_is_reached_is_a_long_one(said, limit):
    assert quota.long_limit(said) == limit


def test_a_wait_that_an_endpoint_asks_for_holds_all_calls_once(monkeypatch, capsys):
    monkeypatch.setattr(connection, "TOLD_S", 0.1)
    began, at = time.monotonic(), []

    def answer(body: dict):
        at.append(time.monotonic() - began)
        return (429, {"error": {"message": "try again in 0.6s"}}) if len(at) == 2 else completion("fine")

    with Endpoint(answer) as endpoint:
        Model("m", endpoint.url, max_in_flight=2).ask(say(*map(str, range(6))))
    assert sum(moment > at[1] + 0.55 for moment in at) >= 4
    assert capsys.readouterr().err.count("asks to wait until") == 1


def test_the_pace_is_kept_from_ask_to_ask_and_for_the_next_process(tmp_path):
    refused = iter([False] * 20 + [True])

    def answer(body: dict):
        return (429, {"error": {"message": "slow"}}) if next(refused, False) else completion("fine")

    with Endpoint(answer) as endpoint:
        Model("m", endpoint.url).ask(say(*map(str, range(30))))
        held = sharing.of_endpoint("m", endpoint.url, 64, Store())
        assert held.refusals == 1 and held.per_s < 100
        Model("m", endpoint.url).ask(say("more"))
        assert sharing.of_endpoint("m", endpoint.url, 64, Store()) is held
        sharing._PACES.clear()  # as in the next process
        for name in ("m", "other"):
            new = sharing.of_endpoint(name, endpoint.url, 64, Store())
            assert new.per_s == pytest.approx(held.per_s) and not new.opening
        assert sharing.of_endpoint("m", "http://elsewhere/v1", 64, Store()).opening


def test_an_old_pace_is_not_taken_over(monkeypatch, tmp_path):
    store = Store(tmp_path / "r.sqlite")
    held = pace.Pace(64, "m")
    held.accepted(0.1)
    held.refused()
    sharing.keep(held, "http://x/v1", store)
    assert sharing.of_endpoint("n", "http://x/v1", 64, store).per_s == held.per_s
    monkeypatch.setattr(pace, "KEPT_S", -1)
    assert sharing.of_endpoint("o", "http://x/v1", 64, store).per_s == float("inf")


def test_a_quota_that_is_used_up_is_a_limit():
    spent = (429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})
    unpaid = (402, {"error": {"message": "Insufficient Balance"}})
    uncoded = (429, {"error": {"message": "You exceeded your current quota, please check your plan and billing"}})
    for refusal in (spent, unpaid, uncoded):
        with Endpoint(lambda body, refusal=refusal: refusal) as endpoint:
            with pytest.raises(LimitError, match="no more quota"):
                Model("m", endpoint.url).ask(say(*map(str, range(100))))
            assert len(endpoint.requests) == 1
    assert issubclass(LimitError, UserError)


def test_headers_of_answers_set_the_pace_before_anything_is_refused():
    told = {f"x-ratelimit-{of}-requests": value for of, value in (("limit", "60"), ("remaining", "10"))}
    headers = told | {"x-ratelimit-reset-requests": "2s"}  # 25 calls a second
    with Endpoint(lambda body: (200, completion("fine"), headers)) as endpoint:
        began = time.monotonic()
        Model("m", endpoint.url).ask(say(*map(str, range(30))))
        assert time.monotonic() - began > 0.7
        assert sharing.of_endpoint("m", endpoint.url, 64, Store()).per_s == pytest.approx(25, rel=0.05)


def test_hardly_a_call_of_several_steps_is_refused_where_few_are_allowed_a_second():
    """20 calls in any one second are allowed, and a fifth of a second's calls at once: no headers, no wait told.

    Where a thread is held for a second, what it missed comes at once and is refused; then it is tried again.
    """
    assert any(share_refused(per_s=20.0, burst=4.0, steps=4, each=50) <= 0.03 for _ in range(3))


def share_refused(per_s: float, burst: float, steps: int, each: int) -> float:
    """Which share of the calls of several steps a bucket refuses."""
    left, at = burst, time.monotonic()

    def answer(body: dict):
        nonlocal left, at
        now = time.monotonic()
        left, at = min(burst, left + per_s * (now - at)), now
        if left < 1:
            return 429, {"error": {"message": "Too many requests"}}
        left -= 1
        return completion("fine")

    with Endpoint(answer, delay_s=0.05) as endpoint:
        for step in range(steps):
            replies = Model("m", endpoint.url).ask(say(*(f"{step} {n}" for n in range(each))), step=str(step))
            assert not any(reply.failure for reply in replies)
        return 1 - steps * each / len(endpoint.requests)
