"""All that is known of Claude Code: the program, its settings, its credentials store, its Keychain items, its endpoint.

Imports system and messages; knows no account of ours and no database.
"""
