-- ARGV: ref, then for ml, gemini, fusion: '1' if its queue is empty; then the same for: no worker alive; then '1' where
-- a message is suspected to be lost, however long the job's next look is off.
-- Looks at one due job; returns its priority, then what the reaper must do outside: 'archive', or stages to publish.
-- Safe to run twice at once: the second run finds the job no longer due.
local EMPTY = {ml = ARGV[2] == '1', gemini = ARGV[3] == '1', fusion = ARGV[4] == '1'}
local DESERTED = {ml = ARGV[5] == '1', gemini = ARGV[6] == '1', fusion = ARGV[7] == '1'}
local SUSPECTED = ARGV[8] == '1'
local LOST = 'The worker died or hung each time this was tried.'
local publish = {}

local function republish(stage)
  mark_published(stage)
  set(stage .. '.republished', '1')
  publish[#publish + 1] = stage
end

local function is_lost(stage)
  local published = number(stage .. '.published_at')
  if published == 0 or EMPTY[stage] then return true end
  local watermark = tonumber(redis.call('HGET', KEY_WATERMARKS, stage .. ':' .. J.priority) or '0')
  -- One from the future was made before the clock was set back, and would make all that came since look lost.
  return published + KNOB.reorder_slack_s < watermark and watermark <= NOW
end

-- Unclaimed for a while. In a deep, healthy backlog that is no reason to publish again, and a hundred thousand jobs are
-- not to be looked at all the time: a message that is lost shows otherwise (suspects.py). Several looks before the
-- deadline are for what nobody thought of.
local function look_at_pending(stage)
  if is_lost(stage) then
    count('republished:' .. stage)
    republish(stage)
  else
    set(stage .. '.look_at', NOW + math.max(KNOB.republish_after_s, (number('deadline_at') - NOW) / 2))
  end
end

-- Its message is old enough to be suspected, and lost. One that was just published again is not old, so saying this
-- twice does it once; one that was put off has none yet.
local function is_suspect(stage)
  local published = number(stage .. '.published_at')
  if not SUSPECTED or is_over() or stage_state(stage) ~= 'pending' or published == 0 then return false end
  return NOW >= published + KNOB.republish_after_s and is_lost(stage)
end

local function must_look_at_pending(stage)
  return NOW >= number(stage .. '.look_at') or is_suspect(stage)
end

-- Its worker died, hangs, or was cut off.
local function look_at_expired_lease(stage)
  count('rescued:' .. stage)
  if number(stage .. '.deliveries') < KNOB.max_deliveries then
    step_stage(stage, 'pending')
    republish(stage)
  elseif stage == 'gemini' then
    fall_back('worker_lost', LOST)
  else
    dead_letter(stage, 'worker_lost', LOST)
  end
end

local function look_at_stage(stage)
  if is_over() then return end
  local state = stage_state(stage)
  if state == 'pending' and must_look_at_pending(stage) then look_at_pending(stage) end
  if state == 'claimed' and NOW >= number(stage .. '.lease_until') then look_at_expired_lease(stage) end
end

local function look_at_grace()
  local state = stage_state('gemini')
  if is_over() or not SETTLED[stage_state('ml')] or SETTLED[state] then return end
  if NOW < number('ml.settled_at') + KNOB.gemini_grace_s then return end
  if state == 'claimed' then
    fall_back('timeout', 'Gemini had not answered when the grace after the ML reading was over.')
  elseif DESERTED.gemini then
    fall_back('no_worker', 'No Gemini worker is running.')
  else
    fall_back('busy', 'No Gemini worker was free before the grace after the ML reading was over.')
  end
end

if not load_job() then
  redis.call('ZREM', KEY_DUE, REF)
  return {}
end
local due = tonumber(redis.call('ZSCORE', KEY_DUE, REF) or 'inf')
if due > NOW and not (is_suspect('ml') or is_suspect('gemini') or is_suspect('fusion')) then return {} end
if is_over() then
  redis.call('ZADD', KEY_DUE, NOW + KNOB.archive_after_s, REF)
  return {J.priority, 'archive'}
end
if NOW >= number('deadline_at') then
  end_job('expired', cjson.encode({code = 'deadline_passed', detail = 'The job was not finished before its deadline.'}))
  commit()
  return {}
end
-- The grace first: a Gemini lease that ran out with the grace is not worth another delivery.
look_at_grace()
look_at_stage('ml')
look_at_stage('gemini')
if not is_over() and open_fusion() then
  publish[#publish + 1] = 'fusion'
else
  look_at_stage('fusion')
end
commit()
return {J.priority, unpack(publish)}
