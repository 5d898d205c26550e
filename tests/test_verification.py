"""Verification of two photos: rates over pairs, embeddings by trained networks, and the tools with them."""

import numpy as np
import pytest
import torch
from torch import nn

from prunet.data.faces import detection
from prunet.deployment import compact, inference
from prunet.recognition import features, people_file, verification
from prunet.recognition.strangers import Strangers
from prunet.recognition.verification import Pairs
from stages import enrol, export, recognise, verify
from tests.test_recognise import noise, save_ticket, write_photo
from tests.toy_faces import fake_faces
from tests.toy_tools import invoke, refusal, results

PAIRS = {"threshold": 0.5, "false_accepts": 0.01, "pairs": 90, "people": 4, "of": "whom nobody knows"}


def directions(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


# rates


def test_pairs_are_all_of_two_photos_of_one_person_and_of_two_people():
    found = verification.pairs(directions(0, 60, 90, 180), np.array([0, 0, 1, 2]))
    assert found.same == pytest.approx([0.5])
    assert sorted(found.different) == pytest.approx([-1, -0.5, 0, 0, np.sqrt(3) / 2], abs=1e-6)


FOUND = Pairs(np.array([0.9, 0.8, 0.4, 0.2]), np.array([0.85, 0.5, 0.3, 0.1, 0.0]))


@pytest.mark.parametrize(
    ("allowed", "accepted"), [(0.0, 0.25), (0.19, 0.25), (0.2, 0.5), (0.4, 0.75), (0.6, 1)]
)
def test_true_accepts_are_the_most_at_which_false_accepts_are_at_most_a_rate(allowed, accepted):
    assert verification.measure(FOUND, allowed).true_accepts == accepted
    assert verification.curve(FOUND, [allowed]).tolist() == [accepted]


def test_the_area_is_the_probability_that_a_pair_of_one_person_is_more_alike():
    wins = (FOUND.same[:, None] > FOUND.different).mean()
    assert verification.measure(FOUND, 0.01).auroc == pytest.approx(wins)
    apart = Pairs(np.array([0.9, 0.8]), np.array([0.1]))
    assert verification.measure(apart, 0.01) == (1.0, 0.0, 1.0)
    alike = Pairs(np.array([0.5, 0.5]), np.array([0.5, 0.5]))
    assert verification.measure(alike, 0.01) == (0.5, 0.5, 0.0)


def test_at_the_equal_error_rate_as_many_are_wrongly_refused_as_accepted():
    assert verification.measure(FOUND, 0.01).equal_error_rate == pytest.approx(0.4)
    closer = Pairs(np.array([0.9, 0.8, 0.7, 0.2]), np.array([0.85, 0.5, 0.3, 0.1]))
    assert verification.measure(closer, 0.01).equal_error_rate == pytest.approx(0.25)
    tied = Pairs(np.array([0.9, 0.5]), np.array([0.5, 0.1]))  # from (0, 0.5) to (0.5, 1)
    assert verification.measure(tied, 0.01).equal_error_rate == pytest.approx(0.25)


def test_the_threshold_is_the_lowest_at_which_false_accepts_are_at_most_a_rate():
    assert verification.threshold(FOUND, 0.2) == pytest.approx(0.5001)
    assert verification.threshold(FOUND, 0.19) == pytest.approx(0.8501)
    given = verification.calibrate(directions(0, 10, 90), np.array([5, 5, 7]), "whom nobody knows")
    assert (given["pairs"], given["people"], given["of"]) == (2, 2, "whom nobody knows")
    assert given["threshold"] == pytest.approx(np.cos(np.radians(80)), abs=2e-4)


# embeddings of networks


@pytest.fixture
def ticket(tmp_path):
    save_ticket(tmp_path / "ticket", noise("zoe", "yan"), pairs=PAIRS)
    return tmp_path / "ticket"


def test_a_light_cnn_embeds_by_the_256_numbers_that_its_masked_classifier_reads(ticket, monkeypatch):
    weights, masks, metadata = compact.load(ticket)
    assert any(not mask.all() for mask in masks.values())
    model, images = inference.build(weights, metadata), noise("a", "b")["images"]
    monkeypatch.setattr(features, "BATCH", 3)
    found = features.embedder(model, metadata)(images)
    assert (found.shape, found.dtype) == ((8, 256), np.float32)
    assert features.size(model.output) == 256
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    prepared = inference.batches.prepare(torch.from_numpy(images), metadata["preparation"])
    wanted = model.mfm(model.fc1(model.features(prepared).flatten(1)))
    np.testing.assert_allclose(found, nn.functional.normalize(wanted).detach().numpy(), atol=1e-5)


def test_what_a_convolution_or_a_layer_of_tokens_reads_is_averaged_over_positions():
    read = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert features._pooled(nn.Conv2d(2, 5, 1), read).tolist() == [[5.5, 17.5]]
    assert features._pooled(nn.Linear(4, 5), read).tolist() == [[10, 11, 12, 13]]
    assert features._pooled(nn.Linear(4, 5), read[:, 1, 0]).tolist() == [[12, 13, 14, 15]]


# the threshold in a ticket


@pytest.mark.parametrize(("people", "count"), [([0, 0, 1, -1], 2), ([0, 0, 0, 0], 3), ([], 3)])
def test_a_ticket_gets_its_threshold_from_strangers_by_name_or_else_from_test_images(ticket, people, count):
    contents = noise("a", "b", "c") | {"split": np.array([0, 0, 1, 1, 2, 2, 2, 2], np.uint8)}
    contents |= {"labels": np.array([0, 1, 2, 0, 1, 1, 2, 0])}
    images = noise("d", "e")["images"][: len(people)]
    found = Strangers(images, np.array(people, np.int64), ["d", "e"], None)
    read = compact.load(ticket)
    given = export.pairs(read, contents, found)
    shown, owners = (
        (images[:3], people[:3]) if count == 2 else (contents["images"][4:], contents["labels"][4:])
    )
    vectors = features.embedder(inference.build(read[0], read[2]), read[2])(shown)
    expected = verification.calibrate(vectors, np.array(owners, np.int64), given["of"])
    assert given == expected
    assert (given["people"], "never saw" in given["of"]) == (count, count == 2)


# the tools


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    monkeypatch.setattr(detection, "detector", lambda: fake_faces)


@pytest.fixture
def folder(tmp_path):
    """Three photos of ada, of which two are the same face, and one of boris."""
    for name, number in (("ada/1", 1), ("ada/2", 2), ("ada/3", 3), ("boris/1", 9)):
        write_photo(tmp_path / "in" / f"{name}.png", number)
    return tmp_path / "in"


def test_people_are_enrolled_and_recognised_by_the_network_of_a_ticket_of_others(tmp_path, ticket, folder):
    done = invoke(enrol, "--embedding", ticket, folder, tmp_path / "people")
    assert done.exit_code == 0, done.output
    given = "--embedding", ticket, "--threshold", 0
    rows = results(recognise, tmp_path, *given, tmp_path / "people", folder)
    assert [row["name"] for row in rows] == ["ada"] * 3 + ["boris"]
    found, _ = people_file.tensors.read(tmp_path / "people")
    assert found["embeddings"].shape == (4, 256)
    write_photo(tmp_path / "more" / "boris" / "2.png", 8)
    added = invoke(enrol, "--add", "--embedding", ticket, tmp_path / "more", tmp_path / "people")
    assert "boris       2" in added.stdout


def test_another_embedding_than_at_enrolment_is_refused(tmp_path, ticket, folder):
    invoke(enrol, "--embedding", ticket, folder, tmp_path / "people")
    save_ticket(tmp_path / "other", noise("zoe", "bob"), pairs=PAIRS)
    says = (
        "people was made with another embedding, of light-cnn-9: name its ticket with --embedding (none for"
    )
    assert says in refusal(recognise, "--embedding", tmp_path / "other", tmp_path / "people", folder)
    assert says in refusal(recognise, tmp_path / "people", folder)
    assert says in refusal(enrol, "--add", "--embedding", tmp_path / "other", folder, tmp_path / "people")
    message = refusal(recognise, "--embedding", ticket, ticket, folder)
    assert message.endswith("ticket is not a file of enrolled people: leave out --embedding, or name one.")


def test_two_photos_show_the_same_person_from_the_threshold_on(tmp_path, ticket, folder):
    done = invoke(verify, "--embedding", ticket, folder / "ada" / "1.png", folder / "ada" / "1.png")
    assert done.stdout.splitlines() == [
        "the same person: cosine 1.0000",
        "From a cosine of 0.5000 on, photos count as of one person; at most 1% of 90 pairs of photos of two "
        "people reached it, measured on 4 people, whom nobody knows.",
    ]
    save_ticket(tmp_path / "strict", noise("zoe", "yan"), pairs=PAIRS | {"threshold": 1.0})
    strict = invoke(
        verify, "--embedding", tmp_path / "strict", folder / "ada" / "1.png", folder / "boris" / "1.png"
    )
    assert strict.stdout.startswith("two people: cosine ")


def without_faces(path):
    save_ticket(path, noise("0", "1"), faces=None)


def without_threshold(path):
    save_ticket(path, noise("zoe", "yan"))


def dead(path):
    weights, metadata = save_ticket(path, noise("zoe", "yan"), pairs=PAIRS)
    _, masks, _ = compact.load(path)
    weights["fc1.bias"][:] = 0
    weights["fc1.weight"][:] = 0
    compact.save(path, weights, masks, metadata)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (without_faces, "is not a ticket of faces (its classes are 0, 1, ...)"),
        (without_threshold, "has no threshold for two photos; export it again"),
        (lambda path: path.write_bytes(b"junk"), "is damaged or not a prunet ticket"),
        (lambda path: None, "does not exist; export a ticket first"),
        (dead, "maps a face to zeros; choose a denser ticket"),
    ],
)
def test_a_ticket_that_cannot_verify_is_refused_by_one_sentence(tmp_path, folder, make, says):
    make(tmp_path / "ticket")
    photo = folder / "ada" / "1.png"
    message = refusal(verify, "--embedding", tmp_path / "ticket", photo, photo)
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("faces", "says"),
    [(2, "2.png has no single face (several-faces: "), (0, "2.png has no single face (no-face: ")],
)
def test_a_photo_without_exactly_one_face_is_refused(ticket, folder, faces, says):
    write_photo(folder / "2.png", 2, faces=faces)
    assert says in refusal(verify, "--embedding", ticket, folder / "ada" / "1.png", folder / "2.png")
    assert "does not exist" in refusal(
        verify, "--embedding", ticket, folder / "ada" / "1.png", folder / "none"
    )
