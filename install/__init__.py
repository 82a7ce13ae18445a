"""What we write into the user's own files: aliases, the line in a shell's start file, Claude Code's status line.

Imports claude, system and messages; account names are handed in.
"""
