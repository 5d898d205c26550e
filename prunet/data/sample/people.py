"""Seven imaginary people: everything that stays the same from photo to photo."""

from typing import Annotated, NamedTuple, get_type_hints

import numpy as np

Colour = tuple[float, ...]


class Style(NamedTuple):
    """Traits that tell people apart at first sight, even in gray."""

    haircut: str  # a key of `hair.HAIRCUTS`
    beard: str  # none, stubble, moustache or full
    glasses: str  # none, round or square


class Looks(NamedTuple):
    """Measures of a face, in head units unless noted, each with its smallest and its largest value."""

    width: Annotated[float, 0.68, 0.80]  # half the width of the head
    jaw: Annotated[float, -0.10, 0.20]  # relative widening of the jaw against an ellipse
    eye_gap: Annotated[float, 0.275, 0.335]  # from the middle of the face to the middle of an eye
    eye_width: Annotated[float, 0.120, 0.155]  # half the width of an eye
    eye_height: Annotated[float, 0.052, 0.080]  # half the height of an open eye
    eye_tilt: Annotated[float, -0.10, 0.20]  # slope; positive: outer corners higher
    brow_gap: Annotated[float, 0.15, 0.21]  # from eye to brow
    brow_thickness: Annotated[float, 0.022, 0.050]
    brow_tilt: Annotated[float, -0.22, 0.25]  # slope; positive: outer ends higher
    nose_length: Annotated[float, 0.30, 0.42]  # from the eye line to the tip
    nose_width: Annotated[float, 0.10, 0.155]  # from the middle to a wing
    nose_height: Annotated[float, 0.16, 0.24]  # height of the tip above the face
    mouth_y: Annotated[float, 0.585, 0.66]
    mouth_width: Annotated[float, 0.20, 0.28]  # half the width at rest
    lips: Annotated[float, 0.040, 0.085]  # thickness of a lip
    age: Annotated[float, 0.0, 1.0]  # 0 smooth to 1 wrinkled


class Person(NamedTuple):
    """An imaginary person."""

    style: Style
    looks: Looks
    skin: Colour
    hair: Colour
    iris: Colour
    grain: int  # seed of the hair's strands


STYLES = {
    "ada": Style("bob", "none", "none"),
    "boris": Style("bald", "full", "none"),
    "clio": Style("long", "none", "none"),
    "dmitri": Style("quiff", "moustache", "none"),
    "esme": Style("bun", "none", "round"),
    "femi": Style("afro", "none", "none"),
    "goran": Style("crop", "stubble", "square"),
}

# The smallest and the largest value of each measure.
RANGES = {name: hint.__metadata__ for name, hint in get_type_hints(Looks, include_extras=True).items()}
EYES_Y = -0.04  # the eye line, where the nose begins

SKINS = np.array([(0.50, 0.33, 0.24), (0.95, 0.77, 0.66)])  # the darkest and the lightest
HAIRS = (  # in the order of the matching skins
    (0.07, 0.06, 0.06),
    (0.11, 0.08, 0.07),
    (0.55, 0.54, 0.55),
    (0.20, 0.12, 0.08),
    (0.38, 0.22, 0.12),
    (0.58, 0.25, 0.10),
    (0.80, 0.63, 0.36),
)
IRISES = ((0.20, 0.11, 0.06), (0.34, 0.21, 0.09), (0.27, 0.36, 0.20), (0.28, 0.42, 0.58))


def invent_people(seed: int) -> dict[str, Person]:
    """Invent the seven people of the sample; return them by name.

    The range of each measure is divided into as many slices as there are people, and each person gets one
    slice (Latin hypercube sampling), so no two people look alike for any seed.
    """
    rng = np.random.default_rng(seed)
    number = len(STYLES)
    slices = np.stack([rng.permutation(number) for _ in RANGES], axis=1)  # (people, measures)
    shares = (slices + rng.uniform(0.2, 0.8, slices.shape)) / number
    least, most = np.array(list(RANGES.values())).T
    measures = (least + (most - least) * shares).tolist()
    skins = rng.permutation(number).tolist()
    return {
        name: Person(
            style=STYLES[name],
            looks=Looks(*own),
            skin=tuple((SKINS[0] + (SKINS[1] - SKINS[0]) * (skin / (number - 1))).tolist()),
            hair=HAIRS[skin],
            iris=IRISES[min(int(rng.integers(0, 2)) + skin // 2, len(IRISES) - 1)],
            grain=int(rng.integers(2**31)),
        )
        for name, own, skin in zip(STYLES, measures, skins, strict=True)
    }
