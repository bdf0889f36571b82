-- ARGV: token. {'1', generation} when Gemini may be asked, {'0', cause, seconds to wait} when it may not.
local function admitted() return {'1', C.generation or '0'} end

-- The token fences off a probe whose worker died: its lease ends, and the next reading asks instead.
local function probe()
  set('probe', TOKEN)
  wait_until('probe_until', NOW + KNOB.probe_lease_s)
  count('probes')
  return admitted()
end

if state == 'closed' or holds_probe() then return admitted() end
local field = state == 'open' and 'retry_at' or 'probe_until'
-- A server whose clock was set back would otherwise wait for that much longer.
if NOW < number('waits_since') then wait_until(field, number(field) - number('waits_since') + NOW) end
local free_at = number(field)
if NOW < free_at then return {'0', C.cause, string.format('%.6f', free_at - NOW)} end
if state == 'open' then step('half_open') end
return probe()
