"""`/docs`: the API to try out, with Swagger UI from a package and not from a CDN: hospital networks reach none.

The page has no script of its own in it, so its policy needs no `unsafe-inline`.
"""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import FileResponse, HTMLResponse, Response

from shared.errors import NotFoundError

router = APIRouter(include_in_schema=False)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

#: Relative, so that it works under a proxy's prefix.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>MediScan API</title>
<link rel="icon" href="docs/favicon.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

#: Nothing is kept in the browser: a key ends with the page.
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null
});
"""

_STATIC = files("fastapi_offline") / "static"
_ASSETS = frozenset({"favicon.png", "swagger-ui.css", "swagger-ui-bundle.js"})


@router.get("/docs")
async def page() -> Response:
    """The page itself."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/start.js")
async def start() -> Response:
    """What would be the page's inline script."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/{asset}")
async def asset(asset: str) -> Response:
    """A file of Swagger UI."""
    if asset not in _ASSETS:
        raise NotFoundError("There is nothing at this address.")
    return FileResponse(str(_STATIC / asset), headers={"Cache-Control": "max-age=3600"})
