-- Refuses from now on what leaders with lower numbers publish. KEYS[1]: the model's fence. ARGV[1]: the leader's number.
if tonumber(redis.call('HGET', KEYS[1], 'leader') or '0') < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'leader', ARGV[1])
end
return 1
