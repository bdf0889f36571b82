"""Headers over a real connection: what is not said, and whose word about the client is believed."""

from tests.integration.gateway.process import House

_FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}


def test_the_server_does_not_name_itself(house: House) -> None:
    for path in ("/healthz", "/nothing", "/docs"):
        headers = house.http.get(path).headers
        assert "server" not in headers
        assert headers["x-content-type-options"] == "nosniff"


def test_nobody_is_believed_about_the_client_unless_told_to(house: House) -> None:
    assert house.http.get("/v1/models/", headers=_FORWARDED).headers["location"].startswith("http://")


def test_a_trusted_proxy_is_believed() -> None:
    with House(trusted_proxies="127.0.0.1") as house:
        assert house.http.get("/v1/models/", headers=_FORWARDED).headers["location"].startswith("https://")
    with House(trusted_proxies="192.0.2.0/24") as house:
        assert house.http.get("/v1/models/", headers=_FORWARDED).headers["location"].startswith("http://")
