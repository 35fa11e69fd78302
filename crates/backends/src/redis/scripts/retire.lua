-- Ends a lease now. KEYS: leases. ARGV: gateway, incarnation. The incarnation stays known, so that a late beat of it is
-- still seen as older than its successor. One that was forgotten is known again: its gateway must hear that it was ended,
-- and not that it was forgotten.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then
    local holding = time[1] * 1000000 + time[2]
    redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %.0f %.0f ', ARGV[2], now, holding))
    return 1
end
local incarnation, expiry, held, link = string.match(known, '^(%d+) (%d+) (%d+) (.*)$')
if incarnation == ARGV[2] and tonumber(expiry) > now then
    redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %.0f %s %s', incarnation, now, held, link))
end
return 1
