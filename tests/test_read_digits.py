import json
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from prunet.data.images.dataset import SPLITS
from prunet.data.sets import optdigits as optdigits_set
from prunet.deployment import compact, inference
from prunet.models import built_in as models
from prunet.recognition import digits
from prunet.training import batches, evaluation, gradients
from stages import read_digits
from tests.toy_tools import invoke, refusal, results

torch.set_num_threads(1)


def train(data, steps):
    """Train LeNet-300-100 for some steps; return its weights and metadata."""
    preparation = batches.preparation(data, None, "none")
    metadata = {"model": "lenet-300-100", "preparation": preparation, "class_names": data["class_names"]}
    metadata |= {"threshold": 0.5, "faces": None}
    build = partial(models.MODELS["lenet-300-100"], tuple(preparation["shape"]), 10)
    model = build()
    model.load_state_dict(models.initial_weights(build, 0, "glorot"))
    chosen = data["split"] == SPLITS.index("train")
    images = batches.prepare(torch.from_numpy(data["images"][chosen]), preparation)
    labels = torch.from_numpy(data["labels"][chosen])
    for batch in batches.order(len(labels), 60, steps, torch.Generator().manual_seed(0)):
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
        with torch.no_grad():  # plain SGD: importing torch.optim's classes takes seconds
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
    return {name: values.numpy() for name, values in model.state_dict().items()}, metadata


def save(path, weights, metadata):
    layers = [name for name, values in weights.items() if values.ndim > 1]
    compact.save(path, weights, {name: np.ones(weights[name].shape, bool) for name in layers}, metadata)
    return path


@pytest.fixture(scope="module")
def optdigits(tmp_path_factory):
    """The data set, and a ticket: its file, weights and metadata."""
    data = optdigits_set.optdigits(val=360, test=180, seed=0)
    weights, metadata = train(data, 300)
    return data, save(tmp_path_factory.mktemp("digits") / "ticket", weights, metadata), weights, metadata


def write_test_split(folder, data, change=lambda image: image, count=None):
    """Write the test images as numbered PNGs; return their labels."""
    chosen = np.flatnonzero(data["split"] == SPLITS.index("test"))[:count]
    folder.mkdir()
    for number, index in enumerate(chosen):
        Image.fromarray(change(data["images"][index, 0])).save(folder / f"{number:05}.png")
    return data["labels"][chosen]


def scan(image):
    """Return a digit dark on light, five times as large, in the upper left of a page."""
    large = cv2.resize(image, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    return 255 - np.pad(large, ((10, 60), (10, 90)))


def accuracy_of(rows, labels):
    return np.mean([row["digit"] == str(label) for row, label in zip(rows, labels, strict=True)])


def test_test_images_saved_as_files_are_read_exactly_as_in_the_evaluation(optdigits, tmp_path):
    data, ticket, weights, metadata = optdigits
    labels = write_test_split(tmp_path / "in", data)
    rows = results(read_digits, tmp_path, ticket, tmp_path / "in")
    splits = batches.to_device(data, None, "none", torch.device("cpu"))
    network = gradients.network(inference.build(weights, metadata), {"dtype": "float32"})
    stack = {name: torch.from_numpy(values)[None] for name, values in weights.items()}
    _, (accuracy,) = evaluation.evaluate(network, stack, splits["test"], 8)
    assert accuracy_of(rows, labels) == accuracy
    assert 0.9 < accuracy < 1


def test_scans_of_optdigits_are_mostly_read_correctly(optdigits, tmp_path):
    data, ticket, *_ = optdigits
    labels = write_test_split(tmp_path / "in", data, scan)
    assert accuracy_of(results(read_digits, tmp_path, ticket, tmp_path / "in"), labels) > 0.9


@pytest.mark.slow
def test_scans_of_mnist_are_mostly_read_correctly(real_data, tmp_path):
    raw = real_data("MNIST") / "raw"
    files = [next(raw.glob(f"t10k-{name}-*ubyte")) for name in ("images", "labels")]
    images, labels = (np.fromfile(file, np.uint8) for file in files)
    data = {"images": images[16:].reshape(-1, 1, 28, 28), "labels": labels[8:].astype(np.int64)}
    data |= {"split": np.repeat([0, 2], [9700, 300]).astype(np.uint8), "class_names": list("0123456789")}
    weights, metadata = train(data, 600)
    expected = write_test_split(tmp_path / "in", data, scan)
    rows = results(read_digits, tmp_path, save(tmp_path / "ticket", weights, metadata), tmp_path / "in")
    assert accuracy_of(rows, expected) > 0.85


def picture(shape=(50, 40), paper=255, ink=0, box=(10, 34, 8, 20)):
    """Return a bar of ink on paper."""
    image = np.full((*shape, 3), paper, np.uint8)
    top, bottom, left, right = box
    image[top:bottom, left:right] = ink
    return image


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (0, 255), (200, 120), (90, 20), (60, 130)])
def test_ink_fills_a_box_of_20_pixels_about_its_centre_of_mass(paper, ink):
    expected = np.zeros((28, 28), np.uint8)
    expected[4:24, 9:19] = 255  # 24 x 12 pixels become 20 x 10
    np.testing.assert_array_equal(digits.normalise(picture(paper=paper, ink=ink), 28), expected)


def test_the_centre_of_mass_and_not_the_box_is_centred():
    image = np.zeros((40, 40, 3), np.uint8)
    image[10:30, 10] = 255
    image[28:30, 10:20] = 255  # an L: its centre of mass is below and left of the middle
    centred = digits.normalise(image, 28)
    rows, columns = np.nonzero(centred)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 19, 11, 20)
    assert np.average(np.arange(28), weights=centred.sum(1)) == pytest.approx(13.5, abs=0.5)
    assert np.average(np.arange(28), weights=centred.sum(0)) == pytest.approx(13.5, abs=0.5)


def test_an_image_in_the_form_of_the_dataset_is_used_as_it_is():
    image = np.repeat(np.random.default_rng(0).integers(0, 256, (28, 28, 1), np.uint8), 3, axis=2)
    image[0] = image[-1] = image[:, 0] = image[:, -1] = 0
    np.testing.assert_array_equal(digits.normalise(image, 28), image[..., 0])
    inverted, coloured = 255 - image, image.copy()
    coloured[5, 5, 0] ^= 128
    for other in (inverted, coloured, np.pad(image, ((1, 1), (1, 1), (0, 0)))):
        assert not np.array_equal(digits.normalise(other, 28), image[..., 0])


@pytest.mark.parametrize("paper", [0, 128, 255])
@pytest.mark.parametrize("shape", [(28, 28), (100, 60), (1, 1)])
def test_a_blank_image_has_no_digit(shape, paper):
    image = np.full((*shape, 3), paper, np.uint8)
    image[0, 0] = abs(paper - 20)  # dust
    assert digits.normalise(image, 28) is None


@pytest.mark.parametrize("shape", [(2, 1), (1, 900), (3000, 2), (28, 27)])
def test_an_image_of_any_shape_is_normalised(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    image[0, 0], image[-1, -1] = 0, 255
    for stored in (8, 28):
        centred = digits.normalise(image, stored)
        assert centred.shape == (stored, stored)
        assert centred.dtype == np.uint8
        assert centred.max() == 255


def test_table_and_json_have_a_row_for_every_image(optdigits, tmp_path):
    data, ticket, *_ = optdigits
    write_test_split(tmp_path / "in", data, scan, count=1)
    Image.new("L", (30, 30), 255).save(tmp_path / "in" / "blank.png")
    (tmp_path / "in" / "cut.png").write_bytes((tmp_path / "in" / "blank.png").read_bytes()[:40])
    (tmp_path / "in" / "notes.txt").write_text("skipped")
    result = invoke(read_digits, ticket, tmp_path / "in", "--json", tmp_path / "rows.json")
    assert result.exit_code == 0
    header, first, blank, cut = result.stdout.splitlines()
    assert header.split() == ["file", "digit", "probability"]
    assert first.split()[0].endswith("00000.png")
    assert first.endswith("%")
    assert blank.endswith("blank: The image is blank.")
    assert "broken-image: " in cut
    rows = json.loads((tmp_path / "rows.json").read_text())["results"]
    assert [row["status"] for row in rows] == ["ok", "blank", "broken-image"]
    assert 0 < rows[0]["probability"] <= 1


def test_only_blank_images_are_not_an_error(optdigits, tmp_path):
    (tmp_path / "in").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "in" / "blank.png")
    (row,) = results(read_digits, tmp_path, optdigits[1], tmp_path / "in")
    assert row["status"] == "blank"


def test_a_ticket_of_faces_and_paths_without_an_image_are_refused(optdigits, tmp_path):
    _, ticket, weights, metadata = optdigits
    save(tmp_path / "faces", weights, metadata | {"faces": {"margin": 0.2}})
    assert "is a ticket of faces" in refusal(read_digits, tmp_path / "faces", tmp_path)
    assert "nowhere does not exist" in refusal(read_digits, ticket, tmp_path / "nowhere")
    (tmp_path / "text.png").write_text("text")
    assert "None of 1 files could be read" in refusal(read_digits, ticket, tmp_path / "text.png")


@pytest.mark.field
def test_a_ticket_of_ones_own_network_is_read_when_the_network_is_named(optdigits, tmp_path):
    data, _, weights, metadata = optdigits
    model = "tests.own_network:lenet"
    ticket = save(tmp_path / "ticket", weights, metadata | {"model": model})
    Image.fromarray(data["images"][0, 0]).save(tmp_path / "digit.png")
    says = refusal(read_digits, ticket, tmp_path / "digit.png")
    assert f"is of the network {model}, which is not built in and whose code would run" in says
    (expected,) = results(
        read_digits, tmp_path, save(tmp_path / "own", weights, metadata), tmp_path / "digit.png"
    )
    (row,) = results(read_digits, tmp_path, "--network", model, ticket, tmp_path / "digit.png")
    assert row == expected
