"""The command line's commands: one module for each family, with `register(subparsers)`; none knows another.

Imports everything below cli.py; only the family that was asked for is imported.
"""
