"""A server that fails at the worst moment."""

from consumer.state import StateUnavailableError


def fails_once(monkeypatch, of, method, *, after=False, when=lambda *_: True, error=StateUnavailableError):
    """The next such call fails, before it does anything or after that; what was called is returned."""
    call, calls = getattr(of, method), []

    def failing(*arguments, **options):
        if not when(*arguments):
            return call(*arguments, **options)
        calls.append(arguments)
        if len(calls) > 1:
            return call(*arguments, **options)
        if after:
            call(*arguments, **options)
        raise error("gone for a moment")

    monkeypatch.setattr(of, method, failing)
    return calls
