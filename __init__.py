"""Claude Accounts Manager: several Claude Code accounts, one shared ~/.claude.

A checkout's folder is this package, whatever its name; the README's structure section is the map of its rooms.
"""
