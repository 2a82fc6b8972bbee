"""Objects grown by the second graph of host-ready files, beside those of scikit-image."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from seg_export.options import ExportOptions
from seg_export.pipeline import export
from seg_export.steps.hostready import compared, step
from seg_export.steps.hostready.growth import growth
from seg_runtime.answers import Objects, matched
from seg_runtime.model import GROWTH_KEY, Contract, ModelFile
from seg_runtime.support.errors import ParityError
from seg_toolkit.checkpoints import load

from tests.support.contracts import named
from tests.support.models import HOST_READY, Made, made, mixed_network
from tests.support.touching import discs, of_objects

Planes = NDArray[np.uint8]


def host(contract: Contract) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(growth(contract).SerializeToString(), providers=["CPUExecutionProvider"])


def both(contract: Contract, planes: Planes) -> tuple[NDArray[Any], NDArray[Any]]:
    """Ids and classes `(2, H, W)` by the graph and by the runtime."""
    ids, classes = host(contract).run(["objects", "classes"], {"planes": planes})
    assert (ids.dtype, classes.dtype) == (np.int32, np.uint8)
    return np.stack([ids, classes]), Objects(contract).whole(planes)[:2]


def planes_of(ids: NDArray[np.int32], classes: int = 2, noise: float = 0.0, seed: int = 0) -> Planes:
    """Planes as a model would give them: the interior is the distance to the edge of the object, by its largest one."""
    rng = np.random.default_rng(seed)
    distance = np.zeros(ids.shape)
    for number, box in enumerate(ndimage.find_objects(ids), 1):
        if box:
            own = ndimage.distance_transform_edt(np.pad(ids[box] == number, 1))[1:-1, 1:-1]
            distance[box] += own / own.max(initial=1)
    shares = [np.where(ids > 0, 0.9, 0.1), distance]
    values = [np.clip(255 * share + rng.normal(0, noise, ids.shape), 0, 255) for share in shares]
    return np.stack([rng.integers(1, classes, ids.shape), *values]).astype(np.uint8)


def blobs(size: tuple[int, int], count: int, seed: int = 0) -> NDArray[np.int32]:
    """Ids of so many discs of 6 px, most of which touch others."""
    rng = np.random.default_rng(seed)
    places = [(int(row), int(column)) for row, column in rng.integers(0, size, (count, 2))]
    return discs(size, places, 6)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("fill", [True, False])
@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_objects_that_touch_are_those_of_scikit_image(classes: int, fill: bool, noise: float) -> None:
    contract = of_objects(classes=named(classes), smallest_px=5, fill_holes=fill)
    given, wanted = both(contract, planes_of(blobs((150, 190), 120), classes, noise))
    assert wanted[0].max() > 70
    assert given[0].max() == wanted[0].max()
    alone, apart = matched(given[0], wanted[0])
    assert alone == 0
    assert apart < 1e-3 * wanted[0].size  # ties along the lines where objects meet
    assert (given[1] != wanted[1]).mean() < 1e-3 + (classes > 2) * 0.02  # a tie may turn a vote


def one_core(ids: NDArray[np.int32], beyond_px: float, gaps: float, seed: int) -> Planes:
    """Planes in which objects that touch share a core: what is deeper in the mask; with gaps in both."""
    rng = np.random.default_rng(seed)
    mask = (ids > 0) & (rng.random(ids.shape) >= gaps)
    core = (ndimage.distance_transform_edt(ids > 0) > beyond_px) & (rng.random(ids.shape) >= gaps)
    return np.stack([rng.integers(1, 4, ids.shape), 255 * mask, 255 * core]).astype(np.uint8)


@pytest.mark.parametrize(
    ("peak_px", "most", "apart"),
    # a rise of 0.1 px is two steps of the depth, so one px along a line that two objects share may join or part them
    [(0.0, 2, 0.02), (0.1, 8, 0.02), (0.5, 0, 0.002), (2.0, 0, 0.002)],
)
@pytest.mark.parametrize("beyond_px", [0, 2])
@pytest.mark.parametrize(("smallest_px", "fill", "gaps"), [(0, True, 0.0), (5, True, 0.01), (5, False, 0.01)])
def test_objects_part_at_the_necks_of_their_core(
    peak_px: float, most: int, apart: float, beyond_px: int, smallest_px: int, fill: bool, gaps: float
) -> None:
    contract = of_objects(classes=named(4), peak_px=peak_px, smallest_px=smallest_px, fill_holes=fill)
    planes = one_core(blobs((150, 190), 120, 1), beyond_px, gaps, 2)
    given, wanted = both(contract, planes)
    assert wanted[0].max() > 20
    alone, differing = matched(given[0], wanted[0])
    assert alone <= most
    assert differing <= apart * wanted[0].size


def test_a_core_that_fills_the_image() -> None:
    """No pixel has an edge of the core to be measured from."""
    given, wanted = both(of_objects(), np.stack([np.full((20, 33), value, np.uint8) for value in (1, 255, 255)]))
    np.testing.assert_array_equal(given, wanted)


@pytest.mark.parametrize(("far", "count"), [(0, 2), (60, 3)])
def test_a_deep_core_with_a_neck(far: int, count: int) -> None:
    """Two squares that meet in a bar, and an edge of the core which only rows or only columns reach."""
    mask = np.zeros((90, 160), bool)
    mask[20:80, 10:70] = mask[20:80, 85:150] = mask[48:52, 60:90] = True
    mask[:20, 100 : 100 + far] = True  # to the border of the image
    planes = np.stack([np.ones(mask.shape), 255 * mask, 255 * mask]).astype(np.uint8)
    for turned in (planes, planes.transpose(0, 2, 1)):
        given, wanted = both(of_objects(), np.ascontiguousarray(turned))
        assert wanted[0].max() == count
        alone, differing = matched(given[0], wanted[0])
        assert alone == 0
        assert differing <= 60  # a line of pixels between two objects, which are as near to either


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 3), (70, 50)])
@pytest.mark.parametrize("classes", [2, 3])
def test_random_planes_of_any_size(size: tuple[int, int], classes: int) -> None:
    rng = np.random.default_rng(size)
    planes = rng.integers(0, 256, (3, *size)).astype(np.uint8)
    planes[0] = rng.integers(1, classes, size)
    given, wanted = both(of_objects(classes=named(classes), smallest_px=2), planes)
    assert given[0].max() == wanted[0].max()
    assert matched(given[0], wanted[0])[1] <= wanted[0].size / 200


def uniform(mask: int, interior: int) -> Planes:
    return np.stack([np.full((30, 20), value, np.uint8) for value in (1, mask, interior)])


@pytest.mark.parametrize(
    ("planes", "count"),
    [(uniform(0, 255), 0), (uniform(127, 0), 0), (uniform(128, 0), 1), (uniform(255, 255), 1), (uniform(255, 127), 1)],
)
def test_images_of_one_kind(planes: Planes, count: int) -> None:
    given, wanted = both(of_objects(), planes)
    np.testing.assert_array_equal(given, wanted)
    assert given[0].max() == count


def by_hand(*rows: str) -> Planes:
    """Planes of an image in which . is background, o belongs to an object, and other letters are interiors."""
    letters = np.array([list(row) for row in rows])
    return np.stack([np.ones(letters.shape), 255 * (letters != "."), 255 * ~np.isin(letters, [".", "o"])]).astype(
        np.uint8
    )


@pytest.mark.parametrize(
    ("planes", "changes", "wanted"),
    [
        (by_hand("aoob"), {}, [[1, 1, 2, 2]]),  # they meet in the middle
        (by_hand("ooo"), {}, [[1, 1, 1]]),  # without an interior
        (by_hand("a.b.oo"), {"smallest_px": 2, "fill_holes": False}, [[0, 0, 0, 0, 1, 1]]),
        (by_hand("a.b.oo"), {"smallest_px": 2}, [[1, 0, 1, 0, 1, 1]]),  # holes of one px are no gaps
        (by_hand("a..b.oo"), {"smallest_px": 2}, [[0, 0, 0, 1, 0, 1, 1]]),
        (by_hand(".a", "b."), {}, [[0, 1], [2, 0]]),  # corners do not connect
        (by_hand("..b", "a.b", "aab"), {}, [[0, 0, 1], [1, 0, 1], [1, 1, 1]]),  # the first pixel gives the number
        (by_hand("..b", "a..", "a.c"), {}, [[0, 0, 1], [2, 0, 0], [2, 0, 3]]),
        (by_hand("aaa", "a.a", "aaa"), {}, [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
        (by_hand("aaa", "a.a", "aaa"), {"fill_holes": False}, [[1, 1, 1], [1, 0, 1], [1, 1, 1]]),
        (by_hand("aaa", "a.a", "a.a"), {}, [[1, 1, 1], [1, 0, 1], [1, 0, 1]]),  # open to the border
    ],
)
def test_small_images_by_hand(planes: Planes, changes: dict[str, Any], wanted: list[list[int]]) -> None:
    given, runtime = both(of_objects(**changes), planes)
    assert given[0].tolist() == wanted
    np.testing.assert_array_equal(given, runtime)


def test_the_majority_names_the_class() -> None:
    planes = by_hand("aaaa.bb", "aaaa.bb")
    planes[0] = [[3, 3, 2, 2, 1, 1, 2], [3, 1, 3, 2, 1, 2, 1]]  # 2 of 1 and 2 of 2 in the second one
    given, runtime = both(of_objects(classes=named(4)), planes)
    assert given[1].tolist() == [[3, 3, 3, 3, 0, 1, 1]] * 2
    np.testing.assert_array_equal(given, runtime)


def operators(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from operators(attribute.g)


def test_the_graph_has_standard_operators_only() -> None:
    model = growth(of_objects())
    assert {node.domain for node in operators(model.graph)} == {""}
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert model.ByteSize() < 90_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Made:
    how = of_objects("distance", 204, smallest_px=3)
    return made(tmp_path_factory.mktemp("grown"), mixed_network(1, how.answer.maps, 2, "crop", 204, 3), how, HOST_READY)


def test_a_host_ready_file_carries_the_graph(model: Made) -> None:
    content = ModelFile(model.path).take()
    stored = base64.b64decode(bytes(content.onnx.metadata[GROWTH_KEY]), validate=True)
    assert stored == growth(model.contract).SerializeToString(deterministic=True)
    figures = content.contract.parity["growth"]
    assert figures["objects"] > 5
    assert figures["unmatched"] <= compared.FEW
    assert figures["differing"] < figures["pixels"] / 500


@pytest.mark.parametrize("wrong", [{"smallest_px": 500}, {"mask_threshold": 0.8}])
def test_a_graph_of_another_contract_is_refused(
    model: Made, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    monkeypatch.setattr(step, "growth", lambda contract: growth(of_objects("distance", 204, **wrong)))
    with pytest.raises(ParityError, match="have no partner; expected at most"):
        export(load(model.checkpoint), ExportOptions(host_ready=True))


@pytest.mark.parametrize(
    ("unmatched", "objects", "fine"), [(2, 3, True), (3, 3, False), (20, 1000, True), (21, 1000, False)]
)
def test_ties_explain_few_objects_without_a_partner(unmatched: int, objects: int, fine: bool) -> None:
    figures = compared.Grown(images=1, pixels=9, objects=objects, unmatched=unmatched)
    if fine:
        figures.require()
    else:
        with pytest.raises(ParityError, match=f"{unmatched} objects .* have no partner"):
            figures.require()


def test_equal_planes_have_no_ties() -> None:
    with pytest.raises(ParityError, match=r"1 objects .* have no partner; expected at most 0"):
        compared.Compared(images=1, pixels=9, objects=900, unmatched=1).require()
    compared.Compared(images=1, pixels=9, differing=1, objects=900, unmatched=1).require()
