import hashlib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from prunet.base.files import read_rows
from prunet.data.sample.people import STYLES, Person, invent_people
from prunet.data.sample.photos import Photo, photo_of_one
from stages import sample

PHOTOS = 2
EXTRAS = sample.NOBODY + sample.TWO + sample.REPEATED + sample.NEAR + 3  # and three broken ones


def run(*arguments: object) -> Result:
    return CliRunner().invoke(sample.main, [str(argument) for argument in arguments])


def rows_of(folder: Path) -> list[dict[str, str]]:
    return read_rows(folder / "list.csv", ("label", "url"))


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "out"
    result = run("--seed", 3, "--photos", PHOTOS, folder)
    assert result.exit_code == 0, result.output
    return folder


def test_every_row_is_accounted_for(drawn):
    rows = rows_of(drawn)
    assert len(rows) == PHOTOS * len(STYLES) + EXTRAS
    assert {row["label"] for row in rows} == set(STYLES)
    urls = Counter(row["url"] for row in rows)
    assert sorted(urls.values(), reverse=True)[: sample.REPEATED + 1] == [2] * sample.REPEATED + [1]
    missing = [url for url in urls if not (drawn / url).exists()]
    assert missing == [sample.MISSING]
    listed = {drawn / url for url in urls} - {drawn / sample.MISSING}
    assert set((drawn / "photos").iterdir()) == listed


def test_list_has_as_many_good_photos_of_each_person_as_asked_for(drawn, tmp_path):
    (tmp_path / "photos").mkdir()
    good = set()
    for index, (name, person) in enumerate(invent_people(3).items()):
        for number in range(PHOTOS):
            rng = sample.stream(3, sample.GOOD_STREAM, index, number)
            good.add((name, sample.save(tmp_path, *sample.encode(photo_of_one(person, rng), rng))))
    assert len({url for _, url in good}) == PHOTOS * len(STYLES)
    assert good <= {(row["label"], row["url"]) for row in rows_of(drawn)}


def test_files_are_named_by_their_content(drawn):
    for path in (drawn / "photos").iterdir():
        assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def test_all_but_two_files_are_whole_photos(drawn):
    broken = []
    for path in (drawn / "photos").iterdir():
        body = path.read_bytes()
        whole = body.endswith(b"\xff\xd9") if path.suffix == ".jpg" else body.endswith(b"IEND\xaeB`\x82")
        if not whole:
            broken.append(body[:3])
        else:
            assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR) is not None
    assert sorted(broken) == [b"Thi", b"\xff\xd8\xff"]  # a text and the first half of a JPEG


def test_same_seed_same_bytes_and_another_seed_others(drawn, tmp_path):
    run("--seed", 3, "--photos", PHOTOS, tmp_path / "again")
    assert content(tmp_path / "again") == content(drawn)
    run("--seed", 4, "--photos", PHOTOS, tmp_path / "other")
    common = set(content(tmp_path / "other")) & set(content(drawn))
    text = "photos/" + hashlib.sha256(b"This is a text, not a photo.\n").hexdigest()[:16] + ".jpg"
    assert common == {"list.csv", text}


def test_more_photos_leave_the_earlier_ones_as_they_are(drawn, tmp_path):
    run("--seed", 3, "--photos", 1, tmp_path / "fewer")
    more = {row["url"] for row in rows_of(drawn)}
    only_here = {row["url"] for row in rows_of(tmp_path / "fewer")} - more
    assert len(only_here) <= sample.NEAR  # copies of other photos than before, nothing else


def test_both_kinds_of_files_are_written():
    kinds = Counter()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        body, ending = sample.encode(np.full((8, 8, 3), 90, np.uint8), rng)
        kinds[ending] += 1
        assert body.startswith({".jpg": b"\xff\xd8", ".png": b"\x89PNG"}[ending])
    assert kinds[".jpg"] > kinds[".png"] > 0


def test_colours_survive_the_file(tmp_path):
    (tmp_path / "photos").mkdir()
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    url = sample.save(tmp_path, sample.to_jpeg(red, 95), ".jpg")
    blue, green, red_again = cv2.imread(str(tmp_path / url))[8, 8]
    assert red_again > 190
    assert max(blue, green) < 10


def test_an_interrupted_run_leaves_what_was_there(tmp_path, monkeypatch):
    output = tmp_path / "out"
    output.mkdir()
    (output / "list.csv").write_text("label,url\n")
    calls = []

    def interrupted(person: Person, rng: np.random.Generator) -> Photo:
        calls.append(person)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr(sample, "photo_of_one", interrupted)
    assert run("--seed", 0, "--photos", 1, output).exit_code == 1
    assert len(calls) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert content(output) == {"list.csv": b"label,url\n"}


def test_a_new_run_replaces_the_folder(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "list.csv").write_text("")
    (tmp_path / "out" / "left-over.txt").write_text("")
    plain = np.zeros((40, 40, 3), np.uint8)
    for name in ("photo_of_one", "photo_of_two", "photo_of_nobody"):
        monkeypatch.setattr(sample, name, lambda *_: plain)
    assert run("--seed", 0, "--photos", 1, tmp_path / "out").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["list.csv", "photos"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--seed", 0, "--photos", 0, "out"), "--photos"),
        (("--seed", -1, "--photos", 1, "out"), "--seed"),
    ],
)
def test_bad_options_are_refused(arguments, complaint):
    result = run(*arguments)
    assert result.exit_code == 2
    assert complaint in result.output


def test_help_explains_every_option():
    result = run("--help")
    assert result.exit_code == 0
    for words in ("seven imaginary people", "--seed", "--photos", "OUTPUT", "label", "url"):
        assert words in result.output
