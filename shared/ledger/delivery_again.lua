-- KEYS: due deliveries, one delivery. ARGV: ref; and of one that has left the ledger: url, event, attempts.
-- Makes a delivery due at once, with all its tries before it; one that is being sent is left to that. 0: there is none.
-- Not with the right to go over the memory limit: nobody waits for this as for a job.
if redis.call('EXISTS', KEYS[2]) == 0 then
  if not ARGV[2] then return 0 end
  redis.call('HSET', KEYS[2], 'url', ARGV[2], 'event', ARGV[3], 'attempts', ARGV[4])
end
local token = redis.call('HMGET', KEYS[2], 'token')[1]
if token and token ~= '' then return 1 end
local clock = redis.call('TIME')
redis.call('HSET', KEYS[2], 'state', 'pending', 'tries', 0)
redis.call('ZADD', KEYS[1], string.format('%.6f', tonumber(clock[1]) + tonumber(clock[2]) / 1e6), ARGV[1])
return 1
