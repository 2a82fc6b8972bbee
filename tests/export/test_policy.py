"""The policy of a model, changed at export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from seg_export.policy import with_policy
from seg_runtime.model import Policy
from seg_runtime.support import OptionsError

from tests.support.contracts import changed, contract
from tests.support.policies import FOR_CT

CONTRACT = changed(contract(), policy=FOR_CT)


def written(folder: Path, content: Any) -> Path:
    path = folder / "policy.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_fields_of_the_file_replace_those_that_were_learnt(tmp_path: Path) -> None:
    path = written(tmp_path, {"modalities": ["CT", "PT"], "spacing_mm": [], "orientations": []})
    policy = with_policy(CONTRACT, path).policy
    assert (policy.modalities, policy.spacing_mm, policy.orientations) == (("CT", "PT"), (), ())
    assert (policy.unit, policy.sop_classes) == (FOR_CT.unit, FOR_CT.sop_classes)
    assert with_policy(CONTRACT, None) == CONTRACT
    assert with_policy(contract(), written(tmp_path, {"modalities": ["MR"]})).policy == Policy(modalities=("MR",))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"modality": ["CT"]}, r"has the fields \['modality'\]; expected a JSON object with some of modalities, sop_"),
        ({"modalities": "CT"}, "policy.modalities is 'CT'"),
        ({"spacing_mm": [[2, 1]]}, r"spacing_mm in the policy \(2, 1\)"),
        ([], "is no object"),
        ("{", "is not JSON"),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, content: Any, found: str) -> None:
    with pytest.raises(OptionsError, match=found):
        with_policy(CONTRACT, written(tmp_path, content))
    with pytest.raises(OptionsError, match="cannot be read"):
        with_policy(CONTRACT, tmp_path / "nowhere.json")
