"""The threshold below which an answer is unknown, and the shares of images that get a name at it."""

import math

import numpy as np
import pytest

from prunet.deployment.acceptance import THRESHOLDS, left_out, measure, nearest, sentence
from prunet.deployment.exporting import calibrate
from prunet.deployment.thresholds import known_threshold, stranger_threshold


def confident(*confidences):
    """Return probabilities of two classes, all in favour of class 0."""
    return np.array([[confidence, 1 - confidence] for confidence in confidences], np.float32)


@pytest.mark.parametrize(
    ("keep", "threshold"),
    [(1.0, 0.5111), (0.95, 0.5111), (0.75, 0.6), (0.5, 0.7), (0.26, 0.7), (0.25, 0.9), (0.01, 0.9)],
)
def test_the_threshold_keeps_a_fraction_of_the_correct_answers(keep, threshold):
    probabilities = confident(0.9, 0.51119, 0.7, 0.6, 0.99, 0.52)
    labels = np.array([0, 0, 0, 0, 1, 1])  # the most confident answer is wrong
    found = known_threshold(probabilities, labels, keep)
    assert found == pytest.approx(threshold, abs=1.01e-4)  # 0.9 in float32 is just below 0.9
    known = probabilities.max(1)[:4] >= found
    assert known.mean() >= keep
    assert (probabilities.max(1)[:4] >= found + 2e-4).mean() < keep


def test_the_threshold_is_rounded_down_to_four_decimals_and_nobody_is_known_without_a_correct_answer():
    assert known_threshold(confident(0.87659), np.array([0]), 0.95) == 0.8765
    assert known_threshold(confident(0.9, 0.8), np.array([1, 1]), 0.95) == 1.0


def test_the_threshold_allows_for_rounding_of_the_fraction():
    probabilities = confident(*np.linspace(0.995, 0.6, 100))
    found = known_threshold(probabilities, np.zeros(100, int), keep=0.07)  # 7.000000000000001 of 100
    assert (probabilities.max(1) >= found).sum() == 7


@pytest.mark.field
@pytest.mark.parametrize("share", [0, 0.05, 0.07, 0.5, 0.99, 1])
def test_the_lowest_threshold_at_which_few_enough_strangers_get_a_name(share):
    confidences = np.random.default_rng(0).permutation(np.linspace(0.2, 0.995, 100)).astype(np.float32)
    found = stranger_threshold(confidences, share)
    assert np.mean(confidences >= found) <= share + 1e-9
    if found:
        assert np.mean(confidences >= found - 2e-4) > share


@pytest.mark.field
def test_strangers_of_whom_the_network_is_certain_cannot_be_kept_out():
    assert stranger_threshold(np.array([1.0, 1.0, 0.4]), 0.1) == 1.0
    assert stranger_threshold(np.array([0.3]), 0.5) == 0.3001


@pytest.mark.field
def test_an_image_without_its_own_class_is_judged_by_the_other_classes():
    probabilities = np.array([[0.9, 0.06, 0.04], [0.5, 0.1, 0.4], [1.0, 0.0, 0.0]], np.float32)
    found = left_out(probabilities, np.array([0, 1, 0]))
    assert found == pytest.approx([0.6, 5 / 9, 0])
    logits = np.random.default_rng(1).normal(size=(50, 6))
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = np.exp(logits[:, 1:]).max(1) / np.exp(logits[:, 1:]).sum(1)  # the softmax of five logits
    assert left_out(softmax, np.zeros(50, int)) == pytest.approx(expected)


@pytest.mark.field
def test_rates_are_shares_of_right_names_and_of_named_strangers_with_wilsons_interval():
    labels = np.array([0, 0, 0, 1])  # the last answer is wrong
    rows = measure(0.62, confident(0.96, 0.65, 0.6, 0.99), labels, np.array([0.55, 0.62, 0.9, 0.2, 0.1]))
    assert [row["threshold"] for row in rows] == sorted([0.62, *THRESHOLDS])
    (row,) = (row for row in rows if row["threshold"] == 0.62)
    assert (row["true_accepts"], row["false_accepts"]) == (0.5, 0.4)
    z, n, p = 1.959964, 5, 0.4
    centre, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = [(centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)]
    assert row["false_accepts_interval"] == pytest.approx(expected, abs=1e-4)
    for name in ("true_accepts", "false_accepts"):
        shares = [row[name] for row in rows]
        assert shares == sorted(shares, reverse=True)


ANSWERS = {"val": confident(0.8, 0.7, 0.6), "test": confident(0.9, 0.65)}
LABELS = {"val": np.zeros(3, int), "test": np.zeros(2, int)}


@pytest.mark.field
def test_strangers_set_the_threshold_only_if_asked_to():
    strangers = np.linspace(0.5, 0.99, 50)
    by_known = calibrate(ANSWERS, LABELS, strangers, 0.5, None)
    assert by_known["threshold"] == pytest.approx(0.7, abs=1e-4)
    assert (by_known["rates"]["measured"], by_known["rates"]["strangers"]) == (True, 50)
    assert nearest(by_known["rates"], 0.7)["false_accepts"] == pytest.approx(0.6, abs=0.021)
    by_strangers = calibrate(ANSWERS, LABELS, strangers, 0.5, 0.1)
    assert by_strangers["threshold"] == pytest.approx(0.94, abs=0.011)
    (row,) = (r for r in by_strangers["rates"]["table"] if r["threshold"] == by_strangers["threshold"])
    assert (row["false_accepts"], row["true_accepts"]) == (0.1, 0)
    # Without strangers there is only the estimate, from all images that did not train.
    for share in (None, 0.1):
        estimated = calibrate(ANSWERS, LABELS, None, 0.5, share)
        assert estimated["threshold"] == by_known["threshold"]
        assert (estimated["rates"]["measured"], estimated["rates"]["strangers"]) == (False, 5)


@pytest.mark.field
def test_the_sentence_says_what_was_measured_and_what_is_only_a_lower_bound():
    rates = calibrate(ANSWERS, LABELS, np.linspace(0.5, 0.99, 50), 0.5, None)["rates"]
    said = sentence(rates, 0.94, "strangers")
    assert said.startswith("At threshold 0.95, 10% of strangers get a name (95% interval 4% to 21%, measured")
    assert said.endswith(" 0% of the test images get the right name.")
    said = sentence(calibrate(ANSWERS, LABELS, None, 0.5, None)["rates"], 0.9, "strangers")
    assert "at least 100% of strangers get a name (an estimate from 5 images" in said
