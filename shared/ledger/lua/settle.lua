-- ARGV: ref, stage, token, 'done' or 'unavailable', reading.
-- 'fuse': fusion is open, publish it. 'settled': the other reading is still out. 'late': it no longer matters.
local stage, token = ARGV[2], ARGV[3]
local found = load_job()
if found and not holds(stage, token) and J[stage .. '.token'] == token and SETTLED[stage_state(stage)]
   and J[stage .. '.reading'] == ARGV[5] then
  -- A repeat after a lost reply; publishing fusion twice is harmless, never would not be.
  return stage_state('fusion') == 'pending' and 'fuse' or 'settled'
end
if not found or not holds(stage, token) then
  count('late:' .. stage)
  return 'late'
end
settle(stage, ARGV[4], ARGV[5])
local open = open_fusion()
commit()
return open and 'fuse' or 'settled'
