"""Claims about the ways in which the real client was seen to use another account, one by one, beside the matrix."""

from __future__ import annotations

import json

import pytest
from bench import DURABLE, KEY, KINDS, RIVAL_LOGIN, TOKEN, Bench, MakeBench, key, last_twenty, wait_for
from real_clients import NEWEST

pytest_plugins = ["client_fixtures"]

every_kind = pytest.mark.parametrize("kind", KINDS)


def test_a_server_that_shortens_tokens_does_not_end_a_durable_login(bench: Bench) -> None:
    name = bench.add(DURABLE)
    # The client has to refresh, and what it gets ends earlier than what our database knows.
    bench.namespace.rule(refused=["mine-durable-0"], lifetime=3600)
    first = bench.launch(name, "-p", "hi")
    assert first.returncode == 0, first
    for _again in range(2):
        finished = bench.launch(name, "-p", "hi")
        assert finished.returncode == 0, f"{finished.stderr} {finished.stdout} {bench.seen()}"
    spent = [request["body"] for request in bench.requests() if request["path"] == "/v1/oauth/token"]
    assert len(spent) == len(set(spent)), "a refresh token was spent twice"
    bench.assert_ours(name, least=3)


def test_a_profile_at_the_first_launch_does_not_make_a_durable_account_injected(bench: Bench) -> None:
    name = bench.add(DURABLE, met=False)
    bench.profile("user_oauth")
    first = bench.launch(name, "-p", "hi")
    (bench.home / ".config" / "anthropic" / "configs" / "default.json").unlink()
    second = bench.launch(name, "-p", "hi")
    for finished in (first, second):
        assert finished.returncode == 0, finished
        assert "durable login" in finished.stderr, finished.stderr
        assert "keeps no login of its own" not in finished.stderr, finished.stderr
    bench.assert_ours(name, least=2)


@every_kind
def test_another_store_named_during_a_session_counts_for_nothing(bench: Bench, kind: str) -> None:
    name = bench.add(kind)
    store = bench.home / "other-store"
    store.mkdir(mode=0o700)
    (store / ".credentials.json").write_text(json.dumps({"claudeAiOauth": RIVAL_LOGIN}))
    with bench.session(name) as session:
        assert session.turn("first") == "hello"
        bench.settings_during(session, {"env": {"CLAUDE_SECURESTORAGE_CONFIG_DIR": str(store)}})
    bench.assert_ours(name, least=3)


@every_kind
def test_a_snapshot_of_a_background_login_counts_for_nothing(bench: Bench, kind: str) -> None:
    name = bench.add(kind)
    snapshot = bench.home / "snapshot.json"
    snapshot.write_text(json.dumps({"accessToken": "sk-ant-oat01-rival-snapshot-0", "scopes": ["user:inference"]}))
    bench.namespace.rule(refused=[f"mine-{name}-"], ended=[f"mine-{name}-"])
    finished = bench.launch(name, "-p", "hi", env={"CLAUDE_BG_AUTH_SNAPSHOT_PATH": str(snapshot)})
    assert finished.returncode != 0, bench.seen()
    bench.assert_ours(name, least=0)
    assert snapshot.exists(), "somebody else's file was read and deleted"


@pytest.mark.parametrize("answer", ["unasked", "rejected"])
def test_a_key_that_is_not_approved_gives_way_to_nobody(bench: Bench, answer: str) -> None:
    name = bench.add(KEY)
    bench.profile("user_oauth")
    rejected = [last_twenty(key(KEY))] if answer == "rejected" else []
    bench.configuration(customApiKeyResponses={"approved": [], "rejected": rejected})
    with bench.on_terminal(name) as terminal:
        if answer == "rejected":
            # Our own question; Enter means that it stays refused.
            terminal.wait_for("from now on? [y/N]")
            terminal.type("\r")
        if (
            terminal.wait_for("use this API key?", "for shortcuts", "claude-accounts: error:", "❯")
            == "use this API key?"
        ):
            # The default is No.
            terminal.type("\r")
            terminal.wait_for("for shortcuts", "❯")
        if "claude-accounts:error:" not in terminal.screen():
            terminal.type("hi")
            terminal.wait_for("hi")
            terminal.type("\r")
            terminal.wait_for("Not logged in", "hello", "Please run /login", "API key")
    bench.assert_ours(name, least=0)


@pytest.mark.parametrize("entrypoint", ["claude-vscode", "claude-desktop", "local-agent"])
def test_an_editor_s_entrypoint_does_not_pass_over_a_key(bench: Bench, entrypoint: str) -> None:
    name = bench.add(KEY)
    bench.rival_login()
    finished = bench.launch(name, "-p", "hi", env={"CLAUDE_CODE_ENTRYPOINT": entrypoint})
    bench.assert_ours_or_refused(finished, name)


@every_kind
def test_a_host_that_manages_the_provider_changes_nothing(bench: Bench, kind: str) -> None:
    name = bench.add(kind)
    bench.settings({"env": {"ANTHROPIC_AUTH_TOKEN": "rival-settings"}})
    finished = bench.launch(name, "-p", "hi", env={"CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST": "1"})
    bench.assert_ours_or_refused(finished, name)


@every_kind
def test_a_project_s_address_and_proxy_get_no_credential(bench: Bench, kind: str) -> None:
    name = bench.add(kind)
    stub = bench.namespace.proxy
    bench.settings({"env": {"ANTHROPIC_BASE_URL": "http://rival.example", "HTTP_PROXY": stub}}, project=True)
    bench.assert_ours_or_refused(bench.launch(name, "-p", "hi"), name)


def test_the_address_of_the_environment_stays_what_it_was_at_the_launch(bench: Bench) -> None:
    name = bench.add(KEY)
    own = {"ANTHROPIC_BASE_URL": f"{bench.namespace.proxy}/chosen"}
    with bench.session(name, env=own) as session:
        assert session.turn("first") == "hello"
        bench.settings_during(session, {"env": {"ANTHROPIC_BASE_URL": f"{bench.namespace.proxy}/rival"}})
        assert "the credential goes to" in session.errors(), session.errors()
    assert {request["path"].split("/")[1] for request in bench.prompts()} == {"chosen"}, bench.seen()
    assert len(bench.prompts()) >= 2, bench.seen()


@pytest.mark.parametrize("rule", ["forceLoginMethod", "allowedProviders", "enforceAnthropicSignIn"])
def test_a_login_rule_in_user_settings_changes_no_account(bench: Bench, rule: str) -> None:
    name = bench.add(TOKEN)
    values = {"forceLoginMethod": "console", "allowedProviders": ["bedrock"], "enforceAnthropicSignIn": True}
    bench.settings({rule: values[rule]})
    bench.assert_ours_or_refused(bench.launch(name, "-p", "hi"), name)


@every_kind
def test_managed_settings_behind_the_name_change_no_account(make_bench: MakeBench, kind: str) -> None:
    bench = make_bench(NEWEST)
    name = bench.add(kind)
    rival = json.dumps({"env": {"ANTHROPIC_AUTH_TOKEN": "rival-managed"}})
    bench.assert_ours_or_refused(bench.launch(name, "--managed-settings", rival, "-p", "hi"), name)


def test_a_wrapper_of_background_processes_sees_no_token(make_bench: MakeBench) -> None:
    bench = make_bench(NEWEST)
    name = bench.add(TOKEN)
    bench.configuration()
    wrapper, seen = bench.home / "wrapper", bench.home / "seen"
    wrapper.write_text(f'#!/bin/sh\nenv >>"{seen}"\nexec "$@"\n')
    wrapper.chmod(0o755)
    bench.settings({"processWrapper": str(wrapper)})
    finished = bench.launch(name, "--bg", "hi mark-mine")
    if finished.returncode == 0:
        wait_for(lambda: bench.prompts("mark-mine") or seen.exists(), lambda: f"{finished} {bench.seen()}")
    assert "mine-token-" not in (seen.read_text() if seen.exists() else "")


@pytest.mark.parametrize("word", ["attach", "logs", "stop", "rm", "respawn"])
def test_words_about_background_jobs_are_no_prompts(bench: Bench, word: str) -> None:
    # The client knows these as its very first word only: with an option before them they would be sent as a prompt.
    name = bench.add(TOKEN)
    finished = bench.launch(name, word, "no-such-job")
    assert finished.returncode != 0, finished
    assert not bench.prompts(), bench.seen()
