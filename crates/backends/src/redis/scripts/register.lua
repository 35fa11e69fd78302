-- Registers a session. KEYS: entry, versions of the user's devices.
-- ARGV: device, route, now in ms, TTL of the entry in ms, TTL of the versions in ms.
-- Returns the version, and the entry it replaces or false.
local before = redis.call('GET', KEYS[1])
local last = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '-1')
if before then
    last = math.max(last, tonumber(string.match(before, '^%d+')))
end
local now = tonumber(ARGV[3])
local version = string.format('%.0f', math.max(now, last + 1))
redis.call('SET', KEYS[1], version .. ' ' .. ARGV[2], 'PX', ARGV[4])
redis.call('HSET', KEYS[2], ARGV[1], version)
redis.call('PEXPIRE', KEYS[2], ARGV[5])
-- A user whose every connection is a new device must not grow for ever: versions are times, so old ones are known.
if redis.call('HLEN', KEYS[2]) > 16 then
    local stem = string.sub(KEYS[1], 1, #KEYS[1] - #ARGV[1])
    local all = redis.call('HGETALL', KEYS[2])
    for i = 1, #all, 2 do
        if tonumber(all[i + 1]) + tonumber(ARGV[5]) < now and redis.call('EXISTS', stem .. all[i]) == 0 then
            redis.call('HDEL', KEYS[2], all[i])
        end
    end
end
return { version, before }
