-- Appends records to a stream, unless this producer's number says that they stand there already:
-- redis-py repeats a command whose reply was lost.
--   KEYS: stream, meta, last write of this producer
--   ARGV: number of this write, seconds to remember it, count of records, then per record key, value, headers
--         (an empty key or headers means none)
-- Returns {ms, n}: record i, from 0, has the entry id ms-(n + i). The second half of an id counts the records of the
-- log since its beginning, so that the difference of two is a lag.
if redis.call('EXISTS', KEYS[2]) == 0 then
  return redis.error_reply('NOLOG')
end
local before = redis.call('HMGET', KEYS[3], 'number', 'ms', 'n')
if before[1] == ARGV[1] then
  return {before[2], before[3]}
end

local time = redis.call('TIME')
local ms, n = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), 0
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      local last_ms, last_n = string.match(info[i + 1], '^(%d+)-(%d+)$')
      ms, n = math.max(ms, tonumber(last_ms)), tonumber(last_n) + 1
    end
  end
end

local ms_text = string.format('%.0f', ms)
for i = 0, tonumber(ARGV[3]) - 1 do
  local key, value, headers = ARGV[4 + 3 * i], ARGV[5 + 3 * i], ARGV[6 + 3 * i]
  local entry = {'v', value}
  if key ~= '' then
    entry[#entry + 1] = 'k'
    entry[#entry + 1] = key
  end
  if headers ~= '' then
    entry[#entry + 1] = 'h'
    entry[#entry + 1] = headers
  end
  redis.call('XADD', KEYS[1], ms_text .. '-' .. string.format('%.0f', n + i), unpack(entry))
end

local retention = redis.call('HGET', KEYS[2], 'retention_ms')
if retention and retention ~= '' then
  redis.call('XTRIM', KEYS[1], 'MINID', '~', string.format('%.0f', math.max(0, ms - tonumber(retention))))
end
local first = string.format('%.0f', n)
redis.call('HSET', KEYS[3], 'number', ARGV[1], 'ms', ms_text, 'n', first)
redis.call('EXPIRE', KEYS[3], ARGV[2])
return {ms_text, first}
