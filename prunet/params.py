"""params.yaml, checked: what every knob may be."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from prunet.base.errors import InputError
from prunet.pruning.criteria import CRITERIA
from prunet.pruning.unit_criteria import UNIT_CRITERIA

Percent = Annotated[int, Field(ge=1, le=98)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Bits = Annotated[int, Field(ge=1, le=8)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Severity = Literal["warn", "refuse"]


def _criterion(name: str) -> str:
    known = [*CRITERIA, *UNIT_CRITERIA]
    if name not in known:
        raise ValueError(f"{name!r} is no criterion: there are {', '.join(known)}")
    return name


Criterion = Annotated[str, AfterValidator(_criterion)]
Scheme = Literal[
    "original",
    "rewind",
    "trained",
    "lr-rewind",
    "fine-tune",
    "random",
    "shuffled",
    "random-mask",
    "gradual",
    "static",
    "set",
    "rigl",
    "sparse-momentum",
]


# Of the others the masks do not go on from round to round.
Chain = Literal["original", "rewind", "trained", "lr-rewind", "fine-tune", "random"]


class Block(BaseModel):
    """A block of params.yaml: no unknown names, no text where a number belongs."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Training(Block):
    optimizer: Literal["adam", "sgd"]
    lr: float = Field(gt=0)
    schedule: Literal["constant", "cosine", "step"]
    milestones: list[Count]
    decay: float = Field(gt=0, le=1)
    warmup: int = Field(ge=0)
    momentum: float = Field(ge=0, lt=1)
    nesterov: bool
    weight_decay: float = Field(ge=0)
    label_smoothing: float = Field(ge=0, lt=1)
    group_lasso: float = Field(ge=0)
    batch_size: Count
    steps: Count
    eval_every: Count
    augment: Literal["none", "crop-flip", "pad-crop-flip", "resized-crop-flip"]
    dtype: Literal["float32", "bfloat16"]
    channels_last: bool
    threads: Count | None

    @model_validator(mode="after")
    def _consistent(self) -> "Training":
        if self.nesterov and not (self.optimizer == "sgd" and self.momentum):
            raise ValueError("nesterov: true is a way of sgd with momentum; set both, or nesterov: false")
        if self.schedule == "step" and not self.milestones:
            raise ValueError("schedule: step needs milestones, the steps after which the rate falls")
        if self.schedule == "step" and max(self.milestones) >= self.steps:
            raise ValueError(f"milestones has {max(self.milestones)}, and the training {self.steps} steps")
        return self


class Study(Block):
    dataset: Literal[
        "optdigits", "mnist", "fashion-mnist", "kmnist", "cifar-10", "cifar-100", "folder", "faces"
    ]
    model: Literal[
        "lenet-300-100",
        "mlp-1000-1000-500-200",
        "lenet-5",
        "light-cnn-9",
        "light-cnn-29",
        "resnet-20",
        "resnet-56",
        "vgg-16",
        "resnet-50",
    ]
    init: Literal["glorot", "he"]
    input_size: Count | None
    replicates: Count
    reinits: Count
    rewind: int = Field(ge=0)
    training: Training

    @model_validator(mode="after")
    def _rewinds_into_the_training(self) -> "Study":
        if self.rewind >= self.training.steps:
            raise ValueError(
                f"rewind is {self.rewind}, a step of a training of {self.training.steps}: it must be earlier"
            )
        return self


class Round(Block):
    n: str
    from_: str = Field(alias="from")


class Layers(Block):
    leave_out: list[str]
    own_rate: list[Annotated[str, Field(pattern=r"^[^=]+=(0(\.\d*)?|1(\.0*)?|\.\d+)$")]]


class Prune(Block):
    schedule: Literal["iterative", "one-shot"]
    rate: float = Field(gt=0, lt=1)
    output_rate_factor: Share
    layers: Layers
    scope: Literal["layer", "global"]
    criterion: Criterion
    criterion_images: Count
    empty_layers: Literal["keep-one", "refuse"]
    chain: Chain
    schemes: list[Scheme] = Field(min_length=1)
    rounds: list[Round] = Field(min_length=1, max_length=101)

    @model_validator(mode="after")
    def _consistent(self) -> "Prune":
        if len(set(self.schemes)) < len(self.schemes):
            raise ValueError(f"schemes names one twice: {', '.join(self.schemes)}")
        if self.chain not in self.schemes:
            raise ValueError(
                f"chain is {self.chain!r}, which is not among the schemes ({', '.join(self.schemes)})"
            )
        before = "../dense"
        for number, entry in enumerate(self.rounds):
            if (entry.n, entry.from_) != (f"{number:02}", before):
                raise ValueError(
                    f"rounds, entry {number}: is {{n: {entry.n!r}, from: {entry.from_!r}}}, must be {{n: "
                    f"'{number:02}', from: {before!r}}} with schedule {self.schedule}"
                )
            if self.schedule == "iterative" and number:
                before = entry.n
        return self

    @model_validator(mode="after")
    def _criterion_knows_the_chain(self) -> "Prune":
        if self.chain == "random" and self.criterion in ("movement", "snip", "synflow"):
            raise ValueError(
                f"criterion {self.criterion} looks at the weights of step 0, where chain 'random' does not "
                "begin: choose another of the two"
            )
        return self


class Dynamic(Block):
    densities: Literal["erdos-renyi-kernel", "uniform"]
    begin: Share
    end: Share
    every: Count
    drop: Share

    @model_validator(mode="after")
    def _in_order(self) -> "Dynamic":
        if self.begin >= self.end:
            raise ValueError(f"begin is {self.begin} and end {self.end}: begin must come first")
        return self


class Report(Block):
    scheme: Scheme
    round: str


class Published(Block):
    criterion: Criterion
    sparsity: Share
    accuracy: Share


class Sweep(Block):
    studies: list[Name]
    criteria: list[Criterion] = Field(min_length=1)
    sparsities: list[Share] = Field(min_length=1)
    published: list[Published]


class Stability(Block):
    studies: list[Name]
    rounds: list[str] = Field(min_length=1)


class Footprint(Block):
    batches: list[Count] = Field(min_length=1)
    seconds: float = Field(gt=0)
    threads: Count
    bits: list[Bits]


class Export(Block):
    scheme: Scheme
    round: str
    replicate: int = Field(ge=0)
    bits: Bits
    known: float = Field(gt=0, le=1)


class Images(Block):
    val: Count
    test: Count
    downloads: str = Field(min_length=1)
    folder: str = Field(min_length=1)
    side: int = Field(ge=1, le=4096)
    memory: int = Field(ge=0)


class Sample(Block):
    photos: Count


class Ingest(Block):
    source: str = Field(min_length=1)
    concurrency: int = Field(ge=1, le=256)
    host_concurrency: int = Field(ge=1, le=256)
    host_delay: float = Field(ge=0)
    timeout: float = Field(gt=0)
    retries: int = Field(ge=0, le=20)
    max_bytes: Count
    max_pixels: Count
    user_agent: str = Field(min_length=1)
    store: str = Field(min_length=1)
    private_addresses: bool
    recheck: bool


class Finding(Block):
    """How faces are found and cut out: tickets keep it, so that faces in use are those of training."""

    min_confidence: Share
    min_size: Count
    keep: Literal["largest", "surest", "only"]
    margin: float = Field(ge=0, le=5)
    max_side: Count


class Crop(Finding):
    min_accepted: Share
    doubtful: Severity


class Resize(Block):
    size: Count
    exclude: str


class Split(Block):
    train: Percent
    val: Percent
    test: Percent
    near_duplicate_distance: int = Field(ge=0, le=64)
    min_faces: int = Field(ge=0)
    doubtful: Severity

    @model_validator(mode="after")
    def _whole(self) -> "Split":
        total = self.train + self.val + self.test
        if total != 100:
            raise ValueError(f"train, val and test are percent and must sum to 100, not {total}")
        return self


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
