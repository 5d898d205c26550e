"""Validation of params.yaml."""

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from prunet.base.errors import InputError
from prunet.config import network
from prunet.config.block import Block, Name
from prunet.config.compression import Compress
from prunet.config.data import Crop, Ingest, Resize, Sample
from prunet.config.pruning import Dynamic, Prune
from prunet.config.results import (
    Claims,
    Embedding,
    Export,
    Footprint,
    NewPeople,
    Report,
    Sensitivity,
    Stability,
    Sweep,
)
from prunet.config.study import Study
from prunet.models import sources
from prunet.pruning import rates
from prunet.retraining import scheme
from prunet.training.plan import SETTLED_AFTER, update_steps

GRAYS = "data/gray"  # output of the stage resize


class Params(Block):
    seed: int = Field(ge=0)
    checkpoint_seconds: float = Field(ge=0)
    networks: str = Field(min_length=1)
    studies: dict[Name, Study] = Field(min_length=1)
    prune: Prune
    dynamic: Dynamic
    report: Report
    claims: Claims
    sweep: Sweep
    sensitivity: Sensitivity
    stability: Stability
    embedding: Embedding
    new_people: NewPeople
    compress: Compress
    footprint: Footprint
    export: Export
    sample: Sample
    ingest: Ingest
    crop: Crop
    resize: Resize

    @model_validator(mode="after")
    def _chain_has_one_network_a_replicate(self) -> "Params":
        several = [name for name, study in self.studies.items() if study.reinits > 1]
        if self.prune.chain == "random" and several:
            raise ValueError(
                f"prune.chain is 'random', which needs reinits: 1, and studies.{several[0]} has more"
            )
        return self

    @model_validator(mode="after")
    def _schemes_fit_the_studies(self) -> "Params":
        schemes = {name: scheme.load(name) for name in self.prune.schemes}
        updating = any(found.updates_masks for found in schemes.values())
        needing = [name for name, found in schemes.items() if found.needs_momentum]
        times = self.dynamic
        for name, study in self.studies.items():
            training = study.training
            if "fine-tune" in self.prune.schemes and training.schedule == "cosine":
                raise ValueError(
                    f"prune.schemes has fine-tune, which trains at the last learning rate, and that of "
                    f"studies.{name} is zero: choose another schedule than cosine"
                )
            if needing and training.optimizer == "sgd" and not training.momentum:
                raise ValueError(
                    f"prune.schemes has {needing[0]}, and studies.{name} trains without momentum"
                )
            steps = times.multiplier * training.steps
            changes = update_steps(times.begin, times.end, times.every, steps)
            if updating and not any(0 < step < changes[-1] for step in changes):
                raise ValueError(
                    f"dynamic.every is {self.dynamic.every} steps, and in the {steps} steps of "
                    f"studies.{name} no mask would change between begin and end: lower it"
                )
            updates = sum(step > 0 for step in changes)
            if "early-bird" in self.prune.schemes and updates < SETTLED_AFTER:
                raise ValueError(
                    f"prune.schemes has early-bird, whose masks settle after {SETTLED_AFTER} updates at the "
                    f"earliest, and studies.{name} has {updates}: lower dynamic.every"
                )
            if updating and any(0 < step <= training.freeze for step in changes):
                raise ValueError(
                    f"dynamic.begin is {times.begin}, and masks would change in the {training.freeze} steps "
                    f"in which studies.{name} trains its head alone (freeze): begin later, or freeze fewer"
                )
        return self

    @model_validator(mode="after")
    def _report_and_export_exist(self) -> "Params":
        blocks: list[tuple[str, Any]] = [("report", self.report), ("export", self.export)]
        if self.compress.studies:
            blocks.append(("compress", self.compress))
        for name, cell in blocks:
            if cell.scheme not in self.prune.schemes:
                raise ValueError(f"{name}.scheme is {cell.scheme!r}, which is not among prune.schemes")
            if cell.round not in self.prune.round_names():
                raise ValueError(f"{name}.round is {cell.round!r}, and prune.rounds has no such n")
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
    def _studies_of_optional_stages_exist(self) -> "Params":
        optional = {
            "claims": self.claims.studies,
            "sweep": self.sweep.studies,
            "sensitivity": self.sensitivity.studies,
            "stability": self.stability.studies,
            "embedding": self.embedding.studies,
            "new_people": self.new_people.studies,
            "compress": self.compress.studies,
        }
        for stage, studies in optional.items():
            for name in studies:
                if name not in self.studies:
                    raise ValueError(f"{stage}.studies has {name!r}, which is not among studies")
        if self.stability.studies and "original" not in self.prune.schemes:
            raise ValueError("stability needs the scheme original among prune.schemes")
        for name in self.stability.studies:
            steps = self.studies[name].training.steps
            for time in self.stability.from_:
                if isinstance(time, int) and time >= steps:
                    raise ValueError(
                        f"stability.from has {time}, and the training of studies.{name} {steps} steps: give "
                        "earlier ones"
                    )
        for number in self.stability.rounds:
            if self.stability.studies and number not in self.prune.round_names():
                raise ValueError(f"stability.rounds has {number!r}, and prune.rounds has no such n")
        return self

    @model_validator(mode="after")
    def _claims_are_about_cells(self) -> "Params":
        for number, claim in enumerate(self.claims.published if self.claims.studies else []):
            where = f"claims.published.{number}"
            for name in {claim.scheme, claim.against} - {"dense", *self.prune.schemes}:
                raise ValueError(f"{where} is about {name}, which is not among prune.schemes")
            if claim.round not in self.prune.round_names():
                raise ValueError(f"{where} is about round {claim.round}, and prune.rounds has no such n")
        return self

    @model_validator(mode="after")
    def _embedded_studies_are_of_faces(self) -> "Params":
        for name in self.embedding.studies:
            data = self.studies[name].data
            if (data.set, data.source) != ("faces", GRAYS):
                raise ValueError(
                    f"embedding.studies has {name}, which needs set: faces and source: {GRAYS} in its data"
                )
        if self.embedding.studies and self.crop.embedding == "none":
            raise ValueError(
                "embedding.studies needs the embeddings of the stage crop: set embedding: sface in crop"
            )
        for name in self.new_people.studies:
            if self.studies[name].data.set != "faces":
                raise ValueError(f"new_people.studies has {name}, which needs set: faces in its data")
        return self


def load(path: Path) -> dict[str, Any]:
    """Read and validate params.yaml; return its values as plain dicts.

    Raises:
        InputError: it is missing, is not YAML, or has wrong values, all of which are listed.
    """
    try:
        return Params.model_validate(read(path)).model_dump(by_alias=True)
    except ValidationError as errors:
        raise InputError("; ".join(_sentence(path, error) for error in errors.errors())) from None


def read(path: Path) -> Any:
    """Return the values of a YAML file. Numbers are read as DVC reads them, in YAML 1.2: 1e-5 is a number.

    Raises:
        InputError: it is missing or is not YAML.
    """
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: an impossible date, not UTF-8
        raise InputError(f"{path} is not YAML: {error}") from None


def stage_params(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the parameters of every stage by the path of its file, without `.json`.

    A stage gets no others, so that it runs again when its own parameters change, and only then.

    Raises:
        InputError: parameters do not fit the networks of some studies (`network.own_rates`), or their files
            are not where DVC watches them (`sources.digests`).
    """
    own, origins, wrong = {}, {}, []
    reports = {f"{name}/report": report_params(values, name) for name in values["studies"]}
    values = values | {"studies": dict(values["studies"])}
    for name, block in values["studies"].items():
        try:
            values["studies"][name] = network.filled(block)
            own[name] = network.own_rates(name, values)
            origins[name] = sources.digests(block, Path(values["networks"]))
        except InputError as error:
            wrong.append(f"params.yaml: studies.{name}: {error.message.removesuffix('.')}")
    if wrong:
        raise InputError("; ".join(wrong))
    found = {
        "sample": {"seed": values["seed"], **values["sample"]},
        "ingest": values["ingest"],
        "crop": values["crop"],
        "resize": {
            "size": values["resize"]["size"],
            "near_duplicate_distance": _near_duplicate_distance(values["studies"]),
        },
        "strangers": {"finding": _finding(values), "false_accepts": values["export"]["false_accepts"]},
    }
    for name in own:
        params = _study_params(values, name, own[name], origins[name])
        found |= {f"{name}/{key}": stage for key, stage in params.items()}
    return found | reports


def report_params(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the parameters of a study's report, `settings` being all that it shows."""
    shown = ("seed", "prune", "dynamic", "report", "footprint")
    settings = {key: values[key] for key in shown} | {"studies": {name: values["studies"][name]}}
    return {"study": name, "schemes": _looks(values), **_at_round(values, "report"), "settings": settings}


def _at_round(values: dict[str, Any], block: str) -> dict[str, Any]:
    """Return a block of params.yaml whose `round` may be `last`, with that round's name."""
    number, last = values[block]["round"], values["prune"]["rounds"][-1]["n"]
    return {**values[block], "round": last if number == "last" else number}


def _looks(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return label, colour, line style and marker of every scheme."""
    schemes = {name: scheme.load(name) for name in values["prune"]["schemes"]}
    parts = ("label", "color", "linestyle", "marker")
    return {name: {part: getattr(found, part) for part in parts} for name, found in schemes.items()}


def _finding(values: dict[str, Any]) -> dict[str, Any]:
    """Return how faces are found and made gray."""
    return {"crop": values["crop"], "resize": {"size": values["resize"]["size"]}}


def _near_duplicate_distance(studies: dict[str, Any]) -> int:
    """Return the largest distance of near-duplicates of the studies of faces, which share the gray faces."""
    blocks = [study["data"] for study in studies.values()]
    return max((data["near_duplicate_distance"] for data in blocks if data["set"] == "faces"), default=0)


def _study_params(
    values: dict[str, Any], name: str, own: dict[str, float], origin: dict[str, str]
) -> dict[str, dict[str, Any]]:
    block, prune = values["studies"][name], values["prune"]
    unused = ("data", "reinits", "layers")
    used = {key: value for key, value in block.items() if key not in unused}
    study = {"name": name, "seed": values["seed"], "attention": prune["attention"], **used, "sources": origin}
    trained = {"study": study, "checkpoint_seconds": values["checkpoint_seconds"]}
    exported = {"study": study, "finding": _finding(values) if block["data"]["set"] == "faces" else None}
    names = [entry["n"] for entry in prune["rounds"]]
    last = {"last": names[-1]}
    report, export, compress = (_at_round(values, key) for key in ("report", "export", "compress"))
    stability = [last.get(number, number) for number in values["stability"]["rounds"]]
    schemes = {key: scheme.load(key) for key in prune["schemes"]}
    common = ("schemes", "rounds", "output_rate_factor", "attention")
    rules = {key: value for key, value in prune.items() if key not in common} | {"own": own}
    if prune["target"]:  # which the last round reaches
        rules["last"] = int(names[-1])
    sweep = {key: values["sweep"][key] for key in ("criteria", "sparsities")} | {
        "criterion_images": prune["criterion_images"],
        "pace": {layer: rates.pace(rate, prune["rate"]) for layer, rate in own.items()},
    }
    retrain = {
        f"retrain-{key}": {
            **trained,
            "study": _longer(study, values["dynamic"]["multiplier"]) if found.dynamic else study,
            "scheme": key,
            "rounds": prune["rounds"],
            "extra": ({"reinits": block["reinits"]} if found.redraws else {})
            | ({"dynamic": values["dynamic"]} if found.dynamic else {}),
        }
        for key, found in schemes.items()
    }
    return {
        "images": {"study": name, "seed": values["seed"], "data": block["data"]},
        "train": trained,
        "prune": {**trained, "prune": rules},
        **retrain,
        "footprint": {
            **exported,
            "scheme": report["scheme"],
            "rounds": names,
            "footprint": values["footprint"],
        },
        "export": {**exported, "export": {k: v for k, v in export.items() if k != "strangers"}},
        "summarize": {
            "study": name,
            "schemes": prune["schemes"],
            "rounds": names,
            "report": report,
            "chain": prune["chain"],
            "before": {entry["n"]: entry["from"] for entry in prune["rounds"]},
            "once": [key for key, found in schemes.items() if found.dynamic],
        },
        "claims": {
            "study": name,
            "schemes": prune["schemes"],
            "rounds": names,
            "published": [
                claim | {"round": last.get(claim["round"], claim["round"])}
                for claim in values["claims"]["published"]
            ],
        },
        "plot": {"study": name, "round": report["round"], "schemes": _looks(values)},
        "sweep": {**exported, "sweep": sweep},
        "compress": {
            **trained,
            **exported,
            "compress": {
                key: value
                for key, value in compress.items()
                if key not in ("studies", "scheme", "round", "search")
            },
            "round": compress["round"],
            "margin": report["margin"],
        },
        "plot_compress": {"study": name},
        "plot_sweep": {"study": name, "published": values["sweep"]["published"]},
        "sensitivity": {
            "study": study,
            "sensitivity": {key: values["sensitivity"][key] for key in ("criterion", "shares")},
        },
        "plot_sensitivity": {"study": name},
        "stability": {
            **trained,
            "from": values["stability"]["from"],
            "rounds": list(dict.fromkeys(stability)),
        },
        "plot_stability": {"study": name},
        "embed": {
            "study": name,
            "seed": values["seed"],
            "data": {key: block["data"][key] for key in ("val", "test", "min_images")}
            | {"distance": block["data"]["near_duplicate_distance"]},
            "known": export["known"],
        },
        "mistakes": {**exported, "scheme": report["scheme"], "round": report["round"]},
        "new_people": {
            **exported,
            "scheme": report["scheme"],
            "rounds": names,
            "headline": report["round"],
            "new_people": {key: values["new_people"][key] for key in ("false_accepts", "photos")},
        },
        "plot_new_people": {"study": name},
    }


def _longer(study: dict[str, Any], multiplier: int) -> dict[str, Any]:
    """Return a study with a training of `multiplier` times as many steps, its learning rates stretched."""
    training = study["training"]
    longer = {name: multiplier * training[name] for name in ("steps", "warmup")}
    longer["milestones"] = [multiplier * step for step in training["milestones"]]
    return {**study, "training": training | longer}


def _sentence(path: Path, error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"] if not str(part).startswith("["))
    reason = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{path}: {where} is missing"
    if error["type"] == "extra_forbidden":
        return f"{path}: {where} is not a known name"
    if error["type"] == "value_error":
        return f"{path}: {where + ': ' if where else ''}{reason}"
    return f"{path}: {where} is {error['input']!r}: {reason[0].lower()}{reason[1:]}"
