"""Properties that hold for any input, tested on examples from hypothesis, the same in every run."""

import copy
import json
import math

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prunet.base.errors import InputError
from prunet.cells import storage as tickets
from prunet.config import params
from prunet.data.images import dataset
from prunet.data.listing import scraping, source
from prunet.data.sets import splitting
from prunet.pruning.removal import remove_lowest
from tests.toy_pruning import pruned
from tests.toys import PARAMS

FEW = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
WRITES = settings(FEW, max_examples=15)  # each example syncs a file to disk
VALUES = st.one_of(  # including -0.0, numbers near zero, and many equal numbers
    st.floats(-(2.0**100), 2.0**100, width=32), st.sampled_from([0.0, -0.0, 1.0, -1.0])
)


def load_or_refuse(load, path):
    """Return what `load` reads from a file, or None if it refuses the file by name."""
    refusals = []
    try:
        return load(path)
    except InputError as error:
        refusals.append(error.message)
    assert str(path) in refusals[0]
    return None


@st.composite
def networks(draw):
    """Draw weights and masks (R, *shape) of one to three layers with a survivor in every replicate."""
    replicates = draw(st.integers(1, 3))
    weights, masks = {}, {}
    for number in range(draw(st.integers(1, 3))):
        shape = (replicates, *draw(hnp.array_shapes(max_dims=3, max_side=5)))
        weights[f"layer{number}"] = draw(hnp.arrays(np.float32, shape, elements=VALUES))
        mask = draw(hnp.arrays(np.bool_, shape))
        mask.reshape(replicates, -1)[:, draw(st.integers(0, mask[0].size - 1))] = True
        masks[f"layer{number}"] = mask
    return weights, masks


OPTIONS = st.fixed_dictionaries(
    {
        "rate": st.floats(0, 1),
        "own": st.dictionaries(st.just("layer0"), st.floats(0, 1)),
        "scope": st.sampled_from(["layer", "global"]),
        "criterion": st.sampled_from(["magnitude", "random"]),
        "seed": st.integers(0, 2**32),
    }
)


@FEW
@given(networks(), OPTIONS)
def test_masks_only_shrink_by_exactly_the_rounded_share_and_no_layer_is_emptied(network, options):
    weights, masks = network
    after = pruned(weights, masks, **options)
    assert list(after) == list(masks)
    for name, mask in masks.items():
        assert after[name].shape == mask.shape
        assert not (after[name] & ~mask).any()
        assert after[name].reshape(len(mask), -1).any(axis=1).all()
    rate = options["rate"]
    for replicate in range(len(next(iter(masks.values())))):
        left = {name: int(mask[replicate].sum()) for name, mask in after.items()}
        had = {name: int(mask[replicate].sum()) for name, mask in masks.items()}
        if options["scope"] == "global":
            common = had.keys() - options["own"]
            total = sum(had[name] for name in common)
            most = total - len(common)  # the best weight of every layer is protected
            assert sum(left[name] for name in common) == total - min(math.floor(rate * total + 0.5), most)
        for name, count in had.items():
            if options["scope"] == "layer" or name in options["own"]:
                share = options["own"].get(name, rate)
                assert left[name] == count - min(math.floor(share * count + 0.5), count - 1)


SCORES = hnp.arrays(np.float64, st.integers(1, 40), elements=st.integers(0, 3).map(float))


@FEW
@given(SCORES, st.floats(0, 1), st.data())
def test_removed_weights_are_lower_than_survivors_or_equal_and_earlier(scores, rate, data):
    mask = data.draw(hnp.arrays(np.bool_, scores.shape))
    assume(mask.any())
    after = remove_lowest(scores, mask, rate)
    removed, survivors = np.flatnonzero(mask & ~after), np.flatnonzero(after)
    if len(removed):
        last = max((scores[index], index) for index in removed)
        assert all(last < (scores[index], index) for index in survivors)


@WRITES
@given(networks())
def test_a_cell_is_read_back_bit_by_bit(tmp_path, network):
    weights, masks = network
    zeroed = {name: np.where(masks[name], values, np.float32(0)) for name, values in weights.items()}
    replicates = len(next(iter(masks.values())))
    bias = np.arange(replicates * 2, dtype=np.float32).reshape(replicates, 2)
    everything = {"steps": np.full((replicates, 1), 2**40)} | zeroed | {"bias": bias}
    tickets.save_cell(tmp_path / "cell", everything, masks, {})
    loaded, loaded_masks = tickets.load_network(tmp_path / "cell")
    assert list(loaded) == list(everything)
    assert list(loaded_masks) == list(masks)
    for name, values in everything.items():
        assert loaded[name].dtype == values.dtype
        assert loaded[name].shape == values.shape
        assert loaded[name].tobytes() == values.tobytes()
    for name, mask in masks.items():
        np.testing.assert_array_equal(loaded_masks[name], mask)


@WRITES
@given(st.data(), st.integers(2, 4), st.integers(0, 6))
def test_a_dataset_is_read_back(tmp_path, data, classes, more):
    labels = np.arange(3 * classes + more) % classes
    split = (np.arange(len(labels)) // classes % 3).astype(np.uint8)
    shape = (len(labels), *data.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=4)))
    images = data.draw(hnp.arrays(np.uint8, shape))
    names = data.draw(st.lists(st.text(st.characters(codec="utf-8")), min_size=classes, max_size=classes))
    dataset.save(tmp_path / "data", images, labels, split, names)
    loaded = dataset.load(tmp_path / "data")
    assert loaded["class_names"] == names
    for name, values in (("images", images), ("labels", labels), ("split", split)):
        np.testing.assert_array_equal(loaded[name], values)
        assert loaded[name].dtype == values.dtype


@WRITES
@given(st.data())
def test_a_damaged_file_is_refused_or_harmless(tmp_path, data):
    """One byte of a cell's or a dataset's file changes, or the file is truncated there."""
    rng = np.random.default_rng(0)
    masks = {"w": rng.random((1, 4, 3)) < 0.5}
    tickets.save_masks(tmp_path / "masks", masks)
    tickets.save_weights(tmp_path / "weights", {"w": rng.normal(size=(1, 4, 3)).astype(np.float32)})
    labels, split = np.arange(6) % 2, np.repeat([0, 1, 2], 2).astype(np.uint8)
    dataset.save(tmp_path / "data", np.zeros((6, 1, 2, 2), np.uint8), labels, split, ["a", "b"])
    loaders = {"masks": tickets.load_masks, "weights": tickets.load_weights, "data": dataset.load}
    for name, load in loaders.items():
        content = bytearray((tmp_path / name).read_bytes())
        position = data.draw(st.integers(0, len(content) - 1))
        byte = data.draw(st.one_of(st.none(), st.integers(0, 255)))
        if byte is None:
            del content[position:]
        else:
            content[position] = byte
        (tmp_path / name).write_bytes(content)
        loaded = load_or_refuse(load, tmp_path / name)
        assert loaded is None or loaded


HASHES = st.lists(  # near-duplicates are common
    st.tuples(*[st.integers(0, 15).map(lambda n: n * 0x0101010101010101) | st.integers(0, 2**64 - 1)] * 2),
    min_size=1,
    max_size=12,
)


@FEW
@given(HASHES, st.integers(0, 64), st.data())
def test_near_duplicates_share_a_side_and_later_images_move_none(hashes, distance, data):
    sides = data.draw(hnp.arrays(np.uint8, len(hashes), elements=st.integers(0, 2)))
    hashes = np.array(hashes, np.uint64)
    split, joined = splitting.keep_together(hashes, sides, distance)
    kept = split != splitting.LEFT_OUT
    near = (np.bitwise_count(hashes[:, None] ^ hashes[None]) <= distance).any(axis=2)
    assert not (near & (split[:, None] != split[None]) & kept[:, None] & kept[None]).any()
    np.testing.assert_array_equal(split[kept & ~joined], sides[kept & ~joined])
    fewer = data.draw(st.integers(0, len(hashes)))
    before, joined_before = splitting.keep_together(hashes[:fewer], sides[:fewer], distance)
    np.testing.assert_array_equal(before, split[:fewer])
    np.testing.assert_array_equal(joined_before, joined[:fewer])


@FEW
@given(st.text(), st.integers(0, 2**32), st.tuples(st.integers(1, 98), st.integers(1, 98)))
def test_every_complete_block_of_a_label_has_exact_shares(label, seed, shares):
    val, test = shares
    assume(val + test < 100)
    block = splitting.block_of(val / 100, test / 100)
    sides = [splitting.side_of(label, place, block, seed) for place in range(2 * len(block))]
    for part in (sides[: len(block)], sides[len(block) :]):
        assert sorted(part) == sorted(block.tolist())


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
SCALARS |= st.sampled_from([10**30, -1, 0, 2**63])
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | SCALARS, inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(value, path=()):
    """Yield the path of every node in a tree of dicts and lists."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(inner, (*path, key))


def has(value, key):
    """Return whether a node is a dict with this key or a list with this index."""
    return key in value if isinstance(value, dict) else isinstance(value, list) and key in range(len(value))


VALID = params.load(PARAMS)
PATHS = [path for path in paths(VALID) if path]


@FEW
@given(st.lists(st.tuples(st.sampled_from(PATHS), st.none() | ANYTHING), min_size=1, max_size=2))
def test_changed_params_are_accepted_or_refused_in_a_sentence(tmp_path, changes):
    values = copy.deepcopy(VALID)
    for path, new in changes:
        inner = values
        for key in path[:-1]:
            assume(has(inner, key))
            inner = inner[key]
        assume(has(inner, path[-1]))
        if new is None:
            del inner[path[-1]]
        else:
            inner[path[-1]] = new
    (tmp_path / "params.yaml").write_text(json.dumps(values))  # JSON is YAML
    values = load_or_refuse(params.load, tmp_path / "params.yaml")
    assert values is None or set(values) == set(VALID)


@FEW
@given(st.integers(0, len(PARAMS.read_bytes()) - 1), st.binary(max_size=4), st.integers(0, 6))
def test_params_with_changed_bytes_are_accepted_or_refused_in_a_sentence(tmp_path, start, new, length):
    content = PARAMS.read_bytes()
    (tmp_path / "params.yaml").write_bytes(content[:start] + new + content[start + length :])
    values = load_or_refuse(params.load, tmp_path / "params.yaml")
    assert values is None or set(values) == set(VALID)


ODD_LINES = [b"label,url", b"ada,http://a/1.jpg", b"ada,../x", b'"a"",b"', b'a,"', b",", b"a,b,c", b"\0"]
LINES = st.lists(st.sampled_from(ODD_LINES) | st.binary(max_size=12), max_size=6)


@settings(FEW, max_examples=100)
@given(st.booleans(), LINES, st.sampled_from([b"\n", b"\r\n", b"\r", b""]))
def test_any_list_gives_settled_rows_or_a_sentence(tmp_path, headed, lines, end):
    path = tmp_path / "list.csv"
    path.write_bytes((b"label,url\n" if headed else b"") + end.join(lines))
    rows = load_or_refuse(source.read_list, path)
    if rows is None:
        return
    screened = scraping.screen(rows)
    assert [row["row"] for row in screened] == [str(number) for number in range(1, len(rows) + 1)]
    wanted = {row["url"] for row in screened if not row["status"]}
    fetched = {"status": "ok", "detail": "", "image": "0123456789abcdef.jpg"}
    scraping.settle(screened, dict.fromkeys(wanted, fetched))
    assert all(row["status"] in scraping.STATUSES for row in screened)
    for row in screened:
        if row["status"] == "ok":
            folder, _, name = row["image"].partition("/")
            assert name == fetched["image"]
            assert (tmp_path / folder).resolve().parent == tmp_path.resolve()
    assert sum(scraping.count(screened)[status] for status in scraping.STATUSES) == len(rows)
