"""What every answer carries and every request must show: safe headers, the same origin, a sign-in for pages."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "testclient", "testserver"})

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; worker-src 'self' blob:"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class SafeHeaders:
    """Middleware: puts `HEADERS` on every HTTP answer, Streamlit's own too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, send_with_headers)


def same_origin(request: Request) -> bool:
    """Whether a request that changes something came from one of our own pages.

    A browser names the page's origin with every form post and upload; "null" is somebody else's. A caller that sends
    none is no browser, so there is no one to trick.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}
    return urlsplit(origin).netloc == request.headers.get("host")


def on_loopback(request: Request) -> bool:
    """Whether both ends of a request are this machine; a name that merely resolves here does not count."""
    client = request.client.host if request.client else ""
    return client in LOOPBACK and (request.url.hostname or "") in LOOPBACK


def local_path(wanted: str | None) -> str | None:
    r"""A path of our own to go to after signing in; None for anything that leads elsewhere.

    ``//host``, ``/\\host`` and control characters are read by browsers as another address.
    """
    if not wanted or not wanted.startswith("/") or wanted.startswith(("//", "/\\")):
        return None
    if any(character in wanted for character in "\\\r\n\t") or not wanted.isprintable():
        return None
    parts = urlsplit(wanted)
    if parts.scheme or parts.netloc or parts.path.startswith(("/sign-in", "/set-up", "/sign-out")):
        return None
    return quote(parts.path, safe="/") + (f"?{parts.query}" if parts.query else "")
