-- Writes documents that expire ARGV[1] milliseconds from now: KEYS[n] is to be ARGV[n + 1].
-- One command for many: what a client and a server do for each command costs more than what the command does.
for n = 1, #KEYS do
  redis.call('SET', KEYS[n], ARGV[n + 1], 'PX', ARGV[1])
end
