-- Makes a model document the current one, unless a later leader has published or the version is not the next one.
-- KEYS: the fence (hash: leader, version), the current document; both lie in one slot.
-- ARGV: leader number, version, document. A repeated publication, after a lost reply, says yes again.
-- Where nothing was published, or all of it was lost, any version may be the first. Where the fence is missing (it had
-- another name once), the document says its version.
local fence = redis.call('HMGET', KEYS[1], 'leader', 'version')
local leader = tonumber(fence[1] or '0')
local version = tonumber(fence[2] or '0')
if not fence[2] then
  local fine, current = pcall(cjson.decode, redis.call('GET', KEYS[2]) or '')
  version = fine and type(current) == 'table' and tonumber(current.version) or 0
end
if tonumber(ARGV[1]) < leader then
  return 0
end
if tonumber(ARGV[2]) == version and tonumber(ARGV[1]) == leader then
  return redis.call('GET', KEYS[2]) == ARGV[3] and 1 or 0
end
if version > 0 and tonumber(ARGV[2]) ~= version + 1 then
  return 0
end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[1], 'leader', ARGV[1], 'version', ARGV[2])
return 1
