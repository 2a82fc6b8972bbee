"""An image view with an overlay of class colours: use the wheel to zoom, drag to pan, double-click to fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPixmap, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QGraphicsPixmapItem, QGraphicsScene, QGraphicsView
from seg_runtime import ClassInfo


class PictureView(QGraphicsView):
    """Shows an image and an overlay of its labels with adjustable opacity."""

    def __init__(self) -> None:
        super().__init__()
        self.setScene(QGraphicsScene(self))
        self._image, self._labels = QGraphicsPixmapItem(), QGraphicsPixmapItem()
        for item in (self._image, self._labels):
            self.scene().addItem(item)
        self.setDragMode(QGraphicsView.DragMode.ScrollHandDrag)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.AnchorUnderMouse)
        self.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        self.setBackgroundBrush(QColor("#14171d"))
        self.setFrameShape(QGraphicsView.Shape.NoFrame)
        self._fitted = True

    def show_image(self, picture: NDArray[np.uint8]) -> None:
        """Show an image `(H, W, 3)` uint8 without labels, fitted to the view."""
        height, width, _ = picture.shape
        image = QImage(np.ascontiguousarray(picture).data, width, height, 3 * width, QImage.Format.Format_RGB888)
        self._image.setPixmap(QPixmap.fromImage(image))
        self._labels.setPixmap(QPixmap())
        self.scene().setSceneRect(self._image.boundingRect())
        self.fit()

    def show_labels(self, labels: NDArray[np.uint8], classes: Sequence[ClassInfo]) -> None:
        """Show `(H, W)` uint8 class indices over the image; the background is transparent."""
        height, width = labels.shape
        image = QImage(np.ascontiguousarray(labels).data, width, height, width, QImage.Format.Format_Indexed8)
        image.setColorTable([0, *(QColor(*c.color).rgba() for c in classes[1:])])
        self._labels.setPixmap(QPixmap.fromImage(image))

    def clear(self) -> None:
        """Show nothing."""
        self._image.setPixmap(QPixmap())
        self._labels.setPixmap(QPixmap())

    def set_opacity(self, percent: int) -> None:
        """Set the opacity of the labels, 0..100."""
        self._labels.setOpacity(percent / 100)

    def fit(self) -> None:
        """Show the whole image, with its aspect ratio."""
        self._fitted = True
        self.fitInView(self._image, Qt.AspectRatioMode.KeepAspectRatio)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Zoom at the pointer."""
        self._fitted = False
        factor = 1.25 ** (event.angleDelta().y() / 120)
        self.scale(factor, factor)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Show the whole image."""
        self.fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Fit the image again if it was fitted."""
        super().resizeEvent(event)
        if self._fitted:
            self.fit()
