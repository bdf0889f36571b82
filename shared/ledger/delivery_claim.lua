#!lua flags=allow-oom
-- KEYS: due deliveries, one delivery. ARGV: ref, token, seconds. Takes a due delivery under a lease of so many seconds;
-- its fields, or nothing where there is nothing to do. Who dies with it leaves it to the next, when the lease is over.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due then return {} end
local delivery = redis.call('HGETALL', KEYS[2])
if #delivery == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  return {}
end
-- The same token again: a repeat after a lost reply.
if redis.call('HGET', KEYS[2], 'token') == ARGV[2] then return delivery end
if tonumber(due) > now then return {} end
redis.call('ZADD', KEYS[1], string.format('%.6f', now + ARGV[3]), ARGV[1])
redis.call('HSET', KEYS[2], 'token', ARGV[2])
return delivery
