-- Enters a session again that was forgotten, unless a newer one is known. KEYS: entry, versions of the user's devices.
-- ARGV: device, version, route, TTL of the entry in ms, TTL of the versions in ms. Returns the highest version.
local highest = tonumber(ARGV[2])
local entry = redis.call('GET', KEYS[1])
if entry then
    highest = math.max(highest, tonumber(string.match(entry, '^%d+')))
end
highest = math.max(highest, tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '-1'))
if highest == tonumber(ARGV[2]) then
    redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. ARGV[3], 'PX', ARGV[4])
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
    redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
return highest
