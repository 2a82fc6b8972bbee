"""Files of objects, read back by other libraries to the very same ids."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import ome_types
import pytest
import roifile
import shapely
import tifffile
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO
from seg_runtime import ImageError
from seg_runtime.formats import FORMATS, Place, Source
from seg_runtime.outputs import output_for
from seg_runtime.segmentation import Segmentation

from tests.support.contracts import contract
from tests.support.objectmaps import ODD, THREE, result_of

GAPS = np.where(ODD == 4, 0, ODD * 3)
MANY = np.arange(1, 70_001, dtype=np.int32).reshape(250, 280)
BORDER = np.pad(np.zeros((5, 7), np.int32), 1, constant_values=5)
EMPTY = np.zeros((6, 4), np.int32)
MAPS = {
    "odd": ODD, "gaps": GAPS, "border": BORDER, "whole": np.ones((4, 3), np.int32), "pixel": np.ones((1, 1), np.int32),
    "empty": EMPTY,
    "noise": np.random.default_rng(1).integers(0, 4, (40, 30)).astype(np.int32),
    "row": np.array([[1, 1, 0, 1, 2]], np.int32), "column": np.array([[1], [0], [2], [2], [1]], np.int32),
}  # fmt: skip


def written(name: str, folder: Path, *results: Segmentation) -> Path:
    source = Source(Path("Zelle α.tif"), Path("Zelle α"), (Path("Zelle α.tif"),), FORMATS.get("picture"))
    output = output_for(name, source, results[0].contract)
    suffix, write, *_ = output.prepare(results, source)
    assert suffix in output.suffixes
    path = folder / f"x{suffix}"
    with path.open("wb") as file:
        write(file)
    return path


def inside(geometry: shapely.Geometry, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The pixels whose centre a geometry contains, by shapely."""
    rows, columns = np.indices(shape)
    return np.asarray(shapely.contains_xy(geometry, columns + 0.5, rows + 0.5))


def by_geojson(path: Path, shape: tuple[int, ...]) -> NDArray[np.int32]:
    ids = np.zeros(shape, np.int32)
    for feature in json.loads(path.read_text(encoding="utf-8"))["features"]:
        geometry = shapely.from_geojson(json.dumps(feature["geometry"]))
        assert geometry.is_valid
        found = inside(geometry, shape)
        assert geometry.area == found.sum() == feature["properties"]["measurements"]["area"]
        assert not ids[found].any()
        ids[found] = int(feature["properties"]["name"])
    return ids


def by_roifile(path: Path, shape: tuple[int, ...]) -> NDArray[np.int32]:
    ids = np.zeros(shape, np.int32)
    with zipfile.ZipFile(path) as packed:
        names = packed.namelist()
    for name, roi in zip(names, roifile.roiread(path) if names else [], strict=True):
        assert name == f"{roi.name}.roi"
        found = np.zeros(shape, bool)
        for ring in roi.coordinates(multi=True):
            found ^= inside(shapely.Polygon(ring), shape)  # ImageJ fills by the even-odd rule
        rows, columns = np.nonzero(found)
        box = (roi.left, roi.top, roi.right, roi.bottom)
        assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        ids[found] = int(roi.name.split()[0])
    return ids


def by_pycocotools(path: Path, shape: tuple[int, ...]) -> NDArray[np.int32]:
    coco = COCO(path)
    ids = np.zeros(shape, np.int32)
    assert [image["height"] for image in coco.loadImgs(coco.getImgIds())] == [shape[0]]
    for annotation in coco.loadAnns(coco.getAnnIds()):
        found = coco.annToMask(annotation).astype(bool)
        rows, columns = np.nonzero(found)
        assert annotation["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert annotation["area"] == found.sum()
        assert not any(run == 0 for run in annotation["segmentation"]["counts"][1:-1])
        ids[found] = annotation["object"]
    return ids


def by_tifffile(path: Path, shape: tuple[int, ...]) -> NDArray[np.int32]:
    return np.asarray(tifffile.imread(path)).astype(np.int32)


READERS: dict[str, Callable[[Path, tuple[int, ...]], NDArray[np.int32]]] = {
    "geojson": by_geojson, "roi": by_roifile, "coco": by_pycocotools, "labels": by_tifffile, "ome-tiff": by_tifffile,
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("case", MAPS)
def test_another_library_reads_the_very_same_ids(name: str, case: str, tmp_path: Path) -> None:
    path = written(name, tmp_path, result_of(MAPS[case]))
    np.testing.assert_array_equal(READERS[name](path, MAPS[case].shape), MAPS[case])
    again = written(name, tmp_path / "..", result_of(MAPS[case]))
    assert path.read_bytes() == again.read_bytes()
    again.unlink()


def test_more_objects_than_16_bits_hold(tmp_path: Path) -> None:
    for name in ("labels", "ome-tiff"):
        found = tifffile.imread(written(name, tmp_path, result_of(MANY)))
        assert found.dtype == np.uint32
        np.testing.assert_array_equal(found, MANY)


@pytest.mark.parametrize("name", ["geojson", "roi", "coco"])
def test_the_labels_of_an_image_are_computed_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not for each object, which took a minute for thousands of objects in a large image."""
    asked: list[str] = []
    plain = Segmentation._of

    def counted(self: Segmentation, data: str) -> NDArray[np.int32]:
        asked.append(data)
        return plain(self, data)

    monkeypatch.setattr(Segmentation, "_of", counted)
    written(name, tmp_path, result_of(ODD))
    assert asked.count("labels") <= 1


def test_geojson_leaves_out_what_json_cannot_hold(tmp_path: Path) -> None:
    image = np.ones((*ODD.shape, 1), np.float32)
    image[0, 0] = np.inf
    found = json.loads(written("geojson", tmp_path, result_of(ODD, image)).read_text(encoding="utf-8"))
    measures = [feature["properties"]["measurements"] for feature in found["features"]]
    assert "intensity_mean-0" not in measures[0]
    assert measures[1]["intensity_mean-0"] == 1


def test_geojson_has_what_qupath_reads(tmp_path: Path) -> None:
    result = result_of(ODD, place=Place((0.0005, 0.0005)))
    found = json.loads(written("geojson", tmp_path, result).read_text(encoding="utf-8"))
    assert found["type"] == "FeatureCollection"
    first, second = found["features"][:2]
    assert first["geometry"] == {
        "type": "Polygon",
        "coordinates": [
            [[0, 0], [5, 0], [5, 5], [0, 5], [0, 0]], [[1, 1], [1, 4], [4, 4], [4, 1], [1, 1]],
        ],
    }  # fmt: skip
    known = second["properties"]
    assert known["objectType"] == "detection"
    assert known["classification"] == {"name": "Zellwand, außen", "color": [60, 200, 90]}
    assert known["measurements"]["area_um2"] == pytest.approx(0.25)
    assert known["measurements"]["mean_probability"] == 0.75
    assert all(isinstance(value, (int, float)) for value in known["measurements"].values())


def test_rois_have_names_and_colours(tmp_path: Path) -> None:
    rois = roifile.roiread(written("roi", tmp_path, result_of(ODD)))
    assert [roi.name for roi in rois[:2]] == ["00001 nucleus", "00002 Zellwand, außen"]
    assert [roi.hexcolor(roi.stroke_color) for roi in rois[:2]] == ["#e63c3c", "#3cc85a"]
    assert [roi.roitype.name for roi in rois[:2]] == ["RECT", "TRACED"]
    assert {roi.position for roi in rois} == {0}


def test_a_roi_far_from_the_origin_keeps_its_place(tmp_path: Path) -> None:
    """ImageJ reads corners of polygons as 16 bits."""
    ids = np.zeros((2, 70_000), np.int32)
    ids[:, 40_000:40_003] = 1
    ids[1, 65_999:] = 2
    for roi, box in zip(
        roifile.roiread(written("roi", tmp_path, result_of(ids, image=np.zeros((2, 70_000, 1), np.uint8)))),
        [[40_000, 0, 40_003, 2], [65_999, 1, 70_000, 2]], strict=True,
    ):  # fmt: skip
        points = roi.coordinates(multi=True)[0]
        assert [*points.min(axis=0), *points.max(axis=0)] == box


def test_a_class_name_may_have_any_letters(tmp_path: Path) -> None:
    classes = (THREE[0], type(THREE[0])("a/../b\U0001f600\n", (1, 2, 3)), THREE[2])
    result = result_of(ODD, classes=classes)
    assert roifile.roiread(written("roi", tmp_path, result))[0].name == "00001 a_.._b__"
    found = json.loads(written("geojson", tmp_path, result).read_text(encoding="utf-8"))
    assert found["features"][0]["properties"]["classification"]["name"] == classes[1].name
    assert COCO(written("coco", tmp_path, result)).loadCats(1)[0]["name"] == classes[1].name


def test_coco_names_image_and_categories(tmp_path: Path) -> None:
    coco = COCO(written("coco", tmp_path, result_of(ODD)))
    assert coco.loadImgs(1) == [{"id": 1, "file_name": "Zelle α.tif", "height": 9, "width": 11}]
    assert [(c["id"], c["name"]) for c in coco.loadCats(coco.getCatIds())] == [(1, "nucleus"), (2, "Zellwand, außen")]
    assert [a["category_id"] for a in coco.loadAnns(coco.getAnnIds())] == [1, 2] * 4 + [1]


def test_pages_are_told_apart(tmp_path: Path) -> None:
    pages = [result_of(ODD), result_of(EMPTY), result_of(np.ones((2, 2)))]
    features = json.loads(written("geojson", tmp_path, *pages).read_text(encoding="utf-8"))["features"]
    assert [f["geometry"]["plane"] for f in features] == [{"c": -1, "z": z, "t": 0} for z in [0] * 9 + [2]]
    rois = roifile.roiread(written("roi", tmp_path, *pages))
    assert [roi.position for roi in rois] == [1] * 9 + [3]
    coco = COCO(written("coco", tmp_path, *pages))
    assert [len(coco.getAnnIds(imgIds=page)) for page in (1, 2, 3)] == [9, 0, 1]
    with tifffile.TiffFile(written("ome-tiff", tmp_path, *pages)) as file:
        for series, page in zip(file.series, pages, strict=True):
            np.testing.assert_array_equal(series.asarray(), page.objects)
    same = tifffile.imread(written("ome-tiff", tmp_path, result_of(ODD), result_of(GAPS)))
    np.testing.assert_array_equal(same, [ODD, GAPS])


@pytest.mark.parametrize("shape", [(9, 11), (3, 3, 11)])
def test_ome_tiff_has_the_size_of_the_pixels(shape: tuple[int, ...], tmp_path: Path) -> None:
    spacing = (0.003, 0.0005, 0.00025)[-len(shape) :]
    ids = ODD.reshape(shape)
    path = written("ome-tiff", tmp_path, result_of(ids, place=Place(spacing)))
    pixels = ome_types.from_tiff(path).images[0].pixels
    sizes = [pixels.physical_size_x, pixels.physical_size_y, pixels.physical_size_z][: len(shape)]
    assert sizes == pytest.approx([1000 * side for side in reversed(spacing)])
    assert {pixels.physical_size_x_unit.value, pixels.physical_size_y_unit.value} == {"µm"}
    assert (pixels.size_z, pixels.size_y, pixels.size_x) == (1, *shape)[-3:]
    np.testing.assert_array_equal(tifffile.imread(path), ids)
    plain = ome_types.from_tiff(written("ome-tiff", tmp_path, result_of(ids))).images[0].pixels
    assert plain.physical_size_x is None


def test_labels_have_the_resolution(tmp_path: Path) -> None:
    with tifffile.TiffFile(written("labels", tmp_path, result_of(ODD, place=Place((0.0005, 0.00025))))) as file:
        [page] = file.pages
        assert page.resolutionunit.name == "CENTIMETER"
        assert page.get_resolution("MICROMETER") == pytest.approx((4, 2))
        np.testing.assert_array_equal(page.asarray(), ODD)
    with Image.open(written("labels", tmp_path, result_of(ODD))) as image:
        assert image.tag_v2[296] == 1  # no unit  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["geojson", "roi", "coco"])
def test_a_volume_is_refused_where_only_images_fit(name: str) -> None:
    source = Source(Path("a.nii"), Path("a"), (Path("a.nii"),), FORMATS.get("nifti"))
    with pytest.raises(
        ImageError, match=rf"a\.nii is a volume, which .* cannot hold\. Use --save labels.* --save {name}"
    ):
        output_for(name, source, contract())


def test_labels_of_a_structure_are_refused() -> None:
    source = Source(Path("a.pdb"), Path("a"), (Path("a.pdb"),), FORMATS.get("structure"))
    with pytest.raises(ImageError, match=r"a\.pdb is a structure of atoms, a format that cannot hold objects"):
        output_for("labels", source, contract())
