-- ARGV: ref, gemini state ('pending' or 'skipped'), gemini reading or '', then field, value, ...
-- Repeating it (a lost reply) changes nothing: job ids are never made twice.
if load_job() then return whole_job() end
for i = 4, #ARGV, 2 do set(ARGV[i], ARGV[i + 1]) end
set('state', 'queued')
set('version', '0')
set('created_at', NOW)
set('deadline_at', NOW + KNOB.job_deadline_s)
set('ml.state', 'pending')
mark_published('ml')
set('gemini.state', ARGV[2])
if ARGV[2] == 'pending' then mark_published('gemini') else set('gemini.reading', ARGV[3]) end
set('fusion.state', 'waiting')
commit()
return whole_job()
