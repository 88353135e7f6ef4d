"""The sandbox's Elasticsearch: its life is tied to its starter's, and its data outlive it."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from wiz_dagster.elasticsearch.client import connect
from wiz_dagster.errors import PermanentError
from wiz_dagster.sandbox import elasticsearch_download, node_folders
from wiz_dagster.sandbox.elasticsearch_node import ElasticsearchNode, available
from wiz_dagster.settings import ElasticsearchSettings

needs_node = pytest.mark.skipif(available() is not None, reason=f"no Elasticsearch: {available()}")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's folders are out of the node's reach")

STARTER = """
import sys, threading
from pathlib import Path
from wiz_dagster.sandbox.elasticsearch_node import ElasticsearchNode

def start():
    node = ElasticsearchNode(Path(sys.argv[1])).__enter__()
    print(node.url, node.pid, flush=True)

thread = threading.Thread(target=start)
thread.start()
thread.join()
sys.stdin.read()
"""


def wait_until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert alive == []


@needs_node
def test_a_killed_starter_takes_its_node_along_and_the_next_node_finds_the_data(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path / "data")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        url, keeper = starter.stdout.readline().split()
        family = [psutil.Process(int(keeper)), *psutil.Process(int(keeper)).children(recursive=True)]
        assert len(family) >= 2
        with connect(ElasticsearchSettings(url=url)) as client:
            client.index(index="kept", id="1", document={"a": 1})
        starter.send_signal(signal.SIGKILL)
    with ElasticsearchNode(tmp_path / "data") as node, connect(ElasticsearchSettings(url=node.url)) as client:
        wait_until_gone(family)
        assert client.get(index="kept", id="1")["_source"] == {"a": 1}
        keeper_process = psutil.Process(node.pid)
        running = keeper_process.children(recursive=True)
        assert all(process.uids().real == node_folders.node_account().uid for process in running)
        keeper_process.terminate()
        assert node.wait(60)
        wait_until_gone(running)


@needs_node
def test_a_node_that_dies_while_starting_shows_the_end_of_its_log() -> None:
    with pytest.raises(PermanentError, match=r"stopped while starting(.|\n)*heap"):
        ElasticsearchNode(heap_mb=1).__enter__()


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PermanentError, match=f"Port {port} can't be used"):
            ElasticsearchNode(port=port).__enter__()


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        (["17.0.1", "25.0.3"], 25),
        (["21", "17.0.1", "11.0.2"], 21),
        (["26", "17.0.1"], 17),
        (["26"], 26),
        (["11"], None),
    ],
)
def test_the_java_is_taken_that_a_server_is_known_to_run_on(
    versions: list[str], chosen: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in versions:
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "java").touch()
        (tmp_path / version / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    monkeypatch.setattr(elasticsearch_download, "_java_homes", lambda: iter(sorted(tmp_path.iterdir())))
    monkeypatch.setattr(elasticsearch_download, "reachable", lambda _: True)
    found = elasticsearch_download.find_java()
    assert (found.major if found else None) == chosen
    assert (available() is None) == (found is not None and shutil.which("mvn") is not None)


def test_without_java_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elasticsearch_download, "_java_homes", lambda: iter(()))
    assert "install a JDK" in str(available())


@as_root
def test_a_data_folder_out_of_the_nodes_reach_gets_a_link_and_what_it_links_to_goes_with_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    folder = node_folders.lasting_node_folder(tmp_path / "data")
    assert node_folders.reachable(folder)
    assert node_folders.lasting_node_folder(tmp_path / "data") == folder
    shutil.rmtree(tmp_path / "data")
    node_folders.sweep()
    assert not folder.exists()


def test_a_fresh_folder_goes_when_no_node_holds_it() -> None:
    left, held = node_folders.temporary_node_folder(), node_folders.temporary_node_folder()
    for folder in (left, held):
        (folder / node_folders.LOCK).touch()
    with (held / node_folders.LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        node_folders.sweep()
        assert not left.exists()
        assert held.exists()
    node_folders.sweep()
    assert not held.exists()
