"""Cleaning of faces: decisions and their file, the server of the page, and its protection."""

import asyncio
import json
import queue
import socket

import aiohttp
import pytest
from click.testing import CliRunner

from prunet.base.errors import InputError
from prunet.data.faces import exclusion
from prunet.data.faces.cleaning import server
from prunet.data.faces.cleaning.decisions import Decisions
from stages import clean
from tests.toy_cleaning import HEADER, faces_of, page_of, prepare_eight, undecided
from tests.toy_faces import contents, message


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare_eight(tmp_path_factory.mktemp("faces"))


@pytest.fixture
def folder(prepared):
    """The toy faces, with an empty exclude list; odd rows are boris, even ones ada."""
    return undecided(prepared)


def name(number):
    return f"{number:016x}"


def decisions_of(folder):
    return Decisions(folder / "exclude.csv", faces_of(folder).rows)


# decisions


def test_every_decision_is_in_the_file_and_every_undo_takes_one_back(folder):
    decisions = decisions_of(folder)
    boris, ada = decisions.faces[:2]
    texts = [HEADER]

    def text():
        return (folder / "exclude.csv").read_text()

    decisions.leave_out(boris, 'dark, "very"')
    texts.append(f'{HEADER}boris,{name(1)},"dark, ""very"""\n')
    assert text() == texts[-1]
    decisions.move(ada, "boris")
    header = "label,image,reason,move_to\n"
    texts.append(f'{header}boris,{name(1)},"dark, ""very""",\nada,{name(2)},wrong person,boris\n')
    assert text() == texts[-1]
    decisions.keep(boris)
    assert text() == f"{header}ada,{name(2)},wrong person,boris\n"
    assert [decisions.undo() for _ in range(3)] == ["1", "2", "1"]
    assert text() == HEADER
    assert decisions.undo() is None
    assert decisions.decided == {}


def test_lines_written_by_hand_stay_until_their_face_is_decided_about(folder):
    lines = f"ada,2.jpg,by hand\nnobody,{name(1)},lost\n,{name(3)},dark\n"
    (folder / "exclude.csv").write_text(HEADER + lines)
    decisions = decisions_of(folder)
    assert {row: line.reason for row, line in decisions.decided.items()} == {"2": "by hand", "3": "dark"}
    assert "there is no face of 'nobody'" in decisions.problems[0]
    decisions.leave_out(decisions.faces[3], "blurred")
    assert (folder / "exclude.csv").read_text() == f"{HEADER}{lines}ada,{name(4)},blurred\n"
    decisions.keep(decisions.faces[1])
    assert (folder / "exclude.csv").read_text() == (
        f"{HEADER}nobody,{name(1)},lost\n,{name(3)},dark\nada,{name(4)},blurred\n"
    )


@pytest.mark.parametrize("edit", ["edited", "removed"])
def test_a_file_that_somebody_else_changed_is_never_overwritten(folder, edit):
    decisions = decisions_of(folder)
    face = decisions.faces[0]
    decisions.leave_out(face, "dark")
    path = folder / "exclude.csv"
    path.unlink() if edit == "removed" else path.write_text(f"{HEADER}ada,{name(2)},by hand\n")
    assert decisions.changed
    before = contents(folder)
    for attempt in (lambda: decisions.leave_out(decisions.faces[2], "dark"), decisions.undo):
        with pytest.raises(InputError, match="was changed by somebody else"):
            attempt()
    assert contents(folder) == before
    assert list(decisions.decided) == ["1"]
    decisions.reload()
    assert list(decisions.decided) == ([] if edit == "removed" else ["2"])
    decisions.leave_out(face, "dark")
    assert "dark" in path.read_text()


def test_a_damaged_list_is_refused_and_the_decisions_stay(folder):
    decisions = decisions_of(folder)
    decisions.leave_out(decisions.faces[0], "dark")
    (folder / "exclude.csv").write_bytes(b"label,image\n\xff")
    with pytest.raises(InputError, match=r"exclude\.csv is not UTF-8 text"):
        decisions.reload()
    assert list(decisions.decided) == ["1"]
    assert decisions.changed
    (folder / "exclude.csv").write_text("label,image,reason,note\nada,1,,mine\n")
    with pytest.raises(InputError, match="has a column 'note', which saving here would lose"):
        decisions_of(folder)


def test_a_decision_that_cannot_be_saved_is_not_taken(folder, monkeypatch):
    decisions = decisions_of(folder)

    def full(path, lines):
        raise InputError("the disk is full.")

    monkeypatch.setattr(exclusion, "write", full)
    with pytest.raises(InputError, match="full"):
        decisions.leave_out(decisions.faces[0], "dark")
    assert decisions.decided == {}
    assert decisions.undo() is None


def test_a_face_moves_only_to_another_person_with_faces(folder):
    decisions = decisions_of(folder)
    for person in ("boris", "nobody", "../ada"):
        with pytest.raises(InputError, match="only to another person with faces"):
            decisions.move(decisions.faces[0], person)
    assert (folder / "exclude.csv").read_text() == HEADER


# the server


def ask(folder, talk, page=None):
    """Serve the page and run `talk` with a session and the address."""
    page = page or page_of(folder)

    async def run():
        address = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(server.serve(page, 0, address.set_result))
        async with aiohttp.ClientSession() as session:
            result = await talk(session, await address)
        page.ended.set()
        await task
        return result

    return asyncio.run(run())


async def post(session, address, action, body=None, **headers):
    origin = "/".join(address.split("/")[:3])
    headers = {"Origin": origin, "Content-Type": "application/json"} | headers
    data = body if isinstance(body, str) else json.dumps(body or {})
    async with session.post(address + action, data=data, headers=headers) as response:
        text = await response.text()
        return response.status, json.loads(text) if response.content_type == "application/json" else text


def decision(face, reason="", move_to=""):
    return {"face": face, "reason": reason, "move_to": move_to}


def test_the_page_shows_decides_undoes_and_ends(folder):
    page = page_of(folder)

    async def talk(session, address):
        async with session.get(f"{address}state") as response:
            state = await response.json()
        answers = [
            await post(session, address, "decide", decision(0, " too \n dark ")),
            await post(session, address, "decide", decision(1, "", "boris")),
            await post(session, address, "undo"),
            await post(session, address, "decide", decision(0)),
            await post(session, address, "done"),
        ]
        await asyncio.wait_for(page.ended.wait(), 5)
        return state, answers

    state, answers = ask(folder, talk, page)
    assert [face["label"] for face in state["faces"]] == ["boris", "ada"] * 4
    assert state["faces"][2]["url"] == "https://host.example/3.jpg"
    assert state["decided"] == {}
    assert [status for status, _ in answers] == [200] * 5
    assert answers[0][1]["decided"] == {"0": {"reason": "too \\n dark", "move_to": ""}}
    assert answers[1][1]["decided"]["1"] == {"reason": "wrong person", "move_to": "boris"}
    assert answers[2][1]["face"] == 1
    assert answers[3][1]["decided"] == {}
    assert (folder / "exclude.csv").read_text() == HEADER


@pytest.mark.parametrize(
    "body",
    [
        *("", "[]", "null", "{", '{"face": 0}', '{"face": "0", "reason": "", "move_to": ""}', "9" * 20_000),
        *(json.dumps(decision(number, "dark")) for number in (-1, 8, 1.0, True, None)),
        json.dumps(decision(0, ["dark"])),
    ],
)
def test_a_broken_request_is_refused_and_changes_nothing(folder, body):
    status, _ = ask(folder, lambda session, address: post(session, address, "decide", body or " "))
    assert status in (400, 413)
    assert (folder / "exclude.csv").read_text() == HEADER


def test_an_edit_by_hand_is_told_and_read_again_on_demand(folder):
    async def talk(session, address):
        (folder / "exclude.csv").write_text(f"{HEADER}ada,{name(2)},by hand\n")
        async with session.get(f"{address}live") as response:
            news = json.loads((await response.content.readline()).removeprefix(b"data: "))
        refused = await post(session, address, "decide", decision(0, "dark"))
        return news, refused, await post(session, address, "reload")

    news, (status, refused), (_, answer) = ask(folder, talk)
    assert news["changed"]
    assert news["windows"] == 1
    assert status == 409
    assert "was changed by somebody else" in refused["error"]
    assert answer["decided"] == {"1": {"reason": "by hand", "move_to": ""}}
    assert (folder / "exclude.csv").read_text() == f"{HEADER}ada,{name(2)},by hand\n"


async def status_of(session, address, path, **headers):
    async with session.get(address + path, headers=headers) as response:
        return response.status, await response.read(), response.headers


def test_pictures_are_named_by_number_and_nothing_else_is_served(folder):
    wrong = [
        "face/8",
        "face/-1",
        "face/0x1",
        "photo/99",
        "face/..%2f..%2fexclude.csv",
        "page.py",
        "server.py",
    ]
    wrong += [
        "face/ada/0000000000000002.png",
        "../exclude.csv",
        "..%2fexclude.csv",
        "face/0/../../exclude.csv",
    ]

    async def talk(session, address):
        found = [await status_of(session, address, path) for path in ("face/0", "photo/7", "", "page.js")]
        return found, [(await status_of(session, address, path))[0] for path in wrong]

    found, refused = ask(folder, talk)
    assert [status for status, *_ in found] == [200] * 4
    assert [body[:2] for _, body, _ in found[:2]] == [b"\xff\xd8"] * 2  # JPEG
    assert set(refused) <= {403, 404}
    for _, _, headers in found:
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"


def test_a_deleted_photo_is_told_in_one_sentence(folder):
    page = page_of(folder)
    path = folder / "photos" / page.faces.rows[0]["photo"]
    content = path.read_bytes()
    path.unlink()
    try:
        status, body, _ = ask(folder, lambda session, address: status_of(session, address, "photo/0"), page)
    finally:
        path.write_bytes(content)
    assert status == 404
    assert b"No such file" in body


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "localhost"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_requests_of_other_pages_are_refused(folder, headers):
    async def talk(session, address):
        shown = {} if "Content-Type" in headers else headers
        got = await status_of(session, address, "state", **shown)
        return got, await post(session, address, "decide", decision(0, "dark"), **headers)

    (got, body, _), (posted, _) = ask(folder, talk)
    if "Content-Type" not in headers:
        assert got == 403
        assert b"boris" not in body
    assert posted == 403
    assert (folder / "exclude.csv").read_text() == HEADER


def test_requests_without_token_or_origin_or_with_another_method_are_refused(folder):
    async def talk(session, address):
        root = "/".join(address.split("/")[:3])
        paths = ["/", "/state", "/x/state", f"/{'x' * 32}/state", "/favicon.ico", f"/{'é' * 8}/"]
        found = [(await status_of(session, root, path))[0] for path in paths]
        body = json.dumps(decision(0, "dark"))
        kind = {"Content-Type": "application/json"}
        async with session.post(f"{address}decide", data=body, headers=kind) as response:
            found.append(response.status)
        async with session.put(f"{address}decide", data=body, headers=kind) as response:
            found.append(response.status)
        return found, address

    found, address = ask(folder, talk)
    assert found == [403] * 8
    assert address.startswith("http://127.0.0.1:")
    assert len(address.split("/")[3]) == 32
    assert (folder / "exclude.csv").read_text() == HEADER


def test_the_server_ends_after_its_last_window_was_closed(folder, monkeypatch):
    monkeypatch.setattr(server, "TICK", 0.02)
    page = page_of(folder, patience=0.2)

    async def run():
        address = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(server.serve(page, 0, address.set_result))
        await asyncio.sleep(0.5)
        assert not task.done()  # nobody has opened it yet
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{await address}live") as response:
                await response.content.readline()
                await asyncio.sleep(0.5)
                assert not task.done()
            await asyncio.wait_for(task, 5)

    asyncio.run(run())


def test_a_port_in_use_is_refused_in_one_sentence(folder):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} cannot be used") as refusal:
            asyncio.run(server.serve(page_of(folder), port, print))
    assert "\n" not in str(refusal.value)


# the command


def run_command(folder, *options):
    folders = [str(folder / name) for name in ("photos", "crops", "sheets")]
    return CliRunner().invoke(clean.main, [*folders, "--no-browser", *options])


def test_the_command_says_which_command_comes_first_or_what_is_damaged(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message(run_command(tmp_path)) == (
        f"there are no faces to clean: {tmp_path}/photos/manifest.csv does not exist; "
        "run `dvc repro resize` first."
    )
    assert "name the list by --exclude" in message(run_command(folder))
    (tmp_path / "params.yaml").write_text(f"resize: {{exclude: {folder}/exclude.csv}}\n")
    (folder / "exclude.csv").write_text("label;image;reason\n")
    assert "separates its values by semicolons" in message(run_command(folder))


def test_the_command_ends_with_what_was_decided_and_the_next_command(folder, monkeypatch):
    async def decide(page, port, ready):
        ready("http://127.0.0.1:1/token/")
        page.decisions.leave_out(page.faces.rows[0], "dark")
        page.decisions.move(page.faces.rows[1], "boris")
        raise KeyboardInterrupt

    monkeypatch.setattr(clean, "serve", decide)
    opened = queue.Queue()
    monkeypatch.setattr(clean.webbrowser, "open", opened.put)
    path = folder / "exclude.csv"
    result = run_command(folder, "--exclude", str(path), "--browser")
    assert result.exit_code == 0
    assert opened.get(timeout=5) == "http://127.0.0.1:1/token/"
    assert result.stdout.endswith(f"{path}: 1 of 8 faces left out, 1 moved.\nNext: dvc repro\n")
