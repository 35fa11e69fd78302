-- The version of a membership. KEYS: version. ARGV: '1' to make a new one, TTL in ms.
-- By this server's clock in us, so that no version comes again after it was lost: one that is not known is made anew
-- also for those who only ask, for what they have cached may be older than the loss.
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
if last > 0 and ARGV[1] ~= '1' then
    return last
end
local time = redis.call('TIME')
local version = math.max(time[1] * 1000000 + time[2], last + 1)
redis.call('SET', KEYS[1], string.format('%.0f', version), 'PX', ARGV[2])
return version
