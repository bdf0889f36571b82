-- KEYS[10]: audit events; [11]: erased jobs; [12]: the aliases of this job; [13]: the newest job over its image.
-- ARGV: ref, audit event or '', seconds until the blobs are erased once more.
-- Forgets the job, whatever its state; a worker that holds it finds none. Returns 1 if the ledger held it.
local KEY_ERASED, KEY_ALIASES, KEY_IMAGE = KEYS[11], KEYS[12], KEYS[13]
local ID = string.match(REF, '[^/]+$')

local function free(alias)
  if redis.call('HMGET', alias, 'job')[1] == ID then redis.call('DEL', alias) end
end

local found = load_job()
if found and not is_over() then
  count_live(-1)
  count_ended()
  for _, stage in ipairs(STAGES) do redis.call('ZREM', WORK .. stage .. ':' .. J.priority, REF) end
end
for _, alias in ipairs(redis.call('HGETALL', KEY_ALIASES)) do
  if alias ~= '1' then free(alias) end
end
free(KEY_IMAGE)
redis.call('DEL', KEY_JOB, KEY_ALIASES)
redis.call('DEL', KEY_DELIVERY)
redis.call('ZREM', KEY_DELIVERIES, REF)
redis.call('ZREM', KEY_DUE, REF)
redis.call('ZREM', KEY_DEAD, REF)
if ARGV[2] ~= '' and not redis.call('ZSCORE', KEY_ERASED, REF) then redis.call('RPUSH', KEYS[10], ARGV[2]) end
redis.call('ZADD', KEY_ERASED, NOW + tonumber(ARGV[3]), REF)
redis.call('PUBLISH', CHANGES .. REF, 'erased')
if J.batch then redis.call('PUBLISH', CHANGES .. TENANT .. '/' .. J.batch, 'erased') end
return found and 1 or 0
