-- ARGV: ref, milliseconds. The finished job is in the blob store: keep this copy as a short cache only.
-- Returns 1 to the first who says so, 0 to others.
if not load_job() or not is_over() then return 0 end
redis.call('PEXPIRE', KEY_JOB, ARGV[2])
return redis.call('ZREM', KEY_DUE, REF)
