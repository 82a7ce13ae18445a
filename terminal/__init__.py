"""Web terminals: ptys, their replay, the sockets to them.

Imports launch, db and what is below; knows no route and no page.
"""
