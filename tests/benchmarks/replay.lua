-- Replays ready-made request heads: wrk -s replay.lua URL -- HEADS_FILE
-- Connections of a thread draw from one cycle, so each of them sends a different sequence; threads start apart.

local starts = 0

function setup(thread)
    thread:set("start", starts)
    starts = starts + 1009
end

local heads, count, position = {}, 0, 0

function init(args)
    local file = assert(io.open(args[1], "rb"))
    for head in file:read("*a"):gmatch("([^%z]+)%z") do
        count = count + 1
        heads[count] = head
    end
    file:close()
    position = start % count
end

function request()
    position = position + 1
    if position > count then
        position = 1
    end
    return heads[position]
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"requests": %d, "microseconds": %d, "bytes": %d, "connect_errors": %d, "read_errors": %d, ' ..
        '"write_errors": %d, "timeouts": %d, "statuses_above_399": %d}\n',
        summary.requests, summary.duration, summary.bytes, errors.connect, errors.read,
        errors.write, errors.timeout, errors.status))
end
