"""Other ways to run the network: int8 of ONNX Runtime, PyTorch, OpenVINO, MONAI. Install them with constraints-bench.txt."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from seg_runtime.answers import answer_of
from seg_runtime.model import Contract
from seg_runtime.pipeline import Array, Float, Normaliser, cut
from seg_runtime.segmenter import Progress

from .speed_forms import OURS, PLAIN, Bench, Form, Labels, MissingError, Running, bare, by_windows, plain_export


def checkpoint_file(bench: Bench) -> Path:
    """Path of the checkpoint for the PyTorch forms."""
    return bench.folder / "checkpoint.pt"


def quantized(bench: Bench) -> Path:
    """Static int8 of the plain graph by the tool of ONNX Runtime: QDQ, u8 activations, s8 weights per channel, other defaults."""

    def content() -> bytes:
        from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
        from seg_export.pictures import pictures
        from seg_export.proof import image_windows

        class Windows(CalibrationDataReader):  # type: ignore[misc]
            def __init__(self) -> None:
                self.windows: Iterator[Float] = image_windows(
                    pictures(bench.calibration, bench.contract), bench.contract, 1
                )

            def get_next(self) -> dict[str, Float] | None:
                window = next(self.windows, None)
                return None if window is None else {"image": window}

        target = bench.folder / "unfinished.onnx"
        logging.disable(logging.WARNING)  # it recommends a preprocessing that does not change this graph
        try:
            quantize_static(
                str(plain_export(bench)), str(target), Windows(), per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            )  # fmt: skip
        finally:
            logging.disable(logging.NOTSET)
        made = target.read_bytes()
        target.unlink()
        return made

    return bench.file("plain-int8.onnx", content)


def _network(path: Path, threads: int, channels_last: bool) -> Any:
    """Load the PyTorch module of a checkpoint, window tensor -> logits tensor."""
    import torch
    from seg_toolkit.checkpoints import load

    torch.set_num_threads(threads)
    model = load(path).build()
    return model.to(memory_format=torch.channels_last) if channels_last else model  # type: ignore[call-overload]


def _torch(channels_last: bool = False, compiled: bool = False) -> Callable[[Path, Contract, int], Running]:
    """PyTorch on the CPU, in the given memory layout."""

    def opened(path: Path, contract: Contract, threads: int) -> Running:
        import torch

        model = _network(path, threads, channels_last)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        if compiled:
            if not any(map(shutil.which, ("g++", "clang++"))):
                raise MissingError("needs a C++ compiler")
            model = torch.compile(model)

        @torch.inference_mode()
        def infer(window: Float) -> Float:
            answer: Float = model(torch.from_numpy(window).contiguous(memory_format=layout)).numpy()
            return answer

        return by_windows(infer, contract)

    return opened


def _torch_cuda(path: Path, contract: Contract, threads: int) -> Running:
    """Compiled PyTorch in fp16 on CUDA, the baseline of the fp16 form."""
    import torch

    if not torch.cuda.is_available():
        raise MissingError("needs CUDA")
    model = torch.compile(_network(path, threads, channels_last=True).half().cuda())

    @torch.inference_mode()
    def infer(window: Float) -> Float:
        x = torch.from_numpy(window).cuda().half().contiguous(memory_format=torch.channels_last)
        answer: Float = model(x).float().cpu().numpy()
        return answer

    return by_windows(infer, contract)


def _openvino(precision: str) -> Callable[[Path, Contract, int], Running]:
    """OpenVINO on an ONNX file, with explicit float precision, because the default on some processors is bf16."""

    def opened(path: Path, contract: Contract, threads: int) -> Running:
        import openvino

        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise MissingError("this processor has no bf16")
        settings = {
            "INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
        }  # fmt: skip
        request = core.compile_model(str(path), "CPU", settings).create_infer_request()

        def infer(window: Float) -> Float:
            answer: Float = np.array(request.infer({"image": window})["logits"])  # OpenVINO reuses its buffer
            return answer

        return by_windows(infer, contract)

    return opened


def _monai(path: Path, contract: Contract, threads: int) -> Running:
    """MONAI's `SlidingWindowInferer` in its best configuration for this network.

    MONAI expects an output as large as the window, which valid convolutions do not give. So the whole image is mirrored by
    the margin first, the output of a window is padded with zeros to 572 px, and the weight map of MONAI is 1 in the centre
    of 388 px and 0 around it. The step is 384 px, which gives the same number of windows and the same labels as seg-edge.
    With the default overlap of 0.25 and windows of 388 px, it would run 1.7 times as many windows. The network is PyTorch in
    channels_last, the faster layout.
    """
    import torch
    from monai.inferers import SlidingWindowInferer

    model = _network(path, threads, channels_last=True)
    size, out, margin = contract.geometry.input_shape, contract.geometry.output_shape, contract.geometry.margin
    overlap = [
        1 - (step + 0.5) / n for step, n in zip(contract.geometry.step, size, strict=True)
    ]  # MONAI rounds the step down
    inferer = SlidingWindowInferer(size, sw_batch_size=1, overlap=overlap)
    ring = (margin[1], margin[1], margin[0], margin[0])
    inferer.roi_weight_map = torch.nn.functional.pad(torch.ones(1, 1, *out), ring)

    def window(x: Any) -> Any:
        return torch.nn.functional.pad(model(x.contiguous(memory_format=torch.channels_last)), ring)

    @torch.inference_mode()
    def labels(image: Array, progress: Progress | None) -> Labels:
        shape = image.shape[:-1]
        # up to the end of the last window, or MONAI would move it back to the image edge, out of phase with the poolings
        whole = [
            -(-max(0, n - o) // s) * s + i for n, o, s, i in zip(shape, out, contract.geometry.step, size, strict=True)
        ]
        mirrored = cut(image, tuple(-m for m in margin), tuple(whole))
        values = np.moveaxis(Normaliser.of(image, contract.input.intensity)(mirrored), -1, 0)[None]
        logits = inferer(torch.from_numpy(np.ascontiguousarray(values)), window)
        centre = logits[0, :, margin[0] : margin[0] + shape[0], margin[1] : margin[1] + shape[1]]
        return answer_of(contract).window(centre.numpy())

    return Running(labels)


PEERS = (
    Form("plain-int8", "plain torch export, ONNX Runtime int8", quantized, bare),
    Form("torch", "torch eager", checkpoint_file, _torch()),
    Form("torch-last", "torch channels_last", checkpoint_file, _torch(channels_last=True)),
    Form("torch-compile", "torch.compile, channels_last", checkpoint_file, _torch(channels_last=True, compiled=True)),
    Form("torch-cuda", "torch.compile, channels_last, fp16 on CUDA", checkpoint_file, _torch_cuda),
    Form("openvino", "OpenVINO fp32", plain_export, _openvino("f32"), "openvino"),
    Form("openvino-bf16", "OpenVINO bf16", plain_export, _openvino("bf16"), "openvino"),
    Form("openvino-int8", "OpenVINO int8, ONNX Runtime's int8 file", quantized, _openvino("f32"), "openvino"),
    Form("monai", "MONAI SlidingWindowInferer, torch channels_last", checkpoint_file, _monai, "monai", only="large"),
)
FORMS = {form.key: form for form in (*OURS, PLAIN, *PEERS)}
"""All forms by key."""
