-- Dead letters to be tried again, or to be forgotten. KEYS as in advance.lua. ARGV: again or drop, then ids.
local letters, again, about = KEYS[2], KEYS[3], KEYS[4]
local moved = 0
for place = 2, #ARGV do
  local id = ARGV[place]
  local found = redis.call('ZREM', letters, id)
  if ARGV[1] == 'again' then
    if found == 1 then
      redis.call('ZADD', again, 0, id)
    end
  else
    found = found + redis.call('ZREM', again, id)
    redis.call('HDEL', about, id)
  end
  moved = moved + found
end
return moved
