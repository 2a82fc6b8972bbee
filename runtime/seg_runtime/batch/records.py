"""Records: write one for each input, and read those of earlier runs with the results that they list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..formats import PageResult, head_of, stem_of
from ..support import METADATA_BYTES, SegError, parse_json, read_file

SUMMARY = "summary.csv"
SUMMARY_KEYS = ("name", "file", "page")
"""Its first columns; `name` is the path of the results in the folder, without suffixes."""
KEEP = "pass --overwrite to replace it, or choose another --out"


def read_record(path: Path) -> dict[str, Any] | None:
    """Read the record of an earlier run; None if there is none.

    Raises:
        SegError: the file was not written by seg-run or cannot be read.
    """
    try:
        record = parse_json(read_file(path, METADATA_BYTES))
        names = [record["input"]["sha256"], record["model"]["sha256"], *record["outputs"].values()]
        ours = all(name.startswith(f"{path.stem}_{key.partition('_')[0]}.") for key, name in record["outputs"].items())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SegError(f"{path} cannot be read ({error.strerror})", "", "choose another --out") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SegError(f"{path} exists and is not a record of seg-run", "", KEEP) from error
    if not ours or not all(isinstance(n, str) and n == Path(n).name for n in names):  # a name is removed later
        raise SegError(f"{path} exists and is not a record of seg-run", "", KEEP)
    return dict(record)


class EarlierResults:
    """The results of earlier runs, as listed in the records in the same folders. Each record is read once."""

    def __init__(self) -> None:
        self._listed: dict[Path, frozenset[str]] = {}

    def is_record(self, path: Path) -> bool:
        """Return whether a file is a record, whose first entry is `complete`, or a summary; others may be large and are not
        read."""
        if path.name == SUMMARY:
            return head_of(path).startswith(",".join(SUMMARY_KEYS).encode())
        return path.suffix == ".json" and b'"complete"' in head_of(path)[:64] and bool(self._outputs(path))

    def __contains__(self, path: Path) -> bool:
        """Return whether a record in the folder of a file lists it."""
        name, mark, _ = stem_of(path).rpartition("_")
        if not mark:
            return False
        return path.name in self._outputs(path.with_name(f"{name}.json"))

    def _outputs(self, record: Path) -> frozenset[str]:
        if record not in self._listed:
            self._listed[record] = frozenset(listed_outputs(record).values())
        return self._listed[record]


def listed_outputs(path: Path) -> dict[str, str]:
    """Return the names of the results that a record lists, by key; empty if there is no record."""
    try:
        record = read_record(path)
    except SegError:
        return {}  # with --overwrite, a file that is not a record is replaced
    return dict(record["outputs"]) if record else {}


def listed_warnings(record: Mapping[str, Any]) -> list[str]:
    """Return the warnings of a record about its image, or about all its pages."""
    pages = record.get("pages", [record])
    return [str(text) for page in pages for text in page.get("warnings", ())]


def model_of(record: Mapping[str, Any]) -> str:
    """Return the name and the version of the model of a record, if it has them, and the start of its SHA-256."""
    model = record["model"]
    return " ".join(filter(None, (model.get("name"), model.get("version"), f"{model['sha256'][:12]}")))


def warnings_of(results: Sequence[PageResult]) -> list[str]:
    """Return the warnings about the pages of a file, at most the first one in words."""
    found = [text for result in results for text in result.record["warnings"]]
    more = (
        f"; the record lists {len(found) - 1} more warnings about other pages" if len(results) > 1 < len(found) else ""
    )
    return [found[0] + more] if len(results) > 1 and found else found


def stack_record(
    pages: Sequence[Mapping[str, Any]], ms: Mapping[str, float], outputs: Mapping[str, str]
) -> dict[str, Any]:
    """Return the record of a file. With several pages, it holds their common entries and a list of the others.

    Args:
        pages: records of the pages, see `Segmentation`.
        ms: additional milliseconds per stage and page.
        outputs: names of the files written, by key.
    """
    timed = [{**page, "ms": {**page["ms"], **{k: round(v, 3) for k, v in ms.items()}}} for page in pages]
    if len(timed) == 1:
        return {**timed[0], "outputs": dict(outputs)}
    shared = {key: timed[0][key] for key in ("model", "provider", "versions", "run")}
    source = {"name": timed[0]["input"]["name"], "sha256": timed[0]["input"]["sha256"], "pages": len(timed)}
    listed = [{key: value for key, value in page.items() if key not in shared} for page in timed]
    return {"input": source, **shared, "pages": listed, "outputs": dict(outputs)}
