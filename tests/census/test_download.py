"""Downloads from a stand-in for the Bureau's server: complete, resumed, missing, damaged; and without a network."""

import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pums_files
import pytest

from persona_lib import UserError, census
from persona_lib.census import download


class Bureau(SimpleHTTPRequestHandler):
    """Serves a folder as the Bureau's server does, with ranges; each of `cut` ends a connection after so many bytes."""

    cut: ClassVar[list[int]] = []
    status: ClassVar[list[int]] = []
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self):
        self.asked.append((self.path, self.headers["Range"]))
        if self.status:
            return self.send_error(self.status.pop(0))
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        content = path.read_bytes()
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if self.headers["Range"] else 0
        if start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + self.cut.pop(0) if self.cut else len(content)
        self.wfile.write(content[start:end])
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def bureau(tmp_path, monkeypatch):
    """The server's folder for the 1-year files of 2024, its address and what it was asked."""
    monkeypatch.setattr(download, "PAUSE_S", 0.01)
    monkeypatch.setattr(Bureau, "cut", [])
    monkeypatch.setattr(Bureau, "status", [])
    monkeypatch.setattr(Bureau, "asked", [])
    folder = tmp_path / "served" / "2024" / "1-Year"
    folder.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Bureau, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def fetch(tmp_path, url, states=("WY",)):
    return census.download_pums(2024, states, folder=tmp_path / "cache", base_url=url)


def refused(tmp_path, url, said: str) -> str:
    with pytest.raises(UserError, match=said) as caught:
        fetch(tmp_path, url)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def served(bureau):
    """Made-up files of one state, large enough to be cut."""
    pums_files.write(bureau[0], times=400)
    return bureau


def test_real_states_are_fetched_once_and_read(shared, bureau, tmp_path):
    folder, url = bureau
    for path in (shared / "acs").glob("csv_*.zip"):
        (folder / path.name).write_bytes(path.read_bytes())
    files = fetch(tmp_path, url, ["WY", "Vermont"])
    assert [path.name for path in files] == ["csv_pwy.zip", "csv_hwy.zip", "csv_pvt.zip", "csv_hvt.zip"]
    assert len(census.read_pums(files)) == 13_137
    assert len(Bureau.asked) == 4 and fetch(tmp_path, url, ["wy", "vt"]) == files and len(Bureau.asked) == 4
    assert {path.name for path in files[0].parent.iterdir()} == {path.name for path in files}  # no parts left


def test_an_interrupted_download_resumes_where_it_stopped(served, tmp_path):
    Bureau.cut.extend([1_000, 2_000])
    files = fetch(tmp_path, served[1])
    assert [asked for path, asked in Bureau.asked if "csv_p" in path] == [None, "bytes=1000-", "bytes=3000-"]
    assert files[0].read_bytes() == (served[0] / "csv_pwy.zip").read_bytes()


def test_a_stopped_download_resumes_in_the_next_call(served, tmp_path):
    Bureau.cut.extend([1_000] + [0] * (download.TRIES - 1))
    assert "the download resumes" in refused(tmp_path, served[1], "connection ended after 1,000 of")
    Bureau.asked.clear()
    fetch(tmp_path, served[1])
    assert Bureau.asked[0] == ("/2024/1-Year/csv_pwy.zip", "bytes=1000-")


def test_a_part_of_another_edition_is_thrown_away(served, tmp_path):
    part = tmp_path / "cache" / "2024" / "1-Year" / "csv_pwy.part.zip"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1_000)
    assert fetch(tmp_path, served[1])[0].read_bytes() == (served[0] / "csv_pwy.zip").read_bytes()
    assert Bureau.asked[1] == ("/2024/1-Year/csv_pwy.zip", None)


def test_a_part_longer_than_the_file_is_thrown_away(served, tmp_path):
    part = tmp_path / "cache" / "2024" / "1-Year" / "csv_pwy.part.zip"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 10_000_000)
    assert len(fetch(tmp_path, served[1])) == 2


def test_a_busy_server_is_asked_again(served, tmp_path):
    Bureau.status.extend([503, 500])
    assert len(fetch(tmp_path, served[1])) == 2 and len(Bureau.asked) == 4


def test_a_file_that_is_not_there_is_named_at_once(bureau, tmp_path):
    said = refused(tmp_path, bureau[1], r"csv_pwy.zip can't be downloaded \(404")
    assert "check year, state and kind" in said and "--pums" in said and len(Bureau.asked) == 1


def test_a_truncated_zip_is_refused_and_not_kept(served, tmp_path):
    path = served[0] / "csv_pwy.zip"
    path.write_bytes(path.read_bytes()[:-2_000])
    refused(tmp_path, served[1], "csv_pwy.zip is not usable .*can't be read as an intact zip")
    assert list((tmp_path / "cache").rglob("csv_*")) == []


@pytest.mark.parametrize("column", ["PWGTP", "SCHL", "SERIALNO"])
def test_a_file_without_a_needed_column_is_refused(bureau, tmp_path, column):
    persons, _ = pums_files.files()
    pums_files.zipped(bureau[0] / "csv_pwy.zip", {"psam_p56.csv": persons.drop(columns=column)})
    refused(tmp_path, bureau[1], f"not usable .*lacks the PUMS columns {column}")


def test_a_file_without_rows_is_refused(bureau, tmp_path):
    persons, _ = pums_files.files()
    pums_files.zipped(bureau[0] / "csv_pwy.zip", {"psam_p56.csv": persons[:0]})
    refused(tmp_path, bureau[1], "not usable .*has no rows")


def test_without_a_network_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = refused(tmp_path, f"http://127.0.0.1:{port}", "refused")
    assert f"download http://127.0.0.1:{port}/2024/1-Year/csv_pwy.zip by hand" in said and "--pums" in said


@pytest.mark.parametrize(
    ("year", "states", "kind", "said"),
    [
        (2024, ["Wyo"], "1-Year", "unknown state 'Wyo'"),
        (2024, [], "1-Year", "no state given"),
        (2017, ["WY"], "1-Year", "2018 or later"),
        (2024, ["WY"], "3-Year", "kind must be one of 1-Year, 5-Year"),
    ],
)
def test_invalid_arguments_are_refused_before_any_request(tmp_path, year, states, kind, said):
    with pytest.raises(UserError, match=said):
        census.download_pums(year, states, kind, folder=tmp_path)


def test_every_state_and_the_nation_have_a_file_name():
    table = pd.read_csv(download.pums.STATES)
    assert len(table) == 52 and table["code"].is_unique and table["postal"].is_unique
    assert {download._postal(name) for name in table["name"]} == set(table["postal"].str.lower())
    assert download._postal("US") == "us"
