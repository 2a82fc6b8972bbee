"""Writing the results of one source between two forms of its record: one that announces them, one that completes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..record import stack_record
from ..segmenter import Segmentation
from ..support import write_atomic
from .inputs import Task
from .load import Loaded
from .records import listed_outputs


def write_results(task: Task, results: Sequence[Segmentation], loaded: Loaded, same_origin: bool) -> None:
    """Write all results of one source.

    Args:
        task: says which.
        results: of its pages.
        loaded: the source.
        same_origin: whether results that lie there already are of this very source and model. Others are removed: what
            another model said must not be taken for this one's.
    """
    start = time.perf_counter()
    prepared = {output.key: (output, *output.prepare(results, task.source)) for output in task.outputs}
    targets = {key: task.path(output, suffix) for key, (output, suffix, _) in prepared.items()}
    new = {key: path.name for key, path in targets.items()}
    before = {key: name for key, name in listed_outputs(task.record).items() if name not in new.values()}
    outputs = {**before, **new}
    times = {} if loaded.decode_ms is None else {"decode": loaded.decode_ms}
    facts = task.source.format.record(task.source, results)
    _write_record(task, results, loaded, facts, times, outputs, complete=False)
    for key, (_, _, write) in prepared.items():
        write_atomic(targets[key], write)
    if not same_origin:
        for name in before.values():
            (task.stem.parent / name).unlink(missing_ok=True)
        outputs = new
    times["encode"] = (time.perf_counter() - start) * 1000
    _write_record(task, results, loaded, facts, times, outputs, complete=True)


def _write_record(
    task: Task, results: Sequence[Segmentation], loaded: Loaded, facts: Mapping[str, Mapping[str, Any]],
    ms: Mapping[str, float], outputs: Mapping[str, str], *, complete: bool,
) -> None:  # fmt: skip
    per_page = {stage: value / len(results) for stage, value in ms.items()}
    record = {"complete": complete, **stack_record([r.record for r in results], per_page, outputs)}
    record["input"] |= {"sha256": loaded.sha256}
    if task.source.channel_files:
        record["input"] |= {"name": task.stem.name, "files": [path.name for path in task.source.files]}
    for entry, added in facts.items():
        record[entry] = {**record.get(entry, {}), **added}
    text = json.dumps(record, indent=2) + "\n"
    write_atomic(task.record, lambda file: file.write(text.encode()))
