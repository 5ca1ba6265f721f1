"""The root of every error that livesegments raises on purpose."""


class LivesegmentsError(Exception):
    """Something the user can act on; its text says what to do. Shown as one line, never as a traceback."""
