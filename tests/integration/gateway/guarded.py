"""A gateway that takes keys, as a test asks it."""

from typing import Any

import httpx

from services.gateway.api_keys import Token
from services.gateway.key_admin import KeyAdmin
from shared.names import JobRef, new_job_id
from tests.integration.gateway.process import House
from tests.support.waiting import wait_until
from tests.unit.gateway import images

#: These answer anybody: that the process lives, whether it takes work, and a description that is public anyway.
OPEN = {"/healthz", "/readyz"}

EVERYTHING = ("submit", "read", "admin")


class Guarded:
    """A gateway that takes keys, and keys for it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.admin = KeyAdmin(house.blobs)

    def key(self, tenant: str = "ward-7", scopes: tuple[str, ...] = EVERYTHING, **wanted: Any) -> Token:
        """A key that the gateway has taken notice of."""
        _, token = self.admin.create(tenant=tenant, scopes=scopes, **wanted)
        wait_until(lambda: self.ask("GET", "/v1/models", token).status_code == 200, what="the key is known")
        return token

    def ask(self, method: str, path: str, token: Token | None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token.text}"} if token else {}
        return self.house.http.request(method, path, headers=headers, **more)

    def submit(self, token: Token, **fields: str) -> JobRef:
        answer = self.ask("POST", "/v1/jobs", token, files={"image": ("scan", images.png())}, data=fields)
        assert answer.status_code == 202, answer.text
        key = next(key for key in self.admin.all() if key.id == token.key_id)
        return JobRef(key.tenant, answer.json()["id"])

    def endpoints(self) -> list[tuple[str, str]]:
        """Method and path of every operation the gateway says it has, but the open ones."""
        paths = self.house.http.get("/openapi.json").json()["paths"]
        closed = [(method, path) for path, found in paths.items() if path not in OPEN for method in found]
        assert len(closed) >= 5
        return [
            (method.upper(), path.replace("{job_id}", new_job_id()).replace("{result}", "sr"))
            for method, path in closed
        ]
