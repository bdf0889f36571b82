"""An operator looks at the jobs of the tenant that were given up, and has them read again."""

from services.gateway.api_keys import Token
from shared.contracts import DeadLetter, DeadLetterPage
from shared.names import JobRef, Key, Stage, new_job_id
from tests.integration.gateway.guarded import Guarded
from tests.integration.gateway.test_follow import assert_problem
from tests.support.samples import new_token


def died(guarded: Guarded, token: Token, at: float | None = None) -> JobRef:
    """A job that was delivered too often."""
    ref = guarded.submit(token)
    with guarded.house.ledger_server.client() as client:
        client.hset(Key.job(ref), "ml.deliveries", "9")
        claim = guarded.house.ledger.claim(ref, Stage.ML, token=new_token())
        assert claim
        assert guarded.house.ledger.release(claim, "It broke.") == "dead"
        if at is not None:
            client.zadd(Key.DEAD, {str(ref): at})
    return ref


def test_they_are_listed_page_by_page_newest_first(guarded: Guarded) -> None:
    mine, theirs = guarded.key("mine"), guarded.key("theirs")
    dead = [died(guarded, mine, at) for at in (1.5, 2.5, 2.5, 3.5)]
    died(guarded, theirs, 2.5)
    expected = sorted(dead, key=lambda ref: (dead.index(ref) == 3, dead.index(ref) > 0, ref), reverse=True)

    seen: list[str] = []
    cursor: dict[str, str] = {}
    for size in (1, 2, 1):
        answer = guarded.ask("GET", "/v1/dead-letters", mine, params={"limit": str(size), **cursor})
        page = DeadLetterPage.model_validate_json(answer.content)
        assert len(page.items) == size
        seen += [letter.job_id for letter in page.items]
        cursor = {"cursor": page.next_cursor} if page.next_cursor else {}
    assert (seen, cursor) == ([ref.job_id for ref in expected], {})


def test_one_says_why(guarded: Guarded) -> None:
    token = guarded.key()
    ref = died(guarded, token, 7)
    answer = guarded.ask("GET", f"/v1/dead-letters/{ref.job_id}", token)
    letter = DeadLetter.model_validate_json(answer.content)
    assert (letter.job_id, letter.died_at.timestamp(), letter.error.code) == (ref.job_id, 7, "ml_gave_up")
    assert answer.headers["cache-control"] == "no-store"


def test_one_of_which_nothing_is_stored_is_still_listed(guarded: Guarded) -> None:
    token = guarded.key("ward-7")
    ref = JobRef("ward-7", new_job_id())
    guarded.house.ledger.note_lost([ref])
    (letter,) = guarded.ask("GET", "/v1/dead-letters", token).json()["items"]
    assert (letter["job_id"], letter["error"]["code"]) == (ref.job_id, "not_stored")
    assert_problem(guarded.ask("POST", f"/v1/dead-letters/{ref.job_id}/replay", token), 404, "unknown_job")
    assert guarded.ask("GET", f"/v1/dead-letters/{ref.job_id}", token).status_code == 200


def test_one_is_read_again_and_is_no_dead_letter_then(guarded: Guarded) -> None:
    token = guarded.key()
    ref = died(guarded, token)
    answer = guarded.ask("POST", f"/v1/dead-letters/{ref.job_id}/replay", token)
    assert (answer.status_code, answer.json()["retry_of"]) == (202, ref.job_id)
    assert_problem(guarded.ask("GET", f"/v1/dead-letters/{ref.job_id}", token), 404, "unknown_dead_letter")
    assert guarded.ask("GET", "/v1/dead-letters", token).json() == {"items": [], "next_cursor": None}


def test_another_tenants_are_none(guarded: Guarded) -> None:
    ref, mine = died(guarded, guarded.key("theirs")), guarded.key("mine")
    for method, suffix in (("GET", ""), ("POST", "/replay")):
        answer = guarded.ask(method, f"/v1/dead-letters/{ref.job_id}{suffix}", mine)
        assert_problem(answer, 404, "unknown_dead_letter")
    assert guarded.ask("GET", "/v1/dead-letters", mine).json()["items"] == []


def test_a_cursor_of_ones_own_making_is_refused(guarded: Guarded) -> None:
    token = guarded.key()
    for cursor in ("x", "1", "nan~" + new_job_id(), "1~job_1", "inf~" + new_job_id()):
        answer = guarded.ask("GET", "/v1/dead-letters", token, params={"cursor": cursor})
        assert_problem(answer, 422, "bad_cursor")
