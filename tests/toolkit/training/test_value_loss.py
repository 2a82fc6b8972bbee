from __future__ import annotations

import numpy as np
import pytest
import torch
from seg_runtime.model.answer import OutputInfo
from seg_toolkit.training.value_loss import LOSSES, REACH_PX, l1, l2, ssim
from skimage.metrics import structural_similarity

OUTPUTS = (OutputInfo("a", 100.0, 20.0, 0.0, 400.0), OutputInfo("b", -1.0, 0.25, -2.0, 0.0))


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32))


def test_l1_and_l2_by_hand() -> None:
    answer, truth = torch.tensor([[[[1.0, 2.0, 3.0]]]]), torch.tensor([[[[1.0, 0.0, 6.0]]]])
    everywhere, first_two = torch.ones(1, 1, 3), torch.tensor([[[1.0, 1.0, 0.0]]])
    assert l1(answer, truth, everywhere, OUTPUTS[:1]).item() == pytest.approx(5 / 3)
    assert l2(answer, truth, everywhere, OUTPUTS[:1]).item() == pytest.approx(13 / 3)
    assert l1(answer, truth, first_two, OUTPUTS[:1]).item() == pytest.approx(1)
    assert l2(answer, truth, first_two, OUTPUTS[:1]).item() == pytest.approx(2)


@pytest.mark.parametrize("shape", [(40, 52), (18, 20, 16)])
def test_ssim_is_scikit_images(shape: tuple[int, ...]) -> None:
    truth = drawn(1, 2, *shape).cumsum(-1) * 0.3
    answer = truth + 0.3 * drawn(1, 2, *shape, seed=1)
    wanted = []
    for i, o in enumerate(OUTPUTS):
        x, y = (part[0, i].double().numpy() * o.scale + o.offset for part in (truth, answer))
        wanted.append(
            structural_similarity(
                x, y, data_range=o.high - o.low, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
            )
        )
    found = ssim(answer.double(), truth.double(), torch.ones(1, *shape).double(), OUTPUTS)
    assert 0.2 < np.mean(wanted) < 0.999
    assert 1 - found.item() == pytest.approx(np.mean(wanted), abs=1e-4)


def test_ssim_of_the_truth_is_1_and_falls_with_noise() -> None:
    truth, ones = drawn(1, 2, 30, 30), torch.ones(1, 30, 30)
    losses = [ssim(truth + noise * drawn(1, 2, 30, 30, seed=1), truth, ones, OUTPUTS).item() for noise in (0, 0.2, 1)]
    assert losses[0] == pytest.approx(0, abs=1e-6)
    assert losses[0] < losses[1] < losses[2]


def test_a_pixel_of_no_weight_does_not_count_by_itself() -> None:
    truth = drawn(1, 2, 30, 30)
    answer = truth.clone()
    answer[..., :15] += 1
    weights = torch.ones(1, 30, 30)
    weights[..., : 15 + REACH_PX] = 0  # nor any window that reaches into them
    assert ssim(answer, truth, weights, OUTPUTS).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_can_be_followed_down(name: str) -> None:
    truth, ones = drawn(1, 2, 24, 24), torch.ones(1, 24, 24)
    answer = drawn(1, 2, 24, 24, seed=1).requires_grad_()
    optimizer = torch.optim.Adam([answer], lr=0.05)
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = LOSSES[name](answer, truth, ones, OUTPUTS)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.5 * values[0]
