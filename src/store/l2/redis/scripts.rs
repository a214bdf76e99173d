//! What the server does as one step. Scripts are sent by their hash, and whole when the server does not know them. They
//! change single fields of the bytes that `wire` describes: Lua counts from 1, so byte 20 there is 21 here. The head of
//! what is there is all of it but the payload.
//!
//! Numbers are read byte by byte and not compared as strings, because Lua compares strings by the server's locale; 48
//! bits fit a Lua number. In a cluster a record and the log are on different servers: there a script gets no log key,
//! and the entry is written by a command of its own.

use super::link::{Fault, Link, command};
use crate::clock::Instant;
use ::redis::{Cmd, Value};
use data_encoding::HEXLOWER;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::sync::OnceLock;

/// Common beginning. Redis 5 replicates effects, as later versions always do, only when told so before the first write.
macro_rules! script {
    ($body:literal) => {
        Script {
            code: concat!(
                "if redis.replicate_commands then redis.replicate_commands() end
local function number(s) local n = 0 for i = 1, #s do n = n * 256 + string.byte(s, i) end return n end
local function bytes(n)
  local s = '' for _ = 1, 8 do s = string.char(n % 256) .. s n = math.floor(n / 256) end return s
end
local function decimal(n) return string.format('%.0f', n) end
local function now() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end
local function head_of(key)
  local head = redis.call('GETRANGE', key, 0, 43)
  if string.sub(head, 1, 2) == '\\1S' then head = head .. redis.call('GETRANGE', key, -8, -1) end
  return head
end
local function is_record(head)
  local kind = string.sub(head, 1, 2)
  return #head == 44 and kind == '\\1R' or #head == 52 and kind == '\\1S'
end
local function log(event) if KEYS[2] then redis.call('XADD', KEYS[2], '*', 'e', event) end end
",
                $body
            ),
            hash: OnceLock::new(),
        }
    };
}

/// Keys: record. Arguments: its bytes, when to drop it. Gives 1 if it is there now, also if it was before: then this is
/// a second try, for keys are random.
pub(super) static CREATE: Script = script!(
    "local old = redis.call('GET', KEYS[1])
if old then return old == ARGV[1] and 1 or 0 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
return 1"
);

/// Keys: record, log. Arguments: deadline (8 bytes), reason (1 byte), when to drop it, entry. Gives the head of what is
/// there then.
pub(super) static RETIRE: Script = script!(
    "local head = head_of(KEYS[1])
if is_record(head) and number(ARGV[1]) < number(string.sub(head, 21, 28)) then
  redis.call('SETRANGE', KEYS[1], 20, ARGV[1])
  redis.call('SETRANGE', KEYS[1], 2, ARGV[2])
  head = head_of(KEYS[1])
  redis.call('PEXPIREAT', KEYS[1], ARGV[3])
  log(ARGV[4])
end
return head"
);

/// Keys: record, log. Arguments: deadline (8 bytes), reason (1 byte), successor (8 bytes), when to drop it, entry
/// without its deadline. Gives 1 if the place is the successor's, and the head of what is there then.
pub(super) static SUPERSEDE: Script = script!(
    "local head = head_of(KEYS[1])
if not is_record(head) then return {0, head} end
if #head == 52 then return {string.sub(head, 45) == ARGV[3] and 1 or 0, head} end
if string.sub(head, 3, 3) == ARGV[2] then return {0, head} end
local deadline = string.sub(head, 21, 28)
if number(ARGV[1]) < number(deadline) then
  deadline = ARGV[1]
  redis.call('SETRANGE', KEYS[1], 20, deadline)
end
local all = redis.call('GET', KEYS[1])
redis.call('SETRANGE', KEYS[1], #all, ARGV[3])
redis.call('SETRANGE', KEYS[1], 1, 'S' .. ARGV[2])
head = head_of(KEYS[1])
if deadline == ARGV[1] then redis.call('PEXPIREAT', KEYS[1], ARGV[4]) end
log(ARGV[5] .. deadline)
return {1, head}"
);

/// Keys: record, log. Arguments: tombstone, when to drop it, entry. Gives the head of what was there before. What
/// another version of the module wrote stays.
pub(super) static END: Script = script!(
    "local head = head_of(KEYS[1])
if head ~= '' and not is_record(head) then return head end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
log(ARGV[3])
return head"
);

/// Keys: record. Arguments: last seen (8 bytes).
pub(super) static TOUCH: Script = script!(
    "local head = head_of(KEYS[1])
if is_record(head) and number(ARGV[1]) > number(string.sub(head, 37, 44)) then
  redis.call('SETRANGE', KEYS[1], 36, ARGV[1])
end
return 1"
);

/// Keys: meta, log, marks. Arguments: scope, the same in hex, cutoff or nothing, how long to keep it in ms. Gives the
/// cutoff.
pub(super) static MARK: Script = script!(
    "local now, highest = now(), tonumber(redis.call('HGET', KEYS[1], 'highest') or '0')
local stamp = tonumber(ARGV[3]) or math.max(highest + 1, now)
if stamp > highest then redis.call('HSET', KEYS[1], 'highest', decimal(stamp)) end
local till = math.min(now + tonumber(ARGV[4]), 281474976710655)
local old = redis.call('HGET', KEYS[3], ARGV[2])
if old then
  local old_stamp, old_till = string.match(old, '^(%d+):(%d+)$')
  stamp, till = math.max(stamp, tonumber(old_stamp)), math.max(till, tonumber(old_till))
end
redis.call('HSET', KEYS[3], ARGV[2], decimal(stamp) .. ':' .. decimal(till))
log('\\1M' .. ARGV[1] .. bytes(stamp) .. bytes(till))
return decimal(stamp)"
);

/// Keys: meta, log, nodes. Arguments: an identity for a new log, the node's name, its word. Gives the time, the log's
/// identity, the last entry that was removed, the last entry. A write: a server that may not write must not answer it.
pub(super) static PULSE: Script = script!(
    "local at = decimal(now())
redis.call('HSETNX', KEYS[1], 'id', ARGV[1])
redis.call('HSET', KEYS[3], ARGV[2], at .. '\\t' .. ARGV[3])
local last = '0-0'
if redis.call('EXISTS', KEYS[2]) == 1 then
  local stream = redis.call('XINFO', 'STREAM', KEYS[2])
  for i = 1, #stream, 2 do if stream[i] == 'last-generated-id' then last = stream[i + 1] end end
end
return {at, redis.call('HGET', KEYS[1], 'id'), redis.call('HGET', KEYS[1], 'trimmed') or '0-0', last}"
);

/// Keys: meta, log, marks, nodes. Arguments: the last entry to go, how many at most, where to go on looking for marks,
/// how long nodes may be silent in ms. Gives how many entries went, and where to go on.
pub(super) static PURGE: Script = script!(
    "local now, gone = now(), redis.call('XRANGE', KEYS[2], '-', ARGV[1], 'COUNT', ARGV[2])
for _, entry in ipairs(gone) do redis.call('XDEL', KEYS[2], entry[1]) end
if #gone > 0 then redis.call('HSET', KEYS[1], 'trimmed', gone[#gone][1]) end
local marks = redis.call('HSCAN', KEYS[3], ARGV[3], 'COUNT', ARGV[2])
for i = 1, #marks[2], 2 do
  local till = tonumber(string.match(marks[2][i + 1], ':(%d+)$'))
  if till and till <= now then redis.call('HDEL', KEYS[3], marks[2][i]) end
end
local nodes = redis.call('HGETALL', KEYS[4])
for i = 1, #nodes, 2 do
  local at = tonumber(string.match(nodes[i + 1], '^(%d+)\\t'))
  if not at or at + tonumber(ARGV[4]) < now then redis.call('HDEL', KEYS[4], nodes[i]) end
end
return {#gone, marks[1]}"
);

/// A script.
pub(super) struct Script {
    code: &'static str,
    hash: OnceLock<String>,
}

impl Script {
    /// Runs it.
    pub(super) fn run(
        &self,
        link: &mut Link,
        keys: &[&[u8]],
        arguments: &[&[u8]],
        within: Instant,
    ) -> Result<Value, Fault> {
        match link.ask(&self.call(keys, arguments), within) {
            Err(Fault::Refused(refusal)) if refusal.code == "NOSCRIPT" => {
                link.ask(&pack("EVAL", self.code, keys, arguments), within)
            }
            other => other,
        }
    }

    /// The command that runs it where it is known already.
    pub(super) fn call(&self, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        let hash = self.hash.get_or_init(|| {
            HEXLOWER.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, self.code.as_bytes()).as_ref())
        });
        pack("EVALSHA", hash, keys, arguments)
    }

    /// Makes it known.
    pub(super) fn load(&self, link: &mut Link, within: Instant) -> Result<(), Fault> {
        link.ask(&command("SCRIPT", &[b"LOAD", self.code.as_bytes()]), within).map(drop)
    }
}

fn pack(name: &str, what: &str, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
    let mut command = Cmd::new();
    command.arg(name).arg(what).arg(keys.len());
    for word in keys.iter().chain(arguments) {
        command.arg(*word);
    }
    command
}
