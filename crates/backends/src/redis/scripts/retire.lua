-- Ends a lease now. KEYS: leases. ARGV: gateway, incarnation. The incarnation stays known, so that a late beat of it is
-- still seen as older than its successor.
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then
    return 0
end
local incarnation, expiry, held, link = string.match(known, '^(%d+) (%d+) (%d+) (.*)$')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if incarnation == ARGV[2] and tonumber(expiry) > now then
    redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %.0f %s %s', incarnation, now, held, link))
end
return 1
