-- Shared by every script; scripts.py puts the generated tables JOB, STAGE, TERMINAL, SETTLED and KNOB, CHANGES and WORK before it.
-- Time is this server's alone, so the clocks of gateways and workers do not matter.

local KEY_JOB, KEY_DUE, KEY_DEAD, KEY_COUNTERS, KEY_WATERMARKS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local KEY_LIVE, KEY_DRAIN = KEYS[6], KEYS[7]
local KEY_DELIVERIES, KEY_DELIVERY = KEYS[8], KEYS[9]
local REF = ARGV[1]
local TENANT = string.match(REF, '^[^/]+')
local STAGES = {'ml', 'gemini', 'fusion'}

local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local J = {}        -- the job as it will be after this script
local changes = {}  -- what to write, as HSET wants it
local moved = {}    -- stages whose place among the open work may be another after this script

local function load_job()
  local flat = redis.call('HGETALL', KEY_JOB)
  for i = 1, #flat, 2 do J[flat[i]] = flat[i + 1] end
  return J.state ~= nil
end

local function set(field, value)
  if type(value) == 'number' then value = string.format('%.6f', value) end
  J[field] = value
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end

local function number(field) return tonumber(J[field] or '0') end
local function stage_state(stage) return J[stage .. '.state'] end
local function count(what) redis.call('HINCRBY', KEY_COUNTERS, what, 1) end
local function is_over() return TERMINAL[J.state] == true end

-- Live jobs are counted at creation and at the end, and nowhere else; '*' is the whole house.
local function live(whose) return tonumber(redis.call('HGET', KEY_LIVE, whose) or '0') end

local function count_live(change)
  for _, whose in ipairs({'*', TENANT}) do
    if redis.call('HINCRBY', KEY_LIVE, whose, change) <= 0 then redis.call('HDEL', KEY_LIVE, whose) end
  end
end

-- How many jobs ended in each window of the last minute and a little more; what is older is forgotten.
local window = math.floor(NOW / DRAIN.window_s)
local function name_of(some_window) return string.format('%d', some_window) end

-- In this window and in the one before it.
local function ended_lately()
  local stored = redis.call('HMGET', KEY_DRAIN, name_of(window), name_of(window - 1))
  return tonumber(stored[1] or '0'), tonumber(stored[2] or '0')
end

local function count_ended()
  if redis.call('HINCRBY', KEY_DRAIN, name_of(window), 1) > 1 then return end
  -- The first of its window. One from the future was counted before the clock was set back.
  local kept = redis.call('HGETALL', KEY_DRAIN)
  for i = 1, #kept, 2 do
    local age = window - tonumber(kept[i])
    if age < 0 or age >= DRAIN.kept then redis.call('HDEL', KEY_DRAIN, kept[i]) end
  end
  redis.call('EXPIRE', KEY_DRAIN, DRAIN.kept * DRAIN.window_s)
end

-- The two gates that every change of state passes; a refusal here is a bug in a script, and nothing is written.
local function step_job(to)
  if not JOB[J.state][to] then error('refused: job ' .. J.state .. ' -> ' .. to) end
  set('state', to)
end

local function step_stage(stage, to)
  local from = stage_state(stage)
  if not STAGE[from][to] then error('refused: ' .. stage .. ' ' .. from .. ' -> ' .. to) end
  set(stage .. '.state', to)
  moved[stage] = true
end

-- Open work is in one sorted set a stage and priority: waiting since its score, or held since less that score.
local function waits_since(stage)
  if stage == 'fusion' then return math.max(number('ml.settled_at'), number('gemini.settled_at')) end
  return number('created_at')
end

local function place(stage)
  local key, state = WORK .. stage .. ':' .. J.priority, stage_state(stage)
  if not is_over() and state == 'pending' then
    redis.call('ZADD', key, string.format('%.6f', waits_since(stage)), REF)
  elseif not is_over() and state == 'claimed' then
    redis.call('ZADD', key, string.format('%.6f', -NOW), REF)
  else
    redis.call('ZREM', key, REF)
  end
end

-- Whoever ends a job takes what is open of it off the lists.
local function close_work()
  for _, stage in ipairs(STAGES) do
    local state = stage_state(stage)
    if state == 'pending' or state == 'claimed' then moved[stage] = true end
  end
end

-- A message for this stage is about to be in the queue.
local function mark_published(stage)
  set(stage .. '.published_at', NOW)
  set(stage .. '.look_at', NOW + KNOB.republish_after_s)
end

-- No message for this stage is out: the reaper publishes one from `at` on.
local function mark_unpublished(stage, at)
  set(stage .. '.published_at', 0)
  set(stage .. '.look_at', at)
end

-- Both readings settled: fusion may begin. True for exactly one caller.
local function open_fusion()
  if stage_state('fusion') ~= 'waiting' then return false end
  if not (SETTLED[stage_state('ml')] and SETTLED[stage_state('gemini')]) then return false end
  step_stage('fusion', 'pending')
  mark_published('fusion')
  return true
end

local function settle(stage, state, reading)
  step_stage(stage, state)
  set(stage .. '.reading', reading)
  set(stage .. '.settled_at', NOW)
end

-- Who asked to be told of this end will be: by the reaper, from this hash, which outlives the job's own.
local function make_delivery_due()
  local event = 'job.' .. J.state
  if not J['webhook.url'] or not string.find(J['webhook.events'], event, 1, true) then return end
  redis.call('HSET', KEY_DELIVERY, 'url', J['webhook.url'], 'event', event, 'state', 'pending')
  redis.call('ZADD', KEY_DELIVERIES, NOW, REF)
end

local function end_job(state, problem)
  step_job(state)
  close_work()
  count_live(-1)
  count_ended()
  count('ended:' .. state)
  set('ended_at', NOW)
  if problem then set('error', problem) end
  make_delivery_due()
end

local function unavailable(stage, reason, detail)
  settle(stage, 'unavailable', cjson.encode({state = 'unavailable', reason = reason, detail = detail}))
end

-- The job goes on without Gemini.
local function fall_back(reason, detail) unavailable('gemini', reason, detail) end

-- Given up for good: the job fails and the operator finds it among the dead letters.
local function dead_letter(stage, reason, detail)
  unavailable(stage, reason, detail)
  end_job('failed', cjson.encode({code = stage .. '_gave_up', detail = detail}))
  redis.call('ZADD', KEY_DEAD, NOW, REF)
  count('dead_lettered')
end

-- When the reaper must look at this job next.
local function next_due()
  if is_over() then return NOW end
  local at = number('deadline_at')
  for _, stage in ipairs(STAGES) do
    local state = stage_state(stage)
    if state == 'pending' then at = math.min(at, number(stage .. '.look_at')) end
    if state == 'claimed' then at = math.min(at, number(stage .. '.lease_until')) end
  end
  if SETTLED[stage_state('ml')] and not SETTLED[stage_state('gemini')] then
    at = math.min(at, number('ml.settled_at') + KNOB.gemini_grace_s)
  end
  return at
end

local function commit(due)
  set('version', string.format('%d', number('version') + 1))
  redis.call('HSET', KEY_JOB, unpack(changes))
  for stage in pairs(moved) do place(stage) end
  redis.call('ZADD', KEY_DUE, due or next_due(), REF)
  redis.call('PUBLISH', CHANGES .. REF, J.state)
  if J.batch then redis.call('PUBLISH', CHANGES .. TENANT .. '/' .. J.batch, J.state) end
end

local function whole_job()
  local flat = {}
  for field, value in pairs(J) do
    flat[#flat + 1] = field
    flat[#flat + 1] = value
  end
  return flat
end

-- Whether the caller still holds this stage; a worker that was given up on does not.
local function holds(stage, token)
  return not is_over() and stage_state(stage) == 'claimed' and J[stage .. '.token'] == token
end
