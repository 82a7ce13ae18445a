"""Claims that we have looked at every name in a client's binary that could choose a credential or a destination."""

from __future__ import annotations

import json
import mmap
import re
from pathlib import Path

import pytest
from conftest import lack
from real_clients import VERSIONS, NoClient, install

from claude_accounts.claude.credentials_file import STORE_VARIABLE
from claude_accounts.claude.variables import CREDENTIAL_VARIABLES, DESTINATION_VARIABLES, PROFILES_VARIABLE

TREATED = {*CREDENTIAL_VARIABLES, *DESTINATION_VARIABLES, PROFILES_VARIABLE, STORE_VARIABLE}

HARMLESS: dict[str, str] = json.loads((Path(__file__).parent / "harmless_names.json").read_text())
_NAME = re.compile(
    rb"\b(?:ANTHROPIC_|CLAUDE_|AWS_BEARER_|CCR_|AGENT_PROXY_|SELF_HOSTED_RUNNER_|USE_[A-Z]+_OAUTH)[A-Z0-9_]*"
)
_TELLING = re.compile(
    r"AUTH|TOKEN|CREDENTIAL|CREDS|API_KEY|PROFILE|_USE_|BASE_URL|CONFIG_DIR|CUSTOM_HEADERS|SECRET|BEARER|MANAGED_BY"
)


def telling_names(version: str) -> set[str]:
    """Return the names in a client's binary that could stand for a credential or a destination."""
    try:
        program = install(version)
    except NoClient as error:
        lack(str(error))
    with open(program, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        names = {match.decode() for match in _NAME.findall(content)}
    return {name for name in names if _TELLING.search(name)}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_telling_name_is_treated_or_harmless(version: str) -> None:
    names = telling_names(version)
    assert "ANTHROPIC_API_KEY" in names, "the names could not be read off the binary"
    unknown = names - set(TREATED) - set(HARMLESS)
    assert not unknown, f"treat these, or say in harmless_names.json why not: {' '.join(sorted(unknown))}"


def test_no_name_is_both_treated_and_harmless() -> None:
    assert not set(TREATED) & set(HARMLESS)


def test_every_harmless_name_has_a_reason() -> None:
    assert [name for name, reason in HARMLESS.items() if len(reason) < 15] == []
