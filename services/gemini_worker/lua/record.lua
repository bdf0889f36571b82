-- ARGV: token, generation, outcome ('answered', 'failed', 'tripped', 'unsent'), cause, the server's wish to wait in
-- seconds (0: none), jitter in [0, 1). Outcomes that came too late to matter are dropped.
local generation, outcome, cause = ARGV[2], ARGV[3], ARGV[4]
local wish, jitter = tonumber(ARGV[5]), tonumber(ARGV[6])

-- Doubles with each opening in a row, up to a limit; between half and whole, so that several clusters on one key do
-- not come back in step. Never before the server allows, and at once when it does.
local function pause(trips)
  if outcome == 'tripped' and wish > 0 and trips == 1 then return wish end
  local backoff = math.min(KNOB.cooldown_s * 2 ^ (trips - 1), KNOB.max_cooldown_s)
  return math.max(backoff * (1 + jitter) / 2, wish)
end

local function open()
  local trips = number('trips') + 1
  step('open')
  set('trips', string.format('%d', trips))
  set('cause', cause)
  wait_until('retry_at', NOW + pause(trips))
end

local function close()
  step('closed')
  set('trips', '0')
end

-- Counts this call, and returns calls and failures within the window, to a tenth of it.
local function counted()
  local slot = math.floor(NOW * SLOTS / KNOB.window_s)
  redis.call('HINCRBY', KEY_WINDOW, string.format('%d:%s', slot, outcome), 1)
  redis.call('PEXPIRE', KEY_WINDOW, math.ceil(KNOB.window_s * 1000))
  local calls, failures = 0, 0
  local found = redis.call('HGETALL', KEY_WINDOW)
  for i = 1, #found, 2 do
    local at, what = string.match(found[i], '^(%d+):(%a+)$')
    -- Of later than now: from before the clock was set back.
    if tonumber(at) <= slot - SLOTS or tonumber(at) > slot then
      redis.call('HDEL', KEY_WINDOW, found[i])
    else
      calls = calls + tonumber(found[i + 1])
      if what == 'failed' then failures = failures + tonumber(found[i + 1]) end
    end
  end
  return calls, failures
end

if holds_probe() then
  if outcome == 'unsent' then set('probe_until', NOW)
  elseif outcome == 'answered' then close()
  else open() end
elseif state == 'closed' and (C.generation or '0') == generation and outcome ~= 'unsent' then
  if outcome == 'tripped' then return open() end
  local calls, failures = counted()
  if calls >= KNOB.min_calls and failures >= KNOB.failure_ratio * calls and failures > 0 then open() end
end
