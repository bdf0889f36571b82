"""Under which UID a study, a series, an image goes on in the house: the same one each time, and another for no other.

Pure. Keyed, so that who holds a PACS's list of UIDs cannot find out which is which, and a tenant's own: what two
tenants send of one study stays two studies.
"""

import hashlib
import hmac
import uuid
from collections.abc import Callable

#: UID of a study in, UID of the copy's study out.
Remap = Callable[[str], str]

#: UIDs of the standard itself: kinds of things, and instances that everybody has, such as a palette.
_STANDARD = "1.2.840.10008."


def remapping(key: str, tenant: str) -> Remap:
    """Replaces UIDs by `2.25.` and a number (PS3.5, B.2) that key, tenant and UID alone decide."""
    secret = hmac.new(key.encode(), tenant.encode(), hashlib.sha256).digest()

    def remap(uid: str) -> str:
        if not uid or uid.startswith(_STANDARD):
            return uid
        made = hmac.new(secret, uid.encode(), hashlib.sha256).digest()
        return f"2.25.{uuid.UUID(bytes=made[:16], version=5).int}"

    return remap
