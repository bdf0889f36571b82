"""The words of medicine that results are written in, as codes: what DICOM objects and FHIR resources share. Pure.

Each code stands here once, with the edition that it was taken from. DICOM lets everybody use the SNOMED CT concepts of
its own tables; no others are used. Where no standard has a word, one of our own is made, in the scheme 99MEDISCAN.
"""

from collections.abc import Iterable
from typing import NamedTuple

from shared.contracts import AbstainReason, Label, MlReading


class Code(NamedTuple):
    """A concept, as DICOM names it."""

    value: str
    #: Coding Scheme Designator (PS3.16, section 8).
    scheme: str
    meaning: str


class Scheme(NamedTuple):
    """Where codes come from."""

    #: As FHIR names it.
    uri: str
    name: str
    source: str


#: Of our own code system and of every UID that we make: from a UUID, which nobody has to register (ITU-T X.667).
ROOT_OID = "2.25.161014170027812456811994710349088346003"

SCHEMES = {
    "SCT": Scheme("http://snomed.info/sct", "SNOMED CT", "the subset in DICOM PS3.16, free to use"),
    "DCM": Scheme(
        "http://dicom.nema.org/resources/ontology/DCM",
        "DICOM Controlled Terminology",
        "DICOM PS3.16, annex D",
    ),
    "LN": Scheme("http://loinc.org", "LOINC", "DICOM PS3.16, CID 100 and 7000; loinc.org"),
    "UMLS": Scheme("http://www.nlm.nih.gov/research/umls", "UMLS", "DICOM PS3.16, TID 1500"),
    "RADLEX": Scheme("http://radlex.org", "RadLex", "as each of its codes says"),
    "UCUM": Scheme("http://unitsofmeasure.org", "UCUM", "DICOM PS3.16, CID 7181; ucum.org"),
    "99MEDISCAN": Scheme(f"urn:oid:{ROOT_OID}.1", "MediScan", "this file"),
}

# --- what is said of an image: PS3.16, CID 240 (Present-Absent), CID 4220, CID 230
PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
INDETERMINATE = Code("82334004", "SCT", "Indeterminate")

YES = Code("373066001", "SCT", "Yes")
NO = Code("373067005", "SCT", "No")

# --- what is looked for where a model's card has no code for it (it is the card that says it); CID 7151 and 4 for where
FINDING = Code("404684003", "SCT", "Clinical finding")
BRAIN = Code("12738006", "SCT", "Brain")

# --- the same in RadLex (of the RSNA, free under its License 2.0), which FHIR says beside them
#: Kahn CE, "Annotation of figures from the biomedical imaging literature", Acad Radiol 2014;21(3), table 4: RadLex 3.8.
RADLEX_NEOPLASM = Code("RID3957", "RADLEX", "neoplasm")
#: RSNA's RadElement, index code of the set RDES231.
RADLEX_BRAIN = Code("RID6434", "RADLEX", "brain")

# --- numbers and their unit
PROBABILITY = Code("122157", "DCM", "Probability")
THRESHOLD = Code("122411", "DCM", "Threshold Value")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
NO_UNITS = Code("1", "UCUM", "no units")

# --- how it was found: CID 7162 (algorithm families) and CID 7180 (what a map shows)
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
GRAD_CAM = Code("130403", "DCM", "Gradient-weighted class activation")
FOR_RESEARCH = Code("113009", "DCM", "For Research")

# --- parts of a report: TID 1500, CID 7202
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")

# --- documents: CID 7000, and CID 100 for what was done
IMAGING_REPORT = Code("18748-4", "LN", "Diagnostic Imaging Report")
MRI = Code("25056-3", "LN", "MRI unspecified body region")
PROCEDURES = {
    "MR": MRI,
    "CT": Code("25045-6", "LN", "CT unspecified body region"),
    "CR": Code("43468-8", "LN", "XR unspecified body region"),
    "DX": Code("43468-8", "LN", "XR unspecified body region"),
}
SOME_PROCEDURE = IMAGING_REPORT

# --- our own: there is no standard word for these
RISK_SCORE = Code("risk-score", "99MEDISCAN", "P(positive) on a scale from 0 to 100")
AGREEMENT = Code("agreement", "99MEDISCAN", "Whether the readers agree")
NEEDS_REVIEW = Code("needs-review", "99MEDISCAN", "A person should look")
REVIEW_REASON = Code("review-reason", "99MEDISCAN", "Why a person should look")
POLICY = Code("fusion-policy", "99MEDISCAN", "How the readings were joined")
ABSTENTION = Code("abstention", "99MEDISCAN", "Why the reader declined to decide")
OUT_OF_DISTRIBUTION = Code("ood", "99MEDISCAN", "Not the kind of image trained on")
INCONCLUSIVE = Code("inconclusive", "99MEDISCAN", "The evidence does not decide")
OOD_SCORE = Code("ood-score", "99MEDISCAN", "Distance from the images trained on")
CONFORMAL_SET = Code("conformal-set", "99MEDISCAN", "Labels that cannot be ruled out")
FRAME = Code("frame", "99MEDISCAN", "Which of several frames, counted from 1")
FALLBACK = Code("fallback", "99MEDISCAN", "Why there is no second reading")
ML_READING = Code("ml-reading", "99MEDISCAN", "Reading by the ML model")
GEMINI_READING = Code("gemini-reading", "99MEDISCAN", "Reading by Gemini")
FUSED_READING = Code("fused-reading", "99MEDISCAN", "Both readings joined")
DISCLAIMER = Code("disclaimer", "99MEDISCAN", "Intended use")
EXPLANATION = Code("explanation", "99MEDISCAN", "Explanation")
READ_IMAGE = Code("read-image", "99MEDISCAN", "Read an image")

#: By DICOM Body Part Examined: where a model of this body part looks.
_SITES = {"BRAIN": BRAIN, "HEAD": BRAIN}
#: By scheme and value: a card may call its finding otherwise.
_IN_RADLEX = {("SCT", "108369006"): RADLEX_NEOPLASM, (BRAIN.scheme, BRAIN.value): RADLEX_BRAIN}
_ABSTENTIONS = {
    AbstainReason.OUT_OF_DISTRIBUTION: OUT_OF_DISTRIBUTION,
    AbstainReason.INCONCLUSIVE: INCONCLUSIVE,
}
_SAID = {Label.POSITIVE: PRESENT, Label.NEGATIVE: ABSENT, None: INDETERMINATE}


def finding(reading: MlReading) -> Code:
    """What the model looks for, as its card says; without a word there, that there is something to find."""
    found = reading.finding
    return Code(found.value, found.scheme, found.meaning) if found else FINDING


def site(reading: MlReading) -> Code | None:
    """Where it looks; None where it does not say, or there is no code for it."""
    return next((_SITES[part] for part in reading.body_part if part in _SITES), None)


def in_radlex(code: Code) -> Code | None:
    """RadLex's word for the same; None where we know of none."""
    return _IN_RADLEX.get((code.scheme, code.value))


def said(label: Label | None) -> Code:
    """A reader's label about the finding."""
    return _SAID[label]


def abstention(reason: AbstainReason) -> Code:
    """Why a reader declined."""
    return _ABSTENTIONS[reason]


def own_codes() -> Iterable[Code]:
    """Those of the scheme 99MEDISCAN."""
    return (code for code in globals().values() if isinstance(code, Code) and code.scheme == "99MEDISCAN")
