import hashlib
import json
import math
import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save as file_of
from torch import nn

from prunet.base.errors import InputError
from prunet.deployment import coding, compact, grids, inference
from prunet.deployment.metadata import Storage
from prunet.deployment.sizes import sizes
from prunet.models import built_in as models
from prunet.models import loading
from prunet.models.state import state
from tests.toy_cells import equal

LENET = "lenet-300-100"
LAWS = settings(deadline=None, derandomize=True, database=None)
METADATA = {
    "study": "digits",
    "model": "toy",
    "class_names": ["null", "één", "deux"],
    "preparation": {"stored": 4, "side": 3, "shape": [1, 2, 2], "mean": 33.3, "std": 78.5},
    "faces": None,
}


def toy(shape, classes):
    """Return a model with weights, biases and the statistics of a norm, one of them an int64 scalar."""
    channels, height, width = shape
    inputs = channels * height * width
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.Linear(8, classes))


@pytest.fixture(autouse=True, scope="module")
def _toy():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.MODELS, "toy", toy)
        yield


def metadata_of(model="toy", side=2, channels=1, classes=3):
    preparation = METADATA["preparation"] | {"side": side, "shape": [channels, side, side]}
    names = [f"class {number}" for number in range(classes)]
    return METADATA | {"model": model, "preparation": preparation, "class_names": names}


def ticket(metadata=METADATA, density=0.5, seed=0):
    """Return a network with random bits in every value and this density."""
    rng = np.random.default_rng(seed)
    shape, classes = tuple(metadata["preparation"]["shape"]), len(metadata["class_names"])
    model = models.MODELS[metadata["model"]](shape, classes)
    weights = {
        name: np.frombuffer(rng.bytes(tensor.numpy().nbytes), tensor.numpy().dtype).reshape(tensor.shape)
        for name, tensor in model.state_dict().items()
    }
    masks = {name: rng.random(weights[name].shape) < density for name in models.prunable(model)}
    return weights, masks, metadata


def glorot(density):
    """Return LeNet-300-100 for 28x28 digits with its smallest weights pruned."""
    metadata = metadata_of(LENET, side=28, classes=10)
    build = partial(models.MODELS[LENET], (1, 28, 28), 10)
    model = build()
    weights = {name: values.numpy() for name, values in models.initial_weights(build, 0, "glorot").items()}
    magnitudes = {name: np.abs(weights[name]) for name in models.prunable(model)}
    masks = {name: size >= np.quantile(size, 1 - density) for name, size in magnitudes.items()}
    return weights, masks, metadata


def content(about=METADATA, bits=None, version=1):
    return {"version": version, "bits": bits, "about": about}


def packed(text, words):
    """Return a file with a correct checksum, as an attacker could make it; `text` may be JSON values."""
    text = text if isinstance(text, str) else json.dumps(text)
    digest = hashlib.sha256(text.encode() + b"\0" + words.astype("<u4").tobytes()).digest()
    return file_of({"coded": words, "sha256": np.frombuffer(digest, np.uint8)}, {"prunet": text})


def words_of(data):
    return tensors_of(data)["coded"]


def bits_of(values):
    return values.dtype, values.shape, values.tobytes()


@settings(LAWS, max_examples=25)
@given(
    st.floats(0, 1) | st.sampled_from([0.0, 1.0]),
    st.builds(metadata_of, side=st.integers(1, 5), channels=st.integers(1, 3), classes=st.integers(2, 40)),
    st.integers(0, 2**32),
)
def test_every_bit_is_restored(density, metadata, seed):
    weights, masks, metadata = ticket(metadata, density, seed)
    read, read_masks, read_metadata = compact.loads(compact.dumps(weights, masks, metadata))
    assert read_metadata == metadata
    assert list(read) == list(weights)
    assert list(read_masks) == list(masks)
    for name, mask in masks.items():
        np.testing.assert_array_equal(read_masks[name], mask, strict=True)
    for name, values in weights.items():
        expected = np.where(masks[name], values, np.float32(0)) if name in masks else values
        assert bits_of(read[name]) == bits_of(expected)


@pytest.mark.parametrize("bits", [None, 1, 5, 8])
def test_a_survivor_whose_value_is_zero_remains_a_survivor(bits):
    weights, masks, metadata = ticket(density=0)
    weights["1.weight"] = np.zeros((8, 4), np.float32)
    masks["1.weight"][3, 2] = True
    _, read, _ = compact.loads(compact.dumps(weights, masks, metadata, Storage(bits)))
    assert np.argwhere(read["1.weight"]).tolist() == [[3, 2]]
    assert not read["3.weight"].any()


@pytest.mark.parametrize("bits", [1, 5, 8])
def test_quantised_survivors_share_the_codebook_of_their_layer_and_biases_are_lossless(bits):
    weights, masks, metadata = glorot(0.05)
    weights["fc1.bias"] = np.random.default_rng(0).normal(size=300).astype(np.float32)
    read, read_masks, _ = compact.loads(compact.dumps(weights, masks, metadata, Storage(bits)))
    for name, mask in masks.items():
        np.testing.assert_array_equal(read_masks[name], mask)
        codebook, indices = coding.quantise(weights[name][mask], bits)
        assert len(codebook) == min(2**bits, mask.sum())
        np.testing.assert_array_equal(read[name][mask], codebook[indices])
        assert not read[name][~mask].any()
    assert bits_of(read["fc1.bias"]) == bits_of(weights["fc1.bias"])


@pytest.mark.parametrize("density", [1, 0.1, 0.01])
def test_a_file_is_smaller_than_its_bound_and_a_codebook_makes_it_much_smaller(density):
    weights, masks, metadata = glorot(density)
    lossless = len(compact.dumps(weights, masks, metadata))
    assert lossless < 0.9 * sizes(weights, masks)["bytes_bound"]
    assert len(compact.dumps(weights, masks, metadata, Storage(5))) < 0.6 * lossless


def test_equal_tickets_give_equal_bytes_whatever_the_order_of_their_dicts(tmp_path):
    weights, masks, metadata = ticket()
    compact.save(tmp_path / "a", weights, masks, metadata)
    reverse = [dict(reversed(part.items())) for part in (weights, masks, metadata)]
    assert compact.dumps(*reverse) == (tmp_path / "a").read_bytes()


def test_pruned_values_leave_no_trace():
    weights, masks, metadata = ticket()
    others = {name: np.where(masks.get(name, True), values, values + 1) for name, values in weights.items()}
    assert compact.dumps(others, masks, metadata) == compact.dumps(weights, masks, metadata)


def test_a_failed_save_keeps_the_old_file(tmp_path):
    weights, masks, metadata = ticket()
    compact.save(tmp_path / "ticket", weights, masks, metadata)
    before = (tmp_path / "ticket").read_bytes()
    with pytest.raises(InputError):
        compact.save(tmp_path / "ticket", weights | {"1.weight": weights["3.weight"]}, masks, metadata)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


def test_tensors_of_another_model_are_not_saved():
    weights, masks, metadata = ticket()
    wrong = [
        (weights | {"more": weights["1.bias"]}, masks),
        ({name: weights[name] for name in list(weights)[:-1]}, masks),
        (weights | {"1.weight": weights["1.weight"].astype(np.float64)}, masks),
        (weights, masks | {"1.bias": np.ones(8, bool)}),
        (weights, {"1.weight": masks["1.weight"]}),
        (weights, masks | {"1.weight": masks["1.weight"].T}),
        (weights, masks | {"1.weight": masks["1.weight"].astype(np.uint8)}),
    ]
    for changed in wrong:
        with pytest.raises(InputError, match="do not fit its model"):
            compact.dumps(*changed, metadata)


def test_infinite_weights_can_be_stored_but_not_quantised():
    weights, masks, metadata = ticket(density=1)
    weights["1.weight"] = np.full((8, 4), np.inf, np.float32)
    with pytest.raises(InputError, match="finite"):
        compact.dumps(weights, masks, metadata, Storage(5))
    assert np.isinf(compact.loads(compact.dumps(weights, masks, metadata))[0]["1.weight"]).all()


@pytest.mark.parametrize("bits", [1, 5])
def test_biases_can_share_values_too(bits):
    weights, masks, metadata = glorot(density=0.1)
    rng = np.random.default_rng(0)
    biases = [name for name in weights if name not in masks]
    for name in biases:
        weights[name] = rng.normal(size=weights[name].shape).astype(np.float32)
    weights["fc2.bias"][:60] = 0
    weights["output.bias"][:] = 0
    whole = compact.dumps(weights, masks, metadata, Storage(bits))
    data = compact.dumps(weights, masks, metadata, Storage(bits, biases=True))
    read, read_masks, found = compact.loads(data)
    assert (found, equal(read_masks, masks)) == (metadata, True)
    before, _, _ = compact.loads(whole)
    for name in masks:
        assert bits_of(read[name]) == bits_of(before[name])
    for name in biases:
        codebook, indices = coding.quantise(weights[name][weights[name] != 0], bits)
        assert bits_of(read[name][weights[name] != 0]) == bits_of(codebook[indices])
        assert not read[name][weights[name] == 0].any()
    assert len(data) < len(whole) - 410 * (4 - bits / 8) + 100 / 8 + 3 * (6 + 5 * 2**bits) + 24


def test_a_norms_statistics_stay_whole_where_biases_share_values():
    weights, masks, metadata = ticket()
    for name in weights.keys() - masks.keys():
        if weights[name].dtype == np.float32:
            weights[name] = 1 + np.arange(weights[name].size, dtype=np.float32).reshape(weights[name].shape)
    weights |= {name: np.ones(mask.shape, np.float32) for name, mask in masks.items()}
    read, _, _ = compact.loads(compact.dumps(weights, masks, metadata, Storage(1, biases=True)))
    few = {name for name in weights.keys() - masks.keys() if len(np.unique(read[name])) < weights[name].size}
    assert few == {"1.bias", "2.bias", "3.bias"}


@pytest.mark.parametrize("bits", [1, 4])
def test_weights_on_a_grid_are_stored_exactly_and_small(bits):
    weights, masks, metadata = glorot(density=0.1)
    for name, mask in masks.items():
        weights[name] = grids.quantise(weights[name], mask, bits)
    data = compact.dumps(weights, masks, metadata, Storage(bits, grid=True))
    read, read_masks, found = compact.loads(data)
    assert (found, equal(read_masks, masks), equal(read, weights)) == (metadata, True, True)
    survivors = sum(int(mask.sum()) for mask in masks.values())
    entropy = 266_200 * 0.469 / 8  # bytes of the masks
    assert len(data) < entropy + survivors * bits / 8 + 2 * 4 * 410 + 1200


@pytest.mark.parametrize("grid", [False, True])
def test_weights_may_be_stored_whole_in_a_file_of_few_bits(grid):
    weights, masks, metadata = glorot(density=0.1)
    weights = {name: np.where(masks.get(name, True), values, 0) for name, values in weights.items()}
    few = compact.loads(compact.dumps(weights, masks, metadata, Storage(2, grid=grid)))[0]
    some = compact.loads(
        compact.dumps(weights, masks, metadata, Storage(2, grid=grid, whole=("fc2.weight",)))
    )[0]
    assert bits_of(some["fc2.weight"]) == bits_of(weights["fc2.weight"]) != bits_of(few["fc2.weight"])
    assert bits_of(some["fc1.weight"]) == bits_of(few["fc1.weight"]) != bits_of(weights["fc1.weight"])


@pytest.mark.parametrize("bits", [None, 4])
def test_a_file_with_any_bit_flipped_or_cut_anywhere_is_refused(bits):
    weights, masks, metadata = ticket(density=0.3)
    weights = {name: np.nan_to_num(values) if values.ndim else values for name, values in weights.items()}
    data = compact.dumps(weights, masks, metadata, Storage(bits))
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(InputError, match="damaged"):
            compact.loads(bytes(flipped))
    for length in range(len(data)):
        with pytest.raises(InputError, match="damaged"):
            compact.loads(data[:length])
    with pytest.raises(InputError, match="damaged"):
        compact.loads(data + b"\0")


BAD_PREPARATION = {
    "std": [0.0, -1.0, math.nan, math.inf, True],
    "mean": [math.nan, 256.0, "33", 10**400],
    "stored": [0, 4097],
    "side": [-3, 3.0],
    "shape": [[1, 2], [1, 2, 2, 2], [0, 2, 2], [1, 2.0, 2], [True, 2, 2], "122", [10**30, 2, 2]],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "resnet"}, "model 'resnet' is not one of"),
        ({"model": ["toy"]}, "about.model: input should be a valid string"),
        ({"model": "light-cnn-9"}, "multiple of 16"),
        *(({"class_names": names}, "class_names") for names in (["a"], "ab", ["a"] * 4097)),
        *(({"class_names": ["a", name]}, "class_names.1") for name in ("", "\ud800", "b" * 201, 1)),
        ({"class_names": ["a", "b\n"]}, "printable"),
        ({"preparation": None}, "preparation"),
        ({"preparation": METADATA["preparation"] | {"shape": [1, 2, 3]}}, "no 2x3 centre"),
        ({"preparation": METADATA["preparation"] | {"side": 1}}, "1 pixels a side have no 2x2 centre"),
        ({"preparation": {"shape": [1, 2, 2]}}, "preparation.stored"),
        *(
            ({"preparation": METADATA["preparation"] | {name: value}}, "")
            for name, values in BAD_PREPARATION.items()
            for value in values
        ),
    ],
)
def test_metadata_are_checked(change, message):
    weights, masks, metadata = ticket()
    words = words_of(compact.dumps(weights, masks, metadata))
    with pytest.raises(InputError, match=f"damaged or not a prunet ticket.*{message}"):
        compact.loads(packed(content(metadata | change), words))
    with pytest.raises(InputError, match=f"cannot be saved.*{message}"):
        compact.dumps(weights, masks, metadata | change)


@pytest.mark.parametrize(
    "text",
    [
        *("", "hello", "[]", "null", "{}", "[" * 100_000, "9" * 5000),
        {"version": 1, "about": METADATA},
        content(version=2),
        *(content(bits=bits) for bits in (0, 9, "5", 5)),  # the words are lossless: 5 is wrong too
        *(content(about) for about in (metadata_of(classes=4), metadata_of(side=3), metadata_of(LENET))),
    ],
)
def test_a_text_that_does_not_fit_is_refused_despite_a_correct_checksum(text):
    words = words_of(compact.dumps(*ticket()))
    with pytest.raises(InputError, match="damaged or not a prunet ticket"):
        compact.loads(packed(text, words))


@pytest.mark.parametrize("bits", [None, 4])
def test_words_that_do_not_fit_are_refused_despite_a_correct_checksum(bits):
    weights, masks, metadata = ticket()
    weights = {name: np.nan_to_num(values) if values.ndim else values for name, values in weights.items()}
    text = content(bits=bits)
    words = words_of(compact.dumps(weights, masks, metadata, Storage(bits)))
    assert compact.loads(packed(text, words))[2] == METADATA
    rng = np.random.default_rng(0)
    lengths = [words[:length] for length in range(len(words))]
    longer = [np.append(words, np.full(more, 2**31, np.uint32)) for more in (2, 3, 50)]
    noise = [rng.integers(0, 2**32, rng.integers(1, 200), np.uint32) for _ in range(100)]
    for wrong in (*lengths, *longer, *noise):
        with pytest.raises(InputError, match="damaged or not a prunet ticket"):
            compact.loads(packed(text, wrong))


def test_a_small_file_cannot_request_more_weights_than_the_limit():
    words = words_of(compact.dumps(*ticket()))
    for model in ("toy", LENET, "light-cnn-9"):
        large = metadata_of(model, side=4096, channels=1 if "cnn" in model else 4096)
        tracemalloc.start()
        with pytest.raises(InputError, match=f"weights, more than {compact.MAX_WEIGHTS}"):
            compact.loads(packed(content(large), words))
        assert tracemalloc.get_traced_memory()[1] < 2**24
        tracemalloc.stop()


def test_a_small_file_cannot_claim_more_survivors_than_it_has_room_for():
    large = metadata_of(LENET, side=100)  # 3 million weights
    to = coding.encoder()
    for shape in ((300, 10_000), (100, 300), (3, 100)):
        coding.encode_mask(to, np.ones(shape, bool))
    with pytest.raises(InputError, match="too short for its weights"):
        compact.loads(packed(content(large), to.get_compressed()))


def test_other_files_are_refused_with_their_names(tmp_path):
    data = compact.dumps(*ticket())
    tensors, text = tensors_of(data), json.dumps(content())
    others = {
        "empty": b"",
        "text": b"hello, world",
        "zeros": bytes(1000),
        "no-text": file_of(tensors),
        "other-text": file_of(tensors, {"other": text}),
        "more": file_of(tensors | {"more": np.zeros(1)}, {"prunet": text}),
        "less": file_of({"coded": tensors["coded"]}, {"prunet": text}),
        "types": file_of({name: values.view(np.int8) for name, values in tensors.items()}, {"prunet": text}),
        "short-sum": file_of(tensors | {"sha256": tensors["sha256"][:4]}, {"prunet": text}),
        "weights": file_of({"w": np.zeros(3, np.float32)}),
    }
    for name, data in others.items():
        (tmp_path / name).write_bytes(data)
        message = rf"{name} is damaged or not a prunet ticket \(.+\); download"
        with pytest.raises(InputError, match=message) as caught:
            compact.load(tmp_path / name)
        assert "\n" not in caught.value.message
    with pytest.raises(InputError, match="gone does not exist"):
        compact.load(tmp_path / "gone")
    with pytest.raises(InputError, match="cannot be read"):
        compact.load(tmp_path)


def test_a_file_above_the_limit_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "ticket"
    compact.save(path, *ticket())
    monkeypatch.setattr(compact, "MAX_BYTES", path.stat().st_size)
    compact.load(path)
    monkeypatch.setattr(compact, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(InputError, match="it has more than"):
        compact.load(path)


def test_parsing_a_text_allocates_no_weights(monkeypatch):
    devices = set()

    def watched(*size):
        devices.add(torch.get_default_device().type)
        return toy(*size)

    monkeypatch.setitem(models.MODELS, "toy", watched)
    compact.loads(compact.dumps(*ticket()))
    assert "meta" in devices


@pytest.mark.field
@pytest.mark.parametrize(("function", "head"), [("net", "keep"), ("five", "replace"), ("Tied", "keep")])
def test_a_network_that_is_not_built_in_is_read_only_where_it_is_trusted(function, head, monkeypatch):
    model = f"tests.own_network:{function}"
    metadata = metadata_of(model, side=8, classes=3) | {"head": head}
    network = loading.build_for(metadata, (1, 8, 8), 3)
    weights = {name: tensor.numpy() for name, tensor in state(network).items()}
    masks = {name: np.ones(weights[name].shape, bool) for name in models.prunable(network)}
    data = compact.dumps(weights, masks, metadata)
    read, read_masks, again = compact.loads(data, trusted=model)
    assert again == metadata
    assert equal(read, weights)
    assert equal(read_masks, masks)
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(inference.build(read, metadata)(images), network.eval()(images))
    monkeypatch.setattr(loading, "build", lambda *_: pytest.fail("the code of a stranger runs"))
    for trusted in (None, "tests.own_network:other"):
        with pytest.raises(
            InputError, match=rf"this ticket is of the network {model}, which is not built in"
        ):
            compact.loads(data, trusted=trusted)
