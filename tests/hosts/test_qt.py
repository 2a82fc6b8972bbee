from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.hosts.conftest import Case, differing
from tests.support.images import noise_image
from tests.support.places import SAMPLES
from tests.support.tools import missing

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
try:
    from PySide6.QtCore import QEventLoop, QTimer
    from PySide6.QtGui import QImage, QPainter
    from PySide6.QtWidgets import QApplication
except ImportError as error:  # the package, or a library of the system that it needs
    missing_qt = f"PySide6 cannot be imported ({error}): pip install 'seg-edge[qt]'"
else:
    missing_qt = ""


@pytest.fixture(scope="module")
def modules() -> Iterator[Any]:
    """The sample's modules, found as they are when it is started from the command line."""
    if missing_qt:
        missing(missing_qt)
    sys.path.insert(0, str(SAMPLES / "qt"))
    try:
        import window
        import worker

        yield type("Modules", (), {"window": window, "worker": worker})
    finally:
        sys.path.remove(str(SAMPLES / "qt"))


@pytest.fixture
def window(modules: Any) -> Iterator[Any]:
    application = QApplication.instance() or QApplication([])
    made = modules.window.Window(provider="cpu")
    made.show()
    application.processEvents()
    yield made
    made.close()


def until(condition: Callable[[], object], timeout_s: float = 60) -> None:
    """Let the window live until something is so."""
    loop, ticks = QEventLoop(), QTimer()
    ticks.timeout.connect(lambda: loop.quit() if condition() else None)
    ticks.start(5)
    QTimer.singleShot(int(timeout_s * 1000), loop.quit)
    loop.exec()
    assert condition()


def open_model(window: Any, path: Path) -> None:
    window.open_model(path)
    assert window.bar.isVisible()  # it came back at once: the work goes on beside
    until(window.model_button.isEnabled)


def shown(widget: Any) -> np.ndarray:
    image = widget.grab().toImage()
    image = image.convertToFormat(image.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].copy()


@pytest.mark.parametrize("form", ["window_model", "model"])
def test_its_mask_is_pythons(window: Any, case: Case, form: str, tmp_path: Path) -> None:
    open_model(window, getattr(case, form))
    for picture in case.pictures:
        floats = picture.path.suffix == ".pfm"
        window.open_image(picture.path.with_suffix(".tif") if floats else picture.path)
        until(lambda: window.segmentation is not None)
        assert window.save_button.isEnabled()
        window.save_mask(tmp_path / "mask.png")
        assert differing(tmp_path / "mask.png", picture) == 0, picture.path
    assert window.legend.count() == len(window.segmenter.contract.classes)
    assert "class 1" in window.legend.item(1).text()
    assert "CPU" in window.provider_line.text()
    assert getattr(case, form).name in window.model_line.text()


def test_the_slider_fades_the_overlay(window: Any, make_case: Callable[[str], Case], tmp_path: Path) -> None:
    case = make_case("rgb")
    window.open_image(case.pictures[-1].path)  # before there is a model: it waits for one
    open_model(window, case.model)
    until(lambda: window.segmentation is not None)
    looks = []
    for percent in (0, 50, 100):
        window.slider.setValue(percent)
        looks.append(shown(window.view))
    assert (looks[0] != looks[1]).any()
    assert (looks[1] != looks[2]).any()
    assert window.grab().save(str(tmp_path / "window.png"))
    assert len(np.unique(np.asarray(Image.open(tmp_path / "window.png")).reshape(-1, 3), axis=0)) > 1000


def test_what_is_shown_are_image_and_labels(window: Any, make_case: Callable[[str], Case]) -> None:
    case = make_case("rgb")
    open_model(window, case.model)
    colors = np.array([c.color for c in window.segmenter.contract.classes])
    for picture, labels, _ in case.pictures[:3]:
        window.open_image(picture)
        until(lambda: window.segmentation is not None)
        window.slider.setValue(100)
        scene = QImage(labels.shape[1], labels.shape[0], QImage.Format.Format_RGB888)
        with QPainter(scene) as painter:
            window.view.scene().render(painter)
        seen = np.frombuffer(scene.constBits(), np.uint8).reshape(len(labels), -1)[:, : 3 * labels.shape[1]]
        wanted = np.where(labels[..., None] > 0, colors[labels], np.asarray(Image.open(picture)))
        assert (seen.reshape(wanted.shape) == wanted).all()


@pytest.mark.parametrize("form", ["window_model", "model"])
def test_cancel_ends_the_work_and_the_window_lives_on(
    window: Any, make_case: Callable[[str], Case], form: str, tmp_path: Path
) -> None:
    case = make_case("grey")
    large = tmp_path / "large.png"
    Image.fromarray(noise_image(2000, 2000, 1)[..., 0]).save(large)  # a thousand windows
    open_model(window, getattr(case, form))
    window.open_image(large)
    until(lambda: window.bar.value() >= 2)
    assert window.bar.maximum() > 900
    assert window.view.sceneRect().width() == 2000  # the image is there before its labels
    window.cancel_button.click()
    until(window.image_button.isEnabled, timeout_s=5)
    assert window.bar.value() < window.bar.maximum()
    until(lambda: window.message.text() == "Cancelled.")
    assert window.segmentation is None
    picture, labels, _ = case.pictures[1]
    window.open_image(picture)
    until(lambda: window.segmentation is not None)
    assert (window.segmentation.labels == labels).all()


def test_a_window_may_be_closed_at_work(window: Any, make_case: Callable[[str], Case], tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.fromarray(noise_image(2000, 2000, 1)[..., 0]).save(large)
    open_model(window, make_case("grey").window_model)
    window.open_image(large)
    until(lambda: window.bar.value() >= 2)
    window.close()
    assert window.worker._pool.activeThreadCount() == 0


def test_errors_are_a_line_in_the_window(
    window: Any, make_case: Callable[[str], Case], bad_pictures: dict[str, Path], tmp_path: Path
) -> None:
    for path, words in ((tmp_path / "none.onnx", "does not exist"), (bad_pictures["read"], "ONNX")):
        open_model(window, path)
        until(lambda words=words: words in window.message.text())
        assert window.segmenter is None
    open_model(window, make_case("grey").model)
    for word in ("transparent", "colour", "read"):
        window.open_image(bad_pictures[word])
        until(lambda word=word: word in window.message.text() and not window.message.text().startswith("Segmenting"))
        assert "\n" not in window.message.text()
        assert window.segmentation is None


def test_a_bug_is_a_line_too(modules: Any) -> None:
    worker, told = modules.worker.Worker(), []
    worker.failed.connect(told.append)
    worker._start(lambda: 1 // 0, worker.loaded)
    worker.wait()
    until(lambda: told == ["ZeroDivisionError: integer division or modulo by zero"])
