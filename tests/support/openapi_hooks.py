"""What schemathesis must be told because no schema can say it: what a PNG and a JPEG are."""

import schemathesis
from hypothesis import strategies as st

from tests.unit.gateway import images

schemathesis.openapi.media_type(
    "image/png", st.sampled_from([images.png(mode) for mode in ("L", "RGB", "P")])
)
schemathesis.openapi.media_type("image/jpeg", st.sampled_from([images.jpeg(mode) for mode in ("L", "RGB")]))
