"""A small application window for `Segmenter`.

Models and images are loaded and segmented on another thread (worker.py), so the window stays responsive, shows progress
and can cancel. Errors are shown in the message line.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent, QColor, QIcon, QPixmap
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)
from seg_runtime import SegError, Segmentation, Segmenter
from seg_runtime.formats import FORMATS
from seg_runtime.support import write_atomic
from view import PictureView
from worker import Worker

IMAGES = f"Images ({' '.join(f'*{s}' for format in FORMATS.all() if format.axes == 2 for s in format.suffixes)})"
RED, GREY = "#b3261e", "#5f6b7a"


class Window(QMainWindow):
    """Main window: image on the left, controls and results on the right, a message line below."""

    def __init__(self, provider: str = "auto") -> None:
        super().__init__()
        self.provider = provider
        self.segmenter: Segmenter | None = None
        self.segmentation: Segmentation | None = None
        self._image: Path | None = None  # may be chosen before a model is loaded
        self._model_name = ""
        self._build()
        self.worker = Worker()
        self.worker.decoded.connect(self.view.show_image)
        self.worker.progressed.connect(self._show_progress)
        self.worker.loaded.connect(self._take_model)
        self.worker.segmented.connect(self._take_result)
        self.worker.failed.connect(self._show_failure)
        self._set_busy(False)

    def open_model(self, path: Path) -> None:
        """Load a model, and segment the current image, if any."""
        self._model_name = path.name
        self._set_busy(True, f"Loading {path.name} …")
        self.worker.load(path, self.provider)

    def open_image(self, path: Path) -> None:
        """Segment an image file, or keep it until a model is loaded."""
        self._image = path
        if self.segmenter is None:
            self.say("Open a model to segment the image.")
            return
        self.segmentation = None  # labels of the previous image must not be shown with the new name
        self.view.clear()
        self.legend.clear()
        self._set_busy(True, f"Segmenting {path.name} …")
        self.worker.segment(self.segmenter, path)

    def save_mask(self, path: Path) -> None:
        """Save the mask as seg-run does: pixel values are class indices."""
        if self.segmentation is None:
            return
        mask = Image.fromarray(self.segmentation.labels)
        try:
            write_atomic(path, lambda file: mask.save(file, "PNG"))
            self.say(f"Saved {path.name}")
        except SegError as error:
            self.say(str(error), RED)

    def say(self, text: str, color: str = GREY) -> None:
        """Show a message below the image."""
        self.message.setStyleSheet(f"color: {color}; padding: 6px 12px")
        self.message.setText(text)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        """Stop the running job before the window closes."""
        self.worker.cancel()
        self.worker.wait()
        super().closeEvent(event)

    def _take_model(self, segmenter: Segmenter) -> None:
        self._set_busy(False)
        if self.segmenter is not None:
            self.segmenter.close()
        self.segmenter = segmenter
        classes = len(segmenter.contract.classes)
        self.model_line.setText(f"{self._model_name}\n{segmenter.contract.file.kind}, {classes} classes")
        self.provider_line.setText(f"on {segmenter.provider.upper()}")
        self.provider_line.setToolTip(segmenter.session.provider_reason)
        self.say("Open an image.")
        if self._image is not None:
            self.open_image(self._image)

    def _take_result(self, result: Segmentation) -> None:
        self._set_busy(False)
        self.segmentation = result
        self.view.show_labels(result.labels, result.contract.classes)
        self.save_button.setEnabled(True)
        for info, found in zip(result.contract.classes, result.record["classes"], strict=True):
            swatch = QPixmap(16, 16)
            swatch.fill(QColor(*info.color))
            self.legend.addItem(QListWidgetItem(QIcon(swatch), f"{info.name}   {found['share']:.1%}"))
        height, width = result.labels.shape
        ms = sum(result.record["ms"].values())
        self.say(f"{result.record['input']['name']}: {width} × {height} px in {ms:.0f} ms")

    def _show_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _show_failure(self, text: str) -> None:
        self._set_busy(False)
        self.say(text or "Cancelled.", RED if text else GREY)

    def _set_busy(self, busy: bool, text: str = "") -> None:
        self.bar.setVisible(busy)
        self.bar.setRange(0, 0)  # indeterminate until the first window is done
        self.cancel_button.setVisible(busy)
        self.model_button.setDisabled(busy)
        self.image_button.setDisabled(busy)
        self.save_button.setDisabled(busy or self.segmentation is None)
        if text:
            self.say(text)

    def _ask_model(self) -> None:
        if name := QFileDialog.getOpenFileName(self, "Open a model", "", "ONNX models (*.onnx)")[0]:
            self.open_model(Path(name))

    def _ask_image(self) -> None:
        if name := QFileDialog.getOpenFileName(self, "Open an image", "", IMAGES)[0]:
            self.open_image(Path(name))

    def _ask_mask(self) -> None:
        if name := QFileDialog.getSaveFileName(self, "Save the mask", "mask.png", "PNG (*.png)")[0]:
            self.save_mask(Path(name))

    def _build(self) -> None:
        self.setWindowTitle("seg-edge")
        self.resize(1100, 720)
        self.view = PictureView()
        self.model_button, self.image_button = QPushButton("Open model …"), QPushButton("Open image …")
        self.save_button, self.cancel_button = QPushButton("Save mask …"), QPushButton("Cancel")
        self.model_line, self.provider_line = QLabel("No model"), QLabel()
        self.legend, self.bar, self.message = QListWidget(), QProgressBar(), QLabel()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.model_line.setTextFormat(Qt.TextFormat.PlainText)  # names from files are never interpreted as HTML
        self.message.setTextFormat(Qt.TextFormat.PlainText)
        self.message.setWordWrap(True)
        self.legend.setFrameShape(QListWidget.Shape.NoFrame)
        self.legend.setStyleSheet("background: transparent")
        self.legend.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        self.legend.setFocusPolicy(Qt.FocusPolicy.NoFocus)

        self.model_button.clicked.connect(self._ask_model)
        self.image_button.clicked.connect(self._ask_image)
        self.save_button.clicked.connect(self._ask_mask)
        self.cancel_button.clicked.connect(lambda: self.worker.cancel())
        self.slider.valueChanged.connect(self.view.set_opacity)
        self.slider.setValue(45)

        panel = QVBoxLayout()
        panel.setContentsMargins(16, 16, 16, 16)
        for widget in (self.model_button, self.model_line, self.provider_line, self.image_button,
                       QLabel("Classes"), self.legend, QLabel("Overlay"), self.slider, self.save_button,
                       self.bar, self.cancel_button):  # fmt: skip
            panel.addWidget(widget)
        side = QWidget()
        side.setFixedWidth(260)
        side.setLayout(panel)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.view, 1)
        row.addWidget(side)
        column = QVBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row, 1)
        column.addWidget(self.message)
        centre = QWidget()
        centre.setLayout(column)
        self.setCentralWidget(centre)


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.argument("image", required=False, type=click.Path(path_type=Path))
@click.option("--provider", default="auto", show_default=True, help="auto, cpu or cuda.")
def main(model: Path | None, image: Path | None, provider: str) -> None:
    """Open the window, with MODEL and IMAGE if they are given."""
    application = QApplication(sys.argv[:1])
    window = Window(provider)
    window.say("Open a model.")
    window.show()
    if image:
        window.open_image(image)
    if model:
        window.open_model(model)
    sys.exit(application.exec())
