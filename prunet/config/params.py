"""params.yaml, checked: what every knob may be, block by block."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from prunet.base.errors import InputError
from prunet.config.block import Block, Name
from prunet.config.data import Crop, Images, Ingest, Resize, Sample, Split
from prunet.config.pruning import Dynamic, Prune
from prunet.config.results import Export, Footprint, Report, Stability, Sweep
from prunet.config.study import Study


class Params(Block):
    seed: int = Field(ge=0)
    checkpoint_seconds: float = Field(ge=0)
    studies: dict[Name, Study] = Field(min_length=1)
    image_studies: list[Name]
    prune: Prune
    dynamic: Dynamic
    report: Report
    sweep: Sweep
    stability: Stability
    footprint: Footprint
    export: Export
    images: Images
    sample: Sample
    ingest: Ingest
    crop: Crop
    resize: Resize
    split: Split

    @model_validator(mode="after")
    def _image_studies_are_all_but_faces(self) -> "Params":
        expected = [name for name, study in self.studies.items() if study.dataset != "faces"]
        if sorted(self.image_studies) != sorted(expected):
            raise ValueError(
                f"image_studies is [{', '.join(self.image_studies)}], and the studies with another dataset "
                f"than faces are [{', '.join(expected)}]: it must name them"
            )
        return self

    @model_validator(mode="after")
    def _chain_has_one_network_a_replicate(self) -> "Params":
        several = [name for name, study in self.studies.items() if study.reinits > 1]
        if self.prune.chain == "random" and several:
            raise ValueError(
                f"prune.chain is 'random', which needs reinits: 1, and studies.{several[0]} has more"
            )
        return self

    @model_validator(mode="after")
    def _studies_fit_the_schemes(self) -> "Params":
        changing = {"gradual", "set", "rigl", "sparse-momentum"} & set(self.prune.schemes)
        for name, study in self.studies.items():
            training = study.training
            if "fine-tune" in self.prune.schemes and training.schedule == "cosine":
                raise ValueError(
                    f"prune.schemes has fine-tune, which trains at the last learning rate, and that of "
                    f"studies.{name} is zero: take another schedule than cosine"
                )
            if "sparse-momentum" in changing and training.optimizer == "sgd" and not training.momentum:
                raise ValueError(
                    f"prune.schemes has sparse-momentum, and studies.{name} trains without momentum"
                )
            if changing and (self.dynamic.end - self.dynamic.begin) * training.steps < self.dynamic.every:
                raise ValueError(
                    f"dynamic.every is {self.dynamic.every} steps, and in the {training.steps} steps of "
                    f"studies.{name} no mask would change between begin and end: lower it"
                )
        return self

    @model_validator(mode="after")
    def _report_and_export_exist(self) -> "Params":
        for name, cell in (("report", self.report), ("export", self.export)):
            if cell.scheme not in self.prune.schemes:
                raise ValueError(f"{name}.scheme is {cell.scheme!r}, which is not among prune.schemes")
            if cell.round not in [entry.n for entry in self.prune.rounds]:
                raise ValueError(
                    f"{name}.round is {cell.round!r}, which is not the n of a round of prune.rounds"
                )
        return self

    @model_validator(mode="after")
    def _replicate_exists(self) -> "Params":
        for name, study in self.studies.items():
            if self.export.replicate >= study.replicates:
                raise ValueError(
                    f"export.replicate is {self.export.replicate}, and studies.{name} has replicates 0 to "
                    f"{study.replicates - 1}"
                )
        return self

    @model_validator(mode="after")
    def _sweep_and_stability_exist(self) -> "Params":
        rounds = [entry.n for entry in self.prune.rounds]
        for stage, block in (("sweep", self.sweep), ("stability", self.stability)):
            for name in block.studies:
                if name not in self.studies:
                    raise ValueError(f"{stage}.studies names {name!r}, which is not among studies")
        if self.stability.studies and "original" not in self.prune.schemes:
            raise ValueError("stability needs the scheme original among prune.schemes")
        for number in self.stability.rounds:
            if self.stability.studies and number not in rounds:
                raise ValueError(
                    f"stability.rounds names {number!r}, which is not the n of a round of prune.rounds"
                )
        return self


def load(path: Path) -> dict[str, Any]:
    """Read and check params.yaml; return its values as plain dicts.

    Raises:
        InputError: it is missing, is not YAML, or holds wrong values; every wrong value is named.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Params.model_validate(values).model_dump(by_alias=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    except ValidationError as errors:
        raise InputError("; ".join(_sentence(path, error) for error in errors.errors())) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # also a date that there is not
        raise InputError(f"{path} is not YAML: {error}") from None


def study(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the block of one study.

    Raises:
        InputError: there is no study of this name.
    """
    if name not in values["studies"]:
        raise InputError(f"there is no study {name!r}: params.yaml has {', '.join(values['studies'])}.")
    block: dict[str, Any] = values["studies"][name]
    return block


def _sentence(path: Path, error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"] if part != "[key]")
    reason = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{path}: {where} is missing"
    if error["type"] == "extra_forbidden":
        return f"{path}: {where} is not a known name"
    if error["type"] == "value_error":
        return f"{path}: {where + ': ' if where else ''}{reason}"
    return f"{path}: {where} is {error['input']!r}: {reason[0].lower()}{reason[1:]}"
