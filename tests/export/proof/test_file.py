"""A file as a device opens it: what it answers, and whether these are the bits that were compared."""

import numpy as np
import pytest
from seg_export.options import ExportOptions
from seg_export.pipeline import export
from seg_export.proof import answers_of, generated_windows, logits_of, prove_file
from seg_runtime import ParityError, SelfTestError, Session
from seg_toolkit.checkpoints import load

from tests.support.damage import resealed, spoil_one_weight
from tests.support.images import noise_image
from tests.support.models import CPU, HOST_READY, Made, MakeModel


def test_windows_go_in_in_groups(model: Made) -> None:
    windows = list(generated_windows(model.contract, 3))
    several = Session(export(load(model.checkpoint), ExportOptions(batch=2)).content, CPU)
    came = list(logits_of(several, windows))
    assert [answer.shape for answer in came] == [(2, 68, 68)] * 3
    for answer, window in zip(came, windows, strict=True):
        np.testing.assert_allclose(answer, model.torch_run(window)[0], atol=1e-4)


def test_a_host_ready_file_is_asked_by_images(make_model: MakeModel) -> None:
    session = Session(make_model(options=HOST_READY).path, CPU)
    [answer] = logits_of(session, [noise_image(68, 68)])
    assert answer.shape == (2, 5, 5)  # every 16th of 68


def test_other_bits_than_the_compared_ones_are_refused(model: Made) -> None:
    content, [window] = model.path.read_bytes(), generated_windows(model.contract, 1)
    [logits], report = answers_of(content, [window], self_test=True)
    assert report is not None
    assert report["self_test"]["passed"]
    assert prove_file(content, window, logits) is not None
    assert prove_file(content, window, logits, self_test=False) is None
    with pytest.raises(ParityError, match="the file to be written gives other logits than the graph that was compared"):
        prove_file(content, window, np.nextafter(logits, 9, dtype=np.float32))


def test_the_golden_samples_are_answered_first(model: Made) -> None:
    spoiled, [window] = resealed(model.path, spoil_one_weight), generated_windows(model.contract, 1)
    with pytest.raises(SelfTestError):
        answers_of(spoiled, [window], self_test=True)
    assert answers_of(spoiled, [window], self_test=False)[1] is None
