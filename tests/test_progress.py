import multiprocessing
import threading

import pytest

from prunet.base.progress import LOG, progress


def test_a_log_gets_whole_lines(capfd, monkeypatch):
    monkeypatch.setitem(LOG, "delay", 0)
    monkeypatch.setitem(LOG, "mininterval", 0)
    assert list(progress(range(2), desc="train", unit="step")) == [0, 1]
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(" after ")[0] for line in lines if line.strip()] == [
        f"train: {done} of 2" for done in (0, 1, 2)
    ]


def test_a_log_gets_at_most_a_line_a_minute(capfd, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    for _ in progress(range(180), desc="train", unit="step"):
        now[0] += 1
    lines = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    assert [line.split(" ")[1] for line in lines] == ["60", "120", "180"]


@pytest.mark.field
@pytest.mark.parametrize("terminal", [False, True])
def test_no_thread_watches_the_progress(monkeypatch, terminal):
    """It would write lines of its own into a log, and a process with threads should not be forked."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    for _ in progress(range(2), desc="train", unit="step"):
        assert "tqdm_monitor" not in {thread.name for thread in threading.enumerate()}


def train(_):
    bar = progress(total=3)
    bar.initial += 1  # as a resumed training does
    bar.update(2)
    return list(progress(range(3), desc="train"))


def test_a_worker_process_shows_nothing(capfd, monkeypatch):
    monkeypatch.setitem(LOG, "delay", 0)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(train, [0]) == [[0, 1, 2]]
    assert capfd.readouterr().err == ""
