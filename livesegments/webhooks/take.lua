-- Some letters to be tried again, which nobody else takes for a while. KEYS as in advance.lua.
-- ARGV: how many, now, until when. Answers id, what is known of it, …
local again, about = KEYS[3], KEYS[4]
local answer = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', again, '-inf', ARGV[2], 'LIMIT', 0, ARGV[1])) do
  redis.call('ZADD', again, ARGV[3], id)
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call('HGET', about, id) or ''
end
return answer
