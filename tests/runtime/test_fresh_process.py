from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.commands import in_a_fresh_process
from tests.support.images import noise_image

HEAVY = ("torch", "onnx", "onnxscript", "scipy")


def test_importing_loads_nothing_heavy() -> None:
    code = "import json, sys, seg_runtime; seg_runtime.Segmenter; print(json.dumps(list(sys.modules)))"
    loaded = in_a_fresh_process(code)
    assert "numpy" in loaded
    assert not {*HEAVY, "onnxruntime"} & set(loaded)


def test_the_command_line_starts_reading_the_model_before_anything_slow_is_imported() -> None:
    loaded = in_a_fresh_process("import json, sys, seg_runtime.cli.run; print(json.dumps(list(sys.modules)))")
    assert "seg_runtime.engine.providers" in loaded
    assert not {"numpy", "PIL", "ctypes", "importlib.metadata"} & set(loaded)


def test_segmenting_loads_neither_torch_nor_onnx_nor_scipy(model_file: Path) -> None:
    code = (
        "import json, sys, numpy as np\n"
        "from seg_runtime import Segmenter\n"
        "result = Segmenter(sys.argv[1])(np.zeros((70, 80, 3), np.uint8), probabilities=True)\n"
        "print(json.dumps({'modules': list(sys.modules), 'shape': result.labels.shape}))"
    )
    told = in_a_fresh_process(code, model_file)
    assert told["shape"] == [70, 80]
    assert "onnxruntime" in told["modules"]
    assert not set(HEAVY) & set(told["modules"])


def test_the_command_line_loads_neither_torch_nor_onnx_nor_scipy(model_file: Path, tmp_path: Path) -> None:
    Image.fromarray(noise_image(20, 20)).save(tmp_path / "a.png")
    code = (
        "import json, sys\n"
        "from seg_runtime.cli.run import main\n"
        "sys.stdout, out = sys.stderr, sys.stdout\n"
        "try:\n"
        "    main(['--model', sys.argv[1], '--out', sys.argv[2], '--overlay', sys.argv[2] + '/a.png'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "print(json.dumps(list(sys.modules)), file=out)"
    )
    assert not set(HEAVY) & set(in_a_fresh_process(code, model_file, tmp_path))
    assert np.asarray(Image.open(tmp_path / "a_mask.png")).shape == (20, 20)


def test_importing_has_no_side_effects() -> None:
    code = (
        "import json, logging, os, signal, sys, threading, warnings\n"
        "import numpy, PIL.Image, PIL.ImageFile\n"
        "def state():\n"
        "    return [sorted(os.environ.items()), logging.root.level, logging.root.manager.disable,\n"
        "            len(logging.root.handlers), threading.active_count(), len(warnings.filters),\n"
        "            PIL.Image.MAX_IMAGE_PIXELS, PIL.ImageFile.LOAD_TRUNCATED_IMAGES, str(numpy.geterr()),\n"
        "            str(signal.getsignal(signal.SIGINT)), sys.path, os.getcwd()]\n"
        "before = state()\n"
        "import seg_runtime, seg_runtime.batch.run, seg_runtime.answers.overlay, seg_runtime.cli\n"
        "print(json.dumps({'before': before, 'after': state()}))"
    )
    told = in_a_fresh_process(code)
    assert told["before"] == told["after"]


def test_segmenting_in_a_library_leaves_pillows_limit_alone(model_file: Path) -> None:
    code = (
        "import json, sys, numpy, PIL.Image\n"
        "before = PIL.Image.MAX_IMAGE_PIXELS\n"
        "from seg_runtime import Segmenter\n"
        "Segmenter(sys.argv[1])(numpy.zeros((4, 4, 3), 'uint8'))\n"
        "print(json.dumps({'same': before == PIL.Image.MAX_IMAGE_PIXELS}))"
    )
    assert in_a_fresh_process(code, model_file) == {"same": True}
