"""Real receivers of webhook events for the sandbox, one for each way in which Wiz can prove who it is.

A way holds both ends: what the receiver is told by its settings, and what Wiz is told of the webhook. Secrets are made
anew for each; events are posted by `defend_sender.py`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import requests

from wiz_dagster.errors import TransientError
from wiz_dagster.sandbox.certificates import AUTHORITY, CLIENT, SERVER, make_authority, make_certificate
from wiz_dagster.sandbox.processes import HOST, Process, free_port, running

RECEIVER = ("-c", "from wiz_dagster.cli import main; main()", "receiver")
START_SECONDS = 30.0
WRONG = "wrong"


@dataclass(frozen=True)
class Way:
    """One kind of authentication.

    Attributes:
        name: for people.
        settings: the receiver's, beside address, port and spool.
        login: user name and password of basic authentication.
        headers: what Wiz sends besides.
        ca_certs: the authority that vouches for the receiver; None: no TLS.
        certificate: what Wiz shows, and its key.
    """

    name: str
    settings: Mapping[str, str]
    login: tuple[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    ca_certs: Path | None = None
    certificate: tuple[Path, Path] | None = None

    @property
    def refuses(self) -> bool:
        """Whether whoever knows no secret is refused."""
        return self.settings["WIZ_DEFEND_AUTH"] != "none"

    def with_wrong_secret(self) -> Way:
        """What somebody sends who knows how Wiz proves itself, but not the secret, and has no certificate."""
        wrong = {name: " ".join([*value.split(" ")[:-1], WRONG]) for name, value in self.headers.items()}
        return replace(self, login=self.login and (self.login[0], WRONG), headers=wrong, certificate=None)

    def session(self) -> requests.Session:
        """Connections as Wiz makes them; proxies and netrc of this machine don't count."""
        session = requests.Session()
        session.trust_env = False
        session.auth = self.login
        session.headers.update(self.headers)
        session.verify = str(self.ca_certs) if self.ca_certs else True
        session.cert = (str(self.certificate[0]), str(self.certificate[1])) if self.certificate else None
        return session


@dataclass(frozen=True)
class Receiver:
    """A receiver that runs, its address as Wiz is given it, and the way in."""

    url: str
    way: Way
    process: Process


def no_authentication() -> Way:
    """Anybody may post."""
    return Way("none", {"WIZ_DEFEND_AUTH": "none"})


def basic() -> Way:
    """User name and password."""
    user, password = "wiz", secrets.token_urlsafe(24)
    settings = {"WIZ_DEFEND_AUTH": "basic", "WIZ_DEFEND_USERNAME": user, "WIZ_DEFEND_PASSWORD": password}
    return Way("basic", settings, login=(user, password))


def token() -> Way:
    """A bearer token."""
    secret = secrets.token_urlsafe(24)
    settings = {"WIZ_DEFEND_AUTH": "token", "WIZ_DEFEND_TOKEN": secret}
    return Way("token", settings, headers={"Authorization": f"Bearer {secret}"})


def mutual_tls(folder: Path) -> Way:
    """Both sides show a certificate, and a token stands in a header of its own; certificates are made in `folder`.

    Raises `PermanentError` when openssl can't make them.
    """
    make_authority(folder)
    make_certificate(folder, "receiver", SERVER)
    make_certificate(folder, "wiz", CLIENT)
    secret = secrets.token_urlsafe(24)
    settings = {
        "WIZ_DEFEND_AUTH": "token",
        "WIZ_DEFEND_TOKEN": secret,
        "WIZ_DEFEND_TOKEN_HEADER": "X-Wiz-Token",
        "WIZ_DEFEND_TLS_CERT": str(folder / "receiver.crt"),
        "WIZ_DEFEND_TLS_KEY": str(folder / "receiver.key"),
        "WIZ_DEFEND_CLIENT_CA": str(folder / AUTHORITY),
    }
    return Way(
        "mutual TLS",
        settings,
        headers={"X-Wiz-Token": secret},
        ca_certs=folder / AUTHORITY,
        certificate=(folder / "wiz.crt", folder / "wiz.key"),
    )


@contextmanager
def running_receivers(ways: Sequence[Way], environment: Mapping[str, str], log: Path) -> Iterator[list[Receiver]]:
    """A receiver a way, ready, all on the spool that `environment` names; stopped at the end, nothing lost.

    What they say is added to the file `log`. Raises `TransientError` when one doesn't start.
    """
    with ExitStack() as stack:
        started = []
        for way in ways:
            port = free_port()
            own = {"WIZ_DEFEND_ADDRESS": HOST, "WIZ_DEFEND_PORT": str(port), **way.settings}
            processes = stack.enter_context(running({way.name: RECEIVER}, {**environment, **own}, log))
            scheme = "http" if way.ca_certs is None else "https"
            started.append(Receiver(f"{scheme}://{HOST}:{port}/", way, processes[way.name]))
        for receiver in started:
            _await_ready(receiver, log)
        yield started


def _await_ready(receiver: Receiver, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with receiver.way.session() as session:
        while time.monotonic() < deadline and receiver.process.poll() is None:
            try:
                if session.get(f"{receiver.url}healthz", timeout=5).ok:
                    return
            except requests.RequestException:
                time.sleep(0.05)
    raise TransientError(f"The receiver with authentication {receiver.way.name} didn't start; {log} says why.")
