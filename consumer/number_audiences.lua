-- Gives every name in ARGV the next number in the hash KEYS[1], unless it has one; answers with all names and numbers.
for _, name in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[1], name) == 0 then
    redis.call('HSET', KEYS[1], name, redis.call('HLEN', KEYS[1]))
  end
end
return redis.call('HGETALL', KEYS[1])
