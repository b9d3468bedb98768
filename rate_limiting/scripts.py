"""What runs inside the store, each as one atomic step."""

from __future__ import annotations

import hashlib


class Script:
    """A Lua script, and the SHA-1 by which the store knows it once it has seen it."""

    def __init__(self, source: str) -> None:
        """Compute the name the store gives it; SHA-1 is the protocol's choice, and no secret's."""
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


COUNT_REQUEST = Script("""
-- KEYS: n counters, then n refusal streaks. ARGV: the longest wait in seconds, then for each
-- counter its limit, its life in milliseconds, and the seconds until its window ends.
-- Takes a place under every rate or under none; answers
-- {index of the rate that refused or 0, seconds to wait, refusals in a row, count, count, ...}.
local n = #KEYS / 2
local counts, refusing, wait = {}, 0, 0
for i = 1, n do
  counts[i] = tonumber(redis.call('GET', KEYS[i]) or 0) or 0
  local reset = tonumber(ARGV[3 * i + 1])
  if counts[i] >= tonumber(ARGV[3 * i - 1]) and reset > wait then refusing, wait = i, reset end
end
if refusing == 0 then
  for i = 1, n do
    if counts[i] == 0 then
      redis.call('SET', KEYS[i], 1, 'PX', ARGV[3 * i])
      counts[i] = 1
    else
      counts[i] = redis.call('INCR', KEYS[i])
    end
  end
  return {0, 0, 0, unpack(counts)}
end
-- The streak lives as long as the wait that was told: who comes back earlier doubles it.
local streak = redis.call('INCR', KEYS[n + refusing])
local longest = math.max(wait, tonumber(ARGV[1]))
wait = math.min(longest, wait * 2 ^ math.min(streak - 1, 30))
redis.call('PEXPIRE', KEYS[n + refusing], wait * 1000)
return {refusing, wait, streak, unpack(counts)}
""")

REFUND = Script("""
-- KEYS: n counters, then how much of each was refunded. ARGV: for each counter the most refunds of
-- its window, or -1: unbounded, and not counted. A counter that has ended its window stays ended.
local n = #KEYS / 2
for i = 1, n do
  local count, most = tonumber(redis.call('GET', KEYS[i]) or 0) or 0, tonumber(ARGV[i])
  local refunds = tonumber(redis.call('GET', KEYS[n + i]) or 0) or 0
  if count > 0 and (most < 0 or refunds < most) then
    local life = math.max(redis.call('PTTL', KEYS[i]), 1)
    redis.call('DECR', KEYS[i])
    if most >= 0 then redis.call('SET', KEYS[n + i], refunds + 1, 'PX', life) end
  end
end
return 0
""")

COUNT = Script("""
-- KEYS: one counter. ARGV: its life in milliseconds. Django's add(key, 1) and incr(key) in one.
if redis.call('SET', KEYS[1], 1, 'PX', ARGV[1], 'NX') then return 1 end
return redis.call('INCR', KEYS[1])
""")

INCREMENT = Script("""
-- KEYS: one key. ARGV: by how much. An expired key stays away: INCRBY would make it immortal.
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
return redis.call('INCRBY', KEYS[1], ARGV[1])
""")

SET_MANY = Script("""
-- KEYS: the keys. ARGV: a life in milliseconds or '', then the values.
for i, key in ipairs(KEYS) do
  if ARGV[1] == '' then redis.call('SET', key, ARGV[i + 1])
  else redis.call('SET', key, ARGV[i + 1], 'PX', ARGV[1]) end
end
return #KEYS
""")
