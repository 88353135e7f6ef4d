"""Finds a Java, fetches the Elasticsearch that runs on it from Maven Central and unpacks it once into a cache folder.

Elastic publishes the server, without a JDK and with few modules, as `org.elasticsearch.distribution.integ-test-zip`.
Starting it is in `elasticsearch_node.py`, who may read which folder in `node_folders.py`.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from wiz_dagster.errors import PermanentError, TransientError
from wiz_dagster.sandbox.node_folders import base_folder, reachable

ARTIFACT = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"
SERVERS = ((range(21, 26), "9.3.2"), (range(17, 21), "8.19.8"), (range(26, 100), "9.3.2"))
"""Java's major versions and the server for them, best first; both were seen to start on the JDKs 17 and 25."""
DOWNLOAD_SECONDS = 900


class Server(NamedTuple):
    """An unpacked server and the Java that runs it."""

    version: str
    home: Path
    java_home: Path


class Java(NamedTuple):
    """A Java installation."""

    home: Path
    major: int


def missing_part() -> str | None:
    """Say why no server can be had here, or None: no suitable Java, or no Maven to fetch the server with."""
    java = find_java()
    if java is None:
        return "no Java 17 or newer was found: install a JDK 21 (or 17), or set JAVA_HOME to one"
    if not shutil.which("mvn") and not _server_home(_version_for(java)).is_dir():
        return "Maven (mvn) isn't installed; it fetches Elasticsearch from Maven Central"
    return None


def find_java() -> Java | None:
    """The best Java on this machine: of JAVA_HOME, of `java` on the PATH, or where systems install JDKs."""
    found = {java.home: java for java in _javas(_java_homes())}
    for majors, _ in SERVERS:
        fitting = [java for java in found.values() if java.major in majors and reachable(java.home)]
        if fitting:
            return max(fitting, key=lambda java: java.major)
    return None


def install_server() -> Server:
    """The server for this machine's Java, downloaded and unpacked when it isn't yet.

    Raises PermanentError without Java or Maven, TransientError when Maven can't fetch it.
    """
    java = find_java()
    reason = missing_part()
    if java is None or reason:
        raise PermanentError(f"Elasticsearch can't be started: {reason}.")
    version = _version_for(java)
    home = _server_home(version)
    if not home.is_dir():
        with (base_folder() / "download.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not home.is_dir():
                _download(version, home)
    return Server(version, home, java.home)


def _version_for(java: Java) -> str:
    return next(version for majors, version in SERVERS if java.major in majors)


def _server_home(version: str) -> Path:
    return base_folder() / f"elasticsearch-{version}"


def _java_homes() -> Iterator[Path]:
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"])
    command = shutil.which("java")
    if command:
        yield Path(command).resolve().parent.parent
    yield from Path("/usr/lib/jvm").glob("*")
    yield from Path("/Library/Java/JavaVirtualMachines").glob("*/Contents/Home")


def _javas(homes: Iterable[Path]) -> Iterator[Java]:
    """Read each version from the file `release` that every JDK since 8 has, without starting it."""
    for home in homes:
        release = home / "release"
        if (home / "bin" / "java").exists() and release.is_file():
            version = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(errors="replace"), re.MULTILINE)
            if version:
                yield Java(home.resolve(), int(version[1]))


def _download(version: str, home: Path) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="download-") as folder:
        artifact = ARTIFACT.format(version=version)
        command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
        try:
            done = subprocess.run(  # noqa: S603
                command, cwd=folder, check=False, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise TransientError(f"Maven didn't fetch Elasticsearch {version} in {DOWNLOAD_SECONDS} s.") from error
        if done.returncode:
            said = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no reason given")
            raise TransientError(f"Maven couldn't fetch Elasticsearch {version} from Maven Central: {said.strip()}")
        _unpack(Path(folder) / f"elasticsearch-{version}.zip", Path(folder))
        (Path(folder) / f"elasticsearch-{version}").rename(home)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack so that the user the node runs as can read it, whatever this process's umask."""
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    archive.unlink()
    for path in folder.glob("elasticsearch-*/**/*"):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    for path in folder.glob("elasticsearch-*"):
        path.chmod(0o755)
