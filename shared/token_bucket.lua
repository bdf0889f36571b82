-- Two ways to count use, for scripts that are put behind this text. `now_us`: the server's clock in microseconds.

-- A token bucket: it holds `burst` tokens and gains `rate` a second. A refusal, or to take none, writes nothing and so
-- costs no fsync. Returns whether n tokens were there and taken, those left, the seconds until n are there, and until it is full.
local function take_tokens(key, now_us, rate, burst, n)
  local stored = redis.call('HMGET', key, 'tokens', 'at')
  local passed = math.max(0, now_us - tonumber(stored[2] or now_us))
  local tokens = math.min(burst, tonumber(stored[1] or burst) + passed * rate / 1e6)
  -- Who waited as long as told must not be refused by the last bit of a rounded sum.
  local allowed = tokens + 1e-9 >= n
  if allowed and n > 0 then
    tokens = math.max(0, tokens - n)
    redis.call('HSET', key, 'tokens', string.format('%.17g', tokens), 'at', string.format('%.0f', now_us))
    -- A full bucket and none are the same.
    redis.call('PEXPIRE', key, math.ceil((burst - tokens) / rate * 1000) + 1)
  end
  local wait = allowed and 0 or math.ceil((n - tokens) / rate * 1e6) / 1e6
  return allowed, tokens, wait, (burst - tokens) / rate
end

local DAY_US = 86400 * 1e6

-- What is spent of a daily quota; the day is a day of UTC, at whose end the key expires.
local function spent_today(key) return tonumber(redis.call('GET', key) or '0') end

local function seconds_of_day_left(now_us) return (DAY_US - now_us % DAY_US) / 1e6 end

local function spend_today(key, now_us, n)
  redis.call('INCRBY', key, n)
  redis.call('EXPIREAT', key, string.format('%.0f', (now_us - now_us % DAY_US + DAY_US) / 1e6))
end

local function server_now_us()
  local clock = redis.call('TIME')
  return clock[1] * 1e6 + clock[2]
end
