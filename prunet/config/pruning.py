"""Blocks `prune` and `dynamic` of params.yaml."""

import math
from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from prunet.base.errors import InputError
from prunet.config.block import Block, Count, Share
from prunet.pruning import budgets, patterns
from prunet.pruning.criteria import CRITERIA, check_scope
from prunet.pruning.unit_criteria import UNIT_CRITERIA, WITH_GRADIENTS
from prunet.retraining import scheme


def _one_of(kind: str, known: Collection[str]) -> AfterValidator:
    """Accept the names that the library itself has, so that a new one needs no second list."""

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"{name!r} is not a {kind}: choose from {', '.join(known)}")
        return name

    return AfterValidator(check)


Criterion = Annotated[str, _one_of("criterion", [*CRITERIA, *UNIT_CRITERIA])]
WITHOUT_GRADIENTS = [name for name in UNIT_CRITERIA if name not in WITH_GRADIENTS]
UnitCriterion = Annotated[str, _one_of("criterion of whole units without gradients", WITHOUT_GRADIENTS)]
Scheme = Annotated[str, _one_of("scheme", scheme.names())]
KEEP_MASK = [name for name in scheme.names() if scheme.load(name).keeps_mask]
Chain = Annotated[str, _one_of("scheme that can be the chain", KEEP_MASK)]


class Round(Block):
    n: str
    from_: str = Field(alias="from")


class Prune(Block):
    schedule: Literal["iterative", "one-shot"]
    rate: float = Field(gt=0, lt=1)
    target: dict[str, float]
    round_to: Count
    attention: Literal["heads", "widths"]
    output_rate_factor: Share
    scope: Literal["layer", "global", "sensitivity"]
    criterion: Criterion
    pattern: str | None
    criterion_images: Count
    empty_layers: Literal["keep-one", "refuse"]
    chain: Chain
    schemes: list[Scheme] = Field(min_length=1)
    rounds: list[Round] = Field(min_length=1, max_length=100)

    def round_names(self) -> list[str]:
        """Return the names that other blocks may use for a round."""
        return [*(entry.n for entry in self.rounds), "last"]

    @model_validator(mode="after")
    def _consistent(self) -> "Prune":
        if len(set(self.schemes)) < len(self.schemes):
            raise ValueError(f"schemes lists a scheme twice: {', '.join(self.schemes)}")
        if self.chain not in self.schemes:
            raise ValueError(
                f"chain is {self.chain!r}, which is not among the schemes ({', '.join(self.schemes)})"
            )
        for entry, expected in zip(self.rounds, rounds(len(self.rounds), self.schedule), strict=True):
            if {"n": entry.n, "from": entry.from_} != expected:
                raise ValueError(
                    f"rounds has {{n: {entry.n!r}, from: {entry.from_!r}}} where schedule {self.schedule} "
                    f"needs {{n: {expected['n']!r}, from: {expected['from']!r}}}"
                )
        return self

    @model_validator(mode="after")
    def _target_fits_the_rules(self) -> "Prune":
        try:
            budgets.check(self.target, self.criterion, self.round_to)
            check_scope(self.criterion, self.scope)
            if self.pattern is not None:
                patterns.check(self.pattern, self.criterion, self.scope, self.target)
        except InputError as error:
            raise ValueError(error.message.removesuffix(".")) from None
        if self.scope == "sensitivity" and not (self.target and self.criterion in WITHOUT_GRADIENTS):
            raise ValueError(
                "scope sensitivity spreads a target over layers: give target, and a criterion of whole units "
                "without gradients"
            )
        if self.target and len(self.rounds) == 1:
            raise ValueError("target needs a round that prunes, and rounds has none after 00: add one")
        if self.target and self.output_rate_factor != 1 and self.scope == "layer":
            raise ValueError(
                "output_rate_factor is a factor of rate, which target replaces: set it to 1, or give the "
                "output layer a rate in the study's layers.own_rate"
            )
        if self.target and self.empty_layers == "refuse":
            raise ValueError("target leaves something of every layer: set empty_layers to keep-one")
        return self

    @model_validator(mode="after")
    def _pattern_decides_alone(self) -> "Prune":
        if not self.pattern:
            return self
        share = patterns.removed(self.pattern)
        if not math.isclose(self.rate, share, abs_tol=0.005):
            raise ValueError(
                f"pattern {self.pattern} removes {share:.3g} of the weights, and rate is {self.rate:g}: set "
                f"rate to {share:.3g}"
            )
        if len(self.rounds) != 2:
            raise ValueError(
                f"pattern {self.pattern} is reached in one round, and rounds has {len(self.rounds) - 1} "
                "after 00: list 00 and 01"
            )
        if self.output_rate_factor != 1:
            raise ValueError(
                f"pattern {self.pattern} is the same in every layer: set output_rate_factor to 1, or name "
                "the output layer in the study's layers.leave_out"
            )
        return self

    @model_validator(mode="after")
    def _criterion_fits_the_chain(self) -> "Prune":
        if self.chain == "random" and self.criterion in ("movement", "snip", "synflow"):
            raise ValueError(
                f"criterion {self.criterion} uses the weights of step 0, and chain 'random' does not start "
                "from them: choose another criterion or chain"
            )
        return self


def rounds(count: int, schedule: str) -> list[dict[str, str]]:
    """Return the list `prune.rounds` of params.yaml: `count` rounds, round 0 included.

    `n` is the name of a round, and `from` the folder of the networks that it prunes: of the round before, or,
    with schedule `one-shot`, always of the dense ones.
    """
    return [
        {
            "n": f"{number:02}",
            "from": "dense" if schedule == "one-shot" or number < 2 else f"chain/{number - 1:02}",
        }
        for number in range(count)
    ]


class Dynamic(Block):
    densities: Literal["erdos-renyi-kernel", "uniform"]
    begin: Share
    end: Share
    every: Count
    drop: float = Field(gt=0, le=1)
    multiplier: Count

    @model_validator(mode="after")
    def _in_order(self) -> "Dynamic":
        if self.begin >= self.end:
            raise ValueError(f"begin is {self.begin} and end {self.end}: begin must be smaller")
        return self
