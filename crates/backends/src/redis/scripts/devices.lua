-- A user's live entries: device, entry, device, entry... KEYS: versions of the user's devices. ARGV: stem of the keys
-- of the entries, which are in the slot of the versions.
local live = {}
for _, device in ipairs(redis.call('HKEYS', KEYS[1])) do
    local entry = redis.call('GET', ARGV[1] .. device)
    if entry then
        live[#live + 1] = device
        live[#live + 1] = entry
    end
end
return live
