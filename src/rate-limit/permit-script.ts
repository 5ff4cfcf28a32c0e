/**
 * The one Lua script of the limiter. All times inside are microseconds of one logical clock: Redis `TIME`, kept from
 * ever going back.
 *
 * KEYS: the state of the limiter, then one hash per quota, the application's first.
 * ARGV: operation, run id of the Redis server, pause after lost state (µs), new epoch, first and second argument of the
 * operation, then for each quota: limit, window (µs), weight, largest weight, 1 if counted.
 *
 * Answer: epoch, age of the last state that survived the latest loss (µs), then what the operation says.
 */

/** The line that reads the clock. Tests put another one in its place; nothing else in the script knows the time. */
export const CLOCK_LINE = `local time = redis.call('TIME'); local now = time[1] * 1000000 + time[2]`;

/** Added to every window: up to 1 s from a permit's time to its sending, up to 1 s until the server counts it. */
export const JITTER_MS = 2000;

/** How far a further quota's slot may lie behind the first one's; within this, waiting for it wastes nothing. */
export const LOOK_AHEAD_MS = 250;

/** How long a probe's answer is awaited before the full pace is resumed without it. */
export const PROBE_PATIENCE_MS = 10_000;

export const PERMIT_SCRIPT = `
${CLOCK_LINE}
local JITTER, LOOK_AHEAD, PROBE_PATIENCE, PROBE_POLL = ${JITTER_MS}000, ${LOOK_AHEAD_MS}000, ${PROBE_PATIENCE_MS}000, 250000
local SECOND, MINUTE, HOUR, DAY_MS = 1000000, 60000000, 3600000000, 86400000
local operation, run, pause, newEpoch, first, second = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), ARGV[6]
local floor, ceil, max = math.floor, math.ceil, math.max

-- The state: a clock that steps back stands still; another server, or no state, starts a new epoch after a pause.
local state = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'ready', 'offset', 'last', 'known')
local epoch, ready, offset = state[1], tonumber(state[3] or 0), tonumber(state[4] or 0)
local last, known = tonumber(state[5] or 0), tonumber(state[6] or 0)
now = now + offset
if now < last then offset = offset + last - now; now = last end
if not epoch or state[2] ~= run then
  epoch, ready, known = newEpoch, now + pause, last
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'run', run, 'ready', ready, 'known', known)
end
redis.call('HSET', KEYS[1], 'offset', offset, 'last', now)
if floor(now / MINUTE) > floor(last / MINUTE) then redis.call('PEXPIRE', KEYS[1], DAY_MS) end
local answer = { epoch, now - known }

-- The quotas as they stand.
local quotas = {}
for i = 2, #KEYS do
  local at = 6 + (i - 2) * 5
  local q = { key = KEYS[i], limit = tonumber(ARGV[at + 1]), window = tonumber(ARGV[at + 2]),
    weight = tonumber(ARGV[at + 3]), largest = tonumber(ARGV[at + 4]), counted = ARGV[at + 5] == '1' }
  local h = redis.call('HMGET', q.key, 'next', 'blocked', 'probe', 'assumed', 'assumed_until', 'sum')
  q.next, q.blocked, q.probe = tonumber(h[1] or 0), tonumber(h[2] or 0), tonumber(h[3] or 0)
  q.assumed, q.sum = tonumber(h[4] or q.limit), h[6] and tonumber(h[6])
  if tonumber(h[5] or 0) <= now or q.assumed > q.limit then q.assumed = q.limit end
  q.unit = (q.window + JITTER) / max(1, q.assumed - q.largest + 1)
  q.bucket = ceil((q.window + JITTER) / 60)
  quotas[i - 1] = q
end

local function prolong(q)
  redis.call('PEXPIRE', q.key, ceil((q.window + JITTER + HOUR + max(0, q.blocked - now)) / 1000))
end

-- What was spent is kept in fields named by the number of their bucket.
-- Buckets of a quota that may hold a permit later than the given time, oldest first, and their weight together.
local function spentSince(q, time)
  local oldest, total, found = floor(time / q.bucket), 0, {}
  local fields = redis.call('HGETALL', q.key)
  for i = 1, #fields, 2 do
    local number, weight = tonumber(fields[i]), tonumber(fields[i + 1])
    if number and number >= oldest then total = total + weight; found[#found + 1] = { number = number, weight = weight } end
  end
  table.sort(found, function(a, b) return a.number < b.number end)
  return total, found
end

local function spend(q, time, weight)
  if redis.call('HINCRBY', q.key, floor(time / q.bucket), weight) > weight then return end
  -- The first one of a bucket: the buckets that have left the window go, and the key lives on.
  local oldest = floor((now - q.window - JITTER) / q.bucket)
  for _, field in ipairs(redis.call('HKEYS', q.key)) do
    if (tonumber(field) or oldest) < oldest then redis.call('HDEL', q.key, field) end
  end
  prolong(q)
end

-- When a counted quota has room for the weight: when enough of the oldest buckets have left the window. The sum is what
-- was found at the last look and given since: while even that leaves room, the buckets need no look.
local function roomAt(q, time)
  if q.sum and q.sum + q.weight <= q.assumed then return time end
  local total, found = spentSince(q, now - q.window - JITTER)
  q.sum = total
  for _, bucket in ipairs(found) do
    if total + q.weight <= q.assumed then break end
    total, time = total - bucket.weight, max(time, (bucket.number + 1) * q.bucket + q.window + JITTER)
  end
  return time
end

local function slotOf(q, from)
  if q.counted then return roomAt(q, from) end
  -- Permits that a lost state had given out may still be followed by their whole cost.
  return max(from, q.next, ready + ceil(q.largest * q.unit))
end

-- Sets q.slot, the earliest common one, and returns the last of them, when all can be sent. Else the refusal: wait,
-- index of the quota, reason (0 quota, 1 blocked, 2 probe out), local pause.
local function plan()
  if now < ready then return nil, { ready - now, 0, 0, ready - now } end
  for i, q in ipairs(quotas) do
    if q.blocked > now then return nil, { q.blocked - now, i - 1, 1, q.blocked - now } end
    if q.blocked > 0 and q.probe > now then
      return nil, { math.min(PROBE_POLL, q.probe - now), i - 1, 2, PROBE_POLL }
    end
  end
  local latest, refusal = now, nil
  for i, q in ipairs(quotas) do
    q.slot = slotOf(q, i == 1 and now or quotas[1].slot)
    latest = max(latest, q.slot)
    local behind = q.slot - quotas[1].slot
    if behind > LOOK_AHEAD and not (refusal and refusal[1] >= q.slot - now) then
      refusal = { q.slot - now, i - 1, 0, behind - LOOK_AHEAD / 2 }
    end
  end
  return latest, refusal
end

local function reply(values)
  for _, value in ipairs(values) do answer[#answer + 1] = value end
end

-- Requests that wait, told by each process once a second; what is 3 s old is told anew, or by nobody any more.
local function tellWaiting(name, count)
  redis.call('HSET', KEYS[1], 'waiting:' .. name, floor(now / SECOND) .. ':' .. count)
end

local function waitingEverywhere()
  local total, fields = 0, redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    local told, count = string.match(fields[i + 1], '^(%d+):(%d+)$')
    if told and now - told * SECOND <= 3 * SECOND then total = total + count
    elseif told then redis.call('HDEL', KEYS[1], fields[i]) end
  end
  return total
end

if operation == 'take' then -- first: how far ahead a slot may lie (µs)
  local latest, refusal = plan()
  if not refusal and latest - now > first then refusal = { latest - now, 0, 0, latest - now - first } end
  if refusal then
    answer[3] = 0
    reply(refusal)
  else
    local probe = 0
    for _, q in ipairs(quotas) do
      if q.blocked > 0 then
        if q.probe == 0 then probe, q.probe = 1, now + PROBE_PATIENCE else q.blocked, q.probe = 0, 0 end
        redis.call('HSET', q.key, 'blocked', q.blocked, 'probe', q.probe)
      end
      spend(q, q.slot, q.weight)
      if q.counted then redis.call('HSET', q.key, 'sum', q.sum + q.weight)
      else redis.call('HSET', q.key, 'next', q.slot + ceil(q.weight * q.unit)) end
    end
    answer[3] = 1
    reply({ latest - now, latest - quotas[1].slot, probe })
  end

elseif operation == 'hello' then -- first: requests that wait in this process; second: its name
  tellWaiting(second, first)

elseif operation == 'peek' then -- first: so many more would come at once; second: how long one may wait (µs)
  local latest, refusal = plan()
  local wait, waiting = refusal and refusal[1] or latest - now, waitingEverywhere()
  if waiting > 0 then wait = max(wait, (waiting + first) * quotas[1].unit) end
  reply({ wait, refusal and refusal[2] or 0 })
  if wait < tonumber(second) and first > 0 then
    -- Let in: they count as waiting until their processes have told of them.
    local name = 'let in at ' .. floor(now / SECOND)
    local before = redis.call('HGET', KEYS[1], 'waiting:' .. name)
    tellWaiting(name, first + (before and string.match(before, ':(%d+)') or 0))
  end

elseif operation == 'penalise' then -- first: length of the block (µs)
  local near = false
  for _, q in ipairs(quotas) do
    q.near = spentSince(q, now - q.window) >= 0.8 * q.assumed
    near = near or q.near
  end
  for _, q in ipairs(quotas) do
    local lowered = 0
    if q.near or not near then
      -- Only the first refusal of a block tells of another user of the quota: a refused probe says the block lasts.
      if q.blocked == 0 then
        q.assumed, lowered = max(ceil(q.limit / 2), floor(q.assumed * 0.9)), 1
        redis.call('HSET', q.key, 'assumed', q.assumed, 'assumed_until', now + HOUR)
      end
      q.blocked = max(q.blocked, now + first)
      redis.call('HSET', q.key, 'blocked', q.blocked, 'probe', 0)
      prolong(q)
    end
    reply({ max(0, q.blocked - now), q.assumed, lowered })
  end

elseif operation == 'answered' then
  for _, q in ipairs(quotas) do
    if q.blocked > 0 and q.blocked <= now and q.probe > 0 then redis.call('HSET', q.key, 'blocked', 0, 'probe', 0) end
  end

elseif operation == 'unanswered' then
  for _, q in ipairs(quotas) do
    if q.blocked > 0 and q.probe > 0 then redis.call('HSET', q.key, 'probe', 0) end
  end

elseif operation == 'usage' then
  for _, q in ipairs(quotas) do
    reply({ (spentSince(q, now - q.window)), max(0, q.blocked - now), q.assumed })
  end

elseif operation == 'restore' then -- first: block left (µs); second: 'age:weight,…' of permits the lost state knew
  for _, q in ipairs(quotas) do
    for age, weight in string.gmatch(second, '(%d+):(%d+)') do
      spend(q, now - tonumber(age), tonumber(weight))
    end
    redis.call('HDEL', q.key, 'sum')
    if first > 0 then
      q.blocked = max(q.blocked, now + first)
      redis.call('HSET', q.key, 'blocked', q.blocked)
      prolong(q)
    end
  end
end
return answer
`;
