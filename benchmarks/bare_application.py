"""What a Starlette application takes that reads each body and stores nothing: the measure beside the receiver."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def take(request: Request) -> JSONResponse:
    """Read the body, and say so."""
    await request.body()
    return JSONResponse({"accepted": 1})


application = Starlette(routes=[Route("/", take, methods=["POST"])])
