-- Replaces what the next review of forecasts goes on from, or takes out the document with it, unless a later leader has
-- published or another version is in force. The version stays: whoever looks ahead by the document goes on with it.
-- KEYS: the forecast (hash: leader, version, model, memory).
-- ARGV: leader number, version, and what to go on from; without it document and memory are taken out.
local said = redis.call('HMGET', KEYS[1], 'leader', 'version')
if tonumber(ARGV[1]) < tonumber(said[1] or '0') or tonumber(ARGV[2]) ~= tonumber(said[2] or '0') then
  return 0
end
redis.call('HSET', KEYS[1], 'leader', ARGV[1])
if ARGV[3] then
  redis.call('HSET', KEYS[1], 'memory', ARGV[3])
else
  redis.call('HDEL', KEYS[1], 'model', 'memory')
end
return 1
