-- One step of an endpoint. KEYS: what is kept, dead letters, those to be tried again, what is known of both.
-- ARGV: the step as JSON, how many dead letters are kept. Answers how many are to be tried again; -1: another log.
local kept, letters, again, about = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local step = cjson.decode(ARGV[1])
local most = tonumber(ARGV[2])
if redis.call('HGET', kept, 'identity') ~= step.identity then
  return -1
end
-- Positions are whole numbers of any length, as decimal texts without zeros before them.
local function before(a, b)
  if #a ~= #b then
    return #a < #b
  end
  return a < b
end
local repeated = redis.call('HGET', kept, 'call') == step.call
for _, one in ipairs(step.positions) do
  local field = 'position:' .. one[1]
  local stored = redis.call('HGET', kept, field)
  if not stored or before(stored, one[2]) then
    redis.call('HSET', kept, field, one[2])
    if one[3] > 0 then
      redis.call('HINCRBY', kept, 'lost', one[3])
    end
  end
end
local given_up = #step.letters
for _, one in ipairs(step.returned) do
  -- One that somebody dropped meanwhile stays dropped.
  if redis.call('ZREM', again, one[1]) == 1 then
    redis.call('ZADD', letters, one[2], one[1])
    redis.call('HSET', about, one[1], one[3])
  end
end
for _, one in ipairs(step.letters) do
  redis.call('ZREM', again, one[1])
  redis.call('ZADD', letters, one[2], one[1])
  redis.call('HSET', about, one[1], one[3])
end
for _, id in ipairs(step.settled) do
  redis.call('ZREM', again, id)
  redis.call('ZREM', letters, id)
  redis.call('HDEL', about, id)
end
local beyond = redis.call('ZCARD', letters) - most
if beyond > 0 then
  for _, id in ipairs(redis.call('ZRANGE', letters, 0, beyond - 1)) do
    redis.call('ZREM', letters, id)
    redis.call('HDEL', about, id)
  end
  redis.call('HINCRBY', kept, 'dropped', beyond)
end
if not repeated then
  redis.call('HINCRBY', kept, 'delivered', step.delivered)
  redis.call('HINCRBY', kept, 'given_up', given_up)
end
redis.call('HSET', kept, 'call', step.call, 'seen_at', step.at, 'failing_since', step.failing_since)
if step.delivered_at ~= '' then
  redis.call('HSET', kept, 'delivered_at', step.delivered_at)
end
redis.call('HSET', kept, 'status', step.status, 'error', step.error)
return redis.call('ZCARD', again)
