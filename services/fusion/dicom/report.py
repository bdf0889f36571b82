"""The result as a DICOM structured report: Comprehensive SR by the template TID 1500, Measurement Report. Pure.

A group of measurements for each reader, and one for both together: who (algorithm), what (finding, where), how sure
(measurements), and from which image; then one for each frame, where the model read all. What is said in words stands
beside them.
"""

from collections.abc import Iterator, Sequence

from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from services.fusion.dicom.coded import MANUFACTURER, common, concept, own_scheme
from services.fusion.dicom.source import Source
from shared import medical_codes as words
from shared.contracts import DISCLAIMER, FrameReading, FusedResult, GeminiReading, JobView, Label, MlReading
from shared.dicom_results import DicomResult, tracking_uid
from shared.medical_codes import Code


def report(job: JobView, ml: MlReading, result: FusedResult, source: Source) -> Dataset:
    """The report of one finished job."""
    readers = [_ml(job, ml, ml, source), *_gemini(job, ml, source), _fused(job, ml, result, source)]
    frames = [_ml(job, ml, frame, source, frame.frame) for frame in ml.frames]
    content = MeasurementReport(
        observation_context=_observer(job),
        procedure_reported=concept(words.PROCEDURES.get(source.dataset.Modality, words.SOME_PROCEDURE)),
        imaging_measurements=[*readers, *frames],
    )
    content[0].ContentSequence.append(_in_words(job, ml, result))
    return ComprehensiveSR(
        evidence=[source.dataset],
        content=content,
        is_complete=True,
        is_final=False,
        is_verified=False,
        coding_schemes=[own_scheme()],
        **common(job, source, DicomResult.SR, ml),
    )


def _observer(job: JobView) -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=tracking_uid(job.id, "observer"), name=MANUFACTURER, manufacturer_name=MANUFACTURER
    )
    return ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device))


def _ml(
    job: JobView, ml: MlReading, reading: MlReading | FrameReading, source: Source, frame: int | None = None
) -> MeasurementsAndQualitativeEvaluations:
    """What the model says, in all or of one frame."""
    return _group(
        job,
        ml,
        source,
        reader=words.ML_READING,
        frame=frame,
        algorithm=_algorithm(ml.model.name, ml.model.version, f"sha256 {ml.model.sha256}"),
        numbers={
            words.PROBABILITY: reading.p_positive,
            words.THRESHOLD: ml.threshold,
            words.OOD_SCORE: reading.ood_score,
        },
        said=_answer(ml, reading),
    )


def _answer(ml: MlReading, reading: MlReading | FrameReading) -> list[QualitativeEvaluation]:
    """The label, or that there is none and why."""
    if reading.abstain_reason is None:
        return [_says(ml, reading.label)]
    return [_says(ml, None), _evaluation(words.ABSTENTION, words.abstention(reading.abstain_reason))]


def _gemini(job: JobView, ml: MlReading, source: Source) -> Iterator[MeasurementsAndQualitativeEvaluations]:
    gemini = job.readings.gemini
    if isinstance(gemini, GeminiReading):
        yield _group(
            job,
            ml,
            source,
            reader=words.GEMINI_READING,
            algorithm=_algorithm(gemini.model, f"prompt {gemini.prompt_version}", gemini.client, "Google"),
            numbers={words.PROBABILITY: gemini.p_positive},
            said=[_says(ml, gemini.label)],
        )


def _fused(
    job: JobView, ml: MlReading, result: FusedResult, source: Source
) -> MeasurementsAndQualitativeEvaluations:
    review = _evaluation(words.NEEDS_REVIEW, words.YES if result.needs_review else words.NO)
    return _group(
        job,
        ml,
        source,
        reader=words.FUSED_READING,
        algorithm=_algorithm("MediScan fusion", "1", f"policy {result.policy}"),
        numbers={
            words.PROBABILITY: result.p_positive,
            words.CERTAINTY: result.confidence,
            words.RISK_SCORE: result.risk.score,
        },
        said=[_says(ml, result.label), review],
    )


def _group(
    job: JobView,
    ml: MlReading,
    source: Source,
    *,
    reader: Code,
    frame: int | None = None,
    algorithm: AlgorithmIdentification,
    numbers: dict[Code, float],
    said: Sequence[QualitativeEvaluation],
) -> MeasurementsAndQualitativeEvaluations:
    """frame: of a group about one frame of several, rather than about what the result is about."""
    where = words.site(ml)
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(job, reader, frame),
        finding_type=concept(words.finding(ml)),
        algorithm_id=algorithm,
        finding_sites=[FindingSite(concept(where))] if where else None,
        measurements=[
            Measurement(concept(name), value, concept(words.NO_UNITS)) for name, value in numbers.items()
        ],
        qualitative_evaluations=said,
        source_images=[
            SourceImageForMeasurementGroup(
                source.dataset.SOPClassUID,
                source.dataset.SOPInstanceUID,
                source.frames if frame is None else [frame],
            )
        ],
    )


def _tracking(job: JobView, reader: Code, frame: int | None) -> TrackingIdentifier:
    if frame is None:
        return TrackingIdentifier(tracking_uid(job.id, reader.value), reader.meaning)
    return TrackingIdentifier(
        tracking_uid(job.id, f"{reader.value}/frame/{frame}"), f"{reader.meaning}, frame {frame}"
    )


def _algorithm(
    name: str, version: str, parameter: str, manufacturer: str = MANUFACTURER
) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        name,
        version,
        parameters=[parameter],
        family=concept(words.ARTIFICIAL_INTELLIGENCE),
        manufacturer=manufacturer,
    )


def _says(ml: MlReading, label: Label | None) -> QualitativeEvaluation:
    return _evaluation(words.finding(ml), words.said(label))


def _evaluation(name: Code, value: Code) -> QualitativeEvaluation:
    return QualitativeEvaluation(concept(name), concept(value))


def _in_words(job: JobView, ml: MlReading, result: FusedResult) -> ContainerContentItem:
    """Rows 12 to 14 of the template, which highdicom leaves out."""
    container = ContainerContentItem(
        concept(words.QUALITATIVE_EVALUATIONS), relationship_type=RelationshipTypeValues.CONTAINS
    )
    container.ContentSequence = ContentSequence(
        [
            TextContentItem(concept(name), text, RelationshipTypeValues.CONTAINS)
            for name, text in _sentences(job, ml, result)
            if text.strip()
        ]
    )
    return container


def _sentences(job: JobView, ml: MlReading, result: FusedResult) -> Iterator[tuple[Code, str]]:
    yield words.DISCLAIMER, DISCLAIMER
    yield words.EXPLANATION, result.explanation
    yield words.AGREEMENT, result.agreement.value
    yield words.CONFORMAL_SET, ", ".join(ml.conformal_set) or "none"
    for reason in result.review_reasons:
        yield words.REVIEW_REASON, reason.value
    if result.fallback:
        yield words.FALLBACK, f"{result.fallback.reason}. {result.fallback.detail}"
    if isinstance(job.readings.gemini, GeminiReading):
        yield words.GEMINI_READING, job.readings.gemini.explanation
