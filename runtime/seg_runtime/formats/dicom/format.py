"""The DICOM format: a series is one source. pydicom and highdicom, the extra `dicom`, are imported on first use."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...model import Acquisition
from ..format import (
    NPY,
    Failures,
    Format,
    Output,
    Page,
    PageResult,
    Place,
    Prepared,
    ReadOptions,
    Source,
    SourceOptions,
)
from ..pictures import MASKS, OBJECTS, PROBABILITIES, planes_of, volume_of
from .acquired import acquisition_of
from .read import NoPictureError, decode_dicom, read_dataset
from .study import Stack, find_stacks
from .write import SEG_FORMS, Seg

_FIRST_VRS = (b"CS", b"UI", b"UL", b"OB", b"SH", b"DA", b"TM", b"LO")


@dataclass(frozen=True, kw_only=True)
class Series(Source):
    """Images of one series on one grid.

    Attributes:
        stack: the files and their positions.
    """

    joinable = False

    stack: Stack


class Dicom(Format):
    """DICOM images. The images of a folder are a study: each series is one source."""

    title = "a DICOM image"
    suffixes = (".dcm",)
    by_content = True
    deferred = True
    private = True

    def recognises(self, head: bytes) -> bool:
        """Return whether a file that begins with `head` is DICOM, whatever its name.

        It has the prefix of a DICOM file (PS3.10, section 7.1) or, like old files without a preamble, begins with an
        element of group 0002 or 0008 in little-endian or big-endian byte order.
        """
        if head[128:132] == b"DICM":
            return True
        if len(head) < 8:
            return False
        for order in "<>":
            group, element = struct.unpack(f"{order}HH", head[:4])
            if group in (0x0002, 0x0008) and element <= 0x0018:
                implicit = order == "<" and struct.unpack("<I", head[4:8])[0] <= 64
                return implicit or head[4:6] in _FIRST_VRS
        return False

    def read(self, data: bytes, name: str, options: ReadOptions) -> Iterator[Page]:
        """Yield `(H, W, C)` for each frame, or all frames as `(D, H, W, C)` for a volume model."""
        frames = decode_dicom(data, name, options.max_pixels)
        if options.axes == 3:
            acquired = acquisition_of(read_dataset(io.BytesIO(data), name), name, axes=3)
            volume = volume_of((array for array, _ in frames), name)
            yield Page(volume, name, Place.of(acquired, 3), acquisition=acquired)
            return
        known: Acquisition | None = None
        for array, dataset in frames:
            known = acquired = known or acquisition_of(dataset, name)
            yield Page(array, name, Place.of(acquired, 2), acquisition=acquired)

    def acquisition(self, path: Path) -> Acquisition:
        """Return modality, SOP class, orientation, unit and spacing."""
        return acquisition_of(read_dataset(path, str(path)), str(path))

    def sources(
        self,
        files: Sequence[Path],
        folder: Path | None,
        options: SourceOptions = SourceOptions(),  # noqa: B008 - frozen
    ) -> tuple[list[Source], Failures]:
        """Return the series in files, named after the folder and the files: data from a DICOM file are never used in a
        path.

        Each file that the user names is a separate source. In a folder, objects that are not images, such as reports
        and plans, are skipped.
        """
        if folder is None:
            stacks, failed = find_stacks(files, options, apart=True)
            return [self._series(s, s.files[0], Path(s.files[0].stem)) for s in stacks], failed
        stacks, failed = find_stacks(files, options)
        base = folder.resolve().name or "study"
        found: list[Source] = []
        for stack in stacks:
            if stack.placed:
                number, count = stack.rank
                found.append(self._series(stack, folder, Path(f"{base}_series{number}" if count > 1 else base)))
            else:
                path = stack.files[0]
                found.append(self._series(stack, path, path.parent.relative_to(folder) / path.stem))
        return found, [f for f in failed if not isinstance(f[1], NoPictureError)]

    def _series(self, stack: Stack, path: Path, stem: Path) -> Series:
        return Series(path, stem, stack.files, self, pages=stack.frames, stack=stack)

    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        """Return the output for labels: DICOM SEG, or a plain mask if a SEG cannot reference the images; for objects, a
        TIFF."""
        if data != "labels":
            return {"objects": OBJECTS} if data == "objects" else {}
        if isinstance(source, Series) and source.stack.no_seg:
            return MASKS
        return {form: Output(f"seg_{form}", (".dcm",), partial(_prepare_seg, form=form)) for form in SEG_FORMS}

    def probabilities(self) -> Mapping[str, Output]:
        """Return the outputs NPY and TIFF."""
        return {"npy": NPY, "tiff": PROBABILITIES}

    def record(self, source: Source, results: Sequence[PageResult]) -> dict[str, Any]:
        """Return counts, versions and the UIDs of the DICOM SEG, without personal data from the files."""
        from importlib.metadata import version  # takes 15 ms

        assert isinstance(source, Series)
        stack = source.stack
        return {
            "input": {"name": source.path.name or source.stem.name, "files": len(source.files)},
            "versions": {name: version(name) for name in ("pydicom", "highdicom")},
            "dicom": {"placed": stack.placed, "no_seg": stack.no_seg, "notes": list(stack.notes), "phase": stack.phase},
        }

    def note(self, source: Source) -> str:
        """Return what is unusual about a series, and why there is no DICOM SEG; empty if there is nothing to say."""
        if not isinstance(source, Series):
            return ""
        notes = [f"{source.stem.name}: {note}" for note in source.stack.notes]
        if reason := source.stack.no_seg:
            notes.append(f"{source.path} gets a plain mask instead of a DICOM SEG, because {reason}")
        return "; ".join(notes)


def _prepare_seg(results: Sequence[PageResult], source: Source, form: str) -> Prepared:
    assert isinstance(source, Series)
    labels = np.concatenate([planes_of(r.labels) for r in results])
    seg = Seg.of(source.stack, labels, [r.record for r in results], results[0].contract, form, str(source.path))
    content = seg.written()
    return Prepared(".dcm", lambda file: file.write(content), {"dicom": {"seg": seg.uids}})
