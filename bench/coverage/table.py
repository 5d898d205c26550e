"""The results as a table by family of networks, in Markdown."""

from collections.abc import Sequence

from bench.coverage.checks import Row

RESULTS = ("equal", "different", "refused")
FAMILIES = {  # {family: beginnings of names}
    "ResNet, wide ResNet, VGG, AlexNet": ("resnet", "wide_resnet", "vgg", "alexnet"),
    "ResNeXt, RegNet, MNASNet, MobileNet": ("resnext", "regnet", "mnasnet", "mobilenet"),
    "EfficientNet, DenseNet, GoogLeNet, Inception, SqueezeNet": (
        "efficientnet", "densenet", "googlenet", "inception", "squeezenet",
    ),
    "ConvNeXt, ViT": ("convnext", "vit"),
    "Swin, MaxViT, ShuffleNet": ("swin", "maxvit", "shufflenet"),
}  # fmt: skip
SOURCES = {
    "torchvision": "torchvision",
    "timm": "timm, of all kinds",
    "own": "small modules as users write them",
}


def table(rows: Sequence[Row]) -> str:
    """Count the results of each library for each family."""
    libraries = list(dict.fromkeys(row["library"] for row in rows))
    heads = [f"{library}: {result}" for library in libraries for result in RESULTS]
    lines = [["family", "networks", *heads], ["---", *["--:"] * (1 + len(heads))]]
    for family, names in FAMILIES.items():
        chosen = [row for row in rows if row["model"].removeprefix("torchvision:").startswith(names)]
        lines.append(
            _line(family, [row for row in chosen if row["model"].startswith("torchvision:")], libraries)
        )
    for source, title in SOURCES.items():
        chosen = [row for row in rows if row["model"].startswith(f"{source}:")]
        lines.append(_line(f"**{title}**", chosen, libraries))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines if line[1] != "0")


def _line(title: str, rows: Sequence[Row], libraries: Sequence[str]) -> list[str]:
    pairs = [(row["library"], row["result"]) for row in rows]
    counts = [pairs.count((library, result)) for library in libraries for result in RESULTS]
    return [title, str(len({row["model"] for row in rows})), *map(str, counts)]
