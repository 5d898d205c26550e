"""The cell of a scheme at a round, from the files of a study."""

from pathlib import Path
from typing import Any

import numpy as np

from prunet.base.seeds import derive
from prunet.cells import storage
from prunet.retraining.scheme import Scheme, Sources
from prunet.training.cells import Cell, Job, contents, key
from prunet.training.trainer import Trainer


def cell(
    trainer: Trainer,
    name: str,
    scheme: Scheme,
    number: str,
    models: Path,
    before: Path,
    data: str,
    extra: dict[str, Any],
) -> Cell:
    """Return the cell of a scheme at a round.

    Args:
        trainer: of the study.
        name: of the scheme.
        scheme: the scheme.
        number: of the round, two digits.
        models: folder of the study's `init.safetensors`, `rewind.safetensors`, `masks`, and of the networks
            `dense`, which teach those of the cell if the study distills.
        before: folder of the trained networks that the round's masks were made from.
        data: the `contents` of the dataset file.
        extra: the parameters besides the study's that the scheme uses: `reinits`, the block `dynamic`.
    """
    masks_file = models / "masks" / f"{number}.safetensors"
    init, rewind = models / "init.safetensors", models / "rewind.safetensors"
    reinits = extra.get("reinits", 1) if scheme.redraws else 1
    drawn_for = (name, number) if scheme.redraws else ("init",)
    seed = derive(trainer.seed, trainer.name, scheme.seed or name, number)

    dense = [models / "dense"] if trainer.settings["distill"]["share"] else []

    def job() -> Job:
        masks = storage.load_masks(masks_file)
        trainer.check_masks(masks)
        whole = not scheme.dynamic and storage.whole_units(masks_file)
        ticket = scheme.ticket(
            Sources(
                initial=lambda: storage.load_weights(init),
                early=lambda: storage.load_weights(rewind),
                trained=lambda: storage.load_network(before)[0],
                fresh=lambda: trainer.initial_weights(*drawn_for, reinits=reinits),
                masks=masks,
                units=(lambda: trainer.units) if whole else None,
                rng=lambda replicate: np.random.default_rng([seed, replicate]),
                rewind=trainer.rewind,
                dynamic=extra.get("dynamic", {}),
            )
        )
        teachers = [
            {tensor: values.repeat(reinits, 0) for tensor, values in storage.load_network(path)[0].items()}
            for path in dense
        ]
        return Job(ticket.weights, ticket.masks, drawn_for, ticket.plan, whole, *teachers)

    return Cell(
        f"{name}/{number}",
        key(
            trainer.study | {"scheme": name, "round": number, **extra, "reinits": reinits},
            [data, *(contents(path) for path in (init, rewind, before, masks_file, *dense))],
            ["prunet/retraining", f"prunet/schemes/{name}.py"],
        ),
        trainer.replicates * reinits,
        job,
    )
