"""Registries: our own things, those of other packages, and what a broken package may do to others."""

from __future__ import annotations

from pathlib import Path

import pytest
from seg_runtime.support import Registry, SegError

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
