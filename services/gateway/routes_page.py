"""`/`: the page for people. It holds nothing about anybody: what it shows it asks the API for, with a person's key."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.logic import is_unchanged
from services.gateway.page_files import PageFile, load
from shared.errors import NotFoundError

router = APIRouter(include_in_schema=False)

_PAGE = load()

#: A year, the most that caches honour.
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


@router.get("/")
async def page(request: Request) -> Response:
    """The page itself; a shared address (`/#/jobs/...`) is its affair alone, and in no log."""
    headers = {"Content-Security-Policy": _PAGE.policy, "Cache-Control": _ASK_AGAIN}
    return _answer(request, _PAGE.html, headers)


@router.get("/page/{version}/{name}")
async def asset(request: Request, version: str, name: str) -> Response:
    """A module or picture of the page. Under another version's name it is ours all the same, and not to be kept."""
    found = _PAGE.assets.get(name)
    if found is None:
        raise NotFoundError("There is nothing at this address.")
    kept = _FOR_EVER if version == _PAGE.version else _ASK_AGAIN
    return _answer(request, found, {"Cache-Control": kept})


def _answer(request: Request, file: PageFile, headers: dict[str, str]) -> Response:
    headers |= {"ETag": file.etag, "Vary": "Accept-Encoding"}
    if is_unchanged(request.headers.get("if-none-match"), file.etag.removeprefix("W/")):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.body, media_type=file.media_type, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(file.gzipped, media_type=file.media_type, headers=headers)
