"""Claims of every account in every situation with the real client: what arrives is its credential and nothing else."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bench import DURABLE, INJECTED, KEY, KINDS, TOKEN, Bench, MakeBench, key, last_twenty
from hostile import PROVIDERS, RIVAL_ENVIRONMENT, hostile_settings
from real_clients import VERSIONS

pytest_plugins = ["client_fixtures"]

every_kind = pytest.mark.parametrize("kind", KINDS)
NESTED = {
    "CLAUDECODE": "1",
    "CLAUDE_CODE_CHILD_SESSION": "1",
    "CLAUDE_CODE_ENTRYPOINT": "cli",
    "CLAUDE_CODE_SESSION_ID": "00000000-0000-4000-8000-000000000001",
    "CLAUDE_CODE_SSE_PORT": "1",
    "CLAUDE_PID": "1",
    "CLAUDE_ACCOUNT": "rival",
    "ANTHROPIC_API_KEY": "sk-ant-api03-rival-nested",
}


@every_kind
def test_a_prompt_is_paid_by_its_account(bench: Bench, kind: str) -> None:
    name = bench.add(kind)
    finished = bench.launch(name, "-p", "hi")
    assert (finished.returncode, finished.stdout.strip()) == (0, "hello"), finished
    bench.assert_ours(name)


@every_kind
@pytest.mark.parametrize("group", RIVAL_ENVIRONMENT)
def test_a_rival_in_the_environment_counts_for_nothing(bench: Bench, kind: str, group: str) -> None:
    name = bench.add(kind)
    finished = bench.launch(name, "-p", "hi", env=RIVAL_ENVIRONMENT[group])
    bench.assert_ours_or_refused(finished, name)


@every_kind
@pytest.mark.parametrize("project", [False, True], ids=["user", "project"])
def test_settings_written_before_do_not_choose(bench: Bench, kind: str, project: bool) -> None:
    name = bench.add(kind)
    bench.settings(hostile_settings(bench), project=project)
    bench.assert_ours_or_refused(bench.launch(name, "-p", "hi"), name)


@every_kind
def test_settings_written_during_a_session_do_not_choose(bench: Bench, kind: str) -> None:
    name = bench.add(kind)
    with bench.session(name) as session:
        assert session.turn("first") == "hello"
        bench.settings_during(session, hostile_settings(bench))
        bench.settings_during(session, hostile_settings(bench), project=True)
    bench.assert_ours(name, least=4)


@every_kind
@pytest.mark.parametrize("profile", ["user_oauth", "oidc_federation"])
def test_an_anthropic_profile_counts_for_nothing(bench: Bench, kind: str, profile: str) -> None:
    name = bench.add(kind)
    bench.profile(profile)
    bench.assert_ours_or_refused(bench.launch(name, "-p", "hi"), name)


@every_kind
def test_a_refused_credential_never_gives_way_to_another(bench: Bench, kind: str) -> None:
    name = bench.add(kind)
    bench.profile("user_oauth")
    bench.rival_login()
    bench.namespace.rule(refused=[f"mine-{name}-"])
    finished = bench.launch(name, "-p", "hi")
    assert finished.returncode != 0, f"{finished.stdout} {bench.seen()}"
    bench.assert_ours(name, least=0)


@pytest.mark.parametrize("rival", ["nothing", "login", "user_oauth", "oidc_federation"])
def test_a_durable_login_that_ends_gives_way_to_nobody(bench: Bench, rival: str) -> None:
    name = bench.add(DURABLE)
    if rival == "login":
        bench.rival_login()
    elif rival != "nothing":
        bench.profile(rival)
    # Our own look at the token before the launch is content with it; only the client is told that it is over.
    bench.namespace.rule(refused=["mine-durable-0"], ended=["mine-durable-0"])
    finished = bench.launch(name, "-p", "hi")
    assert finished.returncode != 0, f"{finished.stdout} {bench.seen()}"
    bench.assert_ours(name, least=0)


@pytest.mark.parametrize(("one", "other"), [(KEY, TOKEN), (INJECTED, DURABLE), (DURABLE, KEY)])
def test_two_sessions_at_once_keep_apart(bench: Bench, one: str, other: str) -> None:
    both = [bench.add(one), bench.add(other)]
    open_at = bench.home / "both-arrived"
    bench.namespace.rule(held=str(open_at))
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(bench.launch, name, "-p", f"hi mark-{name}") for name in both]
        for name in both:
            bench.wait_for_prompt(f"mark-{name}")
        open_at.touch()
        for name, future in zip(both, running, strict=True):
            assert future.result().returncode == 0, future.result()
            for request in bench.prompts(f"mark-{name}"):
                assert f"mine-{name}-" in f"{request['x_api_key']} {request['authorization']}", bench.seen()


@every_kind
@pytest.mark.parametrize("first", ["a plain login", "another account"])
def test_a_background_job_is_paid_by_its_account(bench: Bench, kind: str, first: str) -> None:
    name = bench.add(kind)
    keys = [key(KEY), RIVAL_KEY]
    bench.configuration(customApiKeyResponses={"approved": [last_twenty(each) for each in keys], "rejected": []})
    start_the_service(bench, first)
    finished = bench.launch(name, "--bg", "hi mark-mine")
    if finished.returncode != 0:
        # The client itself refuses a key or a token beside a service that somebody signed in for; it says so.
        assert len(finished.stderr.splitlines()) > 1, finished
        assert not bench.prompts("mark-mine"), bench.seen()
        return
    for request in bench.wait_for_prompt("mark-mine", lambda: finished.stdout + finished.stderr):
        assert f"mine-{name}-" in f"{request['x_api_key']} {request['authorization']}", bench.seen()
        assert "rival" not in str(request["headers"]), bench.seen()
    listed = json.loads(bench.cli("sessions", "--json").stdout)["sessions"]
    assert [(each["account_name"], each["origin"]) for each in listed if each["account_name"] == name] == [
        (name, "background")
    ], listed


@every_kind
def test_a_plain_background_job_is_not_paid_by_the_account_that_started_the_service(bench: Bench, kind: str) -> None:
    name = bench.add(kind)
    bench.configuration(customApiKeyResponses={"approved": [last_twenty(key(KEY))], "rejected": []})
    first = bench.launch(name, "--bg", "hi mark-mine")
    assert first.returncode == 0, first
    bench.wait_for_prompt("mark-mine", lambda: first.stdout + first.stderr)
    bench.rival_login()
    plain = bench.claude("--bg", "hi mark-plain")
    if plain.returncode == 0:
        for request in bench.wait_for_prompt("mark-plain", lambda: plain.stdout + plain.stderr):
            assert "mine" not in f"{request['x_api_key']} {request['authorization']}", bench.seen()


RIVAL_KEY = "sk-ant-api03-rival-" + "1" * 60


def start_the_service(bench: Bench, first: str) -> None:
    """Have the background service started by somebody else's job."""
    if first == "a plain login":
        bench.rival_login()
        finished = bench.claude("--bg", "hi mark-first")
    else:
        added = bench.cli("add", "other", "--key", "-", stdin=RIVAL_KEY)
        assert added.returncode == 0, added
        finished = bench.launch("other", "--bg", "hi mark-first")
    assert finished.returncode == 0, finished
    bench.wait_for_prompt("mark-first", lambda: finished.stdout + finished.stderr)


@every_kind
def test_a_session_inside_a_session_is_its_own(bench: Bench, kind: str) -> None:
    name = bench.add(kind)
    bench.assert_ours_or_refused(bench.launch(name, "-p", "hi", env=NESTED), name)


@every_kind
def test_a_session_inside_a_durable_session_is_its_own(bench: Bench, kind: str) -> None:
    name = bench.add(kind)
    login = {"access_token": "sk-ant-oat01-rival-outer-0", "refresh_token": "sk-ant-ort01-rival-outer-0"}
    entry = login | {"name": "outer", "auth_type": "oauth", "expires_at": 4102444800000, "scopes": "user:inference"}
    assert bench.cli("import", "-", stdin=json.dumps([entry])).returncode == 0
    bench.cli("update", "outer", "--durable")
    outer = bench.cli("exec", "outer", "env")
    inherited = dict(
        line.partition("=")[::2] for line in outer.stdout.splitlines() if "CLAUDE" in line.partition("=")[0]
    )
    finished = bench.launch(name, "-p", "hi", env={**NESTED, **inherited})
    bench.assert_ours_or_refused(finished, name)


@pytest.mark.parametrize("version", VERSIONS)
@every_kind
@pytest.mark.parametrize("provider", PROVIDERS)
def test_settings_of_a_provider_do_not_choose(make_bench: MakeBench, version: str, kind: str, provider: str) -> None:
    bench = make_bench(version)
    name = bench.add(kind)
    env: dict[str, Any] = {
        variable: value.replace("STUB", bench.namespace.proxy) for variable, value in PROVIDERS[provider].items()
    }
    with bench.session(name) as session:
        assert session.turn("first") == "hello"
        bench.settings_during(session, {"env": env})
    bench.assert_ours(name, least=2)


@every_kind
def test_an_address_in_the_user_s_own_settings_is_used_and_told(bench: Bench, kind: str) -> None:
    name = bench.add(kind)
    bench.settings({"env": {"ANTHROPIC_BASE_URL": f"{bench.namespace.proxy}/gateway"}})
    finished = bench.launch(name, "-p", "hi")
    assert finished.returncode == 0 and "the credential goes to 127.0.0.1" in finished.stderr, finished
    sent = [request for request in bench.requests() if request["path"].endswith("/v1/messages")]
    assert sent and all(request["path"].startswith("/gateway/") for request in sent)


@every_kind
@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"base url"}))
def test_settings_of_a_provider_written_before_do_not_choose(bench: Bench, kind: str, provider: str) -> None:
    name = bench.add(kind)
    address = bench.namespace.proxy
    bench.settings(
        {"env": {variable: value.replace("STUB", address) for variable, value in PROVIDERS[provider].items()}}
    )
    bench.assert_ours_or_refused(bench.launch(name, "-p", "hi"), name)
