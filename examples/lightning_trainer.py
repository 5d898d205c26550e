"""Prune filters of a network that Lightning trains: `python -m examples.lightning_trainer`."""

import logging

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import prunet
from examples.plain_pytorch import draw, report


class Classifier(lightning.LightningModule):
    """A convolutional network and how it is trained."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU()]
        self.network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 4))

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        images, labels = batch
        return nn.functional.cross_entropy(self(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), 3e-3)


def fit(model: Classifier, epochs: int) -> None:
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader(TensorDataset(*draw(1280, 0)), batch_size=64, shuffle=True))


def main() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    lightning.seed_everything(0, verbose=False)
    model = Classifier()
    fit(model, 3)
    report("dense", model)
    example, _ = draw(2, 0)
    masks = prunet.prune(model.network, example, criterion="filter-l2", rate=0.5)
    with prunet.masked(model.network, masks):
        fit(model, 2)
    report("smaller", prunet.shrink(model.network, example, masks))


if __name__ == "__main__":
    main()
