"""Decoded images have exactly the expected pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from prunet.base.errors import InputError
from prunet.data.images.decoding import Rejection, load_rgb, verify

MANY = 1_000_000
MIXED = np.arange(16 * 20 * 3, dtype=np.uint8).reshape(16, 20, 3)


def encoded(image, format_name, **options):
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def loaded(tmp_path, data):
    path = tmp_path / "image"  # no extension: the bytes decide
    path.write_bytes(data)
    pixels = load_rgb(path)
    assert pixels.dtype == np.uint8
    return pixels


def rejection(data, max_pixels=MANY):
    with pytest.raises(Rejection) as raised:
        verify(data, max_pixels)
    return raised.value.status, raised.value.detail


def png(size, bits, data):
    """Return a PNG of colours with so many bits, made of its parts."""
    header = struct.pack(">IIBBBBB", *size, bits, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
        for name, part in chunks
    )


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM"])
def test_the_extension_follows_from_the_contents_of_which_half_is_a_broken_image(format_name):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), format_name)
    extension, pixels = verify(data, MANY)
    assert extension == {"JPEG": "jpg"}.get(format_name, format_name.lower())
    assert pixels.shape == (64, 64, 3)
    assert rejection(data[: len(data) // 2])[0] == "broken-image"


def test_a_multi_picture_jpeg_is_a_jpeg(tmp_path):
    first, second = Image.new("RGB", (20, 16), (255, 0, 0)), Image.new("RGB", (20, 16), (0, 0, 255))
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    assert verify(data, MANY)[0] == "jpg"
    assert loaded(tmp_path, data)[0, 0].tolist() == [254, 0, 0]


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "is empty"),
        (b"\n <!DOCTYPE html><html><body>no</body></html>", "is an HTML page"),
        (b'<?xml version="1.0"?><!DOCTYPE html><html><svg/></html>', "is an HTML page"),
        (b"%PDF-1.7\n", "is a PDF document"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "is an MP4 video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "is a QuickTime video"),
        (b'{"error": "not found"}', "is JSON"),
        (b"BMW is a maker of cars", "is not a JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF or PPM image"),
        (b"P1 is the first page", "is not a JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF or PPM image"),
    ],
)
def test_other_files_are_not_images(data, detail):
    assert rejection(data) == ("not-an-image", detail)


def test_a_truncated_header_is_broken():
    data = encoded(Image.fromarray(MIXED), "JPEG")[:30]
    detail = "has the signature of JPEG, but its header is damaged or cut off"
    assert rejection(data) == ("broken-image", detail)


def test_a_corrupt_checksum_is_broken():
    data = bytearray(encoded(Image.fromarray(MIXED), "PNG"))
    data[data.index(b"IDAT") + 10] ^= 0xFF
    assert rejection(bytes(data))[0] == "broken-image"


def test_the_smallest_side_is_16_pixels():
    assert verify(encoded(Image.new("RGB", (16, 16)), "PNG"), MANY)[0] == "png"
    small = encoded(Image.new("RGB", (100, 15)), "PNG")
    assert rejection(small) == ("too-small", "100 x 15 pixels; each side needs at least 16")


def test_the_largest_image_has_max_pixels():
    data = encoded(Image.new("RGB", (20, 30)), "PNG")
    assert verify(data, 600)[0] == "png"
    assert rejection(data, 599) == ("too-large", "20 x 30 pixels are more than 599")


def test_a_decompression_bomb_is_rejected_by_its_header():
    bomb = png((60_000, 60_000), 8, b"\0")
    assert rejection(bomb, 50_000_000) == ("too-large", "60000 x 60000 pixels are more than 50000000")


def test_a_jpeg_with_many_scans_is_too_large():
    data = encoded(Image.fromarray(MIXED), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    assert verify(data, MANY)[0] == "jpg"
    bomb = data[:scan] + data[scan:-2] * 201 + data[-2:]
    assert rejection(bomb) == ("too-large", "a JPEG with more than 200 scans")


def test_32_bit_values_are_rejected():
    data = encoded(Image.new("F", (20, 20), 0.5), "TIFF")
    reason = (
        "has values of unknown range (signed, fractions or of 32 bits; mode F): save it with 8 or 16 bits"
    )
    assert rejection(data) == ("unsupported", reason)


def test_rgb_is_unchanged_and_gray_is_repeated(tmp_path):
    np.testing.assert_array_equal(loaded(tmp_path, encoded(Image.fromarray(MIXED), "PNG")), MIXED)
    gray = MIXED[..., 0].copy()
    pixels = loaded(tmp_path, encoded(Image.fromarray(gray), "PNG"))
    np.testing.assert_array_equal(pixels, np.stack([gray] * 3, axis=-1))


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
def test_the_high_byte_of_16_bits_is_kept(tmp_path, format_name):
    deep = np.full((16, 20), 0xABCD, dtype=np.uint16)
    deep[0, :4] = [0, 255, 256, 65535]
    data = encoded(Image.fromarray(deep), format_name)
    pixels = loaded(tmp_path, data)
    assert np.array_equal(verify(data, MANY)[1], pixels)
    assert pixels.shape == (16, 20, 3)
    assert pixels[0, :5, 0].tolist() == [0, 0, 1, 255, 0xAB]
    assert (pixels == pixels[..., :1]).all()


def plain(mode, colour, palette=()):
    image = Image.new(mode, (16, 16), colour)
    if palette:
        image.putpalette(palette)
    return image


RED, GREEN = plain("RGB", (255, 0, 0)), plain("RGB", (0, 255, 0))
DEEP = b"\0" + struct.pack(">HHH", 0x12FF, 0x3400, 0xFF80) * 16  # a line


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        pytest.param(png((16, 16), 16, 16 * DEEP), [0x12, 0x34, 0xFF], id="high bytes of 16 bits"),
        pytest.param(encoded(plain("CMYK", (0, 255, 255, 0)), "JPEG", quality=100), [255, 0, 0], id="cmyk"),
        pytest.param(encoded(plain("P", 1, [0, 0, 0, 10, 20, 30]), "PNG"), [10, 20, 30], id="palette"),
        pytest.param(encoded(RED, "GIF", save_all=True, append_images=[GREEN]), [255, 0, 0], id="frames"),
    ],
)
def test_other_images_become_rgb(tmp_path, data, colour):
    assert np.unique(loaded(tmp_path, data).reshape(-1, 3), axis=0).tolist() == [colour]


def test_transparent_parts_become_white(tmp_path):
    rgba = np.zeros((16, 16, 4), dtype=np.uint8)
    rgba[0, 1] = (200, 100, 0, 255)
    rgba[0, 2] = (200, 100, 0, 51)  # a fifth of the colour, four fifths of white
    pixels = loaded(tmp_path, encoded(Image.fromarray(rgba), "PNG"))
    assert pixels[0, :3].tolist() == [[255, 255, 255], [200, 100, 0], [244, 224, 204]]


def test_a_transparent_palette_entry_becomes_white(tmp_path):
    image = plain("P", 0, [9, 9, 9, 10, 20, 30])
    image.putpixel((0, 0), 1)
    pixels = loaded(tmp_path, encoded(image, "PNG", transparency=0))
    assert pixels[0, :2].tolist() == [[10, 20, 30], [255, 255, 255]]


# The corners of the stored image are a b / c d; EXIF defines its orientation.
@pytest.mark.parametrize(
    ("orientation", "corners"),
    [
        *((1, "abcd"), (2, "badc"), (3, "dcba"), (4, "cdab")),
        *((5, "acbd"), (6, "cadb"), (7, "dbca"), (8, "bdac")),
    ],
)
@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
def test_the_exif_orientation_is_applied(tmp_path, orientation, corners, format_name):
    gray = np.zeros((16, 20), dtype=np.uint8)
    gray[0, 0], gray[0, -1], gray[-1, 0], gray[-1, -1] = b"abcd"
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = loaded(tmp_path, encoded(Image.fromarray(gray), format_name, exif=exif))
    assert pixels.shape == ((20, 16, 3) if orientation > 4 else (16, 20, 3))
    assert bytes(pixels[[0, 0, -1, -1], [0, -1, 0, -1], 0]).decode() == corners


def test_load_rgb_explains_how_to_fix_an_error(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.png: No such file or directory; rerun the stage"):
        load_rgb(tmp_path / "nothing.png")
    with pytest.raises(InputError, match=r"image is not a JPEG, .* or PPM image; rerun the stage"):
        loaded(tmp_path, b"text")
