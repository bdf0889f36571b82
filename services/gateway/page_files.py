"""The page as it is served: every file read, compressed and named once, when the gateway starts. Pure but for that.

Style stands inside the HTML, so that the first answer is enough to paint; its hash stands in the policy, which
needs no `unsafe-inline` for it. Scripts lie under a folder named after what is in all of them: a browser may keep
them for ever, and never mixes those of two versions.
"""

import base64
import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from shared.contracts import DISCLAIMER

_FOLDER = Path(__file__).parent / "page"

_MEDIA_TYPES = {".js": "text/javascript", ".svg": "image/svg+xml"}

#: Trusted types: a browser that knows them lets no text become markup or script, whatever a module does.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'sha256-{style}'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@dataclass(frozen=True)
class PageFile:
    """One file, ready to be sent."""

    body: bytes
    gzipped: bytes
    media_type: str
    etag: str


@dataclass(frozen=True)
class Page:
    """All that a browser needs: the HTML with its policy, and by name what it asks for next."""

    html: PageFile
    policy: str
    version: str
    assets: dict[str, PageFile]


def load(folder: Path = _FOLDER) -> Page:
    """The page in `folder`: `index.html`, `page.css`, modules and pictures."""
    assets = {
        path.name: _file(path.read_bytes(), _MEDIA_TYPES[path.suffix])
        for path in sorted(folder.iterdir())
        if path.suffix in _MEDIA_TYPES
    }
    version = _digest(b"".join(name.encode() + asset.body for name, asset in assets.items()))
    style = (folder / "page.css").read_text()
    html = (
        (folder / "index.html")
        .read_text()
        .replace("{{assets}}", f"page/{version}")
        .replace("{{disclaimer}}", DISCLAIMER)
        .replace("{{style}}", style)
    )
    policy = _POLICY.format(style=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode())
    return Page(_file(html.encode(), "text/html; charset=utf-8"), policy, version, assets)


def _file(body: bytes, media_type: str) -> PageFile:
    return PageFile(body, gzip.compress(body, 9, mtime=0), media_type, f'W/"{_digest(body)}"')


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]
