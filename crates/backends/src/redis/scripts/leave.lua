-- A session ended. KEYS: the user's sessions.
-- ARGV: device, version, now in ms, how long a sign of life counts in ms, TTL of the key in ms, channel, what to say.
-- Returns 1 when the user turned offline.
local silent_since = tonumber(ARGV[3]) - tonumber(ARGV[4])
local before, left = 0, 0
local all = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
    local device, version = string.match(all[i], '^(.*):(%d+)$')
    if device then
        before = before + 1
        local same = device == ARGV[1] and tonumber(version) <= tonumber(ARGV[2])
        if not same and tonumber(all[i + 1]) > silent_since then
            left = left + 1
        end
    end
end
if before == 0 then
    return 0
end
if left == 0 then
    -- A member without a name remembers when the user was last seen.
    redis.call('DEL', KEYS[1])
    redis.call('ZADD', KEYS[1], ARGV[3], '')
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
    redis.call('PUBLISH', ARGV[6], ARGV[7])
    return 1
end
for i = 1, #all, 2 do
    local device, version = string.match(all[i], '^(.*):(%d+)$')
    local same = device == ARGV[1] and tonumber(version) <= tonumber(ARGV[2])
    if device and (same or tonumber(all[i + 1]) <= silent_since) then
        redis.call('ZREM', KEYS[1], all[i])
    end
end
return 0
