import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from wiz_dagster.errors import PermanentError, SettingsError, TransientError, WizDagsterError
from wiz_dagster.landing.remote_store import RemoteStore
from wiz_dagster.landing.store import Store, open_store
from wiz_dagster_tests.landing.landing_helpers import (
    DAY,
    Figures,
    Node,
    by_id,
    fetch_info,
    land,
    node,
    read,
    zone_at,
)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**settings, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3", use_listings_cache=False).mkdir("landing")
        yield "s3://landing"
    server.stop()


@pytest.fixture(params=["path", "file", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    places = {"path": str(tmp_path / "z"), "file": f"file://{tmp_path}/z", "memory": f"memory://{tmp_path}"}
    if request.param != "s3":
        return places[request.param]
    return f"{request.getfixturevalue('bucket')}{tmp_path}"


def test_a_store_reads_what_was_put_and_lists_it(url: str) -> None:
    store = open_store(url)
    assert (store.list("a"), store.exists("a/one")) == ([], False)
    with pytest.raises(FileNotFoundError):
        store.read("a/one")
    store.put("a/one", b"1")
    assert open_store(url).list("a") == ["one"]
    open_store(url).put("a/two", b"2")
    store.put("a/b/deep", b"3")
    store.put("a/one", b"1 again")
    assert store.read("a/one") == b"1 again"
    assert store.list("a") == ["b", "one", "two"]
    assert (store.exists("a/one"), store.exists("a/b")) == (True, False)
    for _ in range(2):
        store.delete("a/one")
    assert store.list("a") == ["b", "two"]


def test_a_file_is_replaced_only_while_it_holds_what_was_expected(url: str) -> None:
    store = open_store(url)
    assert not store.replace_if("m", b"1", b"0")
    assert store.replace_if("m", b"1", None)
    assert not store.replace_if("m", b"2", None)
    assert not store.replace_if("m", b"2", b"0")
    assert store.replace_if("m", b"2", b"1")
    assert store.read("m") == b"2"


def test_of_many_replacing_at_once_one_wins_each_time(url: str) -> None:
    store = open_store(url)
    store.put("counter", b"0")

    def count() -> None:
        for _ in range(4):
            while True:
                value = store.read("counter")
                if store.replace_if("counter", str(int(value) + 1).encode(), value):
                    break

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read("counter") == b"16"


def test_a_day_lives_in_any_store(url: str) -> None:
    zone = zone_at(url)
    zone.check_writable()
    land(zone, [node("a", 1), node("b", 1)])
    land(zone_at(url), [node("a", 2), node("b", 1)], minute=1)
    assert by_id(read(zone)) == {"a": node("a", 2), "b": node("b", 1)}
    assert zone.days("issue") == [DAY]
    assert sum(name.startswith("part-") for name in zone.store.list(f"issue/{DAY}")) == 4


def test_a_landing_that_another_overtakes_merges_in_any_store(url: str) -> None:
    zone = zone_at(url)

    def overtaken() -> Iterator[list[Node]]:
        yield [node("a", 1), node("b", 1)]
        land(zone_at(url), [node("b", 1), node("c", 1)], minute=1)

    zone.land("issue", DAY, overtaken(), fetch_info(0), Figures(), "updatedAt")
    assert by_id(read(zone)).keys() == {"a", "b", "c"}
    assert zone.day("issue", DAY).captured == 3


def test_a_store_that_ignores_conditions_is_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = zone_at(f"{bucket}/lax")
    put = RemoteStore.put
    monkeypatch.setattr(RemoteStore, "_put_conditionally", lambda self, path, data, _: put(self, path, data) is None)
    with pytest.raises(PermanentError, match="ignores conditional writes"):
        zone.check_writable()
    assert zone.store.list("") == []


def test_an_object_that_changes_between_reading_and_writing_is_not_overwritten(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"{bucket}/race")
    store.put("m", b"1")
    read_whole = RemoteStore.read

    def overtaken(self: RemoteStore, path: str) -> bytes:
        found = read_whole(self, path)
        open_store(f"{bucket}/race").put("m", b"other")
        return found

    monkeypatch.setattr(RemoteStore, "read", overtaken)
    assert not store.replace_if("m", b"2", b"1")
    monkeypatch.undo()
    assert store.read("m") == b"other"


def test_an_absent_bucket_is_a_clear_error(bucket: str) -> None:
    with pytest.raises(PermanentError, match=r"s3://absent-bucket .*WIZ_LANDING_URL.*create"):
        open_store("s3://absent-bucket").put("a", b"1")


def test_an_unreachable_object_store_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    filesystem = fsspec.filesystem(
        "s3",
        key="x",
        secret="x",
        endpoint_url="http://127.0.0.1:9",
        skip_instance_cache=True,
        config_kwargs={"retries": {"max_attempts": 0}},
    )
    filesystem.retries = 1
    with pytest.raises(TransientError, match="WIZ_LANDING_URL"):
        RemoteStore("s3://landing", filesystem, "landing").read("a")


@pytest.mark.parametrize("url", ["nonsense://x", "hdfs2://x"])
def test_an_unknown_scheme_is_a_settings_error(url: str) -> None:
    with pytest.raises(SettingsError, match="WIZ_LANDING_URL"):
        open_store(url)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (errno.ENOSPC, PermanentError, "no space left"),
        (errno.EDQUOT, PermanentError, "no space left"),
        (errno.EACCES, PermanentError, "access is refused"),
        (errno.EROFS, PermanentError, "access is refused"),
        (errno.EIO, TransientError, "WIZ_LANDING_URL"),
    ],
)
def test_a_failed_write_is_one_clear_sentence_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[WizDagsterError], words: str
) -> None:
    store: Store = open_store(str(tmp_path))
    store.put("a", b"before")

    def failing(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(kind, match=words) as caught:
        store.put("a", b"after")
    assert "WIZ_LANDING_URL" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    monkeypatch.undo()
    assert (store.read("a"), store.list("")) == (b"before", ["a"])


def test_a_file_where_the_zone_should_be_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "zone").write_bytes(b"")
    with pytest.raises(PermanentError, match="a file stands where a folder is needed"):
        zone_at(tmp_path / "zone").check_writable()


@pytest.mark.parametrize("attempt", ["put", "replace_if"])
def test_a_place_where_no_folder_can_be_made_is_a_clear_error(attempt: str) -> None:
    store = open_store("/proc/nowhere/landing")
    with pytest.raises(PermanentError, match=r"/proc/nowhere/landing \(WIZ_LANDING_URL\).*choose another place"):
        store.put("a/b", b"1") if attempt == "put" else store.replace_if("a/b", b"1", None)


def test_an_object_that_vanishes_before_a_conditional_write_is_a_lost_race(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(f"{bucket}/vanishing")
    store.put("m", b"1")
    read_whole = RemoteStore.read

    def overtaken(self: RemoteStore, path: str) -> bytes:
        found = read_whole(self, path)
        self.delete(path)
        return found

    monkeypatch.setattr(RemoteStore, "read", overtaken)
    assert not store.replace_if("m", b"2", b"1")


def test_messages_show_no_password_of_the_url() -> None:
    with pytest.raises(SettingsError) as caught:
        open_store("nonsense://user:secret@host/x")
    assert "secret" not in str(caught.value)
