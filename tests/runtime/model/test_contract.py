from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from seg_runtime import ClassInfo, Contract, ContractError, Intensity
from seg_runtime.model import (
    ChannelFile,
    Code,
    Geometry,
    GreyRange,
    HostReadyFile,
    Identity,
    Input,
    LabelSpec,
    OutputInfo,
    Policy,
    ValueSpec,
    Voxels,
)
from seg_runtime.model.contract import VERSION
from seg_runtime.model.nested import to_json_value

from tests.support.contracts import changed, channel_files, contract

TWO = (ClassInfo("ground", (0, 0, 0)), ClassInfo("cell", (255, 0, 0)))
POLICY = to_json_value(Policy())
PAPER = Contract(Input(3, Intensity("scale")), Geometry((572, 572), (388, 388)), LabelSpec(TWO))


def test_margin_and_step_of_the_paper() -> None:
    assert PAPER.geometry.margin == (92, 92)
    assert PAPER.geometry.step == (384, 384)


def test_an_image_that_is_one_window_has_no_step_inside_it() -> None:
    assert changed(PAPER, method="fit").geometry.step == (388, 388)
    assert changed(PAPER, method="fit").geometry.margin == (92, 92)
    assert changed(PAPER, method="stretch").geometry.margin == (0, 0)


def test_json_brings_everything_back() -> None:
    rich = changed(
        PAPER, intensity=Intensity("standardize", (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)), method="fit", decision="threshold",
        threshold=0.25, provenance={"a": [1, "ü"]}, parity={"e": 1e-6}, channel_files=channel_files("_a", "_b*2", "_c*4"),
    )  # fmt: skip
    assert Contract.from_json(rich.to_json()) == rich
    assert rich.answer.activation == "sigmoid"


def with_json(**values: object) -> str:
    """The paper's contract with other values at `part__field`."""
    raw = json.loads(PAPER.to_json())
    for name, value in values.items():
        *parts, field = name.split("__")
        place = raw
        for part in parts:
            place = place[part]
        place[field] = value
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        (with_json(version=VERSION + 1), "Upgrade"),
        (with_json(version=0), "version 0"),
        (with_json(version="1"), "version '1'"),
        (with_json(surprise=1), "surprise"),
        (with_json(input__surprise=1), r"fields \['surprise'\] of contract.input"),
        (with_json(input=None), "contract.input is not a JSON object"),
        (with_json(input__channels=None), "contract.input.channels is None; expected a value of type int"),
        (with_json(input__channels=1.0), "contract.input.channels is 1.0; expected a value of type int"),
        (with_json(input__channels=True), "contract.input.channels is True; expected a value of type int"),
        (with_json(input__intensity=None), "contract.input.intensity is not a JSON object"),
        (with_json(input__intensity={"method": "scale", "gamma": 2}), "gamma"),
        (with_json(answer__classes=[{"name": "a"}, {"name": "b"}]), "color"),
        (
            with_json(answer__classes=[{"name": "a", "color": [1, 2], "category": None, "property_type": None}] * 2),
            "color",
        ),
        (with_json(answer__classes={"a": 1, "b": 2}), "contract.answer.classes is {'a': 1"),
        (with_json(input__channel_files={"a": 1}), "contract.input.channel_files is {'a': 1}"),
        (with_json(provenance=[1]), r"contract.provenance is \[1\]"),
        (with_json(answer__threshold="0.5"), "threshold is '0.5'; expected a value of type float"),
        (with_json(answer__kind="riddles"), "kind of answer 'riddles'.*; expected labels, values"),
        (with_json(file__kind="riddle"), "FileForm 'riddle' .*; expected window, host-ready"),
        (with_json(geometry__input_shape=572), "contract.geometry.input_shape is 572"),
        (with_json(geometry__stride=16.5), "contract.geometry.stride is 16.5; expected a value of type int"),
    ],
)
def test_a_contract_that_cannot_be_followed_is_refused_by_name(text: str, word: str) -> None:
    with pytest.raises(ContractError, match=word):
        Contract.from_json(text)


def test_a_missing_field_is_named() -> None:
    for part, field in ((None, "geometry"), ("geometry", "stride")):
        raw = json.loads(PAPER.to_json())
        del (raw[part] if part else raw)[field]
        with pytest.raises(ContractError, match=field):
            Contract.from_json(json.dumps(raw))


def test_version_6_is_upgraded() -> None:
    grey = {"high": [0.5, 1.0], "middle": [0.25, 0.75]}
    old = json.loads(contract().to_json())
    del old["policy"], old["identity"]
    old |= {"version": 6, "provenance": {"recipe": "cells", "grey_values": grey}}
    new = Contract.from_json(json.dumps(old))
    known = GreyRange(high=(0.5, 1.0), middle=(0.25, 0.75))
    assert new == changed(contract(), provenance={"recipe": "cells"}, policy=Policy(grey_values=known))
    assert Contract.from_json(json.dumps({**old, "provenance": {}})) == contract()


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ({"identity": {"name": "a", "version": "1.x"}}, "model version '1.x'"),
        ({"identity": {"name": "a", "version": "1" * 5000}}, "model version '1111"),  # Python reads no such number
        ({"identity": {"name": "a", "version": "\u0661.2"}}, "numbers with dots"),  # a digit of another script
        ({"identity": {"name": "a\nb", "version": ""}}, "printable"),
        ({"policy": {**POLICY, "orientations": ["across"]}}, "axial or coronal"),
        ({"policy": {**POLICY, "spacing_mm": [[2, 1]]}}, r"spacing_mm in the policy \(2, 1\)"),
        ({"policy": {**POLICY, "spacing_mm": [[0, 1]]}}, "positive numbers of mm"),
        ({"policy": {**POLICY, "modalities": "CT"}}, "modalities is 'CT'"),
    ],
)
def test_a_wrong_policy_or_identity_is_refused(part: dict[str, Any], found: str) -> None:
    with pytest.raises(ContractError, match=found):
        Contract.from_json(json.dumps({**json.loads(contract().to_json()), **part}))


def test_versions_of_models_are_compared_as_numbers() -> None:
    assert Identity("a", "1.10").release > Identity("a", "1.9").release > Identity("a").release
    assert Identity("a", "1.2").release == Identity("a", "1.2.0").release == Identity("a", "01.2").release


@pytest.mark.parametrize("version", range(1, 6))
def test_an_older_version_is_refused_with_what_to_do(version: int) -> None:
    with pytest.raises(
        ContractError, match=rf"version {version}; expected version {VERSION}. Train and export the model again"
    ):
        Contract.from_json(json.dumps({"version": version, "input_shape": [572, 572]}))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"method": "spiral"}, "spiral"),
        ({"decision": "guess"}, "guess"),
        ({"channels": 0}, "0 channels"),
        ({"channels": True}, "True channels"),
        ({"classes": TWO[:1]}, "1 classes"),
        ({"classes": TWO * 129}, "258 classes"),
        ({"output_shape": (388,)}, "the same number of axes"),
        ({"output_shape": (388, 0)}, "output shape"),
        ({"output_shape": (387, 387)}, "an even difference"),
        ({"output_shape": (600, 600)}, "an even difference"),
        ({"stride": 0}, "stride"),
        ({"stride": 16.5}, "sizes are not integers"),
        ({"pixels": "odd"}, "odd"),
        ({"input_shape": (188, 188), "output_shape": (4, 4)}, "at least 16"),
        ({"input_shape": (572,) * 3, "output_shape": (388,) * 3, "method": "fit"}, "volumes"),
        ({"intensity": Intensity("standardize", (0.5,), (0.5,))}, "3 values each"),
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"precision": "int4"}, r"precision 'int4'; expected fp32 or int8 or fp16"),
        ({"batch": 0}, "batch 0"),
        ({"batch": 1.5}, "batch 1.5"),
        ({"batch": True}, "batch True"),
        ({"batch": 2, "method": "fit"}, "geometry 'fit'"),
        ({"dtype": "int8"}, "host-ready file with dtype 'int8'"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(ContractError, match=word):
        changed(PAPER, **change)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Intensity("loud"), "loud"),
        (lambda: Intensity("window", level=float("nan"), width=1.0), "not finite"),
        (lambda: Intensity("standardize", (0, 0, 0), (1, 0, 1)), "positive"),
        (lambda: Intensity("window", width=0), "width"),
        (lambda: Intensity("zscore"), "floor"),
        (lambda: ClassInfo("hot", (256, 0, 0)), "colour"),
        (lambda: Code("", "SCT", "x"), "empty part"),
        (lambda: OutputInfo(""), "has no name"),
        (lambda: OutputInfo("a", scale=0.0), "positive"),
        (lambda: OutputInfo("a", offset=float("nan")), "not finite"),
        (lambda: OutputInfo("a", low=2.0, high=2.0), "low < high"),
        (lambda: ValueSpec(()), "0 outputs"),
        (lambda: ValueSpec((OutputInfo("a"),) * 2), "unique names"),
        (lambda: Voxels(0, ("a",)), "voxel side 0 Å"),
        (lambda: Voxels(float("nan"), ("a",)), "voxel side nan Å"),
        (lambda: Voxels(2, ("a", "")), "expected non-empty names"),
        (lambda: ChannelFile("a/b"), "ending 'a/b'"),
        (lambda: ChannelFile("_a", 0), "factor 0"),
    ],
)
def test_a_part_that_contradicts_itself_is_refused(make: Any, word: str) -> None:
    with pytest.raises(ContractError, match=word):
        make()


def test_voxels() -> None:
    solid = changed(PAPER, input_shape=(20, 20, 20), output_shape=(4, 4, 4), stride=2)
    there = changed(solid, voxels=Voxels(1.5, ("occupied", "carbon", "oxygen")))
    assert Contract.from_json(there.to_json()) == there
    with pytest.raises(ContractError, match="2 voxel channels; expected 3"):
        changed(solid, voxels=Voxels(2, ("a", "b")))
    with pytest.raises(ContractError, match="windows of 2 axes; expected 3 axes"):
        changed(PAPER, voxels=Voxels(2, ("a", "b", "c")))
    with pytest.raises(ContractError, match="colour"):
        Contract.from_json(with_json(input__voxels={"side_angstrom": 2, "colour": []}))


REGRESSION = replace(
    PAPER,
    answer=ValueSpec((OutputInfo("nuclei", 10.0, 2.0, 0.0, 65535.0, "counts"), OutputInfo("height", high=0.5))),
)


def test_a_regression_comes_back_with_its_units() -> None:
    again = Contract.from_json(REGRESSION.to_json())
    assert again == REGRESSION
    assert (again.answer.maps, again.answer.activation, PAPER.answer.maps) == (2, "none", 2)
    assert (again.classes, PAPER.classes) == ((), TWO)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"method": "fit"}, "geometry 'fit' for a model that predicts values; expected tile"),
        ({"dtype": "uint8"}, "form 'host-ready' for a model that predicts values; expected window"),
        ({"precision": "int8"}, "precision 'int8' for a model that predicts values; expected fp32"),
    ],
)
def test_a_regression_takes_only_what_it_can(change: dict[str, Any], word: str) -> None:
    with pytest.raises(ContractError, match=word):
        changed(REGRESSION, **change)


@pytest.mark.parametrize("factors", [(4, 4, 2), (2, 2, 2)])
def test_the_finest_channel_has_the_factor_1(factors: tuple[int, ...]) -> None:
    def files(*factors: int) -> tuple[ChannelFile, ...]:
        return tuple(ChannelFile(ending, factor) for ending, factor in zip(("_a", "_b", "_c"), factors, strict=True))

    assert changed(PAPER, channel_files=files(4, 4, 1)).input.channel_files[0] == ChannelFile("_a", 4)
    with pytest.raises(ContractError, match="channel file factor"):
        changed(PAPER, channel_files=files(*factors))


def test_channel_files_are_as_many_as_channels_each_once() -> None:
    for endings in (("_a", "_b"), ("_a", "_a", "_b")):
        with pytest.raises(ContractError, match="channel files"):
            changed(PAPER, channel_files=channel_files(*endings))


def test_precisions_and_batches_come_back() -> None:
    for name in ("int8", "fp16"):
        assert Contract.from_json(changed(PAPER, precision=name).to_json()).file.precision == name
    assert Contract.from_json(changed(PAPER, batch=4).to_json()).file.batch == 4


def test_codes_of_a_class_come_back() -> None:
    liver = ClassInfo(
        "liver", (1, 2, 3), Code("123037004", "SCT", "Anatomical Structure"), Code("10200004", "SCT", "Liver")
    )
    coded = changed(PAPER, classes=(TWO[0], liver), dtype="uint8")
    assert Contract.from_json(coded.to_json()) == coded
    assert coded.file == HostReadyFile("fp32", "uint8")
