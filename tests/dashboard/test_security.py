import pytest
from starlette.requests import Request

from dashboard.security import local_path, on_loopback, same_origin


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/run?run=12", "/run?run=12"),
        ("/audit?at=2026-03-12T00:00:00", "/audit?at=2026-03-12T00:00:00"),
        ("/", "/"),
        ("", None),
        ("run", None),
        ("//evil.example", None),
        ("/\\evil.example", None),
        ("/a\\b", None),
        ("https://evil.example/", None),
        ("javascript:alert(1)", None),
        ("/\t/evil.example", None),
        ("/run\r\nSet-Cookie: a=b", None),
        ("/sign-in?next=/sign-in", None),
        ("/sign-out", None),
    ],
)
def test_only_a_path_of_our_own_is_returned_to(wanted: str, goes: str | None) -> None:
    assert local_path(wanted) == goes


def asked(client: str = "127.0.0.1", **headers: str) -> Request:
    named = {"host": "localhost:8501", **{key.replace("_", "-"): value for key, value in headers.items()}}
    raw = [(key.encode(), value.encode()) for key, value in named.items()]
    return Request({
        "type": "http", "method": "POST", "path": "/", "headers": raw, "client": (client, 5), "scheme": "http",
        "server": ("localhost", 8501), "query_string": b"",
    })  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"origin": "http://localhost:8501"}, True),
        ({"origin": "http://localhost:9999"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({}, True),
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "cross-site"}, False),
    ],
)
def test_a_form_from_another_site_is_noticed(headers: dict[str, str], ours: bool) -> None:
    assert same_origin(asked(**headers)) is ours


@pytest.mark.parametrize(
    ("client", "host", "here"),
    [
        ("127.0.0.1", "localhost:8501", True),
        ("127.0.0.1", "evil.example:8501", False),
        ("10.0.0.7", "localhost:8501", False),
    ],
)
def test_loopback_takes_both_ends(client: str, host: str, here: bool) -> None:
    assert on_loopback(asked(client, host=host)) is here
