"""Change the policy of a model: the images that it is made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from seg_runtime.model import Contract, Policy, from_json_value, to_json_value
from seg_runtime.support import METADATA_BYTES, ContractError, OptionsError, parse_json, read_file


def with_policy(contract: Contract, path: Path | None) -> Contract:
    """Return a contract whose policy has the fields of a JSON file, such as `{"modalities": ["CT"]}`; others are kept.

    Args:
        contract: contract of the model.
        path: the file; None changes nothing.

    Raises:
        OptionsError: the file cannot be read, or has an unknown field or a wrong value.
    """
    if path is None:
        return contract
    known = ", ".join(field.name for field in fields(Policy))
    try:
        raw = parse_json(read_file(path, METADATA_BYTES))
    except OSError as error:
        problem = f"--policy {path} cannot be read ({error.strerror})"
        raise OptionsError(problem, "a JSON file", "check the path") from error
    except ValueError as error:
        raise OptionsError(f"--policy {path} is not JSON ({error})", "a JSON object", "correct the file") from error
    if not isinstance(raw, Mapping) or (odd := sorted(set(raw) - {field.name for field in fields(Policy)})):
        problem = (
            f"--policy {path} has the fields {odd}" if isinstance(raw, Mapping) else f"--policy {path} is no object"
        )
        raise OptionsError(problem, f"a JSON object with some of {known}", "correct the file")
    try:
        policy = from_json_value(Policy, {**to_json_value(contract.policy), **raw}, "policy")
    except ContractError as error:
        raise OptionsError(f"--policy {path}: {error.problem}", error.expected, "correct the file") from error
    return replace(contract, policy=policy)
