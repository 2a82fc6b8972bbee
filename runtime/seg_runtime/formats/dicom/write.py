"""Write labels as DICOM SEG on the grid of the source images, with highdicom.

The object depends only on the source, the model, the labels and the versions of the libraries: dates are those of the
source, and UIDs are hashes, which include the versions. A repeated run therefore writes the same bytes, and an archive
can recognize an object that it already has.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...model import ClassInfo, Code, Contract
from ...version import VERSION
from .library import Dataset, discreet, highdicom, pydicom

SEG_FORMS = ("binary", "labelmap")
TISSUE = Code("85756007", "SCT", "Tissue")  # category and type of a class without codes (PS3.16, CID 7150)
_NAMESPACE = uuid.UUID("6d6c5b0e-8f0a-5f0e-9f53-7365672d6564")
_TYPE_2 = (  # required but may be empty; sources often lack one
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
    "ReferringPhysicianName",
)  # fmt: skip
_PLACED_BY = (  # a frame of reference is meaningless without positions and would require positions in the SEG
    "FrameOfReferenceUID", "PositionReferenceIndicator", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
)  # fmt: skip
_STAMPS = (("ContentDate", "ContentTime"), ("AcquisitionDate", "AcquisitionTime"), ("SeriesDate", "SeriesTime"),
           ("StudyDate", "StudyTime"))  # fmt: skip


def _derived_uid(*parts: str) -> str:
    """Return a UID derived from texts, the same on every machine: a name-based UUID under 2.25 (PS3.5, B.2)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(10).join(parts)).int}"


def write_seg(
    headers: Sequence[Dataset], labels: NDArray[np.uint8], contract: Contract, model_sha256: str, form: str,
    placed: bool, name: str, runtime_version: str = "unknown",
) -> bytes:  # fmt: skip
    """Return the content of a DICOM SEG file.

    Args:
        headers: headers of the source, without pixels: one multi-frame object, or single images in order.
        labels: `(frames, H, W)` class indices; 0 is the background, which is not a segment.
        contract: contract of the model; its classes become segments 1 to K - 1, whether they occur or not.
        model_sha256: digest of the model file.
        form: `binary`, one frame per segment and plane, or `labelmap`, one frame of class indices per plane.
        placed: whether the source has positions in the patient; otherwise the SEG uses the pixel grid of the source.
        name: name of the source, for errors.
        runtime_version: version of ONNX Runtime.

    Raises:
        ImageError: the source lacks elements that a SEG requires.
        SegError: highdicom is not installed.
    """
    hd = highdicom()
    digest = hashlib.sha256(labels.tobytes()).hexdigest()
    versions = [  # of everything that affects the bytes; the UID depends on them
        f"seg-edge {VERSION}", f"onnxruntime {runtime_version}", f"highdicom {hd.__version__}",
        f"pydicom {pydicom().__version__}",
    ]  # fmt: skip
    with discreet(name):  # pydicom parses elements, and may warn about them, on access
        sources = [str(h.SOPInstanceUID) for h in headers]
        thickness_mm = _thickness_mm(headers) if placed else 0.0
        headers = [_usable(h, placed, thickness_mm) for h in headers]
        first = headers[0]
        seg = hd.seg.Segmentation(
            source_images=headers,
            pixel_array=labels,
            segmentation_type=form.upper(),
            segment_descriptions=[
                _segment(hd, i, c, contract, model_sha256) for i, c in enumerate(contract.classes) if i
            ],
            series_instance_uid=_derived_uid("series", str(first.SeriesInstanceUID), model_sha256, form),
            series_number=1000 + _number(first.get("SeriesNumber")),
            sop_instance_uid=_derived_uid("instance", form, *versions, model_sha256, digest, *sources),
            instance_number=max(1, _number(first.get("InstanceNumber")) if len(headers) == 1 else 1),
            manufacturer="seg-edge",
            manufacturer_model_name="seg-edge",
            software_versions=versions,
            device_serial_number=model_sha256,
            content_label="SEG_EDGE",
            content_description="Segmentation by a neural network",
            series_description="seg-edge segmentation",
            specific_character_set=None,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
        )
        _settle(seg, headers, model_sha256, _is_ascii(contract))
        file = io.BytesIO()
        seg.save_as(file)
        return file.getvalue()


def _usable(header: Dataset, placed: bool, thickness_mm: float) -> Dataset:
    """Return a copy that highdicom accepts, with empty values for missing or invalid ones."""
    plain = copy.copy(header)
    for word in _TYPE_2:
        if word not in plain:
            setattr(plain, word, "")
    for word, parse in (("StudyDate", "DA"), ("StudyTime", "TM"), ("PatientBirthDate", "DA")):
        try:
            pydicom("valuerep").__dict__[parse](plain.get(word) or "")
        except ValueError:
            setattr(plain, word, "")
    if plain.PatientSex not in ("M", "F", "O"):
        plain.PatientSex = ""
    if placed:
        if not plain.get("SliceThickness") and "SharedFunctionalGroupsSequence" not in plain:
            plain.SliceThickness = f"{thickness_mm:.6g}"  # type 1C in a SEG, may be empty in the source
    else:
        for word in _PLACED_BY:
            if word in plain:
                delattr(plain, word)
        plain.NumberOfFrames = 1
        shared = pydicom("dataset").Dataset()  # highdicom requires it for every class of image that may have frames
        shared.PixelMeasuresSequence = [pydicom("dataset").Dataset()]
        plain.SharedFunctionalGroupsSequence = [shared]
    return plain


def _thickness_mm(headers: Sequence[Dataset]) -> float:
    """Return the thickness for slices without one: the distance between slices, or the pixel spacing of a single
    slice."""
    if "ImagePositionPatient" not in headers[0]:
        return 1.0  # a multi-frame object has it in its functional groups
    places = np.array([[float(v) for v in h.ImagePositionPatient] for h in headers])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    return float(np.median(steps)) if len(steps) else float(headers[0].PixelSpacing[0])


def _segment(hd: Any, number: int, info: ClassInfo, contract: Contract, model_sha256: str) -> Any:
    coded = pydicom("sr.coding").Code
    algorithm = hd.AlgorithmIdentificationSequence(
        name="seg-edge U-Net",
        family=coded("123110", "DCM", "Artificial Intelligence"),
        version=f"{VERSION} {model_sha256[:12]}",
        parameters={
            "model_sha256": model_sha256,
            "geometry": contract.geometry.method,
            "intensity": contract.input.intensity.method,
        },
    )
    category, kind = (c or TISSUE for c in (info.category, info.property_type))
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=_label(info.name),
        segmented_property_category=coded(category.value, category.scheme, category.meaning),
        segmented_property_type=coded(kind.value, kind.scheme, kind.meaning),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        display_color=hd.color.CIELabColor.from_rgb(*info.color),
    )


def _label(name: str) -> str:
    """Return the name of a class as a valid LO value: 64 characters, no backslashes or control characters."""
    return "".join("/" if c == "\\" else c if c.isprintable() else " " for c in name)[:64].strip() or "class"


def _number(value: Any) -> int:
    with contextlib.suppress(TypeError, ValueError):
        return min(max(0, int(value)), 1 << 30)
    return 0


def _is_ascii(contract: Contract) -> bool:
    """Return whether all texts of a contract in the object are ASCII, which every character set contains."""
    codes = [c for info in contract.classes for c in (info.category, info.property_type) if c]
    texts = [_label(info.name) for info in contract.classes]
    return all(text.isascii() for text in (*texts, *(t for c in codes for t in (c.value, c.scheme, c.meaning))))


def _settle(seg: Dataset, headers: Sequence[Dataset], model_sha256: str, is_ascii: bool) -> None:
    """Replace the times and random UIDs of highdicom by values derived from the source and the model."""
    first = headers[0]
    day, moment = next(
        ((str(first.get(d)), str(first.get(t))) for d, t in _STAMPS if first.get(d) and first.get(t)),
        ("19000101", "000000"),  # type 1 elements, but the source has no date
    )
    seg.ContentDate, seg.ContentTime = day, moment
    del seg.InstanceCreationDate, seg.InstanceCreationTime
    if "ContentCreatorName" not in seg:
        seg.ContentCreatorName = ""  # type 2; empty, since the creator is a program
    if "FrameOfReferenceUID" not in seg:
        for item in seg.SharedFunctionalGroupsSequence:
            item.pop("PixelMeasuresSequence", None)
        seg.PatientOrientation = first.get("PatientOrientation") or ""  # type 2C, required without positions
    seg.DeviceUID = _derived_uid("device", model_sha256)
    for item in seg.get("ContributingEquipmentSequence", []):
        if "highdicom" in str(item.get("ManufacturerModelName", "")) and "ContributionDateTime" in item:
            del item.ContributionDateTime
    organisation = _derived_uid("dimensions", str(seg.SOPInstanceUID))
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = organisation
    charset = first.get("SpecificCharacterSet")
    if not is_ascii:  # the source's character set may lack these letters
        seg.SpecificCharacterSet = "ISO_IR 192"
    elif charset:
        seg.SpecificCharacterSet = charset
