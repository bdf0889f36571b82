"""What is tried again, how long, and when it is given up."""

import pytest

import mediscan
from mediscan import calls, flows
from mediscan.calls import Call
from mediscan.replies import NoReply, Reply
from tests.unit.mediscan.script import World, problem

REFUSED_CONNECTION = NoReply("refused", may_have_arrived=False)
CUT = NoReply("cut", may_have_arrived=True)
FINE = Reply(200, {}, b"{}")
SUBMIT = calls.submit(b"image", {}, new_key="k")
READ = calls.read("job_1")
RETRY = calls.retry("job_1")


def send(world: World, call: Call = READ) -> Reply:
    return world.run(flows.send(call, world.patience))


@pytest.mark.parametrize(
    "trouble", [REFUSED_CONNECTION, CUT, problem(429), problem(502), problem(503), problem(504)]
)
@pytest.mark.parametrize(
    "call", [SUBMIT, READ, calls.cancel("job_1"), calls.delete("job_1")], ids=lambda c: c.method
)
def test_passing_trouble_is_outlived(trouble: Reply | NoReply, call: Call) -> None:
    world = World(trouble, trouble, FINE)
    assert send(world, call) == FINE
    # The very same request, so the same Idempotency-Key.
    assert world.calls == [call, call, call]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 415, 422, 500, 501])
def test_a_refusal_is_final(status: int) -> None:
    world = World(problem(status))
    with pytest.raises(mediscan.RefusedError) as caught:
        send(world)
    assert (caught.value.status, caught.value.code, caught.value.detail) == (status, "some_code", "Why.")
    assert world.pauses == []


@pytest.mark.parametrize("trouble", [CUT, problem(503)])
def test_what_could_be_done_twice_is_not_tried_again(trouble: Reply | NoReply) -> None:
    world = World(trouble)
    with pytest.raises(mediscan.MediScanError):
        send(world, RETRY)


@pytest.mark.parametrize("trouble", [REFUSED_CONNECTION, problem(429)])
def test_what_surely_was_not_done_is_tried_again(trouble: Reply | NoReply) -> None:
    assert send(World(trouble, FINE), RETRY) == FINE


def test_pauses_grow_up_to_a_bound_and_then_it_is_over() -> None:
    world = World(*[REFUSED_CONNECTION] * 12, retry_for_s=60)
    with pytest.raises(mediscan.UnreachableError, match="refused"):
        send(world)
    assert world.pauses == [0.25, 0.5, 1, 2, 4, 8, 8, 8, 8, 8, 8]
    assert world.now <= 1060


def test_half_of_a_pause_is_chance() -> None:
    world = World(REFUSED_CONNECTION, FINE, dice=0.0)
    send(world)
    assert world.pauses == [0.125]


def test_retry_after_is_obeyed_and_never_undercut() -> None:
    world = World(problem(429, **{"retry-after": "7"}), problem(503, **{"retry-after": "0"}), FINE)
    send(world)
    assert world.pauses == [7.25, 0.5]


def test_retry_after_may_be_a_date_on_the_servers_clock() -> None:
    dates = {"date": "Mon, 01 Jan 2024 00:00:00 GMT", "retry-after": "Mon, 01 Jan 2024 00:00:09 GMT"}
    world = World(problem(503, **dates), FINE, dice=0.0)
    send(world)
    assert world.pauses == [9]


def test_a_retry_after_beyond_our_patience_is_not_waited_for() -> None:
    world = World(problem(429, **{"retry-after": "3600"}))
    with pytest.raises(mediscan.RateLimitedError) as caught:
        send(world)
    assert (caught.value.retry_after_s, world.pauses) == (3600, [])


def test_slow_attempts_count_too() -> None:
    world = World((CUT, 30), (CUT, 29.0), (CUT, 0), retry_for_s=60)
    with pytest.raises(mediscan.UnreachableError):
        send(world)
    assert world.timeouts[0] == 30
    # What is left of the minute.
    assert world.timeouts[-1] < 1


def test_an_untrusted_certificate_stays_untrusted() -> None:
    with pytest.raises(mediscan.UnreachableError):
        send(World(NoReply("certificate", may_have_arrived=False, is_final=True)))


def test_gone_at_the_second_attempt_to_delete_means_deleted() -> None:
    world = World(CUT, problem(404))
    assert send(world, calls.delete("job_1")).status == 204
    with pytest.raises(mediscan.NotFoundError):
        send(World(problem(404)), calls.delete("job_1"))


def test_a_redirect_is_not_followed() -> None:
    with pytest.raises(mediscan.UnexpectedAnswerError, match="https://elsewhere"):
        send(World(Reply(301, {"location": "https://elsewhere"})))


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[]", b'{"code": 1}'])
def test_a_proxys_page_is_an_error_without_its_text(body: bytes) -> None:
    with pytest.raises(mediscan.ServerError) as caught:
        send(World(Reply(500, {"content-type": "text/html"}, body)))
    assert caught.value.code == "http_500"
    assert "html" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "family"),
    [
        (400, mediscan.InvalidRequestError),
        (401, mediscan.AuthenticationError),
        (403, mediscan.PermissionDeniedError),
        (404, mediscan.NotFoundError),
        (409, mediscan.ConflictError),
        (410, mediscan.NotFoundError),
        (418, mediscan.InvalidRequestError),
        (429, mediscan.RateLimitedError),
        (500, mediscan.ServerError),
        (503, mediscan.UnavailableError),
    ],
)
def test_every_status_has_its_family(status: int, family: type[mediscan.MediScanError]) -> None:
    world = World(problem(status), retry_for_s=0)
    with pytest.raises(mediscan.RefusedError) as caught:
        send(world)
    assert type(caught.value) is family
