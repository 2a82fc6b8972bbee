from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
from PIL import Image
from seg_runtime.model import sealed

from tests.hosts.conftest import Case, ObjectsCase, differing, interrupted
from tests.support.images import noise_image
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
    if picture.suffix == ".pfm":
        return picture
    target = folder / f"{picture.stem}.ppm"
    Image.open(picture).save(target)  # PGM or PPM, as the picture is
    return target


@pytest.mark.parametrize("library", libraries(), ids=lambda path: path.name)
def test_its_mask_is_pythons(segment: Segment, case: Case, library: Path, tmp_path: Path) -> None:
    for picture in case.pictures:
        mask = tmp_path / "mask.pgm"
        done = segment(library, case.model, as_pnm(picture.path, tmp_path), mask)
        assert (done.returncode, done.stderr) == (0, ""), picture.path
        assert " ms, onnxruntime 1." in done.stdout
        assert differing(mask, picture) == 0, picture.path


def test_grey_goes_into_an_rgb_model(segment: Segment, make_case: Callable[[str], Case], tmp_path: Path) -> None:
    library = libraries()[0]
    for picture in make_case("grey").pictures[1:3]:
        tripled = tmp_path / "tripled.ppm"
        Image.open(picture.path).convert("RGB").save(tripled)
        segment(library, make_case("grey").model, tripled, tmp_path / "mask.pgm").check_returncode()
        assert differing(tmp_path / "mask.pgm", picture) == 0
        one, three = tmp_path / "one.pgm", tmp_path / "three.pgm"
        segment(library, make_case("rgb").model, as_pnm(picture.path, tmp_path), one).check_returncode()
        segment(library, make_case("rgb").model, tripled, three).check_returncode()
        assert one.read_bytes() == three.read_bytes()


def test_every_trouble_is_one_line_that_says_the_cause(
    segment: Segment, make_case: Callable[[str], Case], bad_models: dict[str, Path], tmp_path: Path
) -> None:
    case, library = make_case("grey"), libraries()[0]
    picture = as_pnm(case.pictures[1].path, tmp_path)
    whole = picture.read_bytes()
    bad = {
        "cut.pgm": (whole[:-1], "is cut short"),
        "deep.pgm": (whole.replace(b"255", b"65535", 1), "is cut short"),
        "twelve.pgm": (whole.replace(b"255", b"4095", 1), "has the maximum 4095; expected 255 or 65535"),
        "huge.pgm": (b"P5 999999 999999 255\n", "memory"),
        "none.pgm": (b"P5 0 7 255\n", "no valid size"),
        "endless.pgm": (b"P5 #", "no valid size"),
        "other.pgm": (b"P4 1 1\n0", "is not a PGM, PPM or PFM"),
        "scale.pfm": (b"Pf 1 1\n0\n1234", "is cut short"),
        "empty.pgm": (b"", "is empty"),
        "colour.ppm": (b"P6 1 1 255\n123", "is in colour, the model was trained on grey"),
        "sixteen.pgm": (b"P5 1 1 65535\n12", "has uint16 grey values, the model takes uint8"),
        "float.pfm": (b"Pf 1 1 -1\n1234", "has float32 grey values, the model takes uint8"),
    }
    for name, (content, _) in bad.items():
        (tmp_path / name).write_bytes(content)
    mask = tmp_path / "out.pgm"
    calls = [((library, case.model, tmp_path / name, mask), words) for name, (_, words) in bad.items()]
    calls += [((library, model, picture, mask), words) for words, model in bad_models.items()]
    calls += [
        ((library, case.model, tmp_path / "absent.pgm", mask), "No such file"),
        ((library, case.model, tmp_path, mask), "Is a directory"),
        ((library, tmp_path, picture, mask), "Is a directory"),
        ((picture, case.model, picture, mask), "is not ONNX Runtime's library"),
        ((library, tmp_path / "absent.onnx", picture, mask), "absent.onnx cannot be opened"),
        ((library, picture, picture, mask), "does not end with its digest"),
        ((library, make_case("float").model, picture, mask), "has uint8 grey values, the model takes float32"),
        ((library, case.model, picture, tmp_path / "no" / "mask"), "No such file"),
    ]
    for command, words in calls:
        done = segment(*command)
        assert done.returncode == 1, command
        assert done.stderr.startswith("error: "), command
        assert done.stderr.count("\n") == 1, done.stderr
        assert words in done.stderr
        assert not mask.exists()
    assert segment(library).returncode == 2


def test_a_model_of_objects_is_refused(segment: Segment, objects_case: ObjectsCase, tmp_path: Path) -> None:
    picture = as_pnm(objects_case.found[0][0], tmp_path)
    done = segment(libraries()[0], objects_case.model, picture, tmp_path / "mask")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {objects_case.model} separates objects, this program only writes labels: use samples/node\n"
    )
    assert not (tmp_path / "mask").exists()


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 119, 1000])
def test_the_digest_is_right_for_any_length(program: Path, tmp_path: Path, size: int) -> None:
    """ONNX Runtime is asked only after the digest is found to be right."""
    (tmp_path / "m.onnx").write_bytes(sealed(bytes(i % 251 for i in range(size))))
    words = [program, libraries()[0], tmp_path / "m.onnx", "none", "none"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    assert "digest" not in done.stderr
    assert "error: ONNX Runtime 1." in done.stderr


def test_ctrl_c_ends_it_without_a_mask(program: Path, make_case: Callable[[str], Case], tmp_path: Path) -> None:
    Image.fromarray(noise_image(1500, 1500, 1)[..., 0]).save(tmp_path / "large.pgm")
    command = [program, libraries()[0], make_case("grey").model, tmp_path / "large.pgm", tmp_path / "mask.pgm"]
    interrupted(command, tmp_path)


@pytest.mark.parametrize(
    "compiler", ["g++ -std=c++11", "g++ -std=c++20", "cc -std=c11", "cc -std=c11 -D_WIN32 -D__stdcall="]
)
def test_the_header_is_also_for_other_compilers(compiler: str) -> None:
    command = [*compiler.split(), "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", f"-I{SAMPLES / 'c'}"]
    if not shutil.which(command[0]):
        missing(f"{command[0]} is not installed")
    code = '#include "ort_subset.h"\nint main(void) { return sizeof(OrtApi) == 101 * sizeof(void *) ? 0 : 1; }\n'
    language = "c++" if "++" in compiler else "c"
    done = subprocess.run([*command, "-x", language, "-"], input=code, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_planted_link_is_not_followed(segment: Segment, make_case: Callable[[str], Case], tmp_path: Path) -> None:
    """Neither one with the name of the temporary file nor one in the mask's place."""
    Image.new("RGB", (20, 30), (9, 9, 9)).save(tmp_path / "a.ppm")
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    for name in ("mask.pgm", "mask.pgm.partial"):
        (tmp_path / name).symlink_to(precious)
    done = segment(libraries()[0], make_case("rgb").model, tmp_path / "a.ppm", tmp_path / "mask.pgm")
    assert done.returncode == 0, done.stderr
    assert precious.read_bytes() == b"mine"
    assert not (tmp_path / "mask.pgm").is_symlink()


@pytest.mark.parametrize("library", libraries(), ids=lambda path: path.name)
def test_it_leaves_no_identifier_in_an_empty_home(
    program: Path, make_case: Callable[[str], Case], library: Path, tmp_path: Path
) -> None:
    """ONNX Runtime's telemetry would; in CI it is off by itself."""
    Image.new("RGB", (20, 30), (9, 9, 9)).save(tmp_path / "a.ppm")
    home = tmp_path / "home"
    home.mkdir()
    words = [program, library, make_case("rgb").model, tmp_path / "a.ppm", tmp_path / "mask.pgm"]
    subprocess.run(words, env={"HOME": str(home), "ASAN_OPTIONS": "detect_leaks=0"}, check=True, capture_output=True)
    assert list(home.rglob("*")) == []
