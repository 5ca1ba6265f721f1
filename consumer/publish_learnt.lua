-- Makes what was learnt (about items, or for forecasts) the current model, unless a later leader has published or it is
-- not newer.
-- KEYS: the item model or the forecast (hash: leader, version, model; memory, where there is one).
-- ARGV: leader number, version, model, and what the next review goes on from, where there is such. A repeated publication, after a lost reply, says yes again.
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
if ARGV[4] then
  redis.call('HSET', KEYS[1], 'memory', ARGV[4])
end
return 1
