"""The stage `ingest` reports every row correctly and keeps every good image on a hostile web."""

import pytest

from faults import hostile_pictures, hostile_server, hostile_web

KINDS = 91


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return hostile_web.ingest(tmp_path_factory.mktemp("web"), 2 * KINDS)


def test_every_case_of_a_hostile_web_is_handled(result):
    assert result["examples"] == []
    assert result["problems"] == []
    assert (result["cases"], result["survived"], result["lost"]) == (2 * KINDS, 2 * KINDS, 0)


def test_the_short_campaign_has_every_kind_of_case(result):
    assert len(result["kinds"]) == KINDS
    kinds = {*hostile_pictures.GOOD, *hostile_pictures.BAD}
    kinds |= {*hostile_server.GOOD_ANSWERS, *hostile_server.BAD_ANSWERS}
    assert kinds < set(result["kinds"])


def test_mishandled_cases_are_counted(tmp_path):
    good = hostile_web.Case("jpeg", "a", "u1", ("ok",), b"good")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(b"good")
    (tmp_path / "a" / "2.jpg").write_bytes(b"bad")
    (tmp_path / "manifest.csv").write_text(
        "row,label,url,status,image,detail\n1,a,u1,ok,a/1.jpg,\n2,a,u1,duplicate,,\n3,a,u2,timeout,,\n4,a,u3,ok,a/2.jpg,\n"
    )
    listed = [good, good, good._replace(data=b"other"), good._replace(kind="png", data=b"third")]
    judged = hostile_web.judge(listed, tmp_path)
    assert judged["kinds"] == {
        "jpeg": {"cases": 3, "survived": 2, "lost": 1},
        "png": {"cases": 1, "survived": 0, "lost": 1},
    }
    assert (judged["cases"], judged["survived"], judged["lost"]) == (4, 2, 2)
    assert len(judged["examples"]) == 2
