"""A worker that makes rows anew does nothing else."""

from contextlib import closing

from redis import Redis

from contracts.keys import Keys
from livesegments.parts import log_specs
from livesegments.rebuild_worker import rebuild_worker
from livesegments.settings import Settings
from logs.memory import MemoryLogs


def test_nothing_is_learnt_or_forgotten_under_the_second_prefix():
    settings = Settings(forecasts=True, forget_idle="400d")
    logs = MemoryLogs()
    for spec in log_specs(settings):
        logs.create(spec)
    with closing(Redis.from_url("redis://127.0.0.1:1/0")) as client:
        worker = rebuild_worker(client, logs, settings, Keys("second"))
    told = worker._settings
    assert (told.forecasts, told.forget_idle, told.audiences) == (False, 0, ())
    worker._reader.close()
