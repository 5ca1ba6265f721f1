-- Begins an endpoint on a log, or goes on. KEYS as in advance.lua. ARGV: the log's identity, then partition, position, …
local kept, letters, again, about = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local identity = redis.call('HGET', kept, 'identity')
if identity ~= ARGV[1] then
  if identity then
    redis.call('HINCRBY', kept, 'dropped', redis.call('ZCARD', letters) + redis.call('ZCARD', again))
    redis.call('ZREMRANGEBYRANK', letters, 0, -1)
    redis.call('ZREMRANGEBYRANK', again, 0, -1)
    for _, id in ipairs(redis.call('HKEYS', about)) do
      redis.call('HDEL', about, id)
    end
    for _, field in ipairs(redis.call('HKEYS', kept)) do
      if string.sub(field, 1, 9) == 'position:' then
        redis.call('HDEL', kept, field)
      end
    end
  end
  redis.call('HSET', kept, 'identity', ARGV[1])
end
for place = 2, #ARGV, 2 do
  redis.call('HSETNX', kept, 'position:' .. ARGV[place], ARGV[place + 1])
end
return 1
