-- KEYS[10]: audit events. ARGV: ref, limits (4), gemini state ('pending' or 'skipped'), gemini reading or '',
-- audit event or '', then field, value, ...
-- Returns the job, or the name of the limit that allows no further one.
-- Repeating it (a lost reply) changes nothing: job ids are never made twice.
if load_job() then return whole_job() end
local reached = limit_reached()
if reached then return reached end
count_live(1)
if PER_DAY then spend_today(KEY_SPENT, clock[1] * 1e6 + clock[2], 1) end
for i = 9, #ARGV, 2 do set(ARGV[i], ARGV[i + 1]) end
set('state', 'queued')
set('version', '0')
set('created_at', NOW)
set('deadline_at', NOW + KNOB.job_deadline_s)
set('ml.state', 'pending')
mark_published('ml')
set('gemini.state', ARGV[6])
if ARGV[6] == 'pending' then mark_published('gemini') else set('gemini.reading', ARGV[7]) end
set('fusion.state', 'waiting')
commit()
if ARGV[8] ~= '' then redis.call('RPUSH', KEYS[10], ARGV[8]) end
return whole_job()
