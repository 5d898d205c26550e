"""Photos of imaginary people, drawn with NumPy: the embedded face sample, in which nobody real is shown.

A head is an ellipsoid with a relief (nose, eye sockets, lips, ...). It is turned in three dimensions, seen
from the front without perspective, painted part by part, and lit by one lamp plus light from all sides.

Lengths are in head units: 1 is half the height of the head, from its centre to the chin. In the head's own
axes x runs to the right of the picture, y down and z towards the camera. Colours are RGB, 0 (black) to 1
(white); a mask is 0 (nothing is painted) to 1 (all of it is). `paint_...` and `draw_...` functions paint on
the float32 canvas that they get; the `x` and `y` that go with it say where each pixel is, in head units.
"""

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]  # float32 throughout: half the memory to move
Photo = NDArray[np.uint8]
Rng = np.random.Generator
Colour = tuple[float, float, float]


class Style(NamedTuple):
    """What tells people apart at first sight, in gray as in colour."""

    cut: str  # a key of CUTS
    beard: str  # none, stubble, moustache or full
    glasses: str  # none, round or square


class Looks(NamedTuple):
    """The measures of a face, in head units where nothing else is said."""

    width: float  # half the width of the head
    jaw: float  # share by which the jaw is wider (above 0) or narrower than an ellipse
    eye_gap: float  # from the middle of the face to the middle of an eye
    eye_width: float  # half the width of an eye
    eye_height: float  # half the height of an open eye
    eye_tilt: float  # slope: above 0 the outer corners are higher
    brow_gap: float  # from eye to brow
    brow_thickness: float
    brow_tilt: float  # slope: above 0 the outer ends are higher
    nose_length: float  # from the eyes' line to the tip
    nose_width: float  # from the middle to a wing
    nose_height: float  # how far the tip stands out
    mouth_y: float
    mouth_width: float  # half the width at rest
    lips: float  # thickness of a lip
    age: float  # 0 smooth to 1 wrinkled


class Person(NamedTuple):
    """An imaginary person: all that stays the same from photo to photo."""

    style: Style
    looks: Looks
    skin: Colour
    hair: Colour
    iris: Colour
    grain: int  # seed of the hair's strands


class Cut(NamedTuple):
    """A hair cut: a shell around the head, open where the face looks out. Lengths in head units."""

    volume: float  # thickness of the hair at the sides; 0: no hair
    lift: float  # further thickness on top
    hairline: float  # y of the hairline, in the middle of the forehead
    curtain: float  # how far the hairline falls per unit of distance from the parting
    parting: float  # x of the parting
    sides: float  # y down to which the hair covers the sides of the head
    length: float  # y at which the hair behind the head ends
    curls: float  # 0 straight to 1 curly
    bun: float  # radius of the bun on top; 0: none


class Light(NamedTuple):
    """Where light comes from: `direction` points to the lamp (x right, y down, z to the camera), length 1."""

    direction: tuple[float, float, float]
    lamp: float  # brightness of what faces the lamp
    ambient: float  # brightness of what the lamp does not reach


class Pose(NamedTuple):
    """How the head is turned, in radians, and what the face does."""

    yaw: float  # above 0: to the right of the picture
    pitch: float  # above 0: down
    roll: float  # above 0: clockwise
    smile: float  # -1 sad to 1 broad smile
    mouth_open: float  # 0 closed to 1 wide open
    eyes_open: float  # 1 as usual
    brows_up: float  # head units
    gaze: float  # head units that the irises are off their middle


class Place(NamedTuple):
    """Where a head stands in the photo: its centre and 1 head unit, in pixels."""

    x: float
    y: float
    unit: float


class Surface(NamedTuple):
    """What the camera sees of an ellipsoid, pixel by pixel: (H, W) float32 each, in head units."""

    x: Array
    y: Array
    z: Array  # x, y, z: the point in the head's own axes
    depth: Array  # its height towards the camera
    outside: Array  # signed distance to the outline: below 0 inside
    slope: tuple[float, float]  # change of x and y per unit that a point stands out of the surface


STYLES = {
    "ada": Style("bob", "none", "none"),
    "boris": Style("bald", "full", "none"),
    "clio": Style("long", "none", "none"),
    "dmitri": Style("quiff", "moustache", "none"),
    "esme": Style("bun", "none", "round"),
    "femi": Style("afro", "none", "none"),
    "goran": Style("crop", "stubble", "square"),
}

CUTS = {
    "bald": Cut(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "crop": Cut(0.045, 0.03, -0.60, 0.15, 0.0, 0.02, 0.15, 0.5, 0.0),
    "quiff": Cut(0.06, 0.20, -0.62, 0.28, -0.34, 0.08, 0.25, 0.1, 0.0),
    "bob": Cut(0.16, 0.07, -0.30, 0.10, 0.0, 0.72, 0.80, 0.0, 0.0),
    "long": Cut(0.12, 0.05, -0.74, 0.95, 0.0, 0.70, 1.75, 0.0, 0.0),
    "bun": Cut(0.04, 0.02, -0.64, 0.30, 0.0, 0.05, 0.15, 0.0, 0.32),
    "afro": Cut(0.40, 0.12, -0.52, 0.10, 0.0, 0.15, 0.50, 1.0, 0.0),
}

LEAST = Looks(
    width=0.68,
    jaw=-0.10,
    eye_gap=0.275,
    eye_width=0.120,
    eye_height=0.052,
    eye_tilt=-0.10,
    brow_gap=0.15,
    brow_thickness=0.022,
    brow_tilt=-0.22,
    nose_length=0.30,
    nose_width=0.10,
    nose_height=0.16,
    mouth_y=0.585,
    mouth_width=0.20,
    lips=0.040,
    age=0.0,
)
MOST = Looks(
    width=0.80,
    jaw=0.20,
    eye_gap=0.335,
    eye_width=0.155,
    eye_height=0.080,
    eye_tilt=0.20,
    brow_gap=0.21,
    brow_thickness=0.050,
    brow_tilt=0.25,
    nose_length=0.42,
    nose_width=0.155,
    nose_height=0.24,
    mouth_y=0.66,
    mouth_width=0.28,
    lips=0.085,
    age=1.0,
)

SKINS: tuple[Colour, Colour] = ((0.50, 0.33, 0.24), (0.95, 0.77, 0.66))  # the darkest and the lightest
HAIRS: tuple[Colour, ...] = (  # in the order of the skins that they go with
    (0.07, 0.06, 0.06),
    (0.11, 0.08, 0.07),
    (0.55, 0.54, 0.55),
    (0.20, 0.12, 0.08),
    (0.38, 0.22, 0.12),
    (0.58, 0.25, 0.10),
    (0.80, 0.63, 0.36),
)
IRISES: tuple[Colour, ...] = ((0.20, 0.11, 0.06), (0.34, 0.21, 0.09), (0.27, 0.36, 0.20), (0.28, 0.42, 0.58))
FAINT = 1 / 512  # a mask below this would not change a photo's pixel
NOSE_Y = -0.04  # the line of the eyes, where the nose begins too


def people(seed: int) -> dict[str, Person]:
    """Invent the seven people of the sample, by name.

    Each measure is dealt like cards: its range is cut into as many slices as there are people, and each gets
    a slice of their own. So no two of them look alike, whatever the seed.
    """
    rng = np.random.default_rng(seed)
    number = len(STYLES)
    slices = np.stack([rng.permutation(number) for _ in LEAST], axis=1)  # (people, measures)
    shares = (slices + rng.uniform(0.2, 0.8, slices.shape)) / number
    skins = rng.permutation(number)
    invented = {}
    for index, (name, style) in enumerate(STYLES.items()):
        measures = [
            low + (high - low) * float(share)
            for low, high, share in zip(LEAST, MOST, shares[index], strict=True)
        ]
        skin = int(skins[index])
        invented[name] = Person(
            style=style,
            looks=Looks(*measures),
            skin=_mix(SKINS[0], SKINS[1], skin / (number - 1)),
            hair=HAIRS[skin],
            iris=IRISES[min(int(rng.integers(0, 2)) + skin // 2, len(IRISES) - 1)],
            grain=int(rng.integers(2**31)),
        )
    return invented


def photo(person: Person, rng: Rng) -> Photo:
    """Draw a photo of `person`: (H, W, 3) uint8 RGB, its longer side 160 to 360 pixels."""
    height, width = _frame(rng, (160, 360), (0.75, 0.8, 1.0, 1.33, 1.5))
    short = min(height, width)
    unit = max(33.0, short * float(rng.uniform(0.21, 0.33)))
    place = Place(
        x=width * float(rng.uniform(0.40, 0.60)),
        y=max(1.15 * unit, min(height - 1.15 * unit, height * float(rng.uniform(0.38, 0.52)))),
        unit=unit,
    )
    canvas = scene(height, width, blur=unit * float(rng.uniform(0.03, 0.12)), rng=rng)
    draw_figure(canvas, person, some_pose(rng), some_light(rng), place, rng)
    return develop(canvas, rng)


def photo_of_two(person: Person, other: Person, rng: Rng) -> Photo:
    """Draw `person` in front and `other`, clearly smaller, behind.

    The photo is (H, W, 3) uint8 RGB, 300 to 360 pixels wide.
    """
    height, width = _frame(rng, (300, 360), (1.4, 1.5))
    light = some_light(rng)
    side = int(rng.choice((-1, 1)))
    near = Place(width * (0.5 - side * 0.19), height * float(rng.uniform(0.46, 0.52)), height * 0.31)
    far = Place(width * (0.5 + side * 0.27), height * float(rng.uniform(0.38, 0.46)), height * 0.19)
    canvas = scene(height, width, blur=5.0, rng=rng)
    for somebody, place in ((other, far), (person, near)):
        draw_figure(canvas, somebody, some_pose(rng, calm=0.6), light, place, rng)
    return develop(canvas, rng)


def photo_of_nobody(rng: Rng) -> Photo:
    """Draw a room, a landscape or a street with nobody in it: (H, W, 3) uint8 RGB."""
    height, width = _frame(rng, (200, 360), (1.0, 1.33, 1.5))
    canvas = scene(height, width, blur=0.8, rng=rng)
    paint_balls(canvas, some_light(rng), rng)
    return develop(canvas, rng)


def near_duplicate(original: Photo, rng: Rng) -> Photo:
    """Return `original` as passed around: scaled to 75 to 95%, and 4 to 14 of 255 lighter or darker."""
    scale = float(rng.uniform(0.75, 0.95))
    small = cv2.resize(original, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    shift = float(rng.choice((-1, 1)) * rng.uniform(4, 14))
    return np.asarray(np.clip(small.astype(np.float32) + shift, 0, 255), np.uint8)


def some_pose(rng: Rng, calm: float = 1.0) -> Pose:
    """Draw a pose; `calm` below 1 turns the head less."""
    smile = float(rng.uniform(-0.4, 1.1))
    return Pose(
        yaw=float(rng.uniform(-0.50, 0.50)) * calm,
        pitch=float(rng.uniform(-0.20, 0.18)) * calm,
        roll=float(rng.uniform(-0.24, 0.24)) * calm,
        smile=smile,
        mouth_open=max(0.0, float(rng.uniform(-0.6, 1.0))) * (1.0 if smile > 0 else 0.5),
        eyes_open=float(rng.uniform(0.75, 1.10)) - 0.15 * max(0.0, smile),
        brows_up=float(rng.uniform(-0.015, 0.035)),
        gaze=float(rng.uniform(-0.03, 0.03)),
    )


def some_light(rng: Rng) -> Light:
    """Draw a lamp: from the left, the front or the right, mostly from above."""
    azimuth = float(rng.uniform(-1.15, 1.15))
    height = float(rng.uniform(-0.05, 0.85))
    ambient = float(rng.uniform(0.38, 0.62))
    return Light(
        direction=(
            math.sin(azimuth) * math.cos(height),
            -math.sin(height),
            math.cos(azimuth) * math.cos(height),
        ),
        lamp=float(rng.uniform(0.95, 1.30)) - ambient,
        ambient=ambient,
    )


def draw_figure(canvas: Array, person: Person, pose: Pose, light: Light, place: Place, rng: Rng) -> None:
    """Draw the head and shoulders of `person` on `canvas`, (H, W, 3)."""
    x, y = _grid(canvas.shape[0], canvas.shape[1], place, pose.roll * 0.25)
    paint_bust(canvas, x, y, person, pose, light, place.unit, rng)
    x, y = _grid(canvas.shape[0], canvas.shape[1], place, pose.roll)
    window = _window(canvas, place, reach=1.3)
    face = canvas[window]  # a view: what is painted on it is painted on the canvas
    face_x, face_y = x[window], y[window]
    paint_ears(face, face_x, face_y, person, pose, light, 1 / place.unit)
    paint_face(face, face_x, face_y, person, pose, light, place.unit, rng)
    if person.style.glasses != "none":
        paint_glasses(face, face_x, face_y, person, pose, 1 / place.unit)
    window = _window(canvas, place, reach=1.6)
    if person.style.beard == "full":
        paint_beard(canvas[window], x[window], y[window], person, pose, light, place.unit, rng)
    if CUTS[person.style.cut].volume:
        paint_hair(canvas[window], x[window], y[window], person, pose, light, place.unit, rng)


# --- the face --------------------------------------------------------------------------------------------


def paint_face(
    canvas: Array, x: Array, y: Array, person: Person, pose: Pose, light: Light, unit: float, rng: Rng
) -> None:
    """Paint the front of the head with all its parts, then light it."""
    looks = person.looks
    surface = _face_surface(x, y, looks, pose)
    near = _box(surface.outside < 0.05)
    surface = _crop(surface, near)
    patches = 1 + 0.035 * _mottle(surface.x.shape, 0.10 * unit, rng)
    colour = _rgb(person.skin) * patches[..., None]
    paint_cheeks(colour, surface, person)
    paint_wrinkles(colour, surface, looks, pose)
    if person.style.beard != "none":
        paint_short_beard(colour, surface, person, rng)
    paint_mouth(colour, surface, person, pose, 1 / unit)
    paint_eyes(colour, surface, person, pose, 1 / unit)
    paint_brows(colour, surface, person, pose)
    paint_nostrils(colour, surface, looks)
    relief = face_relief(surface, looks, pose)
    hollow = np.clip((cv2.GaussianBlur(relief, (0, 0), 0.10 * unit) - relief) * 5, -0.15, 0.5)
    height = surface.depth + relief
    colour *= (_shade(height, unit, light) * (1 - hollow))[..., None]
    colour += _gloss(height, unit, light)[..., None]
    _blend(canvas[near], _inside(surface.outside, 1.5 / unit), colour)


def face_relief(surface: Surface, looks: Looks, pose: Pose) -> Array:
    """How far the face stands out of the ellipsoid, in head units: (H, W)."""
    x, y = np.abs(surface.x), surface.y
    eye, mouth = x - looks.eye_gap, y - looks.mouth_y
    tip = NOSE_Y + looks.nose_length
    relief = -0.085 * _bump(eye, 0.17) * _bump(y - NOSE_Y + 0.01, 0.11)  # sockets
    relief += 0.055 * _bump(eye, 0.11) * _bump(y - NOSE_Y, 0.07)  # eyeballs
    relief += 0.045 * _bump(y - NOSE_Y + looks.brow_gap, 0.075) * _bump(x - 0.26, 0.28)
    relief += 0.05 * _bump(x - 0.44, 0.17) * _bump(y - 0.27 + 0.04 * pose.smile, 0.15)  # cheek bones
    relief += 0.055 * _bump(x, 0.17) * _bump(y - 0.87, 0.11)  # chin
    relief += looks.lips * 0.55 * _bump(x, looks.mouth_width * 0.8) * _bump(mouth, looks.lips * 1.5)
    relief -= 0.03 * _bump(x, looks.mouth_width * 0.6) * _bump(mouth - looks.lips - 0.07, 0.035)
    nose_x, nose_y = _stand_out(surface, looks.nose_height * 0.6)
    along = np.clip((nose_y - NOSE_Y + 0.06) / (tip - NOSE_Y + 0.06), 0, 1)
    past = np.clip((nose_y - tip) / 0.075, 0, 1)
    ridge = along * (1 - past * past * (3 - 2 * past))
    relief += looks.nose_height * ridge * _bump(nose_x, looks.nose_width * (0.45 + 0.30 * along))
    wings = _bump(np.abs(nose_x) - looks.nose_width * 0.82, 0.042) * _bump(nose_y - tip - 0.005, 0.055)
    relief += 0.06 * wings
    return relief


def paint_cheeks(colour: Array, surface: Surface, person: Person) -> None:
    """Redden cheeks, nose and chin a little."""
    x, y = np.abs(surface.x), surface.y
    red = _bump(x - 0.40, 0.17) * _bump(y - 0.30, 0.14) + 0.7 * _bump(x, 0.12) * _bump(y - 0.33, 0.10)
    _blend(colour, 0.28 * np.clip(red, 0, 1), _times(person.skin, (1.02, 0.72, 0.68)))


def paint_wrinkles(colour: Array, surface: Surface, looks: Looks, pose: Pose) -> None:
    """Darken the folds from nose to mouth (deeper in a smile), below the eyes, and across the forehead."""
    x, y = np.abs(surface.x), surface.y
    fold_x = looks.nose_width + 0.06 + 0.45 * np.clip(y - 0.32, 0, None) * (1 + 0.25 * pose.smile)
    fold = _bump(x - fold_x, 0.026) * _bump(y - looks.mouth_y + 0.13, 0.13)
    bags = _bump(x - looks.eye_gap, 0.12) * _bump(y - NOSE_Y - looks.eye_height - 0.075, 0.028)
    lines = _bump(((y + 0.52 - 0.05 * x) % 0.10) - 0.05, 0.012) * _bump(y + 0.47, 0.11) * _bump(x, 0.35)
    dark = fold * (0.10 + 0.14 * max(0.0, pose.smile) + 0.22 * looks.age)
    dark += (0.06 + 0.22 * looks.age) * bags + 0.28 * max(0.0, looks.age - 0.35) * lines
    colour *= (1 - dark)[..., None]


def paint_eyes(colour: Array, surface: Surface, person: Person, pose: Pose, pixel: float) -> None:
    """Paint both eyes at once: with |x|, left and right share a place."""
    looks = person.looks
    across = np.abs(surface.x) - looks.eye_gap
    down = surface.y - NOSE_Y + looks.eye_tilt * across
    arch = np.clip(1 - (across / looks.eye_width) ** 2, 0, 1)
    upper = -looks.eye_height * pose.eyes_open * arch
    lower = looks.eye_height * (0.62 - 0.2 * max(0.0, pose.smile)) * arch
    soft = max(1.3 * pixel, 0.012)
    ends = _inside(np.abs(across) - looks.eye_width, soft)
    _blend(
        colour, 0.22 * _bump(across, 0.19) * _bump(down + 0.05, 0.10), _times(person.skin, (0.6, 0.5, 0.5))
    )
    white = ends * _inside(upper - down, soft) * _inside(down - lower, soft)
    shadow = np.clip((down - upper) / 0.05, 0.45, 1)[..., None]
    _blend(colour, white, _rgb((0.93, 0.92, 0.90)) * shadow)
    toward_x = across - np.sign(surface.x) * np.float32(pose.gaze)
    radius = _radius(toward_x, down + 0.008)
    size = 0.066 * (0.6 + 0.4 * looks.eye_width / 0.14)
    _blend(colour, white * _inside(radius - size, soft), _rgb(person.iris) * shadow)
    _blend(colour, white * _inside(radius - size * 0.48, soft), (0.02, 0.02, 0.02))
    lashes = ends * _bump(down - upper, max(0.018, pixel * 0.7))
    _blend(colour, 0.9 * lashes, _times(person.skin, (0.16, 0.13, 0.13)))
    _blend(colour, 0.35 * ends * _bump(down - lower, 0.014), _times(person.skin, (0.5, 0.35, 0.35)))
    crease = ends * _bump(down - upper * 1.25 + 0.045, 0.014)
    _blend(colour, 0.35 * crease, _times(person.skin, (0.5, 0.38, 0.36)))
    glint = _bump(_radius(toward_x * np.sign(surface.x) + 0.022, down + 0.03), max(0.014, 0.6 * pixel))
    _blend(colour, white * glint, (1.5, 1.5, 1.5))


def paint_brows(colour: Array, surface: Surface, person: Person, pose: Pose) -> None:
    """Paint both brows: arched strokes that thin out to the temples."""
    looks = person.looks
    across = np.abs(surface.x) - looks.eye_gap
    line = NOSE_Y - looks.brow_gap - pose.brows_up - looks.brow_tilt * across + 1.1 * across * across
    thickness = looks.brow_thickness * np.clip(1 - 1.8 * across, 0.45, 1.3)
    mask = _bump((surface.y - line) / thickness, 1) * _inside(np.abs(across) - looks.eye_width * 1.35, 0.06)
    _blend(colour, 0.88 * mask, _times(_mix(person.hair, (0.1, 0.08, 0.07), 0.35), (0.8, 0.8, 0.8)))


def paint_nostrils(colour: Array, surface: Surface, looks: Looks) -> None:
    """Paint the nostrils and the shadow below the nose."""
    x, y = _stand_out(surface, looks.nose_height * 0.5)
    below = y - NOSE_Y - looks.nose_length - 0.045
    holes = _bump(np.abs(x) - looks.nose_width * 0.46, 0.034) * _bump(below, 0.020)
    shade = _bump(x, looks.nose_width * 1.05) * _bump(below - 0.025, 0.035)
    colour *= (1 - np.clip(0.72 * holes + 0.28 * shade, 0, 0.9))[..., None]


def paint_mouth(colour: Array, surface: Surface, person: Person, pose: Pose, pixel: float) -> None:
    """Paint lips, the dark of an open mouth and the upper teeth."""
    looks = person.looks
    half = looks.mouth_width * (1 + 0.22 * pose.smile)
    along = surface.x / half
    arch = np.sqrt(np.clip(1 - along * along, 0, 1))
    down = surface.y - looks.mouth_y - 0.085 * pose.smile * (0.35 - along * along)
    gap = 0.085 * pose.mouth_open * arch
    bow = 1 - 0.30 * _bump(along, 0.16)
    top = -looks.lips * 0.85 * arch * bow - 0.25 * gap
    bottom = looks.lips * 1.1 * arch + gap
    soft = max(1.3 * pixel, 0.014)
    ends = _inside(np.abs(along) - 1, 0.08)
    lips = ends * _inside(top - down, soft) * _inside(down - bottom, soft)
    _blend(colour, 0.8 * lips, _times(person.skin, (0.82, 0.52, 0.52)))
    _blend(colour, 0.25 * lips * _inside(down, 0.03), _times(person.skin, (0.55, 0.35, 0.36)))
    if pose.mouth_open > 0.1:
        hole = ends * _inside(-0.25 * gap - down, soft) * _inside(down - gap, soft)
        _blend(colour, hole * np.clip(gap / 0.02, 0, 1), (0.16, 0.05, 0.06))
        _blend(colour, hole * _inside(down - 0.45 * gap, soft) * np.clip(gap / 0.02, 0, 1), (0.9, 0.88, 0.84))
    else:
        _blend(colour, 0.75 * ends * _bump(down, 0.014), _times(person.skin, (0.35, 0.2, 0.2)))
    corners = _bump(np.abs(along) - 1, 0.14) * _bump(down, 0.03)
    _blend(colour, 0.4 * corners, _times(person.skin, (0.4, 0.27, 0.25)))


def paint_short_beard(colour: Array, surface: Surface, person: Person, rng: Rng) -> None:
    """Paint the beard that lies on the skin: on the upper lip, and if it is stubble on jaw and chin too."""
    looks = person.looks
    x, y = np.abs(surface.x), surface.y
    speckle = 1 + 0.25 * rng.standard_normal(x.shape, dtype=np.float32)
    lip_y = looks.mouth_y - looks.lips * 0.9
    middle = 0.45 * (NOSE_Y + looks.nose_length + 0.07) + 0.55 * lip_y + 0.55 * x * x
    bushy = person.style.beard == "moustache"
    half = looks.mouth_width * (1.4 if bushy else 1.15)
    mask = _bump(y - middle, 0.075 if bushy else 0.045) * _inside(x - half, 0.08)
    if person.style.beard == "stubble":
        cheeks = _inside(0.45 - 0.45 * np.clip(x - 0.25, 0, None) - y, 0.14) * _inside(0.22 - x, 0.12)
        chin = _inside(looks.mouth_y + looks.lips - y, 0.10)
        mask = 0.55 * np.maximum(mask, np.maximum(cheeks, chin))
    dark = _times(person.hair, (0.7, 0.7, 0.7)) if bushy else person.hair
    _blend(colour, np.clip(mask * speckle * 1.1, 0, 1), dark)


# --- what surrounds the face -----------------------------------------------------------------------------


def paint_beard(
    canvas: Array, x: Array, y: Array, person: Person, pose: Pose, light: Light, unit: float, rng: Rng
) -> None:
    """Paint a beard that stands out of the face and hangs below the chin."""
    looks = person.looks
    squeeze = 1 + (looks.jaw + 0.02) * _smooth(y / 0.7)
    shell = _ellipsoid(x / squeeze, y - 0.10, (looks.width + 0.02, 1.08, 0.90), pose)
    beard_y = shell.y + 0.10
    start = 0.72 - 0.62 * _smooth((np.abs(shell.x) - 0.16) / 0.45)
    mouth = _inside(0.10 - _radius(shell.x / 2.6, beard_y - looks.mouth_y - 0.02), 0.06)
    curls = _mottle(x.shape, 0.035 * unit, rng)
    mask = _inside(start - beard_y + 0.04 * curls, 0.07) * mouth
    mask *= _inside(shell.outside + 0.03 * curls, 2.5 / unit)
    tone = _shade(shell.depth + 0.03 * curls, unit, light) * (1 + 0.25 * curls)
    _blend(canvas, mask, _rgb(person.hair) * tone[..., None])


def paint_hair(
    canvas: Array, x: Array, y: Array, person: Person, pose: Pose, light: Light, unit: float, rng: Rng
) -> None:
    """Paint the hair in front: the shell around the head, open where the face looks out."""
    cut = CUTS[person.style.cut]
    shell = _hair_shell(x, y, person, pose)
    near = _box((shell.outside < 0.1) & (shell.y < max(cut.sides, 0.3)))
    shell, canvas = _crop(shell, near), canvas[near]
    curls = cut.curls * _mottle(shell.x.shape, 0.05 * unit, rng)
    strands = _strands(shell, person.grain) * (1 - cut.curls) + 0.5 * curls
    side = _smooth((0.62 - shell.z / 0.85) / 0.42)
    front = cut.hairline + cut.curtain * np.abs(shell.x - cut.parting) ** 1.4 + 0.02 * strands
    below = shell.y - front - (cut.sides - front) * side  # the hairline, 0, is lower at the sides
    shadow = 0.35 * _bump(np.clip(below, 0, None), 0.06) * _inside(shell.outside, 0.1)
    canvas *= (1 - shadow)[..., None]
    tone = _shade(shell.depth + 0.05 * curls, unit, light) * (1 + 0.22 * strands)
    shine = 0.10 * (1 - cut.curls) * _bump(shell.y + 0.55 + 0.05 * strands, 0.13) * light.lamp
    lit = _rgb(person.hair) * tone[..., None] + shine[..., None]
    outside = shell.outside + 0.035 * curls + 0.01 * strands
    _blend(canvas, _inside(below, 0.05) * _inside(outside, 2 / unit), lit)


def paint_back_hair(
    canvas: Array, x: Array, y: Array, person: Person, pose: Pose, light: Light, unit: float, rng: Rng
) -> None:
    """Paint the hair behind head and neck, and the bun."""
    cut = CUTS[person.style.cut]
    shell = _hair_shell(x, y, person, pose)
    curls = cut.curls * _mottle(x.shape, 0.05 * unit, rng)
    strands = _strands(shell, person.grain) * (1 - cut.curls) + 0.5 * curls
    outside = shell.outside + 0.035 * curls
    if cut.length > 1:
        width = (person.looks.width + cut.volume) * (1 + 0.10 * np.clip(y, 0, None))
        outside = np.minimum(outside, np.where(y > 0, np.abs(x) - width, 1) + 0.02 * strands)
    mask = _inside(outside, 2 / unit) * _inside(y - cut.length - 0.05 * strands, 0.08)
    if cut.bun:
        middle_x, middle_y = _project((0.0, -1.0 - cut.bun * 0.55, -0.25), pose)
        bun = _radius(x - middle_x, (y - middle_y) * 1.15) - cut.bun
        mask = np.maximum(mask, _inside(bun + 0.015 * strands, 2 / unit))
    tone = (0.62 + 0.22 * strands) * (light.ambient + 0.5 * light.lamp)
    _blend(canvas, mask, _rgb(person.hair) * tone[..., None])


def paint_locks(canvas: Array, x: Array, y: Array, person: Person, light: Light, pixel: float) -> None:
    """Paint long hair that falls in front of the shoulders, on both sides of the neck."""
    cut = CUTS[person.style.cut]
    middle = person.looks.width * (0.88 + 0.06 * np.sin(3 * y))
    across = np.abs(x) - middle
    mask = _inside(np.abs(across) - 0.24, 2 * pixel) * _inside(y - cut.length - 0.3 * across, 0.1)
    mask *= _inside(0.2 - y, 0.2)
    strands = np.sin(46 * across + 3 * np.sin(2.2 * y)) * 0.5 + np.sin(71 * across - 2 * y) * 0.5
    tone = (0.85 + 0.16 * strands - 1.2 * across * across) * (light.ambient + 0.7 * light.lamp)
    _blend(canvas, mask, _rgb(person.hair) * tone[..., None])


def paint_ears(
    canvas: Array, x: Array, y: Array, person: Person, pose: Pose, light: Light, pixel: float
) -> None:
    """Paint both ears; hair that is long enough is painted over them later."""
    for side in (-1, 1):
        middle_x, middle_y = _project((side * person.looks.width * 0.98, 0.10, -0.05), pose)
        near = _box((np.abs(x - middle_x) < 0.2) & (np.abs(y - middle_y) < 0.25))
        across, down = (x[near] - middle_x) / 0.115, (y[near] - middle_y) / 0.20
        radius = _radius(across - 0.2 * side * down, down)
        tone = light.ambient + light.lamp * (0.45 + 0.35 * side * light.direction[0])
        fold = 1 - 0.35 * _bump(radius - 0.45, 0.28)
        mask = _inside((radius - 1) * 0.13, 1.5 * pixel)
        _blend(canvas[near], mask, _rgb(person.skin) * (tone * fold)[..., None])


def paint_glasses(canvas: Array, x: Array, y: Array, person: Person, pose: Pose, pixel: float) -> None:
    """Paint the frame of the glasses, a step in front of the eyes."""
    surface = _face_surface(x, y, person.looks, pose)
    front_x, front_y = _stand_out(surface, 0.10)
    across = np.abs(front_x) - person.looks.eye_gap - 0.01
    down = front_y - NOSE_Y - 0.03
    if person.style.glasses == "round":
        rim = _radius(across, down) - 0.20
    else:
        rim = ((across / 0.235) ** 4 + (down / 0.165) ** 4) ** 0.25 * 0.2 - 0.2
    thick = max(0.016, 0.7 * pixel)
    frame = _inside(np.abs(rim) - thick, 1.5 * pixel)
    bridge = _inside(np.abs(front_x) - person.looks.eye_gap + 0.18, 0.02) * _bump(down + 0.04, 0.022)
    arms = _inside(0.20 - across, 0.02) * _bump(down + 0.05, 0.026)
    mask = np.maximum(frame, np.maximum(bridge, arms)) * _inside(surface.outside, 1.5 * pixel)
    _blend(canvas, 0.10 * _inside(rim, 0.02), (0.85, 0.9, 1.0))
    _blend(canvas, 0.92 * mask, (0.07, 0.06, 0.07))


def paint_bust(
    canvas: Array, x: Array, y: Array, person: Person, pose: Pose, light: Light, unit: float, rng: Rng
) -> None:
    """Paint what is behind and below the head: back hair, neck, clothes, and long hair over the shoulders."""
    cut = CUTS[person.style.cut]
    if cut.volume:
        near = _box(np.abs(x) < 1.4)
        paint_back_hair(canvas[near], x[near], y[near], person, pose, light, unit, rng)
    x = x - 0.10 * pose.yaw
    near = _box((np.abs(x) < 1) & (y > 0))
    paint_neck(canvas[near], x[near], y[near], person, light, 1 / unit)
    below = _box(y > 1)
    paint_clothes(canvas[below], x[below], y[below], light, 1 / unit, rng)
    if cut.length > 1:
        near = _box((np.abs(x) < 1.3) & (y > 0))
        paint_locks(canvas[near], x[near], y[near], person, light, 1 / unit)


def paint_neck(canvas: Array, x: Array, y: Array, person: Person, light: Light, pixel: float) -> None:
    """Paint the neck and the skin that a neckline shows, under the shadow of the chin."""
    half = person.looks.width * 0.62
    outside = np.abs(x) - half - 0.25 * _smooth((y - 1.0) / 0.5) ** 2
    tone = _side_light(x / (half * 1.3), light) * (1 - 0.45 * _inside(y - 1.12, 0.5))
    mask = _inside(outside, 2 * pixel) * _inside(0.3 - y, 0.1)
    _blend(canvas, mask, _rgb(person.skin) * tone[..., None])


def paint_clothes(canvas: Array, x: Array, y: Array, light: Light, pixel: float, rng: Rng) -> None:
    """Paint shoulders in a plain, striped or checked garment with a round neck, a V-neck or a high collar."""
    if not y.size:
        return  # the photo ends above the shoulders
    side = np.abs(x)
    top = _neckline(side, int(rng.integers(3)))
    base = _muted(rng)
    other = np.clip(base + float(rng.choice((-0.3, 0.3))), 0.03, 0.95).astype(np.float32)
    pattern = _pattern(x, y - 0.12 * side * side, 0.12 * float(rng.uniform(0.6, 1.6)), int(rng.integers(3)))
    cloth = base + (other - base) * pattern[..., None]
    folds = 1 + 0.07 * _mottle(x.shape, 0.22 / pixel, rng) - 0.25 * _bump(y - top, 0.04)
    _blend(canvas, _inside(top - y, 2 * pixel), cloth * (_side_light(x / 1.9, light) * folds)[..., None])


def _neckline(side: Array, kind: int) -> Array:
    """The y where the garment begins, by the distance from the middle."""
    shoulder = 1.34 + 0.20 * side * side / (0.6 + 0.4 * side) + 2.2 * np.clip(side - 1.45, 0, None) ** 2
    if kind == 0:  # round
        return np.asarray(np.maximum(shoulder, 1.56 - 0.9 * side * side))
    if kind == 1:  # V
        return np.asarray(np.maximum(shoulder, 1.95 - 1.5 * side))
    collar = np.minimum(shoulder, 1.16 + 0.25 * side)
    return np.asarray(np.where(side < 0.56, collar, shoulder))


def _pattern(x: Array, y: Array, stripe: float, kind: int) -> Array:
    """Stripes or checks, `stripe` wide: 0 to 1."""
    rows = (y % (2 * stripe) < stripe).astype(np.float32)
    columns = (x % (2 * stripe) < stripe).astype(np.float32)
    return (np.zeros_like(rows), rows, (rows + columns) * np.float32(0.5))[kind]


# --- where it is -----------------------------------------------------------------------------------------


def scene(height: int, width: int, blur: float, rng: Rng) -> Array:
    """Draw a place without people, out of focus by `blur` pixels: (height, width, 3)."""
    draw = (_wall, _room, _landscape, _street, _lights)[int(rng.integers(5))]
    shrink = 2 if blur > 2 else 1  # what is out of focus needs no fine pixels
    canvas = draw(-(-height // shrink), -(-width // shrink), rng)
    canvas *= 1 + 0.05 * _mottle(canvas.shape[:2], 3, rng)[..., None]
    blurred = cv2.GaussianBlur(canvas, (0, 0), max(0.4, blur / shrink))
    return np.asarray(cv2.resize(blurred, (width, height)) if shrink > 1 else blurred, np.float32)


def paint_balls(canvas: Array, light: Light, rng: Rng) -> None:
    """Paint some shaded balls in the foreground."""
    height, width = canvas.shape[:2]
    for _ in range(int(rng.integers(2, 6))):
        unit = float(rng.uniform(0.06, 0.16)) * height
        place = Place(
            width * float(rng.uniform(0.1, 0.9)), height - unit * float(rng.uniform(0.9, 1.4)), unit
        )
        x, y = _grid(height, width, place, 0.0)
        radius = _radius(x, y)
        depth = np.sqrt(np.clip(1 - radius * radius, 0, None))
        lit = _muted(rng) * _shade(depth, unit, light)[..., None]
        _blend(canvas, _inside(radius - 1, 2 / unit), lit)


def _wall(height: int, width: int, rng: Rng) -> Array:
    across, down = _unit_square(height, width)
    slope = rng.uniform(-0.3, 0.3, 2)
    fall = 1 + float(slope[0]) * (across - 0.5) + float(slope[1]) * (down - 0.5)
    cloudy = 1 + 0.12 * _mottle((height, width), 0.25 * height, rng)
    return np.asarray(_muted(rng) * (fall * cloudy)[..., None])


def _room(height: int, width: int, rng: Rng) -> Array:
    canvas = _wall(height, width, rng)
    for _ in range(int(rng.integers(2, 5))):  # pictures, a window, a cupboard
        left, top = int(rng.uniform(-0.1, 0.9) * width), int(rng.uniform(-0.1, 0.6) * height)
        right, bottom = left + int(rng.uniform(0.12, 0.4) * width), top + int(rng.uniform(0.15, 0.6) * height)
        edge = max(2, width // 60)
        cv2.rectangle(canvas, (left - edge, top - edge), (right + edge, bottom + edge), _plain(rng), -1)
        cv2.rectangle(canvas, (left, top), (right, bottom), _plain(rng, 0.35, 0.95), -1)
    if rng.random() < 0.4:  # a shelf of books
        top = int(rng.uniform(0.0, 0.5) * height)
        left = 0
        while left < width:
            right = left + int(rng.uniform(0.02, 0.06) * width) + 2
            cv2.rectangle(canvas, (left, top + int(rng.uniform(0, 0.06) * height)),
                          (right, top + height // 4), _plain(rng), -1)  # fmt: skip
            left = right + 1
    return canvas


def _landscape(height: int, width: int, rng: Rng) -> Array:
    down = _unit_square(height, width)[1]
    zenith, horizon = _rgb((0.35, 0.55, 0.85)), _rgb((0.85, 0.86, 0.84))
    if rng.random() < 0.3:
        zenith, horizon = _rgb((0.40, 0.38, 0.55)), _rgb((0.95, 0.66, 0.45))  # evening
    canvas = np.repeat(zenith + (horizon - zenith) * _smooth(down * 1.4)[..., None], width, axis=1)
    clouds = np.clip(_mottle((height, width), 0.14 * height, rng) - 0.2, 0, 1) * _inside(down - 0.4, 0.3)
    _blend(canvas, 0.5 * clouds, (0.95, 0.95, 0.95))
    for layer in range(3):
        crest = 0.40 + 0.16 * layer + 0.05 * _mottle((1, width), width * (0.3 - 0.08 * layer), rng)
        green = _rgb((0.42 - 0.08 * layer, 0.50 - 0.05 * layer, 0.42 - 0.12 * layer))
        leaves = 1 + 0.18 * _mottle((height, width), 2 + 0.02 * height * layer, rng)
        _blend(canvas, _inside(crest - down, 0.012), green * leaves[..., None])
    return canvas


def _street(height: int, width: int, rng: Rng) -> Array:
    canvas = _landscape(height, width, rng)
    left = -int(rng.uniform(0, 0.1) * width)
    while left < width:
        right = left + int(rng.uniform(0.14, 0.35) * width)
        top = int(rng.uniform(-0.1, 0.45) * height)
        cv2.rectangle(canvas, (left, top), (right, height), _plain(rng, 0.25, 0.75), -1)
        glass = _plain(rng, 0.15, 0.9)
        step = max(8, int(rng.uniform(0.06, 0.10) * height))
        for window_y in range(top + step // 2, height - step, step):
            for window_x in range(left + step // 2, right - step // 2, step):
                cv2.rectangle(
                    canvas, (window_x, window_y), (window_x + step // 3, window_y + step // 2), glass, -1
                )
        left = right
    return canvas


def _lights(height: int, width: int, rng: Rng) -> Array:
    canvas = _wall(height, width, rng) * np.float32(0.55)
    for _ in range(int(rng.integers(12, 30))):
        glow = np.zeros_like(canvas)
        middle = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        cv2.circle(
            glow, middle, max(3, int(rng.uniform(0.02, 0.08) * width)), _plain(rng, 0.1, 0.4), -1, cv2.LINE_AA
        )
        canvas += glow
    return np.asarray(np.minimum(canvas, np.float32(1)))


# --- the camera ------------------------------------------------------------------------------------------


def develop(canvas: Array, rng: Rng) -> Photo:
    """Turn `canvas` into a photo, (H, W, 3) uint8, as a camera does.

    It has an exposure, a contrast, a white balance, darker corners, a slight blur, and noise.
    """
    height, width = canvas.shape[:2]
    across, down = _unit_square(height, width)
    corners = 1 - float(rng.uniform(0, 0.45)) * ((across - 0.5) ** 2 + (down - 0.5) ** 2)
    contrast = float(rng.uniform(0.88, 1.10))
    warmth = float(rng.uniform(-0.08, 0.08))
    gain = _rgb((1 + warmth, 1.0, 1 - warmth)) * np.float32(rng.uniform(0.85, 1.15) * contrast)
    light = canvas * corners[..., None]
    light *= gain
    image = np.asarray(cv2.GaussianBlur(light, (0, 0), float(rng.uniform(0.35, 0.9))), np.float32)
    grain = float(rng.uniform(0.006, 0.028)) * rng.standard_normal((height, width), dtype=np.float32)
    image += (grain + 0.45 * (1 - contrast))[..., None]
    image *= np.float32(255)
    image += np.float32(0.5)
    return np.clip(image, 0, 255, out=image).astype(np.uint8)


def _frame(rng: Rng, longer: tuple[int, int], ratios: tuple[float, ...]) -> tuple[int, int]:
    """Draw a photo's height and width in pixels; a ratio is width / height."""
    side = int(rng.integers(longer[0], longer[1] + 1))
    ratio = float(rng.choice(ratios))
    return (side, round(side * ratio)) if ratio < 1 else (round(side / ratio), side)


# --- geometry and light ----------------------------------------------------------------------------------


def _grid(height: int, width: int, place: Place, roll: float) -> tuple[Array, Array]:
    """Each pixel's place in head units, upright in the head's own frame: two (H, W) arrays."""
    across = (np.arange(width, dtype=np.float32) - place.x) / place.unit
    down = (np.arange(height, dtype=np.float32)[:, None] - place.y) / place.unit
    cosine, sine = math.cos(roll), math.sin(roll)
    return cosine * across + sine * down, cosine * down - sine * across


def _window(canvas: Array, place: Place, reach: float) -> tuple[slice, slice]:
    """The part of `canvas` within `reach` head units of `place`."""
    sides = []
    for middle, size in ((place.y, canvas.shape[0]), (place.x, canvas.shape[1])):
        first, last = int(middle - reach * place.unit), int(middle + reach * place.unit)
        sides.append(slice(max(0, first), min(size, last)))
    return sides[0], sides[1]


def _box(mask: Array | NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest box of rows and columns that holds all of `mask`."""
    rows, columns = np.flatnonzero(mask.max(axis=1)), np.flatnonzero(mask.max(axis=0))
    if not rows.size:
        return slice(0), slice(0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _turn(pose: Pose) -> NDArray[np.float64]:
    """The rotation from the head's axes to the picture's: (3, 3). Roll is in the grid already."""
    sine, cosine = math.sin(pose.yaw), math.cos(pose.yaw)
    yaw = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    sine, cosine = math.sin(pose.pitch), math.cos(pose.pitch)
    pitch = np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    return np.asarray(pitch @ yaw)


def _project(point: tuple[float, float, float], pose: Pose) -> tuple[float, float]:
    """Where a point of the head is in the grid."""
    x, y, _ = _turn(pose) @ np.array(point)
    return float(x), float(y)


def _ellipsoid(x: Array, y: Array, axes: tuple[float, float, float], pose: Pose) -> Surface:
    """Follow each pixel's ray to the ellipsoid with these half axes: a quadratic equation's nearer root."""
    turn = _turn(pose)
    start = [float(turn[0, i]) * x + float(turn[1, i]) * y for i in range(3)]
    ray = [float(turn[2, i]) for i in range(3)]
    square = sum((ray[i] / axes[i]) ** 2 for i in range(3))
    linear = start[0] * (ray[0] / axes[0] ** 2)
    constant = (start[0] / axes[0]) ** 2 - 1
    for i in (1, 2):
        linear += start[i] * (ray[i] / axes[i] ** 2)
        constant += (start[i] / axes[i]) ** 2
    root = linear * linear - square * constant
    depth = (np.sqrt(np.clip(root, 0, None)) - linear) / square
    point = [start[i] + ray[i] * depth for i in range(3)]
    outside = root * (-0.42 / square)
    return Surface(point[0], point[1], point[2], depth, outside, (ray[0] / ray[2], ray[1] / ray[2]))


def _crop(surface: Surface, box: tuple[slice, slice]) -> Surface:
    """The part of `surface` within a box of rows and columns."""
    x, y, z, depth, outside, slope = surface
    return Surface(x[box], y[box], z[box], depth[box], outside[box], slope)


def _face_surface(x: Array, y: Array, looks: Looks, pose: Pose) -> Surface:
    return _ellipsoid(x / (1 + looks.jaw * _smooth(y / 0.7)), y, (looks.width, 1.0, 0.85), pose)


def _hair_shell(x: Array, y: Array, person: Person, pose: Pose) -> Surface:
    cut = CUTS[person.style.cut]
    axes = (person.looks.width + cut.volume, 1.0 + 0.8 * cut.volume + 0.5 * cut.lift, 0.85 + 0.5 * cut.volume)
    shell = _ellipsoid(x, y + 0.5 * cut.lift, axes, pose)
    return shell._replace(y=shell.y - 0.5 * cut.lift)


def _stand_out(surface: Surface, height: float) -> tuple[Array, Array]:
    """x and y of what is seen at a pixel if it stands `height` in front of the surface."""
    return surface.x + height * surface.slope[0], surface.y + height * surface.slope[1]


def _normals(depth: Array, unit: float) -> tuple[Array, Array, Array]:
    """Unit normals of a height map in head units: three (H, W) arrays."""
    right = np.clip(cv2.Sobel(depth, cv2.CV_32F, 1, 0, ksize=3, scale=unit / 8), -3, 3)
    down = np.clip(cv2.Sobel(depth, cv2.CV_32F, 0, 1, ksize=3, scale=unit / 8), -3, 3)
    length = np.sqrt(right * right + down * down + 1)
    return -right / length, -down / length, 1 / length


def _shade(depth: Array, unit: float, light: Light) -> Array:
    """How bright each pixel of a height map is: (H, W). The lamp reaches a little around the edge."""
    x, y, z = _normals(depth, unit)
    facing = x * light.direction[0] + y * light.direction[1] + z * light.direction[2]
    sky = light.ambient * (0.85 - 0.15 * y + 0.1 * z)
    return np.asarray(sky + light.lamp * np.clip((facing + 0.2) / 1.2, 0, 1))


def _side_light(across: Array, light: Light) -> Array:
    """How bright a standing cylinder is, by the place `across` it, -1 to 1."""
    facing = 0.58 + 0.5 * np.clip(across, -1, 1) * light.direction[0]
    return np.asarray(light.ambient + light.lamp * np.clip(facing, 0, 1))


def _gloss(depth: Array, unit: float, light: Light) -> Array:
    """The lamp's reflection on skin: (H, W)."""
    x, y, z = _normals(depth, unit)
    right, down, front = light.direction
    length = math.sqrt(2 + 2 * front)  # of the sum of the directions to the lamp and to the camera
    facing = np.clip((x * right + y * down + z * (front + 1)) / length, 0, 1)
    return np.asarray(0.14 * light.lamp * facing**18)


def _strands(shell: Surface, grain: int) -> Array:
    """Streaks that run from the crown down, -1 to 1 or so: the same ones in each photo of a person."""
    table = np.random.default_rng(grain).standard_normal((1, 256)).astype(np.float32)
    meridian = (50 * shell.x / np.clip(shell.z + 0.9, 0.2, None)) % 256
    streaks = cv2.remap(
        table, meridian, np.zeros_like(meridian), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    return np.asarray(0.7 * streaks, np.float32)


# --- small tools -----------------------------------------------------------------------------------------


def _blend(canvas: Array, mask: Array, colour: Array | Colour) -> None:
    """Paint `colour`, one or (H, W, 3), over `canvas` where `mask`, (H, W), says so.

    Only the box around what the mask shows is computed: most parts are small.
    """
    if not mask.size:
        return
    box = _box(mask > FAINT)
    paint = np.asarray(colour, np.float32)
    part = canvas[box]
    part += mask[box][..., None] * ((paint[box] if paint.ndim == 3 else paint) - part)


def _inside(distance: Array, soft: float) -> Array:
    """1 where `distance` is below 0, 0 where it is above, with an edge `soft` wide."""
    return np.asarray(np.clip(np.float32(0.5) - distance / np.float32(soft), 0, 1))


def _bump(distance: Array, width: float | Array) -> Array:
    """A bell: 1 at distance 0, 0.37 at `width`."""
    scaled = distance / width
    return np.asarray(np.exp(-scaled * scaled))


def _radius(x: Array, y: Array) -> Array:
    """The distance from (0, 0); several times as fast as `np.hypot`, which guards against overflow."""
    return np.asarray(np.sqrt(x * x + y * y))


def _smooth(share: Array) -> Array:
    """From 0 (at 0 and below) to 1 (at 1 and above) without a corner."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def _mottle(shape: tuple[int, ...], grain: float, rng: Rng) -> Array:
    """Smooth noise with blots of about `grain` pixels, standard deviation 0.5 or so: (H, W)."""
    height, width = shape
    cells = (max(2, round(width / max(grain, 1)) + 1), max(2, round(height / max(grain, 1)) + 1))
    noise = rng.standard_normal(cells[::-1], dtype=np.float32) * np.float32(0.7)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _unit_square(height: int, width: int) -> tuple[Array, Array]:
    """Each pixel's place in the photo, 0 to 1: x as (1, width), y as (height, 1)."""
    across = np.arange(width, dtype=np.float32)[None] / width
    down = np.arange(height, dtype=np.float32)[:, None] / height
    return across, down


def _muted(rng: Rng) -> Array:
    """A colour that is not loud: (3,)."""
    colour = rng.uniform(0.15, 0.85, 3)
    return np.asarray(colour.mean() + 0.5 * (colour - colour.mean()), np.float32)


def _plain(rng: Rng, low: float = 0.1, high: float = 0.8) -> Colour:
    red, green, blue = rng.uniform(low, high, 3)
    gray = (red + green + blue) / 3
    return float(red + gray) / 2, float(green + gray) / 2, float(blue + gray) / 2


def _rgb(colour: Colour) -> Array:
    return np.array(colour, np.float32)


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    return (
        first[0] + (second[0] - first[0]) * share,
        first[1] + (second[1] - first[1]) * share,
        first[2] + (second[2] - first[2]) * share,
    )


def _times(colour: Colour, factors: Colour) -> Colour:
    return colour[0] * factors[0], colour[1] * factors[1], colour[2] * factors[2]
