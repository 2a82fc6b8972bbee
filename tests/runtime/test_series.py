"""DICOM series segmented in a program, from files and from memory."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seg_runtime import CancelledError, ImageError, Intensity, SegError, Segmenter, segment_series
from seg_runtime.formats import SourceOptions

from tests.support.commands import ok, seg_run_on_cpu
from tests.support.dicom import SC, dataset, field, save, write_series
from tests.support.models import Made, MakeModel

SPAN = [(0, 0, z) for z in (5, 0, 10)]


@pytest.fixture(scope="module")
def ct_model(make_model: MakeModel) -> Made:
    return make_model(channels=1, classes=4, intensity=Intensity("window", level=0, width=2000))


@pytest.fixture
def segmenter(ct_model: Made) -> Any:
    with Segmenter(ct_model.path, provider="cpu") as segmenter:
        yield segmenter


def read(paths: list[Path]) -> list[Any]:
    import pydicom

    return [pydicom.dcmread(path) for path in paths]


@pytest.mark.parametrize("form", ["binary", "labelmap"])
def test_it_returns_what_seg_run_writes(
    tmp_path: Path, segmenter: Segmenter, ct_model: Made, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    paths = write_series(tmp_path / "study", SPAN)
    words = ("--model", ct_model.path, "--out", tmp_path / "out", "--dicom-seg", form)
    ok(seg_run_on_cpu(*words, tmp_path / "study"))
    written = (tmp_path / "out" / "study_seg.dcm").read_bytes()
    for given in (tmp_path / "study", str(tmp_path / "study"), paths, read(paths), read(paths[::-1])):
        (seg,) = segment_series(given, segmenter, form=form)
        file = io.BytesIO()
        seg.save_as(file)
        assert file.getvalue() == written


def test_datasets_need_no_file_and_stay_as_they_are(segmenter: Segmenter) -> None:
    from tests.support.dicom import placed

    images = [placed(field(40, 56, k), place, number=k + 1) for k, place in enumerate(SPAN)]
    for image in images:
        del image.file_meta
    (seg,) = segment_series(images, segmenter)
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 3
    assert not any(hasattr(image, "file_meta") for image in images)


def test_several_series_and_objects_that_are_no_images(tmp_path: Path, segmenter: Segmenter) -> None:
    write_series(tmp_path / "a", SPAN)
    write_series(tmp_path / "b", SPAN, series=2)
    save(
        dataset(field(4, 4), "1.2.840.10008.5.1.4.1.1.88.11", 9, 3, Rows=None, PixelData=None), tmp_path / "report.dcm"
    )
    (tmp_path / "notes.txt").write_text("no image")
    first, second = segment_series(tmp_path, segmenter)
    assert first.SeriesInstanceUID != second.SeriesInstanceUID


def test_what_seg_run_refuses_is_refused(tmp_path: Path, segmenter: Segmenter) -> None:
    paths = write_series(tmp_path, [(0, 0, 5 * k) for k in range(5)])
    with pytest.raises(ImageError, match=r"1 slice is missing between im01\.dcm and im03\.dcm"):
        segment_series([*paths[:2], *paths[3:]], segmenter)
    (seg,) = segment_series([*paths[:2], *paths[3:]], segmenter, options=SourceOptions(allow_missing=True))
    assert "1 slice is missing" in seg.SegmentSequence[0].SegmentDescription
    with pytest.raises(ImageError, match="dataset 2 is truncated or damaged"):
        segment_series([*read(paths[:1]), *read_without_rows(paths[1])], segmenter)
    with pytest.raises(ImageError, match="there are no DICOM images"):
        segment_series([], segmenter)
    with pytest.raises(SegError, match="binary or labelmap"):
        segment_series(paths, segmenter, form="surface")
    loop = dataset(field(20, 30), SC, NumberOfFrames=3, PixelData=field(60, 30).tobytes())
    with pytest.raises(ImageError, match="its frames have no position in the patient"):
        segment_series([loop], segmenter)


def read_without_rows(path: Path) -> list[Any]:
    (image,) = read([path])
    del image.Rows
    return [image]


def test_progress_covers_all_frames_and_a_call_can_be_cancelled(tmp_path: Path, segmenter: Segmenter) -> None:
    write_series(tmp_path, SPAN, (100, 120))
    seen: list[tuple[int, int]] = []
    segment_series(tmp_path, segmenter, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert {total for _, total in seen} == {len(seen)}
    cancel, seen = threading.Event(), []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 5:
            cancel.set()

    with pytest.raises(CancelledError):
        segment_series(tmp_path, segmenter, progress=stop, cancel=cancel)
    assert len(seen) == 5


def test_labels_are_those_of_the_segmenter(tmp_path: Path, segmenter: Segmenter) -> None:
    from tests.support.dicom_readers import by_highdicom

    paths = write_series(tmp_path / "study", SPAN)
    (seg,) = segment_series(paths, segmenter)
    seg.save_as(tmp_path / "seg.dcm")
    for path, plane in zip(paths, by_highdicom(tmp_path / "seg.dcm", paths), strict=True):
        np.testing.assert_array_equal(segmenter(path).labels, plane)
