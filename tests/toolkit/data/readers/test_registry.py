from __future__ import annotations

from pathlib import Path

import pytest
import torch
from seg_runtime.support.errors import SegError
from seg_toolkit.checkpoints import load, save
from seg_toolkit.data.readers import READERS, read_data_set

from samples.generators import generator
from tests.support.commands import ok, seg_edge, seg_train
from tests.support.folders import SMALL, cases_of, write_pairs
from tests.support.images import disc, put


@pytest.mark.parametrize("reader", ["pets:fold=1", "pairs:3", "pets:split=test,split=all", "pairs:split=test", "siim:"])
def test_an_odd_option_names_the_known_ones(tmp_path: Path, reader: str) -> None:
    with pytest.raises(SegError) as caught:
        cases_of(reader, tmp_path, print)
    assert ("ring" in str(caught.value)) == (reader != "siim:")  # a colon with nothing after it is no option


@pytest.mark.parametrize("reader", sorted({*READERS.names()} - {"pairs", "channels"}))
def test_every_reader_says_what_it_looked_for(tmp_path: Path, reader: str) -> None:
    with pytest.raises(SegError) as caught:
        cases_of(reader, tmp_path / "nowhere", print)
    assert "nowhere" in str(caught.value)


def test_evaluation_reads_as_training_did_unless_told_otherwise(tmp_path: Path) -> None:
    data, out = tmp_path / "pets", tmp_path / "m.pt"
    generator("animals").write(data, 4, 0)
    words = [data, *SMALL, "--recipe", "animals", "--steps", "1", "-o", out]
    ok(seg_train(*words, "--augment", "none", "--val-fraction", "0.5"))
    assert load(out).reader == "pets"
    scores = seg_edge("evaluate", out, data)
    assert "over 2 images" in scores.stderr
    assert "over 2 images" in seg_edge("evaluate", out, data, "--reader", "pets:split=test").stderr


LAYOUTS = {
    "pets": "animals", "isbi2012": "em-membranes", "isic": "skin-lesion", "siim": "pneumothorax", "brats": "brain-tumour",
    "nifti": "pancreas", "cell-tracking": "cell-tracking", "structure": "binding-site",
}  # fmt: skip


@pytest.mark.parametrize("reader", LAYOUTS)
def test_a_layout_is_recognised_without_a_reader(tmp_path: Path, reader: str) -> None:
    generator(LAYOUTS[reader]).write(tmp_path, 2, 0)
    said: list[str] = []
    assert read_data_set("", tmp_path, said.append).reader == reader
    assert said[0] == f"reader: {reader} (the layout of {tmp_path})"


def test_two_layouts_in_one_folder_are_refused(tmp_path: Path) -> None:
    put(write_pairs(tmp_path) / "targets" / "a0.png", disc())
    with pytest.raises(SegError, match="--reader pairs or --reader targets"):
        cases_of("", tmp_path)
    assert len(cases_of("pairs", tmp_path)) == 3


def test_no_layout_gives_the_error_of_the_usual_one(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(SegError, match="DATA/images with DATA/masks"):
        cases_of("", tmp_path, said.append)
    assert said == []


def test_a_plain_folder_needs_no_reader(tmp_path: Path) -> None:
    assert [c.name for c in cases_of("pairs", write_pairs(tmp_path), print)] == ["a0", "a1", "a2"]


def test_empty_answers_count_as_the_model_was_trained(tmp_path: Path) -> None:
    data, out = tmp_path / "healthy", tmp_path / "m.pt"
    for number in range(3):
        put(data / "images" / f"{number}.png", disc())
        put(data / "masks" / f"{number}.png", disc() * 0)
    ill = write_pairs(tmp_path / "ill")
    words = [ill, *SMALL, "--steps", "2", "--classes", "background=0,spot=255", "-o", out]
    ok(seg_train(*words, "--empty-dice", "one"))
    for found, as_trained, asked in (
        (0, "1.0000", "-"),
        (1, "0.0000", "0.0000"),
    ):  # nothing, which is right; all, which is wrong
        checkpoint = load(out)
        checkpoint.state["head.weight"].zero_()
        checkpoint.state["head.bias"][:] = torch.tensor([1.0 - found, found])
        save(checkpoint, out)
        told = seg_edge("evaluate", out, data).stderr
        spot = next(line.split() for line in told.splitlines() if line.startswith("spot "))
        assert spot == ["spot", as_trained, as_trained]
        told = seg_edge("evaluate", out, data, "--empty-dice", "skip").stderr
        spot = next(line.split() for line in told.splitlines() if line.startswith("spot "))
        assert spot == ["spot", asked, asked]


def test_an_unknown_reader_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SegError, match=r"unknown reader 'dicom'; expected pairs, .*targets"):
        cases_of("dicom", tmp_path)
