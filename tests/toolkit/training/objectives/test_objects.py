"""Objects in the toolkit: their targets, loss, scores and thresholds, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from seg_runtime.model import Geometry, LabelSpec, ObjectSpec
from seg_toolkit.checkpoints import load
from seg_toolkit.data import Augmentation, Example
from seg_toolkit.networks import KeptMap, torch_infer
from seg_toolkit.networks.unet import UNet
from seg_toolkit.options import Settings
from seg_toolkit.planning.statistics import ObjectStatistics
from seg_toolkit.training.objectives.objects import ObjectObjective, climbed
from seg_toolkit.training.windows import WindowStream

from tests.support.commands import error_of, ok, seg_edge, seg_train
from tests.support.contracts import TWO
from tests.support.folders import cases_of
from tests.support.images import noise_image, put
from tests.support.touching import discs, of_objects, write_touching

TINY = [
    "--width", "4", "--depth", "2", "--input-size", "60", "--steps", "2", "--workers", "0", "--device", "cpu",
]  # fmt: skip


def objective(separation: str, **changes: object) -> ObjectObjective:
    return ObjectObjective(of_objects(separation, **changes), (), Settings(border_weight=10.0))


def touching() -> Example:
    ids = discs((64, 64), [(20, 20), (36, 20), (50, 50)], 8)
    return Example(ids[..., None].astype(np.uint8), (ids > 0).astype(np.uint8), ids)


def test_the_border_is_a_class_after_the_others() -> None:
    target, weights = objective("border").target(touching())
    assert sorted(np.unique(target)) == [0, 1, 2]
    assert target[20, 20] == 1
    assert target[28, 20] == 2  # where the discs touch
    assert weights.max() > 5  # in the gap between them


def test_distances_accompany_the_classes() -> None:
    target, _ = objective("distance").target(touching())
    assert target.shape == (64, 64, 3)
    assert target[20, 20].tolist() == pytest.approx([1, 1, 0], abs=0.3)


@pytest.mark.parametrize("separation", ["border", "distance"])
def test_the_truth_itself_has_almost_no_loss_and_a_wrong_border_has(separation: str) -> None:
    chosen = objective(separation)
    target, weights = chosen.target(touching())
    where = np.stack(np.meshgrid(np.arange(64.0), np.arange(64.0), indexing="ij"))
    truth = torch.from_numpy(chosen.target_window(target, where))[None]
    if separation == "border":
        right = 20 * torch.nn.functional.one_hot(truth, 3).movedim(-1, 1).float()
        wrong = right[:, [0, 2, 1]]
        least = 0.0
    else:
        own = 20 * torch.nn.functional.one_hot(truth[:, 0].long(), 2).movedim(-1, 1).float()
        right = torch.cat([own, torch.logit(truth[:, 1:], 1e-6)], dim=1)
        wrong = torch.cat([own, torch.logit(truth[:, [2, 1]], 1e-6)], dim=1)
        least = float(
            torch.nn.functional.binary_cross_entropy(truth[:, 1:], truth[:, 1:], reduction="none").sum(1).mean()
        )
    weight = torch.from_numpy(weights)[None]
    assert float(chosen.loss(right, truth, weight)) == pytest.approx(least, abs=1e-2)
    assert float(chosen.loss(wrong, truth, weight)) > least + 0.05


@pytest.mark.parametrize("separation", ["border", "distance"])
def test_turning_and_deforming_neither_merges_nor_splits_objects(separation: str, tmp_path: Path) -> None:
    data = cases_of("pairs", write_touching(tmp_path / "data", 1))
    how = of_objects(separation, 252)  # an output of 68 px
    stream = WindowStream(data, ObjectObjective(how, data_classes(), Settings()), Augmentation.parse("wide"), seed=0)
    from seg_runtime.answers.separate import components

    for _, truth, _ in stream.batches(0, 8, 1):
        planes = truth[0].numpy()
        interior = planes == 1 if separation == "border" else planes[1] - planes[2] ** 2 > 0.5
        ids = components(interior.astype(np.uint8), 8)
        areas = np.bincount(ids.ravel())[1:]
        assert 1 <= len(areas) <= 12  # mirrored copies too, but not one per fragment
        assert areas.max() < 500  # two merged discs of 200 px, enlarged, would have more


def data_classes() -> tuple:  # type: ignore[type-arg]
    from seg_toolkit.data import ClassValues

    return tuple(ClassValues(info, (i,)) for i, info in enumerate(TWO))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("objects")
    write_touching(folder / "data", 6)
    ok(seg_train(folder / "data", "-o", folder / "m.pt", "--recipe", "nuclei", *TINY))
    return folder


def test_a_training_chooses_thresholds_and_says_so(trained: Path) -> None:
    checkpoint = load(trained / "m.pt")
    spec, chosen = checkpoint.contract.answer, checkpoint.contract.provenance["validation"]["chosen"]
    assert isinstance(spec, ObjectSpec)
    assert (spec.mask_threshold, spec.seed_threshold) == (chosen["mask_threshold"], chosen["seed_threshold"])
    assert spec.smallest_px == chosen["smallest_px"]
    assert chosen["after"] >= chosen["before"]
    assert Image.open(trained / "m.preview.png").size[1] > 100


def test_an_evaluation_gives_the_scores_of_objects_and_of_classes(trained: Path) -> None:
    words = ("--include-training", "--csv", trained / "m.csv", "--metrics", "rand,hd95,ap")
    said = ok(seg_edge("evaluate", trained / "m.pt", trained / "data", *words)).stderr
    assert said.count("objects of all images: AP") == 1
    assert "chosen on the validation images" not in said  # the thresholds are those of the model
    assert re.search(r"^class +Dice +IoU +hd95$", said, re.MULTILINE)
    assert re.search(r"^foreground( +([\d.]+|-)){3}$", said, re.MULTILINE)
    assert re.search(r"^rand ([\d.]+|-), mean AP", said, re.MULTILINE)
    lines = (trained / "m.csv").read_text().splitlines()
    assert len(lines) == 7
    assert "f1" in lines[0]


def test_a_run_that_goes_on_chooses_again(trained: Path) -> None:
    ok(seg_train(trained / "data", "-o", trained / "m.pt", "--resume", "--steps", "3"))
    assert isinstance(load(trained / "m.pt").contract.answer, ObjectSpec)


def test_a_run_goes_on_with_more_images_and_its_own_separation(tmp_path: Path) -> None:
    data = write_touching(tmp_path / "data")
    words = (data, "-o", tmp_path / "m.pt")
    ok(seg_train(*words, "--answer", "objects", "--separation", "distance", *TINY))
    before = load(tmp_path / "m.resume.pt").contract.answer
    for number in range(4, 9):  # objects of another size
        ids = discs((64, 64), [(20, 20), (44, 44)], 3)
        put(data / "images" / f"a{number}.png", (20 + 150 * (ids > 0)).astype(np.uint8))
        put(data / "instances" / f"a{number}.png", ids.astype(np.uint8))
    error = error_of(seg_train(*words, "--resume", "--steps", "3", "--separation", "border"))
    assert "--separation distance → border" in error
    said = ok(seg_train(*words, "--resume", "--steps", "3")).stderr
    assert "separation: distance" in said
    after = load(tmp_path / "m.resume.pt").contract.answer
    assert isinstance(before, ObjectSpec)
    assert before == after


def test_pixels_without_annotation_contradict_nothing() -> None:
    ids = discs((64, 64), [(20, 20), (44, 44)], 8)
    known = ids != 2
    example = Example(ids[..., None].astype(np.uint8), (ids == 1).astype(np.uint8), ids, known)
    found = ObjectStatistics.of(example)
    assert found.contradicted == 0
    assert found.areas.tolist() == [int((ids == 1).sum())]
    assert ObjectStatistics.of(replace(example, known=None)).contradicted > 0.3


def test_data_without_instances_is_refused(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path / "images" / f"a{number}.png", noise_image(40, 40, 1, number)[..., 0])
        mask = np.zeros((40, 40), np.uint8)
        mask[10:20] = 255
        put(tmp_path / "masks" / f"a{number}.png", mask)
    error = error_of(seg_train(tmp_path, "-o", tmp_path / "m.pt", "--answer", "objects", *TINY))
    assert "has no instances, which are the ground truth of objects" in error
    assert not (tmp_path / "m.pt").exists()


def test_a_training_from_a_model_of_objects_names_all_its_maps(trained: Path) -> None:
    words = ("--from", trained / "m.pt", "--recipe", "nuclei", *TINY, "--overwrite")
    same = ok(seg_train(trained / "data", "-o", trained / "same.pt", *words))
    assert "kept background, foreground, map 2" in same.stderr
    other = ok(seg_train(trained / "data", "-o", trained / "other.pt", *words, "--separation", "distance"))
    assert "kept background, foreground; new: map 2, map 3; not used: map 2" in other.stderr


def test_ids_that_are_too_large_say_what_to_do(tmp_path: Path) -> None:
    write_touching(tmp_path, 3)
    for path in sorted((tmp_path / "instances").iterdir()):
        ids = np.asarray(Image.open(path)).astype(np.uint32)
        path.unlink()
        tifffile.imwrite(path.with_suffix(".tif"), np.where(ids > 0, ids + np.uint32(1 << 31), 0).astype(np.uint32))
    error = error_of(seg_train(tmp_path, "-o", tmp_path / "m.pt", "--recipe", "nuclei", *TINY))
    assert "number objects from 1" in error


def test_an_evaluation_without_instances_is_refused(trained: Path, tmp_path: Path) -> None:
    write_touching(tmp_path, 3)
    (tmp_path / "instances").rename(tmp_path / "masks")
    for path in (tmp_path / "masks").iterdir():
        put(path, (255 * (np.asarray(Image.open(path)) > 0)).astype(np.uint8))
    words = (trained / "m.pt", tmp_path, "--include-training", "--classes", "background=0,foreground=255")
    assert "has no instances" in error_of(seg_edge("evaluate", *words))


def test_validation_images_without_objects_do_not_end_a_training(tmp_path: Path) -> None:
    write_touching(tmp_path / "data", 4)
    put(tmp_path / "data" / "instances" / "a0.png", np.zeros((64, 64), np.uint8))
    (tmp_path / "val.txt").write_text("a0\n")
    words = (tmp_path / "data", "-o", tmp_path / "m.pt", "--answer", "objects", "--val-list", tmp_path / "val.txt")
    result = ok(seg_train(*words, *TINY))
    assert (tmp_path / "m.pt").exists()
    assert "no object" in result.stderr


def test_instances_that_contradict_the_masks_are_refused(tmp_path: Path) -> None:
    write_touching(tmp_path, 3)
    for path in sorted((tmp_path / "instances").iterdir()):
        mask = np.asarray(Image.open(path)) > 0
        put(tmp_path / "masks" / path.name, (255 * (np.roll(mask, 9, axis=1))).astype(np.uint8))
    error = error_of(seg_train(tmp_path, "-o", tmp_path / "m.pt", "--answer", "objects", *TINY))
    assert "contradict its mask" in error
    done = seg_edge("check", tmp_path)
    assert "the instances of 3 images contradict the masks" in done.output


def test_classes_and_separation_are_kept_from_an_earlier_model() -> None:
    labels, border = LabelSpec(TWO), ObjectSpec(TWO, "border")
    assert ObjectObjective.kept_maps(labels, border) == [KeptMap(0, 0), KeptMap(1, 1)]
    assert ObjectObjective.kept_maps(border, border) == [KeptMap(0, 0), KeptMap(1, 1), KeptMap(2, 2)]
    assert ObjectObjective.kept_maps(border, replace(border, separation="distance")) == [KeptMap(0, 0), KeptMap(1, 1)]


def test_the_score_of_the_truth_is_one() -> None:
    example = touching()
    assert example.instances is not None
    ids = example.instances
    chosen = ObjectObjective(of_objects("border"), data_classes(), Settings())
    scored = chosen.compare("a", example, np.stack([ids, (ids > 0).astype(np.int32)]))
    assert scored.score == 1
    merged = np.where(ids == 2, 1, ids)
    worse = chosen.compare("a", example, np.stack([merged, (ids > 0).astype(np.int32)]))
    assert worse.score == pytest.approx((2 / 3 + 8 * 1 / 4) / 9)  # at 0.5 both true discs fit the merged one
    result = chosen.summary([worse.figures])
    assert (result["merged"], result["classes"][1]["dice"]) == (1, 1.0)


def test_numbers_climb_to_the_best_score_one_after_the_other() -> None:
    steps = {
        "seed_threshold": (0.2, 0.35, 0.5, 0.65, 0.8),
        "mask_threshold": (0.3, 0.4, 0.5),
        "smallest_px": [0, 7, 14],
    }
    tried = []

    def judge(spec: ObjectSpec) -> float:
        tried.append(spec)
        return 1 - abs(spec.seed_threshold - 0.2) - abs(spec.mask_threshold - 0.5) - abs(spec.smallest_px - 14) / 100

    best, before, after = climbed(ObjectSpec(TWO, smallest_px=7), steps, judge)
    assert (best.seed_threshold, best.mask_threshold, best.smallest_px) == (0.2, 0.5, 14)
    assert (before, after) == (pytest.approx(0.63), 1)
    assert len(tried) == len(set(tried)) == 6  # up once, down twice, down once, up once, and the start


def test_scores_do_not_depend_on_the_size_of_the_windows(tmp_path: Path) -> None:
    torch.manual_seed(0)
    infer = torch_infer(UNet(1, 3, width=4).eval(), torch.device("cpu"))
    cases = cases_of("pairs", write_touching(tmp_path))
    plain = ObjectObjective(of_objects("border", window=252), data_classes(), Settings())
    smaller = plain.in_windows(Geometry((204, 204), (20, 20)))
    (_, first, _), (chosen, second, _) = plain.validated(cases, infer), smaller.validated(cases, infer)
    assert first == second
    assert first["found"] > 0
    assert chosen.contract.geometry.input_shape == (204, 204)
