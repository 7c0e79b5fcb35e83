"""The Lua scripts of the Redis store: each is one atomic step, timed by the server's own clock.

All keys of a namespace have one prefix in braces, and so lie in one slot of a cluster. In the
namespace "shop" it is {authz:shop}, and in the default namespace:

    {authz}:mark          hash: generation, last position, time of the newest token issued, and
                          the newest position of each shelf
    {authz}:log:<shelf>   stream of statements, one a shelf; its entry ids are the positions
    {authz}:family:<id>   hash: a refresh family
    {authz}:owner:<hash>  sorted set: the ids of a subject's families, by when they are forgotten
    {authz}:applications  sorted set: records of the applications that use the store, by when
    {authz}:news          channel: a message after each statement

A statement stands on the lowest shelf that is long enough for its lifetime: a quarter of an hour,
and twice as long for each shelf above. So a stream can be trimmed by age alone, and an entry stays
at most twice as long as it is needed. Times are whole microseconds, which a Lua number holds
exactly until the year 2255. KEYS[1] is the mark; ARGV[1] is a time in place of the server's, for
tests, or empty.

Every script writes, also one that only reads (`refused`): a demoted server, or one that has lost
the replicas that `min-replicas-to-write` asks for, refuses that, and with it the script. What such
a server still has may be out of date, and no client could tell from its answers. Other reasons to
refuse a write, such as a full disk, do not make what it has out of date. The write comes after
the script's own: Redis looks at its memory limit before a script's first write alone.
"""

from __future__ import annotations

COMMON = """
local root = string.sub(KEYS[1], 1, -5)
local clock = redis.call('TIME')
local now = tonumber(ARGV[1]) or (clock[1] * 1000000 + clock[2])
local function int(number) return string.format('%.0f', number) end
local function length(shelf) return 900000000 * 2 ^ shelf end
local generation = redis.call('HGET', KEYS[1], 'generation')
local function keep_mark() return redis.pcall('EXPIRE', KEYS[1], 400 * 86400) end
local function refused()
  local answer = keep_mark()
  local reason = type(answer) == 'table' and answer.err or ''
  if string.find(reason, 'READONLY') or string.find(reason, 'NOREPLICAS') then return answer end
end
"""

_APPEND = """
local function seconds(time)
  return string.format('%.0f.%06.0f', math.floor(time / 1000000), time % 1000000)
end
local function append(head, forget, said, not_before)
  local last = tonumber(redis.call('HGET', KEYS[1], 'last') or 0)
  local position = math.max(now, last + 1)
  said = said or math.max(position, not_before,
    tonumber(redis.call('HGET', KEYS[1], 'issued') or 0))
  local shelf = 0
  while shelf < 18 and length(shelf) < forget - now do shelf = shelf + 1 end
  local key = root .. 'log:' .. shelf
  local body = head .. ',' .. seconds(said) .. ',' .. int(math.ceil(forget / 1000000)) .. ']'
  redis.call('XADD', key, 'MINID', '~', int(math.max(0, now - length(shelf))), int(position),
    's', body)
  redis.call('PEXPIREAT', key, int((position + length(shelf)) / 1000 + 1))
  redis.call('HSET', KEYS[1], 'last', int(position), 'shelf' .. shelf, int(position))
  return {int(position), int(shelf), body}
end
local function tell()
  keep_mark()
  redis.pcall('PUBLISH', root .. 'news', '') -- may be forbidden: then the others see for themselves
end
"""

# ARGV: now, latest time at which the caller still waits ('' for any), head, said at least, forget
REVOKE = (
    COMMON
    + _APPEND
    + """
if tonumber(ARGV[2]) and now > tonumber(ARGV[2]) then return {'late', int(now)} end
if not generation then return {'no mark', int(now)} end
local written = append(ARGV[3], tonumber(ARGV[5]), nil, tonumber(ARGV[4]))
tell()
return {'ok', int(now), written[1], written[2], written[3]}
"""
)

# ARGV: now, then of each statement head, said, forget
ADD = (
    COMMON
    + _APPEND
    + """
local positions = {}
for n = 2, #ARGV, 3 do
  positions[#positions + 1] = append(ARGV[n], tonumber(ARGV[n + 2]), tonumber(ARGV[n + 1]))[1]
end
tell()
return positions
"""
)

# ARGV: now, generation expected ('' for none), new generation, head of the statement that revokes
# everything ('' for none), when it is forgotten
ESTABLISH = (
    COMMON
    + _APPEND
    + """
if (generation or '') ~= ARGV[2] then return generation end
redis.call('HSET', KEYS[1], 'generation', ARGV[3])
for shelf = 0, 18 do
  local newest = redis.call('HGET', KEYS[1], 'shelf' .. shelf)
  local found = redis.call('XREVRANGE', root .. 'log:' .. shelf, '+', '-', 'COUNT', 1)[1]
  if newest and not (found and found[1] == newest .. '-0') then
    redis.call('HDEL', KEYS[1], 'shelf' .. shelf)
  end
end
if ARGV[4] ~= '' then append(ARGV[4], tonumber(ARGV[5]), nil, 0) end
tell()
return ARGV[3]
"""
)

# ARGV: now, position to read after, entries a shelf at most, witness' position ('' for none) and
# shelf, a family's id ('' for none) and the revision that it had
READ = (
    COMMON
    + """
local mark, intact, entries = {}, 1, {}
local flat = redis.call('HGETALL', KEYS[1])
for n = 1, #flat, 2 do mark[flat[n]] = flat[n + 1] end
local after, limit, last = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(mark.last or 0)
if last < after then intact = 0 end
if ARGV[4] ~= '' then
  local key = root .. 'log:' .. ARGV[5]
  if not redis.call('XRANGE', key, ARGV[4], ARGV[4])[1] then intact = 0 end
end
if ARGV[6] ~= '' then
  local revision = redis.call('HGET', root .. 'family:' .. ARGV[6], 'revision')
  if tonumber(revision or 0) < tonumber(ARGV[7]) then intact = 0 end
end
local upto, complete = math.max(last, after), 1
for shelf = 0, 18 do
  local newest = mark['shelf' .. shelf]
  if newest and tonumber(newest) > now - length(shelf) then
    local key = root .. 'log:' .. shelf
    local found = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
    if not (found and found[1] == newest .. '-0') then intact = 0 end
    if tonumber(newest) > after then
      local read = redis.call('XRANGE', key, '(' .. ARGV[2], '+', 'COUNT', limit)
      for n = 1, #read do
        entries[#entries + 1] = {string.match(read[n][1], '%d+'), shelf, read[n][2][2]}
      end
      if #read == limit then
        complete = 0
        upto = math.min(upto, tonumber(entries[#entries][1]))
      end
    end
  end
end
return refused() or {int(now), generation or '', intact, int(upto), complete, entries}
"""
)

# ARGV: now, new generation
PREPARE = (
    COMMON
    + """
redis.call('HSETNX', KEYS[1], 'generation', ARGV[2])
keep_mark()
return 1
"""
)

# ARGV: now, record of an application, how long it is kept
RECORD = (
    COMMON
    + """
local key = root .. 'applications'
redis.call('ZADD', key, int(now), ARGV[2])
redis.call('PEXPIRE', key, int(tonumber(ARGV[3]) / 1000))
redis.call('ZREMRANGEBYSCORE', key, '-inf', int(now - tonumber(ARGV[3])))
return refused() or redis.call('ZRANGE', key, 0, -1)
"""
)
