-- Takes or renews a lease. KEYS: leases. ARGV: gateway, incarnation, link, TTL in ms, how long ended ones are known in ms.
-- A lease is 'incarnation expiry-in-ms holding link'. Returns the holding, or false when a later incarnation is known.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)

-- Incarnations are 64 bits wide, which a number here is not.
local function later(a, b)
    return #a > #b or (#a == #b and a > b)
end

-- By the clock, so that no holding comes again after everything was lost.
local holding = now_us
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then
    local incarnation, expiry, held, link = string.match(known, '^(%d+) (%d+) (%d+) (.*)$')
    if later(incarnation, ARGV[2]) then
        return false
    end
    if incarnation == ARGV[2] and link == ARGV[3] and tonumber(expiry) > now then
        holding = tonumber(held)
    else
        holding = math.max(now_us, tonumber(held) + 1)
    end
end
if holding >= now_us then
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        if tonumber(string.match(all[i + 1], '^%d+ (%d+)')) + tonumber(ARGV[5]) < now then
            redis.call('HDEL', KEYS[1], all[i])
        end
    end
end
local lease = string.format('%s %.0f %.0f %s', ARGV[2], now + tonumber(ARGV[4]), holding, ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], lease)
return holding
