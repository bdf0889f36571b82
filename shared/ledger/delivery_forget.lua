#!lua flags=allow-oom
-- KEYS: due deliveries, one delivery. ARGV: ref, '1' whatever its state. Drops a delivery that has ended.
if ARGV[2] ~= '1' and redis.call('HGET', KEYS[2], 'state') == 'pending' then return 0 end
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
