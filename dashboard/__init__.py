"""The dashboard: its gate, sign-in, API, page files, and the server that runs them.

Imports terminal, install and what is below; knows no command.
"""
