from __future__ import annotations

from seg_runtime import SegError


def test_a_text_of_any_length_becomes_one_line_of_some_length() -> None:
    text = str(SegError(f"a.png has the value {'x' * 50_000} in it", "y" * 50_000, "correct it"))
    assert text.startswith("a.png has the value xxx")
    assert " … " in text
    assert "in it; expected yyy" in text
    assert text.endswith("Correct it.")
    assert len(text) < 2100
