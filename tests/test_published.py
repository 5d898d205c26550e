import gc
import gzip
import hashlib
import io
import pickle
import tarfile
from functools import partial

import numpy as np
import pytest

from prunet.data.images import dataset
from prunet.data.sets.layouts import arranged
from prunet.data.sets.optdigits import optdigits
from prunet.data.sets.published import TORCHVISION
from tests.image_sets import prepare
from tests.servers import body, serving


def test_optdigits_are_split_by_count_and_have_the_bytes_of_the_published_results(tmp_path):
    done = prepare(tmp_path, "optdigits", val=360, test=180)
    assert done.exit_code == 0, done.output
    digest = hashlib.sha256((tmp_path / "out").read_bytes()).hexdigest()
    assert digest == "6b8a89cb0abac67acf6994d82396dcec74eb9407e9db14dadc2f34b274ec5440"
    data = dataset.load(tmp_path / "out")
    assert data["images"].shape == (1797, 1, 8, 8)
    assert (data["images"].min(), data["images"].max()) == (0, 255)
    assert np.bincount(data["split"]).tolist() == [1257, 360, 180]
    for side, expected in ((1, 36), (2, 18)):
        counts = np.bincount(data["labels"][data["split"] == side])
        assert np.abs(counts - expected).max() <= 1


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


def md5(content):
    return hashlib.md5(content).hexdigest()


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


def mnist(url):
    """Return a small MNIST: files to serve, and the attributes that torchvision's class gets."""
    files = {}
    for part, count in (("train", 300), ("t10k", 10)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)
        images[:, 0, 0], images[:, 0, 1] = labels, 50
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            files[f"{part}-{kind}-ubyte.gz"] = idx(array)
    resources = [(name, md5(content)) for name, content in files.items()]
    return files, {"mirrors": [url], "resources": resources, "classes": [f"class {n}" for n in range(10)]}


def cifar(url, place, classes, **train):
    """Return a small CIFAR as `mnist` does: an archive; `train` has numbers of images by file."""
    fine, test, meta = ("", "test_batch", "batches.meta") if classes == 10 else ("fine_", "test", "meta")
    files, first = {}, 0
    for name, count in (train | {test: classes}).items():
        labels = np.arange(first, first := first + count) % classes
        pixels = np.random.default_rng(first).integers(0, 256, (count, 3072), np.uint8)
        pixels[:, 0], pixels[:, 1024], pixels[:, 2048] = labels, 100, 200  # the first pixel
        pixels[:, 1] = 50  # right of it
        files[name] = pickle.dumps({"data": pixels, f"{fine}labels": labels.tolist()})
    files[meta] = pickle.dumps({f"{fine}label_names": [f"class {n}" for n in range(classes)]})
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{place}/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    attributes = {
        "train_list": [[name, md5(files[name])] for name in train],
        "test_list": [[test, md5(files[test])]],
        "meta": {"filename": meta, "key": f"{fine}label_names", "md5": md5(files[meta])},
        **{"url": f"{url}archive", "filename": "archive.tar.gz", "tgz_md5": md5(stream.getvalue())},
    }
    return {"archive": stream.getvalue()}, attributes


CIFAR_10 = {f"data_batch_{number}": 24 for number in range(1, 6)}
SETS = {  # a small copy, and its numbers of training images and classes
    "mnist": (mnist, 300, 10),
    "cifar-10": (partial(cifar, place="cifar-10-batches-py", classes=10, **CIFAR_10), 120, 10),
    "cifar-100": (partial(cifar, place="cifar-100-python", classes=100, train=300), 300, 100),
}


@pytest.fixture(params=SETS)
def small(request, monkeypatch):
    """Serve a small copy of a set in place of its publisher; return its name, the server and its numbers."""
    from torchvision import datasets

    make, train, classes = SETS[request.param]
    with serving({}) as server:
        files, attributes = make(server.url("/"))
        server.answers |= {f"/{name}": body(content) for name, content in files.items()}
        for name, value in attributes.items():
            monkeypatch.setattr(getattr(datasets, TORCHVISION[request.param][0]), name, value)
        yield request.param, server, train, classes


def test_a_missing_set_is_downloaded_once_and_keeps_its_test_split(tmp_path, small):
    name, server, train, classes = small
    done = prepare(tmp_path, name, val=100)
    assert done.exit_code == 0, done.output
    first = (tmp_path / "out").read_bytes()
    server.answers.clear()
    assert prepare(tmp_path, name, val=100).exit_code == 0
    assert (tmp_path / "out").read_bytes() == first
    data = dataset.load(tmp_path / "out")
    assert data["images"].shape[0] == train + classes
    assert data["class_names"] == [f"class {n}" for n in range(classes)]
    assert np.bincount(data["split"]).tolist() == [train - 100, 100, classes]
    assert (data["split"][train:] == 2).all()
    pixels = data["images"][:, :, 0, 0]  # rows and channels are in order
    np.testing.assert_array_equal(pixels[:, 0], data["labels"])
    assert (data["images"][:, 0, 0, 1] == 50).all()
    if name != "mnist":
        assert data["images"].shape[1:] == (3, 32, 32)
        assert (pixels[:, 1:] == [100, 200]).all()
    chosen = np.bincount(data["labels"][data["split"] == 1], minlength=classes)
    assert (chosen == 100 / classes).all()


@pytest.fixture
def mine(tmp_path, small):
    """Return a folder of the user that holds the set, which is no longer served."""
    name, server, *_ = small
    assert prepare(tmp_path, name, val=100).exit_code == 0
    (tmp_path / "out").unlink()
    server.answers.clear()
    return (tmp_path / "downloads").rename(tmp_path / "mine")


def test_a_folder_that_holds_the_files_is_preferred_to_a_download(tmp_path, small, mine):
    done = prepare(tmp_path, small[0], val=100, PRUNET_DATA=mine)
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "downloads").exists()


@pytest.fixture
def raw(tmp_path, small, mine):
    """Return the user's folder of MNIST's four unpacked files, alone."""
    if small[0] != "mnist":
        pytest.skip("another layout")
    folder = mine / "MNIST" / "raw"
    for path in folder.glob("*.gz"):
        path.unlink()
    return folder


def packed(path):
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def nested(path):
    content = path.read_bytes()
    path.unlink()
    path.mkdir()
    (path / path.name).write_bytes(content)


@pytest.mark.field
@pytest.mark.parametrize(
    "change", [packed, lambda path: path.rename(str(path).replace("-idx", ".idx")), nested]
)
@pytest.mark.parametrize("up", [0, 1, 2])
def test_mnist_is_read_as_people_have_it_and_their_folder_stays_as_it_is(tmp_path, raw, change, up):
    for path in sorted(raw.iterdir()):
        change(path)
    before = {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()}
    done = prepare(tmp_path, "mnist", val=100, PRUNET_DATA=[raw, raw.parent, raw.parent.parent][up])
    assert done.exit_code == 0, done.output
    assert "mnist: 310 images; 10 of 10 test images are in the training split too" in done.stdout
    assert {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "downloads").exists()


@pytest.mark.field
def test_mnist_is_not_read_as_one_of_its_variants(tmp_path, raw):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert arranged(raw, "FashionMNIST/raw", scratch) is None
    assert arranged(raw, "KMNIST/raw", scratch) is None
    assert arranged(raw.rename(raw.parent / "fashion"), "MNIST/raw", scratch) is None


@pytest.mark.field
@pytest.mark.parametrize("own", ["cifar-10-batches-py", "."])
def test_cifar_is_read_from_its_archive_or_its_own_folder(tmp_path, small, mine, own):
    name, _, train, _ = small
    if name != "cifar-10":
        pytest.skip("one is enough")
    if own == ".":
        archive = mine / "cifar-10-python.tar.gz"
        with tarfile.open(archive, "w:gz") as stream:
            stream.add(mine / "cifar-10-batches-py", "cifar-10-batches-py")
        (mine / "cifar-10-batches-py").rename(tmp_path / "elsewhere")
    done = prepare(tmp_path, name, val=100, PRUNET_DATA=mine / own)
    assert done.exit_code == 0, done.output
    assert len(dataset.load(tmp_path / "out")["images"]) == train + 10


def assert_advice(done, name, folder):
    assert done.exit_code == 2
    assert f"{name} cannot be read from {folder / TORCHVISION[name][1]}" in done.stderr
    assert "PRUNET_DATA" in done.stderr
    assert "delete" not in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize("fault", ["cut", "gone"])
def test_a_damaged_set_gives_advice(tmp_path, small, mine, fault):
    name = small[0]
    file = max(path for path in (mine / TORCHVISION[name][1]).iterdir() if path.suffix != ".gz")
    file.with_name(f"{file.name}.gz").unlink(missing_ok=True)
    file.write_bytes(file.read_bytes()[:-100]) if fault == "cut" else file.unlink()
    assert_advice(prepare(tmp_path, name, val=100, PRUNET_DATA=mine), name, mine)
    assert not (tmp_path / "out").exists()


# torchvision leaves its socket open when a download fails
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fault", ["gone", "forged"])
def test_a_failed_download_gives_advice(tmp_path, small, fault):
    name, server, *_ = small
    for path in list(server.answers):
        if fault == "gone":
            del server.answers[path]
        else:
            server.answers[path] = body(idx(np.zeros((3, 28, 28), np.uint8)))
    done = prepare(tmp_path, name, val=100)
    gc.collect()  # so that this test gets the socket's warning
    assert_advice(done, name, tmp_path / "downloads")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_real_mnist(tmp_path, real_data):
    folder = real_data("MNIST").parent
    done = prepare(tmp_path, "mnist", val=5000, PRUNET_DATA=folder)
    assert done.exit_code == 0, done.output
    data = dataset.load(tmp_path / "out")
    assert np.bincount(data["split"]).tolist() == [55_000, 5_000, 10_000]
    assert data["images"][data["split"] != 2].mean() / 255 == pytest.approx(0.1307, abs=5e-5)
