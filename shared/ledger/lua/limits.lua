-- For admit and create. ARGV[2..5]: most live jobs of the house, most of one tenant, submissions a minute and jobs
-- a day of the caller's key; '' for no limit.
local KEY_BUCKET, KEY_SPENT = KEYS[10], KEYS[11]
local MAX_LIVE, MAX_LIVE_OF_TENANT = tonumber(ARGV[2]), tonumber(ARGV[3])
local PER_MINUTE, PER_DAY = tonumber(ARGV[4]), tonumber(ARGV[5])

-- Which limit allows no further job; nil if none stands in the way.
local function limit_reached()
  if MAX_LIVE and live('*') >= MAX_LIVE then return 'house_full' end
  if MAX_LIVE_OF_TENANT and live(TENANT) >= MAX_LIVE_OF_TENANT then return 'tenant_full' end
  if PER_DAY and spent_today(KEY_SPENT) >= PER_DAY then return 'quota_exceeded' end
end
