-- Writes a part of the public documents of the catalogue, unless a later leader has written, or somebody else meanwhile.
-- KEYS: the fence (number of the last leader), the items (hash), what is withdrawn (JSON), the version.
-- ARGV: leader number, version that must be there, version to be there after, JSON of what is withdrawn (empty: leave
-- it), number of fields and values to set, these, then the fields to delete. A repetition changes nothing.
if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[1]) or '0') then
  return 0
end
local version = redis.call('GET', KEYS[4]) or '0'
if version ~= ARGV[2] and version ~= ARGV[3] then
  return 0
end
local sets = tonumber(ARGV[5])
if sets > 0 then
  redis.call('HSET', KEYS[2], unpack(ARGV, 6, 5 + sets))
end
if #ARGV > 5 + sets then
  redis.call('HDEL', KEYS[2], unpack(ARGV, 6 + sets))
end
if ARGV[4] ~= '' then
  redis.call('SET', KEYS[3], ARGV[4])
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SET', KEYS[4], ARGV[3])
return 1
