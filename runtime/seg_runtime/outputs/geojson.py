"""NAME_objects.geojson: polygons with classes and measures, as QuPath imports them (RFC 7946, but in px, x to the right and
y down)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from ..formats import PageResult, Prepared, Source
from .objectfile import ObjectFile
from .outlines import Region, regions_of


class GeoJson(ObjectFile):
    """A detection of QuPath for each object."""

    title = "a GeoJSON file"
    key = "objects_geojson"
    suffix = ".geojson"
    measured = True

    def prepare(self, results: Sequence[PageResult], source: Source) -> Prepared:
        """Prepare a feature for each object; the slices of QuPath count pages from 0."""
        lines = [json.dumps(feature, ensure_ascii=False, allow_nan=False) for feature in _features(results)]
        content = '{"type": "FeatureCollection", "features": [\n' + ",\n".join(lines) + "\n]}\n"
        return Prepared(self.suffix, lambda file: file.write(content.encode("utf-8", "backslashreplace")))


def _features(results: Sequence[PageResult]) -> Iterator[dict[str, Any]]:
    for page, result in enumerate(results):
        table = {name: values.tolist() for name, values in result.measurements.items()}
        colors = {entry.name: list(entry.color) for entry in result.contract.classes}
        names, numbers = table.pop("class"), table.pop("label")
        plane = {"plane": {"c": -1, "z": page, "t": 0}} if len(results) > 1 else {}
        for place, region in enumerate(regions_of(result.objects)):
            measures = {name: values[place] for name, values in table.items()}
            yield {
                "type": "Feature",
                "geometry": {**_geometry(region), **plane},
                "properties": {
                    "objectType": "detection",
                    "name": str(numbers[place]),
                    "classification": {"name": names[place], "color": colors[names[place]]},
                    "measurements": {name: value for name, value in measures.items() if math.isfinite(value)},
                },
            }


def _geometry(region: Region) -> dict[str, Any]:
    pieces = [[[*ring.tolist(), ring[0].tolist()] for ring in piece] for piece in region.pieces()]
    if len(pieces) == 1:
        return {"type": "Polygon", "coordinates": pieces[0]}
    return {"type": "MultiPolygon", "coordinates": pieces}
