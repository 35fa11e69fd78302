-- A session that was not known is heard of. KEYS: the user's sessions.
-- ARGV: device, version, now in ms, how long a sign of life counts in ms, TTL of the key in ms, channel, what to say.
-- Returns 1 when the user turned online.
local mine = ARGV[1] .. ':' .. ARGV[2]
local silent_since = tonumber(ARGV[3]) - tonumber(ARGV[4])
local online = 0
local heard = mine
local all = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
    local device, version = string.match(all[i], '^(.*):(%d+)$')
    local fresh = device and tonumber(all[i + 1]) > silent_since
    if fresh then
        online = 1
    end
    if fresh and device == ARGV[1] and tonumber(version) > tonumber(ARGV[2]) then
        -- The one that took its place is there: the device is alive, and the older session stays gone.
        heard = all[i]
    elseif not fresh or (device == ARGV[1] and all[i] ~= mine) then
        redis.call('ZREM', KEYS[1], all[i])
    end
end
redis.call('ZADD', KEYS[1], 'GT', ARGV[3], heard)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
if online == 0 then
    redis.call('PUBLISH', ARGV[6], ARGV[7])
    return 1
end
return 0
