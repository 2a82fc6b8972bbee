"""JSON from files that may be damaged or hostile."""

from __future__ import annotations

import contextlib
import json

import pytest
from seg_runtime import ContractError, ModelError
from seg_runtime.model import Contract
from seg_runtime.support import parse_json

from tests.support.contracts import contract


def test_ordinary_json_is_as_the_library_reads_it() -> None:
    text = json.dumps({"a": [1, -2.5, None, True, "x"], "b": {"c": {}}, "n": 2**60})
    assert parse_json(text) == parse_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 100 + "]" * 100,
        '{"a":' * 100 + "1" + "}" * 100,
        "1" * 400,
        "-" + "1" * 21,
        "1e999",
        "-1e999",
        "NaN",
        "Infinity",
        "",
        "{",
        "\ud800",
    ],
)
def test_what_could_break_a_reader_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of many kinds, with the text of the parser
        parse_json(text)


@pytest.mark.parametrize(
    "value", ["1e999", "1" * 400, "[" * 90 + "]" * 90, "true", '"x"', "null", "[255, 0]", "-1", "2.5"]
)
@pytest.mark.parametrize("place", ['"color": [230', '"version": 7', '"channels": 1', '"decision": "argmax"'])
def test_a_contract_with_any_value_at_any_place_is_read_or_refused(value: str, place: str) -> None:
    text = contract().to_json()
    assert place in text
    bent = text.replace(place, f"{place.rpartition(' ')[0]} {'[' if '[' in place else ''}{value}", 1)
    with contextlib.suppress(ContractError, ModelError):
        Contract.from_json(bent)
