"""A folder of optimised models, which shortens the start of a session on CPU.

Optimising reorders the weights for the processor's kernels. An entry keeps the optimised graph and the weights in two files, so
that ONNX Runtime maps the weights instead of reading, optimising and reordering them. The model file itself is still read and
digested at every start: ONNX Runtime's part is saved. An entry serves one model, one ONNX Runtime and one kind of processor.

Entries lie in a folder that only its owner may enter, appear whole or not at all, and are digested before they are used.
An entry or a folder that is wrong in any way is not used; that is never an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..support import ModelError, SegError, write_atomic
from .hardware import available_threads, cpu_flags, cpu_name

FORMAT = 1
MAX_ENTRIES = 8
MAX_BYTES = 2 << 30
GRAPH, WEIGHTS, SEAL = "graph.onnx", "weights.bin", "seal.json"
APART = 1024  # bytes from which an initialiser goes to WEIGHTS
PIECE = 8 << 20  # bytes that one thread digests at a time
ABANDONED = 3600  # seconds after which a half-written entry belongs to nobody
ENTRY, UNFINISHED = re.compile("[0-9a-f]{64}"), re.compile(r"\.[0-9a-f]{32}")  # names of folders here
Source = bytes | Path
Create = Callable[[Source, Callable[[Any], None]], Any]
"""Makes a session of a model, after a function has changed its SessionOptions."""


def key(model_sha256: str, ort: Any) -> str:
    """Name of the entry for a model on this machine: all that decides what ONNX Runtime makes of it."""
    build = ort.get_build_info() if hasattr(ort, "get_build_info") else ""
    machine = [platform.machine(), platform.system(), cpu_name(), *cpu_flags()]
    text = json.dumps([FORMAT, model_sha256, str(ort.__version__), build, "cpu", machine])
    return hashlib.sha256(text.encode()).hexdigest()


def open_cached(
    folder: Path, name: str, ort: Any, model: Source, create: Create, check_unchanged: Callable[[], None]
) -> Any:
    """A session from the entry `name`, or of `model` itself, which then leaves that entry behind.

    Args:
        folder: the cache's folder; made when missing.
        name: of `key`.
        ort: the module onnxruntime.
        model: content or path of the ONNX file.
        create: makes a session and raises ModelError.
        check_unchanged: raises ModelError where the file is no longer the one that `name` stands for: ONNX Runtime may
            have read another, whose entry would answer for this one ever after.
    """
    place = _private(folder / "seg-edge")
    if place is None:
        return create(model, _unchanged)
    entry = place / name
    if _intact(entry, name):
        with contextlib.suppress(ModelError):  # it vanished, or this ONNX Runtime refuses it
            return create(entry / GRAPH, lambda options: _skip_optimisation(options, ort))
    _remove(entry)
    fresh = place / f".{uuid.uuid4().hex}"
    try:
        try:
            fresh.mkdir(0o700)
            session = create(model, lambda options: _save_optimised(options, fresh))
        except (OSError, ModelError):  # the disk, or the model itself, whose error comes without saving
            return create(model, _unchanged)
        with contextlib.suppress(OSError, SegError):  # another process was faster, or the disk is full
            check_unchanged()
            _seal(fresh, name)
            fresh.rename(entry)
            _remove_oldest(place, entry)
        return session
    finally:
        _remove(fresh)


def _unchanged(options: Any) -> None:
    """Options as they are."""


def _skip_optimisation(options: Any, ort: Any) -> None:
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # it is optimised


def _save_optimised(options: Any, folder: Path) -> None:
    options.optimized_model_filepath = str(folder / GRAPH)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", WEIGHTS)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", str(APART))


def _private(folder: Path) -> Path | None:
    """The folder, when it is ours alone and can be written to."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)
        state = folder.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(state.st_mode) or not os.access(folder, os.W_OK | os.X_OK):
        return None
    if hasattr(os, "getuid") and (state.st_uid != os.getuid() or state.st_mode & 0o077):
        return None
    return folder


def _seal(folder: Path, name: str) -> None:
    """Write down what the entry holds; what changes afterwards is seen."""
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    if GRAPH not in files or not files.keys() <= {GRAPH, WEIGHTS}:
        raise SegError(f"ONNX Runtime left {sorted(files)} for an optimised model", f"{GRAPH} and {WEIGHTS}")
    text = json.dumps({"name": name, "files": files})
    write_atomic(folder / SEAL, lambda file: file.write(text.encode()))


def _intact(entry: Path, name: str) -> bool:
    """Whether an entry is there and just as it was sealed; the time of its use is noted."""
    try:
        sealed = json.loads((entry / SEAL).read_bytes())
        there = {path.name for path in entry.iterdir()} - {SEAL}
        ours = sealed["name"] == name and GRAPH in there and there == sealed["files"].keys() <= {GRAPH, WEIGHTS}
        if not ours or any(_digest(entry / file) != digest for file, digest in sealed["files"].items()):
            return False
        os.utime(entry / SEAL)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return True


def _digest(path: Path) -> str:
    """sha256 over the sha256 of the file's pieces, which several threads digest. Raises OSError for what is no file."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(f"{path} is no regular file")
    starts = range(0, max(1, path.stat().st_size), PIECE)
    with ThreadPoolExecutor(min(8, available_threads())) as pool:
        return hashlib.sha256(b"".join(pool.map(lambda start: _piece(path, start), starts))).hexdigest()


def _piece(path: Path, start: int) -> bytes:
    digest, buffer = hashlib.sha256(), bytearray(1 << 20)
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        left = PIECE
        while left and (count := file.readinto(memoryview(buffer)[: min(left, len(buffer))])):
            digest.update(memoryview(buffer)[:count])
            left -= count
    return digest.digest()


def _remove_oldest(place: Path, newest: Path) -> None:
    """Remove the entries used longest ago until the rest is within the bounds, and what a killed process left.

    Only what has the name of an entry: the folder may be somebody's for something else, too.
    """
    used: list[tuple[float, int, Path]] = []
    for folder in place.iterdir():
        with contextlib.suppress(OSError):
            if UNFINISHED.fullmatch(folder.name):
                if time.time() - folder.stat().st_mtime > ABANDONED:
                    _remove(folder)
            elif ENTRY.fullmatch(folder.name) and folder != newest:
                size = sum(path.stat().st_size for path in folder.iterdir())
                seal = folder / SEAL
                used.append((seal.stat().st_mtime if seal.exists() else 0.0, size, folder))
    total, count = sum(path.stat().st_size for path in newest.iterdir()), 1
    for _, size, folder in sorted(used, reverse=True):
        total, count = total + size, count + 1
        if count > MAX_ENTRIES or total > MAX_BYTES:
            _remove(folder)


def _remove(path: Path) -> None:
    """Take away whatever lies there, if it can be."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
