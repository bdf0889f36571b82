#!lua flags=allow-oom
-- KEYS: due deliveries, one delivery. ARGV: ref, url, event. Makes a delivery due, unless it is there; 1 if it was not.
if redis.call('HGET', KEYS[2], 'state') then return 0 end
local clock = redis.call('TIME')
redis.call('HSET', KEYS[2], 'url', ARGV[2], 'event', ARGV[3], 'state', 'pending')
redis.call('ZADD', KEYS[1], string.format('%.6f', tonumber(clock[1]) + tonumber(clock[2]) / 1e6), ARGV[1])
return 1
