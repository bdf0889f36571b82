-- ARGV: ref, stage, token, reason, detail. Gives a stage back after an unexpected error: tried again after a pause
-- (the reaper publishes it), or given up for that reason once it was delivered often enough.
local stage, token = ARGV[2], ARGV[3]
if not load_job() or not holds(stage, token) then return 'late' end
local deliveries = number(stage .. '.deliveries')
if deliveries < KNOB.max_deliveries then
  step_stage(stage, 'pending')
  mark_unpublished(stage, NOW + KNOB.retry_pause_s * 2 ^ (deliveries - 1))
  commit()
  return 'released'
end
if stage == 'gemini' then
  -- A result can do without it. Who gives back publishes nothing, so fusion is left to the reaper, due at once.
  fall_back(ARGV[4], ARGV[5])
  if open_fusion() then mark_unpublished('fusion', NOW) end
  commit()
  return 'unavailable'
end
dead_letter(stage, ARGV[4], ARGV[5])
commit()
return 'dead'
