-- Takes or renews a lease. KEYS: leases. ARGV: gateway, incarnation, link, TTL in ms, how long ended ones are known in ms,
-- the claim: 'take', 'return' or the holding that is to be renewed.
-- A lease is 'incarnation expiry-in-ms holding link'. Returns the holding, or 'refused' when a later incarnation is known,
-- 'ended' or 'forgotten' when there is no such holding, or for 'return' any.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)

-- Incarnations are 64 bits wide, which a number here is not.
local function later(a, b)
    return #a > #b or (#a == #b and a > b)
end

local held
local last = 0
local is_known = false
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then
    local incarnation, expiry, holding, link = string.match(known, '^(%d+) (%d+) (%d+) (.*)$')
    if later(incarnation, ARGV[2]) then
        return 'refused'
    end
    is_known = incarnation == ARGV[2]
    last = tonumber(holding)
    if is_known and link == ARGV[3] and tonumber(expiry) > now then
        held = last
    end
end
if ARGV[6] == 'return' then
    if is_known then
        return 'ended'
    end
elseif ARGV[6] ~= 'take' and held ~= tonumber(ARGV[6]) then
    return is_known and 'ended' or 'forgotten'
end
if not held then
    -- By the clock, so that no holding comes again after everything was lost.
    held = math.max(now_us, last + 1)
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        if tonumber(string.match(all[i + 1], '^%d+ (%d+)')) + tonumber(ARGV[5]) < now then
            redis.call('HDEL', KEYS[1], all[i])
        end
    end
end
local lease = string.format('%s %.0f %.0f %s', ARGV[2], now + tonumber(ARGV[4]), held, ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], lease)
return string.format('%.0f', held)
