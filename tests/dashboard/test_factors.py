"""The second factors, as the page and programs use them, with real codes and real signatures."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from cryptography.hazmat.primitives.asymmetric import ec
from factor_tools import HERE, App, Authenticator, Page, add_passkey, let_codes_be_fresh, set_up_app, text
from running_dashboard import PASSWORD, Dashboard, serving, set_up
from warm import DEADLINE

from claude_accounts.accounts import storage
from claude_accounts.dashboard import attempts, factors, sign_in
from claude_accounts.dashboard.api import Config

FACTOR = "/api/auth/login/factor"
ELSEWHERE = "http://dash.example.org"


pytestmark = pytest.mark.usefixtures("cheap_hash")


@pytest.fixture
def dashboard() -> Dashboard:
    """Return a dashboard that has been set up, known by another name too."""
    return set_up(Config(trusted_hosts=("dash.example.org",)))


@pytest.fixture
def page(dashboard: Dashboard) -> Page:
    """Return a page that is signed in."""
    page = Page(dashboard.app)
    page.sign_in()
    return page


def pending(page: Page) -> Any:
    """Show the password at a page, and return the answer that asks for more."""
    return page.sign_in(status=401)


# An authenticator app


def test_code_is_asked_of_browsers_and_programs_once_an_app_is_set_up(dashboard: Dashboard, page: Page) -> None:
    app, codes = set_up_app(page)
    assert len(set(codes)) == 10
    program = dashboard.stranger()
    answer = program.post("/api/auth/login", json={"password": PASSWORD})
    asked = answer.get_json()
    assert answer.status_code == 401 and asked["second_factor"] == ["totp", "recovery_code"] and asked["hint"]
    assert "Set-Cookie" not in answer.headers
    assert program.get("/api/accounts").status_code == 401
    answer = program.post(FACTOR, json={"pending": asked["pending"], "totp": app.code()})
    assert answer.status_code == 200 and "page_secret" not in answer.get_json()
    assert program.get("/api/accounts").status_code == 200
    let_codes_be_fresh()
    other = Page(dashboard.app)
    assert other("POST", FACTOR, {"pending": pending(other)["pending"], "totp": app.code()})["page_secret"]
    other("GET", "/api/accounts")


def test_wrong_password_tells_nothing_of_factors(dashboard: Dashboard, page: Page) -> None:
    set_up_app(page)
    refused = Page(dashboard.app).sign_in("not the password", status=403)
    assert set(refused) == {"error", "hint", "field"}


def test_curl_is_asked_too(dashboard: Dashboard, page: Page, tmp_path: Path) -> None:
    app, _codes = set_up_app(page)
    jar = str(tmp_path / "jar")

    def curl(path: str, *words: str, body: object = None) -> tuple[int, Any]:
        given = ["-H", "Content-Type: application/json", "--data-binary", json.dumps(body)] if body else []
        line = ["curl", "-sS", "-b", jar, "-c", jar, "-w", "\n%{http_code}", *given, *words, url + path]
        done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=DEADLINE)
        answer, _newline, status = done.stdout.rpartition("\n")
        return int(status), json.loads(answer)

    with serving(dashboard.app) as url:
        status, asked = curl("/api/auth/login", body={"password": PASSWORD})
        assert status == 401 and curl("/api/accounts")[0] == 401
        assert curl(FACTOR, body={"pending": asked["pending"], "totp": app.code()})[0] == 200
        assert curl("/api/accounts")[0] == 200


def test_code_is_good_once_and_so_is_the_one_that_switched_it_on(dashboard: Dashboard, page: Page) -> None:
    page.prove()
    app = App(page("POST", "/api/auth/factors/totp")["secret"])
    code = app.code()
    page("POST", "/api/auth/factors/totp/confirm", {"code": code})
    other = Page(dashboard.app)
    waiting = pending(other)["pending"]
    assert other("POST", FACTOR, {"pending": waiting, "totp": code}, status=403)["field"] == "totp"
    let_codes_be_fresh()
    code = app.code()
    other("POST", FACTOR, {"pending": waiting, "totp": code})
    waiting = pending(other)["pending"]
    other("POST", FACTOR, {"pending": waiting, "totp": code}, status=403)
    # An earlier one is good no longer either.
    other("POST", FACTOR, {"pending": waiting, "totp": app.code(-1)}, status=403)


@pytest.mark.parametrize(("steps", "status"), [(-1, 200), (0, 200), (1, 200), (-2, 403), (3, 403)])
def test_clocks_may_differ_by_one_step(dashboard: Dashboard, page: Page, steps: int, status: int) -> None:
    app, _codes = set_up_app(page)
    other = Page(dashboard.app)
    other("POST", FACTOR, {"pending": pending(other)["pending"], "totp": app.code(steps)}, status=status)


def test_app_is_set_up_only_with_a_code_of_it(page: Page) -> None:
    page.prove()
    page("POST", "/api/auth/factors/totp/confirm", {"code": "123456"}, status=409)
    offered = page("POST", "/api/auth/factors/totp")
    assert offered["uri"].startswith("otpauth://totp/") and offered["picture"].startswith("data:image/svg+xml")
    app = App(offered["secret"])
    for code in (app.wrong(), "", "abc", "１２３４５６", "1" * 5000):
        assert page("POST", "/api/auth/factors/totp/confirm", {"code": code}, status=400)["field"] == "code"
    assert not factors.are_set()
    spaced = app.code()
    page("POST", "/api/auth/factors/totp/confirm", {"code": f" {spaced[:3]} {spaced[3:]} "})
    assert page("GET", "/api/auth/factors")["totp_since"]


def test_secret_of_the_app_is_in_no_file_in_clear(page: Page) -> None:
    app, codes = set_up_app(page)
    stored = b"".join(path.read_bytes() for path in Path(storage.database_path()).parent.glob("accounts.db*"))
    for secret in (app.secret, *codes):
        assert secret.encode() not in stored


# Recovery codes


def test_recovery_code_signs_in_once_however_it_is_typed(dashboard: Dashboard, page: Page) -> None:
    _app, codes = set_up_app(page)
    for code, left in ((codes[0], 9), (codes[1].lower().replace("-", " "), 8)):
        other = Page(dashboard.app)
        waiting = pending(other)["pending"]
        assert other("POST", FACTOR, {"pending": waiting, "recovery_code": code})["recovery_left"] == left
        waiting = pending(other)["pending"]
        refused = other("POST", FACTOR, {"pending": waiting, "recovery_code": code}, status=403)
        assert refused["field"] == "recovery_code"


def test_new_recovery_codes_end_the_old_ones(dashboard: Dashboard, page: Page) -> None:
    _app, old = set_up_app(page)
    page("POST", "/api/auth/factors/recovery-codes", status=403)
    page.prove()
    new = page("POST", "/api/auth/factors/recovery-codes")["recovery_codes"]
    assert not set(old) & set(new)
    other = Page(dashboard.app)
    other("POST", FACTOR, {"pending": pending(other)["pending"], "recovery_code": old[0]}, status=403)
    other("POST", FACTOR, {"pending": pending(other)["pending"], "recovery_code": new[0]})


def test_there_are_no_recovery_codes_without_a_factor(page: Page) -> None:
    page.prove()
    page("POST", "/api/auth/factors/recovery-codes", status=409)
    set_up_app(page)
    page.prove()
    page("DELETE", "/api/auth/factors/totp")
    assert page("GET", "/api/auth/factors") == {"totp_since": 0, "passkeys": [], "recovery_left": 0}
    page.prove()
    page("DELETE", "/api/auth/factors/totp", status=404)
    page.sign_in()


# What whoever has the password may try


def test_five_tries_end_a_sign_in_that_waits(dashboard: Dashboard, page: Page) -> None:
    app, codes = set_up_app(page)
    other = Page(dashboard.app)
    waiting = pending(other)["pending"]
    for _try in range(5):
        other("POST", FACTOR, {"pending": waiting, "totp": app.wrong()}, status=403)
    assert other("POST", FACTOR, {"pending": waiting, "recovery_code": codes[0]}, status=401)["hint"]
    other("POST", FACTOR, {"pending": pending(other)["pending"], "totp": app.code()})


def test_wrong_codes_count_as_wrong_passwords_do(dashboard: Dashboard, page: Page) -> None:
    app, codes = set_up_app(page)
    other = Page(dashboard.app)
    for _round in range(2):
        waiting = pending(other)["pending"]
        for _try in range(4):
            other("POST", FACTOR, {"pending": waiting, "recovery_code": "AAAA-AAAA-AAAA"}, status=403)
    answer = other.ask("POST", FACTOR, {"pending": waiting, "recovery_code": codes[0]})
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0
    other.sign_in(status=429)
    # Whoever is signed in goes on.
    page("GET", "/api/accounts")


def test_codes_from_everywhere_share_one_count_and_recovery_codes_go_on() -> None:
    dashboard = set_up(Config(behind_proxy=True))
    page = Page(dashboard.app)
    page.sign_in()
    app, codes = set_up_app(page)

    def come(number: int, given: dict[str, str], status: int) -> None:
        stranger = Page(dashboard.app)
        place = {"X_Forwarded_For": f"203.0.113.{number}"}
        waiting = stranger("POST", "/api/auth/login", {"password": PASSWORD}, status=401, **place)["pending"]
        stranger("POST", FACTOR, {"pending": waiting, **given}, status=status, **place)

    for number in range(attempts.ATTEMPTS):
        come(number, {"totp": app.wrong()}, 403)
    come(100, {"totp": app.code()}, 429)
    come(101, {"recovery_code": codes[0]}, 200)


def test_strangers_push_out_nobody_elses_sign_in() -> None:
    set_up()
    sign_ins = factors.SignIns()
    mark = sign_in.password_mark()
    known = sign_ins.begin("203.0.113.1", mark)
    alone = sign_ins.begin("203.0.113.1", mark, alone=True)
    for _one in range(1000):
        sign_ins.begin("203.0.113.9", mark, alone=True)
    sign_ins.find(known)
    sign_ins.find(alone)
    for number in range(1000):
        sign_ins.begin(f"2001:db8:{number:x}::/64", mark, alone=True)
    sign_ins.find(known)
    with pytest.raises(factors.SignInExpired):
        sign_ins.find(alone)
    assert len(sign_ins._waiting) <= 201


def test_another_password_ends_sign_ins_that_wait(dashboard: Dashboard, page: Page) -> None:
    app, _codes = set_up_app(page)
    other = Page(dashboard.app)
    waiting = pending(other)["pending"]
    page("POST", "/api/auth/change-password", {"old_password": PASSWORD, "new_password": "eight dry owls sing"})
    other("POST", FACTOR, {"pending": waiting, "totp": app.code()}, status=401)
    page("GET", "/api/auth/factors")


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 400),
        ({"pending": "x"}, 401),
        ({"pending": "x", "totp": "123456"}, 401),
        ({"pending": 7}, 400),
        ({"pending": "x", "passkey": "text"}, 400),
        ({"pending": "x" * 9000}, 413),
    ],
)
def test_second_step_takes_nothing_else(dashboard: Dashboard, given: object, status: int) -> None:
    Page(dashboard.app)("POST", FACTOR, given, status=status)


def test_second_step_takes_one_way_at_a_time(dashboard: Dashboard, page: Page) -> None:
    app, codes = set_up_app(page)
    other = Page(dashboard.app)
    waiting = pending(other)["pending"]
    both = {"pending": waiting, "totp": app.code(), "recovery_code": codes[0]}
    assert other("POST", FACTOR, both, status=400)["field"] == "recovery_code"
    assert other("POST", FACTOR, {"pending": waiting}, status=400)["field"] == "totp"
    other("POST", FACTOR, {"pending": waiting, "passkey": {}}, status=403)
    other("POST", FACTOR, {"pending": waiting, "totp": app.code()})


# Passkeys


def test_passkey_is_the_second_step_alone_enough_and_the_proof(dashboard: Dashboard, page: Page) -> None:
    passkey = add_passkey(page)
    (listed,) = page("GET", "/api/auth/factors")["passkeys"]
    assert listed["name"] == "laptop" and listed["rp_id"] == "localhost" and listed["origin"] == HERE
    assert listed["id"] == text(passkey.id) and listed["last_used_at"] == 0
    other = Page(dashboard.app)
    asked = pending(other)
    assert asked["second_factor"] == ["passkey", "recovery_code"]
    question = other("POST", "/api/auth/login/passkey", {"pending": asked["pending"]})
    assert [key["id"] for key in question["options"]["allowCredentials"]] == [text(passkey.id)]
    # A second step need not know its user.
    answer = passkey.get(question["options"], verified=False)
    other("POST", FACTOR, {"pending": asked["pending"], "passkey": answer})
    alone = Page(dashboard.app)
    question = alone("POST", "/api/auth/login/passkey")
    assert not question["options"].get("allowCredentials") and question["options"]["userVerification"] == "required"
    alone("POST", FACTOR, {"pending": question["pending"], "passkey": passkey.get(question["options"])})
    alone("POST", "/api/auth/lock")
    alone("POST", "/api/export", status=403)
    options = alone("POST", "/api/auth/step-up/passkey")["options"]
    assert alone("POST", "/api/auth/step-up", {"passkey": passkey.get(options)})["unlocked_seconds"] == 600
    alone("POST", "/api/export")
    assert page("GET", "/api/auth/factors")["passkeys"][0]["last_used_at"] > 0
    assert page("GET", "/api/auth/status")["passkeys"] is True


def _wrong(name: str, passkey: Authenticator, options: dict[str, Any]) -> dict[str, Any]:
    if name == "origin":
        return passkey.get(options, "http://localhost:6000")
    if name == "rp_id":
        return passkey.get(options, rp_id="dash.example.org")
    if name == "challenge":
        return passkey.get(options, challenge=text(b"c" * 32))
    if name == "count":
        return passkey.get(options, step=0)
    if name == "not verified":
        return passkey.get(options, verified=False)
    if name == "signature":
        return passkey.get(options, key=ec.generate_private_key(ec.SECP256R1()))
    if name == "another's":
        return Authenticator().get(options)
    answer = passkey.get(options)
    del answer["response"]["signature"]
    return answer


@pytest.mark.parametrize(
    "what", ["origin", "rp_id", "challenge", "count", "not verified", "signature", "another's", "malformed"]
)
def test_passkey_that_says_something_else_is_refused(dashboard: Dashboard, page: Page, what: str) -> None:
    passkey = add_passkey(page, count=7)
    other = Page(dashboard.app)
    question = other("POST", "/api/auth/login/passkey")
    answer = _wrong(what, passkey, question["options"])
    refused = other("POST", FACTOR, {"pending": question["pending"], "passkey": answer}, status=403)
    assert refused["field"] == "passkey"
    page.prove()
    page("POST", "/api/auth/lock")
    answer = _wrong(what, passkey, page("POST", "/api/auth/step-up/passkey")["options"])
    page("POST", "/api/auth/step-up", {"passkey": answer}, status=403)
    page("POST", "/api/export", status=403)
    # The challenge is gone with the try.
    question = other("POST", "/api/auth/login/passkey")
    answer = _wrong(what, passkey, question["options"])
    other("POST", FACTOR, {"pending": question["pending"], "passkey": answer}, status=403)
    answer = passkey.get(question["options"])
    other("POST", FACTOR, {"pending": question["pending"], "passkey": answer}, status=403)


def test_answer_of_a_passkey_is_good_once(dashboard: Dashboard, page: Page) -> None:
    # A synced passkey counts nothing, so only the challenge tells.
    passkey = add_passkey(page)
    other = Page(dashboard.app)
    question = other("POST", "/api/auth/login/passkey")
    given = {"pending": question["pending"], "passkey": passkey.get(question["options"], step=0)}
    other("POST", FACTOR, given)
    other("POST", FACTOR, given, status=401)
    question = other("POST", "/api/auth/login/passkey")
    other("POST", FACTOR, given | {"pending": question["pending"]}, status=403)


def test_question_to_one_is_no_question_to_another(dashboard: Dashboard, page: Page) -> None:
    passkey = add_passkey(page)
    other = Page(dashboard.app)
    question = other("POST", "/api/auth/login/passkey")
    answer = passkey.get(question["options"])
    page("POST", "/api/auth/step-up", {"passkey": answer}, status=403)
    mine = Page(dashboard.app)("POST", "/api/auth/login/passkey")
    other("POST", FACTOR, {"pending": mine["pending"], "passkey": answer}, status=403)


def test_new_passkey_is_kept_only_as_the_answer_to_its_question(page: Page) -> None:
    page.prove()
    passkey = Authenticator()
    for origin, rp_id in (("http://localhost:6000", ""), (HERE, "dash.example.org")):
        options = page("POST", "/api/auth/factors/passkeys/options")["options"]
        given = {"name": "laptop", "passkey": passkey.create(options, origin, rp_id)}
        page("POST", "/api/auth/factors/passkeys", given, status=403)
    given = {"name": "laptop", "passkey": passkey.create(options)}
    page("POST", "/api/auth/factors/passkeys", given, status=403)
    options = page("POST", "/api/auth/factors/passkeys/options")["options"]
    given = {"name": " ", "passkey": passkey.create(options)}
    assert page("POST", "/api/auth/factors/passkeys", given, status=400)["field"] == "name"
    assert not factors.are_set()
    passkey = add_passkey(page)
    page.prove()
    options = page("POST", "/api/auth/factors/passkeys/options")["options"]
    assert [key["id"] for key in options["excludeCredentials"]] == [text(passkey.id)]
    page("POST", "/api/auth/factors/passkeys", {"name": "twice", "passkey": passkey.create(options)}, status=409)


def test_passkey_belongs_to_one_name_and_is_offered_under_no_other(dashboard: Dashboard, page: Page) -> None:
    passkey = add_passkey(page)
    there = Page(dashboard.app, ELSEWHERE)
    assert pending(there)["second_factor"] == ["recovery_code"]
    question = there("POST", "/api/auth/login/passkey")
    for origin, rp_id in ((HERE, "localhost"), (ELSEWHERE, "localhost"), (ELSEWHERE, "dash.example.org")):
        answer = passkey.get(question["options"], origin, rp_id)
        there("POST", FACTOR, {"pending": question["pending"], "passkey": answer}, status=403)


@pytest.mark.parametrize("origin", ["http://127.0.0.1", "http://[::1]"])
def test_address_has_no_passkeys_and_the_rest_works(dashboard: Dashboard, origin: str) -> None:
    page = Page(dashboard.app, origin)
    page.sign_in()
    page("POST", "/api/auth/factors/passkeys/options", status=409)
    page("POST", "/api/auth/login/passkey", status=409)
    set_up_app(page)
    assert pending(Page(dashboard.app, origin))["second_factor"] == ["totp", "recovery_code"]


def test_program_is_not_offered_passkeys(dashboard: Dashboard, page: Page) -> None:
    add_passkey(page)
    answer = dashboard.stranger().post("/api/auth/login", json={"password": PASSWORD})
    assert answer.get_json()["second_factor"] == ["recovery_code"]


# Changes of factors


CHANGES = [
    ("POST", "/api/auth/factors/totp", None),
    ("POST", "/api/auth/factors/totp/confirm", {"code": "123456"}),
    ("DELETE", "/api/auth/factors/totp", None),
    ("POST", "/api/auth/factors/passkeys/options", None),
    ("POST", "/api/auth/factors/passkeys", {"name": "x", "passkey": {}}),
    ("DELETE", "/api/auth/factors/passkeys/x", None),
    ("POST", "/api/auth/factors/recovery-codes", None),
    ("POST", "/api/auth/tokens", {"name": "x", "scope": "read"}),
    ("DELETE", "/api/auth/tokens/1", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_change_of_what_signs_in_asks_for_a_proof(page: Page, method: str, path: str, body: object) -> None:
    page("POST", "/api/auth/lock")
    assert page(method, path, body, status=403)["step_up"] is True


def test_change_of_factors_ends_every_proof(dashboard: Dashboard, page: Page) -> None:
    other = Page(dashboard.app)
    other.sign_in()
    set_up_app(page)
    for each in (page, other):
        assert each("POST", "/api/export", status=403)["step_up"] is True
        assert each("GET", "/api/auth/status")["unlocked_seconds"] == 0


@pytest.mark.parametrize("way", ["totp", "recovery_code"])
def test_code_is_a_proof_too(page: Page, way: str) -> None:
    app, codes = set_up_app(page)
    page("POST", "/api/export", status=403)
    page("POST", "/api/auth/step-up", {way: app.wrong()}, status=403)
    page("POST", "/api/auth/step-up", {}, status=400)
    page("POST", "/api/auth/step-up", {way: app.code() if way == "totp" else codes[0]})
    page("POST", "/api/export")


def test_removed_passkey_opens_nothing(dashboard: Dashboard, page: Page) -> None:
    passkey, other = add_passkey(page), add_passkey(page, "phone")
    page.prove()
    page("DELETE", f"/api/auth/factors/passkeys/{text(passkey.id)}")
    stranger = Page(dashboard.app)
    question = stranger("POST", "/api/auth/login/passkey")
    given = {"pending": question["pending"], "passkey": passkey.get(question["options"])}
    stranger("POST", FACTOR, given, status=403)
    question = stranger("POST", "/api/auth/login/passkey")
    stranger("POST", FACTOR, {"pending": question["pending"], "passkey": other.get(question["options"])})


# Everything lost


def test_owner_who_lost_everything_resets_on_the_machine(dashboard: Dashboard, page: Page, cli: Cli) -> None:
    set_up_app(page)
    add_passkey(page)
    refused = cli("dashboard", "reset-factors")
    assert refused.returncode == 1 and "--yes" in refused.stderr and factors.are_set()
    assert cli("dashboard", "reset-factors", "--yes").returncode == 0
    # The running server sees it at once, and whoever had signed in is out.
    page("GET", "/api/accounts", status=401)
    page.sign_in()
    assert page("GET", "/api/auth/factors") == {"totp_since": 0, "passkeys": [], "recovery_left": 0}
    assert dashboard.stranger().get("/api/accounts", headers={"X-Auth-Token": dashboard.token}).status_code == 200


def test_reset_of_the_password_leaves_the_factors(dashboard: Dashboard, page: Page, cli: Cli) -> None:
    app, _codes = set_up_app(page)
    assert cli("dashboard", "reset-password", "--yes").returncode == 0
    new = {"password": "eight dry owls sing"}
    assert dashboard.stranger().post("/api/auth/setup", json=new).status_code == 201
    other = Page(dashboard.app)
    waiting = other("POST", "/api/auth/login", new, status=401)["pending"]
    other("POST", FACTOR, {"pending": waiting, "totp": app.code()})
