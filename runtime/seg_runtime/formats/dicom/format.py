"""The DICOM format: a series is one source. pydicom and highdicom, the extra `dicom`, are imported on first use."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..format import NPY, Failures, Format, Output, Page, PageResult, ReadOptions, Source, Write
from ..pictures import MASK, PROBABILITIES, planes_of, volume_of
from .read import NoPictureError, decode_dicom
from .study import Stack, find_stacks
from .write import SEG_FORMS, write_seg

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
        for array in frames if options.axes == 2 else [volume_of(frames, name)]:
            yield Page(array, name)

    def sources(self, files: Sequence[Path], folder: Path | None) -> tuple[list[Source], Failures]:
        """Return the series in files, named after the folder and the files: data from a DICOM file are never used in a
        path.

        Each file that the user names is a separate source. In a folder, objects that are not images, such as reports
        and plans, are skipped.
        """
        if folder is None:
            stacks, failed = find_stacks(files, apart=True)
            return [self._series(s, s.files[0], Path(s.files[0].stem)) for s in stacks], failed
        stacks, failed = find_stacks(files)
        base = folder.resolve().name or "study"
        several = sum(s.placed for s in stacks) > 1
        found: list[Source] = []
        number = 0
        for stack in stacks:
            if stack.placed:
                number += 1
                found.append(self._series(stack, folder, Path(f"{base}_series{number}" if several else base)))
            else:
                path = stack.files[0]
                found.append(self._series(stack, path, path.parent.relative_to(folder) / path.stem))
        return found, [f for f in failed if not isinstance(f[1], NoPictureError)]

    def _series(self, stack: Stack, path: Path, stem: Path) -> Series:
        return Series(path, stem, stack.files, self, pages=stack.frames, stack=stack)

    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        """Return the output for labels: DICOM SEG, or a plain mask if a SEG cannot reference the images."""
        if data != "labels":
            return {}
        if self.note(source):
            return {"mask": MASK}
        return {form: Output(f"seg_{form}", (".dcm",), partial(_prepare_seg, form=form)) for form in SEG_FORMS}

    def probabilities(self) -> Mapping[str, Output]:
        """Return the outputs NPY and TIFF."""
        return {"npy": NPY, "tiff": PROBABILITIES}

    def record(self, source: Source, results: Sequence[PageResult]) -> dict[str, Any]:
        """Return counts and versions, without personal data from the files."""
        from importlib.metadata import version  # takes 15 ms

        assert isinstance(source, Series)
        return {
            "input": {"name": source.path.name or source.stem.name, "files": len(source.files)},
            "versions": {name: version(name) for name in ("pydicom", "highdicom")},
            "dicom": {"placed": source.stack.placed, "no_seg": source.stack.no_seg},
        }

    def note(self, source: Source) -> str:
        """Return a note that says why there is no DICOM SEG; empty if there is one."""
        reason = source.stack.no_seg if isinstance(source, Series) else ""
        return f"{source.path} gets a plain mask instead of a DICOM SEG, because {reason}" if reason else ""


def _prepare_seg(results: Sequence[PageResult], source: Source, form: str) -> tuple[str, Write]:
    assert isinstance(source, Series)
    labels = np.concatenate([planes_of(r.answer) for r in results])
    record, contract = results[0].record, results[0].contract
    seg = write_seg(
        source.stack.headers(), labels, contract, record["model"]["sha256"], form, source.stack.placed,
        str(source.path), record["versions"]["onnxruntime"],
    )  # fmt: skip
    return ".dcm", lambda file: file.write(seg)
