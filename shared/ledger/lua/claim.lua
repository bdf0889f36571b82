-- ARGV: ref, stage, token. Takes a pending stage under a lease; returns the job, or nothing when there is no work.
local stage, token = ARGV[2], ARGV[3]
if not load_job() or is_over() then return {} end
if holds(stage, token) then return whole_job() end
if stage_state(stage) ~= 'pending' then return {} end

-- Everything published before this message and still unclaimed was overtaken: the reaper's sign of a lost one.
-- Only a message published once tells: of a repeated one we cannot know which copy this is.
local lane, published = stage .. ':' .. J.priority, number(stage .. '.published_at')
local watermark = tonumber(redis.call('HGET', KEY_WATERMARKS, lane) or '0')
if not J[stage .. '.republished'] and (published > watermark or watermark > NOW) then
  redis.call('HSET', KEY_WATERMARKS, lane, string.format('%.6f', published))
end

step_stage(stage, 'claimed')
set(stage .. '.token', token)
set(stage .. '.lease_until', NOW + KNOB[stage .. '_lease_s'])
set(stage .. '.deliveries', string.format('%d', number(stage .. '.deliveries') + 1))
if not J[stage .. '.claimed_at'] then set(stage .. '.claimed_at', NOW) end
if J.state == 'queued' then step_job('running') end
commit()
return whole_job()
