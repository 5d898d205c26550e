import numpy as np
import pytest

from prunet.base.errors import InputError
from prunet.data.sets.splitting import LEFT_OUT, block_of, keep_together, side_of


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((0.2, 0.1), [0] * 7 + [1] * 2 + [2]),
        ((0.25, 0.25), [0, 0, 1, 2]),
        ((0.01, 0.01), [0] * 98 + [1] + [2]),
        ((0.29, 0.01), [0] * 70 + [1] * 29 + [2]),  # 100 x 0.29 is a little less than 29
    ],
)
def test_block_is_the_smallest_with_exact_shares(shares, expected):
    assert block_of(*shares).tolist() == expected


@pytest.mark.parametrize("shares", [(0.3, 0.004), (0.004, 0.3), (0.5, 0.5), (0.9, 0.2)])
def test_a_split_of_less_than_a_percent_is_refused(shares):
    with pytest.raises(InputError, match="each needs at least 1 percent"):
        block_of(*shares)


def sides(label, number, seed=0):
    block = block_of(0.2, 0.1)
    return [side_of(label, place, block, seed) for place in range(number)]


def test_blocks_labels_and_seeds_have_orders_of_their_own():
    split = sides("ada", 100)
    assert len({tuple(split[start : start + 10]) for start in range(0, 100, 10)}) > 5
    assert split != sides("boris", 100)
    assert split != sides("ada", 100, seed=1)


def test_a_side_does_not_depend_on_the_length_of_the_list():
    assert sides("ada", 100)[:37] == sides("ada", 37)


def test_sides_stay_as_published():
    assert sides("ada", 20) == [0, 0, 0, 0, 1, 2, 0, 1, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 1, 0]


def column(*hashes):
    return np.array(hashes, np.uint64)[:, None]


def test_a_near_duplicate_joins_the_side_of_the_earlier_one():
    split, joined = keep_together(column(0b0000, 0b1111, 0b0001), np.array([0, 1, 2], np.uint8), 1)
    assert split.tolist() == [0, 1, 0]
    assert joined.tolist() == [False, False, True]


def test_the_distance_itself_is_near():
    own = np.array([0, 1], np.uint8)
    assert keep_together(column(0b00, 0b11), own, 2)[0].tolist() == [0, 0]
    assert keep_together(column(0b00, 0b11), own, 1)[0].tolist() == [0, 1]


def test_an_image_between_two_sides_is_left_out_and_leads_nobody():
    # The third is one bit from the first (train) and from the second (test); the fourth only from the third.
    own = np.array([0, 2, 1, 1], np.uint8)
    split, joined = keep_together(column(0b0000, 0b0011, 0b0001, 0b0101), own, 1)
    assert split.tolist() == [0, 2, LEFT_OUT, 1]
    assert not joined.any()


def test_one_kind_of_hash_is_enough():
    hashes = np.array([[0, 0], [2**40 - 1, 1], [2**30 - 1, 2**20 - 1]], np.uint64)
    assert keep_together(hashes, np.array([0, 1, 2], np.uint8), 4)[0].tolist() == [0, 0, 2]
