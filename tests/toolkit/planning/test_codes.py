from __future__ import annotations

import json
from pathlib import Path

import pytest
from seg_runtime.model import ClassInfo, Code, OutputInfo
from seg_runtime.support.errors import DataError
from seg_toolkit.planning import coded, with_codes

from tests.support.contracts import contract

CLASSES = (ClassInfo("background", (0, 0, 0)), ClassInfo("liver", (9, 9, 9)), ClassInfo("spine", (8, 8, 8)))
ORGAN = ["123037004", "SCT", "Anatomical Structure"]
LIVER = ["10200004", "SCT", "Liver"]


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_codes_go_to_the_classes_that_the_file_names(tmp_path: Path) -> None:
    path = written(tmp_path / "codes.json", {"liver": {"category": ORGAN, "type": LIVER}})
    background, liver, spine = coded(CLASSES, path)
    assert (liver.category, liver.property_type) == (Code(*ORGAN), Code(*LIVER))
    assert (background, spine) == (CLASSES[0], CLASSES[2])
    again = coded((background, liver, spine), written(path, {"liver": {"type": ["1", "99X", "Else"]}}))
    assert (again[1].category, again[1].property_type) == (Code(*ORGAN), Code("1", "99X", "Else"))
    assert coded(CLASSES, None) == CLASSES


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "contains no JSON object"),
        ('{"liver": {}, "liver": {}}', "a name occurs twice"),
        ({"kidney": {"type": LIVER}}, "names the class 'kidney'; expected liver, spine"),
        ({"background": {"type": LIVER}}, "the background is not a segment"),
        ({"liver": LIVER}, "gives 'liver' neither category nor type"),
        ({"liver": {"kind": LIVER}}, "gives 'liver' neither category nor type"),
        ({"liver": {"type": ["10200004", "SCT"]}}, 'the type of \'liver\' in'),
        ({"liver": {"category": ["", "SCT", "Liver"]}}, "has the value ''"),
        ({"liver": {"type": ["1" * 17, "SCT", "Liver"]}}, "1 to 16 printable characters"),
        ({"liver": {"type": ["1", "SCT", "a\\b"]}}, "without a backslash"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_its_reason(tmp_path: Path, content: object, reason: str) -> None:
    with pytest.raises(DataError, match=r"codes\.json") as error:
        coded(CLASSES, written(tmp_path / "codes.json", content))
    assert reason in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        coded(CLASSES, tmp_path / "codes.json")


def test_a_contract_gets_the_codes_of_its_classes(tmp_path: Path) -> None:
    path = written(tmp_path / "codes.json", {"liver": {"type": LIVER}})
    plain = contract(classes=CLASSES)
    made = with_codes(plain, path)
    assert made.classes == coded(CLASSES, path)
    assert with_codes(plain, None) is plain
    with pytest.raises(DataError, match="--codes does not fit outputs of the kind values"):
        with_codes(contract(outputs=(OutputInfo("depth"),)), path)
