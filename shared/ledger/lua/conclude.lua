-- ARGV: ref, token, ML reading, result, why it rests on that reading alone or ''. Ends a job that no second reader is asked about, in the step that settles its
-- only reading: there is nothing to join, so no other process need take it up. Returns 1; 0 when too late.
local token = ARGV[2]
local found = load_job()
if found and J.state == 'completed' and J['ml.token'] == token and J['ml.reading'] == ARGV[3] then
  -- A repeat after a lost reply.
  return 1
end
if not found or not holds('ml', token) then
  count('late:ml')
  return 0
end
if stage_state('gemini') ~= 'skipped' then error('refused: the second reading is not skipped') end
settle('ml', 'done', ARGV[3])
step_stage('fusion', 'pending')
step_stage('fusion', 'claimed')
set('fusion.claimed_at', NOW)
step_stage('fusion', 'done')
set('fusion.settled_at', NOW)
set('result', ARGV[4])
end_job('completed')
if ARGV[5] ~= '' then count('fallback:' .. ARGV[5]) end
-- The reaper archives it, many at a time.
commit(NOW)
return 1
