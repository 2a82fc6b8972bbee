"""The graph that grows objects: stitched planes of an image -> ids and classes, as `Objects.whole`."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper
from seg_runtime.answers import Objects
from seg_runtime.model import Contract

from ....graph import IR_VERSION, OPSET
from ..builder import BOOL, FLOAT, INT32, INT64, UINT8, Builder
from .components import END, Components, after, before, components, neighbours, places
from .depth import Image, depth, peaks
from .necks import joined_basins
from .watershed import flooded


def growth(contract: Contract) -> onnx.ModelProto:
    """Build a checked ONNX model of standard operators.

    Args:
        contract: contract of a model of objects; its weights do not matter.

    Returns:
        Model with these inputs and outputs:

        - `planes` `(3, H, W)` uint8, stitched from all windows,
        - `objects` `(H, W)` int32, ids from 1 without gaps in the order of their first pixels, 0 for none,
        - `classes` `(H, W)` uint8, class of the object of each pixel.
    """
    answer, b = Objects(contract), Builder("growth")
    spec = answer.spec
    image, (votes, shares, interior) = _flat(b)
    # mask_level may be 0, and the frame around the image is no object
    mask = given = b("And", image.inside, _at_least(b, shares, answer.mask_level))
    core = b("And", image.inside, _at_least(b, interior, answer.seed_level))
    if spec.fill_holes:
        mask, core = (_without_small_holes(b, pixels, spec.smallest_px, image) for pixels in (mask, core))
    ids, most = _grown(b, mask, b("And", mask, core), spec.peak_px, image)
    if spec.fill_holes:
        ids = b("Where", given, ids, b.const(0, np.int32))
    ids = _renumbered(b, ids, most, max(1, spec.smallest_px))
    if spec.fill_holes:
        ids = _filled(b, ids, image.stride)
    labels = _classes(b, ids, votes, answer.classes)
    for name, values in (("objects", ids), ("classes", labels)):
        b.node("Identity", [image.unframed(b, values)], [name])
    info = helper.make_tensor_value_info
    inputs = [info("planes", UINT8, [3, "height", "width"])]
    outputs = [info("objects", INT32, ["height", "width"]), info("classes", UINT8, ["height", "width"])]
    graph = helper.make_graph(b.nodes, "seg-edge growth", inputs, outputs, b.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def _flat(b: Builder) -> tuple[Image, tuple[str, str, str]]:
    """The lengths of the image and the flat planes `(n,)` uint8, see `components`."""
    framed = b("Pad", "planes", b.ints(0, 1, 1, 0, 1, 1))
    rows = b("Reshape", framed, b.ints(3, -1))
    votes, shares, interior = (b("Gather", rows, b.integer(k), axis=0) for k in range(3))
    ones = b("Expand", b.const(1, np.uint8), b("Shape", "planes", start=1))
    inside = b("Reshape", b.cast(b("Pad", ones, b.ints(1, 1, 1, 1)), BOOL), b.ints(-1))
    sizes = (b.size("planes", 1), b.size("planes", 2), b.size(framed, 2))
    return Image(*sizes, b("Shape", framed, start=1), inside), (votes, shares, interior)


def _at_least(b: Builder, values: str, level: int) -> str:
    return b("GreaterOrEqual", b.cast(values, FLOAT), b.const(level, np.float32))


def _without_small_holes(b: Builder, pixels: str, smallest_px: int, image: Image) -> str:
    """`separate._without_small_holes`."""
    if smallest_px <= 1:
        return pixels
    empty = b("And", image.inside, b("Not", pixels))
    holes = components(b, empty, image.stride)
    spots = places(b, empty)
    owner = b("Gather", holes.root, b.cast(b("Gather", holes.run, spots), INT64))
    none = b("Expand", b.ints(0), b("Shape", holes.root))
    ones = b("Expand", b.ints(1), b("Shape", owner))
    areas = b("ScatterElements", none, owner, ones, axis=0, reduction="add")
    small = b("Less", b("Gather", areas, owner), b.integer(smallest_px))
    return b("ScatterElements", pixels, spots, small, axis=0)


def _grown(b: Builder, mask: str, core: str, peak_px: float, image: Image) -> tuple[str, str]:
    """`separate.grown`, before the objects get their numbers: ids `(n,)` int32, and the largest one."""
    zero = b.const(0, np.int32)
    parts, height = components(b, mask, image.stride), depth(b, core, image)
    tops = peaks(b, height, image) if peak_px else core
    height = image.flat(b, b.cast(height, INT32))
    markers = components(b, tops, image.stride)
    top, last = (b("Sub", b.size(c.first, 0), b.integer(1)) for c in (parts, markers))
    several = b("And", mask, b("Gather", _several(b, parts, markers), parts.run))
    free = b("And", several, b("Not", tops))
    area = b("And", several, b("Or", free, _beside(b, free, image.stride)))
    sown = b("Where", b("And", several, tops), b("Gather", b.cast(markers.root, INT32), markers.run), zero)
    basins = flooded(b, area, sown, height, image.stride)
    count = b.size(markers.first, 0)
    names = joined_basins(b, basins, height, peak_px, count, image.stride) if peak_px else b.count(count)
    numbers = b("Gather", b.cast(b("Add", names, top), INT32), basins)
    whole = b("Gather", b.cast(parts.root, INT32), parts.run)
    return b("Where", several, numbers, b("Where", mask, whole, zero)), b("Add", top, last)


def _several(b: Builder, parts: Components, markers: Components) -> str:
    """Whether the part of each run has several seeds, `(r + 1,)` bool: others are whole objects."""
    owners = b("Gather", parts.root, b.cast(b("Gather", parts.run, markers.first), INT64))
    runs = b.size(markers.first, 0)
    leading = b("And", b("Equal", markers.root, b.count(runs)), b("Greater", b.count(runs), b.integer(0)))
    none = b("Mul", parts.root, b.integer(0))
    seeds = b("ScatterElements", none, owners, b.cast(leading, INT64), axis=0, reduction="add")
    return b("Gather", b("Greater", seeds, b.integer(1)), parts.root)


def _beside(b: Builder, mask: str, stride: str) -> str:
    """Pixels beside a mask, by sides; the mask has none in the frame."""
    length, step = b("Shape", mask), b("Unsqueeze", stride, b.ints(0))
    blank = b("Expand", b.const([False], np.bool_), step)
    down = b("Slice", b("Concat", blank, mask, axis=0), b.ints(0), length, b.ints(0))
    up = b("Slice", b("Concat", mask, blank, axis=0), step, b.ints(END), b.ints(0))
    false = b.const([False], np.bool_)
    return b("Or", b("Or", before(b, mask, false), after(b, mask, false)), b("Or", down, up))


def _runs(b: Builder, ids: str, *others: str) -> tuple[str, str]:
    """First pixels and lengths `(r,)` of the runs of equal ids, and equal others; both begin with a run of 0 px."""
    owned = b("Greater", ids, b.const(0, np.int32))
    ends = []
    for shifted in (before, after):
        fill = b.const([0], np.int32)
        changes = [b("Not", b("Equal", values, shifted(b, values, fill))) for values in (ids, *others)]
        change = changes[0]
        for other in changes[1:]:
            change = b("Or", change, other)
        ends.append(places(b, b("And", owned, change)))
    lengths = b("Add", b("Sub", ends[1], ends[0]), b.integer(1))
    first, length = (b("Concat", b.ints(0), values, axis=0) for values in (ends[0], lengths))
    return first, length


def _renumbered(b: Builder, ids: str, most: str, smallest_px: int) -> str:
    """`separate.renumbered`: `(n,)` int32; `most` is the largest id."""
    first, length = _runs(b, ids)
    owner = b.cast(b("Gather", ids, first), INT64)
    table = b("Unsqueeze", b("Add", most, b.integer(1)), b.ints(0))
    none = b("Expand", b.ints(0), table)
    areas = b("ScatterElements", none, owner, length, axis=0, reduction="add")
    firsts = b("ScatterElements", b("Expand", b.ints(END), table), owner, first, axis=0, reduction="min")
    large = b("GreaterOrEqual", b("Gather", areas, owner), b.integer(smallest_px))
    leading = b("And", large, b("Equal", b("Gather", firsts, owner), first))
    number = b("Where", leading, b("CumSum", b.cast(leading, INT64), b.integer(0)), b.integer(0))
    numbers = b("ScatterElements", none, owner, number, axis=0, reduction="max")
    return b("Gather", b.cast(numbers, INT32), ids)


def _filled(b: Builder, ids: str, stride: str) -> str:
    """`separate._filled`, for background that touches one object only.

    Background in an object that also touches an object inside of it stays, which `separate._filled` fills.
    """
    empty = b("Equal", ids, b.const(0, np.int32))
    parts = components(b, empty, stride)
    inner = b("Greater", parts.root, b.integer(1))  # the first run is the frame, which is outside
    holes = places(b, b("And", empty, b("Gather", inner, parts.run)))
    owner = b("Gather", parts.root, b.cast(b("Gather", parts.run, holes), INT64))
    steps = b.shape(*neighbours(b, stride))
    around = b.cast(b("Gather", ids, b("Add", b.column(holes), steps)), INT64)  # (holes, 4)
    table, none = b("Shape", parts.root), b("Greater", around, b.integer(0))
    flat = b("Reshape", b("Expand", b.column(owner), b("Shape", around)), b.ints(-1))
    lows = b("Reshape", b("Where", none, around, b.integer(END)), b.ints(-1))
    highs = b("Reshape", around, b.ints(-1))
    low = b("ScatterElements", b("Expand", b.ints(END), table), flat, lows, axis=0, reduction="min")
    high = b("ScatterElements", b("Expand", b.ints(0), table), flat, highs, axis=0, reduction="max")
    filling = b("Where", b("Equal", low, high), high, b.integer(0))
    return b("ScatterElements", ids, holes, b.cast(b("Gather", filling, owner), INT32), axis=0)


def _classes(b: Builder, ids: str, votes: str, classes: int) -> str:
    """`separate.classes_of`: `(n,)` uint8."""
    if classes == 2:
        return b.cast(b("Greater", ids, b.const(0, np.int32)), UINT8)
    own = b.cast(votes, INT32)
    first, length = _runs(b, ids, own)
    owner, vote = (b.cast(b("Gather", values, first), INT64) for values in (ids, own))
    most = b("ReduceMax", owner, b.ints(0), keepdims=0)
    count = b("Add", most, b.integer(1))
    cells = b("Unsqueeze", b("Mul", count, b.integer(classes)), b.ints(0))
    cell = b("Add", b("Mul", owner, b.integer(classes)), vote)
    ballots = b("ScatterElements", b("Expand", b.ints(0), cells), cell, length, axis=0, reduction="add")
    counts = b("Reshape", b.cast(ballots, INT32), b.ints(-1, classes))  # ONNX Runtime 1.18 has no ArgMax of int64
    winners = b("ArgMax", counts, axis=1, keepdims=0)
    return b("Gather", b.cast(winners, UINT8), ids)
