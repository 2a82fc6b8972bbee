from __future__ import annotations

import base64
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from socket import create_connection
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.hosts.chromium import Chromium, find_chromium
from tests.hosts.conftest import Case, ObjectsCase, differing, sample_with_packages
from tests.support.images import noise_image
from tests.support.tools import missing

IDLE = "document.body?.dataset.state !== undefined && document.body.dataset.state !== 'busy'"


SERVERS: list[subprocess.Popen[str]] = []


@contextmanager
def served(*words: object) -> Iterator[str]:
    """The sample's own server; gives the page's address."""
    script = sample_with_packages("browser") / "serve.mjs"
    command = ["node", script, "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        SERVERS.append(server)
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if not find_chromium():
        missing("chromium is not installed")
    sample_with_packages("browser")
    with Chromium(tmp_path_factory.mktemp("profile"), tmp_path_factory.mktemp("downloads")) as browser:
        yield browser


def saved_mask(browser: Chromium) -> Path:
    """Click on `Save the mask`; the file that the browser writes."""
    browser.click("#save")
    name = browser.event("Browser.downloadWillBegin")["suggestedFilename"]
    while (state := browser.event("Browser.downloadProgress")["state"]) == "inProgress":
        pass
    assert state == "completed"
    end = time.monotonic() + 10
    while not (browser.downloads / name).exists():
        assert time.monotonic() < end
    return browser.downloads / name


def test_its_mask_is_pythons(browser: Chromium, case: Case, tmp_path: Path) -> None:
    with served() as address:
        browser.open(address)
        browser.wait(IDLE)
        browser.choose_file("label[for=model]", case.model)
        browser.wait("document.body.dataset.state === 'ready' && !document.getElementById('picker').disabled")
        for picture in case.pictures:
            browser.choose_file("label[for=picker]", picture.path)
            browser.wait(f"{IDLE} && document.getElementById('image-name').innerText.startsWith('{picture.path.name}')")
            assert browser.js("document.body.dataset.state") == "ready", browser.text()
            mask = saved_mask(browser)
            assert differing(mask, picture) == 0, picture.path
            mask.unlink()
        assert browser.shown_colors("overlay") > 1
        assert browser.js("crossOriginIsolated")  # WASM may use threads
        assert browser.requested() <= {address}, "the page asked for something from elsewhere"
        assert not browser.complaints()


def test_it_shows_the_classes_of_objects(browser: Chromium, objects_case: ObjectsCase) -> None:
    with served(objects_case.model) as address:
        browser.open(address)
        browser.wait("document.body?.dataset.state === 'ready'")
        for picture, _, labels in objects_case.found:
            browser.choose_file("label[for=picker]", picture)
            browser.wait(f"{IDLE} && document.getElementById('image-name').innerText.startsWith('{picture.name}')")
            assert browser.js("document.body.dataset.state") == "ready", browser.text()
            found = np.asarray(Image.open(saved_mask(browser)))
            assert (found != labels).mean() < 0.02  # ties where objects meet, which may turn the vote of a small one


def test_a_served_model_is_loaded_at_once(browser: Chromium, make_case: Callable[[str], Case], tmp_path: Path) -> None:
    case = make_case("rgb")
    with served(case.model) as address:
        browser.open(address)
        browser.wait("document.body?.dataset.state === 'ready'")
        browser.choose_file("label[for=picker]", case.pictures[-1].path)
        browser.wait("!document.getElementById('result').hidden")
        browser.screenshot(tmp_path / "page.png")
        size = f"model.onnx, {case.model.stat().st_size / 1e6:.1f} MB"
        assert all(word in browser.text() for word in ("class 0", "class 2", "%", "Segmentation", " ms", size))
        other = make_case("grey")  # and another one takes its place
        browser.choose_file("label[for=model]", other.model)
        browser.wait("document.body.dataset.state === 'ready'")
        picture = other.pictures[1]
        browser.choose_file("label[for=picker]", picture.path)
        browser.wait(f"{IDLE} && document.getElementById('image-name').innerText.startsWith('{picture.path.name}')")
        assert differing(saved_mask(browser), picture) == 0
    assert len(np.unique(np.asarray(Image.open(tmp_path / "page.png")).reshape(-1, 3), axis=0)) > 1000


def test_what_does_not_fit_is_told_in_the_page(
    browser: Chromium,
    make_case: Callable[[str], Case],
    bad_pictures: dict[str, Path],
    bad_models: dict[str, Path],
) -> None:
    case = make_case("grey")
    with served(case.model) as address:
        browser.open(address)
        browser.wait("document.body?.dataset.state === 'ready'")
        for word, picture in bad_pictures.items():
            browser.choose_file("label[for=picker]", picture)
            browser.wait(f"document.querySelector('#message.error')?.innerText.includes('{word}')")
            assert browser.js("document.getElementById('result').hidden")
        for word, model in {**bad_models, "not an ONNX file": bad_pictures["read"]}.items():
            browser.choose_file("label[for=model]", model)
            browser.wait(f"document.querySelector('#message.error')?.innerText.includes('{word}')")
        browser.choose_file("label[for=picker]", case.pictures[1].path)  # and the page lives on
        browser.wait("!document.getElementById('result').hidden")


def test_cancel_ends_the_work_and_the_page_lives_on(
    browser: Chromium, make_case: Callable[[str], Case], tmp_path: Path
) -> None:
    case = make_case("grey")
    Image.fromarray(noise_image(1000, 1000, 1)[..., 0]).save(tmp_path / "large.png")  # 256 windows
    with served(case.model) as address:
        browser.open(address)
        browser.wait("document.body?.dataset.state === 'ready'")
        browser.choose_file("label[for=picker]", tmp_path / "large.png")
        browser.wait("document.getElementById('progress').value >= 2")
        assert browser.js("document.getElementById('progress').max") == 256
        browser.click("#cancel")
        browser.wait("document.body.dataset.state === 'ready'")
        assert "Cancelled." in browser.text()
        assert browser.js("document.getElementById('result').hidden")
        assert browser.js("document.getElementById('progress').value") < 256
        picture = case.pictures[1]
        browser.choose_file("label[for=picker]", picture.path)
        browser.wait("!document.getElementById('result').hidden")
        assert differing(saved_mask(browser), picture) == 0


def test_the_server_gives_the_page_alone_and_says_what_it_lacks(tmp_path: Path) -> None:
    with served() as address:
        for path in ("page.mjs", "worker.mjs", "pictures.mjs", "ort/ort.wasm.min.mjs"):
            assert urlopen(address + path).status == 200
        for path in (
            "serve.mjs",
            "package.json",
            "..%2f..%2fpyproject.toml",
            "ort/../../package.json",
            "ort/x%2f..%2fort.mjs",
        ):
            with pytest.raises(HTTPError, match="404"):
                urlopen(address + path)
    script = sample_with_packages("browser") / "serve.mjs"
    done = subprocess.run(["node", script, tmp_path / "none.onnx"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/none.onnx does not exist: name a file made by seg-export --host-ready\n"


def test_the_server_refuses_other_host_names() -> None:
    """A page elsewhere may point its own name to this machine (DNS rebinding)."""
    with served() as address:
        port = address.rstrip("/").rpartition(":")[2]
        for host, status in (("evil.example", 421), (f"localhost:{port}", 200), (f"127.0.0.1:{port}", 200)):
            connection = HTTPConnection("127.0.0.1", int(port))
            connection.request("GET", "/", headers={"Host": host})
            assert connection.getresponse().status == status, host
            connection.close()


def test_requests_that_nobody_reads_do_not_fill_the_memory(tmp_path: Path) -> None:
    large = tmp_path / "model.onnx"
    with large.open("wb") as file:
        file.truncate(100_000_000)
    with served(large) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        waiting = [create_connection(("127.0.0.1", port)) for _ in range(20)]
        for connection in waiting:
            connection.sendall(f"GET /model.onnx HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        for connection in waiting:
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
        status = Path(f"/proc/{SERVERS[-1].pid}/status").read_text()
        assert int(status.split("VmHWM:")[1].split()[0]) < 400_000  # KiB; all of them would have 2,000,000
        for connection in waiting:
            connection.close()


def test_decoded_pixels_are_the_files_own(browser: Chromium) -> None:
    pixels = noise_image(64, 48, 3)
    linear = PngImagePlugin.PngInfo()
    linear.add(b"gAMA", struct.pack(">I", 100_000))  # a colour-managed browser would brighten every grey value
    with served() as address:
        browser.open(address)
        browser.wait(IDLE)
        for info in (None, linear):
            file = BytesIO()
            Image.fromarray(pixels).save(file, "PNG", pnginfo=info)
            content = base64.b64encode(file.getvalue()).decode()
            answer = browser.js(f"""(async () => {{
                const {{ pixelsOf }} = await import("/page.mjs");
                const bytes = Uint8Array.from(atob("{content}"), (c) => c.charCodeAt());
                return Array.from((await pixelsOf(new File([bytes], "x.png"))).data);
            }})()""")
            assert (np.array(answer, np.uint8).reshape(64, 48, 4)[..., :3] == pixels).all()
