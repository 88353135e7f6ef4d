"""What the operating system or an object store answers, as a sentence about `WIZ_LANDING_URL`.

A file that is absent when it is read, listed or deleted stays `FileNotFoundError`: whether that is a failure is for the
caller to say. The error classes of botocore are looked at only when it is loaded, since it comes with the optional S3
support.
"""

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from wiz_dagster.errors import PermanentError, TransientError, WizDagsterError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_MAKING = {"write", "lock"}
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "TokenRetrievalError"}


def shown_url(url: str) -> str:
    """`url` without the user and password it may hold."""
    return re.sub(r"//[^/@]*@", "//", url)


@contextmanager
def explained(url: str, path: str, doing: str) -> Iterator[None]:
    """Turn a failed `doing` ("write", "read") of `path` into a PermanentError or TransientError with what to do.

    Also "lock", "list", "delete". FileNotFoundError passes as it came where nothing was to be made.
    """
    try:
        yield
    except FileNotFoundError as error:
        if doing not in _MAKING:
            raise
        raise PermanentError(
            f"The landing zone can't {doing} {path} in {shown_url(url)} (WIZ_LANDING_URL): no folder can be made "
            "there; choose another place."
        ) from error
    except OSError as error:
        raise _storage_error(error, shown_url(url), path, doing) from error
    except _botocore_errors() as error:
        where = f"can't {doing} {path} in {shown_url(url)} (WIZ_LANDING_URL)"
        if type(error).__name__ in _NO_CREDENTIALS:
            raise PermanentError(
                f"The landing zone {where}: no credentials were found for the object store."
            ) from error
        raise TransientError(f"The landing zone {where}: {type(error).__name__}; is the store reachable?") from error


def _botocore_errors() -> tuple[type[BaseException], ...]:
    module = sys.modules.get("botocore.exceptions")
    return (module.BotoCoreError,) if module else ()


def _storage_error(error: OSError, url: str, path: str, doing: str) -> WizDagsterError:
    where = f"can't {doing} {path} in {url} (WIZ_LANDING_URL)"
    if error.errno in _FULL:
        return PermanentError(f"The landing zone {where}: no space left; free some or choose another place.")
    if error.errno in _REFUSED or isinstance(error, PermissionError):
        return PermanentError(f"The landing zone {where}: access is refused; give this user read and write access.")
    if isinstance(error, NotADirectoryError | IsADirectoryError | FileExistsError):
        return PermanentError(f"The landing zone {where}: a file stands where a folder is needed, or the reverse.")
    reason = error.strerror or type(error).__name__
    return TransientError(f"The landing zone {where}: {reason}.")
