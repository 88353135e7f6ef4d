"""TLS of the receiver: its own certificate, and the authority that client certificates are checked by."""

from __future__ import annotations

import ssl

from wiz_dagster.defend.settings import ReceiverSettings
from wiz_dagster.errors import SettingsError


def server_context(settings: ReceiverSettings) -> ssl.SSLContext | None:
    """What handshakes follow; None without TLS. Raises `SettingsError` when a file doesn't hold what it must."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # An empty password: OpenSSL would ask at the terminal.
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except OSError as error:
        raise SettingsError(_what_is_wrong(error)) from None
    if settings.client_ca is not None:
        _ask_clients(context, settings)
    return context


def _ask_clients(context: ssl.SSLContext, settings: ReceiverSettings) -> None:
    try:
        context.load_verify_locations(settings.client_ca)
    except OSError as error:
        raise SettingsError(
            f"WIZ_DEFEND_CLIENT_CA: expected a readable file of certificates in PEM format ({_reason(error)})."
        ) from None
    context.verify_mode = ssl.CERT_OPTIONAL if settings.client_cert == "optional" else ssl.CERT_REQUIRED


def _what_is_wrong(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return "WIZ_DEFEND_TLS_KEY: this is not the key of the certificate in WIZ_DEFEND_TLS_CERT."
    return (
        "WIZ_DEFEND_TLS_CERT, WIZ_DEFEND_TLS_KEY: expected readable files in PEM format, the certificate with its "
        f"chain and its key without a password ({_reason(error)})."
    )


def _reason(error: OSError) -> str:
    return str((error.reason if isinstance(error, ssl.SSLError) else error.strerror) or type(error).__name__)
