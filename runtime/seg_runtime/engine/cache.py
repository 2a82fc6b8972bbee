"""A cache of optimized models, which speeds up the start of a session on the CPU.

Optimization reorders the weights for the kernels of the processor. An entry holds the optimized graph and the weights
in two files, so that ONNX Runtime memory-maps the weights instead of reading, optimizing and reordering them. The model
file is still read and hashed at every start; only the work of ONNX Runtime is saved. An entry is valid for one model,
one build of ONNX Runtime and one type of processor.

Entries are in a folder that only its owner can access, are written atomically, and are hashed before use. A damaged
entry or an unsuitable folder is not used, without an error.
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

from ..support import METADATA_BYTES, ModelError, SegError, parse_json, read_file, write_atomic
from .hardware import available_threads, cpu_flags, cpu_name

FORMAT = 1
MAX_ENTRIES = 8
MAX_BYTES = 2 << 30
GRAPH, WEIGHTS, SEAL = "graph.onnx", "weights.bin", "seal.json"
APART = 1024  # bytes; initializers of this size or more are stored in WEIGHTS
PIECE = 8 << 20  # bytes that a thread hashes at a time
ABANDONED = 3600  # seconds after which an unfinished entry is removed
ENTRY, UNFINISHED = re.compile("[0-9a-f]{64}"), re.compile(r"\.[0-9a-f]{32}")  # names of entry folders
Source = bytes | Path
Create = Callable[[Source, Callable[[Any], None]], Any]
"""Creates a session for a model, after a function has changed its SessionOptions."""


def key(model_sha256: str, ort: Any) -> str:
    """Return the name of the entry for a model on this machine, a hash of everything that affects its optimization."""
    build = ort.get_build_info() if hasattr(ort, "get_build_info") else ""
    machine = [platform.machine(), platform.system(), cpu_name(), *cpu_flags()]
    text = json.dumps([FORMAT, model_sha256, str(ort.__version__), build, "cpu", machine])
    return hashlib.sha256(text.encode()).hexdigest()


def open_cached(
    folder: Path, name: str, ort: Any, model: Source, create: Create, check_unchanged: Callable[[], None]
) -> Any:
    """Return a session from the cache entry `name`, or from `model`, which creates the entry.

    Args:
        folder: folder of the cache; created if it does not exist.
        name: result of `key`.
        ort: the module onnxruntime.
        model: content or path of the ONNX file.
        create: creates a session and may raise ModelError.
        check_unchanged: raises ModelError if the file is no longer the one that `name` stands for. ONNX Runtime may
            then have read another file, and its entry must not be stored under this name.
    """
    place = _private(folder / "seg-edge")
    if place is None:
        return create(model, _unchanged)
    entry = place / name
    if _intact(entry, name):
        with contextlib.suppress(ModelError):  # it was removed, or this ONNX Runtime cannot load it
            return create(entry / GRAPH, lambda options: _skip_optimization(options, ort))
    _remove(entry)
    fresh = place / f".{uuid.uuid4().hex}"
    try:
        try:
            fresh.mkdir(0o700)
            session = create(model, lambda options: _save_optimized(options, fresh))
        except (OSError, ModelError):  # disk error, or a bad model, which fails again below
            return create(model, _unchanged)
        with contextlib.suppress(OSError, SegError):  # another process stored it first, or the disk is full
            check_unchanged()
            _seal(fresh, name)
            fresh.rename(entry)
            _remove_oldest(place, entry)
        return session
    finally:
        _remove(fresh)


def _unchanged(options: Any) -> None:
    """Leave the options unchanged."""


def _skip_optimization(options: Any, ort: Any) -> None:
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # it is already optimized


def _save_optimized(options: Any, folder: Path) -> None:
    options.optimized_model_filepath = str(folder / GRAPH)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", WEIGHTS)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", str(APART))


def _private(folder: Path) -> Path | None:
    """Create a folder and return it, or None if it is not writable or other users can access or replace it."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)
        state = folder.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(state.st_mode) or not os.access(folder, os.W_OK | os.X_OK):
        return None
    if hasattr(os, "getuid") and (state.st_uid != os.getuid() or state.st_mode & 0o077 or _replaceable(folder)):
        return None
    return folder


def _replaceable(folder: Path) -> bool:
    """Return whether another user can rename a folder above, and so put another one in place between check and use."""
    for above in Path(os.path.realpath(folder)).parents:
        state = above.stat()
        shared = state.st_mode & 0o022 and not state.st_mode & stat.S_ISVTX
        if shared or state.st_uid not in (0, os.getuid()):
            return True
    return False


def _seal(folder: Path, name: str) -> None:
    """Write the digests of the files in an entry, so that later changes are detected."""
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    if GRAPH not in files or not files.keys() <= {GRAPH, WEIGHTS}:
        raise SegError(f"ONNX Runtime wrote {sorted(files)} for an optimized model", f"{GRAPH} and {WEIGHTS}")
    text = json.dumps({"name": name, "files": files})
    write_atomic(folder / SEAL, lambda file: file.write(text.encode()))


def _intact(entry: Path, name: str) -> bool:
    """Return whether an entry exists and matches its digests; update the time of its last use."""
    try:
        sealed = parse_json(read_file(entry / SEAL, METADATA_BYTES))
        there = {path.name for path in entry.iterdir()} - {SEAL}
        ours = sealed["name"] == name and GRAPH in there and there == sealed["files"].keys() <= {GRAPH, WEIGHTS}
        if not ours or any(_digest(entry / file) != digest for file, digest in sealed["files"].items()):
            return False
        os.utime(entry / SEAL)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return True


def _digest(path: Path) -> str:
    """Return the SHA-256 over the SHA-256 of the file's pieces, hashed in threads. Raises OSError if it is not a
    file."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(f"{path} is not a regular file")
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
    """Remove the least recently used entries until the rest is within the limits, and entries of killed processes.

    Only folders with the name of an entry are removed, since the folder may be used for other things as well.
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
    """Remove a file or folder if possible."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
