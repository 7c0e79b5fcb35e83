"""The Lua scripts of the Redis store for refresh families: see `redis_scripts`."""

from __future__ import annotations

from .redis_scripts import COMMON

_FAMILY = """
local function family_key(id) return root .. 'family:' .. id end
local function keep(key, owner, id, expires)
  local owned = root .. 'owner:' .. owner
  redis.call('PEXPIREAT', key, int((expires + 3600000000) / 1000))
  redis.call('ZADD', owned, expires + 3600000000, id)
  redis.call('ZREMRANGEBYSCORE', owned, '-inf', now)
  local longest = redis.call('ZRANGE', owned, -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', owned, int(tonumber(longest) / 1000))
end
local function issue()
  if now > tonumber(redis.call('HGET', KEYS[1], 'issued') or 0) then
    redis.call('HSET', KEYS[1], 'issued', int(now))
  end
end
local function is_living(key)
  local ended, of, expires = unpack(redis.call('HMGET', key, 'ended', 'generation', 'expires'))
  return expires and not ended and of == generation and now < tonumber(expires)
end
local function shown(key)
  return redis.call('HMGET', key, 'about', 'created', 'used', 'ends', 'expires')
end
local function finish(id)
  local key = family_key(id)
  if not is_living(key) then return 0 end
  redis.call('HSET', key, 'ended', int(now))
  redis.call('HINCRBY', key, 'revision', 1)
  redis.call('ZREM', root .. 'owner:' .. redis.call('HGET', key, 'owner'), id)
  return 1
end
"""

# ARGV: now, latest time at which the caller still waits, id, owner, about, lifetime, idle, digest,
# how many living families an owner may have
START = (
    COMMON
    + _FAMILY
    + """
if tonumber(ARGV[2]) and now > tonumber(ARGV[2]) then return {'late', int(now)} end
if not generation then return {'no mark', int(now)} end
local key, ends = family_key(ARGV[3]), now + tonumber(ARGV[6])
local expires = math.min(now + tonumber(ARGV[7]), ends)
redis.call('HSET', key, 'about', ARGV[5], 'owner', ARGV[4], 'generation', generation,
  'created', int(now), 'used', int(now), 'ends', int(ends), 'expires', int(expires),
  'current', ARGV[8], 'revision', 1)
keep(key, ARGV[4], ARGV[3], expires)
local owned = root .. 'owner:' .. ARGV[4]
local many = redis.call('ZCARD', owned) - tonumber(ARGV[9])
if many > 0 then
  for _, id in ipairs(redis.call('ZRANGE', owned, 0, many - 1)) do
    finish(id)
    redis.call('ZREM', owned, id)
  end
end
issue()
return {'started', int(now), generation, 1, '', shown(key)}
"""
)

# ARGV: now, latest time at which the caller still waits, id, digest presented, digest of the
# successor, its seed, grace, idle
ROTATE = (
    COMMON
    + _FAMILY
    + """
if tonumber(ARGV[2]) and now > tonumber(ARGV[2]) then return {'late', int(now)} end
if not generation then return {'no mark', int(now)} end
local key = family_key(ARGV[3])
local current, previous, rotated, seed, ended, of, expires, ends, owner = unpack(redis.call(
  'HMGET', key, 'current', 'previous', 'rotated', 'seed', 'ended', 'generation', 'expires', 'ends',
  'owner'))
local outcome = 'reused'
if not current then return refused() or {'unknown', int(now), generation, 0, '', {}}
elseif ended or of ~= generation then outcome = 'ended'
elseif now >= tonumber(expires) then outcome = 'expired'
elseif ARGV[4] == current then
  outcome, seed = 'rotated', ARGV[6]
  expires = math.min(now + tonumber(ARGV[8]), tonumber(ends))
  redis.call('HSET', key, 'current', ARGV[5], 'previous', current, 'seed', seed,
    'rotated', int(now), 'used', int(now), 'expires', int(expires))
  redis.call('HINCRBY', key, 'revision', 1)
  keep(key, owner, ARGV[3], expires)
  issue()
elseif ARGV[4] == previous and ARGV[6] == seed then
  outcome = 'rotated' -- the same call again, whose answer was lost
elseif ARGV[4] == previous and math.abs(now - tonumber(rotated)) < tonumber(ARGV[7]) then
  outcome = 'repeated'
else
  finish(ARGV[3])
end
local revision = redis.call('HGET', key, 'revision')
return refused() or {outcome, int(now), generation, revision, seed or '', shown(key)}
"""
)

# ARGV: now, id
END = (
    COMMON
    + _FAMILY
    + """
local ended = finish(ARGV[2])
return refused() or ended
"""
)

# ARGV: now, owner
END_ALL = (
    COMMON
    + _FAMILY
    + """
local ended = 0
for _, id in ipairs(redis.call('ZRANGE', root .. 'owner:' .. ARGV[2], 0, -1)) do
  ended = ended + finish(id)
end
return refused() or ended
"""
)

# ARGV: now, owner
LIST = (
    COMMON
    + _FAMILY
    + """
local living = {}
for _, id in ipairs(redis.call('ZRANGE', root .. 'owner:' .. ARGV[2], 0, -1)) do
  local key = family_key(id)
  if is_living(key) then living[#living + 1] = {id, shown(key)} end
end
return refused() or living
"""
)
