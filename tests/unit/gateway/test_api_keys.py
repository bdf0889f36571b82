"""The text of a key, what is kept of it, and when it is good."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from services.gateway.api_keys import ApiKey, Scope, Token, check, presented
from services.gateway.key_store import successor
from shared.errors import UnauthenticatedError

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def stored(token: Token, **changed: object) -> ApiKey:
    usual = {
        "id": token.key_id,
        "tenant": "ward-7",
        "scopes": {"read"},
        "created_at": NOW - DAY,
        "secret_sha256": token.secret_sha256,
    }
    return ApiKey.model_validate({**usual, **changed})


def refusal(*args: object) -> str:
    with pytest.raises(UnauthenticatedError) as refused:
        check(*args)  # type: ignore[arg-type]
    return refused.value.code


def test_a_secret_has_256_random_bits_and_no_two_are_alike() -> None:
    made = [Token.make() for _ in range(100)]
    assert {len(bytes.fromhex(token.secret)) for token in made} == {32}
    assert len({token.secret for token in made}) == len({token.key_id for token in made}) == 100


def test_what_is_kept_is_the_sha256_and_never_the_secret() -> None:
    token = Token.make()
    assert token.secret_sha256 == hashlib.sha256(token.secret.encode()).hexdigest()
    assert token.secret not in stored(token).model_dump_json()


def test_no_repr_shows_a_secret_or_its_hash() -> None:
    token = Token.make()
    for shown in (repr(token), str(token), repr(stored(token)), str(stored(token))):
        assert token.secret not in shown
        assert token.secret_sha256 not in shown


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_a_key_may_come_as_bearer(scheme: str) -> None:
    token = Token.make()
    assert presented([f"{scheme} {token.text}"], []) == token


def test_a_key_may_come_in_its_own_header_and_in_both_if_it_is_the_same() -> None:
    token = Token.make()
    assert presented([], [token.text]) == token
    assert presented([f"Bearer {token.text}"], [f" {token.text} "]) == token


def test_two_different_keys_are_none() -> None:
    with pytest.raises(UnauthenticatedError):
        presented([f"Bearer {Token.make().text}"], [Token.make().text])
    with pytest.raises(UnauthenticatedError):
        presented([], [Token.make().text, Token.make().text])


def test_no_key_at_all_is_told_how_to_send_one() -> None:
    with pytest.raises(UnauthenticatedError, match="Bearer") as refused:
        presented([], [])
    assert refused.value.code == "key_required"


GOOD = Token("0123456789ab", "ab" * 32).text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mediscan__",
        GOOD[:-1],
        GOOD + "0",
        GOOD.upper(),
        GOOD.replace("mediscan", "mediscam"),
        GOOD.replace("ab" * 32, "zz" * 32),
        "mediscan_../../../etc_" + "ab" * 32,
        "mediscan_0123456789a/_" + "ab" * 32,
        GOOD + "\n" + GOOD,
        GOOD.replace("0", "\N{ARABIC-INDIC DIGIT ZERO}"),
        "x" * 100_000,
    ],
)
def test_what_is_no_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(UnauthenticatedError) as refused:
        presented([], [text])
    assert (refused.value.code, refused.value.detail) == ("bad_key", "This is not a valid API key.")


@pytest.mark.parametrize("value", [GOOD, f"Basic {GOOD}", "Bearer", ""])
def test_an_authorization_that_is_no_bearer_is_refused(value: str) -> None:
    with pytest.raises(UnauthenticatedError):
        presented([value], [])


def test_a_key_in_force_is_found_good() -> None:
    token = Token.make()
    assert check(token, stored(token, expires_at=NOW + DAY), NOW).tenant == "ward-7"


def test_a_wrong_secret_and_an_unknown_id_are_told_the_same() -> None:
    token = Token.make()
    wrong = Token(token.key_id, Token.make().secret)
    assert refusal(wrong, stored(token), NOW) == refusal(token, None, NOW) == "bad_key"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"expires_at": NOW}, "key_expired"),
        ({"expires_at": NOW - DAY}, "key_expired"),
        ({"revoked_at": NOW}, "key_revoked"),
        ({"revoked_at": NOW, "expires_at": NOW + DAY}, "key_revoked"),
    ],
)
def test_only_the_holder_learns_that_a_key_is_over(changed: dict[str, datetime], code: str) -> None:
    token = Token.make()
    key = stored(token, **changed)
    assert refusal(token, key, NOW) == code
    assert refusal(Token(token.key_id, Token.make().secret), key, NOW) == "bad_key"


def test_a_successor_has_the_same_rights_and_a_life_of_the_same_length() -> None:
    old = stored(Token.make(), expires_at=NOW + DAY, scopes={"read", "admin"}, label="CT 3", daily_quota=7)
    token = Token.make()
    new, ending = successor(old, token, NOW, NOW + 7 * DAY)
    assert (new.id, new.secret_sha256) == (token.key_id, token.secret_sha256)
    assert (new.tenant, new.scopes, new.label, new.daily_quota) == ("ward-7", old.scopes, "CT 3", 7)
    assert new.expires_at == NOW + 2 * DAY
    assert ending == old, "an overlap does not lengthen a life"


def test_rotation_ends_a_key_that_had_no_end() -> None:
    old = stored(Token.make())
    new, ending = successor(old, Token.make(), NOW, NOW + DAY)
    assert (new.expires_at, ending.expires_at) == (None, NOW + DAY)
    assert old.scopes == frozenset({Scope.READ})
