#!lua flags=allow-oom
-- KEYS: due deliveries, one delivery. ARGV: ref, token, attempt (JSON), state, seconds until it is due again.
-- Records an attempt and gives the delivery back; 0 where the caller does not hold it (any more).
if redis.call('HGET', KEYS[2], 'token') ~= ARGV[2] then return 0 end
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local attempts = redis.call('HGET', KEYS[2], 'attempts') or ''
local tries = tonumber(redis.call('HGET', KEYS[2], 'tries') or '0') + 1
redis.call('HSET', KEYS[2], 'token', '', 'state', ARGV[4], 'attempts', attempts .. ARGV[3] .. '\n', 'tries', tries)
redis.call('ZADD', KEYS[1], string.format('%.6f', now + ARGV[5]), ARGV[1])
return 1
