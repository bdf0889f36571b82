-- ARGV: ref, token, result, why it rests on the ML reading alone or ''. The only way to 'completed'; returns the finished job, or nothing when too late.
local token = ARGV[2]
if not load_job() then return {} end
if J.state == 'completed' and J['fusion.token'] == token then return whole_job() end
if not holds('fusion', token) then
  count('late:fusion')
  return {}
end
step_stage('fusion', 'done')
set('fusion.settled_at', NOW)
set('result', ARGV[3])
end_job('completed')
if ARGV[4] ~= '' then count('fallback:' .. ARGV[4]) end
-- The caller archives it next; the reaper does if the caller dies first.
commit(NOW + KNOB.archive_after_s)
return whole_job()
