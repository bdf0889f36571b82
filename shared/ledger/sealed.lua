#!lua flags=allow-oom
-- KEYS: list of events, sealed head. ARGV: segment, head as text, then the ids of the segment's events.
-- Forgets events from the front for as long as they are of this segment; the head never goes back.
local sealed = {}
for i = 3, #ARGV do sealed[ARGV[i]] = true end
while true do
  local first = redis.call('LINDEX', KEYS[1], 0)
  if not first or not sealed[cjson.decode(first).id] then break end
  redis.call('LPOP', KEYS[1])
end
local known = tonumber(string.match(redis.call('GET', KEYS[2]) or '', '^%d+'))
if known and tonumber(ARGV[1]) > known then redis.call('SET', KEYS[2], ARGV[2]) end
return 1
