"""Others' validators find no error in what we write: dciodvfy (dicom3tools) and dcmtk's tools."""

import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from services.fusion.dicom.objects import objects
from services.gateway.deidentified.rewriter import Rewriter
from services.gateway.deidentified.uids import remapping
from shared.dicom_results import DicomResult
from tests.support import dicoms
from tests.support.dicom_jobs import CAM, finished, preview
from tests.support.dicom_planted import planted
from tests.support.dicom_study import study
from tests.support.samples import SKIPPED, frame_readings, ml_reading
from tests.unit.fusion.dicom.test_objects import enhanced

#: dciodvfy knows the terms of the standard alone; ours are private on purpose.
_ITS_OWN_LIMITS = ("<99MEDISCAN>", "<QUANTITY>")


def tool(name: str) -> str:
    found = shutil.which(name)
    if found:
        return found
    reason = f"no {name} (Debian: dicom3tools, dcmtk)"
    if os.environ.get("SKIP_NOTHING"):
        pytest.fail(reason)
    pytest.skip(reason)


def complaints(file: Path) -> list[str]:
    """What dciodvfy says beyond the name of the kind of object."""
    done = subprocess.run([tool("dciodvfy"), file], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()
    found = [line for line in said if line.startswith(("Error", "Warning"))]
    return [line for line in found if not any(limit in line for limit in _ITS_OWN_LIMITS)]


def written(folder: Path) -> dict[str, Path]:
    """The objects of three kinds of jobs, as files."""
    plain, several = study()[1], enhanced()
    frames = several.facts.model_copy(update={"number_of_frames": 3, "frame": "all"})
    all_frames = ml_reading(cam=CAM, frame=2, frames=frame_readings())
    jobs = {
        "both readers": (finished(plain), plain.header),
        "one reader": (finished(plain, gemini=SKIPPED), plain.header),
        "several frames": (finished(several, frames, ml=all_frames), several.header),
    }
    files: dict[str, Path] = {}
    for name, (job, header) in jobs.items():
        for result, data in objects(job, header, preview()).items():
            files[f"{name}: {result}"] = folder / f"{len(files)}.dcm"
            files[f"{name}: {result}"].write_bytes(data)
    return files


def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    files = written(tmp_path)
    assert len(files) == 9
    assert {name: found for name, file in files.items() if (found := complaints(file))} == {}


def test_dciodvfy_would_find_one(tmp_path: Path) -> None:
    for result, data in objects(finished(study()[1]), study()[1].header, preview()).items():
        broken = dcmread(io.BytesIO(data))
        del broken.SeriesInstanceUID
        file = tmp_path / f"{result}.dcm"
        broken.save_as(file)
        assert any(line.startswith("Error") for line in complaints(file)), result


def test_dcmtk_reads_the_report_and_all_attributes(tmp_path: Path) -> None:
    for name, file in written(tmp_path).items():
        done = subprocess.run([tool("dcm2json"), file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (name, done.stderr)
        assert "0020000D" in json.loads(done.stdout)
        if name.endswith(DicomResult.SR):
            done = subprocess.run([tool("dsrdump"), file], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert "Comprehensive SR Document" in done.stdout
            assert "Neoplasm" in done.stdout
            assert not [line for line in done.stderr.splitlines() if line.startswith("E:")]


@pytest.mark.parametrize("syntax", [dicoms.EXPLICIT, dicoms.IMPLICIT, dicoms.RLE])
def test_dciodvfy_finds_no_error_in_a_de_identified_copy_that_the_original_has_not(
    tmp_path: Path, syntax: str
) -> None:
    files = {"sound": study()[1].file, "planted": planted(syntax), "enhanced": dicoms.enhanced()}
    assert errors(tmp_path, copied(files["sound"])) == []
    for name, file in files.items():
        assert set(errors(tmp_path, copied(file))) <= set(errors(tmp_path, file)), name


def copied(file: bytes) -> bytes:
    rewriter = Rewriter(remapping("k" * 32, "ward"))
    return rewriter.feed(file) + rewriter.close()


def errors(folder: Path, data: bytes) -> list[str]:
    file = folder / "one.dcm"
    file.write_bytes(data)
    return [line for line in complaints(file) if line.startswith("Error")]
