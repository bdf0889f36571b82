"""The heatmap's numbers as a Parametric Map, in the patient's own coordinates. Pure.

Not a Segmentation: Grad-CAM has no border, and a threshold that made one would be ours and not the model's. The map has
the 7 x 7 cells that the network has, each as large in space as the part of the image that it stands for: a viewer that
enlarges it does so by rules of its own, and no value is invented here.
"""

import numpy as np
from highdicom import (
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
    VOILUTTransformation,
)
from highdicom.pm import DerivedPixelContrastValues, ImageFlavorValues, ParametricMap, RealWorldValueMapping
from pydicom.dataset import Dataset

from services.fusion.dicom.coded import common, concept
from services.fusion.dicom.source import Plane, Source
from shared.contracts import JobView, MlReading
from shared.dicom_results import DicomResult
from shared.medical_codes import GRAD_CAM, NO_UNITS


def parametric_map(job: JobView, ml: MlReading, source: Source) -> Dataset | None:
    """The map of one finished job; None where the image has no place in space to put it in."""
    if source.plane is None:
        return None
    cells = np.asarray(ml.cam, dtype=np.float32)
    most = max(float(cells.max()), 1e-3)
    grid = grid_of(source.plane, rows=job.image.height, columns=job.image.width, cells=len(ml.cam))
    made = ParametricMap(
        source_images=[_placed(source.dataset, source.plane)],
        pixel_array=cells,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_identity(most)],
        voi_lut_transformations=[VOILUTTransformation(window_center=most / 2, window_width=most)],
        pixel_measures=PixelMeasuresSequence(list(grid.spacing), grid.thickness),
        plane_orientation=PlaneOrientationSequence("PATIENT", list(grid.orientation)),
        plane_positions=[PlanePositionSequence("PATIENT", list(grid.position))],
        content_label="GRAD_CAM",
        content_description="Research, not a diagnosis",
        image_flavor=ImageFlavorValues.VOLUME,
        derived_pixel_contrast=DerivedPixelContrastValues.QUANTITY,
        **common(job, source, DicomResult.MAP, ml),
    )
    source.mark_side(made)
    # highdicom notes 1 mm where there is only one slice, which nobody knows.
    (measures,) = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    if "SpacingBetweenSlices" in measures:
        del measures.SpacingBetweenSlices
    _say_from_what(made, source)
    return made


def _say_from_what(made: Dataset, source: Source) -> None:
    derivation = Dataset()
    derivation.DerivationCodeSequence = [concept(GRAD_CAM)]
    derivation.SourceImageSequence = [source.reference()]
    made.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence = [derivation]


def _placed(source: Dataset, plane: Plane) -> Dataset:
    """The frame that was read, as an image of one frame in space."""
    placed = Dataset()
    placed.update(source)
    placed.ImagePositionPatient = list(plane.position)
    placed.ImageOrientationPatient = list(plane.orientation)
    placed.PixelSpacing = list(plane.spacing)
    placed.SliceThickness = plane.thickness
    # Of a class that has frames highdicom looks for the same in functional groups.
    shared, own = Dataset(), Dataset()
    shared.PixelMeasuresSequence = PixelMeasuresSequence(list(plane.spacing), plane.thickness)
    shared.PlaneOrientationSequence = PlaneOrientationSequence("PATIENT", list(plane.orientation))
    own.PlanePositionSequence = [PlanePositionSequence("PATIENT", list(plane.position))[0]]
    placed.SharedFunctionalGroupsSequence, placed.PerFrameFunctionalGroupsSequence = [shared], [own]
    placed.NumberOfFrames = 1
    return placed


def grid_of(plane: Plane, *, rows: int, columns: int, cells: int) -> Plane:
    """Where the map's cells lie. The network saw the image in the middle of a square; so does its map."""
    side = max(rows, columns)
    cell = side / cells
    # Of the centre of the first cell, in pixels of the image, whose first pixel's centre is 0.
    down = -(side - rows) / 2 + cell / 2 - 0.5
    right = -(side - columns) / 2 + cell / 2 - 0.5
    along_row, along_column = np.array(plane.orientation[:3]), np.array(plane.orientation[3:])
    first = (
        np.array(plane.position)
        + along_row * right * plane.spacing[1]
        + along_column * down * plane.spacing[0]
    )
    spacing = tuple(cell * between for between in plane.spacing)
    return Plane(tuple(float(number) for number in first), plane.orientation, spacing, plane.thickness)


def _identity(most: float) -> RealWorldValueMapping:
    return RealWorldValueMapping(
        lut_label="GRAD_CAM",
        lut_explanation="Share of the Positive logit",
        unit=concept(NO_UNITS),
        value_range=(0.0, most),
        slope=1.0,
        intercept=0.0,
        quantity_definition=concept(GRAD_CAM),
    )
