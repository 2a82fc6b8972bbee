"""The time of a run, which an environment variable can replace."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from seg_runtime.support import SegError, now


def test_it_is_utc_to_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    found = now()
    assert found.utcoffset() == timedelta(0)
    assert found.microsecond == 0
    assert found <= datetime.now(timezone.utc)


def test_it_can_be_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert now().isoformat() == "2023-11-14T22:13:20+00:00"


@pytest.mark.parametrize("text", ["now", "-1", "1.5", " 1", "1_0", "\u0661", "9" * 30, "9" * 5000])
def test_a_variable_that_is_no_time_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(SegError, match=r"SOURCE_DATE_EPOCH is .*expected a number of seconds since 1970"):
        now()
