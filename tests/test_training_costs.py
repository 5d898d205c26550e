"""Training steps behind a network of each scheme and round."""

from prunet.analysis.training_costs import training_steps

STEPS = {("dense", "00"): (0, 100), ("random", "00"): (0, 100), ("gradual", "02"): (0, 200)}
STEPS |= {("rewind", number): (10, 100) for number in ("00", "01", "02", "03")}
STEPS |= {("original", number): (0, 100) for number in ("01", "02", "03")}
RESULTS = {
    cell: {"networks": [{"curve": {"step": [first, 50, last]}}]} for cell, (first, last) in STEPS.items()
}


def test_a_round_comes_after_the_dense_training_and_the_chains_rounds_before_it():
    before = {"00": "dense", "01": "dense", "02": "chain/01", "03": "chain/02"}
    found = training_steps(RESULTS, "rewind", before, once=["gradual"])
    assert found.pop(("dense", "00")) == 100
    assert found.pop(("gradual", "02")) == 200
    assert found == {
        **{("rewind", f"0{number}"): 100 + 90 * number for number in (1, 2, 3)},
        **{("original", f"0{number}"): 100 + 90 * (number - 1) + 100 for number in (1, 2, 3)},
    }


def test_a_round_of_one_shot_pruning_comes_after_the_dense_training_alone():
    before = dict.fromkeys(("00", "01", "02", "03"), "dense")
    found = training_steps(RESULTS, "rewind", before, once=["gradual"])
    assert found["original", "03"] == 200
