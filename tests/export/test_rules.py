"""Which options of seg-export fit together and which models: errors for contradictions, notes for what does nothing."""

from pathlib import Path

import pytest
from seg_export.options import ExportOptions
from seg_export.rules import MODEL_RULES, RULES, check_model, check_options
from seg_runtime.model import Contract, OutputInfo
from seg_runtime.support import ModelError, OptionsError
from seg_runtime.support.capabilities import described

from tests.support.commands import seg_export
from tests.support.contracts import contract
from tests.support.touching import of_objects

DATA = Path("images")
LABELS = contract()
OBJECTS = of_objects()
VALUES = contract(outputs=(OutputInfo("height"),))
VOLUME = contract((116, 132, 132), (28, 44, 44))
FIT = contract(method="fit")
FLOATS = contract(pixels="float")
FLOATS_FIT = contract(pixels="float", method="fit")


def test_defaults_fit_every_model():
    assert check_options(ExportOptions()) == []
    for model in (LABELS, VALUES, VOLUME, FIT, FLOATS):
        check_model(ExportOptions(), model)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "int8", "calibration": DATA, "reduce_range": True, "batch": 4},
        {"precision": "int8", "calibration": DATA, "host_ready": True},
        {"precision": "fp16", "calibration": DATA},
        {"optimize": True, "host_ready": True, "host_dtype": "uint16", "host_probabilities": True},
        {"tune": True},
        {"batch": 2, "images": DATA, "golden": DATA, "input_size": "300"},
    ],
)
def test_what_fits_gets_no_note(options: dict[str, object]):
    assert check_options(ExportOptions(**options)) == []
    check_model(ExportOptions(**options), LABELS)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"precision": "fp8", "calibration": DATA}, "--precision needs fp32 or int8 or fp16"),
        ({"precision": "int8"}, "--precision needs real images. Add --calibration DIR"),
        ({"precision": "fp16", "calibration": DATA, "optimize": True}, "--optimize needs fp32"),
        ({"precision": "fp16", "calibration": DATA, "tune": True}, "--tune needs fp32"),
        ({"batch": 0}, "--batch needs a number from 1"),
        ({"batch": 2, "host_ready": True}, "--batch needs a file of windows"),
        ({"batch": 2, "optimize": True}, "--batch needs the graph that PyTorch exports"),
        ({"batch": 2, "tune": True}, "--batch needs the graph that PyTorch exports"),
        ({"name": ""}, "--name needs 1 to 64 printable characters"),
        ({"name": "a\nb"}, "--name needs 1 to 64 printable characters"),
        ({"name": "a" * 65}, "--name needs 1 to 64 printable characters"),
        ({"name": "a", "model_version": ""}, "--model-version needs numbers with dots. Choose one such as 1.2.0"),
        ({"name": "a", "model_version": "1.x"}, "--model-version needs numbers with dots"),
        ({"host_ready": True, "host_dtype": "uint32"}, "--host-ready needs images of uint8 or uint16 or float32"),
    ],
)
def test_contradictions_are_refused_before_any_model_is_read(options: dict[str, object], says: str):
    with pytest.raises(OptionsError, match=says):
        check_options(ExportOptions(**options))


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        (VALUES, {"precision": "int8", "calibration": DATA}, "--precision needs a model with classes"),
        (VALUES, {"host_ready": True}, "--host-ready needs a model with classes"),
        (
            OBJECTS,
            {"host_ready": True, "host_probabilities": True},
            "--host-probabilities needs a model with one class per",
        ),
        (VALUES, {"codes": DATA}, "--codes needs a model with classes"),
        (VOLUME, {"precision": "int8", "calibration": DATA}, "--precision needs a model of images"),
        (VOLUME, {"host_ready": True}, "--host-ready needs a model of images"),
        (VOLUME, {"optimize": True}, "--optimize needs a model of images"),
        (VOLUME, {"tune": True}, "--tune needs a model of images"),
        (LABELS, {"model_version": "1.2"}, "--model-version needs a name of the model. Add --name"),
        (FIT, {"batch": 2}, "--batch needs the geometry tile"),
        (LABELS, {"host_ready": True, "host_dtype": "float32"}, "images of the kind that the model was trained on"),
        (FLOATS, {"host_ready": True}, "images of the kind that the model was trained on"),
        (FLOATS_FIT, {"host_ready": True, "host_dtype": "float32"}, "exact in every program"),
    ],
)
def test_what_a_model_cannot_be_is_refused(model: Contract, options: dict[str, object], says: str):
    assert check_options(ExportOptions(**options)) == []  # the options fit together
    with pytest.raises(ModelError, match=says):
        check_model(ExportOptions(**options), model)


@pytest.mark.parametrize(
    ("options", "ignored"),
    [
        ({"calibration": DATA}, ["--calibration"]),
        ({"reduce_range": False}, ["--reduce-range"]),
        ({"precision": "fp16", "calibration": DATA, "reduce_range": True}, ["--reduce-range"]),
        ({"precision": "int8", "calibration": DATA, "optimize": True}, ["--optimize"]),
        ({"precision": "int8", "calibration": DATA, "tune": True, "batch": 2}, ["--tune"]),
        ({"optimize": True, "tune": True}, ["--optimize"]),
        ({"host_dtype": "uint16", "host_probabilities": True}, ["--host-dtype", "--host-probabilities"]),
    ],
)
def test_what_does_nothing_gets_a_note(options: dict[str, object], ignored: list[str]):
    notes = check_options(ExportOptions(**options))
    assert [note.rpartition(", so ")[2] for note in notes] == [f"{option} is ignored" for option in ignored]


def test_every_rule_is_about_an_option_of_the_command():
    options = seg_export("--help").output
    assert {rule.option for rule in (*RULES, *MODEL_RULES) if rule.option not in options} == set()
    assert all(f"`{rule.option}`" in described(RULES) for rule in RULES)
