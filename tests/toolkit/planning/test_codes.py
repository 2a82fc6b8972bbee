from __future__ import annotations

import json
from pathlib import Path

import pytest
from seg_runtime.model.answer import ClassInfo, Code
from seg_runtime.support.errors import DataError
from seg_toolkit.planning.codes import with_codes

CLASSES = (ClassInfo("background", (0, 0, 0)), ClassInfo("liver", (9, 9, 9)), ClassInfo("spine", (8, 8, 8)))
ORGAN = ["123037004", "SCT", "Anatomical Structure"]
LIVER = ["10200004", "SCT", "Liver"]


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_codes_go_to_the_classes_that_the_file_names(tmp_path: Path) -> None:
    path = written(tmp_path / "codes.json", {"liver": {"category": ORGAN, "type": LIVER}})
    background, liver, spine = with_codes(CLASSES, path)
    assert (liver.category, liver.property_type) == (Code(*ORGAN), Code(*LIVER))
    assert (background, spine) == (CLASSES[0], CLASSES[2])
    again = with_codes((background, liver, spine), written(path, {"liver": {"type": ["1", "99X", "Else"]}}))
    assert (again[1].category, again[1].property_type) == (Code(*ORGAN), Code("1", "99X", "Else"))
    assert with_codes(CLASSES, None) == CLASSES


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is no JSON"),
        ("[]", "holds no object"),
        ('{"liver": {}, "liver": {}}', "a name comes twice"),
        ({"kidney": {"type": LIVER}}, "names the class 'kidney'; wanted of liver, spine"),
        ({"background": {"type": LIVER}}, "the background is no segment"),
        ({"liver": LIVER}, "gives 'liver' no category and type"),
        ({"liver": {"kind": LIVER}}, "gives 'liver' no category and type"),
        ({"liver": {"type": ["10200004", "SCT"]}}, 'the type of \'liver\' in'),
        ({"liver": {"category": ["", "SCT", "Liver"]}}, "has the value ''"),
        ({"liver": {"type": ["1" * 17, "SCT", "Liver"]}}, "1 to 16 printable characters"),
        ({"liver": {"type": ["1", "SCT", "a\\b"]}}, "without a backslash"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_its_reason(tmp_path: Path, content: object, reason: str) -> None:
    with pytest.raises(DataError, match=r"codes\.json") as error:
        with_codes(CLASSES, written(tmp_path / "codes.json", content))
    assert reason in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        with_codes(CLASSES, tmp_path / "codes.json")
