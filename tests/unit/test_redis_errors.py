"""What Redis answers, as redis-py reads it, told apart into what passes and what does not."""

import pytest
from redis._parsers.base import BaseParser

from logs.redis_errors import may_pass

PASSES = (
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
)
STAYS = (
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "NOPERM this user has no permissions to run the 'set' command",
    "ERR unknown command 'FROB'",
    "NOLOG",
    "EXECABORT Transaction discarded because of previous errors.",
)


def as_it_is(answer: str) -> str:
    return answer


def in_an_old_script(answer: str) -> str:
    return f"ERR Error running script (call to f_0a1b): @user_script:17: @user_script: 17: -{answer}"


@pytest.mark.parametrize("worded", [as_it_is, in_an_old_script])
def test_what_passes_and_what_does_not(worded):
    for answer in PASSES:
        assert may_pass(BaseParser.parse_error(worded(answer))), answer
    for answer in STAYS:
        assert not may_pass(BaseParser.parse_error(worded(answer))), answer


def test_in_a_pipeline():
    for answers, passes in ((PASSES, True), (STAYS, False)):
        for answer in answers:
            error = BaseParser.parse_error(answer)
            error.args = (f"Command # 1 (HSET a b c) of pipeline caused error: {error.args[0]}",)
            assert may_pass(error) == passes, answer
