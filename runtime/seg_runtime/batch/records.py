"""Records of files: the one to be written, and those of earlier runs with the files that these wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..formats import stem_of
from ..support import SegError

KEEP = "pass --overwrite to replace it, or choose another --out"


def read_record(path: Path) -> dict[str, Any] | None:
    """An earlier run's record, None where there is none.

    Raises:
        SegError: a file of that name that seg-run did not write, or that cannot be read.
    """
    try:
        record = json.loads(path.read_bytes())
        names = [record["input"]["sha256"], record["model"]["sha256"], *record["outputs"].values()]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        problem = f"{path} cannot be read ({error.strerror})"
        raise SegError(problem, "a readable folder", "choose another --out") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SegError(f"{path} exists and is no record of seg-run", "a free place", KEEP) from error
    if not all(isinstance(n, str) and n == Path(n).name for n in names):
        raise SegError(f"{path} exists and is no record of seg-run", "a free place", KEEP)
    return dict(record)


class EarlierResults:
    """The files that earlier runs wrote, as the records beside them say; each record is read once."""

    def __init__(self) -> None:
        self._listed: dict[Path, frozenset[str]] = {}

    def __contains__(self, path: Path) -> bool:
        """Whether the record beside a file lists it."""
        name, mark, _ = stem_of(path).rpartition("_")
        if not mark:
            return False
        record = path.with_name(f"{name}.json")
        if record not in self._listed:
            self._listed[record] = frozenset(listed_outputs(record).values())
        return path.name in self._listed[record]


def listed_outputs(path: Path) -> dict[str, str]:
    """Names of the results that the record of an earlier run lists, by their keys; empty where there is no record."""
    try:
        record = read_record(path)
    except SegError:
        return {}  # --overwrite on a file that is no record: ours replaces it
    return dict(record["outputs"]) if record else {}


def stack_record(
    pages: Sequence[Mapping[str, Any]], ms: Mapping[str, float], outputs: Mapping[str, str]
) -> dict[str, Any]:
    """The record of a file: of its one page, or what all pages share with a list of the rest.

    Args:
        pages: records of `Segmentation`.
        ms: further milliseconds per stage and page.
        outputs: names of the files written, by kind.
    """
    timed = [{**page, "ms": {**page["ms"], **{k: round(v, 3) for k, v in ms.items()}}} for page in pages]
    if len(timed) == 1:
        return {**timed[0], "outputs": dict(outputs)}
    shared = {key: timed[0][key] for key in ("model", "provider", "versions")}
    source = {"name": timed[0]["input"]["name"], "sha256": timed[0]["input"]["sha256"], "pages": len(timed)}
    listed = [{key: value for key, value in page.items() if key not in shared} for page in timed]
    return {"input": source, **shared, "pages": listed, "outputs": dict(outputs)}
