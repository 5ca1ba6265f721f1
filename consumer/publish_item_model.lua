-- Makes what was learnt about items the current item model, unless a later leader has published or it is not newer.
-- KEYS: the item model (hash: leader, version, model).
-- ARGV: leader number, version, model. A repeated publication, after a lost reply, says yes again.
local said = redis.call('HMGET', KEYS[1], 'leader', 'version')
local leader = tonumber(said[1] or '0')
local version = tonumber(said[2] or '0')
if tonumber(ARGV[1]) < leader then
  return 0
end
if tonumber(ARGV[2]) == version and tonumber(ARGV[1]) == leader then
  return redis.call('HGET', KEYS[1], 'model') == ARGV[3] and 1 or 0
end
if tonumber(ARGV[2]) <= version then
  return 0
end
redis.call('HSET', KEYS[1], 'leader', ARGV[1], 'version', ARGV[2], 'model', ARGV[3])
return 1
