-- ARGV: ref, stage, token, problem, reading. Ends the job at once: another try would give the same.
local stage, token = ARGV[2], ARGV[3]
if not load_job() or not holds(stage, token) then return 'late' end
settle(stage, 'unavailable', ARGV[5])
end_job('failed', ARGV[4])
commit()
return 'failed'
