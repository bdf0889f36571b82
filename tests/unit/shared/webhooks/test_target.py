"""Which URLs are refused without asking anybody."""

import pytest

from shared.errors import BadUploadError
from shared.webhooks.destinations import Destinations
from shared.webhooks.target import MAX_URL, Target, parse_target

ANYWHERE = Destinations()


def test_a_url_is_taken_apart() -> None:
    assert parse_target("https://Hooks.Example.org/a/b?c=d", ANYWHERE) == Target(
        tls=True, host="hooks.example.org", port=443, path="/a/b?c=d"
    )
    assert parse_target("https://[2606:4700:4700::1111]:8443", ANYWHERE) == Target(
        tls=True, host="2606:4700:4700::1111", port=8443, path="/"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/",
        "ftp://hooks.example.org/",
        "file:///etc/passwd",
        "https:///path",
        "https://",
        "//hooks.example.org/",
        "https://user@hooks.example.org/",
        "https://user:password@hooks.example.org/",
        "https://hooks.example.org/#part",
        "https://hooks.example.org:0/",
        "https://hooks.example.org:99999/",
        "https://hooks.example.org:x/",
        "https://hooks.example.org\\@127.0.0.1/",
        "https://hooks.example.org/ a",
        "https://hooks.example.org/\r\nHost: x",
        "https://höoks.example.org/",
        "https://127.0.0.1/",
        "https://10.0.0.1:8443/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[64:ff9b::a00:1]/",
        "https://[fe80::1%25eth0]/",
        f"https://hooks.example.org/{'x' * MAX_URL}",
    ],
)
def test_what_can_be_known_to_be_bad_is_refused(url: str) -> None:
    with pytest.raises(BadUploadError) as caught:
        parse_target(url, ANYWHERE)
    assert (caught.value.code, caught.value.status) == ("bad_webhook_url", 422)
    assert url not in caught.value.detail


def test_a_host_outside_the_list_is_refused() -> None:
    listed = Destinations.parse(".example.org")
    assert parse_target("https://a.example.org/", listed).host == "a.example.org"
    with pytest.raises(BadUploadError):
        parse_target("https://example.com/", listed)


def test_http_is_for_this_machine() -> None:
    local = Destinations.parse("", http_loopback=True)
    assert parse_target("http://127.0.0.1:8080/x", local) == Target(
        tls=False, host="127.0.0.1", port=8080, path="/x"
    )
    with pytest.raises(BadUploadError):
        parse_target("http://8.8.8.8/", local)
