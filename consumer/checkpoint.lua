-- Writes a list of commands if the caller owns the partition and this is its next checkpoint.
-- KEYS: 1 the partition's meta hash, then every other key that is written.
-- ARGV: owner token, sequence number, fingerprint of the content, then commands:
--   name, place of the key in KEYS, number of arguments, arguments.
-- The last command writes the meta fields: an error before it rolls nothing back, and then the number still says that
-- the checkpoint is not done. All commands are absolute, so doing them again is harmless.
local meta = redis.call('HMGET', KEYS[1], 'owner', 'seq', 'content')
if not meta[1] and not meta[2] then
  return 'behind'
end
if meta[1] ~= ARGV[1] then
  return 'conflict'
end
local seq = tonumber(meta[2] or '0')
if seq == tonumber(ARGV[2]) then
  if meta[3] == ARGV[3] then
    return 'already'
  end
  return 'diverged'
end
if seq + 1 < tonumber(ARGV[2]) then
  return 'behind'
end
if seq + 1 ~= tonumber(ARGV[2]) then
  return 'conflict'
end
local i = 4
while i <= #ARGV do
  local count = tonumber(ARGV[i + 2])
  redis.call(ARGV[i], KEYS[tonumber(ARGV[i + 1])], unpack(ARGV, i + 3, i + 2 + count))
  i = i + 3 + count
end
return 'written'
