-- ARGV: ref, stage, token. Gives a stage back without blame: tried again after a longer pause, for as long as the job
-- may live. The delivery is taken off the count, so that an outage makes no job look like poison.
local PAUSES = 5
local stage, token = ARGV[2], ARGV[3]
if not load_job() or not holds(stage, token) then return 'late' end
step_stage(stage, 'pending')
set(stage .. '.deliveries', string.format('%d', number(stage .. '.deliveries') - 1))
mark_unpublished(stage, NOW + KNOB.retry_pause_s * PAUSES)
count('put_off:' .. stage)
commit()
return 'released'
