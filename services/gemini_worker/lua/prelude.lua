-- Shared by both scripts; circuit.py puts the generated tables CIRCUIT and KNOB before it.
-- Time is this server's alone: workers on machines whose clocks differ share one window and one pause.

local KEY_CIRCUIT, KEY_WINDOW, KEY_COUNTERS = KEYS[1], KEYS[2], KEYS[3]
local TOKEN = ARGV[1]
local SLOTS = 10

local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local C = {}
local flat = redis.call('HGETALL', KEY_CIRCUIT)
for i = 1, #flat, 2 do C[flat[i]] = flat[i + 1] end
local state = C.state or 'closed'

local function number(field) return tonumber(C[field] or '0') end
local function count(what) redis.call('HINCRBY', KEY_COUNTERS, 'gemini_circuit:' .. what, 1) end

local function set(field, value)
  if type(value) == 'number' then value = string.format('%.6f', value) end
  C[field] = value
  redis.call('HSET', KEY_CIRCUIT, field, value)
end

-- The gate that every change of state passes. A new generation makes calls that began before it of no account.
local function step(to)
  if not CIRCUIT[state][to] then error('refused: circuit ' .. state .. ' -> ' .. to) end
  state = to
  set('state', to)
  set('generation', string.format('%d', number('generation') + 1))
  redis.call('DEL', KEY_WINDOW)
  count(to)
end

-- What is waited for until `field`, from now on.
local function wait_until(field, at)
  set(field, at)
  set('waits_since', NOW)
end

local function holds_probe() return state == 'half_open' and C.probe == TOKEN end
