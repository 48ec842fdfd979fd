"""Sending alerts: webhooks, mail, and the formats of chats and of paging services.

Belongs here: formats, sockets, secrets. Not here: who is told what, and when.
Imports: core, charts, ports, errors.
"""
