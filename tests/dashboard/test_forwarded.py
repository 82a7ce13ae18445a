"""Behind proxies and forwarders that rewrite what the browser sent: who still passes, who is counted, what is told."""

from __future__ import annotations

import pytest
from running_dashboard import PASSWORD, Dashboard, set_up

from claude_accounts.dashboard import addresses, origin
from claude_accounts.dashboard.api import Config
from claude_accounts.messages import InvalidInput
from claude_accounts.server import create_app

NAME = "claude.example.com"
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
REWRITTEN = [
    # A forwarder of ports names us in Origin, in Host, or in both; others lose the port.
    {"Host": NAME, "Origin": "http://localhost:5111"},
    {"Host": "localhost:5111", "Origin": f"https://{NAME}"},
    {"Host": "localhost", "Origin": "http://localhost:5111"},
    {"Host": "127.0.0.1:5111", "Origin": f"https://{NAME}:8443"},
    {"Host": NAME, "Origin": f"https://{NAME}:8443"},
]


def signs_out(dashboard: Dashboard, headers: dict[str, str]) -> int:
    """Ask for something that only our own page may ask for."""
    given = headers | {"X-Auth-Token": dashboard.token}
    return dashboard.stranger().post("/api/auth/logout", headers=given).status_code


@pytest.mark.parametrize("headers", REWRITTEN)
def test_own_page_passes_a_proxy_that_rewrites_its_address(headers: dict[str, str]) -> None:
    """The browser says itself that the page is the one it asks."""
    dashboard = set_up(Config(trusted_hosts=(NAME,), behind_proxy=True))
    assert signs_out(dashboard, headers | OWN_PAGE) == 200


@pytest.mark.parametrize("headers", REWRITTEN)
def test_a_rewritten_address_passes_nowhere_else(headers: dict[str, str]) -> None:
    """Without a declared proxy, without the browser's word, from a foreign page."""
    assert signs_out(set_up(Config(trusted_hosts=(NAME,))), headers | OWN_PAGE) == 403
    behind = create_app(Config(trusted_hosts=(NAME,), behind_proxy=True)).test_client()
    for site in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}):
        assert behind.post("/api/auth/logout", headers=headers | site).status_code == 403, site
    for page in ("https://evil.example", "null", "http://192.0.2.1"):
        given = headers | OWN_PAGE | {"Origin": page}
        assert behind.post("/api/auth/logout", headers=given).status_code == 403, page


@pytest.mark.parametrize(
    ("trusted", "behind_proxy", "headers", "missing"),
    [
        (
            (),
            False,
            {"Host": "localhost:5111", "Origin": f"https://{NAME}"},
            ["--behind-proxy", f"--trusted-host {NAME}"],
        ),
        ((), True, {"Host": "localhost:5111", "Origin": f"https://{NAME}"}, [f"--trusted-host {NAME}"]),
        ((NAME,), False, {"Host": "localhost:5111", "Origin": f"https://{NAME}"}, ["--behind-proxy"]),
        ((NAME,), False, {"Host": NAME, "Origin": "http://localhost:5111"}, ["--behind-proxy"]),
    ],
)
def test_the_hint_proposes_what_is_missing_and_what_it_proposes_helps(
    trusted: tuple[str, ...], behind_proxy: bool, headers: dict[str, str], missing: list[str]
) -> None:
    client = create_app(Config(trusted_hosts=trusted, behind_proxy=behind_proxy)).test_client()
    answer = client.post("/api/auth/logout", headers=headers | OWN_PAGE)
    assert answer.status_code == 403
    assert answer.get_json()["hint"].endswith(": " + " ".join(missing))
    done = set_up(Config(trusted_hosts=(*trusted, NAME), behind_proxy=True))
    assert signs_out(done, headers | OWN_PAGE) == 200


@pytest.mark.parametrize("site", [{}, {"Sec-Fetch-Site": "cross-site"}])
def test_no_option_is_proposed_where_none_would_help(site: dict[str, str]) -> None:
    client = create_app(Config(trusted_hosts=(NAME,), behind_proxy=True)).test_client()
    answer = client.post("/api/auth/logout", headers={"Host": NAME, "Origin": "http://localhost:5111"} | site)
    assert answer.status_code == 403
    assert "--" not in answer.get_json()["hint"]


@pytest.mark.parametrize(
    "name", ["claude_accounts", "my_box.local", "_dmz", "claude.example.com.", "claude_accounts:5111"]
)
def test_names_of_containers_and_names_with_a_last_dot_are_told_apart_from_nonsense(name: str) -> None:
    answer = create_app().test_client().get("/api/auth/status", headers={"Host": name})
    bare = name.rstrip(".").partition(":")[0]
    assert f"--trusted-host {bare}" in answer.get_json()["hint"]
    dashboard = set_up(Config(trusted_hosts=(bare,)))
    assert signs_out(dashboard, {"Host": name, "Origin": f"http://{name}"}) == 200


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("https://x:5111", "x"),
        ("x:5111", "x"),
        ("HTTPS://Claude.Example.com/claude/?a#b", "claude.example.com"),
        ("claude_accounts", "claude_accounts"),
        ("claude.example.com.", "claude.example.com"),
        ("[fd00::7]:5111", "fd00::7"),
        ("http://[FD00::0:7]:5111/", "fd00::7"),
        ("fd00::7", "fd00::7"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_what_is_declared_as_trusted_is_understood_as_people_copy_it(given: str, name: str) -> None:
    assert origin.trusted_name(given) == name


@pytest.mark.parametrize(
    ("given", "hint"),
    [("*.example.com", "*"), ("https://me@x", "@"), ("two words", ""), ("", ""), ("https://", ""), ("x:70000", "")],
)
def test_what_is_no_name_is_refused_with_what_to_leave_out(given: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        origin.trusted_name(given)
    assert hint in refused.value.hint and refused.value.hint


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"X-Forwarded-For": "203.0.113.7:51234"}, "203.0.113.7"),
        ({"X-Forwarded-For": "192.0.2.1, 203.0.113.7:51234"}, "203.0.113.7"),
        ({"X-Forwarded-For": "[2001:db8::1]:443"}, "2001:db8::1"),
        ({"X-Forwarded-For": "[2001:db8::1]"}, "2001:db8::1"),
        ({"X-Forwarded-For": "2001:db8::1"}, "2001:db8::1"),
        ({"X-Forwarded-For": '"[2001:db8::1]:443"'}, "2001:db8::1"),
        ({"X-Forwarded-For": "fe80::1%eth0"}, "fe80::1"),
        ({"X-Forwarded-For": "::ffff:203.0.113.7"}, "203.0.113.7"),
        (
            {"Forwarded": 'for=192.0.2.1, proto=https;For="[2001:db8:cafe::17]:4711";by=203.0.113.43'},
            "2001:db8:cafe::17",
        ),
        ({"Forwarded": "for=203.0.113.7:51234"}, "203.0.113.7"),
        ({"Forwarded": "for=203.0.113.7", "X-Forwarded-For": "203.0.113.8:1"}, "203.0.113.8"),
        ({"Forwarded": "for=203.0.113.7", "X-Forwarded-For": "unknown"}, "127.0.0.1"),
        ({"Forwarded": "for=_hidden"}, "127.0.0.1"),
        ({"X-Forwarded-For": "nonsense:1"}, "127.0.0.1"),
        ({}, "127.0.0.1"),
    ],
)
def test_each_visitor_of_a_proxy_is_counted_by_the_address_alone(headers: dict[str, str], address: str) -> None:
    """Whatever port the connection had: else all share one count, and one stranger locks the owner out."""
    environ = {"REMOTE_ADDR": "127.0.0.1"}
    environ |= {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
    assert origin.client_address(environ, behind_proxy=True) == address
    assert origin.client_address(environ, behind_proxy=False) == "127.0.0.1"


def test_failed_sign_ins_of_one_visitor_do_not_count_for_another() -> None:
    client = set_up(Config(behind_proxy=True)).app.test_client()

    def sign_in(visitor: str, password: str) -> int:
        headers = {"X-Forwarded-For": visitor}
        return client.post("/api/auth/login", json={"password": password}, headers=headers).status_code

    assert [sign_in(f"203.0.113.7:{51000 + number}", "wrong one") for number in range(11)] == [403] * 10 + [429]
    assert sign_in("[2001:db8::1]:443", PASSWORD) == 200


@pytest.mark.parametrize("peer", ["::ffff:127.0.0.1", "::1", "127.8.8.8"])
def test_loopback_is_loopback_in_either_family(peer: str) -> None:
    environ = {"REMOTE_ADDR": peer, "HTTP_HOST": "localhost:5111"}
    assert origin.is_local(environ)
    assert addresses.is_loopback(peer)


@pytest.mark.parametrize(
    ("reached", "host"),
    [("::ffff:192.0.2.5", "192.0.2.5"), ("2001:db8::5", "[2001:DB8:0::5]"), ("fe80::5%eth0", "[fe80::5]")],
)
def test_own_address_is_known_in_either_family(reached: str, host: str) -> None:
    class Connection:
        def getsockname(self) -> tuple[str, int]:
            return (reached, 5111)

    client = create_app(Config(remote=True)).test_client()
    environ = {"gunicorn.socket": Connection()}
    answer = client.get("/api/auth/status", headers={"Host": f"{host}:5111"}, environ_overrides=environ)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/api/auth/login", "/claude/api/auth/login"])
def test_behind_a_declared_prefix_the_cookie_is_for_that_path_alone(path: str) -> None:
    """Whether the proxy takes the prefix off the path or only tells it."""
    app = set_up(Config(behind_proxy=True)).app
    for prefix, expected in (("/claude", "/claude/"), ("/tools/claude/", "/tools/claude/")):
        asked = path.replace("/claude/", prefix.rstrip("/") + "/", 1)
        headers = {"X-Forwarded-Prefix": prefix}
        answer = app.test_client().post(asked, json={"password": PASSWORD}, headers=headers)
        assert answer.status_code == 200
        assert f"Path={expected};" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "prefix", ["claude", "/", "//evil.example", "/a;Path=/", "/a/../b", "/a b", "/" + "a" * 900, "/a\r\nX: y"]
)
def test_a_prefix_that_is_none_is_not_believed(prefix: str) -> None:
    environ = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_PREFIX": prefix, "PATH_INFO": "/"}
    seen: list[str] = []

    def application(environ: dict[str, object], start_response: object) -> list[bytes]:
        seen.append(origin.base_path(environ))
        return []

    environ |= {"HTTP_HOST": "localhost", "REQUEST_METHOD": "GET"}
    list(origin.Gate(application, behind_proxy=True)(environ, lambda *_given: lambda _data: None))
    assert seen == ["/"]


def test_without_a_declared_proxy_nobody_chooses_the_cookies_path() -> None:
    headers = {"X-Forwarded-Prefix": "/claude"}
    dashboard = set_up()
    answer = dashboard.stranger().post("/api/auth/login", json={"password": PASSWORD}, headers=headers)
    assert "Path=/;" in answer.headers["Set-Cookie"]
    assert dashboard.stranger().get("/claude/healthz", headers=headers).status_code == 404
