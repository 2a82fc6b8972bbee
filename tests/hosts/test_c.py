from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
from PIL import Image

from tests.hosts.conftest import Case, differing
from tests.support.places import SAMPLES
from tests.support.tools import missing

Segment = Callable[..., "subprocess.CompletedProcess[str]"]
CHECKED = (
    "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all"  # leaks, overruns and overflows end the program
)


def libraries() -> list[Path]:
    """ONNX Runtime's shared libraries at hand: of the Python wheel, and of the npm package where it is installed."""
    npm = SAMPLES / "node/node_modules/onnxruntime-node/bin/napi-v6/linux/x64"
    wheel = Path(onnxruntime.__file__).parent / "capi"
    return [*wheel.glob("libonnxruntime.so*"), *npm.glob("libonnxruntime.so*")]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, compiled by its own Makefile with the compiler's checks of memory and arithmetic."""
    for tool in ("cc", "make"):
        if not shutil.which(tool):
            missing(f"{tool} is not installed")
    if not libraries():
        missing("neither the onnxruntime wheel nor the npm package has a shared library for this machine")
    made = tmp_path_factory.mktemp("c") / "segment"
    make = ["make", "-C", str(SAMPLES / "c"), f"OUT={made}", f"CFLAGS={CHECKED}"]
    done = subprocess.run(make, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def segment(program: Path) -> Segment:
    def run(library: Path, *words: object) -> subprocess.CompletedProcess[str]:
        # the npm package's library leaves 14 bytes of its own behind; the wheel's leaves nothing, and neither must we
        leaks = int("node_modules" not in str(library))
        checks = {"ASAN_OPTIONS": f"detect_leaks={leaks}:allocator_may_return_null=1"}
        command = [program, library, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | checks)

    return run


def as_pnm(picture: Path, folder: Path) -> Path:
    target = folder / f"{picture.stem}.ppm"
    Image.open(picture).save(target)  # PGM or PPM, as the picture is
    return target


@pytest.mark.parametrize("library", libraries(), ids=lambda path: path.name)
def test_its_mask_is_pythons(segment: Segment, case: Case, library: Path, tmp_path: Path) -> None:
    for picture, labels in case.pictures:
        mask = tmp_path / "mask.pgm"
        done = segment(library, case.model, as_pnm(picture, tmp_path), mask)
        assert (done.returncode, done.stderr) == (0, ""), picture
        assert " ms, onnxruntime 1." in done.stdout
        assert differing(mask, labels) == 0, picture


def test_grey_goes_into_an_rgb_model(segment: Segment, make_case: Callable[[str], Case], tmp_path: Path) -> None:
    library = libraries()[0]
    for picture, labels in make_case("grey").pictures[1:3]:
        tripled = tmp_path / "tripled.ppm"
        Image.open(picture).convert("RGB").save(tripled)
        segment(library, make_case("grey").model, tripled, tmp_path / "mask.pgm").check_returncode()
        assert differing(tmp_path / "mask.pgm", labels) == 0
        one, three = tmp_path / "one.pgm", tmp_path / "three.pgm"
        segment(library, make_case("rgb").model, as_pnm(picture, tmp_path), one).check_returncode()
        segment(library, make_case("rgb").model, tripled, three).check_returncode()
        assert one.read_bytes() == three.read_bytes()


def test_every_trouble_is_one_line(segment: Segment, make_case: Callable[[str], Case], tmp_path: Path) -> None:
    case, library = make_case("grey"), libraries()[0]
    picture = as_pnm(case.pictures[1][0], tmp_path)
    whole = picture.read_bytes()
    bad = {
        "cut.pgm": whole[:-1],
        "deep.pgm": whole.replace(b"255", b"65535", 1),
        "huge.pgm": b"P5 999999 999999 255\n",
        "none.pgm": b"P5 0 7 255\n",
        "endless.pgm": b"P5 #",
        "other.pgm": b"P4 1 1\n0",
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    Image.new("RGB", (5, 4), (1, 2, 3)).save(tmp_path / "colour.ppm")
    mask = tmp_path / "out.pgm"
    calls = [(library, case.model, tmp_path / name, mask) for name in (*bad, "colour.ppm", "absent.pgm")]
    calls += [(picture, case.model, picture, mask), (library, picture, picture, mask)]
    calls += [(library, case.window_model, picture, mask), (library, case.model, picture, tmp_path / "no" / "mask")]
    for words in calls:
        done = segment(*words)
        assert done.returncode == 1, words
        assert done.stderr.startswith("error: "), words
        assert done.stderr.count("\n") == 1, done.stderr
        assert not mask.exists()
    assert segment(library).returncode == 2


def test_a_planted_link_is_not_followed(segment: Segment, case: Case, tmp_path: Path) -> None:
    """Neither one with the name of the temporary file nor one in the mask's place."""
    Image.new("RGB", (20, 30), (9, 9, 9)).save(tmp_path / "a.ppm")
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    for name in ("mask.pgm", "mask.pgm.partial"):
        (tmp_path / name).symlink_to(precious)
    done = segment(libraries()[0], case.model, tmp_path / "a.ppm", tmp_path / "mask.pgm")
    assert done.returncode == 0, done.stderr
    assert precious.read_bytes() == b"mine"
    assert not (tmp_path / "mask.pgm").is_symlink()


@pytest.mark.parametrize("library", libraries(), ids=lambda path: path.name)
def test_it_leaves_no_identifier_in_an_empty_home(program: Path, case: Case, library: Path, tmp_path: Path) -> None:
    """ONNX Runtime's telemetry would; in CI it is off by itself."""
    Image.new("RGB", (20, 30), (9, 9, 9)).save(tmp_path / "a.ppm")
    home = tmp_path / "home"
    home.mkdir()
    words = [program, library, case.model, tmp_path / "a.ppm", tmp_path / "mask.pgm"]
    subprocess.run(words, env={"HOME": str(home), "ASAN_OPTIONS": "detect_leaks=0"}, check=True, capture_output=True)
    assert list(home.rglob("*")) == []
