"""DICOM images in, DICOM SEG out. pydicom and highdicom are the extra `dicom`, imported when a DICOM file is met."""

from __future__ import annotations

import struct

SNIFFED = 144  # bytes that `is_dicom` wants to see
_FIRST_VRS = (b"CS", b"UI", b"UL", b"OB", b"SH", b"DA", b"TM", b"LO")


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with `head` is DICOM, whatever its name is.

    Either it has the mark of a DICOM file (PS3.10, section 7.1), or it begins, as old files without a preamble do,
    with an element of group 0002 or 0008 in little or big endian byte order.
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
