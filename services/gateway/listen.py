"""The gateway's address: checked and bound before anything else starts, so that a taken port is one clear line."""

import errno
import ipaddress
import socket

from services.gateway.settings import GatewaySettings
from shared.errors import SetupError


def bind(settings: GatewaySettings) -> socket.socket:
    """A bound socket that does not accept yet; SetupError where the address is not allowed or not to be had."""
    if settings.auth == "open" and not is_loopback(settings.host):
        raise SetupError(
            f"MEDISCAN_HOST={settings.host} is not loopback, so callers need keys: set MEDISCAN_AUTH=keys, "
            "and make one with `python -m mediscan keys create --tenant NAME`"
        )
    bound = _socket(settings)
    try:
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        raise SetupError(_why(error, settings)) from error
    return bound


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. A name other than localhost counts as reachable."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url(bound: socket.socket, host: str) -> str:
    """The address as a person types it, with the port that was really bound."""
    port = bound.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _socket(settings: GatewaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, the event loop sends small answers at once (TCP_NODELAY).
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def _why(error: OSError, settings: GatewaySettings) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {settings.port} on {settings.host} is already taken (MEDISCAN_PORT)"
    return f"cannot listen on {settings.host}, port {settings.port} (MEDISCAN_HOST, MEDISCAN_PORT)"
