"""Which inputs become tasks, in which order, and what is told of the others."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from seg_runtime.batch import BatchOptions, find_tasks, records
from seg_runtime.formats import Failures
from seg_runtime.model import Contract, Voxels
from seg_runtime.support import read_file

from tests.support.contracts import contract
from tests.support.images import picture
from tests.support.nifti import nifti, put_nifti

PICTURES = contract()
STRUCTURES = contract((32, 32, 32), (16, 16, 16), channels=1, voxels=Voxels(2.0, ("occupied",)))


def found(*inputs: Path, model: Contract = PICTURES, **options: object) -> tuple[list[str], list[str]]:
    """Stems of the results, and errors."""
    out = Path("out")
    wanted = BatchOptions(**options)  # type: ignore[arg-type]
    tasks, failed = find_tasks(inputs, out, True, model, wanted)
    return [str(task.stem.relative_to(out)) for task in tasks], errors(failed)


def errors(failed: Failures) -> list[str]:
    return [str(error) for _, error in failed]


def test_formats_take_turns_in_the_order_of_a_folder(tmp_path: Path) -> None:
    volume = np.zeros((3, 4, 5, 1), np.float32)
    for name in ("c.png", "a.png"):
        picture(tmp_path / name)
    put_nifti(tmp_path / "b.nii.gz", nifti(volume, "RAS"))
    assert found(tmp_path) == (["a", "b", "c"], [])


def test_each_record_of_an_earlier_run_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        picture(tmp_path / f"train_{number:02}.png")
    (tmp_path / "train.json").write_text(json.dumps({"annotations": list(range(1000))}))
    read: Counter[str] = Counter()

    def counted(path: Path, most_bytes: int) -> bytes:
        read[path.name] += 1
        return read_file(path, most_bytes)

    monkeypatch.setattr(records, "read_file", counted)
    stems, failed = found(tmp_path)
    assert (len(stems), failed) == (20, [])
    assert read["train.json"] == 1


@pytest.mark.parametrize("name", ["nowhere.png", "nowhere", "nowhere.pdb", "nowhere.dcm"])
@pytest.mark.parametrize(("model", "wanted"), [(PICTURES, "a picture"), (STRUCTURES, "a structure of atoms")])
def test_a_missing_file_is_told_with_what_the_model_takes(
    tmp_path: Path, name: str, model: Contract, wanted: str
) -> None:
    stems, [error] = found(tmp_path / name, model=model)
    assert stems == []
    assert f"{name} does not exist; expected " in error
    assert wanted in error


def test_a_file_of_no_known_format_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    [error] = found(tmp_path / "notes.txt", model=STRUCTURES)[1]
    assert "notes.txt has an unknown format; expected a structure of atoms" in error
    [error] = found(picture(tmp_path / "a.png"), model=STRUCTURES)[1]
    assert "a.png is a picture; expected a structure of atoms" in error


def test_a_result_takes_the_place_of_no_input_even_of_a_refused_one(tmp_path: Path) -> None:
    for name in ("a.pdb", "a.json"):
        (tmp_path / name).write_text("ATOM")
    tasks, failed = find_tasks([tmp_path / "a.pdb", tmp_path / "a.json"], tmp_path, False, STRUCTURES, BatchOptions())
    assert tasks == []
    assert any("a.pdb would overwrite" in error and "a.json" in error for error in errors(failed))
