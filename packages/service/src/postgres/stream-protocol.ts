import { type Lsn, toLsn } from './lsn.ts'

/** Postgres counts microseconds from 2000-01-01 UTC; this is that instant in Unix milliseconds. */
export const POSTGRES_EPOCH_MS = 946_684_800_000

export const X_LOG_DATA = 0x77 // 'w'
export const KEEPALIVE = 0x6b // 'k'

/** Bytes of an XLogData message before its payload. */
export const X_LOG_DATA_HEADER = 25

/**
 * The `k` message of the server, including its tag.
 *
 *     offset  bytes  field
 *          1      8  end of the log that the server has decoded and sent
 *          9      8  server clock
 *         17      1  1: answer at once
 */
export type Keepalive = { readonly serverEnd: Lsn; readonly isReplyRequested: boolean }

export function readKeepalive(chunk: Buffer): Keepalive {
  return { serverEnd: toLsn(chunk.readBigUInt64BE(1)), isReplyRequested: chunk[17] === 1 }
}

/** End of the log on the server when it sent this XLogData message (`w`, with its tag). */
export function readServerEnd(chunk: Buffer): Lsn {
  return toLsn(chunk.readBigUInt64BE(9))
}

/**
 * A standby status update: everything up to `durable` is safe here and may be forgotten there.
 * Exactly the end of the last durable transaction: the next transaction's commit record may start at that very
 * byte, and one more would make the server skip it after a reconnect.
 *
 *     offset  bytes  field
 *          0      1  'r'
 *          1      8  written
 *          9      8  flushed; becomes the slot's confirmed_flush_lsn
 *         17      8  applied
 *         25      8  our clock, microseconds since 2000-01-01 UTC
 *         33      1  1: please answer at once
 */
export function encodeStandbyStatus(durable: Lsn, nowMs: number, isReplyWanted: boolean): Buffer {
  const message = Buffer.alloc(34)
  message[0] = 0x72
  message.writeBigUInt64BE(durable, 1)
  message.writeBigUInt64BE(durable, 9)
  message.writeBigUInt64BE(durable, 17)
  message.writeBigInt64BE(BigInt(Math.round(nowMs) - POSTGRES_EPOCH_MS) * 1000n, 25)
  message[33] = isReplyWanted ? 1 : 0
  return message
}
