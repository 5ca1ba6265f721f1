"""The lists that `livesegments acl` prints, on real servers: what each user may do, and what it is refused."""

import inspect
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from consumer.redis_state import RedisState
from contracts.keys import Keys, LogNames
from livesegments.access import literal
from livesegments.segment_names import own_names
from livesegments.web.rows import StateRows
from livesegments.webhooks.ledger import Kept, Letter, Step
from livesegments.webhooks.redis_ledger import RedisLedger
from logs.base import LogSpec
from logs.redis_log import RedisLogs
from logs.redis_server import find_bundled_redis_server, find_redis_server
from recommender.reader import CustomerReader
from recommender.reader_invalidations import tracked_prefixes
from recommender.store import ViewsUnavailableError
from tests.conftest import missing
from tests.servers import LocalRedis

PREFIX = "shop[1]*"
"""Full of what patterns mean something by."""
PUBLIC = {
    "customer": "c",
    "segment": 3,
    "segments": None,
    "cold_start": None,
    "similar": "i",
    "popular": "a",
    "catalogue": None,
    "withdrawn": None,
    "catalogue_version": None,
    "model": None,
    "model_version": 12,
    "review": None,
    "history": "2026-01-31",
    "feedback": "2026-01-31",
    "lift": None,
}
"""What `contracts.keys` calls public, with an argument where there is one."""
HASHES = {"catalogue"}
READERS_COMMANDS = {"get", "mget", "hget", "hmget", "ping", "select", "client|tracking"}
EVERYBODYS = {"auth", "hello", "quit", "reset", "exec"}
"""What a server answers without a log-in; 6.2 also refuses EXEC only for want of a MULTI, which is refused."""
ROLES = ("worker", "producer", "reader", "dashboard", "webhooks")


@dataclass
class Server:
    local: LocalRedis
    passwords: dict
    admin: redis.Redis

    def url(self, role: str) -> str:
        return f"redis://{PREFIX}-{role}:{self.passwords[role]}@127.0.0.1:{self.local.port}/0".replace(
            "[", "%5B"
        ).replace("]", "%5D")

    def client(self, role: str) -> redis.Redis:
        return redis.Redis.from_url(self.url(role))


def printed(*arguments: str) -> list[str]:
    endpoints = '{"crm": {"url": "https://crm.example/", "secrets": ["env:CRM"]}}'
    command = [
        *(sys.executable, "-m", "livesegments", "acl", "--key-prefix", PREFIX, "--webhooks", endpoints),
        *arguments,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.fixture(scope="module", params=["newer", "6.2"])
def server(request, tmp_path_factory):
    """A server with the users as printed."""
    binary = find_redis_server() if request.param == "newer" else find_bundled_redis_server()
    if binary is None:
        missing(f"no redis-server ({request.param})")
    secrets = tmp_path_factory.mktemp("acl") / "passwords"
    lines = printed("--passwords", str(secrets), *["--redis-6"] * (request.param == "6.2"))
    assert secrets.stat().st_mode & 0o777 == 0o600
    passwords = dict(line.split() for line in secrets.read_text().splitlines())
    assert not any(password in line for password in passwords.values() for line in lines)
    with LocalRedis(binary) as local, redis.Redis.from_url(local.url) as admin:
        for line in lines:
            admin.execute_command(*line.split())
        yield Server(local, passwords, admin)


@pytest.fixture(scope="module")
def empty():
    if find_redis_server() is None:
        missing("no redis-server")
    with LocalRedis() as local, redis.Redis.from_url(local.url) as client:
        yield client


def keys_of(names) -> list[str]:
    keys = Keys(PREFIX)
    return [getattr(keys, name)(*([] if argument is None else [argument])) for name, argument in names.items()]


def internal() -> list[str]:
    """Every key of the deployment that is not public, also those that somebody adds tomorrow."""
    keys, found = Keys(PREFIX), []
    for name, method in inspect.getmembers(Keys, inspect.isfunction):
        if not name.startswith("_") and name not in PUBLIC:
            found.append(getattr(keys, name)(*range(len(inspect.signature(method).parameters) - 1)))
    assert keys.rows(0, 1) in found
    assert keys.model_fence() in found
    return found


def test_the_reader_reads_every_view(server):
    with server.client("reader") as reader:
        assert reader.mget([Keys(PREFIX).segment(n) for n in (-101, -1, 1, 20)]) == [None] * 4
        for name, argument in PUBLIC.items():
            (key,) = keys_of({name: argument})
            assert (reader.hget(key, "i") if name in HASHES else reader.get(key)) is None
        reader.mget(keys_of({name: argument for name, argument in PUBLIC.items() if name not in HASHES}))


def test_the_reader_is_refused_every_other_key(server):
    others = [
        "session:1",
        "shop1:customer:c",
        f"x{PREFIX}:customer:c",
        PREFIX,
        f"{PREFIX}:",
        "livesegments-log:{customer-events}",
    ]
    with server.client("reader") as reader:
        for key in (*internal(), *others):
            for command in (("GET", key), ("HGET", key, "f"), ("HMGET", key, "f"), ("MGET", Keys(PREFIX).lift(), key)):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    reader.execute_command(*command)


def commands(admin) -> dict:
    """Every command and subcommand of the server: how many words it takes at least, and what kinds it is of."""
    found = {}
    for about in admin.execute_command("COMMAND").values():
        found[about["name"].lower()] = about
        for each in about.get("subcommands", []):
            name = each[0].decode() if isinstance(each, list | tuple) else each["name"]
            found[name.lower()] = {"arity": each[1] if isinstance(each, list | tuple) else each["arity"]}
    return found


def refused(client, name: str, arity: int, key: str) -> bool:
    """Whether the server says that this user may not; what else it says of the nonsense we send is not looked at."""
    words = name.split("|")
    words += [key] * (abs(arity) - len(words))
    try:
        client.execute_command(*words)
    except redis.exceptions.NoPermissionError:
        return True
    except redis.exceptions.ResponseError as error:
        return "command not allowed" in str(error)  # DEBUG: nobody's
    return False


def test_the_reader_is_refused_every_command_but_reads_of_views(server):
    """Of every class: all that the server knows is tried, on a key that the reader may read."""
    key = Keys(PREFIX).lift()
    known = commands(server.admin)
    assert len(known) > 200
    parents = {name.partition("|")[0] for name in known if "|" in name}
    with server.client("reader") as reader:
        for name, about in known.items():
            if name in READERS_COMMANDS | EVERYBODYS | parents:
                continue
            assert refused(reader, name, about["arity"], key), name
        # Where COMMAND tells of no subcommands (6.2), and in any case:
        for dangerous in ("CLIENT LIST", "CLIENT KILL x", "CLIENT PAUSE 1", "CONFIG GET *", "ACL WHOAMI", "ACL LIST"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                reader.execute_command(*dangerous.split())
    categories = {str(each) for each in server.admin.acl_cat()}
    assert {"write", "admin", "dangerous", "scripting", "pubsub", "keyspace", "transaction"} <= categories


def test_the_reader_of_the_library_works_and_has_a_near_cache(server):
    keys = Keys(PREFIX)
    server.admin.set(keys.segments(), b'{"v": 1, "as_of": "2026-01-01T00:00:00Z", "model_version": 1, "segments": []}')
    with CustomerReader(server.url("reader"), PREFIX, near_cache=True) as reader:
        assert not reader.get("nobody").known
        assert reader._core.near is not None
    with server.client("reader") as client:
        said = client.execute_command(
            "CLIENT", "TRACKING", "ON", "BCAST", *(word for key in tracked_prefixes(keys) for word in ("PREFIX", key))
        )
        assert said in {b"OK", "OK", True}


def test_without_tracking_the_reader_may_not_listen(server):
    (line,) = [line for line in printed("--no-tracking") if "-reader " in line]
    assert "tracking" not in line


@pytest.mark.parametrize("role", ["worker", "dashboard"])
def test_nobody_reaches_what_is_not_the_deployments(server, role):
    with server.client(role) as client:
        for key in ("session:1", "shop1:customer:c", f"x{PREFIX}:lift", PREFIX):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.get(key)
        for words in ("FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "ACL LIST", "SHUTDOWN", "RANDOMKEY"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*words.split())
        with pytest.raises(redis.exceptions.ResponseError, match=r"(?i)permission|acl|script"):
            client.eval("return redis.call('GET', 'session:1')", 0)


def test_the_dashboard_changes_nothing(server):
    """It may not run whatever the server counts among the writing commands."""
    key = Keys(PREFIX).lift()
    writing = {
        name for name, about in commands(server.admin).items() if "write" in {str(f) for f in about.get("flags", ())}
    }
    assert {"set", "hset", "del", "xadd"} <= writing
    with server.client("dashboard") as client:
        for name in writing:
            assert refused(client, name, commands(server.admin)[name]["arity"], key), name
        client.hgetall(Keys(PREFIX).rows(0, 1))
        refused_too = [("HSET", Keys(PREFIX).segment_names(), "1", "x"), ("DEL", Keys(PREFIX).imports())]
        for words in refused_too:
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*words)


def test_who_publishes_says_what_came_of_it(server):
    """The dashboard's user, too, which imports by page; 6.2 can not allow a command for one key alone."""
    newer = int(server.admin.info("server")["redis_version"].split(".")[0]) >= 7
    for role in ("producer", *["dashboard"] * newer):
        with server.client(role) as client:
            state = RedisState(client, Keys(PREFIX))
            state.put_import("a", b"{}")
            assert state.imports() == {"a": b"{}"}
            state.put_import("a", None)
            assert state.imports() == {}
    if newer:
        with server.client("dashboard") as client:
            state = RedisState(client, Keys(PREFIX))
            state.put_ended_session("a", 1)
            assert state.ended_sessions() == {"a": 1}
            state.put_ended_session("a", None)


def test_the_dashboard_reads_what_the_http_api_shows(server):
    keys = Keys(PREFIX)
    server.admin.hset(keys.audiences(), "Bulk", 0)
    server.admin.hset(keys.segment_names(), "1", '{"name": "Ours"}')
    with server.client("dashboard") as client:
        rows = StateRows(RedisState(client, keys), "Trade")
        assert rows.partitions() == 0
        assert rows.read(0, range(1024)).batch.num_rows == 0
        assert RedisState(client, keys).number_audiences(()) == {"Bulk": 0}
        assert own_names(RedisState(client, keys))[1].name == "Ours"
        ledger = RedisLedger(client, keys, 2)
        assert (ledger.kept("crm"), ledger.letters("crm", 0, 9), ledger.find("crm", "0:1")) == (Kept(), [], None)
    server.admin.delete(keys.audiences(), keys.segment_names())


def test_the_producer_only_publishes(server):
    with server.client("producer") as client:
        client.xadd("livesegments-log:{customer-events}", {"v": "x"})
        for key in (Keys(PREFIX).customer("c"), Keys(PREFIX).rows(0, 1), "livesegments-log:{dead-letters}"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.xadd(key, {"v": "x"})
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.delete("livesegments-log:{customer-events}")


def test_webhooks_are_told_and_nothing_else_is_done(server):
    keys = Keys(PREFIX)
    names = b'{"v": 1, "as_of": "2026-01-01T00:00:00Z", "model_version": 1, "segments": []}'
    server.admin.set(keys.segments(), names)
    with server.client("webhooks") as client:
        ledger = RedisLedger(client, keys, 2)
        ledger.begin("crm", "log", {0: 0})
        letters = [Letter(0, n, n, 1) for n in range(5)]
        ledger.advance("crm", Step("a", "log", 1, {0: 9}, letters=letters))
        assert ledger.ask_again("crm", ["0:4"]) == 1
        assert [one.id for one in ledger.take("crm", 9, 1, 2)] == ["0:4"]
        assert [one.position for one in ledger.letters("crm", 0, 9)] == [3]
        assert ledger.find("crm", "0:3") == letters[3]
        assert ledger.drop("crm", None) == 2
        ledger.begin("crm", "another", {0: 0})
        assert ledger.kept("crm").identity == "another"
        assert client.get(keys.segments()) == names
        for command in ("GETSET", "APPEND"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(command, keys.segments(), "x")
        for key in (keys.customer("c"), keys.rows(0, 1), keys.model(), keys.audiences(), "session:1"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.hget(key, "f")
    server.admin.delete(keys.segments())
    (line,) = [one for one in printed("--log-url", "kafka://k:1") if "-webhooks " in one]
    assert not {"+set", "+del", "+xread"} & set(line.split()), "these are for the lease of a log in Redis"


def test_webhooks_follow_changes_and_delete_none(server):
    """Where the log is in Redis, too; 6.2 can not allow a command for the lease alone (docs/security.md)."""
    keys, names = Keys(PREFIX), LogNames()
    stream = f"livesegments-log:{{{names.changes}}}"
    logs = RedisLogs(server.local.url)
    logs.create(LogSpec(names.changes))
    server.admin.set(keys.segments(), b"{}")
    with closing(logs), closing(logs.writer()) as writer:
        writer.append(names.changes, b"c", b"moved").result(30)
    following = RedisLogs(server.url("webhooks"))
    reader = following.reader(names.changes, "told")
    assert reader.poll(0.5).assigned == {0}
    reader.seek(0, None)
    [batch] = reader.poll(0.5).batches
    assert batch.values == [b"moved"]
    with server.client("webhooks") as client:
        refused = [("XADD", stream, "*", "v", "x"), ("XTRIM", stream, "MAXLEN", "0")]
        if int(server.admin.info("server")["redis_version"].split(".")[0]) >= 7:
            refused += [("SET", keys.segments(), "x"), ("DEL", keys.segments()), ("DEL", stream)]
            refused += [("HSET", f"{stream}:meta", "identity", "x"), ("DEL", f"{keys.prefix}:{{webhook-crm}}")]
        for command in refused:
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)
    reader.close()
    following.close()
    assert not server.admin.exists(f"{stream}:lease:told"), "given back"
    server.admin.delete(keys.segments(), stream, f"{stream}:meta")


def test_the_worker_sees_how_the_server_is_set_up(server):
    with server.client("worker") as client:
        state = RedisState(client, Keys(PREFIX))
        assert state.warnings() == []
        server.admin.config_set("maxmemory-policy", "allkeys-lru")
        try:
            assert "evicts keys (allkeys-lru)" in " ".join(state.warnings())
        finally:
            server.admin.config_set("maxmemory-policy", "noeviction")


def test_a_wrong_password_opens_nothing(server):
    with (
        CustomerReader(server.url("reader").replace("@", "x@"), PREFIX) as reader,
        pytest.raises(ViewsUnavailableError) as said,
    ):
        reader.get("c")
    assert server.passwords["reader"] not in str(said.value)


def test_what_is_not_filled_in_is_not_accepted(server):
    for line in printed():
        with pytest.raises(redis.exceptions.ResponseError):
            server.admin.execute_command(*line.split())


def test_lines_of_a_file_are_read_at_start(tmp_path):
    binary = find_redis_server() or missing("no redis-server")
    lines = printed("--file", "--passwords", str(tmp_path / "passwords"))
    (tmp_path / "users.acl").write_text("\n".join(lines) + "\n")
    with (
        LocalRedis(binary, {"aclfile": str(tmp_path / "users.acl")}) as local,
        redis.Redis.from_url(local.url) as client,
    ):
        assert {f"{PREFIX}-{role}" for role in ROLES} <= {
            each.decode() if isinstance(each, bytes) else each for each in client.acl_users()
        }


@given(st.text(st.sampled_from("ab*?[]\\^-"), max_size=6), st.text(st.sampled_from("ab*?[]\\^-"), max_size=6))
def test_an_escaped_text_matches_itself_alone(empty, text, other):
    """By Redis' own matching, as SCAN uses it, too."""
    matches = empty.eval(MATCHING, 2, "k" + text, "k" + other, "k" + literal(text))
    assert matches == [1, int(text == other)]


MATCHING = """
local found = {}
for n = 1, 2 do
  redis.call('SET', KEYS[n], '1')
  local at, hit = '0', 0
  repeat
    local page = redis.call('SCAN', at, 'MATCH', ARGV[1], 'COUNT', 10000)
    at = page[1]
    for _, key in ipairs(page[2]) do
      if key == KEYS[n] then hit = 1 end
    end
  until at == '0'
  found[n] = hit
  redis.call('DEL', KEYS[n])
end
return found
"""


@pytest.mark.parametrize(
    ("content", "says"), [("worker secret\n", "no password for"), ("worker a b c\n", "can not be read")]
)
def test_a_file_of_passwords_that_is_not_one_is_named(tmp_path, content, says):
    file = tmp_path / "passwords"
    file.write_text(content)
    command = [sys.executable, "-m", "livesegments", "acl", "--passwords", str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert says in done.stderr
    assert "secret" not in done.stderr
    assert done.stdout == ""
    assert file.read_text() == content
