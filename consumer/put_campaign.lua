-- Replaces a campaign's document where it still is what it was read as; "" stands for none.
-- KEYS: campaigns. ARGV: name, document, before. Returns 1 where it stands now: also a repeated call's own.
local stands = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if stands ~= ARGV[3] and stands ~= ARGV[2] then
  return 0
end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 1
