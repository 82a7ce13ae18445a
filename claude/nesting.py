"""Owns what a session of Claude Code leaves in the environment of what it starts, and which of it a new claude gets.

Read in the strings of 2.1.197 and 2.1.332: what a session gives its commands, hooks, MCP servers and background jobs,
what a host (editor, SDK, desktop) gives the claude that it starts, and what the client itself takes out again before it
starts its background service. The names are the client's; it knows no credential variable that needs none of these.
"""

from __future__ import annotations

from collections.abc import Mapping

# A session's word to its children that they are children. One that somebody talks to saves no transcript with them,
# counts as spawned by the other session, and is refused what only a person at a terminal may do.
LINEAGE = frozenset(
    (
        "CLAUDECODE",
        "CLAUDE_CODE_CHILD_SESSION",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_CODE_SESSION_ATTENDED",
        "CLAUDE_CODE_SESSION_KIND",  # "bg": nobody is there to be asked
        "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
        "CLAUDE_CODE_CHILD_NOTES_DIR",
        "CLAUDE_CODE_STARTER_MAY_HOLD_CONNECTOR_FILE",
        "CLAUDE_PID",
        "AI_AGENT",
    )
)
# Where in the other session this was started: its hook, plugin, project, job, turn. The new one has its own, and would
# read the other's file of exported variables before each command.
OF_ONE_MOMENT = frozenset(
    (
        "CLAUDE_ENV_FILE",
        "CLAUDE_PROJECT_DIR",
        "CLAUDE_PLUGIN_ROOT",
        "CLAUDE_PLUGIN_DATA",
        "CLAUDE_JOB_DIR",
        "CLAUDE_EFFORT",
        "CLAUDE_CODE_INVOKED_SKILLS",
        "CLAUDE_CODE_EXECPATH",  # another claude than the one that is started
        "CLAUDE_CODE_SESSION_NAME",
        "CLAUDE_CODE_SESSION_LOG",
        "CLAUDE_CODE_RESUME_FROM_SESSION",
        "CLAUDE_CODE_RESUME_INTERRUPTED_TURN",
        "CLAUDE_CODE_RESUME_PROMPT",
        "CLAUDE_CODE_WORKER_EPOCH",
        "CLAUDE_CODE_CHROME_MCP_ORG_DENIED",
        "CLAUDE_CHROME_TAB_GROUP_KEY",
    )
)
# A host's word about itself to the claude that it started. Taken over, it changes what counts as a credential (an API
# key that was not approved), and asks a host that is not there.
OF_THE_HOST = frozenset(
    (
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_AGENT_SDK_VERSION",
        "CLAUDE_AGENT_SDK_CLIENT_APP",
        "CLAUDE_CODE_SDK_READS_SESSION_STATE",
        "CLAUDE_CODE_SDK_READS_STARTUP_MARKS",
        "CLAUDE_CODE_SDK_MCP_TOOL_IDLE_TIMEOUT",
        "CLAUDE_CODE_HOST_WORKTREE",
        "CLAUDE_CODE_HOST_WORKTREE_FENCE",
        "CLAUDE_CODE_HOST_CHECKED_FOLDER",
        "CLAUDE_CODE_HOST_SESSION_ID",
        "CLAUDE_CODE_SPAWN_TIMESTAMP_MS",
    )
)
_OF_THE_HOST_FROM = ("CLAUDE_CODE_BRIDGE_", "CLAUDE_BRIDGE_REATTACH_", "CLAUDE_BG_")
# A host's promise that it will hand over another credential when ours is refused. No account of ours wants that.
_PROMISES_FROM = ("CLAUDE_CODE_SDK_HAS_", "CLAUDE_CODE_HOST_AUTH_")
# An editor tells it to every terminal in it, so that a claude there finds this window. Outside a session it is good.
_OF_THE_EDITOR = "CLAUDE_CODE_SSE_PORT"
_STARTED_BY_A_SESSION = ("CLAUDECODE", "CLAUDE_CODE_CHILD_SESSION")


def without(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a claude that begins something of its own: none of all that, nor an editor's port."""
    return {name: value for name, value in environ.items() if not _is_foreign(name) and name != _OF_THE_EDITOR}


def for_launch(environ: Mapping[str, str], arguments: list[str]) -> dict[str, str]:
    """Return the environment for a claude with these arguments.

    One that somebody talks to begins something of its own. `-p` inside a session is that session's child on purpose and
    keeps its lineage, with the moment and the host of the other left out. One that a program drives
    (`--input-format stream-json`) has its host at the other end, whose word it keeps. A promise of another credential
    reaches nobody.
    """
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if _is_driven(options):
        return {name: value for name, value in environ.items() if not promises_credential(name)}
    if {"-p", "--print"} & set(options):
        return {name: value for name, value in environ.items() if name in LINEAGE or not _is_foreign(name)}
    if any(environ.get(name) for name in _STARTED_BY_A_SESSION):
        return without(environ)
    return {name: value for name, value in environ.items() if not _is_foreign(name)}


def promises_credential(name: str) -> bool:
    """Tell whether a variable promises that whoever started claude will hand over another credential."""
    return name.startswith(_PROMISES_FROM)


def _is_foreign(name: str) -> bool:
    return name in LINEAGE | OF_ONE_MOMENT | OF_THE_HOST or name.startswith(_OF_THE_HOST_FROM + _PROMISES_FROM)


def _is_driven(options: list[str]) -> bool:
    pairs = zip(options, options[1:], strict=False)
    return "--input-format=stream-json" in options or ("--input-format", "stream-json") in pairs
