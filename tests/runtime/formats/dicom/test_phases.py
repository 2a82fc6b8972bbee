"""Images of a series at the same positions."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from seg_runtime.formats.dicom.phases import WORDS, facts_of, phases


@dataclass(frozen=True)
class Image:
    level: int
    number: int
    facts: tuple[str, ...]


def image(level: int, number: int = 0, **facts: str) -> Image:
    return Image(level, number, tuple(facts.get(word, "") for word in WORDS))


def texts(images: list[Image]) -> list[tuple[str, list[int]]]:
    return [(phase.text, [i.level for i in members]) for phase, members in phases(images)]


def test_one_image_per_position_is_one_group_whatever_the_elements() -> None:
    images = [image(k, AcquisitionNumber=str(k), TemporalPositionIdentifier=str(k % 2)) for k in range(6)]
    assert texts(images) == [("", list(range(6)))]


@pytest.mark.parametrize(
    "word", ["TemporalPositionIdentifier", "DiffusionBValue", "EchoNumbers", "EchoTime", "AcquisitionNumber"]
)
def test_an_element_tells_phases_apart_even_if_one_lacks_a_slice(word: str) -> None:
    images = [image(k, **{word: str(10 * p)}) for k in range(4) for p in range(3) if (k, p) != (2, 1)]
    assert texts(images) == [(f"{word} 0", [0, 1, 2, 3]), (f"{word} 10", [0, 1, 3]), (f"{word} 20", [0, 1, 2, 3])]


@pytest.mark.parametrize("word", ["ImageType", "TriggerTime", "ContentTime"])
def test_a_text_from_a_file_is_not_shown(word: str) -> None:
    images = [image(k, **{word: name}) for k in range(3) for name in ("Quirin", "Zwetschge")]
    assert texts(images) == [(f"{word}, group 1", [0, 1, 2]), (f"{word}, group 2", [0, 1, 2])]
    named = [image(k, TemporalPositionIdentifier=name) for k in range(3) for name in ("Quirin", "Zwetschge")]
    assert "Quirin" not in str(texts(named)[0][0])


def test_two_elements_together() -> None:
    images = [image(k, DiffusionBValue=b, EchoNumbers=e) for k in range(2) for b in ("0", "50") for e in ("1", "2")]
    assert [text for text, _ in texts(images)] == [
        f"DiffusionBValue {b}, EchoNumbers {e}" for b in ("0", "50") for e in ("1", "2")
    ]


def test_numbers_that_differ_from_slice_to_slice_do_not_count() -> None:
    images = [image(k, n, AcquisitionNumber=str(2 * k + n), ContentTime=str(k)) for k in range(9) for n in (0, 1)]
    found = phases(images)
    assert [(phase.sure, [i.level for i in members]) for phase, members in found] == [(False, list(range(9)))] * 2
    assert [{i.number for i in members} for _, members in found] == [{0}, {1}]


def test_overlapping_acquisitions_of_one_body() -> None:
    images = [image(k, AcquisitionNumber="1") for k in range(5)] + [
        image(k, AcquisitionNumber="2") for k in (4, 5, 6, 7)
    ]
    images += [image(k, AcquisitionNumber="3") for k in (7, 8, 9)]
    assert [levels for _, levels in texts(images)] == [[0, 1, 2, 3, 4], [4, 5, 6, 7], [7, 8, 9]]


def test_zero_is_a_value() -> None:
    from tests.support.dicom import field, placed

    zero, none = (facts_of(placed(field(4, 4), (0, 0, 0), **more)) for more in ({"DiffusionBValue": 0.0}, {}))
    assert (zero[WORDS.index("DiffusionBValue")], none[WORDS.index("DiffusionBValue")]) == ("0.0", "")
