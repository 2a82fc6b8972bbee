"""Registries: our own things, those of other packages, and what a broken package may do to others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import pytest
from seg_runtime.support import Registry, SegError, instance_of, subclass_of

from tests.support.packages import install

GROUP = "seg_edge.test_numbers"
POINTS = f"[{GROUP}]\ntwo = numbers_of_others:TWO\nlost = numbers_of_others:LOST\nbad = bad_numbers:TWO\none = bad_numbers:ONE\n"


@pytest.fixture
def numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[int]:
    """A registry with a number of ours, one of another package, and two that cannot be loaded."""
    install(tmp_path, "numbers", points=POINTS, numbers_of_others="TWO = 2", bad_numbers="1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    return Registry(GROUP, "number", {"one": 1})


def test_ours_come_first_and_cannot_be_replaced(numbers: Registry[int]) -> None:
    assert numbers.names() == ["one", "bad", "lost", "two"]
    assert (numbers.get("one"), numbers.get("two")) == (1, 2)


def test_what_is_unknown_is_told_with_all_names(numbers: Registry[int]) -> None:
    with pytest.raises(SegError, match="unknown number 'three'; expected one, bad, lost, two"):
        numbers.get("three")


@pytest.mark.parametrize(("name", "why"), [("lost", "has no attribute 'LOST'"), ("bad", "division by zero")])
def test_a_package_that_cannot_be_loaded_is_named(numbers: Registry[int], name: str, why: str) -> None:
    with pytest.raises(SegError, match=f"the number '{name}' cannot be loaded from .*{why}"):
        numbers.get(name)


def test_a_broken_package_takes_nothing_from_the_others(numbers: Registry[int]) -> None:
    assert list(numbers.all()) == [1, 2]
    assert [str(error).split(" cannot")[0] for error in numbers.broken()] == ["the number 'bad'", "the number 'lost'"]


def test_a_broken_module_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = f"open({str(tmp_path / 'log')!r}, 'a').write('x')\n1 / 0"
    install(tmp_path, "numbers", points=f"[{GROUP}]\nbad = noisy_numbers:TWO\n", noisy_numbers=code)
    monkeypatch.syspath_prepend(tmp_path)
    numbers = Registry(GROUP, "number", {"one": 1})
    for _ in range(3):
        assert list(numbers.all()) == [1]
        assert len(numbers.broken()) == 1
    assert (tmp_path / "log").read_text() == "x"


def test_a_name_that_two_packages_offer_is_refused_by_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, value in (("aaa", 1), ("zzz", 2)):
        points = f"[{GROUP}]\ntwo = {package}_numbers:TWO\n"
        install(tmp_path / package, package, points=points, **{f"{package}_numbers": f"TWO = {value}"})
        monkeypatch.syspath_prepend(tmp_path / package)
    numbers = Registry(GROUP, "number", {"one": 1})
    with pytest.raises(SegError, match=r"several packages offer the number 'two' \(aaa_numbers:TWO, zzz_numbers:TWO\)"):
        numbers.get("two")
    assert list(numbers.all()) == [1]


class Shape(ABC):
    name = "circle"

    @abstractmethod
    def area(self) -> float: ...


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("circle = 3", "it is not a subclass of Shape"),
        ("from tests.runtime.support.test_registry import Shape\ncircle = Shape", "it lacks area"),
        (
            "from tests.runtime.support.test_registry import Shape\n"
            "class circle(Shape):\n    name = 'disc'\n    def area(self): return 1.0",
            "it calls itself 'disc'",
        ),
        ("import sys\nsys.exit(4)", "4"),
    ],
)
def test_what_a_package_offers_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, problem: str
) -> None:
    install(
        tmp_path, "shapes", points=f"[{GROUP}]\ncircle = shapes_{len(code)}:circle\n", **{f"shapes_{len(code)}": code}
    )
    monkeypatch.syspath_prepend(tmp_path)
    shapes = Registry(GROUP, "shape", {}, subclass_of(Shape, lambda shape: shape.name))
    with pytest.raises(SegError, match="the shape 'circle' cannot be loaded from") as caught:
        shapes.get("circle")
    assert problem in str(caught.value)


def test_instances_are_checked() -> None:
    assert instance_of(int)("one", 1) == ""
    assert instance_of(int)("one", int) == "it is not an instance of int"
