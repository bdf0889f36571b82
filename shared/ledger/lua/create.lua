-- KEYS[12]: audit events; [13]: the newest job over this image and model; [14]: the aliases of this job; [15]: the
-- alias that the submission brings, if any.
-- ARGV: ref, limits (4), gemini state ('pending' or 'skipped'), gemini reading or '', audit event or '', fingerprint,
-- '1' to take a job over the same image, job id that is gone or '', milliseconds that an alias and that an image is
-- remembered, then field, value, ...
-- Returns 'created' and the job, 'refused' and the limit that allows no further one, or 'same' or 'other' and the id of
-- the job that the alias or the image stands for.
-- Repeating it (a lost reply) changes nothing: job ids are never made twice.
local KEY_IMAGE, KEY_ALIASES, KEY_ALIAS = KEYS[13], KEYS[14], KEYS[15]
local FINGERPRINT, DEDUPLICATE, GONE, ALIAS_MS, IMAGE_MS = ARGV[9], ARGV[10] == '1', ARGV[11], ARGV[12], ARGV[13]
local FIRST_FIELD = 14
local ID = string.match(REF, '[^/]+$')
local JOB_PREFIX = string.sub(KEY_JOB, 1, #KEY_JOB - #ID)

local function remember(key, key_of_job, id)
  redis.call('HSET', key, 'job', id, 'fingerprint', FINGERPRINT)
  redis.call('PEXPIRE', key, ALIAS_MS)
  redis.call('HSET', key_of_job, key, '1')
  redis.call('PEXPIRE', key_of_job, ALIAS_MS)
end

-- The job over the same image, if it is still here and of use. Its key is found in a value, which no cluster of
-- servers would allow; the ledger is one server.
local function same_image()
  local id = redis.call('HMGET', KEY_IMAGE, 'job')[1]
  local state = id and redis.call('HMGET', JOB_PREFIX .. id, 'state')[1]
  if state and (state == 'completed' or not TERMINAL[state]) then return id end
end

if load_job() then return {'created', whole_job()} end
if KEY_ALIAS then
  local known = redis.call('HMGET', KEY_ALIAS, 'job', 'fingerprint')
  if known[1] and known[1] ~= GONE then return {known[2] == FINGERPRINT and 'same' or 'other', known[1]} end
end
local twin = DEDUPLICATE and same_image()
if twin then
  if KEY_ALIAS then remember(KEY_ALIAS, string.sub(KEY_ALIASES, 1, #KEY_ALIASES - #ID) .. twin, twin) end
  return {'same', twin}
end
local reached = limit_reached()
if reached then return {'refused', reached} end
if KEY_ALIAS then remember(KEY_ALIAS, KEY_ALIASES, ID) end
redis.call('HSET', KEY_IMAGE, 'job', ID)
redis.call('PEXPIRE', KEY_IMAGE, IMAGE_MS)
count_live(1)
if PER_DAY then spend_today(KEY_SPENT, clock[1] * 1e6 + clock[2], 1) end
for i = FIRST_FIELD, #ARGV, 2 do set(ARGV[i], ARGV[i + 1]) end
set('state', 'queued')
set('version', '0')
set('created_at', NOW)
set('deadline_at', NOW + KNOB.job_deadline_s)
set('ml.state', 'pending')
mark_published('ml')
set('gemini.state', ARGV[6])
moved.ml, moved.gemini = true, ARGV[6] == 'pending' or nil
if ARGV[6] == 'pending' then mark_published('gemini') else set('gemini.reading', ARGV[7]) end
set('fusion.state', 'waiting')
commit()
if ARGV[8] ~= '' then redis.call('RPUSH', KEYS[12], ARGV[8]) end
return {'created', whole_job()}
