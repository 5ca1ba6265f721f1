-- Makes ARGV[1] the owner of the partition whose meta hash is KEYS[1], if it was claimed ARGV[2] times before.
-- The number of its claim is above ARGV[3], too.
-- A claim that arrives again, after a lost reply, changes nothing; one that arrives after another's claim is refused.
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner ~= ARGV[1] then
  local claims = tonumber(redis.call('HGET', KEYS[1], 'claims') or '0')
  if claims ~= tonumber(ARGV[2]) then
    return false
  end
  redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'claims', math.max(claims, tonumber(ARGV[3])) + 1)
end
return redis.call('HGETALL', KEYS[1])
