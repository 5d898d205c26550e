"""Names of files that are not read, so that a message says what a file is, and not only what it is not."""

import re

from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from prunet.data.images.formats.known import BRANDS, Format, listing, starts

RAW = "a camera's raw picture"
PICTURES = {
    "an SVG drawing": rb"(?i)(?!.{0,900}<html)\s*<(?:svg[\s>]|(?:\?xml|!doctype svg|!--).{0,900}<svg[\s>])",
    "a HEIC picture": BRANDS + rb"(?:hei[cxms]|hev[cxms]|mif1|msf1)",
    "a JPEG XL picture": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "a JPEG 2000 picture": rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n",
    "a JPEG XR picture": rb"II\xbc\x01",
    RAW: rb"II\*\0\x10\0\0\0CR|II[RUS].|MMOR|FUJIFILMCCD-RAW|FOVb|\0MRM|" + BRANDS + b"crx ",
    "a Photoshop picture": rb"8BPS",
    "a GIMP picture": rb"gimp xcf",
    "an icon": rb"\0\0[\1\2]\0|icns",
    "an EPS drawing": rb"%!PS|\xc5\xd0\xd3\xc6",
    "an OpenEXR picture": rb"v/1\x01",
    "a Radiance HDR picture": rb"#\?R",
    "a DDS texture": rb"DDS ",
    "a PAM or PFM picture": rb"P7\n|P[Ff]\s",
    "a DICOM picture": rb".{128}DICM",
}
OTHERS = {
    "an HTML page": rb"(?i)\s*<(?:!doctype html|html|head|!--|\?xml.{0,300}<html)",
    "a PDF document": rb".{0,100}%PDF-",
    "a QuickTime video": rb".{4}(?:ftypqt|moov|mdat|wide)",
    "an MP4 video": rb".{4}ftyp",
    "a WebM or Matroska video": rb"\x1a\x45\xdf\xa3",
    "an AVI video": rb"RIFF.{4}AVI ",
    "a ZIP archive": rb"PK\x03\x04",
    "a gzip archive": rb"\x1f\x8b",
    "JSON": rb"\s*[{\[]\s*[\"{\[]",
}
WEAK = ("BMP", "PPM")  # their signatures are so short that a text may start like that
# Of the errors of Pillow, those that are not about damage.
UNREAD = re.compile(r"cannot handle|unknown pixel mode|unsupported|not (supported|available)|no codec", re.I)
# Tags of a TIFF: the version of DNG; that the first picture is a thumbnail; and where the others are.
DNG_VERSION, SUBFILE_TYPE, SUB_IFDS = 50706, 254, 330


def refusal(data: bytes) -> tuple[str, str]:
    """Return a status of `listing.statuses` and the reason why a file is none of `READ`."""
    if not data:
        return "not-an-image", "is empty"
    for name, signature in PICTURES.items():
        if starts(data, signature):
            return unsupported(name)
    for name, signature in OTHERS.items():
        if starts(data, signature):
            return "not-an-image", f"is {name}"
    return "not-an-image", f"is not a {listing()} image"


def damage(found: Format, data: bytes, error: Exception) -> tuple[str, str]:
    """Return a status and the reason why the header of a file of a known format cannot be read."""
    status, detail = undecoded(found, error)
    if status == "unsupported":
        return status, detail
    if found.name in WEAK:
        return refusal(data)
    return "broken-image", f"has the signature of {found.name}, but its header is damaged or cut off"


def undecoded(found: Format, error: Exception) -> tuple[str, str]:
    """Return a status and the reason why the pixels of a file of a known format cannot be decoded."""
    if UNREAD.search(str(error)):
        return "unsupported", f"is of a kind of {found.name} that is not read ({error})"
    return "broken-image", f"does not decode ({error})"


def unsupported(name: str) -> tuple[str, str]:
    """Return a status and a reason for a picture of a format that is not read, such as "a HEIC picture"."""
    return "unsupported", f"is {name}, which is not read: convert it to JPEG or PNG"


def is_raw(image: ImageFile) -> bool:
    """Return whether a TIFF is the raw file of a camera, of which Pillow would read the thumbnail."""
    if not isinstance(image, TiffImageFile):
        return False
    tags = image.tag_v2
    return DNG_VERSION in tags or (SUB_IFDS in tags and tags.get(SUBFILE_TYPE) == 1)
