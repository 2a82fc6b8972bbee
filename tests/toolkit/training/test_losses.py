from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from seg_runtime.model import OutputInfo
from seg_toolkit.training.losses import SSIM_REACH_PX, VALUE_LOSSES, dice_loss, weighted_cross_entropy
from skimage.metrics import structural_similarity

LOGITS = torch.tensor([[[[0.0, 2.0]], [[math.log(3.0), 2.0]]]])  # (1, 2, 1, 2): probabilities (1/4, 3/4), (1/2, 1/2)


def test_weighted_cross_entropy_by_hand() -> None:
    # pixel 0 is class 0: ln 4, weight 3; pixel 1 is class 1: ln 2, weight 1
    loss = weighted_cross_entropy(LOGITS, torch.tensor([[[0, 1]]]), torch.tensor([[[3.0, 1.0]]]))
    assert float(loss) == pytest.approx((3 * math.log(4) + math.log(2)) / 4, rel=1e-6)


def test_scale_of_the_weights_does_not_matter() -> None:
    labels, weights = torch.tensor([[[0, 1]]]), torch.tensor([[[3.0, 1.0]]])
    torch.testing.assert_close(
        weighted_cross_entropy(LOGITS, labels, weights), weighted_cross_entropy(LOGITS, labels, 100 * weights)
    )


def test_pixels_of_weight_zero_do_not_count() -> None:
    loss = weighted_cross_entropy(LOGITS, torch.tensor([[[0, 1]]]), torch.tensor([[[0.0, 5.0]]]))
    assert float(loss) == pytest.approx(math.log(2), rel=1e-6)


def test_pixels_of_weight_zero_have_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    weighted_cross_entropy(logits, torch.tensor([[[0, 1]]]), torch.tensor([[[0.0, 5.0]]])).backward()
    assert logits.grad is not None
    assert not logits.grad[..., 0].any()
    assert logits.grad[..., 1].any()


def test_no_weight_at_all_gives_zero() -> None:
    assert float(weighted_cross_entropy(LOGITS, torch.tensor([[[0, 1]]]), torch.zeros(1, 1, 2))) == 0


def test_half_precision_logits_are_judged_in_float32() -> None:
    loss = weighted_cross_entropy(LOGITS.half(), torch.tensor([[[0, 1]]]), torch.ones(1, 1, 2))
    assert loss.dtype == torch.float32


def certain(labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot(labels, 2).movedim(-1, 1) * 100.0 - 50.0


def test_dice_loss_of_the_truth_is_zero() -> None:
    labels = torch.randint(0, 2, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    assert float(dice_loss(certain(labels), labels)) == pytest.approx(0, abs=1e-6)


def test_dice_loss_of_the_opposite_is_nearly_one() -> None:
    labels = torch.zeros(1, 10, 10, dtype=torch.int64)
    labels[:, :5] = 1
    # per class: no overlap, 50 + 50 px, one px of smoothing
    assert float(dice_loss(certain(1 - labels), labels)) == pytest.approx(1 - 1 / 101, rel=1e-6)


def test_dice_loss_by_hand() -> None:
    # class 0: 2 · (1/4) / (3/4 + 1), class 1: 2 · (1/2) / (5/4 + 1)
    loss = dice_loss(LOGITS, torch.tensor([[[0, 1]]]), smooth=0.0)
    assert float(loss) == pytest.approx(1 - (2 / 7 + 4 / 9) / 2, rel=1e-6)


def test_absent_class_that_is_not_predicted_costs_nothing() -> None:
    labels = torch.zeros(1, 6, 6, dtype=torch.int64)
    assert float(dice_loss(certain(labels), labels)) == pytest.approx(0, abs=1e-6)


def test_dice_loss_leaves_out_unknown_pixels() -> None:
    logits = torch.tensor([[[[9.0, -9.0]], [[-9.0, 9.0]]]])  # (1, 2, 1, 2): the first pixel 0, the second 1
    labels = torch.tensor([[[0, 0]]])
    known = torch.tensor([[[True, False]]])
    assert float(dice_loss(logits, labels)) > 0.2
    assert float(dice_loss(logits, labels, known=known)) < 1e-3


OUTPUTS = (OutputInfo("a", 100.0, 20.0, 0.0, 400.0), OutputInfo("b", -1.0, 0.25, -2.0, 0.0))
OF_RANGE = ((100 / 400, -1 / 2), (20 / 400, 0.25 / 2))  # their offsets and scales as shares of their ranges
l1, l2, ssim = (VALUE_LOSSES[name] for name in ("l1", "l2", "ssim"))


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32))


def test_l1_and_l2_by_hand() -> None:
    answer, truth = torch.tensor([[[[1.0, 2.0, 3.0]]]]), torch.tensor([[[[1.0, 0.0, 6.0]]]])
    everywhere, first_two = torch.ones(1, 1, 3), torch.tensor([[[1.0, 1.0, 0.0]]])
    assert l1(answer, truth, everywhere, (), ()).item() == pytest.approx(5 / 3)
    assert l2(answer, truth, everywhere, (), ()).item() == pytest.approx(13 / 3)
    assert l1(answer, truth, first_two, (), ()).item() == pytest.approx(1)
    assert l2(answer, truth, first_two, (), ()).item() == pytest.approx(2)


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
    found = ssim(answer.double(), truth.double(), torch.ones(1, *shape).double(), *OF_RANGE)
    assert 0.2 < np.mean(wanted) < 0.999
    assert 1 - found.item() == pytest.approx(np.mean(wanted), abs=1e-4)


def test_ssim_of_the_truth_is_1_and_falls_with_noise() -> None:
    truth, ones = drawn(1, 2, 30, 30), torch.ones(1, 30, 30)
    losses = [ssim(truth + noise * drawn(1, 2, 30, 30, seed=1), truth, ones, *OF_RANGE).item() for noise in (0, 0.2, 1)]
    assert losses[0] == pytest.approx(0, abs=1e-6)
    assert losses[0] < losses[1] < losses[2]


def test_a_pixel_of_no_weight_does_not_count_by_itself() -> None:
    truth = drawn(1, 2, 30, 30)
    answer = truth.clone()
    answer[..., :15] += 1
    weights = torch.ones(1, 30, 30)
    weights[..., : 15 + SSIM_REACH_PX] = 0  # nor any window that reaches into them
    assert ssim(answer, truth, weights, *OF_RANGE).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", VALUE_LOSSES)
def test_every_loss_can_be_followed_down(name: str) -> None:
    truth, ones = drawn(1, 2, 24, 24), torch.ones(1, 24, 24)
    answer = drawn(1, 2, 24, 24, seed=1).requires_grad_()
    optimizer = torch.optim.Adam([answer], lr=0.05)
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = VALUE_LOSSES[name](answer, truth, ones, *OF_RANGE)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.5 * values[0]
