"""Pictures as cameras, scanners and servers make them: every format, depth and kind of metadata."""

import io
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, features

from prunet.data.images import decoding
from prunet.data.images.decoding import Rejection, verify
from prunet.data.images.formats import known
from prunet.data.images.squares import square
from prunet.recognition import pictures

pytestmark = pytest.mark.field

WIDE = np.random.default_rng(3).integers(0, 256, (20, 28, 3), dtype=np.uint8)  # height 20, width 28
GRAY = np.linspace(0, 255, 20 * 28).astype(np.uint8).reshape(20, 28)
RED, BLUE = Image.new("RGB", (28, 20), (200, 0, 0)), Image.new("RGB", (28, 20), (0, 0, 200))


def encoded(image, format_name, **options):
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def pixels_of(data):
    return verify(data, 10**6)[1]


def rejection(data, max_pixels=10**6):
    with pytest.raises(Rejection) as raised:
        verify(data, max_pixels)
    return raised.value.status, raised.value.detail


def turned_left():
    exif = Image.Exif()
    exif[0x0112] = 8
    return exif


def png_chunk(name, body, checksum=None):
    checksum = zlib.crc32(name + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def with_chunk(data, chunk):
    """Insert a chunk into a PNG after its header."""
    return data[:33] + chunk + data[33:]


def cv_encoded(extension, values):
    """Encode 16-bit colours, which Pillow does not write."""
    order = [0] if values.ndim == 2 else [2, 1, 0, 3][: values.shape[2]]
    written, data = cv2.imencode(extension, values if values.ndim == 2 else values[..., order])
    assert written
    return data.tobytes()


# formats


def test_an_avif_of_any_name_is_read(tmp_path):
    smooth = np.broadcast_to(np.linspace(40, 200, 64).astype(np.uint8)[None, :, None], (48, 64, 3))
    (tmp_path / "photo.jpg").write_bytes(encoded(Image.fromarray(smooth), "AVIF", quality=95))
    extension, pixels = verify((tmp_path / "photo.jpg").read_bytes(), 10**6)
    assert extension == "avif"
    assert np.abs(pixels.astype(int) - smooth).max() <= 4
    assert square(tmp_path / "photo.jpg", 16).shape == (3, 16, 16)
    (source,) = pictures.gather([tmp_path])
    ((_, loaded),) = pictures.load_all([source])
    np.testing.assert_array_equal(loaded, pixels)


def test_the_size_of_an_avif_is_read_before_its_pixels():
    data = encoded(RED, "AVIF")
    size = data.index(b"ispe") + 8
    huge = data[:size] + struct.pack(">II", 16_000, 16_000) + data[size + 8 :]
    assert rejection(huge, 50_000_000) == ("too-large", "16000 x 16000 pixels are more than 50000000")


def test_a_build_of_pillow_without_avif_is_named_as_the_reason(monkeypatch):
    data = encoded(RED, "AVIF")
    monkeypatch.setattr(features, "check", lambda feature: feature != "avif")
    detail = "is AVIF, which this build of Pillow cannot decode: install Pillow from PyPI"
    assert rejection(data) == ("unsupported", detail)
    assert "avif" not in known.accept_header()


def ftyp(*brands):
    body = b"ftyp" + brands[0] + b"\0\0\0\0" + b"".join(brands)
    return struct.pack(">I", len(body) + 4) + body + b"\0\0\0\x08meta"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (ftyp(b"heic", b"mif1"), "a HEIC picture"),
        (ftyp(b"mif1", b"heic"), "a HEIC picture"),
        (b"\xff\x0a" + bytes(30), "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
        (b"\n<svg viewBox='0 0 9 9'/>", "an SVG drawing"),
        (
            b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>',
            "an SVG drawing",
        ),
        (b"8BPS\0\1", "a Photoshop picture"),
        (b"\0\0\1\0\1\0\x20\x20", "an icon"),
        (b"II*\0\x10\0\0\0CR\2\0", "a camera's raw picture"),
        (ftyp(b"crx ", b"isom"), "a camera's raw picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "an EPS drawing"),
        (bytes(128) + b"DICM", "a DICOM picture"),
    ],
)
def test_a_picture_of_another_format_is_called_by_its_name(tmp_path, data, name):
    expected = ("unsupported", f"is {name}, which is not read: convert it to JPEG or PNG")
    assert rejection(data) == expected
    (tmp_path / "picture.jpg").write_bytes(data)
    (tmp_path / "good.png").write_bytes(encoded(RED, "PNG"))
    found = {source.path.name: loaded for source, loaded in pictures.load_all(pictures.gather([tmp_path]))}
    assert (found["picture.jpg"].status, found["picture.jpg"].detail) == expected


def test_the_thumbnail_in_a_raw_file_is_not_taken_for_the_photo():
    tags = {254: 1, 330: 8}  # a picture of reduced size; the others are elsewhere
    data = encoded(RED, "TIFF", tiffinfo=tags)
    assert rejection(data) == ("unsupported", "is a camera's raw picture, which is not read: "
                               "convert it to JPEG or PNG")  # fmt: skip
    assert rejection(encoded(RED, "TIFF", tiffinfo={50706: b"\1\4\0\0"}))[0] == "unsupported"


def test_a_kind_of_tiff_that_is_not_read_is_not_called_damaged():
    data = bytearray(encoded(Image.fromarray(GRAY), "TIFF"))
    entry = data.index(struct.pack("<HH", 258, 3))  # BitsPerSample
    data[entry + 8] = 7
    detail = "is of a kind of TIFF that is not read (unknown pixel mode)"
    assert rejection(bytes(data)) == ("unsupported", detail)


def test_servers_are_asked_for_what_is_read():
    asked = [part for part in known.accept_header().split(", ") if ";" not in part]
    assert asked == [known_format.media_type for known_format in known.READ]
    assert known.accept_header().endswith(", */*;q=0.1")  # another format is better than no answer
    assert "image/*" not in known.accept_header()


# kinds of pictures, where lossless with exact pixels


def palette(alpha):
    image = Image.fromarray((GRAY > 127).astype(np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 200, 100, 0])
    return encoded(image, "PNG", **({"transparency": 0} if alpha else {}))


LIGHT = (GRAY > 127)[..., None]
FRAMES = {"save_all": True, "append_images": [BLUE], "duration": 100}
BILEVEL = np.where(LIGHT, 255, 0).repeat(3, axis=2)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(encoded(Image.fromarray(WIDE), "PNG"), WIDE, id="png"),
        pytest.param(encoded(Image.fromarray(WIDE), "WEBP", lossless=True), WIDE, id="webp"),
        pytest.param(encoded(Image.fromarray(WIDE), "BMP"), WIDE, id="bmp"),
        pytest.param(encoded(Image.fromarray(WIDE), "TIFF", compression="tiff_lzw"), WIDE, id="tiff"),
        pytest.param(encoded(Image.fromarray(WIDE), "PPM"), WIDE, id="ppm"),
        pytest.param(palette(alpha=False), np.where(LIGHT, [200, 100, 0], [10, 20, 30]), id="palette"),
        pytest.param(palette(alpha=True), np.where(LIGHT, [200, 100, 0], 255), id="transparent palette"),
        pytest.param(
            encoded(
                Image.fromarray(np.dstack([GRAY, np.where(LIGHT[..., 0], 255, 0)]).astype(np.uint8)), "PNG"
            ),
            np.where(LIGHT, GRAY[..., None], 255).repeat(3, axis=2),
            id="gray with transparency",
        ),
        pytest.param(encoded(Image.fromarray(LIGHT[..., 0]), "PNG"), BILEVEL, id="one bit"),
        pytest.param(
            encoded(Image.fromarray(LIGHT[..., 0]), "TIFF", compression="group4"), BILEVEL, id="fax"
        ),
        pytest.param(encoded(RED, "GIF", **FRAMES), np.asarray(RED), id="animated gif"),
        pytest.param(encoded(RED, "PNG", **FRAMES), np.asarray(RED), id="animated png"),
        pytest.param(encoded(RED, "WEBP", lossless=True, **FRAMES), np.asarray(RED), id="animated webp"),
        pytest.param(encoded(RED, "TIFF", save_all=True, append_images=[BLUE]), np.asarray(RED), id="pages"),
    ],
)
def test_every_kind_of_lossless_picture_has_its_exact_pixels(data, expected):
    np.testing.assert_array_equal(pixels_of(data), expected)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encoded(RED, "AVIF", quality=95, **FRAMES), id="animated avif"),
        pytest.param(encoded(Image.new("CMYK", (28, 20), (55, 255, 255, 0)), "JPEG", quality=100), id="cmyk"),
        pytest.param(encoded(RED, "MPO", quality=95, save_all=True, append_images=[BLUE]), id="two views"),
    ],
)
def test_lossy_pictures_have_almost_their_pixels(data):
    assert np.abs(pixels_of(data).astype(int) - np.asarray(RED)).max() <= 4


def test_pillow_s_own_limit_of_pixels_is_left_alone(monkeypatch):
    assert Image.MAX_IMAGE_PIXELS is not None
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # it neither warns nor stops us: `max_pixels` counts
    assert pixels_of(encoded(RED, "PNG")).shape == (20, 28, 3)


def test_a_file_of_the_user_may_be_small_but_not_huge(tmp_path, monkeypatch):
    Image.new("L", (8, 5), 77).save(tmp_path / "digit.png")
    assert (decoding.read(tmp_path / "digit.png") == 77).all()
    monkeypatch.setattr(decoding, "MAX_BYTES", 10)
    with pytest.raises(Rejection, match="too-large: has more than 10 bytes"):
        decoding.read(tmp_path / "digit.png")
    with pytest.raises(Rejection, match="unreadable: does not exist or is not a file"):
        decoding.read(tmp_path)


# metadata


GARBAGE = b"Exif\0\0" + bytes(range(200, 240))
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}}


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_damaged_exif_data_turn_nothing(format_name):
    options = LOSSLESS.get(format_name, {"quality": 90})
    image = Image.fromarray(WIDE)
    plain = pixels_of(encoded(image, format_name, **options))
    exif = turned_left().tobytes()
    if format_name == "AVIF":
        exif = Image.Exif()
        exif[0x010F] = "maker"  # Pillow stores the orientation of an AVIF outside its EXIF data
        exif = exif.tobytes()
    data = encoded(image, format_name, exif=exif, **options)
    start = data.index(exif.removeprefix(b"Exif\0\0"))
    damaged = data[:start] + b"\xee" * 8 + data[start + 8 :]
    np.testing.assert_array_equal(pixels_of(damaged), plain)


@pytest.mark.parametrize(
    ("format_name", "part"),
    [
        (format_name, part)
        for format_name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
        for part in ("exif", "icc_profile", "xmp")
        if (format_name, part) != ("AVIF", "exif")  # Pillow does not write them
    ],
)
def test_metadata_of_garbage_do_not_cost_the_picture(format_name, part):
    options = LOSSLESS.get(format_name, {"quality": 90})
    image = Image.fromarray(WIDE)
    plain = pixels_of(encoded(image, format_name, **options))
    if format_name == "TIFF":
        tag = {"exif": 34665, "icc_profile": 34675, "xmp": 700}[part]
        data = encoded(image, format_name, tiffinfo={tag: 7 if part == "exif" else GARBAGE})
    elif format_name == "PNG":
        name = {"exif": b"eXIf", "icc_profile": b"iCCP", "xmp": b"iTXt"}[part]
        data = with_chunk(encoded(image, "PNG"), png_chunk(name, GARBAGE))
    else:
        data = encoded(image, format_name, **{part: GARBAGE}, **options)
    assert GARBAGE[6:] in data or (format_name, part) == ("TIFF", "exif")
    np.testing.assert_array_equal(pixels_of(data), plain)


@pytest.mark.parametrize("name", [b"tEXt", b"zTXt", b"iCCP", b"eXIf", b"pHYs"])
def test_a_wrong_checksum_of_metadata_does_not_cost_the_picture(name):
    data = encoded(Image.fromarray(WIDE), "PNG")
    np.testing.assert_array_equal(pixels_of(with_chunk(data, png_chunk(name, GARBAGE, checksum=0))), WIDE)


def test_good_exif_data_beside_a_damaged_comment_still_turn_the_picture():
    data = encoded(Image.fromarray(WIDE), "PNG", exif=turned_left())
    data = with_chunk(data, png_chunk(b"tEXt", b"Comment\0words", checksum=0))
    np.testing.assert_array_equal(pixels_of(data), np.rot90(WIDE))


def test_a_long_comment_does_not_cost_the_picture():
    data = encoded(Image.fromarray(WIDE), "PNG")
    bomb = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9))
    np.testing.assert_array_equal(pixels_of(with_chunk(data, bomb)), WIDE)


def test_warnings_of_a_decoder_are_neither_errors_nor_printed(recwarn):
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\5" + struct.pack(">HHI", 0x0112, 3, 1)  # ends within the first entry
    pixels = pixels_of(encoded(Image.fromarray(WIDE), "PNG", exif=exif))
    np.testing.assert_array_equal(pixels, WIDE)
    assert not list(recwarn)


# depth


def stored(gray, bits):
    """Return gray values of 8 bits in the low bits of 16, as a device of so many bits stores them."""
    return gray.astype(np.uint16) << (bits - 8)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
@pytest.mark.parametrize("shape", ["gray", "colours", "transparent"])
def test_pictures_of_any_depth_have_their_contrast(bits, format_name, shape):
    if shape == "gray":
        values, expected = stored(GRAY, bits), GRAY[..., None].repeat(3, axis=2)
    else:
        values, expected = stored(WIDE, bits), WIDE
    if shape == "transparent":
        opaque = np.full((*values.shape[:2], 1), (1 << bits) - 1, np.uint16)
        values = np.concatenate([values, opaque], axis=-1)
    np.testing.assert_array_equal(pixels_of(cv_encoded(f".{format_name.lower()}", values)), expected)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_gray_with_transparency_of_any_depth_has_its_contrast(bits):
    values = np.dstack([stored(GRAY, bits), np.full(GRAY.shape, (1 << bits) - 1)]).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 20, 16, 4, 0, 0, 0))
    data += png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    np.testing.assert_array_equal(pixels_of(data)[..., 0], GRAY)


def test_a_dark_picture_of_a_device_that_states_its_depth_stays_dark():
    dark = stored(GRAY // 8, 12)  # its highest value fits into 10 bits
    png = encoded(Image.fromarray(dark), "PNG")
    np.testing.assert_array_equal(pixels_of(png)[..., 0], GRAY // 8 << 2)
    np.testing.assert_array_equal(pixels_of(with_chunk(png, png_chunk(b"sBIT", b"\x0c")))[..., 0], GRAY // 8)
    tiff = encoded(Image.fromarray(dark), "TIFF", tiffinfo={281: 4095})
    np.testing.assert_array_equal(pixels_of(tiff)[..., 0], GRAY // 8)


@pytest.mark.parametrize("white", [1, 100, 255, 1000, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", [b"P2", b"P3", b"P5", b"P6"])
def test_white_of_a_pgm_is_what_its_header_says(white, kind):
    shape = (20, 28) if kind in (b"P2", b"P5") else (20, 28, 3)
    values = np.linspace(0, white, int(np.prod(shape))).round().astype(int).reshape(shape)
    header = b"%s\n28 20\n%d\n" % (kind, white)
    if kind in (b"P2", b"P3"):
        data = header + " ".join(map(str, values.ravel())).encode()
    else:
        data = header + values.astype(">u2" if white > 255 else "u1").tobytes()
    expected = values / white * 255
    pixels = pixels_of(data)
    assert np.abs(pixels - (expected[..., None] if expected.ndim == 2 else expected)).max() <= 1
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_a_pgm_that_ends_early_is_broken():
    status, detail = rejection(b"P5\n28 20\n65535\n" + bytes(100))
    assert status == "broken-image"
    assert re.match("does not decode", detail)


def test_white_may_be_the_lowest_value_of_16_bits():
    data = bytearray(encoded(Image.fromarray(stored(GRAY, 12)), "TIFF"))
    entry = data.index(struct.pack("<HH", 262, 3))  # PhotometricInterpretation
    data[entry + 8] = 0
    np.testing.assert_array_equal(pixels_of(bytes(data))[..., 0], 255 - GRAY)
