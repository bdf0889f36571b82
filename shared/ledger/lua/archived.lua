-- KEYS[10]: the last readings of the model, if it has one. ARGV: ref, milliseconds, its reading for them, how many are
-- kept, and for how many milliseconds after the last one. The finished job is in the blob store: keep this copy as a short cache only.
-- Returns 1 to the first who says so, 0 to others.
if not load_job() or not is_over() then return 0 end
redis.call('PEXPIRE', KEY_JOB, ARGV[2])
if redis.call('ZREM', KEY_DUE, REF) == 0 then return 0 end
if KEYS[10] then
  local kept = tonumber(ARGV[4])
  local held = redis.call('LPUSH', KEYS[10], ARGV[3])
  if held == 1 or held > 1.1 * kept then
    redis.call('LTRIM', KEYS[10], 0, kept - 1)
    redis.call('PEXPIRE', KEYS[10], ARGV[5])
  end
end
return 1
