-- ARGV: ref, limits. Before the body of a submission is read: may it come? It takes a token of the caller's bucket;
-- a job and the day's quota are counted in create. Its header makes a server that takes no writes refuse it, so
-- that nothing is stored for a job that could not be recorded.
-- Returns the verdict ('' to admit), live jobs, and as text: jobs ended a second, tokens left, seconds until the
-- next, until all are there; used of the quota, seconds of the day left.
local now_us = clock[1] * 1e6 + clock[2]
local verdict = limit_reached() or ''
local left, wait, full = 0, 0, 0
if PER_MINUTE then
  local allowed
  allowed, left, wait, full = take_tokens(KEY_BUCKET, now_us, PER_MINUTE / 60, PER_MINUTE, verdict == '' and 1 or 0)
  if not allowed then verdict = 'rate_limited' end
end
local this, before = ended_lately()
local passed = NOW % DRAIN.window_s / DRAIN.window_s
local function text(number) return string.format('%.6f', number) end
return {
  verdict, live('*'), text((this + before * (1 - passed)) / DRAIN.window_s),
  text(left), text(wait), text(full), spent_today(KEY_SPENT), text(seconds_of_day_left(now_us)),
}
