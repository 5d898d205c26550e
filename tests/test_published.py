import gc
import gzip
import hashlib
import http.server
import pickle
import shutil
import tarfile
import threading
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

from prunet.data.images import dataset
from prunet.data.sets.optdigits import optdigits
from tests.image_sets import prepare


def test_optdigits_are_split_by_count_and_stratified_by_digit(tmp_path):
    done = prepare(tmp_path, "optdigits", val=360, test=180)
    assert done.exit_code == 0, done.output
    data = dataset.load(tmp_path / "out")
    assert data["images"].shape == (1797, 1, 8, 8)
    assert (data["images"].min(), data["images"].max()) == (0, 255)
    assert np.bincount(data["split"]).tolist() == [1257, 360, 180]
    for side, expected in ((1, 36), (2, 18)):
        counts = np.bincount(data["labels"][data["split"] == side])
        assert np.abs(counts - expected).max() <= 1


def test_the_default_data_set_has_the_bytes_of_the_published_results(tmp_path):
    assert prepare(tmp_path, "optdigits").exit_code == 0
    digest = hashlib.sha256((tmp_path / "out").read_bytes()).hexdigest()
    assert digest == "6b8a89cb0abac67acf6994d82396dcec74eb9407e9db14dadc2f34b274ec5440"


def test_the_seed_decides_the_split():
    first, again, other = (optdigits(100, 100, seed)["split"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("val", [9, 1608, 5000])
def test_a_split_that_lacks_a_class_is_refused(tmp_path, val):
    done = prepare(tmp_path, "optdigits", val=val)
    assert done.exit_code == 2
    assert f"data.val is {val}: to draw from 1617 images of 10 classes" in done.stderr
    assert not (tmp_path / "out").exists()


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


@contextmanager
def served(folder):
    """Serve a folder on the loopback interface; yield its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Serve a small MNIST, and give torchvision its address and checksums."""
    from torchvision.datasets import MNIST

    folder = tmp_path / "mirror"
    folder.mkdir()
    rng = np.random.default_rng(0)
    resources = []
    for part, count in (("train", 100), ("t10k", 40)):
        for kind, array in (
            ("images-idx3", rng.integers(0, 255, (count, 28, 28), np.uint8)),
            ("labels-idx1", (np.arange(count) % 10).astype(np.uint8)),
        ):
            name = f"{part}-{kind}-ubyte.gz"
            (folder / name).write_bytes(idx(array))
            resources.append((name, hashlib.md5((folder / name).read_bytes()).hexdigest()))

    monkeypatch.setattr(MNIST, "resources", resources)
    with served(folder) as address:
        monkeypatch.setattr(MNIST, "mirrors", [address])
        yield folder


def test_a_missing_set_is_downloaded_once(tmp_path, mirror):
    assert prepare(tmp_path, "mnist", val=30).exit_code == 0
    data = dataset.load(tmp_path / "out")
    assert np.bincount(data["split"]).tolist() == [70, 30, 40]
    assert (data["split"][100:] == 2).all()
    shutil.rmtree(mirror)
    first = (tmp_path / "out").read_bytes()
    assert prepare(tmp_path, "mnist", val=30).exit_code == 0
    assert (tmp_path / "out").read_bytes() == first


def test_a_folder_that_holds_the_files_is_preferred_to_a_download(tmp_path, mirror):
    assert prepare(tmp_path, "mnist", val=30).exit_code == 0
    (tmp_path / "downloads").rename(tmp_path / "mine")
    shutil.rmtree(mirror)
    done = prepare(tmp_path, "mnist", val=30, PRUNET_DATA=tmp_path / "mine")
    assert done.exit_code == 0
    assert not (tmp_path / "downloads").exists()


# torchvision leaves its socket open when a download fails
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", ["gone", "forged"])
def test_a_failed_download_gives_advice(tmp_path, mirror, fault):
    for file in list(mirror.iterdir()):
        if fault == "gone":
            file.unlink()
        else:
            file.write_bytes(idx(np.zeros((3, 28, 28), np.uint8)))
    done = prepare(tmp_path, "mnist", val=30)
    gc.collect()  # so that this test gets the socket's warning
    assert done.exit_code == 2
    assert "mnist cannot be read from" in done.stderr
    assert "PRUNET_DATA" in done.stderr
    assert "Traceback" not in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_real_mnist(tmp_path, real_data):
    folder = real_data("MNIST").parent
    done = prepare(tmp_path, "mnist", val=5000, PRUNET_DATA=folder)
    assert done.exit_code == 0, done.output
    data = dataset.load(tmp_path / "out")
    assert np.bincount(data["split"]).tolist() == [55_000, 5_000, 10_000]
    assert data["images"][data["split"] != 2].mean() / 255 == pytest.approx(0.1307, abs=5e-5)


CIFAR = {
    "cifar-10": ("cifar-10-batches-py", "CIFAR10", 10, {f"data_batch_{n}": 24 for n in range(1, 6)}),
    "cifar-100": ("cifar-100-python", "CIFAR100", 100, {"train": 300}),
}


@pytest.fixture(params=CIFAR)
def cifar(request, tmp_path, monkeypatch):
    """Serve a small archive in CIFAR's layout, and give torchvision its address and checksums."""
    from torchvision import datasets

    place, kind, classes, train = CIFAR[request.param]
    folder = tmp_path / "made" / place
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    checksums = {}
    first = 0
    test = "test_batch" if classes == 10 else "test"
    for name, count in (train | {test: classes}).items():
        numbers = np.arange(first, first + count)
        first += count
        pixels = rng.integers(0, 256, (count, 3072), np.uint8)
        pixels[:, 0], pixels[:, 1024], pixels[:, 2048] = numbers % classes, 100, 200  # the first pixel
        labels = {"labels" if classes == 10 else "fine_labels": (numbers % classes).tolist()}
        (folder / name).write_bytes(pickle.dumps({"data": pixels} | labels))
    meta, key = ("batches.meta", "label_names") if classes == 10 else ("meta", "fine_label_names")
    (folder / meta).write_bytes(pickle.dumps({key: [f"class {n}" for n in range(classes)]}))
    checksums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    archive = tmp_path / "mirror" / f"{place}.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, place)
    cls = getattr(datasets, kind)
    monkeypatch.setattr(cls, "train_list", [[name, checksums[name]] for name in train])
    monkeypatch.setattr(cls, "test_list", [[test, checksums[test]]])
    monkeypatch.setattr(cls, "meta", {"filename": meta, "key": key, "md5": checksums[meta]})
    monkeypatch.setattr(cls, "filename", archive.name)
    monkeypatch.setattr(cls, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    with served(archive.parent) as address:
        monkeypatch.setattr(cls, "url", address + archive.name)
        yield request.param, folder, archive, sum(train.values()), classes


def test_cifar_is_downloaded_and_keeps_its_test_split(tmp_path, cifar):
    name, _, archive, train, classes = cifar
    done = prepare(tmp_path, name, val=100)
    assert done.exit_code == 0, done.output
    archive.unlink()
    assert prepare(tmp_path, name, val=100).exit_code == 0  # without another download
    data = dataset.load(tmp_path / "out")
    assert data["images"].shape == (train + classes, 3, 32, 32)
    assert data["class_names"] == [f"class {n}" for n in range(classes)]
    assert np.bincount(data["split"]).tolist() == [train - 100, 100, classes]
    assert (data["split"][train:] == 2).all()
    np.testing.assert_array_equal(
        data["images"][:, 0, 0, 0], data["labels"]
    )  # rows and channels are in order
    assert (data["images"][:, 1, 0, 0] == 100).all()
    assert (data["images"][:, 2, 0, 0] == 200).all()
    chosen = np.bincount(data["labels"][data["split"] == 1], minlength=classes)
    assert (chosen == 100 / classes).all()


def test_cifar_is_found_in_a_folder_of_the_user(tmp_path, cifar):
    name, folder, archive, *_ = cifar
    archive.unlink()
    done = prepare(tmp_path, name, val=100, PRUNET_DATA=folder.parent)
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "downloads").exists()


@pytest.mark.parametrize("fault", ["cut", "gone"])
def test_a_damaged_cifar_gives_advice(tmp_path, cifar, fault):
    name, folder, _, *_ = cifar
    file = sorted(folder.iterdir())[-1]
    file.write_bytes(file.read_bytes()[:-100]) if fault == "cut" else file.unlink()
    done = prepare(tmp_path, name, val=100, PRUNET_DATA=folder.parent)
    assert done.exit_code == 2
    assert f"{name} cannot be read from {folder}" in done.stderr
    assert "PRUNET_DATA" in done.stderr
    assert "Traceback" not in done.output
    assert not (tmp_path / "out").exists()
