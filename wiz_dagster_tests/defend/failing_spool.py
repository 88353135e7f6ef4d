"""The receiver with a spool that does what a file beside it says: `full`, `slow` (until it is gone), or `broken`."""

import asyncio
import os
from pathlib import Path

from wiz_dagster.defend import server
from wiz_dagster.defend.spool_writer import SpoolError, SpoolWriter

BESIDE = Path(os.environ["WIZ_DEFEND_SPOOL"]).parent


class FailingWriter(SpoolWriter):
    async def append(self, body: bytes) -> None:
        while (BESIDE / "slow").exists():
            await asyncio.sleep(0.01)
        if (BESIDE / "full").exists():
            raise SpoolError("The spool can't take events: No space left on device.")
        if (BESIDE / "broken").exists():
            raise RuntimeError(f"no way to write {body!r}")
        await super().append(body)


if __name__ == "__main__":
    server.SpoolWriter = FailingWriter  # type: ignore[misc]
    server.run_receiver(os.environ)
