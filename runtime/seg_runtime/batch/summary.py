"""summary.csv: a row for each image, or page, whose objects were measured."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..outputs import csv_of
from ..support import METADATA_BYTES, SegError, counted, locked, named, prepared, read_file
from .inputs import BatchOptions, Task
from .records import KEEP, SUMMARY, SUMMARY_KEYS, listed_warnings, model_of, read_record

_LAST = ("model", "warnings")  # columns


def check_summary(out: Path, options: BatchOptions) -> None:
    """Check, before a run that measures, that there is no other file in the place of the summary.

    Raises:
        SegError: there is one, and it may not be replaced.
    """
    if options.measure:
        _listed(out, options)


def write_summary(out: Path, tasks: Sequence[Task], options: BatchOptions) -> list[str]:
    """Write the summary of a folder from the records of its images, if the run measures.

    These are the images of this run, whether segmented now or earlier, and those that other runs have listed. Another
    process waits meanwhile, so that it finds the rows of this one.

    Args:
        out: folder of the results.
        tasks: all images of this run.
        options: options of the run.

    Returns:
        Notes about images of this run whose pixels have no known size, and about rows of several models.

    Raises:
        SegError: the file cannot be written, or is no summary.
    """
    own = [task.stem.relative_to(out).as_posix() for task in tasks]
    if not options.measure or not own or not out.is_dir():
        return []
    with locked(out):
        rows = [row for name in sorted({*own, *_listed(out, options)}) for row in _rows(out, name)]
        found = dict.fromkeys([*SUMMARY_KEYS, *(column for row in rows for column in row)])
        columns = [*(column for column in found if column not in _LAST), *_LAST]
        content = csv_of(columns, rows)
        with prepared(out / SUMMARY, lambda file: file.write(content)) as put:
            put()
    return [*_notes_of_sizes({row["name"]: row for row in rows if row["name"] in set(own)}), *_notes_of_models(rows)]


def _notes_of_sizes(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    unknown = sum(not any(key.startswith("density_per_mm") for key in row) for row in rows.values())
    if not unknown:
        return []
    which = counted(unknown, "image") + (f" of {len(rows)}" if len(rows) > unknown else "")
    verb, its = ("states", "its") if unknown == 1 else ("state", "their")
    return [f"{which} {verb} no pixel size, so {its} measures are in px only; --pixel-size gives it"]


def _notes_of_models(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    models = sorted({row["model"] for row in rows})
    if len(models) < 2:
        return []
    return [f"{SUMMARY} has results of {len(models)} models, see its column model: {named(models)}"]


def _listed(out: Path, options: BatchOptions) -> list[str]:
    try:
        return _names_in(out / SUMMARY)
    except SegError:
        if options.overwrite:
            return []
        raise


def _names_in(path: Path) -> list[str]:
    """Return the names of the images that a summary lists; none if there is no summary."""
    problem = f"{path} exists and is not a summary of seg-run"
    try:
        text = read_file(path, METADATA_BYTES).decode("utf-8-sig")  # Excel adds a mark
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        names = [row["name"] for row in reader]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SegError(f"{path} cannot be read ({error.strerror})", "", "choose another --out") from error
    except (ValueError, KeyError, csv.Error) as error:
        raise SegError(problem, "", KEEP) from error
    if tuple(reader.fieldnames or ())[: len(SUMMARY_KEYS)] != SUMMARY_KEYS:
        raise SegError(problem, "", KEEP)
    return [name for name in names if name and ".." not in Path(name).parts and not Path(name).is_absolute()]


def _rows(out: Path, name: str) -> list[dict[str, Any]]:
    """Return the row of each page of an image from its record; none if its objects were not measured."""
    try:
        record = read_record(out / f"{name}.json")
        if not record or not record.get("complete") or "measured" not in record:
            return []
        pages = record["measured"].get("pages", [record["measured"]])
        first = {"name": name, "file": record["input"].get("name", "")}
        of_all = {"model": model_of(record), "warnings": "; ".join(listed_warnings(record))}
        return [{**first, "page": number, **dict(_flat(page)), **of_all} for number, page in enumerate(pages, 1)]
    except (SegError, AttributeError, KeyError, TypeError):  # it is not a record of seg-run
        return []


def _flat(page: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the entries of `summary_of` for a row: those of a class have its name in front."""
    yield from ((key, value) for key, value in page.items() if key != "classes")
    for entry in page["classes"]:
        yield from ((f"{entry['name']} {key}", value) for key, value in entry.items() if key != "name")
