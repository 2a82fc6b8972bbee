"""Look into a file that PyTorch saved before PyTorch does, since a few bytes can cost it hours or gigabytes.

PyTorch stores its archives without compression, but unpacks compressed ones. It searches the text of an error about a
Python object for words, in a time that grows with the square of the object's name.
"""

from __future__ import annotations

import io
import pickletools
import zipfile

_LONGEST = 200  # letters of the module and the name of a Python object
_PICKLES = 5  # at the beginning of a file of PyTorch before 1.6: magic number, version, system, content, keys


def check_archive(data: bytes) -> None:
    """Check what torch.load does not.

    Args:
        data: content of the file.

    Raises:
        ValueError: the file is compressed or damaged, or names a Python object that cannot exist.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)):
        stream = io.BytesIO(data)
        for _ in range(_PICKLES):
            _check_names(stream)
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is compressed")
        for entry in archive.infolist():
            if entry.filename.endswith(".pkl"):
                _check_names(io.BytesIO(archive.read(entry)))


def _check_names(stream: io.BytesIO) -> None:
    for code, argument, _ in pickletools.genops(stream):
        if code.name == "GLOBAL" and len(str(argument)) > _LONGEST:
            raise ValueError(f"it names an object of {len(str(argument))} letters")
