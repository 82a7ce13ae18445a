"""What comes in from elsewhere: exports, Claude Code's own files, the stores of other tools, and the plan for them.

One module for each kind, all of which give the same `Found`. Nothing is ever written where it was found, and nothing of
it is run. Imports db, accounts, claude, system and messages.
"""
