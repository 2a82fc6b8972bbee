from __future__ import annotations

import json
from dataclasses import replace

import pytest
from seg_runtime import ClassInfo, Contract, ContractError, Intensity
from seg_runtime.model.contract import VERSION, Code, OutputInfo, Voxels

TWO = (ClassInfo("ground", (0, 0, 0)), ClassInfo("cell", (255, 0, 0)))
PAPER = Contract((572, 572), (388, 388), 3, Intensity("scale"), TWO)


def test_margin_and_step_of_the_paper() -> None:
    assert PAPER.margin == (92, 92)
    assert PAPER.step == (384, 384)


def test_json_brings_everything_back() -> None:
    rich = replace(
        PAPER, intensity=Intensity("standardize", (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)), geometry="fit", task="multilabel",
        activation="sigmoid", decision="threshold", threshold=0.25, provenance={"a": [1, "ü"]}, parity={"e": 1e-6},
    )  # fmt: skip
    assert Contract.from_json(rich.to_json()) == rich


def changed(**values: object) -> str:
    return json.dumps({**json.loads(PAPER.to_json()), **values})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        (changed(version=VERSION + 1), "upgrade"),
        (changed(version=0), "version 0"),
        (changed(version="1"), "version '1'"),
        (changed(surprise=1), "surprise"),
        (changed(channels=None), "no integers"),
        (changed(intensity=None), "cannot be read"),
        (changed(intensity={"method": "scale", "gamma": 2}), "cannot be read"),
        (changed(classes=[{"name": "a"}, {"name": "b"}]), "cannot be read"),
        (changed(classes=[{"name": "a", "color": [1, 2]}] * 2), "cannot be read"),
        (changed(input_shape=572), "cannot be read"),
    ],
)
def test_a_contract_that_cannot_be_followed_is_refused_by_name(text: str, word: str) -> None:
    with pytest.raises(ContractError, match=word):
        Contract.from_json(text)


def test_a_missing_field_is_named() -> None:
    raw = json.loads(PAPER.to_json())
    del raw["geometry"]
    with pytest.raises(ContractError, match="geometry"):
        Contract.from_json(json.dumps(raw))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"geometry": "spiral"}, "spiral"),
        ({"intensity": Intensity("loud")}, "loud"),
        ({"task": "guess"}, "guess"),
        ({"activation": "sigmoid"}, "sigmoid"),
        ({"channels": 0}, "0 channels"),
        ({"classes": TWO[:1]}, "1 classes"),
        ({"classes": TWO * 129}, "258 classes"),
        ({"classes": (TWO[0], ClassInfo("hot", (256, 0, 0)))}, "colour"),
        ({"output_shape": (388,)}, "rank"),
        ({"output_shape": (388, 0)}, "output shape"),
        ({"output_shape": (387, 387)}, "margin"),
        ({"output_shape": (600, 600)}, "margin"),
        ({"stride": 0}, "stride"),
        ({"stride": 16.5}, "no integers"),
        ({"channels": True}, "no integers"),
        ({"intensity": Intensity("window", level=float("nan"), width=1.0)}, "infinite"),
        ({"pixels": "odd"}, "odd"),
        ({"input_shape": (188, 188), "output_shape": (4, 4)}, "at least 16"),
        ({"intensity": Intensity("standardize", (0.5,), (0.5,))}, "3 of each"),
        ({"intensity": Intensity("standardize", (0, 0, 0), (1, 0, 1))}, "positive"),
        ({"intensity": Intensity("window", width=0)}, "width"),
        ({"intensity": Intensity("zscore")}, "floor"),
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(change: dict[str, object], word: str) -> None:
    with pytest.raises(ContractError, match=word):
        replace(PAPER, **change)  # type: ignore[arg-type]


def test_a_contract_of_version_1_is_read_as_a_window_without_codes() -> None:
    old = json.loads(PAPER.to_json())
    for key in ("form", "host_dtype", "precision", "batch"):
        del old[key]
    old["version"] = 1
    old["classes"] = [{"name": c["name"], "color": c["color"]} for c in old["classes"]]
    assert Contract.from_json(json.dumps(old)) == PAPER


@pytest.mark.parametrize("version", [1, 2])
def test_contracts_from_before_precisions_are_fp32(version: int) -> None:
    old = json.loads(PAPER.to_json())
    for key in ("form", "host_dtype", "precision", "batch") if version == 1 else ("precision", "batch"):
        del old[key]
    assert Contract.from_json(json.dumps({**old, "version": version})) == PAPER
    assert PAPER.precision == "fp32"
    if version == 2:
        del old["form"]
        with pytest.raises(ContractError, match="form"):
            Contract.from_json(json.dumps({**old, "version": version}))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_contracts_from_before_batches_take_one_window_a_call(version: int) -> None:
    old = json.loads(PAPER.to_json())
    later = {1: ("form", "host_dtype", "precision", "batch"), 2: ("precision", "batch"), 3: ("batch",)}
    for key in later[version]:
        del old[key]
    came = Contract.from_json(json.dumps({**old, "version": version}))
    assert (came, came.batch, came.version) == (PAPER, 1, VERSION)
    with pytest.raises(ContractError, match=rf"version {VERSION + 1}; wanted 1 to {VERSION}: upgrade seg-edge"):
        Contract.from_json(json.dumps({**old, "version": VERSION + 1}))


def test_voxels() -> None:
    solid = replace(PAPER, input_shape=(20, 20, 20), output_shape=(4, 4, 4), stride=2)
    there = replace(solid, voxels=Voxels(1.5, ("occupied", "carbon", "oxygen")))
    assert Contract.from_json(there.to_json()) == there
    old = json.loads(solid.to_json())
    del old["voxels"]
    assert Contract.from_json(json.dumps({**old, "version": 4})) == solid
    for wrong, word in (
        (Voxels(0, ("a", "b", "c")), "voxels of 0 Å"), (Voxels(float("nan"), ("a", "b", "c")), "voxels of nan Å"),
        (Voxels(2, ("a", "b")), "3 names"), (Voxels(2, ("a", "b", "")), "3 names"),
    ):  # fmt: skip
        with pytest.raises(ContractError, match=word):
            replace(solid, voxels=wrong)
    with pytest.raises(ContractError, match="windows of 2 axes; wanted three"):
        replace(PAPER, voxels=Voxels(2, ("a", "b", "c")))
    with pytest.raises(ContractError, match="cannot be read"):
        Contract.from_json(changed(voxels={"side_angstrom": 2, "colour": []}))


def test_batches() -> None:
    assert Contract.from_json(replace(PAPER, batch=4).to_json()).batch == 4
    for wrong, word in ((0, "a batch of 0"), (1.5, "no integers"), (True, "no integers")):
        with pytest.raises(ContractError, match=word):
            replace(PAPER, batch=wrong)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="geometry 'fit'"):
        replace(PAPER, batch=2, geometry="fit")
    with pytest.raises(ContractError, match="form 'host-ready'"):
        replace(PAPER, batch=2, form="host-ready", host_dtype="uint8")


REGRESSION = replace(
    PAPER, classes=(), task="regression", activation="none", decision="none",
    outputs=(OutputInfo("nuclei", 10.0, 2.0, 0.0, 65535.0, "counts"), OutputInfo("height", high=0.5)),
)  # fmt: skip


def test_a_regression_comes_back_with_its_units() -> None:
    again = Contract.from_json(REGRESSION.to_json())
    assert again == REGRESSION
    assert (again.maps, again.outputs[0].unit, PAPER.maps) == (2, "counts", 2)


def test_contracts_from_before_regressions_have_no_outputs() -> None:
    old = json.loads(PAPER.to_json())
    for key in ("outputs", "channel_factors"):
        del old[key]
    assert Contract.from_json(json.dumps({**old, "version": 4})) == PAPER


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"outputs": ()}, "0 outputs"),
        ({"outputs": REGRESSION.outputs[:1] * 2}, "names of their own"),
        ({"outputs": (OutputInfo(""),)}, "without a name"),
        ({"outputs": (OutputInfo("a", scale=0.0),)}, "positive"),
        ({"outputs": (OutputInfo("a", offset=float("nan")),)}, "infinite"),
        ({"outputs": (OutputInfo("a", low=2.0, high=2.0),)}, "a range"),
        ({"classes": TWO}, "classes for a regression"),
        ({"geometry": "fit"}, "tile"),
        ({"form": "host-ready", "host_dtype": "uint8"}, "window, fp32"),
        ({"precision": "int8"}, "window, fp32"),
        ({"activation": "softmax"}, "regression with"),
    ],
)
def test_a_regression_that_contradicts_itself_is_refused(change: dict[str, object], word: str) -> None:
    with pytest.raises(ContractError, match=word):
        replace(REGRESSION, **change)  # type: ignore[arg-type]


def test_only_a_regression_has_outputs() -> None:
    with pytest.raises(ContractError, match="outputs for the task multiclass"):
        replace(PAPER, outputs=REGRESSION.outputs)


@pytest.mark.parametrize("factors", [(4, 4, 2), (1, 1), (0, 1, 1), (1, 2, -2)])
def test_odd_factors_of_channels_are_refused(factors: tuple[int, ...]) -> None:
    three = replace(PAPER, channel_files=("_a", "_b", "_c"))
    assert replace(three, channel_factors=(4, 4, 1)).channel_factors == (4, 4, 1)
    with pytest.raises(ContractError, match="factors"):
        replace(three, channel_factors=factors)


def test_precisions() -> None:
    for name in ("int8", "fp16"):
        assert Contract.from_json(replace(PAPER, precision=name).to_json()).precision == name
    with pytest.raises(ContractError, match=r"precision 'int4'; wanted fp32 or int8 or fp16"):
        replace(PAPER, precision="int4")


def test_codes_of_a_class_come_back() -> None:
    liver = ClassInfo(
        "liver", (1, 2, 3), Code("123037004", "SCT", "Anatomical Structure"), Code("10200004", "SCT", "Liver")
    )
    coded = replace(PAPER, classes=(TWO[0], liver), form="host-ready", host_dtype="uint8")
    assert Contract.from_json(coded.to_json()) == coded
    with pytest.raises(ContractError, match="empty code"):
        replace(coded, classes=(TWO[0], replace(liver, category=Code("", "SCT", "x"))))


@pytest.mark.parametrize(
    ("form", "dtype"), [("window", "uint8"), ("host-ready", ""), ("host-ready", "int8"), ("x", "")]
)
def test_a_form_and_a_dtype_that_do_not_go_together_are_refused(form: str, dtype: str) -> None:
    with pytest.raises(ContractError, match="form"):
        replace(PAPER, form=form, host_dtype=dtype)
