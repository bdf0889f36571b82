-- ARGV: ref, stage, token, problem, reading. Ends the job at once: another try would give the same.
local stage, token = ARGV[2], ARGV[3]
local found = load_job()
if found and J.state == 'failed' and J[stage .. '.token'] == token and J[stage .. '.reading'] == ARGV[5] then
  -- A repeat after a lost reply.
  return 'failed'
end
if not found or not holds(stage, token) then return 'late' end
settle(stage, 'unavailable', ARGV[5])
end_job('failed', ARGV[4])
commit()
return 'failed'
