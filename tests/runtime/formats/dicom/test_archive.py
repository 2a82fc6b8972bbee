"""A real archive, Orthanc, takes a DICOM SEG by DICOMweb STOW and gives it back unchanged by WADO."""

from __future__ import annotations

import email.parser
import email.policy
import io
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.formats.dicom.conftest import SegRun
from tests.support.commands import ok
from tests.support.dicom import write_series
from tests.support.dicom_readers import by_highdicom
from tests.support.models import Made
from tests.support.tools import missing

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
SECONDS = 40


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DICOMweb address of an Orthanc with its own folder and port, ended with the tests."""
    program = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None or not PLUGIN.exists():
        missing("Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)")
    folder = tmp_path_factory.mktemp("orthanc")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "StorageDirectory": str(folder), "IndexDirectory": str(folder), "Plugins": [str(PLUGIN)], "HttpPort": port,
        "HttpBindAddresses": ["127.0.0.1"], "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "DicomServerEnabled": False, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program, folder / "orthanc.json"], stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(SECONDS * 5):
            try:
                urllib.request.urlopen(f"{address}/dicom-web/studies", timeout=2).read()
                break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.2)
        else:
            pytest.fail((folder / "log").read_text())
        yield f"{address}/dicom-web/studies"
    finally:
        server.terminate()
        server.wait(20)


def stow(archive: str, files: list[Path]) -> None:
    edge = b"part-of-the-study"
    parts = [b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (edge, f.read_bytes()) for f in files]
    kind = f'multipart/related; type="application/dicom"; boundary={edge.decode()}'
    body = b"".join(parts) + b"--%s--\r\n" % edge
    request = urllib.request.Request(archive, body, {"Content-Type": kind, "Accept": "application/dicom+json"})
    answer = json.load(urllib.request.urlopen(request, timeout=SECONDS))
    assert not answer.get("00081198", {}).get("Value"), answer  # Failed SOP Sequence


def wado(address: str) -> bytes:
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    with urllib.request.urlopen(urllib.request.Request(address, headers={"Accept": accept}), timeout=SECONDS) as answer:
        head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + answer.read())
    (part,) = message.iter_parts()
    return bytes(part.get_payload(decode=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["binary", "labelmap"])
def test_it_comes_back_unchanged(tmp_path: Path, archive: str, ct_model: Made, seg_run: SegRun, form: str) -> None:
    import pydicom

    files = write_series(tmp_path / "study", [(0, 0, z) for z in (5, 0, 10)])
    ok(seg_run(ct_model, tmp_path / "study", "--dicom-seg", form))
    sent = tmp_path / "out" / "study_seg.dcm"
    stow(archive, [*files, sent, sent])  # a second time, as a retry does
    it = pydicom.dcmread(sent)
    place = f"{archive}/{it.StudyInstanceUID}/series/{it.SeriesInstanceUID}/instances"
    with urllib.request.urlopen(urllib.request.Request(place, headers={"Accept": "application/dicom+json"})) as answer:
        assert len(json.load(answer)) == 1
    (tmp_path / "back.dcm").write_bytes(wado(f"{place}/{it.SOPInstanceUID}"))
    back = pydicom.dcmread(io.BytesIO((tmp_path / "back.dcm").read_bytes()))
    assert back == it
    assert back.PixelData == it.PixelData
    np.testing.assert_array_equal(by_highdicom(tmp_path / "back.dcm", files), by_highdicom(sent, files))
