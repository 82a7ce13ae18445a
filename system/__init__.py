"""What the machine gives: private files, our folder, other programs, how processes end.

Imports messages alone; knows nothing of Claude Code.
"""
