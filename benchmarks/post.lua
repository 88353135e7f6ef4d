-- wrk's script: every request posts the body that BODY_FILE holds, with the header that HEADER holds ("Name: value").
local file = assert(io.open(os.getenv("BODY_FILE"), "rb"))
local name, value = os.getenv("HEADER"):match("^(.-): (.*)$")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
wrk.headers[name] = value

function done(summary, latency, requests)
  local wrong = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), wrong + summary.errors.timeout))
end
