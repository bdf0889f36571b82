"""Which addresses the gateway may listen on."""

import pytest

from services.gateway.listen import bind, is_loopback
from shared.errors import SetupError
from tests.unit.gateway.forms import settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "scanner.example", ""])
def test_anything_else_is_refused_while_the_gateway_takes_no_keys(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(SetupError, match=r"MEDISCAN_AUTH=keys.*mediscan keys create"):
        bind(settings(host=host))
