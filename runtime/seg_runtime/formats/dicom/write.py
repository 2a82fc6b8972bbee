"""Write labels as DICOM SEG on the grid of the source images, with highdicom.

The object depends only on the source, the model, the labels, the options, the versions of the libraries, and the time and
host of the run: UIDs are hashes of all these. A run that is repeated with the same time, see `support.clock`, writes the
same bytes.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...model import ClassInfo, Code, Contract
from ...support import ImageError
from ...version import VERSION
from .images import header_of, image_of
from .library import Dataset, discreet, highdicom, pydicom
from .planes import Planes
from .read import check_image
from .study import Stack

SEG_FORMS = ("binary", "labelmap")
TISSUE = Code("85756007", "SCT", "Tissue")  # category and type of a class without codes (PS3.16, CID 7150)
_NAMESPACE = uuid.UUID("6d6c5b0e-8f0a-5f0e-9f53-7365672d6564")
_TYPE_2 = (  # required but may be empty; sources often lack one
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
    "ReferringPhysicianName",
)  # fmt: skip
_SHARED = "SharedFunctionalGroupsSequence"
_PLACED_BY = (  # a frame of reference is meaningless without positions and would require positions in the SEG
    "FrameOfReferenceUID", "PositionReferenceIndicator", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
)  # fmt: skip


def _derived_uid(*parts: str) -> str:
    """Return a UID derived from texts, the same on every machine: a name-based UUID under 2.25 (PS3.5, B.2)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(10).join(parts)).int}"


@dataclass(frozen=True, kw_only=True)
class Seg:
    """A DICOM SEG before it is written.

    Attributes:
        stack: the images that it refers to.
        labels: `(frames, H, W)` class indices; 0 is the background, which is not a segment.
        contract: contract of the model; its classes become segments 1 to K - 1, whether they occur or not.
        form: `binary`, one frame per segment and plane, or `labelmap`, one frame of class indices per plane.
        name: name of the source, for errors.
        model: entry `model` of the record.
        run: entry `run` of the record: when and where the model ran.
        foreign: what the model was not made for, as phrases.
        notes: what is unusual about the images, as clauses.
        versions: versions of the libraries that affect the bytes.
    """

    stack: Stack
    labels: NDArray[np.uint8]
    contract: Contract
    form: str
    name: str
    model: Mapping[str, Any]
    run: Mapping[str, Any]
    foreign: tuple[str, ...]
    notes: tuple[str, ...]
    versions: tuple[str, ...]

    @classmethod
    def of(
        cls, stack: Stack, labels: NDArray[np.uint8], records: Sequence[Mapping[str, Any]], contract: Contract, form: str,
        name: str,
    ) -> Seg:  # fmt: skip
        """Make the SEG of the results for a stack.

        Args:
            stack: the images.
            labels: see `Seg`.
            records: records of the results for each page.
            contract: see `Seg`.
            form: see `Seg`.
            name: see `Seg`.

        Raises:
            SegError: highdicom is not installed.
        """
        first = records[0]
        versions = (
            f"seg-edge {VERSION}", f"onnxruntime {first['versions']['onnxruntime']}",
            f"highdicom {highdicom().__version__}", f"pydicom {pydicom().__version__}",
        )  # fmt: skip
        odd = dict.fromkeys(text for record in records for text in record.get("foreign", ()))
        return cls(
            stack=stack, labels=labels, contract=contract, form=form, name=name, model=first["model"], run=first["run"],
            foreign=tuple(odd), notes=stack.notes, versions=versions,
        )  # fmt: skip

    @property
    def uids(self) -> dict[str, str]:
        """The UIDs of the study, the series and the instance, which depend on all that affects the bytes."""
        series, sha256 = self.stack.images[0].series, self.model["sha256"]
        digest = hashlib.sha256(self.labels.tobytes()).hexdigest()
        sources = (image.uid for image in self.stack.images)
        facts = json.dumps([self.model, self.run, self.foreign, self.notes], sort_keys=True, default=str)
        parts = ("instance", self.form, *self.versions, sha256, digest, facts, *sources)
        return {
            "study_uid": self.stack.images[0].study,
            "series_uid": _derived_uid("series", series, sha256, self.form),
            "sop_uid": _derived_uid(*parts),
        }

    def written(self) -> bytes:
        """Return the content of the file.

        Raises:
            ImageError: the source lacks elements that a SEG requires, or changed since it was found.
        """
        file = io.BytesIO()
        self.dataset().save_as(file)
        return file.getvalue()

    def dataset(self) -> Dataset:
        """Return the dataset of the file, for pydicom. Raises the errors of `written`."""
        headers = headers_of(self.stack)
        hd = highdicom()
        with discreet(self.name, "no DICOM SEG can be made for"):  # pydicom parses elements on access
            thickness_mm = _thickness_mm(headers) if self.stack.placed else 0.0
            headers = [_usable(h, self.stack, thickness_mm) for h in headers]
            first, uids = headers[0], self.uids
            seg = hd.seg.Segmentation(
                source_images=headers,
                pixel_array=self.labels,
                segmentation_type=self.form.upper(),
                segment_descriptions=[self._segment(hd, i, c) for i, c in enumerate(self.contract.classes) if i],
                series_instance_uid=uids["series_uid"],
                series_number=1000 + _number(first.get("SeriesNumber")),
                sop_instance_uid=uids["sop_uid"],
                instance_number=self.stack.number or max(1, _number(first.get("InstanceNumber"))),
                manufacturer="seg-edge",
                manufacturer_model_name="seg-edge",
                software_versions=list(self.versions),
                device_serial_number=self.model["sha256"],
                content_label="SEG_EDGE",
                content_description="Outside what the model was made for"
                if self.foreign
                else "Segmentation by a neural network",
                series_description=_text(f"{self.model['name'] or 'seg-edge'} segmentation", 64),
                specific_character_set=None,
                transfer_syntax_uid="1.2.840.10008.1.2.1",
            )
            self._settle(seg, headers)
        return seg

    def _segment(self, hd: Any, number: int, info: ClassInfo) -> Any:
        coded = pydicom("sr.coding").Code
        sha256 = self.model["sha256"]
        algorithm = hd.AlgorithmIdentificationSequence(
            name=_text(self.model["name"] or "seg-edge U-Net", 64),
            family=coded("123110", "DCM", "Artificial Intelligence"),
            version=" ".join(filter(None, (self.model["version"], f"seg-edge {VERSION}", sha256[:12]))),
            parameters={
                "model_sha256": sha256,
                "geometry": self.contract.geometry.method,
                "intensity": self.contract.input.intensity.method,
            },
        )
        category, kind = (c or TISSUE for c in (info.category, info.property_type))
        made = hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=_text(info.name, 64) or "class",
            segmented_property_category=coded(category.value, category.scheme, category.meaning),
            segmented_property_type=coded(kind.value, kind.scheme, kind.meaning),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            display_color=hd.color.CIELabColor.from_rgb(*info.color),
        )
        if notes := (*self.foreign, *self.notes):
            made.SegmentDescription = _text("; ".join(notes), 1024)
        return made

    def _settle(self, seg: Dataset, headers: Sequence[Dataset]) -> None:
        """Replace the times and random UIDs of highdicom, and say when, where and with which model the SEG was made."""
        first = headers[0]
        when = datetime.fromisoformat(self.run["time"]).astimezone(_zone(first))
        seg.ContentDate = seg.InstanceCreationDate = seg.SeriesDate = f"{when:%Y%m%d}"
        seg.ContentTime = seg.InstanceCreationTime = seg.SeriesTime = f"{when:%H%M%S}"
        seg.StationName = _text(str(self.run["host"]), 16)
        if "ContentCreatorName" not in seg:
            seg.ContentCreatorName = ""  # type 2; empty, since the creator is a program
        if "FrameOfReferenceUID" not in seg:
            for item in seg.SharedFunctionalGroupsSequence:
                item.pop("PixelMeasuresSequence", None)
            seg.PatientOrientation = first.get("PatientOrientation") or ""  # type 2C, required without positions
        seg.DeviceUID = _derived_uid("device", self.model["sha256"])
        for item in seg.get("ContributingEquipmentSequence", []):
            if "highdicom" in str(item.get("ManufacturerModelName", "")) and "ContributionDateTime" in item:
                del item.ContributionDateTime
        seg.ContributingEquipmentSequence = [*seg.get("ContributingEquipmentSequence", []), self._equipment(when)]
        organisation = _derived_uid("dimensions", str(seg.SOPInstanceUID))
        for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
            item.DimensionOrganizationUID = organisation
        charset = first.get("SpecificCharacterSet")
        if not self._is_ascii:  # the source's character set may lack these letters
            seg.SpecificCharacterSet = "ISO_IR 192"
        elif charset:
            seg.SpecificCharacterSet = charset

    def _equipment(self, when: datetime) -> Dataset:
        """Return the item that says when, where, with which model and under which signature the SEG was made."""
        dataset, signature = pydicom("dataset").Dataset, self.model["signature"]
        item, purpose = dataset(), dataset()
        purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = "109102", "DCM", "Processing Equipment"
        item.PurposeOfReferenceCodeSequence = [purpose]
        item.Manufacturer, item.ManufacturerModelName = "seg-edge", _text(self.model["name"] or "U-Net", 64)
        item.StationName, item.SoftwareVersions = _text(str(self.run["host"]), 16), list(self.versions)
        item.DeviceSerialNumber = self.model["sha256"]
        item.ContributionDateTime = f"{when:%Y%m%d%H%M%S%z}"
        key = signature["key_sha256"]
        signed = f"signature verified with the key {key}" if signature["verified"] else "signature not verified"
        named = " ".join(filter(None, (self.model["name"], self.model["version"])))
        item.ContributionDescription = _text(f"model {named or self.model['sha256']}; {signed}", 1024)
        return item

    @property
    def _is_ascii(self) -> bool:
        """Whether all texts of the object are ASCII, which every character set contains."""
        codes = [c for info in self.contract.classes for c in (info.category, info.property_type) if c]
        texts = [
            *(info.name for info in self.contract.classes),
            *self.foreign,
            *self.notes,
            self.run["host"],
            self.model["name"],
        ]
        return all(str(t).isascii() for t in (*texts, *(t for c in codes for t in (c.value, c.scheme, c.meaning))))


def headers_of(stack: Stack) -> list[Dataset]:
    """Read all elements of the files of a stack except the pixels, in order.

    Raises:
        ImageError: a file was removed or replaced since the stack was found.
    """
    headers = []
    for image in stack.images:
        header = header_of(image.path, stack.contents)
        check_image(header, str(image.path))
        now = image_of(image.path, header)
        if (now.uid, now.series, now.owner) != (image.uid, image.series, image.owner):
            raise ImageError(f"{image.path} changed during the run", "", "run it again")
        headers.append(header)
    return headers


def _usable(header: Dataset, stack: Stack, thickness_mm: float) -> Dataset:
    """Return a copy that highdicom accepts, with empty values for missing or invalid ones, and with the directions of the
    stack, since highdicom takes slices with different ones for different planes."""
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
    if stack.placed:
        _place(plain, stack, thickness_mm)
    else:
        for word in _PLACED_BY:
            if word in plain:
                delattr(plain, word)
        plain.NumberOfFrames = 1
        shared = pydicom("dataset").Dataset()  # highdicom requires it for every class of image that may have frames
        shared.PixelMeasuresSequence = [pydicom("dataset").Dataset()]
        plain.SharedFunctionalGroupsSequence = [shared]
    return plain


def _place(plain: Dataset, stack: Stack, thickness_mm: float) -> None:
    """Give a header the directions and the spacing of its stack, and a thickness if it has none."""
    planes = stack.images[0].planes
    assert isinstance(planes, Planes)
    sides = [f"{value + 0.0:.10g}" for value in stack.sides or ()]  # without negative zeros
    spacing = [f"{value:.10g}" for value in planes.spacing_mm]
    if "PerFrameFunctionalGroupsSequence" not in plain:
        plain.ImageOrientationPatient, plain.PixelSpacing = sides, spacing
        if not plain.get("SliceThickness"):
            plain.SliceThickness = f"{thickness_mm:.6g}"  # type 1C in a SEG, may be empty in the source
        return
    new = pydicom("dataset").Dataset
    frames = plain.PerFrameFunctionalGroupsSequence
    shared = copy.copy(plain.SharedFunctionalGroupsSequence[0]) if plain.get(_SHARED) else new()
    held = next((g.PixelMeasuresSequence[0] for g in (shared, frames[0]) if "PixelMeasuresSequence" in g), new())
    measures, orientation = copy.copy(held), new()
    measures.PixelSpacing, orientation.ImageOrientationPatient = spacing, sides
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    plain.SharedFunctionalGroupsSequence = [shared]
    for frame in frames:  # which would contradict the shared ones by their rounding
        frame.pop("PlaneOrientationSequence", None)
        frame.pop("PixelMeasuresSequence", None)


def _thickness_mm(headers: Sequence[Dataset]) -> float:
    """Return the thickness for slices without one: the distance between slices, or the pixel spacing of a single
    slice."""
    if "ImagePositionPatient" not in headers[0]:
        return 1.0  # a multi-frame object has it in its functional groups
    places = np.array([[float(v) for v in h.ImagePositionPatient] for h in headers])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    return float(np.median(steps)) if len(steps) else float(headers[0].PixelSpacing[0])


def _text(text: str, most: int) -> str:
    """Return text as a valid LO or ST value: at most so many characters, no backslashes or control characters."""
    return "".join("/" if c == "\\" else c if c.isprintable() else " " for c in text)[:most].strip()


def _zone(header: Dataset) -> tzinfo | None:
    """Return the time zone of a header, in which all its times are; None for that of this machine."""
    with contextlib.suppress(ValueError):
        return datetime.strptime(str(header.get("TimezoneOffsetFromUTC") or ""), "%z").tzinfo
    return None


def _number(value: Any) -> int:
    with contextlib.suppress(TypeError, ValueError):
        return min(max(0, int(value)), 1 << 30)
    return 0
