import pytest

from prunet.training.convergence import guesses, guessing_warning, still_falling, warning

pytestmark = pytest.mark.field
STEPS = list(range(0, 101, 10))


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([2.0 - 0.1 * number for number in range(11)], True),
        ([2.0, *(1.0 - 0.02 * number for number in range(9)), 0.83], True),
        ([2.0, *[0.5] * 9, 0.499], False),  # flat, as at the end of a cosine schedule
        ([2.0, 0.3, *[0.5] * 8, 0.4], False),  # an earlier loss was lower
    ],
)
def test_a_loss_still_falls_if_the_last_is_clearly_the_lowest(losses, expected):
    assert still_falling(STEPS, losses) is expected


def test_two_evaluations_say_nothing():
    assert still_falling([0, 100], [2.0, 1.0]) is None
    assert still_falling([0, 90, 100], [2.0, 1.0, 0.5]) is True


@pytest.mark.parametrize(
    ("verdicts", "counted"),
    [
        ([True, True, False, None], "2 of 3"),
        ([True, False], "1 of 2"),
        ([True, False, False], ""),
        ([None], ""),
    ],
)
def test_the_warning_counts_networks_and_says_what_to_do(verdicts, counted):
    found = warning("own", 60, [{"still_falling": verdict} for verdict in verdicts])
    if counted:
        assert f"at the last step (60) in {counted} networks: raise studies.own.training.steps" in found
    else:
        assert found is None


@pytest.mark.parametrize(
    ("right", "images", "largest_class", "expected"),
    [
        (0, 10, 0.5, True),
        (50, 100, 0.5, True),
        (59, 100, 0.5, True),  # 59 or more of 100 are right by chance in 4.4% of cases
        (60, 100, 0.5, True),  # 2.8%
        (61, 100, 0.5, False),  # 1.8%
        (61, 100, 0.6, True),  # of unequal classes, the answer is always the largest
        (100, 100, 0.9, False),
        (18, 180, 0.1, True),
    ],
)
def test_a_network_guesses_unless_it_is_clearly_better_than_the_largest_class(
    right, images, largest_class, expected
):
    assert guesses(right / images, images, largest_class) is expected


@pytest.mark.parametrize(
    ("verdicts", "counted"), [([True, False], "1 of 2"), ([True, False, False], ""), ([], "")]
)
def test_the_warning_names_dense_networks_that_guess(verdicts, counted):
    found = guessing_warning("own", sum(verdicts), len(verdicts))
    if counted:
        assert found.startswith(f"warning: study own: {counted} dense networks guess: on test images they")
        assert "studies.own.training.lr" in found
    else:
        assert found is None
