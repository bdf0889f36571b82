"""A ledger named by sentinels: what the URL may say, and what it may not."""

import pytest

from shared.sentinel_url import SentinelUrl, names_sentinels, parse_sentinel_url
from shared.settings import Settings


def test_hosts_service_and_database_are_read() -> None:
    found = parse_sentinel_url("redis+sentinel://a:1,b,[::1]:3/ledger/2")
    assert found == SentinelUrl((("a", 1), ("b", 26379), ("::1", 3)), "ledger", 2, tls=False)


def test_logins_of_primary_and_sentinels_are_read_and_not_shown() -> None:
    url = "rediss+sentinel://u:p%40ss@a:1/ledger?sentinel_username=s&sentinel_password=other"
    found = parse_sentinel_url(url)
    assert (found.username, found.password) == ("u", "p@ss")
    assert (found.sentinel_username, found.sentinel_password) == ("s", "other")
    assert (found.db, found.tls) == (0, True)
    assert "p@ss" not in repr(found)
    assert "other" not in repr(found)
    assert {"p@ss", "p%40ss", "other"} <= Settings(redis_url=url, broker_url="redis://b/0").secrets


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://a:1",
        "redis+sentinel:///ledger/0",
        "redis+sentinel://a:1,/ledger",
        "redis+sentinel://a:x/ledger",
        "redis+sentinel://a:1/ledger/x",
        "redis+sentinel://a:1/ledger?db=1",
        "redis+sentinel://a:1/ledger?nonsense",
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    assert names_sentinels(url)
    with pytest.raises(ValueError, match=r"."):
        parse_sentinel_url(url)


def test_other_urls_are_not_of_this_form() -> None:
    assert not names_sentinels("redis://a:1/0")
    assert not names_sentinels("unix:///a.sock")


def test_only_where_sentinels_name_the_ledger_are_replicas_waited_for() -> None:
    assert Settings(redis_url="redis://a/0").ledger_replicas == 0
    settings = Settings(redis_url="redis+sentinel://a/l", broker_url="redis://b/0", redis_replicas=2)
    assert settings.ledger_replicas == 2


def test_sentinels_name_no_broker() -> None:
    with pytest.raises(ValueError, match="broker_url must be given"):
        Settings(redis_url="redis+sentinel://a/l")
