"""NAME_coco.json: instances in the format of COCO, with run lengths, which are exact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..formats import PageResult, Prepared, Source
from .objectfile import ObjectFile
from .outlines import Region, regions_of


class Coco(ObjectFile):
    """An annotation for each object. Each page is an image, counted from 1."""

    title = "a COCO file"
    key = "coco"
    suffix = ".json"

    def prepare(self, results: Sequence[PageResult], source: Source) -> Prepared:
        """Prepare the images, the categories, which are the classes without the background, and the annotations."""
        annotations: list[dict[str, Any]] = []
        for page, result in enumerate(results, 1):
            for region in regions_of(result.objects):
                first = np.argmax(region.mask[0])  # the first row has a pixel of the object
                category = int(result.labels[region.top, region.left + first])
                known = {"id": len(annotations) + 1, "image_id": page, "category_id": category}
                annotations.append({**known, **_shape_of(region, result.objects.shape)})
        content = {
            "images": [_image(page, result, source) for page, result in enumerate(results, 1)],
            "categories": [
                {"id": index, "name": entry.name, "supercategory": ""}
                for index, entry in enumerate(results[0].contract.classes)
                if index
            ],
            "annotations": annotations,
        }
        return Prepared(self.suffix, lambda file: file.write(json.dumps(content).encode()))


def _image(page: int, result: PageResult, source: Source) -> dict[str, Any]:
    height, width = result.objects.shape
    name = source.path.name or source.stem.name
    return {"id": page, "file_name": name, "height": height, "width": width, **({"page": page} if page > 1 else {})}


def _shape_of(region: Region, size: tuple[int, ...]) -> dict[str, Any]:
    height, width = region.mask.shape
    return {
        "bbox": [region.left, region.top, width, height],
        "area": int(region.mask.sum()),
        "iscrowd": 0,
        "segmentation": {"size": list(size), "counts": _run_lengths(region, size)},
        "object": region.number,
    }


def _run_lengths(region: Region, size: tuple[int, ...]) -> list[int]:
    """Return the lengths of the runs outside and inside of an object, column by column of the image."""
    columns = np.pad(region.mask.T, ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(columns, axis=1)
    starts, ends = (
        (x + region.left) * size[0] + y + region.top for x, y in (np.nonzero(change == 1), np.nonzero(change == -1))
    )
    edges = np.stack([starts, ends], axis=1).ravel()
    lengths = np.diff(edges, prepend=0, append=size[0] * size[1])
    return _joined(lengths.tolist())


def _joined(lengths: list[int]) -> list[int]:
    """Join runs of a column that continue in the next column, between which there is a run of no pixel."""
    found = lengths[:1]
    for place in range(1, len(lengths), 2):
        inside, outside = lengths[place : place + 2]
        if place > 1 and found[-1] == 0:
            found[-2:] = [found[-2] + inside]
        else:
            found.append(inside)
        found.append(outside)
    return found
