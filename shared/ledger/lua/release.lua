-- ARGV: ref, stage, token, detail. Gives a stage back after an unexpected error: tried again after a pause
-- (the reaper publishes it), or dead-lettered once it was delivered often enough.
local stage, token = ARGV[2], ARGV[3]
if not load_job() or not holds(stage, token) then return 'late' end
local deliveries = number(stage .. '.deliveries')
if deliveries >= KNOB.max_deliveries then
  dead_letter(stage, 'internal_error', ARGV[4])
  commit()
  return 'dead'
end
step_stage(stage, 'pending')
set(stage .. '.published_at', 0)
set(stage .. '.look_at', NOW + KNOB.retry_pause_s * 2 ^ (deliveries - 1))
commit()
return 'released'
