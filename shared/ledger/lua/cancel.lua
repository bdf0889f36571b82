-- KEYS[10]: audit events. ARGV: ref, audit event or ''. Returns the job as it then stands, or nothing when there is none.
if not load_job() then return {} end
if not is_over() then
  end_job('cancelled')
  commit()
  if ARGV[2] ~= '' then redis.call('RPUSH', KEYS[10], ARGV[2]) end
end
return whole_job()
