from __future__ import annotations

import json
import os
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from seg_runtime.answers import matched
from seg_runtime.model import GROWTH_KEY
from seg_runtime.pipeline import Array

from tests.hosts.conftest import Case, ObjectsCase, differing, interrupted, sample_with_packages
from tests.support.damage import resealed
from tests.support.images import noise_image
from tests.support.places import SAMPLES


def png16(pixels: Array, kind: int) -> bytes:
    """A PNG of `(H, W, C)` uint16 whose rows have the filters 0 to 4 in turn, as the PNG specification defines them."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, -1).astype(int)
    size, packed = 2 * channels, bytearray()
    for y, row in enumerate(rows):
        above = rows[y - 1] if y else np.zeros_like(row)
        left, corner = (np.concatenate([np.zeros(size, int), values[:-size]]) for values in (row, above))
        guess = left + above - corner
        distances = np.stack([abs(guess - left), abs(guess - above), abs(guess - corner)])
        paeth = np.choose(distances.argmin(0), [left, above, corner])
        predicted = [0 * row, left, above, (left + above) // 2, paeth][y % 5]
        packed += bytes([y % 5]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(packed))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture(scope="module")
def node() -> Callable[..., subprocess.CompletedProcess[str]]:
    script = sample_with_packages("node") / "segment.mjs"
    return lambda *words: subprocess.run(["node", script, *words], capture_output=True, text=True, timeout=120)


def test_its_mask_is_pythons(node: Callable[..., subprocess.CompletedProcess[str]], case: Case, tmp_path: Path) -> None:
    for picture in case.pictures:
        mask = tmp_path / "mask.png"
        done = node(case.model, picture.path, mask)
        assert (done.returncode, done.stderr) == (0, ""), picture.path
        assert " ms, onnxruntime-node " in done.stdout
        assert differing(mask, picture) == 0, picture.path
        assert Image.open(mask).mode == "L"


def test_its_objects_are_pythons(
    node: Callable[..., subprocess.CompletedProcess[str]], objects_case: ObjectsCase, tmp_path: Path
) -> None:
    for picture, ids, _ in objects_case.found:
        target = tmp_path / "ids.png"
        done = node(objects_case.model, picture, target)
        assert (done.returncode, done.stderr) == (0, ""), picture
        found = np.asarray(Image.open(target))
        assert found.dtype == np.uint16 or Image.open(target).mode.startswith("I")
        assert found.shape == ids.shape
        assert f"{ids.max()} objects, " in done.stdout
        alone, apart = matched(found, ids)
        assert alone == 0
        assert apart <= ids.size / 50  # ties where objects meet


def test_a_model_of_objects_needs_its_growth(
    node: Callable[..., subprocess.CompletedProcess[str]], objects_case: ObjectsCase, tmp_path: Path
) -> None:
    def without_growth(proto: onnx.ModelProto) -> None:
        [place] = [at for at, entry in enumerate(proto.metadata_props) if entry.key == GROWTH_KEY]
        del proto.metadata_props[place]

    (tmp_path / "planes.onnx").write_bytes(resealed(objects_case.model, without_growth))
    done = node(tmp_path / "planes.onnx", objects_case.found[0][0], tmp_path / "ids.png")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "does not contain the model that grows them" in done.stderr
    assert not (tmp_path / "ids.png").exists()


@pytest.mark.parametrize("word", ["transparent", "uint16", "colour", "read"])
def test_a_picture_that_does_not_fit_is_one_line(
    node: Callable[..., subprocess.CompletedProcess[str]],
    make_case: Callable[[str], Case],
    bad_pictures: dict[str, Path],
    tmp_path: Path,
    word: str,
) -> None:
    done = node(make_case("grey").model, bad_pictures[word], tmp_path / "mask.png")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert word in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_model_that_does_not_fit_is_one_line(
    node: Callable[..., subprocess.CompletedProcess[str]],
    make_case: Callable[[str], Case],
    bad_models: dict[str, Path],
    tmp_path: Path,
) -> None:
    case = make_case("grey")
    picture = case.pictures[0].path
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(case.model.read_bytes()[:5000])
    for reason, model in {**bad_models, "not an ONNX file": picture, "cut short": cut}.items():
        done = node(model, picture, tmp_path / "mask.png")
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert reason in done.stderr
        assert not (tmp_path / "mask.png").exists()


def test_ctrl_c_ends_it_without_a_mask(make_case: Callable[[str], Case], tmp_path: Path) -> None:
    Image.fromarray(noise_image(1500, 1500, 1)[..., 0]).save(tmp_path / "large.png")
    script = sample_with_packages("node") / "segment.mjs"
    interrupted(["node", script, make_case("grey").model, tmp_path / "large.png", tmp_path / "mask.png"], tmp_path)


def test_a_png_of_16_bits_is_read_as_it_is(tmp_path: Path) -> None:
    """Each filter of its rows, each kind of channels."""
    pixels = noise_image(40, 30, 4, dtype="uint16")
    script = tmp_path / "read.mjs"
    script.write_text(f"""
        import {{ readFile }} from "node:fs/promises";
        import {{ readExact }} from "{SAMPLES / "pictures.mjs"}";
        for (const name of process.argv.slice(2)) {{
          const {{ data, width, height, channels }} = await readExact(await readFile(name), name);
          console.log(JSON.stringify([height, width, channels, Array.from(data)]));
        }}
    """)
    kinds, names = {0: 1, 4: 2, 2: 3, 6: 4}, []
    for kind, channels in kinds.items():
        names.append(tmp_path / f"{channels}.png")
        names[-1].write_bytes(png16(pixels[..., :channels], kind))
    done = subprocess.run(["node", script, *names], capture_output=True, text=True, check=True)
    for line, channels in zip(done.stdout.splitlines(), kinds.values(), strict=True):
        *shape, values = json.loads(line)
        assert (np.array(values).reshape(shape) == pixels[..., :channels]).all()


def test_it_leaves_no_identifier_in_an_empty_home(make_case: Callable[[str], Case], tmp_path: Path) -> None:
    """ONNX Runtime's telemetry would; in CI it is off by itself."""
    script = sample_with_packages("node") / "segment.mjs"
    home = tmp_path / "home"
    home.mkdir()
    case = make_case("rgb")
    words = ["node", script, case.model, case.pictures[0].path, tmp_path / "mask.png"]
    subprocess.run(words, env={"HOME": str(home), "PATH": os.environ["PATH"]}, check=True, capture_output=True)
    assert list(home.rglob("*")) == []
