-- Removes a session unless a newer one took its place. KEYS: entry, versions of the user's devices.
-- ARGV: device, version, TTL of the versions in ms.
local entry = redis.call('GET', KEYS[1])
if entry and string.match(entry, '^%d+') == ARGV[2] then
    redis.call('DEL', KEYS[1])
end
-- The version counts on, also when the versions were lost since.
if tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '-1') < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
    redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return 1
