import pandas as pd
import pytest

from prunet.base import tables
from prunet.base.errors import InputError


def test_a_table_comes_back_with_six_digits_and_its_rounds_as_text(tmp_path):
    table = pd.DataFrame({"round": ["00", "01"], "accuracy": [1 / 3, 0.5], "steps": [1234567, 2]})
    tables.write(tmp_path / "table.csv", table)
    assert (tmp_path / "table.csv").read_text() == "round,accuracy,steps\n00,0.333333,1234567\n01,0.5,2\n"
    read = tables.read(tmp_path / "table.csv", ["round", "accuracy"], ["01"])
    pd.testing.assert_frame_equal(read, table.round(6))


def test_a_table_is_written_completely_or_not_at_all(tmp_path):
    (tmp_path / "table.csv").write_text("old")
    unwritable = pd.DataFrame({"a": [1.5, "\udcff"]})
    with pytest.raises(UnicodeEncodeError):
        tables.write(tmp_path / "table.csv", unwritable)
    assert (tmp_path / "table.csv").read_text() == "old"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("round,a\n00,1\n01,2", "table.csv is truncated"),
        ("round,a\n", "table.csv is truncated"),
        ("round,b\n01,2\n", "table.csv has no column 'a'"),
        ("round,a\n01,much\n", "column a is not numeric"),
        ("round,a\n1,2\n", "table.csv has no round 01"),
        (None, "table.csv does not exist"),
    ],
)
def test_another_table_is_refused_by_name(tmp_path, content, message):
    if content is not None:
        (tmp_path / "table.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        tables.read(tmp_path / "table.csv", ["round", "a"], ["01"])
