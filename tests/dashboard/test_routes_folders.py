"""The folder picker: folders only, and nothing but the caller's mistake for what is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from running_dashboard import Dashboard, add, set_up

from claude_accounts.accounts import rows as account_rows, sessions as running_sessions
from claude_accounts.messages import InvalidInput
from claude_accounts.terminal.images import LARGEST_IMAGE, Images


@pytest.fixture
def dashboard() -> Dashboard:
    """Return a dashboard that has been set up."""
    return set_up()


def test_folders_are_listed_without_files_and_hidden_ones(dashboard: Dashboard, home: Path) -> None:
    """The picker begins at home."""
    for name in ("beta", "Alpha", ".hidden"):
        (home / name).mkdir()
    (home / "file").write_text("x")
    (home / "broken").symlink_to(home / "nowhere")
    answer = dashboard.client.get("/api/browse").get_json()
    assert answer["path"] == str(home)
    assert answer["parent"] == str(home.parent)
    assert answer["folders"] == [
        {"name": "Alpha", "path": str(home / "Alpha")},
        {"name": "beta", "path": str(home / "beta")},
    ]
    shown = dashboard.client.get("/api/browse", query_string={"path": "~", "hidden": "1"}).get_json()
    assert ".hidden" in [folder["name"] for folder in shown["folders"]]


def test_odd_paths_are_the_callers_mistake(dashboard: Dashboard, home: Path) -> None:
    """INP-10"""
    (home / "file").write_text("x")
    os.mkfifo(home / "pipe")
    (home / "loop").symlink_to(home / "loop")
    for path in (
        "relative",
        "..",
        "\0",
        "/tmp\0/x",
        "/no/such/folder",
        str(home / "file"),
        str(home / "pipe"),
        str(home / "loop"),
        "/dev/null",
        "/" + "x" * 300,
        "/" + "x/" * 3000,
        "~nobody-of-that-name",
        "file:///etc",
        "\\\\server\\share",
        "C:\\",
        "/🦉",
    ):
        answer = dashboard.client.get("/api/browse", query_string={"path": path})
        assert 400 <= answer.status_code < 500, path
        assert answer.get_json()["error"]
    raw = dashboard.client.get("/api/browse?path=/%ff%fe")
    assert 400 <= raw.status_code < 500


def test_names_that_are_no_text_are_left_out(dashboard: Dashboard, home: Path) -> None:
    """INP-10"""
    try:
        os.mkdir(os.fsencode(home) + b"/\xff\xfe")
    except OSError:
        pytest.skip("this file system takes no such name")
    assert dashboard.client.get("/api/browse").get_json()["folders"] == []


def test_huge_folder_is_cut(dashboard: Dashboard, home: Path) -> None:
    """A folder of a hundred thousand entries is no answer anybody reads."""
    for number in range(1005):
        (home / f"folder-{number:04}").mkdir()
    answer = dashboard.client.get("/api/browse").get_json()
    assert len(answer["folders"]) == 1000
    assert answer["truncated"]


def test_recent_folders_are_those_that_still_exist(dashboard: Dashboard, home: Path) -> None:
    """Newest first, and of one account where asked."""
    work, other = add(dashboard.client), add(dashboard.client, "other")
    for name in ("one", "two", "gone"):
        (home / name).mkdir()
    running_sessions.record(account_rows.reread(work), os.getpid(), str(home / "one"), running_sessions.WEB)
    running_sessions.record(account_rows.reread(other), os.getpid(), str(home / "two"), running_sessions.WEB)
    running_sessions.record(account_rows.reread(work), os.getpid(), str(home / "gone"), running_sessions.WEB)
    (home / "gone").rmdir()
    assert sorted(dashboard.client.get("/api/recent-dirs").get_json()) == [str(home / "one"), str(home / "two")]
    of_one = dashboard.client.get("/api/recent-dirs", query_string={"account_id": work}).get_json()
    assert of_one == [str(home / "one")]


def test_unknown_terminal_is_404(dashboard: Dashboard) -> None:
    """INP-07"""
    assert dashboard.client.get("/api/terminals").get_json() == []
    assert dashboard.client.post("/api/terminals/none/stop").status_code == 404


def test_picture_needs_a_terminal_a_type_and_a_size(dashboard: Dashboard) -> None:
    client = dashboard.client
    path = "/api/terminals/none/images"
    png = b"\x89PNG\r\n\x1a\n"
    assert client.post(path, data=png, content_type="image/png").status_code == 404
    assert client.post(path, data=png, content_type="text/html").status_code == 415
    assert client.post(path, data=png, content_type="application/json").status_code == 415
    assert client.post(path, data=bytes(LARGEST_IMAGE + 1), content_type="image/png").status_code == 413


def test_pictures_of_a_terminal_are_the_newest_and_go_with_it() -> None:
    images = Images()
    paths = [images.keep("one", b"GIF89a" + bytes([number])) for number in range(52)]
    other = images.keep("two", b"\xff\xd8\xff")
    assert [Path(path).exists() for path in paths] == [False] * 2 + [True] * 50
    assert other.endswith(".jpg") and images.keep("two", b"RIFF\0\0\0\0WEBP").endswith(".webp")
    for nothing in (b"", b"\x89PNG", b"<svg/>", b"RIFF\0\0\0\0WAVE"):
        with pytest.raises(InvalidInput):
            images.keep("one", nothing)
    images.forget_all_but({"two"})
    assert not Path(paths[-1]).exists() and Path(other).exists()
    images.close()
    assert not Path(other).parent.parent.exists()
