"""What schemathesis must be told because no schema can say it: what a PNG, a JPEG and a DICOM file are."""

import schemathesis
from hypothesis import strategies as st

from tests.support import dicoms
from tests.unit.gateway import images

schemathesis.openapi.media_type(
    "image/png", st.sampled_from([images.png(mode) for mode in ("L", "RGB", "P")])
)
schemathesis.openapi.media_type("image/jpeg", st.sampled_from([images.jpeg(mode) for mode in ("L", "RGB")]))
schemathesis.openapi.media_type(
    "application/dicom",
    st.sampled_from([dicoms.dicom(None, dicoms.IMPLICIT), dicoms.dicom(dicoms.frames(3))]),
)
