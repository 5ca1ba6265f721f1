-- Takes, renews or, with 0 milliseconds, gives back the lease of a group's only reader.
--   KEYS: lease      ARGV: the reader's token, milliseconds
-- Returns 'renewed', 'taken' (nobody held it: whoever renews a lease that ran out may have missed another holder) or
-- 'other'.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 'other'
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return 'given back'
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return holder and 'renewed' or 'taken'
