-- The request budget's arithmetic, on Redis's own clock. Returns seconds to wait, as text.
local command, step, burst = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local horizon, seconds = tonumber(ARGV[4]), tonumber(ARGV[5])
local clock = redis.call("TIME")
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local record = redis.call("HMGET", KEYS[1], "free", "until")
local free, pause = tonumber(record[1] or 0) or 0, tonumber(record[2] or 0) or 0
if free > now + horizon then free = now end
if pause > now + horizon then pause = now end
local wait = pause - now
if command == "reserve" then
  local slot = math.max(free, pause, now - (burst - 1) * step)
  free, wait = slot + step, slot - now
elseif command == "pause" then
  pause = math.max(pause, now + seconds)
end
if command ~= "paused" then
  redis.call("HSET", KEYS[1], "free", string.format("%.6f", free), "until", string.format("%.6f", pause))
  redis.call("EXPIRE", KEYS[1], math.ceil(horizon) * 2)
end
return string.format("%.6f", wait)
