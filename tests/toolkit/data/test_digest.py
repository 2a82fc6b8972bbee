"""The digest of an image: equal for a renamed or saved again copy, and for nothing else."""

import hashlib

import numpy as np
from PIL import Image
from seg_toolkit.data import image_digest, read_image


def test_a_copy_in_another_file_has_the_same_digest(tmp_path):
    pixels = np.arange(60, dtype=np.uint8).reshape(6, 10)
    for name in ("first.png", "copy.tif", "again.bmp"):
        Image.fromarray(pixels).save(tmp_path / name)
    digests = {image_digest(read_image(path)) for path in tmp_path.iterdir()}
    assert digests == {hashlib.sha256(b"(6, 10, 1) uint8\n" + pixels.tobytes()).hexdigest()}


def test_a_changed_pixel_and_another_dtype_change_it():
    pixels = np.zeros((4, 4, 1), np.uint8)
    changed = pixels.copy()
    changed[3, 3] = 1
    assert len({image_digest(pixels), image_digest(changed), image_digest(pixels.astype(np.uint16))}) == 3
