-- Makes a model document the current one, unless a later leader has published or the version is not the next one.
-- KEYS: the fence (hash: leader, version), the current document, the document under its version.
-- ARGV: leader number, version, document. A repeated publication, after a lost reply, says yes again.
local fence = redis.call('HMGET', KEYS[1], 'leader', 'version')
local leader = tonumber(fence[1] or '0')
local version = tonumber(fence[2] or '0')
if tonumber(ARGV[1]) < leader then
  return 0
end
if tonumber(ARGV[2]) == version and tonumber(ARGV[1]) == leader then
  return redis.call('GET', KEYS[2]) == ARGV[3] and 1 or 0
end
if tonumber(ARGV[2]) ~= version + 1 then
  return 0
end
redis.call('SET', KEYS[3], ARGV[3])
redis.call('SET', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[1], 'leader', ARGV[1], 'version', ARGV[2])
return 1
