"""What is stored of accounts: the database, rows, refresh, private stores, sessions, usage, folders, clocks.

Imports claude, system and messages; knows no launch, no command and no page.
"""
