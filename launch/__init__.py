"""From an account to what is started, and from a running session back to its account.

Imports db, accounts, claude, system and messages; both the command line and the terminals start through here.
"""
