"""The network as people have it: proxies, certificates, settings that name them, and what is said when they fail."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import ssl
import subprocess
import textwrap
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import certifi
import pytest
from conftest import Cli, assert_fails_cleanly, write_program
from network_places import Company, found_company, proxy
from running_dashboard import add, set_up
from test_floors import modules
from token_endpoint import TokenEndpoint, token_endpoint

from claude_accounts.claude import network, oauth, private_login, proxies, trust
from claude_accounts.claude.settings import Said
from claude_accounts.claude.variables import NETWORK_VARIABLES
from claude_accounts.dashboard import health
from claude_accounts.messages import AccountsError, EndpointFailed, InvalidInput

TOKEN = "sk-ant-ort01-" + "t" * 40
SECRET = "S3cret/with#odd?@%chars"


@pytest.fixture(autouse=True)
def no_network_of_this_machine(monkeypatch: pytest.MonkeyPatch, company: Company) -> None:
    """Take out what the machine that runs the tests has set for itself, and the hundreds whom everybody believes."""
    for name in NETWORK_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(certifi, "where", lambda: str(company.other))
    paths = ssl.get_default_verify_paths()._replace(openssl_capath="/none", openssl_cafile="/none")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr(trust, "_SYSTEM_FILES", ())


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """Return a company's own certificates."""
    return found_company(tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="module")
def shared_endpoint(company: Company) -> Iterator[TokenEndpoint]:
    """Serve a token endpoint by HTTPS, once for all tests, with the company's certificate."""
    with token_endpoint(company.server_context()) as state:
        yield state


@pytest.fixture
def secure(shared_endpoint: TokenEndpoint, company: Company, monkeypatch: pytest.MonkeyPatch) -> TokenEndpoint:
    """Return an endpoint that the program finds and believes."""
    monkeypatch.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", shared_endpoint.url)
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(company.authority))
    return shared_endpoint


def port_of(endpoint: TokenEndpoint) -> int:
    return int(endpoint.url.split(":")[2].split("/")[0])


def dead_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def write_settings(folder: Path, environment: Mapping[str, object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.json"
    path.write_text(json.dumps({"env": environment}))
    return path


def failure(token: str = TOKEN) -> AccountsError:
    """Return how a refresh fails, having seen that it tells nothing secret."""
    with pytest.raises(AccountsError) as caught:
        oauth.refresh(token)
    told = caught.value.message + caught.value.hint
    assert token not in told and SECRET not in told and "S3cret" not in told, told
    assert threading.current_thread() is threading.main_thread()
    return caught.value


# --- through a proxy


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_each_variable_that_names_a_proxy_is_followed(
    secure: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with proxy() as middle:
        monkeypatch.setenv(
            variable, f" 127.0.0.1:{middle.port} " if variable == "HTTPS_PROXY" else f"http://127.0.0.1:{middle.port}/"
        )
        assert oauth.refresh(secure.new_login()).access_token
        assert middle.seen == [f"localhost:{port_of(secure)}"]


@pytest.mark.parametrize(
    ("scheme", "login"),
    [("socks5", ""), ("socks5h", ""), ("SOCKS5H", f"me:{SECRET}"), ("socks", ""), ("socks5", "a:b")],
)
def test_socks_works_and_asks_the_proxy_for_names(
    secure: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, scheme: str, login: str
) -> None:
    with proxy("socks") as middle:
        middle.login = login
        middle.everywhere = port_of(secure)
        name = "localhost" if scheme == "socks5" else "tokens.example"
        monkeypatch.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", f"https://{name}/v1/oauth/token")
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://{login + '@' if login else ''}127.0.0.1:{middle.port}")
        assert oauth.refresh(secure.new_login()).access_token
        (seen,) = middle.seen
        assert seen == "tokens.example:443" if scheme != "socks5" else seen in ("127.0.0.1:443", "::1:443")
        assert middle.logins == ([login] if login else [])


@pytest.mark.parametrize("written", [f"me:{SECRET}", "me:S3cret%2Fwith%23odd%3F%40%25chars", "zo%C3%AB:€"])
def test_a_password_is_told_to_the_proxy_however_it_is_written(
    secure: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    with proxy() as middle:
        middle.login = "zoë:€" if "€" in written else f"me:{SECRET}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://{written}@127.0.0.1:{middle.port}")
        assert oauth.refresh(secure.new_login()).access_token
        assert "Proxy-Authorization" not in secure.headers[-1]


def test_a_proxy_may_be_spoken_to_by_https_or_have_an_ipv6_address(
    secure: TokenEndpoint, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy(tls=company.server_context()) as middle:
        monkeypatch.setenv("HTTPS_PROXY", f"https://localhost:{middle.port}")
        assert oauth.refresh(secure.new_login()).access_token and middle.seen
    if not socket.has_ipv6 or not proxies.is_host("::1"):
        return
    with proxy(host="::1") as middle:
        monkeypatch.setenv("HTTPS_PROXY", f"http://[::1]:{middle.port}")
        assert oauth.refresh(secure.new_login()).access_token and middle.seen


def test_what_is_in_clear_reaches_this_machine_alone(endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loopback address may be plain HTTP: a proxy elsewhere would read the token, one of this machine carries it."""
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:3128")
    assert oauth.refresh(endpoint.new_login()).access_token
    with proxy() as middle:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{middle.port}")
        assert oauth.refresh(endpoint.new_login()).access_token and middle.seen


@pytest.mark.parametrize(
    ("written", "address", "excepted"),
    [
        ("*", "platform.claude.com:443", True),
        ("claude.com", "platform.claude.com:443", True),
        (".claude.com", "platform.claude.com:443", True),
        ("*.claude.com", "platform.claude.com:443", True),
        ("*.claude.com", "claude.com:443", True),
        (".Claude.COM.", "platform.claude.com.:443", True),
        ("platform.*", "platform.claude.com:443", True),
        ("a.example platform.claude.com", "platform.claude.com:443", True),
        ("a.example, platform.claude.com ,", "platform.claude.com:443", True),
        ("a.example;platform.claude.com", "platform.claude.com:443", True),
        ("https://platform.claude.com/", "platform.claude.com:443", True),
        ("platform.claude.com:443", "platform.claude.com:443", True),
        ("platform.claude.com:8443", "platform.claude.com:443", False),
        ("laude.com", "platform.claude.com:443", False),
        ("claude.com.example", "platform.claude.com:443", False),
        (".", "platform.claude.com:443", False),
        ("", "platform.claude.com:443", False),
        ("10.0.0.0/8", "10.1.2.3:443", True),
        ("10.1.2.3/8", "10.200.0.1:443", True),
        ("10.0.0.0/8", "11.1.2.3:443", False),
        ("10.0.0.0/8", "platform.claude.com:443", False),
        ("10.0.0.0/99", "10.1.2.3:443", False),
        ("192.168.*", "192.168.7.7:443", True),
        ("127.0.0.1:8080", "127.0.0.1:443", False),
        ("::1", "[::1]:443", True),
        ("[::1]:443", "[::1]:443", True),
        ("[::1]:80", "[::1]:443", False),
        ("0:0:0:0:0:0:0:1", "[::1]:443", True),
        ("fd00::/8", "[fd12::5]:443", True),
        ("[fd00::]/8", "[fd12::5]:443", True),
        ("<local>", "intranet:443", True),
        ("<local>", "platform.claude.com:443", False),
    ],
)
def test_no_proxy_is_read_as_people_write_it(written: str, address: str, excepted: bool) -> None:
    host, _colon, port = address.rpartition(":")
    said = {"NO_PROXY": Said(written)}
    assert proxies.is_excepted(host, int(port), said) is excepted
    assert proxies.is_excepted(host, int(port), said | {"no_proxy": Said("else.example")}) is excepted


def test_what_no_proxy_names_is_asked_directly(secure: TokenEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{dead_port()}")
    monkeypatch.setenv("no_proxy", "10.0.0.0/8,localhost")
    assert oauth.refresh(secure.new_login()).access_token


# --- what is said of a proxy


@pytest.mark.parametrize(
    "value",
    [
        "http://",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://proxy:S3cret",
        "proxy:S3cret",
        "http://me:S3cret:3128",
        "http://me:S3cret://x@pro xy",
        '"http://me:S3cret@proxy:3128"',
        "http://127.0.0.1:0",
        "htp://127.0.0.1:3128",
        "http://me:S3cret",
        "http://me:S3cret@",
        "http://me:S3cret@two words:3128",
        "http://::1:3128",
        "http://a..b:3128",
        f"http://me:S3cret@{'a' * 80}.example:3128",
        '"http://127.0.0.1:3128"',
        "pac+http://127.0.0.1/proxy.pac",
        "http://me%3AS3cret%40127.0.0.1:3128",
        "http://S3cret%40proxy",
        "me:5ecre7:5ecre7",
        "http://abe:deadbeef",
        "http://abe:5ec2e7%40127.0.0.1:80",
        "http://proxy:3128,S3cret",
        "${PROXY}",
        "http=proxy:3128",
        "http://[::1]:99999",
    ],
)
def test_a_malformed_proxy_is_named_with_its_value(
    secure: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    told = failure()
    assert told.message.startswith("HTTPS_PROXY=") and "no address of a proxy" in told.message
    assert "HTTPS_PROXY" in told.hint
    if not any(secret in value for secret in ("S3cret", ":port", "5ec", "deadbeef", "=proxy:")):
        assert value in told.message
    assert not any(secret in told.message for secret in ("S3cret", "5ec", "deadbeef"))


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_a_dead_proxy_is_named(
    secure: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, scheme: str, variable: str
) -> None:
    port = dead_port()
    monkeypatch.setenv(variable, f"{scheme}://me:{SECRET}@127.0.0.1:{port}")
    told = failure()
    assert told.message == (
        f"{variable}={scheme}://***@127.0.0.1:{port} cannot be used: no connection (Connection refused)"
    )
    assert told.hint == f"unset {variable}"


def test_a_proxy_of_the_settings_is_named_with_its_file(secure: TokenEndpoint, home: Path) -> None:
    path = write_settings(home / ".claude", {"HTTPS_PROXY": f"http://127.0.0.1:{dead_port()}"})
    told = failure()
    assert str(path) in told.message and "HTTPS_PROXY" in told.message
    assert told.hint == f"correct HTTPS_PROXY in {path}"


@pytest.mark.parametrize("login", ["", f"me:{SECRET}@"])
@pytest.mark.parametrize("clear", [False, True])
def test_a_proxy_that_wants_another_password_says_so(
    secure: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, login: str, clear: bool
) -> None:
    if clear:
        monkeypatch.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", f"http://127.0.0.1:{dead_port()}/")
    with proxy() as middle:
        middle.login = "other:one"
        monkeypatch.setenv("http_proxy", f"http://{login}127.0.0.1:{middle.port}")
        told = failure()
        assert "http_proxy=" in told.message and "password (407)" in told.message
        assert told.hint == f"export http_proxy=http://NAME:PASSWORD@127.0.0.1:{middle.port}"


@pytest.mark.parametrize("login", ["", "me:wrong@"])
def test_a_socks_proxy_that_wants_another_password_says_so(
    secure: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    with proxy("socks") as middle:
        middle.login = "other:one"
        monkeypatch.setenv("ALL_PROXY", f"socks5h://{login}127.0.0.1:{middle.port}")
        told = failure()
        assert "ALL_PROXY=" in told.message and "name and password" in told.message and "NAME:PASSWORD@" in told.hint


PAGE = b"<!DOCTYPE html><html><title>Blocked</title></html>"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
FORBIDDEN = FORBIDDEN % len(PAGE) + PAGE


@pytest.mark.parametrize(
    ("kind", "scheme", "answer", "words"),
    [
        ("http", "http", FORBIDDEN, "refuses the way to localhost (HTTP 403)"),
        ("http", "http", b"SSH-2.0-OpenSSH_9.2\r\n", "cannot be used"),
        ("http", "https", b"", "speaks no HTTPS itself"),
        ("http", "socks5h", b"", "speaks no SOCKS"),
        ("socks", "http", b"", "cannot be used"),
    ],
)
def test_a_proxy_that_does_not_do_its_work_is_named(
    secure: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, kind: str, scheme: str, answer: bytes, words: str
) -> None:
    with proxy(kind) as middle:
        middle.answer = answer
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{middle.port}")
        told = failure()
        assert "HTTPS_PROXY=" in told.message + told.hint and words in told.message, told.message


@pytest.mark.parametrize("login", ["", f"me:{SECRET}@"])
def test_a_proxy_that_speaks_no_https_itself_is_told_with_what_to_write(
    secure: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    with proxy() as middle:
        monkeypatch.setenv("HTTPS_PROXY", f"https://{login}127.0.0.1:{middle.port}")
        told = failure()
    written = f"http://NAME:PASSWORD@127.0.0.1:{middle.port}" if login else f"http://127.0.0.1:{middle.port}"
    assert "it speaks no HTTPS itself" in told.message and told.hint == f"export HTTPS_PROXY={written}"


def test_a_server_that_a_proxy_does_not_find_is_told_apart(
    secure: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy("socks") as middle:
        middle.everywhere = dead_port()
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{middle.port}")
        assert "finds no way to localhost" in failure().message


@pytest.mark.parametrize("status", [b"200 OK", b"403 Forbidden", b"502 Bad Gateway"])
def test_a_web_page_in_the_endpoints_place_is_told_with_the_way_it_came(
    endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, status: bytes
) -> None:
    with proxy() as middle:
        middle.answer = FORBIDDEN.replace(b"403 Forbidden", status)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{middle.port}")
        told = failure()
        assert f"a web page came in place of the token endpoint's answer (HTTP {int(status[:3])})" in told.message
        assert "http_proxy=" in told.hint


# --- certificates


@pytest.mark.parametrize(
    ("variable", "place"),
    [
        ("NODE_EXTRA_CA_CERTS", "environment"),
        ("SSL_CERT_FILE", "environment"),
        ("SSL_CERT_DIR", "environment"),
        ("REQUESTS_CA_BUNDLE", "environment"),
        ("CURL_CA_BUNDLE", "environment"),
        ("NODE_EXTRA_CA_CERTS", "settings"),
        ("SSL_CERT_DIR", "settings"),
        ("SSL_CERT_FILE", "CLAUDE_CONFIG_DIR"),
    ],
)
def test_a_companys_certificate_is_believed_wherever_it_is_named(
    secure: TokenEndpoint,
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    tmp_path: Path,
    variable: str,
    place: str,
) -> None:
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS")
    value = str(company.authority)
    if variable == "SSL_CERT_DIR":
        value = f"{tmp_path / 'none'}:{hashed_folder(company, tmp_path)}"
    if place == "environment":
        monkeypatch.setenv(variable, value)
    else:
        folder = home / ".claude" if place == "settings" else tmp_path / "configuration"
        write_settings(folder, {variable: value})
        if place == "CLAUDE_CONFIG_DIR":
            monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(folder))
    assert oauth.refresh(secure.new_login()).access_token


def hashed_folder(company: Company, tmp_path: Path) -> Path:
    """Return a folder of certificates as OpenSSL reads it."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    command = ["openssl", "x509", "-noout", "-hash", "-in", str(company.authority)]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (folder / f"{name}.0").write_bytes(company.authority.read_bytes())
    return folder


def test_the_certificates_of_the_system_are_believed_as_claude_code_does(
    secure: TokenEndpoint, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS")
    monkeypatch.setattr(trust, "_SYSTEM_FILES", (str(company.authority),))
    assert oauth.refresh(secure.new_login()).access_token
    monkeypatch.setenv("CLAUDE_CODE_CERT_STORE", "bundled")
    assert "certificate is not trusted" in failure().message


@pytest.mark.parametrize("variable", ["NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"])
def test_a_companys_certificate_is_found_in_a_file_as_people_make_them(
    secure: TokenEndpoint, company: Company, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    wanted, other = company.authority.read_text(), company.other.read_text()
    damaged = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n"
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS")
    path = tmp_path / "bundle.crt"
    monkeypatch.setenv(variable, str(path))
    for content in (
        (damaged + wanted).encode(),
        (other + damaged + wanted).encode(),
        (wanted + damaged).encode(),
        (other.rstrip() + wanted).encode(),
        textwrap.indent(wanted, "  ").encode(),
        wanted.encode("utf-16"),
        ssl.PEM_cert_to_DER_cert(wanted),
    ):
        path.write_bytes(content)
        assert oauth.refresh(secure.new_login()).access_token, content[:60]
    path.write_bytes((other + damaged).encode())
    told = failure()
    assert variable in told.hint and "damaged" in told.hint
    with monkeypatch.context() as patched:
        patched.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", f"https://localhost:{dead_port()}/")
        assert "damaged" not in failure().hint, "it is not to blame for what is no matter of certificates"
    path.write_text(damaged)
    assert "there is no certificate in it" in failure().message + failure().hint


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), ("", "there is no certificate in it"), ("hello", "there is no certificate in it")],
)
def test_a_bundle_that_is_gone_or_none_is_named(
    secure: TokenEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    content: str | None,
    words: str,
) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(variable, str(path))
    told = failure()
    assert told.message.startswith(f"{variable}={path} cannot be used: {words}")
    assert told.hint == f"unset {variable}"
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert "it is not a plain file" in failure().message, "nobody waits at a pipe"


@pytest.mark.parametrize("variable", ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_missing_file_that_claude_code_goes_on_without_is_named_only_when_it_is_missed(
    secure: TokenEndpoint, company: Company, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS")
    monkeypatch.setenv(variable, "/gone/ca.pem")
    told = failure()
    assert f"{variable}=/gone/ca.pem" in told.hint and "No such file" in told.hint
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(company.authority))
    assert oauth.refresh(secure.new_login()).access_token


def test_a_certificate_that_nobody_vouches_for_names_the_variable_to_set(
    secure: TokenEndpoint, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS")
    assert "export NODE_EXTRA_CA_CERTS=" in failure().hint
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(company.other))
    assert failure().hint == f"NODE_EXTRA_CA_CERTS={company.other} does not hold the certificate that signed it"
    # The server's own certificate does as well as its authority's.
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(company.certificate))
    assert oauth.refresh(secure.new_login()).access_token
    # Nor does anything turn the check off.
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS")
    monkeypatch.setenv("NODE_TLS_REJECT_UNAUTHORIZED", "0")
    assert "certificate is not trusted" in failure().message


def test_a_name_that_a_certificate_does_not_have_is_told(
    company: Company, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = found_company(tmp_path, names="DNS:elsewhere.example")
    with token_endpoint(other.server_context()) as state:
        monkeypatch.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", state.url)
        monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(other.authority))
        assert "another server answers in its place" in failure().message


def test_our_own_certificate_is_shown_to_who_asks_for_one(
    company: Company, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context = company.server_context()
    context.load_verify_locations(company.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(company.authority))
    with token_endpoint(context) as state:
        monkeypatch.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", state.url)
        # Whether its reason arrives before it hangs up is chance.
        assert re.search("CLAUDE_CODE_CLIENT_CERT|no secure connection|no connection", failure().message)
        monkeypatch.setenv("CLAUDE_CODE_CLIENT_CERT", str(company.certificate))
        assert failure().message.startswith("CLAUDE_CODE_CLIENT_CERT=")
        monkeypatch.setenv("CLAUDE_CODE_CLIENT_KEY", str(tmp_path / "gone.key"))
        assert failure().message.startswith(f"CLAUDE_CODE_CLIENT_KEY={tmp_path}/gone.key cannot be used: No such file")
        monkeypatch.setenv("CLAUDE_CODE_CLIENT_KEY", str(company.key))
        assert oauth.refresh(state.new_login()).access_token


# --- the settings and the environment


def test_settings_win_over_the_environment_and_a_repositorys_own_are_not_asked(
    secure: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    write_settings(project / ".claude", {"HTTPS_PROXY": "http://127.0.0.1:9", "NODE_EXTRA_CA_CERTS": "/theirs.pem"})
    monkeypatch.chdir(project)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{dead_port()}")
    with proxy() as middle:
        write_settings(home / ".claude", {"HTTPS_PROXY": f"http://127.0.0.1:{middle.port}"})
        assert oauth.refresh(secure.new_login()).access_token and middle.seen
    write_settings(home / ".claude", {"HTTPS_PROXY": ""})
    assert oauth.refresh(secure.new_login()).access_token


def test_settings_that_cannot_be_read_are_named_when_the_way_fails(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", f"http://127.0.0.1:{dead_port()}/")
    path = write_settings(home / ".claude", {})
    path.write_text('{"env": {"HTTPS_PROXY": "http://proxy:3128",}}')
    told = failure()
    assert "no connection" in told.message and str(path) in told.hint


def test_a_private_sign_in_takes_the_settings_of_the_network_along_and_no_others(
    cli: Cli, program_folder: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the command line; the page starts it with the same environment."""
    along = {"HTTPS_PROXY": "http://me:pw@proxy:3128", "NODE_EXTRA_CA_CERTS": "/ca.pem", "NO_PROXY": "localhost"}
    write_settings(home / ".claude", along | {"ANTHROPIC_API_KEY": "sk-ant-api03-x", "EDITOR": "vi"})
    seen = tmp_path / "seen"
    write_program(program_folder / "claude", f'#!/bin/bash\n[ "$1" != auth ] || env > {seen}\nexit 1\n')
    assert_fails_cleanly(cli("login", "work", "--new", env={"HTTPS_PROXY": "http://old:1"}), "no login was made")
    lines = seen.read_text().splitlines()
    assert {f"{name}={value}" for name, value in along.items()} <= set(lines)
    assert not any(line.startswith(("ANTHROPIC_API_KEY=", "EDITOR=vi")) for line in lines)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / ".claude"))
    assert private_login.environment({"HOME": str(home)}, "/private") == along | {
        "HOME": str(home),
        "CLAUDE_CONFIG_DIR": "/private",
    }


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ({"all_proxy": "http://proxy:1"}, "http://proxy:1"),
        ({"ALL_PROXY": "http://proxy:1", "HTTP_PROXY": "http://other:2"}, None),
        ({"ALL_PROXY": "socks5h://proxy:1"}, None),
        ({}, None),
    ],
)
def test_a_private_sign_in_gets_all_proxy_under_the_name_that_claude_follows(
    said: dict[str, str], given: str | None
) -> None:
    assert private_login.environment(said, "/private").get("HTTPS_PROXY") == given


# --- the address that is asked


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("https://gateway.example/v1", True),
        ("http://localhost:4000", True),
        ("http://[::1]:4000", True),
        ("http://gateway.example", False),
        ("http://127.0.0.1.example.com/", False),
        ("ftp://localhost/", False),
        ("//localhost", False),
        ("https:///path", False),
        ("https://[::1", False),
    ],
)
def test_a_secret_goes_by_https_or_stays_on_this_machine(address: str, may: bool) -> None:
    assert network.may_carry_a_secret(address) is may


@pytest.mark.parametrize(
    "address",
    [
        "https://a..b/t",
        f"https://{'a' * 80}.example/t",
        "https://localhost:99999/t",
        "https://local host/t",
        "https://[::1/t",
        "https://me:S3cret@a..b/t",
    ],
)
def test_a_malformed_endpoint_is_told_at_once(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", address)
    monkeypatch.setattr(threading.Thread, "start", lambda _thread: pytest.fail("nothing goes out"))
    told = failure()
    assert isinstance(told, (InvalidInput, EndpointFailed))
    assert address.replace("me:S3cret@", "***@") in told.message and "S3cret" not in told.message + told.hint


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:S3cret@host:8443/v1", "https://***@host:8443/v1"),
        ("me:S3cret@host", "***@host"),
        ("https://me:S3cret", "https://me:***"),
        ("https://me%3AS3cret%40host/v1", "https://***@host/v1"),
        ("https://host:8443/v1?key=S3cret", "https://host:8443/v1?***"),
        ("https://host/v1?key=a@S3cret", "https://***@***"),
        ("https://me:a?S3cret@host", "https://***@***"),
        ("https://host:8443/v1/token", "https://host:8443/v1/token"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1/"),
        ("http://[::1]:1/x", "http://[::1]:1/x"),
        ("localhost:1", "localhost:1"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(address: str, shown: str) -> None:
    assert network.without_login(address) == shown


@pytest.mark.parametrize("address", ["", "localhost", "file:///etc/passwd", "https://", "https://a b/"])
def test_no_other_address_goes_out_either(address: str) -> None:
    with pytest.raises(EndpointFailed, match="no address"):
        network.request("GET", address, what="the server")


@pytest.mark.parametrize(
    "environment",
    [
        {"REQUESTS_CA_BUNDLE": "/gone.pem"},
        {"HTTPS_PROXY": "http://me:S3cret@[nonsense"},
        {"CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL": "https://a..b/t"},
    ],
)
def test_the_command_line_says_it_in_one_line(cli: Cli, environment: dict[str, str]) -> None:
    entry = {"name": "oo", "auth_type": "oauth", "access_token": "sk-ant-oat01-a", "refresh_token": TOKEN}
    imported = cli("import", "-", stdin=json.dumps([entry | {"expires_at": 1}]))
    assert imported.returncode == 0, imported
    finished = cli("refresh", "oo", env=environment)
    ((name, value),) = environment.items()
    assert_fails_cleanly(finished, f"{name}=")
    assert "S3cret" not in finished.stderr
    assert len(finished.stderr.splitlines()) == 2, finished.stderr


@pytest.mark.parametrize(("variable", "value"), [("CURL_CA_BUNDLE", "/gone.pem"), ("all_proxy", "socks5://a..b")])
def test_the_page_is_told_it_too(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    client = set_up().client
    tokens = {"access_token": "sk-ant-oat01-a", "refresh_token": TOKEN, "expires_at": 1}
    account_id = add(client, "oo", auth_type="oauth", **tokens)
    monkeypatch.setenv(variable, value)
    answer = client.post(f"/api/accounts/{account_id}/refresh-oauth")
    assert answer.status_code == 502
    assert f"{variable}={value}" in answer.get_json()["error"] and variable in answer.get_json()["hint"]


def test_there_is_one_way_out() -> None:
    """No other module speaks HTTP as a client, so that no request goes another way than this."""
    found = set()
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(
                re.match(r"(requests|urllib3|urllib\.request|http\.client|socks)\b", imported) for imported in names
            ):
                found.add(name)
    # The second asks ourselves, the third asks macOS.
    assert found == {"claude.network", "dashboard.health", "claude.proxies"}


# --- our own address


def test_our_own_address_is_asked_without_proxy_and_without_vouching(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{dead_port()}")
    for context in (None, company.server_context()):
        with token_endpoint(context) as state:
            # It knows no GET: answered, and not well.
            assert health.answers(port_of(state)) is False
            state.healthy = True
            assert health.answers(port_of(state)) is True
    assert health.answers(dead_port()) is False
