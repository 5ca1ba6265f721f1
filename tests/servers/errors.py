"""When a server can not be had."""


class NoServerError(Exception):
    """Nothing on this machine can give the server; the text names everything that was tried."""
