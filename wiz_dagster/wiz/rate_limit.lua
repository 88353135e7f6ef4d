-- The request budget's arithmetic (`Line` in rate_records.py), on Redis's own clock. Returns seconds to wait, as text.
local command, step, burst = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local slack, horizon = tonumber(ARGV[4]), tonumber(ARGV[5])
local clock = redis.call("TIME")
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local names = {"ready", "free", "until", "wanted", "turn"}
local line = {}
for place, text in ipairs(redis.call("HMGET", KEYS[1], unpack(names))) do
  local number = tonumber(text or 0) or 0
  if number > now + horizon then number = now end
  line[names[place]] = number
end

local function ask(urgent, queued)
  local earliest = now - (burst - 1) * step
  if not urgent and (not queued or line["until"] > now) then
    local slot = math.max(line.free, line["until"], earliest)
    line.free = slot + step
    if slot > now then return slot - now end
  end
  local wait = math.max(line.ready, line["until"]) - now
  if wait > slack then
    if urgent then line.wanted = now + wait + step end
    return wait
  end
  if urgent and line.turn > 0 and line.free > line.ready + step / 2 then
    line.wanted = now + 2 * step
    return step
  end
  if not urgent and line.wanted > now and line.turn == 0 then return step end
  line.ready = math.max(line.ready, earliest) + step
  if urgent then
    line.free = math.max(line.free, earliest) + step
    line.wanted = 0
  end
  line.turn = urgent and 1 or 0
  return 0
end

local wait = 0
if command == "ask" then
  wait = ask(ARGV[6] == "1", ARGV[7] == "1")
elseif command == "pause" then
  line["until"] = math.max(line["until"], now + tonumber(ARGV[6]))
end
for _, name in ipairs(names) do
  redis.call("HSET", KEYS[1], name, string.format("%.6f", line[name]))
end
redis.call("EXPIRE", KEYS[1], math.ceil(horizon) * 2)
return string.format("%.6f", wait)
