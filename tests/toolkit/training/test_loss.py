from __future__ import annotations

import math

import pytest
import torch
from seg_toolkit.training.loss import dice_loss, weighted_cross_entropy

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
